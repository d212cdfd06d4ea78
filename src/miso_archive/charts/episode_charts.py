"""Charts of episodes: all of them by size, and one closely. Frames in, Altair charts out. Pure.

Times are EST on the wall (UTC-5 all year), whatever the time zone of the browser.
"""

from datetime import datetime, timedelta
from typing import Final

import altair as alt
import polars as pl

from miso_archive.analysis.observation import Frame
from miso_archive.charts.drawing import (
    BLUE,
    LINES,
    MOST_ROWS,
    NOT_COLLECTED,
    VERMILLION,
    WIDTH,
    Chart,
    finished,
    largest,
    magnitude_axis,
    nothing,
    state_colour,
    wall,
    with_demand_value,
)
from miso_archive.intervals.labels import EST_NAME, INTERVAL

_MARGIN: Final = timedelta(hours=1)
_LONGEST_CLOSE_LOOK: Final = timedelta(hours=24)
_LENGTHS: Final = (5, 10, 30, 60, 120, 300, 600, 1440, 2880, 7200, 14400)  # minutes


def episode_sizes(found: pl.DataFrame, *, source: str) -> Chart:
    """Draw how long and how hard each episode was, and whether its beginning and end were seen.

    Args:
        found: The result of ``episodes``; of more than fit, the hardest are drawn.
        source: The subtitle, from ``origin``.
    """
    title = "Episodes: how long and how hard"
    if found.is_empty():
        return nothing(title, source)
    whole, cut = "beginning and end seen", "cut by a gap: may be longer"
    is_whole = (pl.col("began") == "observed") & (pl.col("ended") == "observed")
    points = found.select(
        "duration_minutes",
        "intervals",
        "total_shadow_price",
        magnitude=pl.col("extreme_shadow_price").abs(),
        began=pl.col("first_interval_start").dt.strftime("%Y-%m-%d %H:%M EST"),
        edges=pl.when(is_whole).then(pl.lit(whole)).otherwise(pl.lit(cut)),
    ).filter(pl.col("magnitude") > 0)
    edges = alt.Scale(domain=[whole, cut], range=[BLUE, VERMILLION])
    shapes = alt.Scale(domain=[whole, cut], range=["circle", "triangle-right"])
    legend = alt.Legend(title=None, orient="top")
    dots = (
        alt.Chart(points.top_k(MOST_ROWS, by="magnitude"))
        .mark_point(filled=True, size=55, opacity=0.7)
        .encode(
            alt.X("duration_minutes:Q", title="length, minutes")
            .scale(type="log", domain=[4, 1.2 * largest(found["duration_minutes"], 80)], nice=False)
            .axis(values=_LENGTHS),
            magnitude_axis("magnitude of the extreme price, $/MW", points["magnitude"]),
            alt.Color("edges:N", scale=edges, legend=legend),
            alt.Shape("edges:N", scale=shapes, legend=legend),
            tooltip=["began", "duration_minutes", "magnitude", "total_shadow_price"],
        )
    )
    return finished(with_demand_value(dots).properties(width=WIDTH, height=300), title, source)


def episode_closely(constraints: Frame, snapshots: Frame, episode: pl.DataFrame, *, source: str) -> Chart:
    """Draw an episode interval by interval, $/MW by constraint, with the hour before and after.

    An observed interval in which a constraint does not bind is drawn at 0, a missing one as a grey band, where the
    lines break. Of more than seven constraints the hardest are drawn; of more than a day, the first 24 hours.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        episode: The first row is drawn, of ``episodes`` as sorted by the caller.
        source: The subtitle, from ``origin``.
    """
    if episode.is_empty():
        return nothing("One episode closely", source)
    first, last = episode.select("first_interval_start", "last_interval_end").row(0)
    begin, end = first - _MARGIN, min(last, first + _LONGEST_CLOSE_LOOK) + _MARGIN
    every = _intervals(snapshots, begin, end)
    steps, hardest = _steps(every, _latest_between(constraints, begin, end))
    prices = (
        alt.Chart(steps)
        .mark_line(strokeWidth=1.5)
        .encode(
            alt.X("at:T", title="time (EST)", scale=alt.Scale(type="utc")).axis(
                format="%H:%M", labelOverlap=True, labelSeparation=8
            ),
            alt.Y("shadow_price:Q", title="shadow price, $/MW"),
            alt.Color("constraint_name:N", title=None, sort=hardest)
            .scale(domain=hardest, range=list(LINES[: len(hardest)]))
            .legend(orient="bottom", columns=1, symbolType="stroke"),
            alt.Order("order:Q"),
            tooltip=["label:N", "constraint_name:N", "shadow_price:Q"],
        )
    )
    gaps = every.filter(~pl.col("seen")).select(
        begin=wall(pl.col("interval_end") - INTERVAL), end=wall(pl.col("interval_end")), state=pl.lit(NOT_COLLECTED)
    )
    bands = alt.Chart(gaps).mark_rect().encode(alt.X("begin:T"), alt.X2("end:T"), state_colour(NOT_COLLECTED))
    title = f"One episode closely: {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} EST"
    layers = alt.layer(*([] if gaps.is_empty() else [bands]), prices)
    return finished(layers.resolve_scale(color="independent").properties(width=WIDTH, height=300), title, source)


def _intervals(snapshots: Frame, begin: datetime, end: datetime) -> pl.DataFrame:
    """Return every interval between two times: ``interval_end``, and whether it was ``seen``."""
    grid = pl.datetime_range(begin + INTERVAL, end, INTERVAL, time_zone=EST_NAME, eager=True).alias("interval_end")
    observed = _latest_between(snapshots, begin, end)["interval_end"]
    return grid.to_frame().with_columns(seen=grid.is_in(observed.implode()))


def _steps(every: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return each interval's price at its start and at its end, null where it is missing; and the hardest names."""
    prices = rows.group_by("interval_end", "constraint_name").agg(pl.col("shadow_price").sum())
    hardest = (
        prices.group_by("constraint_name")
        .agg(pl.col("shadow_price").abs().sum().alias("total"))
        .sort("total", "constraint_name", descending=[True, False])
        .head(len(LINES))
    )
    known = (
        hardest.select("constraint_name")
        .join(every, how="cross")
        .join(prices, on=["constraint_name", "interval_end"], how="left", maintain_order="left")
    )
    price = pl.when("seen").then(pl.col("shadow_price").fill_null(0.0))
    ends = pl.col("interval_end")
    steps = known.with_columns(at=pl.concat_list(wall(ends - INTERVAL), wall(ends)), shadow_price=price)
    return (
        steps.explode("at", empty_as_null=False)
        .with_row_index("order")
        .select("order", "constraint_name", "shadow_price", "at", label=ends.dt.strftime("%Y-%m-%d %H:%M EST")),
        hardest["constraint_name"].to_list(),
    )


def _latest_between(frame: Frame, begin: datetime, end: datetime) -> pl.DataFrame:
    within = (pl.col("interval_end") > begin) & (pl.col("interval_end") <= end)
    return frame.lazy().filter(pl.col("is_latest") & within).collect()
