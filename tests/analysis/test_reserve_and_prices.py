"""What prices were while a reserve constraint bound: by hand, and as the simulated market has it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import miso_archive as mr
from miso_archive.analysis.reserve_and_prices import (
    against_shadow_price,
    by_binding,
    event_study,
    join_by_label,
    separation,
    sides,
)
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import schema_of
from miso_archive.simulate.archive import write_archive
from tests.frames import FIVE_MINUTES, binding, bound, label, labels, seen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

ASM, LMP, FUEL = FEEDS["asm_mcp"], FEEDS["rt_exante_lmp"], FEEDS["fuel_mix"]
DAYS = 30
EIGHT = labels("2026-07-27 08:05", 6)


def at(interval_end: datetime, **columns: object) -> dict[str, object]:
    """A row of any feed's table at a label."""
    start = interval_end - FIVE_MINUTES
    times = {"market_day": start.date(), "interval_start": start, "interval_end": interval_end}
    return times | {"is_latest": True} | columns


def zones(prices: Mapping[datetime, tuple[float | None, ...]], product: str = "short_term_reserve") -> pl.DataFrame:
    """Real-time prices of the zones 1, 2 and so on, by label."""
    rows = [
        at(end, zone=str(number), **{product: price})
        for end, of_zones in prices.items()
        for number, price in enumerate(of_zones, 1)
    ]
    return pl.DataFrame(rows, schema_of(ASM, "real_time"))


def in_zone(interval_end: datetime, price: float, zone: int | None) -> dict[str, object]:
    """A constraint that binds in a zone."""
    return bound(interval_end, price, f"Z{zone}", zone=zone)


class TestSeparation:
    def test_it_is_from_the_cheapest_zone(self) -> None:
        """Negative prices and a zone without one included: a price that is not known separates nothing."""
        prices = zones({EIGHT[0]: (3.0, 1.5, None), EIGHT[1]: (-1.0, 2.0, 2.0)})
        found = separation(prices).sort("interval_end", "zone").collect()
        assert found.select("interval_end", "zone", "value").rows() == [
            *((EIGHT[0], "1", 1.5), (EIGHT[0], "2", 0.0)),
            *((EIGHT[1], "1", 0.0), (EIGHT[1], "2", 3.0), (EIGHT[1], "3", 3.0)),
        ]

    def test_one_zone_alone_separates_from_nothing(self) -> None:
        """An interval in which a single price is known has none."""
        assert separation(zones({EIGHT[0]: (3.0, None)})).collect().is_empty()

    def test_another_product_and_superseded_rows(self) -> None:
        """It is of the product that is asked for, and of the latest body alone."""
        rows = zones({EIGHT[0]: (3.0, 1.0)}, "spin")
        old = rows.with_columns(spin=pl.col("spin") + 9, is_latest=False)
        assert separation(pl.concat([rows, old]), "spin").collect()["value"].sum() == 2.0

    def test_a_product_that_is_none_is_told(self) -> None:
        """A column that is not there is named."""
        with pytest.raises(ValueError, match="prices lacks ramp"):
            separation(zones({}), "ramp").collect()


class TestJoin:
    def test_by_label_alone_and_what_either_lacks_is_counted(self) -> None:
        """Four intervals of the one and four of the other, three of both: nothing is filled in."""
        prices = zones(dict.fromkeys(EIGHT[:4], (5.0, 1.0)))
        joined = join_by_label(separation(prices), binding(in_zone(EIGHT[1], -4.0, 1)), seen(*EIGHT[1:5]), of="zone")
        assert (joined.both, joined.constraints_alone, joined.values_alone, joined.left_out) == (3, 1, 1, 2)
        assert joined.rows.select("interval_end", "zone", "value", "magnitude").rows() == [
            *((EIGHT[1], "1", 4.0, 4.0), (EIGHT[1], "2", 0.0, 0.0)),
            *((EIGHT[2], "1", 4.0, 0.0), (EIGHT[2], "2", 0.0, 0.0)),
            *((EIGHT[3], "1", 4.0, 0.0), (EIGHT[3], "2", 0.0, 0.0)),
        ]

    def test_magnitudes_of_a_zone_add_up_and_one_without_a_zone_binds_in_none(self) -> None:
        """Two constraints of a zone count together, by magnitude; what names no zone counts for fuels alone."""
        rows = binding(in_zone(EIGHT[0], -4.0, 1), in_zone(EIGHT[0], 1.0, 1), in_zone(EIGHT[0], -9.0, None))
        prices = zones({EIGHT[0]: (5.0, 1.0)})
        joined = join_by_label(separation(prices), rows, seen(EIGHT[0]), of="zone")
        assert joined.rows["magnitude"].to_list() == [5.0, 0.0]
        fuels = pl.DataFrame([at(EIGHT[0], fuel="Wind", output=7.0)], schema_of(FUEL, "fuels"))
        assert join_by_label(fuels, rows, seen(EIGHT[0]), of="fuel", value="output").rows["magnitude"].to_list() == [
            14.0
        ]

    def test_the_period_is_that_of_the_snapshots_unless_given(self) -> None:
        """Values of other market days are no part of it, and are not counted as left out."""
        later = labels("2026-07-28 08:05", 1)
        prices = zones(dict.fromkeys([EIGHT[0], *later], (5.0, 1.0)))
        joined = join_by_label(separation(prices), binding(), seen(EIGHT[0]), of="zone")
        assert (joined.both, joined.values_alone) == (1, 0)
        joined = join_by_label(separation(prices), binding(), seen(EIGHT[0]), of="zone", end="2026-07-29")
        assert (joined.both, joined.values_alone) == (1, 1)


class TestByBinding:
    def test_means_and_on_how_much_they_rest(self) -> None:
        """Of the zone in which it binds twice at 4 and 6 above the other, and of the other, in which it never does."""
        prices = zones(dict(zip(EIGHT, [(5.0, 1.0), (7.0, 1.0), (1.5, 1.0), (1.0, 1.0)], strict=False)))
        rows = binding(in_zone(EIGHT[0], -4.0, 1), in_zone(EIGHT[1], -6.0, 1))
        [one, other] = by_binding(join_by_label(separation(prices), rows, seen(*EIGHT[:5]), of="zone")).to_dicts()
        assert one == {
            "zone": "1",
            "binding_intervals": 2,
            "mean_when_binding": 5.0,
            "other_intervals": 2,
            "mean_otherwise": 0.25,
            "difference": 4.75,
            "joined_intervals": 4,
            "left_out_intervals": 1,
        }
        assert (other["binding_intervals"], other["mean_when_binding"], other["difference"]) == (0, None, None)
        assert (other["other_intervals"], other["mean_otherwise"]) == (4, 0.0)

    def test_hubs_of_either_side(self) -> None:
        """The mean of the hubs on a side; what is no hub is on neither, and new ones are in the north."""
        hubs = {"MINN.HUB": 20.0, "NEW.HUB": 30.0, "TEXAS.HUB": 50.0, "SWPP": 900.0}
        prices = pl.DataFrame(
            [
                at(end, location=hub, lmp=lmp + number)
                for number, end in enumerate(EIGHT[:2])
                for hub, lmp in hubs.items()
            ],
            schema_of(LMP, "prices"),
        )
        found = by_binding(join_by_label(sides(prices), binding(bound(EIGHT[1], -1.0)), seen(*EIGHT[:2]), of="side"))
        assert found.select("side", "mean_when_binding", "mean_otherwise").rows() == [
            ("north", 26.0, 25.0),
            ("south", 51.0, 50.0),
        ]

    def test_nothing_at_all(self) -> None:
        """Frames without rows have no groups."""
        joined = join_by_label(
            separation(zones({})), binding(), seen(), of="zone", start="2026-07-27", end="2026-07-28"
        )
        assert by_binding(joined).is_empty()
        assert against_shadow_price(joined).is_empty()


class TestAgainstShadowPrice:
    def test_a_straight_line(self) -> None:
        """Twice the magnitude and one more, in the intervals that bind alone."""
        prices = zones({end: (3.0 + 2 * number, 0.0) for number, end in enumerate(EIGHT[:4], 1)})
        rows = binding(*(in_zone(end, -1.0 * number - 1, 1) for number, end in enumerate(EIGHT[:3], 1)))
        [line] = against_shadow_price(join_by_label(separation(prices), rows, seen(*EIGHT), of="zone")).to_dicts()
        assert line["binding_intervals"] == 3
        assert (line["slope"], line["intercept"]) == pytest.approx((2.0, 1.0))
        assert line["correlation"] == pytest.approx(1.0)

    @pytest.mark.parametrize("magnitudes", [(1.0, 2.0), (2.0, 2.0, 2.0)], ids=["two", "alike"])
    def test_too_little_for_a_line(self, magnitudes: tuple[float, ...]) -> None:
        """Two intervals, or any number at one price, give none."""
        prices = zones({end: (3.0 + number, 0.0) for number, end in enumerate(EIGHT)})
        rows = binding(*(in_zone(end, -price, 1) for end, price in zip(EIGHT, magnitudes, strict=False)))
        [line] = against_shadow_price(join_by_label(separation(prices), rows, seen(*EIGHT), of="zone")).to_dicts()
        assert (line["slope"], line["intercept"], line["correlation"]) == (None, None, None)

    def test_values_that_never_change_have_no_correlation(self) -> None:
        """Their line is level."""
        prices = zones(dict.fromkeys(EIGHT, (3.0, 0.0)))
        rows = binding(*(in_zone(end, -1.0 - number, 1) for number, end in enumerate(EIGHT)))
        [line] = against_shadow_price(join_by_label(separation(prices), rows, seen(*EIGHT), of="zone")).to_dicts()
        assert (line["slope"], line["intercept"], line["correlation"]) == (0.0, 3.0, None)


class TestEventStudy:
    def test_values_around_the_beginning(self) -> None:
        """Two zones whose constraints begin at 08:10 and 08:20: what their own prices were around that."""
        values = {
            EIGHT[1]: (0.0, 0.0, 0.0),
            EIGHT[2]: (4.0, 0.0, 0.0),
            EIGHT[3]: (6.0, 1.0, 0.0),
            EIGHT[4]: (0.0, 9.0, 0.0),
            EIGHT[5]: (0.0, 7.0, 0.0),
        }
        rows = binding(
            *(in_zone(end, -4.0, 1) for end in EIGHT[2:4]),
            *(in_zone(end, -9.0, 2) for end in EIGHT[4:6]),
        )
        found = event_study(separation(zones(values)), rows, seen(*EIGHT), before=FIVE_MINUTES, after=2 * FIVE_MINUTES)
        assert found.rows() == [
            (-5, 0.25, 0.5, 0.75, 2, 0),
            (0, 5.25, 6.5, 7.75, 2, 0),
            (5, 6.25, 6.5, 6.75, 2, 0),
            (10, 0.0, 0.0, 0.0, 1, 1),
        ]

    def test_a_beginning_that_was_not_seen_is_no_event(self) -> None:
        """An episode after a gap may have begun in it; one without a zone is of no zone's prices."""
        rows = binding(in_zone(EIGHT[0], -4.0, 1), in_zone(EIGHT[3], -4.0, 2), in_zone(EIGHT[5], -4.0, None))
        ends = [end for end in EIGHT if end != EIGHT[2]]
        found = event_study(separation(zones(dict.fromkeys(EIGHT, (5.0, 1.0)))), rows, seen(*ends))
        assert found.is_empty()

    def test_a_zone_s_events_are_its_own(self) -> None:
        """Of constraints that bind in two zones at once each zone has an event, with its own price."""
        rows = binding(in_zone(EIGHT[1], -4.0, 1), in_zone(EIGHT[1], -2.0, 2))
        prices = zones({EIGHT[1]: (4.0, 2.0, 0.0)})
        found = event_study(separation(prices), rows, seen(*EIGHT), before=timedelta(), after=timedelta())
        assert found.rows() == [(0, 2.5, 3.0, 3.5, 2, 0)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated month, with its gaps and revisions."""
    root = tmp_path_factory.mktemp("planted") / "data"
    write_archive(root, days=DAYS, seed=11, feeds=(FEEDS["reserve"], ASM))
    return root


@pytest.mark.slow("writes a month of two feeds")
class TestPlantedTruth:
    """The simulated market's short-term reserve is dearer in a zone by just the shadow prices that bind there."""

    def test_it_comes_out(self, archive: Path) -> None:
        """A $/MW of shadow price is a $/MW of separation in each zone, but for revisions that prices do not follow."""
        constraints, snapshots = mr.scan_constraints(archive), mr.scan_snapshots(archive)
        prices = mr.scan(archive, "asm_mcp", "real_time")
        joined = join_by_label(separation(prices), constraints, snapshots, of="zone")
        lines = against_shadow_price(joined)
        assert lines["zone"].to_list() == [str(zone) for zone in range(1, 9)]
        assert (lines["binding_intervals"] > 200).all()
        assert lines["slope"].to_list() == pytest.approx([1.0] * 8, abs=0.001)
        assert lines["intercept"].to_list() == pytest.approx([0.0] * 8, abs=0.02)
        means = by_binding(joined)
        magnitudes = joined.rows.filter(pl.col("magnitude") > 0).group_by("zone").agg(pl.col("magnitude").mean())
        expected = magnitudes.sort("zone")["magnitude"].to_list()
        assert means["mean_when_binding"].to_list() == pytest.approx(expected, abs=0.02)
        assert means["mean_otherwise"].to_list() == pytest.approx([0.0] * 8, abs=0.001)

    def test_products_that_do_not_part_are_told_so(self, archive: Path) -> None:
        """Regulation and spin are the same in all zones of that market, whatever binds."""
        constraints, snapshots = mr.scan_constraints(archive), mr.scan_snapshots(archive)
        prices = mr.scan(archive, "asm_mcp", "real_time")
        for product in ("regulation", "spin"):
            found = by_binding(join_by_label(separation(prices, product), constraints, snapshots, of="zone"))
            assert found["difference"].to_list() == [0.0] * 8

    def test_what_was_left_out_is_what_either_lacks(self, archive: Path) -> None:
        """The intervals of the period that neither, or one alone, has are those that coverage counts as missing."""
        joined = join_by_label(
            separation(mr.scan(archive, "asm_mcp", "real_time")),
            *(mr.scan_constraints(archive), mr.scan_snapshots(archive)),
            of="zone",
        )
        counted = {
            feed: mr.missing_intervals(archive, feed=feed, start=date(2001, 1, 1), end=date(2001, 1, 31))
            for feed in ("reserve", "asm_mcp")
        }
        missing = {feed: set(frame["interval_end"]) for feed, frame in counted.items()}
        assert joined.constraints_alone == len(missing["asm_mcp"] - missing["reserve"])
        assert joined.values_alone == len(missing["reserve"] - missing["asm_mcp"])
        assert joined.both == DAYS * 288 - len(missing["reserve"] | missing["asm_mcp"])


def test_a_label_is_no_fetch_time() -> None:
    """A body of an interval collected late stands at its label: nothing else joins it."""
    prices = zones({label("2026-07-27 08:05"): (2.0, 1.0)})
    joined = join_by_label(separation(prices), binding(), seen(label("2026-07-27 08:10")), of="zone")
    assert (joined.both, joined.left_out) == (0, 2)
