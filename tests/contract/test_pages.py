"""What pages of a market day are: their rows' intervals, which page each is, and when a day stands whole."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from miso_archive.contract.pages import is_node, is_whole, page_of, standing
from miso_archive.feeds import DAILY
from miso_archive.intervals.labels import EST
from miso_archive.intervals.market_days import day_begins
from tests.feeds.pages import AN_HOUR, ASM, DAY, FIVE_MINUTES, LMP, lmp, page, price, time_interval, whole_day

if TYPE_CHECKING:
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed

each_daily = pytest.mark.parametrize("feed", DAILY.values(), ids=list(DAILY))


def snapshot(feed: Feed, body: bytes) -> Snapshot:
    """Return what an accepted page says."""
    verdict = feed.examine(body)
    assert verdict.reasons == ()
    assert verdict.snapshot is not None
    return verdict.snapshot


def end_of(feed: Feed, row: dict[str, Any]) -> datetime:
    """Return the interval end of a page's only row."""
    (read,) = snapshot(feed, page([row])).rows
    end = read.interval_end
    assert isinstance(end, datetime)
    return end


def reasons(feed: Feed, body: bytes) -> list[tuple[str, str]]:
    """Return what a page is refused for, by code and place."""
    verdict = feed.examine(body)
    assert (verdict.snapshot is None) == bool(verdict.reasons)
    return [(reason.code.value, reason.where) for reason in verdict.reasons]


def warned(feed: Feed, body: bytes) -> list[str]:
    """Return what an accepted page is warned of."""
    verdict = feed.examine(body)
    assert verdict.snapshot is not None
    return [warning.code.value for warning in verdict.warnings]


@each_daily
def test_the_documented_body_is_accepted(feed: Feed) -> None:
    """A page in the shape that MISO documents has neither reasons nor warnings, and is all of its day."""
    verdict = feed.examine(feed.recorded.read_bytes())
    assert (verdict.reasons, verdict.warnings) == ((), ())
    assert verdict.snapshot is not None
    assert len(verdict.snapshot.rows) == 2
    assert (page_of(verdict.snapshot).number, page_of(verdict.snapshot).is_last) == (1, True)
    assert verdict.interval_end == day_begins(date(2026, 10, 3))


class TestIntervals:
    @pytest.mark.parametrize("hour", [1, 12, 24])
    def test_an_hour_is_named_by_its_end(self, hour: int) -> None:
        """Hour 1 ends at 01:00 and hour 24 at midnight, whether timeInterval is the hour or, as in 2023, the day."""
        expected = day_begins(DAY) + hour * AN_HOUR
        assert end_of(ASM, price(hour)) == end_of(ASM, price(hour, timeInterval=whole_day())) == expected

    def test_five_minutes_are_named_by_their_start(self) -> None:
        """`interval` 23:55 is the interval that ends at 24:00, as MISO names it since 2026-05-06."""
        assert end_of(LMP, lmp(288)) == day_begins(date(2026, 10, 3))
        assert end_of(LMP, lmp(1)) == datetime(2026, 10, 2, 0, 5, tzinfo=EST)

    def test_a_time_within_the_day_is_a_start_too(self) -> None:
        """Where timeInterval is the whole day a time names the start of the row's interval."""
        assert end_of(LMP, lmp(interval="13:05", timeInterval=whole_day())) == datetime(2026, 10, 2, 13, 10, tzinfo=EST)
        assert end_of(ASM, price(interval="13:00", timeInterval=whole_day())) == datetime(2026, 10, 2, 14, tzinfo=EST)

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-10-02 04:00:00.000", "2026-10-02 05:00:00.000"),
            ("2026-10-02T04:00:00", "2026-10-02T05:00:00"),
            ("2026-10-02T09:00:00Z", "2026-10-02T10:00:00Z"),
            ("2026-10-02T04:00", "2026-10-02T05:00:00-05:00"),
        ],
    )
    def test_times_are_spelled_in_many_ways(self, start: str, end: str) -> None:
        """A blank or a T, fractions, an offset: hour 5 ends at 05:00 EST in each."""
        spelled = {"start": start, "end": end, "resolution": "x", "value": None}
        assert end_of(ASM, price(5, timeInterval=spelled)) == datetime(2026, 10, 2, 5, tzinfo=EST)

    def test_two_words_on_one_interval_that_differ_are_warned_of(self) -> None:
        """Where `interval` names another interval than timeInterval does that one counts, and a warning says so."""
        body = page([price(5, interval="6")])
        assert warned(ASM, body) == ["period_differs"]
        assert end_of(ASM, price(5, interval="6")) == datetime(2026, 10, 2, 5, tzinfo=EST)

    @pytest.mark.parametrize(
        ("row", "place"),
        [
            (price(interval="0", timeInterval=whole_day()), "data[0].interval"),
            (price(interval="25", timeInterval=whole_day()), "data[0].interval"),
            (price(interval="noon", timeInterval=whole_day()), "data[0].interval"),
            (price(interval="9" * 5000, timeInterval=whole_day()), "data[0].interval"),
            (price(interval="\u0661", timeInterval=whole_day()), "data[0].interval"),
            (price(timeInterval=time_interval(day_begins(DAY), timedelta(hours=2))), "data[0].interval"),
            (price(timeInterval=time_interval(day_begins(DAY), timedelta(hours=-1))), "data[0].interval"),
            (price(timeInterval={"start": "2026-10-02"}), "data[0].timeInterval"),
            (price(timeInterval={"start": "2026-10-02T00:00", "end": "soon"}), "data[0].timeInterval"),
            (price(timeInterval="2026-10-02"), "data[0].timeInterval"),
            (price(timeInterval=[]), "data[0].timeInterval"),
            (price(timeInterval=None), "data[0].timeInterval"),
        ],
    )
    def test_what_names_no_interval_is_refused(self, row: dict[str, Any], place: str) -> None:
        """No hour is made up where neither `interval` nor `timeInterval` tells which it is."""
        assert reasons(ASM, page([row])) == [("unreadable_time", place)]

    def test_an_hour_is_no_price_of_five_minutes(self) -> None:
        """Prices of another resolution than the feed's are not taken for its own."""
        row = lmp(timeInterval=time_interval(day_begins(DAY), AN_HOUR))
        assert reasons(LMP, page([row])) == [("unreadable_time", "data[0].interval")]


class TestPages:
    def test_a_page_of_two_days_is_refused(self) -> None:
        """All rows of a page are of one market day."""
        assert reasons(ASM, page([price(1), price(2, day=date(2026, 10, 3))])) == [("wrong_page", "data[1]")]

    def test_midnight_is_of_the_day_that_it_ends(self) -> None:
        """The last hour, which ends on the next date, is of its market day."""
        read = snapshot(ASM, page([price(1), price(24)]))
        assert read.interval_end == day_begins(date(2026, 10, 3))
        assert read.ref_id == "2026-10-02"

    def test_a_page_of_one_node_is_named_by_it(self) -> None:
        """A page is of the node of all its rows, and of none where they are of several."""
        assert snapshot(LMP, page([lmp(1), lmp(2)], number=3)).ref_id == "2026-10-02 MINN.HUB, page 3"
        assert page_of(snapshot(LMP, page([lmp(1), lmp(1, node="MS.HUB")]))).node == ""

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"lastPage": None}, [("bad_number", "page.lastPage")]),
            ({"lastPage": "yes"}, [("bad_number", "page.lastPage")]),
            ({"pageNumber": 0}, [("wrong_page", "page.pageNumber")]),
            ({"pageNumber": -1}, [("bad_number", "page.pageNumber")]),
            ({"pageNumber": 1.5}, [("bad_number", "page.pageNumber")]),
            ({"pageNumber": True}, [("bad_number", "page.pageNumber")]),
            ({"pageNumber": "first"}, [("bad_number", "page.pageNumber")]),
            ({"totalElements": "many"}, [("bad_number", "page.totalElements")]),
            ({"totalElements": None, "totalPages": None, "pageSize": None}, []),
            ({"pageNumber": "1", "lastPage": 1}, []),
        ],
    )
    def test_what_a_page_says_of_itself(self, change: dict[str, object], expected: list[tuple[str, str]]) -> None:
        """Number and end of a page are to be known; how many there are need not be said."""
        assert reasons(ASM, page([price()], also=change)) == expected

    @pytest.mark.parametrize("key", ["pageNumber", "lastPage"])
    def test_a_page_without_either_is_refused(self, key: str) -> None:
        """Without `lastPage` nobody knows whether the day is whole, without `pageNumber` which part of it this is."""
        body = orjson.loads(page([price()]))
        del body["page"][key]
        assert reasons(ASM, orjson.dumps(body)) == [("missing_field", f"page.{key}")]

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (page([]), [("too_few_rows", "data")]),
            (b"{}", [("missing_field", "page"), ("missing_field", "data")]),
            (b"[]", [("not_an_object", "body")]),
            (b'{"data":{},"page":{"pageNumber":1,"lastPage":true}}', [("not_a_list", "data")]),
            (b'{"data":[5],"page":{"pageNumber":1,"lastPage":true}}', [("not_an_object", "data[0]")]),
            (b'{"data":[],"page":[]}', [("not_an_object", "page"), ("too_few_rows", "data")]),
            (
                b'{"status":404,"reason":"Empty data returned for date"}',
                [("missing_field", "page"), ("missing_field", "data")],
            ),
            (b"<html>", [("html_page", "body")]),
        ],
    )
    def test_what_is_no_page_is_refused(self, body: bytes, expected: list[tuple[str, str]]) -> None:
        """An empty day, another shape and an error are each refused for what they lack."""
        assert sorted(reasons(ASM, body)) == sorted(expected)


class TestRows:
    @pytest.mark.parametrize("mcp", [6.48, "6.48", -0.3, "-.3", 0, "1,234.5", 1e3])
    def test_a_price_is_a_number_or_text(self, mcp: object) -> None:
        """MISO sends numbers; the same as text are read too."""
        (row,) = snapshot(ASM, page([price(mcp=mcp)])).rows
        assert row.mcp == float(str(mcp).replace(",", ""))

    @pytest.mark.parametrize("mcp", [None, "", "None", "1,23", "NaN", [], {}, True])
    def test_what_is_no_price_is_refused(self, mcp: object) -> None:
        """A price that is absent or no number is none: there is no row without it."""
        assert reasons(ASM, page([price(mcp=mcp)])) == [("bad_price", "data[0].mcp")]

    @pytest.mark.parametrize("product", ["Flexiramp", "regulation", "\u0394-reserve"])
    def test_a_product_never_heard_of_is_kept(self, product: str) -> None:
        """Products and zones are open lists: each is kept as it is spelled, and none is warned of."""
        body = page([price(product=product, zone="Zone 99")])
        (row,) = snapshot(ASM, body).rows
        assert (row.product, row.zone, warned(ASM, body)) == (product, "Zone 99", [])

    @pytest.mark.parametrize("part", ["mcc", "mec", "mlc"])
    def test_an_absent_part_of_a_price_is_missing(self, part: str) -> None:
        """A component that is null is null, and never 0."""
        (row,) = snapshot(LMP, page([lmp() | {part: None}])).rows
        assert [row.energy, row.congestion, row.loss].count(None) == 1

    def test_a_price_that_is_not_its_parts_is_warned_of(self) -> None:
        """Energy, congestion and loss are the price, to 0.02."""
        assert warned(LMP, page([lmp(lmp=22.12)])) == []
        assert warned(LMP, page([lmp(lmp=22.13)])) == ["parts_differ"]

    @pytest.mark.parametrize("node", ["../x", "MINN.HUB/", "minn.hub", "", "A" * 65, " ", "\u0394", 5, None])
    def test_a_node_that_cannot_name_an_object_is_refused(self, node: object) -> None:
        """Objects are named by nodes: nothing of a body gets into a key that is not a plain name."""
        assert [code for code, _ in reasons(LMP, page([lmp() | {"node": node}]))] == ["not_text"]

    def test_a_hundred_thousand_rows_are_read(self) -> None:
        """A page of far too many rows gets its verdict all the same."""
        verdict = ASM.examine(page([5] * 100_000))
        assert verdict.snapshot is None
        assert verdict.reasons[-1].code.value == "more_reasons"


class TestWholeDays:
    @staticmethod
    def pages(*said: tuple[int, bool], rows: int = 2, total: int | None = None) -> list[Snapshot]:
        """Return pages by their numbers and whether each is the last."""
        total = rows * len(said) if total is None else total
        prices = [price(hour) for hour in range(1, rows + 1)]
        return [snapshot(ASM, page(prices, number, last=last, total=total)) for number, last in said]

    def test_a_day_is_whole_up_to_its_last_page(self) -> None:
        """Three pages of which the third is the last are a day; two of them are not, nor is one with a hole."""
        whole = self.pages((1, False), (2, False), (3, True))
        assert is_whole(standing(whole)[""])
        assert not is_whole(standing(whole[:2])[""])
        assert not is_whole(standing([whole[0], whole[2]])[""])
        assert not is_whole([])

    def test_a_day_without_all_its_rows_is_not_whole(self) -> None:
        """Pages that hold fewer or more rows than they say are not all of a day; where none is said they are."""
        for total, expected in ((3, False), (4, True), (5, False)):
            assert is_whole(standing(self.pages((1, False), (2, True), total=total))[""]) is expected
        unsaid = snapshot(ASM, page([price()], also={"totalElements": None}))
        assert is_whole([unsaid])

    def test_of_each_page_the_last_fetched_counts(self) -> None:
        """A day that was published in three pages and then in two is the two."""
        first = self.pages((1, False), (2, False), (3, True))
        second = self.pages((1, False), (2, True))
        assert standing([*first, *second])[""] == second

    def test_nodes_are_told_apart(self) -> None:
        """Each node's pages are its own."""
        both = [snapshot(LMP, page([lmp(node=node)])) for node in ("MINN.HUB", "MS.HUB")]
        assert {node: len(pages) for node, pages in standing(both).items()} == {"MINN.HUB": 1, "MS.HUB": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("MINN.HUB", True), ("ALTW.WELLS1", True), ("MHEB", True), ("A_B-C.D", True), ("X.123456789012", False)],
)
def test_names_of_nodes(name: str, expected: bool) -> None:  # noqa: FBT001 - what is expected
    """A node is called by capitals, digits and signs, and not as the ending of a revision is."""
    assert is_node(name) is expected


def test_five_minutes_are_five_minutes() -> None:
    """The feeds' rows have the lengths that their documentation says."""
    assert [getattr(feed.contract.tables[0].row, "length", None) for feed in (ASM, LMP)] == [AN_HOUR, FIVE_MINUTES]
