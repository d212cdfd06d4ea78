"""Daily feeds read back: whole days alone, each row once, compacted alike, and counted."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.feeds import DAILY, FEEDS
from miso_archive.feeds.columns import schema_of, tables_of
from miso_archive.intervals.labels import EST, EST_NAME, INTERVAL
from miso_archive.intervals.market_days import ONE_DAY, day_begins
from miso_archive.reading.scan import SkippedObjectsWarning
from miso_archive.simulate.keyed import page_body
from miso_archive.simulate.sisters import asm_body, lmp_body
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from tests.cli.small_archive import printed
from tests.feeds.pages import ASM, LMP, lmp, page, price

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.feeds.feed import Feed
    from miso_archive.reading.compaction import CompactedMonth

pytestmark = pytest.mark.slow("reads whole days of pages")

DAY = date(2026, 10, 2)
NOW = datetime(2026, 10, 5, 12, tzinfo=EST)
SEED = 5
ASM_LIVE, LMP_LIVE = FEEDS["asm_mcp"], FEEDS["rt_exante_lmp"]
each_daily = pytest.mark.parametrize("feed", DAILY.values(), ids=list(DAILY))


def est(time: datetime) -> pl.Expr:
    """Return a time as frames have it."""
    return pl.lit(time).dt.convert_time_zone(EST_NAME)


def compacted(folder: Path, feed: Feed) -> list[CompactedMonth]:
    """Compact every month."""
    found = [
        mr.compact_month(folder, month, feed=feed, now=NOW)
        for month in mr.months_to_compact(folder, feed=feed, now=NOW)
    ]
    return [month for month in found if month is not None]


def put(folder: Path, feed: Feed, body: bytes, fetched_at: datetime = NOW) -> str:
    """Archive a page as if it had been fetched then."""
    snapshot = feed.examine(body).snapshot
    assert snapshot is not None
    response = Response(body, fetched_at.astimezone(UTC), "http://127.0.0.1/", "application/json")
    return store_snapshot(Folder(folder), feed, snapshot, response).key


def put_day(folder: Path, feed: Feed, day: date = DAY, *, revision: int = 0, fetched_at: datetime = NOW) -> None:
    """Archive a whole simulated market day."""
    for node in (feed.daily.nodes if feed.daily else ()) or ("",):
        number = 1
        while (body := page_body(feed, day, page=number, node=node, seed=SEED, revision=revision)) is not None:
            put(folder, feed, body, fetched_at)
            number += 1


class TestRows:
    def test_prices_ahead_are_those_that_the_live_feed_shows(self, tmp_path: Path) -> None:
        """24 hours, six products, eight zones; hour 17 has the prices that the live body at 16:45 has day ahead."""
        put_day(tmp_path, ASM)
        rows = mr.scan(tmp_path, "da_exante_asm_mcp").collect()
        assert dict(rows.schema) == dict(schema_of(ASM, "prices"))
        assert [rows[name].n_unique() for name in ("hour_ending", "product", "zone")] == [24, 6, 8]
        assert len(rows) == 1152
        live = ASM_LIVE.examine(asm_body(datetime(2026, 10, 2, 16, 45, tzinfo=EST), seed=SEED)).snapshot
        assert live is not None
        expected = {row.zone: row.short_term_reserve for row in live.tables["day_ahead"]}
        found = rows.filter(pl.col("hour_ending") == 17, pl.col("product") == "STR")
        assert dict(zip(found["zone"].str.strip_prefix("Zone "), found["mcp"], strict=True)) == expected
        assert set(found["interval_end"]) == {datetime(2026, 10, 2, 17, tzinfo=EST)}
        assert set(found["interval_start"]) == {datetime(2026, 10, 2, 16, tzinfo=EST)}
        assert set(rows["source"]) == {"keyed_api"}

    def test_past_prices_are_those_that_the_live_feed_showed(self, tmp_path: Path) -> None:
        """288 intervals at eight hubs, in the columns of the live feed's prices, under the same labels."""
        put_day(tmp_path, LMP)
        rows = mr.scan(tmp_path, "rt_exante_lmp_history").collect()
        assert len(rows) == 8 * 288
        assert (rows["interval_end"].min(), rows["interval_end"].max()) == (
            day_begins(DAY) + INTERVAL,
            day_begins(DAY + ONE_DAY),
        )
        live = LMP_LIVE.examine(lmp_body(datetime(2026, 10, 2, 16, 45, tzinfo=EST), seed=SEED)).snapshot
        assert live is not None
        expected = {row.location: (row.lmp, row.congestion, row.loss) for row in live.rows if row.location != "SWPP"}
        found = rows.filter(pl.col("interval_end") == est(datetime(2026, 10, 2, 16, 45, tzinfo=EST)))
        assert {row["location"]: (row["lmp"], row["congestion"], row["loss"]) for row in found.to_dicts()} == expected
        assert set(rows["market_day"]) == {DAY}

    @each_daily
    def test_no_row_of_an_unfinished_day_counts(self, feed: Feed, tmp_path: Path) -> None:
        """Without its last page a day has no row, unless all that was fetched is asked for; with it it has all."""
        bodies = [
            page([price(1) if feed is ASM else lmp(1)], 1, last=False, total=2),
            page([price(2) if feed is ASM else lmp(2)], 2, total=2),
        ]
        put(tmp_path, feed, bodies[0])
        assert len(mr.scan(tmp_path, feed).collect()) == 0
        everything = mr.scan(tmp_path, feed, latest_only=False).collect()
        assert everything["is_latest"].to_list() == [False]
        put(tmp_path, feed, bodies[1])
        assert len(mr.scan(tmp_path, feed).collect()) == 2

    def test_a_changed_page_counts_and_the_one_before_is_kept(self, tmp_path: Path) -> None:
        """Of each page the body fetched last counts, whatever their names; the other stays readable."""
        put_day(tmp_path, ASM, revision=1, fetched_at=NOW + timedelta(hours=1))
        put_day(tmp_path, ASM)
        latest = mr.scan(tmp_path, ASM).collect()
        both = mr.scan(tmp_path, ASM, latest_only=False).collect()
        assert (len(latest), len(both)) == (1152, 2304)
        assert set(latest["revision"]) == {1}
        older = both.filter(~pl.col("is_latest"))
        same = ["interval_end", "product", "zone"]
        apart = latest.join(older, on=same).select((pl.col("mcp") - pl.col("mcp_right")).round(2).unique())
        assert apart.to_series().to_list() == [0.01]

    def test_a_row_that_two_pages_have_counts_once(self, tmp_path: Path) -> None:
        """Pages of two editions may hold a row twice: the frame has it once, of the later page."""
        put(tmp_path, ASM, page([price(1), price(2, mcp=1.0)], 1, last=False, total=4))
        put(tmp_path, ASM, page([price(2, mcp=2.0), price(3)], 2, total=4))
        rows = mr.scan(tmp_path, ASM).collect()
        assert rows.select("hour_ending", "mcp").rows() == [(1, 6.48), (2, 2.0), (3, 6.48)]

    def test_a_page_under_another_s_name_is_left_out(self, tmp_path: Path) -> None:
        """What a page says of itself is held against its key; a stray object is named, and stops nobody."""
        key = put(tmp_path, ASM, page([price(1)]))
        body = (tmp_path / key).read_bytes()
        other = key.replace("20261002", "20261003").replace("2026-10-02", "2026-10-03")
        (tmp_path / other).parent.mkdir()
        (tmp_path / other).write_bytes(body)
        (tmp_path / key.replace(".json", ".p1.json")).write_bytes(body)
        with pytest.warns(SkippedObjectsWarning) as caught:
            assert len(mr.scan(tmp_path, ASM).collect()) == 1
        told = str(caught[0].message)
        assert f"{other} (it is 2026-10-02: another page than its key names)" in told
        assert "p1.json.gz (its name is not that of a page there)" in told

    @each_daily
    def test_days_that_are_not_asked_for_are_not_read(self, feed: Feed, tmp_path: Path) -> None:
        """Bounds and filters on the day spare what lies elsewhere: a damaged day beside is not even opened."""
        put_day(tmp_path, feed)
        damaged = put(tmp_path, feed, page([price(day=DAY + ONE_DAY) if feed is ASM else lmp(day=DAY + ONE_DAY)]))
        (tmp_path / damaged).write_bytes(b"damaged")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for frame in (
                mr.scan(tmp_path, feed, start=DAY, end=DAY + ONE_DAY),
                mr.scan(tmp_path, feed).filter(pl.col("market_day") == DAY),
                mr.scan(tmp_path, feed).filter(pl.col("interval_end") == est(day_begins(DAY) + timedelta(hours=3))),
            ):
                assert len(frame.collect()) > 0


@each_daily
class TestCompacted:
    def test_months_read_as_raw_objects_do(self, feed: Feed, tmp_path: Path) -> None:
        """Every frame of a compacted month is that of its raw objects, revisions included."""
        put_day(tmp_path, feed)
        put_day(tmp_path, feed, revision=1, fetched_at=NOW + timedelta(hours=1))
        put_day(tmp_path, feed, DAY + ONE_DAY)
        names = tables_of(feed)
        raw = {name: mr.scan(tmp_path, feed, name, latest_only=False).collect() for name in names}
        times = mr.fetch_times(tmp_path, feed=feed)
        months = compacted(tmp_path, feed)
        assert [(month.rows["prices"], month.written) for month in months] == [(len(raw["prices"]), True)]
        for name in names:
            assert_frame_equal(mr.scan(tmp_path, feed, name, latest_only=False).collect(), raw[name])
        assert_frame_equal(mr.fetch_times(tmp_path, feed=feed), times)
        assert [month.written for month in compacted(tmp_path, feed)] == [False]

    def test_a_page_that_comes_late_is_compacted_anew(self, feed: Feed, tmp_path: Path) -> None:
        """A day that was unfinished when its month was compacted is there once its last page is."""
        row = price if feed is ASM else lmp
        put(tmp_path, feed, page([row(1)], 1, last=False, total=2))
        compacted(tmp_path, feed)
        assert len(mr.scan(tmp_path, feed).collect()) == 0
        put(tmp_path, feed, page([row(2)], 2, total=2))
        assert [month.written for month in compacted(tmp_path, feed)] == [True]
        assert len(mr.scan(tmp_path, feed).collect()) == 2


class TestCoverage:
    def test_days_are_counted_in_rows(self, tmp_path: Path) -> None:
        """A whole day has 1,152; of one that is unfinished none counts; one that is not there lacks all of its rows."""
        put_day(tmp_path, ASM)
        put(tmp_path, ASM, page([price(day=DAY + 2 * ONE_DAY)], last=False, total=2))
        response = Response(b"<html>", NOW.astimezone(UTC), "http://127.0.0.1/", "text/html")
        store_refused(Folder(tmp_path), ASM, response, ASM.examine(b"<html>").reasons)
        counted = mr.coverage(tmp_path, feed=ASM, now=NOW)
        names = ("market_day", "expected", "collected", "missing", "refused", "pages")
        assert counted.select(names).rows() == [
            (DAY, 1152, 1152, 0, 0, 3),
            (DAY + ONE_DAY, 1152, 0, 1152, 0, 0),
            (DAY + 2 * ONE_DAY, 1152, 0, 1152, 0, 1),
            (DAY + 3 * ONE_DAY, 1152, 0, 1152, 1, 0),
        ]
        missing = mr.missing_intervals(tmp_path, feed=ASM, now=NOW)
        assert missing["market_day"].to_list() == [DAY + number * ONE_DAY for number in (1, 2, 3)]
        assert missing["interval_end"][0] == day_begins(DAY + 2 * ONE_DAY)

    def test_nothing_is_expected_before_it_is_out(self, tmp_path: Path) -> None:
        """Day-ahead prices of tomorrow are expected from 14:00 on, real-time ones of yesterday from 07:00 on."""
        put_day(tmp_path, ASM, DAY)
        put_day(tmp_path, LMP, DAY)
        for feed, hour, ahead in ((ASM, 14, -1), (LMP, 7, 1)):
            out = day_begins(DAY + ahead * ONE_DAY) + timedelta(hours=hour)
            for now, expected in ((out - timedelta(minutes=1), False), (out, True)):
                assert (mr.coverage(tmp_path, feed=feed, now=now)["expected"].item() > 0) is expected

    def test_a_lesser_number_is_told(self, tmp_path: Path) -> None:
        """A whole day with seven zones lacks 144 rows."""
        rows = [
            price(hour, product=f"P{p}", zone=f"Zone {z}") for hour in range(1, 25) for p in range(6) for z in range(7)
        ]
        put(tmp_path, ASM, page(rows))
        assert mr.coverage(tmp_path, feed=ASM, now=NOW).select("collected", "missing").row(0) == (1008, 144)

    def test_each_node_has_its_day(self, tmp_path: Path) -> None:
        """Of two nodes, one of which lacks its last page, one counts."""
        for node, last in (("MINN.HUB", True), ("MS.HUB", False)):
            rows = [lmp(number, node=node) for number in range(1, 289)]
            put(tmp_path, LMP, page(rows, last=last, total=288 if last else 300))
        assert mr.coverage(tmp_path, feed=LMP, now=NOW).select("expected", "collected", "pages").row(0) == (576, 288, 2)
        assert set(mr.scan(tmp_path, LMP).collect()["location"]) == {"MINN.HUB"}


class TestCommands:
    def test_days_are_read_and_counted_in_the_terminal(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`read` shows an hour's prices, `coverage` a day's rows; `all` is the live feeds, to `compact` every one."""
        put_day(tmp_path, ASM)
        first = printed(capsys, "read", "--feed", ASM.name, "--local", str(tmp_path)).splitlines()
        assert first[0].split() == ["interval_end", "hour_ending", "product", "zone", "mcp", "revision"]
        assert first[-1] == "1,152 rows, times in EST"
        words = ("coverage", "--local", str(tmp_path), "--format", "json", "--feed")
        assert json.loads(printed(capsys, *words, ASM.name))[0]["collected"] == 1152
        assert json.loads(printed(capsys, *words, "all")) == []
        months = json.loads(printed(capsys, "compact", "--local", str(tmp_path), "--format", "json", "--feed", "all"))
        assert [(row["feed"], row["prices"]) for row in months] == [(ASM.name, 1152)]

    def test_status_knows_when_a_day_is_late(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The newest day is told as a day, and is stale once the one after it is out for six hours."""
        newest = ASM.daily.newest(datetime.now(UTC)) if ASM.daily else DAY
        put_day(tmp_path, ASM, newest)
        assert main(["status", "--feed", ASM.name, "--local", str(tmp_path)]) == 0
        shown = capsys.readouterr().out
        assert f"last market day    {newest}\n" in shown
        assert f"due, {newest}    1152 of 1152 collected, 0 missing\n" in shown
        put_day(tmp_path / "old", ASM, newest - 2 * ONE_DAY)
        assert main(["status", "--feed", ASM.name, "--local", str(tmp_path / "old")]) == 1
        assert f"{newest - 2 * ONE_DAY}, STALE" in capsys.readouterr().out

    def test_a_page_is_validated(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """`validate` says which page of which day a body is, or why it is none."""
        (tmp_path / "page.json").write_bytes(page([lmp(1)], 2))
        assert main(["validate", "--feed", LMP.name, str(tmp_path / "page.json")]) == 0
        assert capsys.readouterr().out.endswith("page.json: valid, 2026-10-02 MINN.HUB, page 2, 1 prices\n")

    def test_a_refused_page_is_judged_anew(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A page in quarantine that passes today's rules gets its own key."""
        body = page([price()], 2)
        response = Response(body, NOW.astimezone(UTC), "http://127.0.0.1/", "application/json")
        store_refused(Folder(tmp_path), ASM, response, ASM.examine(b"{}").reasons)
        result = json.loads(printed(capsys, "replay", "--feed", ASM.name, "--local", str(tmp_path)))
        assert result["objects"] == ["sourcing/miso_da_exante_asm_mcp/2026-10-02/da_exante_asm_mcp_20261002.p2.json.gz"]
