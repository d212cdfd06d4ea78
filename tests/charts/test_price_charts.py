"""The charts of what went with reserve constraints, and of a market day: what they carry, and say of nothing."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import vl_convert

from miso_archive.analysis.profiles import zone_hours
from miso_archive.analysis.reserve_and_prices import Joined, by_binding, event_study, join_by_label
from miso_archive.analysis.shadow_prices import compare_periods
from miso_archive.charts import day_charts, period_charts, price_charts
from miso_archive.charts.drawing import BINDING, NOT_COLLECTED, QUIET
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import SNAPSHOTS, schema_of
from miso_archive.feeds.snapshot import SNAPSHOT
from miso_archive.intervals.labels import EST
from tests.frames import FIVE_MINUTES, binding, bound, labels, seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from miso_archive.charts.drawing import Chart

pytestmark = pytest.mark.notebooks

SOURCE = "SIMULATED, made by hand"
DAY = date(2026, 7, 27)
EIGHT = labels("2026-07-27 08:05", 6)


def carried(chart: Chart) -> list[dict[str, Any]]:
    """Return all rows of a chart's specification; it can be drawn, and says where its data comes from."""
    spec = chart.to_dict()
    assert SOURCE in json.dumps(spec["title"])
    return [row for rows in spec.get("datasets", {}).values() for row in rows]


def times(interval_end: datetime) -> dict[str, object]:
    """The columns of an interval."""
    return {"market_day": DAY, "interval_start": interval_end - FIVE_MINUTES, "interval_end": interval_end}


def values(*given: tuple[int, str, float]) -> pl.DataFrame:
    """Values of zones at the eight o'clock labels, by their number."""
    rows = [times(EIGHT[at]) | {"zone": zone, "value": value} for at, zone, value in given]
    of_times = {name: dtype for name, dtype in SNAPSHOTS.items() if name in times(EIGHT[0])}
    return pl.DataFrame(rows, of_times | {"zone": pl.String(), "value": pl.Float64()})


def of_feed(feed: str, table: str, *given: tuple[int, dict[str, object]]) -> pl.DataFrame:
    """Rows of a feed's table at the eight o'clock labels, by their number."""
    rows = [times(EIGHT[at]) | {"is_latest": True} | columns for at, columns in given]
    return pl.DataFrame(rows, schema_of(FEEDS[feed], table))


BOUND = binding(bound(EIGHT[2], -4.0, zone=1), bound(EIGHT[3], -2.0, zone=1))
PARTED = values((1, "1", 0.5), (2, "1", 4.0), (3, "1", 2.0), (2, "2", 0.0))


class TestPrices:
    def test_both_means_stand_beside_each_other(self) -> None:
        """Each with the intervals on which it rests; what is left out is said below the title."""
        table = by_binding(join_by_label(PARTED, BOUND, seen(*EIGHT), of="zone"))
        chart = price_charts.separations({"short term reserve": table}, source=SOURCE)
        rows = [row for row in carried(chart) if row.get("zone") == "1"]
        assert [(row["state"], row["mean"], row["intervals"]) for row in rows] == [
            (BINDING, 3.0, 2),
            ("otherwise", 0.5, 1),
        ]
        assert "3 intervals known of both feeds; 3 known of one alone are left out." in json.dumps(
            chart.to_dict()["title"]
        )

    def test_zones_that_do_not_part_are_told(self) -> None:
        """An empty panel would be taken for missing data."""
        table = by_binding(join_by_label(values((2, "1", 0.0), (2, "2", 0.0)), BOUND, seen(*EIGHT), of="zone"))
        chart = price_charts.separations({"spin": table}, source=SOURCE)
        assert "no zone is dearer" in json.dumps(chart.to_dict())

    def test_names_on_an_axis_stand_apart(self) -> None:
        """The last one is drawn within the axis: named by tens, 190 and 200 would read as one figure."""
        hard = binding(bound(EIGHT[2], -200.0, zone=1))
        joined = join_by_label(PARTED, hard, seen(*EIGHT), of="zone")
        drawn = vl_convert.vegalite_to_svg(price_charts.against(joined, source=SOURCE).to_dict())
        assert re.findall(r">(\d+)</text>", drawn)[:11] == [str(magnitude) for magnitude in range(0, 201, 20)]

    def test_points_are_those_that_bind(self) -> None:
        """An interval and zone each, with magnitude and separation."""
        joined = join_by_label(PARTED, BOUND, seen(*EIGHT), of="zone")
        points = carried(price_charts.against(joined, source=SOURCE))
        assert [(row["interval_end"], row["magnitude"], row["value"]) for row in points] == [
            ("2026-07-27 08:15 EST", 4.0, 4.0),
            ("2026-07-27 08:20 EST", 2.0, 2.0),
        ]

    def test_the_study_is_drawn_where_an_event_has_a_value(self) -> None:
        """From the first such minute on."""
        study = event_study(PARTED, BOUND, seen(*EIGHT))
        drawn = [row for row in carried(price_charts.around_the_beginning(study, source=SOURCE)) if "median" in row]
        assert [(row["minutes"], row["median"]) for row in drawn] == [(-5, 0.5), (0, 4.0), (5, 2.0)]

    def test_one_episode_is_one(self) -> None:
        """The study rests on so many, said as people say it."""
        chart = price_charts.around_the_beginning(event_study(PARTED, BOUND, seen(*EIGHT)), source=SOURCE)
        assert "of 1 episode whose beginning was observed." in json.dumps(chart.to_dict()["title"])

    @pytest.mark.parametrize(
        ("prices", "said"), [(values(), "No interval of this period is known both"), (PARTED, "Nothing binds")]
    )
    def test_prices_that_are_not_known_are_no_quiet_time(self, prices: pl.DataFrame, said: str) -> None:
        """Where a constraint binds and no price is known, nobody is told that nothing binds."""
        rows = BOUND if prices.is_empty() else binding()
        [row] = carried(price_charts.against(join_by_label(prices, rows, seen(*EIGHT), of="zone"), source=SOURCE))
        assert row["text"].startswith(said)

    def test_many_points_are_thinned(self) -> None:
        """Altair takes 5,000 rows; the note says which were drawn."""
        ends = labels("2026-07-01 00:05", 6000)
        rows = pl.DataFrame({"interval_end": ends, "zone": "1", "magnitude": 1.0, "value": 1.0})
        chart = price_charts.against(Joined("zone", rows, 6000, 0, 0), source=SOURCE)
        assert len(carried(chart)) == 3000
        assert "6,000 intervals and zones, one in 2 drawn" in json.dumps(chart.to_dict()["title"])


class TestDay:
    def test_a_line_breaks_where_nothing_was_collected(self) -> None:
        """The two intervals between have no value, and stand in a grey run; the rest of the day does, too."""
        demand = of_feed("snapshot", "figures", *((at, {"figure": "current_demand", "value": 9.0}) for at in (0, 1, 4)))
        rows = carried(day_charts.demand(demand, DAY, source=SOURCE))
        line = {row["label"]: row["value"] for row in rows if "label" in row}
        assert (len(line), line["08:10 EST"], line["08:15 EST"], line["08:25 EST"]) == (288, 9.0, None, 9.0)
        assert sorted(row["intervals"] for row in rows if row.get("state") == NOT_COLLECTED) == [2, 96, 187]

    def test_fuels_stand_on_each_other_and_what_is_taken_below(self) -> None:
        """From where the one below ends; a negative one begins at zero, downward."""
        mix = {"Coal": 30.0, "Wind": 20.0, "Battery Storage": -5.0}
        fuels = of_feed("fuel_mix", "fuels", *((0, {"fuel": fuel, "output": output}) for fuel, output in mix.items()))
        rows = {
            row["fuel"]: row for row in carried(day_charts.fuels_stacked(fuels, DAY, source=SOURCE)) if "fuel" in row
        }
        assert {fuel: (row["from"], row["to"]) for fuel, row in rows.items()} == {
            "Coal": (0.0, 30.0),
            "Wind": (30.0, 50.0),
            "Battery Storage": (0.0, -5.0),
        }

    def test_a_fuel_has_its_colour_on_every_day(self) -> None:
        """Whichever produced most, and whatever else did; a name that nobody has seen has one that no other has."""

        def colours(**mix: float) -> dict[str, str]:
            given = ((0, {"fuel": fuel.replace("_", " "), "output": output}) for fuel, output in mix.items())
            drawn = day_charts.fuels_stacked(of_feed("fuel_mix", "fuels", *given), DAY, source=SOURCE).to_dict()
            [scale] = [layer["encoding"]["color"]["scale"] for layer in drawn["layer"] if "color" in layer["encoding"]]
            return dict(zip(scale["domain"], scale["range"], strict=True))

        first = colours(Natural_Gas=3.0, Wind=2.0, Coal=1.0)
        second = colours(Tides=4.0, Wind=3.0, Coal=2.0, Natural_Gas=1.0, Waves=0.5, Geysers=0.2)
        assert (list(first), list(second)) == (
            ["Natural Gas", "Wind", "Coal"],
            ["Tides", "Wind", "Coal", "Natural Gas", "Waves", "Geysers"],
        )
        assert first.items() <= second.items()
        assert len(set(second.values())) == 6
        assert len(set(colours(**{f"F{number}": 1.0 + number for number in range(10)}).values())) == 10

    def test_the_last_interval_of_a_day_is_that_of_24_o_clock(self) -> None:
        """On the axis as drawn, and beside its value: 00:00 would be taken for the beginning of the day."""
        last = times(datetime(2026, 7, 28, tzinfo=EST)) | {"is_latest": True, "figure": "current_demand", "value": 9.0}
        chart = day_charts.demand(pl.DataFrame([last], schema_of(SNAPSHOT, "figures")), DAY, source=SOURCE)
        assert [row["label"] for row in carried(chart) if row.get("value") == 9.0] == ["24:00 EST"]
        drawn = re.findall(r">(\d\d:\d\d)</text>", vl_convert.vegalite_to_svg(chart.to_dict()))
        assert drawn == [*(f"{hour:02}:00" for hour in range(0, 25, 3))]

    def test_a_strip_tells_binding_from_quiet_from_unknown(self) -> None:
        """An interval each, with the largest magnitude where anything binds."""
        strips = day_charts.strips({"reserve": BOUND}, {"reserve": seen(*EIGHT[1:4])}, DAY, source=SOURCE)
        states = {row["label"]: (row["state"], row["magnitude"]) for row in carried(strips)}
        assert [states[f"08:{minute} EST"] for minute in ("05", "10", "15", "20", "25")] == [
            (NOT_COLLECTED, None),
            (QUIET, None),
            (BINDING, 4.0),
            (BINDING, 2.0),
            (NOT_COLLECTED, None),
        ]

    def test_of_many_groups_those_that_moved_most_are_drawn(self) -> None:
        """And the chart says that there are more."""
        prices = of_feed(
            *("rt_exante_lmp", "prices"),
            *((at, {"location": f"{n}.HUB", "lmp": float(n * at)}) for n in range(9) for at in (0, 1)),
        )
        chart = day_charts.lines(
            prices, DAY, of="location", value="lmp", title="Hub prices", unit="$/MWh", source=SOURCE
        )
        assert {row["location"] for row in carried(chart) if "location" in row} == {f"{n}.HUB" for n in range(2, 9)}
        assert "The 7 of 9 that moved most." in json.dumps(chart.to_dict()["title"])

    def test_more_groups_than_a_chart_can_carry(self) -> None:
        """An open list of fuels does not break it."""
        rows = of_feed("fuel_mix", "fuels", *((0, {"fuel": f"F{n}", "output": float(n)}) for n in range(40)))
        drawn = carried(day_charts.fuels_stacked(rows, DAY, source=SOURCE))
        assert {row["fuel"] for row in drawn if "fuel" in row} == {f"F{n}" for n in range(24, 40)}
        heat = day_charts.heat(rows, DAY, of="fuel", value="output", title="Fuels", unit="MW", source=SOURCE)
        assert len({row["fuel"] for row in carried(heat) if "fuel" in row}) == 16


def nothing_joined() -> Joined:
    """Quiet intervals, and no value in any."""
    return join_by_label(values(), binding(), seen(*EIGHT), of="zone")


class TestPeriods:
    def test_two_means_a_constraint(self) -> None:
        """Before and after, those that changed most on top, and how well either period was observed."""
        ends = [*labels("2026-07-26 08:05", 2), *EIGHT[:2]]
        rows = binding(bound(ends[0], -4.0, "A"), bound(ends[2], -1.0, "A"), bound(ends[3], -8.0, "B"))
        before, after = ("2026-07-26", "2026-07-27"), ("2026-07-27", "2026-07-28")
        compared = compare_periods(rows, seen(*ends), before=before, after=after)
        chart = period_charts.comparison(compared, source=SOURCE)
        points = [(row["constraint_name"], row["period"], row["mean"]) for row in carried(chart) if "period" in row]
        assert points == [
            *(("B", "before", 0.0), ("A", "before", -2.0)),
            *(("B", "this period", -4.0), ("A", "this period", -0.5)),
        ]
        note = "Observed of the period before 2 of 288 intervals, of this one 2 of 288."
        assert note in json.dumps(chart.to_dict()["title"])

    def test_directions_have_panels_of_their_own(self) -> None:
        """Two heatmaps each, of price and of frequency; hours that nobody knows stay empty."""
        rows = binding(
            bound(EIGHT[0], -4.0, zone=1, flow_direction="South_North"),
            bound(EIGHT[1], -2.0, zone=2, flow_direction="North_South"),
        )
        chart = period_charts.zone_hours(zone_hours(rows, seen(*EIGHT)), source=SOURCE)
        spec = chart.to_dict()
        assert [len(panels["hconcat"]) for panels in spec["vconcat"]] == [2, 2]
        cells = {(row["flow_direction"], row["zone"], row["hour"]) for row in carried(chart)}
        assert cells == {("North_South", "2", 8), ("South_North", "1", 8)}
        hours = [panel["encoding"]["x"]["scale"]["domain"] for two in spec["vconcat"] for panel in two["hconcat"]]
        assert hours == [list(range(24))] * 4


EMPTY: list[Callable[[], Chart]] = [
    lambda: price_charts.separations({"spin": by_binding(nothing_joined())}, source=SOURCE),
    lambda: price_charts.groups(by_binding(nothing_joined()), "zone", title="Zones", unit="MW", source=SOURCE),
    lambda: period_charts.comparison(None, source=SOURCE),
    lambda: period_charts.zone_hours(zone_hours(binding(), seen(*EIGHT)), source=SOURCE),
    lambda: price_charts.against(nothing_joined(), source=SOURCE),
    lambda: price_charts.around_the_beginning(event_study(values(), binding(), seen(*EIGHT)), source=SOURCE),
    lambda: day_charts.demand(of_feed("snapshot", "figures"), DAY, source=SOURCE),
    lambda: day_charts.fuels_stacked(of_feed("fuel_mix", "fuels"), DAY, source=SOURCE),
    lambda: day_charts.strips({"reserve": binding()}, {"reserve": seen()}, DAY, source=SOURCE),
    lambda: day_charts.heat(
        of_feed("asm_mcp", "real_time"), DAY, of="zone", value="spin", title="Spin", unit="$/MW", source=SOURCE
    ),
    lambda: day_charts.lines(
        of_feed("rt_exante_lmp", "prices"), DAY, of="location", value="lmp", title="LMP", unit="$/MWh", source=SOURCE
    ),
]


@pytest.mark.parametrize("draw", EMPTY)
def test_nothing_is_said_in_words(draw: Callable[[], Chart]) -> None:
    """No chart is empty: it says that nothing was observed, or that nothing binds."""
    [row] = carried(draw())
    assert re.match(r"(No|Nothing|A period) .*\.$", row["text"])
