from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl
import pytest
import vl_convert

from miso_archive.analysis.episodes import episodes
from miso_archive.analysis.shadow_prices import binding_summary, drift, price_duration_curve
from miso_archive.charts import charts, episode_charts, health_charts
from miso_archive.charts.drawing import MOST_ROWS, NOT_COLLECTED, QUIET, Chart, origin, within
from miso_archive.charts.rendering import render
from miso_archive.feeds.columns import CONSTRAINTS, COVERAGE, LIVE, SNAPSHOTS
from miso_archive.reading.coverage import MISSING
from miso_archive.reading.fetch_times import FETCH_TIMES
from tests.frames import FIVE_MINUTES, binding, bound, label, labels, seen

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.notebooks

SOURCE = "made by hand"
DAY = "2026-07-27"


def rows(chart: Chart, column: str) -> list[dict[str, Any]]:
    """Return what a chart's specification carries: the rows of the one data set with such a column."""
    (found,) = (data for data in chart.to_dict()["datasets"].values() if column in data[0])
    return list(found)


def live(*interval_ends: datetime) -> pl.DataFrame:
    """Return snapshots of the live feed."""
    return seen(*interval_ends).with_columns(source=pl.lit(LIVE))


def missing(*interval_ends: datetime) -> pl.DataFrame:
    """Return the frame of missing intervals."""
    ends = [(end - FIVE_MINUTES, end) for end in interval_ends]
    return pl.DataFrame([(start.date(), start, end, False) for start, end in ends], schema=MISSING, orient="row")


def coverage(**figures: int) -> pl.DataFrame:
    """Return the coverage of one market day."""
    return pl.DataFrame([{"market_day": date(2026, 7, 27)} | dict.fromkeys(list(COVERAGE)[1:], 0) | figures], COVERAGE)


def with_a_gap() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return an hour and a half from 08:00 to 09:30 without 08:35 and 08:40; A binds from 08:20 to 08:50."""
    ends = [end for end in labels(f"{DAY} 08:05", 18) if f"{end:%H:%M}" not in {"08:35", "08:40"}]
    bind = [bound(end, -7.0) for end in ends if "08:20" < f"{end:%H:%M}" <= "08:50"]
    return binding(*bind), seen(*ends)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (["2001-01-02"], "SIMULATED data, market day 2001-01-02 (EST), "),
        (["2026-07-27"], "Archived data, market day 2026-07-27 (EST), "),
        (["2001-01-02", "2026-07-27"], "PARTLY SIMULATED data, market days 2001-01-02 to 2026-07-27 (EST), "),
    ],
)
def test_origin_calls_simulated_what_nobody_can_have_collected(days: list[str], said: str) -> None:
    """Days before the collector existed are simulated, alone or among others; later ones are never called real."""
    assert origin(live(*(label(f"{day} 08:10") for day in days))).startswith(said)


def test_origin_does_not_call_old_reports_simulated() -> None:
    """Rows that do not come from the live feed may be as old as they like."""
    old = live(label("2001-01-02 08:10")).with_columns(source=pl.lit("report"))
    assert origin(old).startswith("Archived data")


def test_origin_states_the_observed_share() -> None:
    """72 of a day's 288 intervals are a quarter; a revision, and a label off the grid in one of them, add nothing."""
    ends = labels("2001-01-02 00:05", 72)
    assert origin(live(*ends, ends[0], ends[1] - timedelta(minutes=2))).endswith(", 25.0% of its intervals observed")


def test_an_archive_without_snapshots_says_what_to_do() -> None:
    """Without snapshots the origin tells what to do, and there is a period of which nothing was observed."""
    assert "make demo" in charts.origin(SNAPSHOTS.to_frame())
    days = charts.period(SNAPSHOTS.to_frame())
    nothing_seen = (CONSTRAINTS.to_frame(), SNAPSHOTS.to_frame())
    assert binding_summary(*nothing_seen, start=days["start"], end=days["end"]).is_empty()


def test_charts_of_nothing_say_so() -> None:
    """Every chart of an archive without snapshots says that there is nothing to draw, not that nothing binds."""
    constraints, snapshots = CONSTRAINTS.to_frame(), SNAPSHOTS.to_frame()
    source = charts.origin(snapshots)
    counts, gaps, fetches = COVERAGE.to_frame(), pl.DataFrame(schema=MISSING), FETCH_TIMES.to_frame()
    for chart in (
        charts.calendar(constraints, snapshots, source=source),
        charts.profile(constraints, snapshots, source=source),
        charts.zones(constraints, snapshots, source=source),
        health_charts.collection(snapshots, gaps, counts, source=source),
        health_charts.revisions(counts, source=source),
        health_charts.lag_distribution(fetches, source=source),
        health_charts.lag_by_day(fetches, source=source),
    ):
        assert [row["text"] for row in rows(chart, "text")] == ["Nothing to draw."]


def test_a_simulated_interval_is_not_late_by_years() -> None:
    """An interval of 2001 that a real clock saw fetched has no lag, and the chart says why."""
    end = label("2001-01-02 07:05")
    row = {"market_day": end.date(), "interval_end": end, "revision": 0, "lag_minutes": 13_623_051.0}
    frame = pl.DataFrame([row | {"fetched_at": label("2026-11-28 08:00")}], schema=FETCH_TIMES)
    for draw in (health_charts.lag_distribution, health_charts.lag_by_day):
        [row] = rows(draw(frame, source="-"), "text")
        assert "there is no lag" in str(row["text"])


def test_directions_have_rows_of_their_own_and_the_hardest_is_the_darkest() -> None:
    """What binds to the North and to the South is not added up; shades go by magnitude, from pale to dark."""
    end = label(f"{DAY} 08:10")
    constraints = binding(
        bound(end, -4.0, zone=1, terms=["STR"], flow_direction="South_North"),
        bound(end, -1.0, name="B", zone=1, terms=["STR"], flow_direction="North_South"),
    )
    chart = charts.zones(constraints, seen(end), source=SOURCE)
    found = {row["terms"]: (row["mean_shadow_price"], row["magnitude"]) for row in rows(chart, "magnitude")}
    assert found == {"South_North: STR": (-4.0, 4.0), "North_South: STR": (-1.0, 1.0)}
    for drawn in (chart, charts.calendar(constraints, seen(end), source=SOURCE)):
        shades = [scale["scheme"] for scale in _scales(drawn.to_dict()) if "scheme" in scale]
        assert [shade["name"] for shade in shades] == ["oranges"]
        assert not any(scale.get("reverse") for scale in _scales(drawn.to_dict()))


def _scales(part: object) -> list[dict[str, Any]]:
    """Find every scale in a chart's specification."""
    if isinstance(part, list):
        return [scale for one in part for scale in _scales(one)]
    if not isinstance(part, dict):
        return []
    return ([part["scale"]] if part.get("scale") else []) + [s for one in part.values() for s in _scales(one)]


def test_a_legend_names_only_what_its_scale_reaches() -> None:
    """A mark beyond the largest price would be drawn over the legend's title; one that reaches none names its end."""
    assert within((1, 3, 10, 200), pl.Series([2.0, None, 50.0])) == [1, 3, 10]
    assert within((1, 3), pl.Series([0.5])) == [0.5]


@pytest.mark.parametrize(
    ("price", "named"), [(-0.05, ["0.05"]), (-200.0, ["0.1", "0.3", "1", "3", "10", "30", "100", "200"])]
)
def test_a_legend_spells_its_figures_out(price: float, named: list[str]) -> None:
    """As drawn: a tenth is not 0, and two hundred are not 2e+2."""
    ends = labels(f"{DAY} 08:05", 6)
    chart = charts.calendar(binding(bound(ends[0], price), bound(ends[1], -0.05)), seen(*ends), source=SOURCE)
    drawn = re.findall(r">([^<>]+)</text>", vl_convert.vegalite_to_svg(chart.to_dict()))
    assert drawn[drawn.index("interval") + 1 : -1] == named


def test_an_interactive_chart_asks_no_address() -> None:
    """A page with tooltips brings its scripts along: none is loaded from anywhere."""
    before = alt.renderers.active
    try:
        render("html")
        chart = charts.duration_curve(price_duration_curve(*with_a_gap()), source="-")
        renderer: Any = alt.renderers.get()
        page = unescape(renderer(chart.to_dict())["text/html"])
    finally:
        alt.renderers.enable(before)
    assert len(page) > 500_000
    assert "vegaEmbed" in page
    assert not re.findall(r"<(?:script|link)[^>]*(?:src|href)=|cdn\.|jsdelivr|unpkg", page)


def test_the_calendar_draws_a_gap_as_a_gap() -> None:
    """An hour is quiet when all of it was seen, binding when any of it binds, else not collected: never 0."""
    ends = [*labels(f"{DAY} 00:05", 12), *labels(f"{DAY} 01:05", 11), *labels(f"{DAY} 02:05", 3)]
    chart = charts.calendar(binding(bound(ends[-1], -7.5)), seen(*ends), source=SOURCE)
    drawn = {row["hour"]: (row["state"], row["magnitude"]) for row in rows(chart, "magnitude")}
    assert drawn == {0: (QUIET, None), 1: (NOT_COLLECTED, None), 2: ("binding", 7.5)} | dict.fromkeys(
        range(3, 24), (NOT_COLLECTED, None)
    )
    assert NOT_COLLECTED in str(chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"])


def test_a_long_calendar_stays_within_what_a_chart_may_carry() -> None:
    """Two years are drawn in blocks of four hours, 730 days x 6, and none is lost."""
    chart = charts.calendar(binding(), seen(label("2024-01-01 08:10"), label("2025-12-30 08:10")), source=SOURCE)
    drawn = rows(chart, "magnitude")
    assert {row["hour_end"] - row["hour"] for row in drawn} == {4}
    assert len(drawn) == 730 * 6 <= MOST_ROWS


def test_an_hour_never_observed_is_drawn_as_not_collected() -> None:
    """Of 24 hours the one that was seen has a share, of 6 in 12; the others have a state of their own."""
    ends = labels(f"{DAY} 05:05", 12)
    chart = charts.profile(binding(*(bound(end, -1.0) for end in ends[:6])), seen(*ends), source=SOURCE)
    drawn = {row["hour"]: (row["binding_share"], row["state"]) for row in rows(chart, "month")}
    assert drawn == dict.fromkeys(range(24), (None, NOT_COLLECTED)) | {5: (0.5, None)}


def test_an_episode_breaks_at_a_gap() -> None:
    """In a missing interval a line has no value, in an observed one without binding it is 0; the gap is a band."""
    constraints, snapshots = with_a_gap()
    chart = episode_charts.episode_closely(
        constraints, snapshots, episodes(constraints, snapshots).head(1), source=SOURCE
    )
    drawn = {row["label"][11:16]: row["shadow_price"] for row in rows(chart, "constraint_name")}
    assert {drawn["08:35"], drawn["08:40"]} == {None}
    assert {drawn[time] for time in ("08:25", "08:30", "08:45", "08:50")} == {-7.0}
    assert {drawn[time] for time in ("08:15", "08:20", "08:55", "09:00")} == {0.0}
    bands = [row["begin"][11:16] for row in rows(chart, "state") if row["state"] == NOT_COLLECTED]
    assert [time for time in bands if time > "08:00"] == ["08:30", "08:35"]


def test_times_are_drawn_at_their_est_digits() -> None:
    """Each interval is drawn from its start to its label, on a UTC scale: no browser moves it to its own zone."""
    constraints, snapshots = with_a_gap()
    chart = episode_charts.episode_closely(
        constraints, snapshots, episodes(constraints, snapshots).head(1), source=SOURCE
    )
    times = [row["at"][:16] for row in rows(chart, "constraint_name") if row["label"] == f"{DAY} 08:25 EST"]
    assert times == [f"{DAY}T08:20", f"{DAY}T08:25"]
    assert chart.to_dict()["layer"][-1]["encoding"]["x"]["scale"]["type"] == "utc"


DRAW = """
import polars as pl
from miso_archive.charts import episode_charts
from miso_archive.analysis.episodes import episodes
from tests.charts.test_charts import with_a_gap
import vl_convert
found = episodes(*with_a_gap())
print(vl_convert.vegalite_to_svg(episode_charts.episode_closely(*with_a_gap(), found, source="").to_json()))
"""


def test_a_machine_elsewhere_draws_the_same_hours() -> None:
    """In Tokyo and in New York the axis says 08:30, and nothing in the picture differs."""
    pictures = [
        subprocess.run(
            [sys.executable, "-c", DRAW], env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
        ).stdout
        for zone in ("Asia/Tokyo", "America/New_York")
    ]
    assert ">08:30<" in pictures[0]
    assert pictures[0] == pictures[1]


def test_every_state_has_its_runs() -> None:
    """Quiet, binding, missing and to-come intervals are runs of their own, which fill the market day."""
    ends = labels(f"{DAY} 00:05", 36)
    snapshots = seen(*ends[:24]).with_columns(quiet=pl.int_range(pl.len()) < 12)
    runs = health_charts.collection_runs(snapshots, missing(*ends[24:]), coverage(expected=36))
    assert runs.select("state", "begin", "end").rows() == [
        (QUIET, 0.0, 1.0),
        ("binding", 1.0, 2.0),
        (NOT_COLLECTED, 2.0, 3.0),
        ("to come", 3.0, 24.0),
    ]
    assert runs["text"][0] == "2026-07-27 00:00 to 01:00"


def test_the_collection_has_a_colour_for_each_state() -> None:
    """Five states, five colours, all in the legend, the refused among them."""
    ends = labels(f"{DAY} 00:05", 2)
    snapshots = seen(ends[0]).with_columns(quiet=pl.lit(value=True))
    chart = health_charts.collection(snapshots, missing(ends[1]), coverage(expected=2, refused=3), source=SOURCE)
    scale = chart.to_dict()["vconcat"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == ["quiet", "binding", "not collected", "to come", "refused"]
    assert len(set(scale["range"])) == 5
    assert [row["refused"] for row in rows(chart, "refused")] == [3]


def test_gaps_run_on_over_midnight() -> None:
    """Three intervals around midnight are one gap of 15 minutes, listed before a shorter one."""
    found = health_charts.gaps(missing(*labels(f"{DAY} 08:10", 1), *labels("2026-07-27 23:55", 3)))
    assert found.rows() == [
        (label("2026-07-27 23:50"), label("2026-07-28 00:05"), 3, 15),
        (label(f"{DAY} 08:05"), label(f"{DAY} 08:10"), 1, 5),
    ]


def fetched(lags: dict[str, float | None]) -> pl.DataFrame:
    """Return a row a snapshot: its label, and the minutes to its fetch."""
    return pl.DataFrame(
        [
            {"market_day": end.date(), "interval_end": end, "revision": 0, "lag_minutes": minutes}
            for end, minutes in ((label(text), minutes) for text, minutes in lags.items())
        ],
        schema=FETCH_TIMES,
    )


def test_a_day_without_fetch_times_breaks_the_line() -> None:
    """The median of a day that was not collected is absent, not 0."""
    chart = health_charts.lag_by_day(
        fetched({"2026-07-27 08:10": 1.0, "2026-07-27 08:15": 2.0, "2026-07-29 08:10": 4.0}), source=SOURCE
    )
    assert [row["median"] for row in rows(chart, "median")] == [1.5, None, 4.0]


def test_lags_are_counted_in_bars_of_a_quarter_minute() -> None:
    """What is later than the axis is counted in the last bar, and what has no fetch time is not counted."""
    lags = {f"{DAY} 08:10": 0.3, f"{DAY} 08:15": 0.4, f"{DAY} 08:20": 99.0, f"{DAY} 08:25": None}
    drawn = rows(health_charts.lag_distribution(fetched(lags), source=SOURCE), "snapshots")
    assert [(row["begin"], row["end"], row["snapshots"]) for row in drawn] == [(0.25, 0.5, 2), (9.75, 10.0, 1)]


def test_a_day_that_was_not_collected_has_no_revisions_to_count() -> None:
    """It is grey over the whole height of the chart."""
    days = pl.concat([coverage(collected=9, revised=4), coverage().with_columns(pl.col("market_day") + timedelta(1))])
    drawn = rows(health_charts.revisions(days, source=SOURCE), "height")
    assert [(row["state"], row["height"]) for row in drawn] == [("revised", 4), (NOT_COLLECTED, 4)]


QUIET_CHARTS: dict[str, Callable[[pl.DataFrame, pl.DataFrame], Chart]] = {
    "ranking": lambda none, quiet: charts.ranking(binding_summary(none, quiet), source=SOURCE),
    "duration curve": lambda none, quiet: charts.duration_curve(price_duration_curve(none, quiet), source=SOURCE),
    "zones": lambda none, quiet: charts.zones(none, quiet, source=SOURCE),
    "episode sizes": lambda none, quiet: episode_charts.episode_sizes(episodes(none, quiet), source=SOURCE),
    "one episode": lambda none, quiet: episode_charts.episode_closely(
        none, quiet, episodes(none, quiet), source=SOURCE
    ),
    "names": lambda none, _quiet: charts.names_seen(drift(none), source=SOURCE),
}


@pytest.mark.parametrize("name", QUIET_CHARTS)
def test_a_quiet_period_is_said_to_be_quiet(name: str) -> None:
    """With nothing binding, a chart says so under its title and its source."""
    drawn = QUIET_CHARTS[name](binding(), seen(label(f"{DAY} 08:10")))
    assert [row["text"] for row in rows(drawn, "text")] == ["Nothing binds in this period."]
    assert drawn.to_dict()["title"]["subtitle"] == [SOURCE]


def test_zones_and_terms_have_their_means() -> None:
    """Means are over all four observed intervals; what has no zone stands under none, what has no terms says so."""
    ends = labels(f"{DAY} 08:05", 4)
    constraints = binding(
        bound(ends[0], -8.0, zone=3, terms=["STR", "Lost_Gen"]),
        bound(ends[1], -4.0, zone=3, terms=["STR", "Lost_Gen"]),
        bound(ends[1], -2.0, name="B", zone=1, terms=["STR"]),
        bound(ends[2], -1.0, name="odd"),
    )
    drawn = rows(charts.zones(constraints, seen(*ends), source=SOURCE), "terms")
    assert {(row["terms"], row["zone"], row["mean_shadow_price"]) for row in drawn} == {
        ("STR+Lost_Gen", "3", -3.0),
        ("STR", "1", -0.5),
        ("not parsed", "none", -0.25),
    }


def test_an_episode_cut_by_a_gap_is_marked() -> None:
    """Both halves of an episode with a gap in it may be longer; one whose edges were seen is whole."""
    constraints, snapshots = with_a_gap()
    more = binding(bound(label(f"{DAY} 09:15"), -3.0))
    found = episodes(pl.concat([constraints, more]), snapshots)
    drawn = rows(episode_charts.episode_sizes(found, source=SOURCE), "edges")
    assert sorted((row["began"][11:], row["edges"][:3]) for row in drawn) == [
        ("08:20 EST", "cut"),
        ("08:40 EST", "cut"),
        ("09:10 EST", "beg"),
    ]
