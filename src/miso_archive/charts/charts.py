"""Charts of shadow prices: frames of the reader and the analysis in, Altair charts out. Pure.

Every chart says where its data comes from (``source``, see ``origin``). What was not collected is drawn as such, in
grey; never as 0. Times are EST on the wall (UTC-5 all year), whatever the time zone of the browser. Shadow prices
keep the sign as published; where a chart shows magnitudes, its axis says so. With nothing to draw, the chart says it.
"""

from typing import Final

import altair as alt
import polars as pl

from miso_archive.analysis.observation import Frame, observe
from miso_archive.analysis.profiles import hourly_profile
from miso_archive.analysis.shadow_prices import binding_summary
from miso_archive.charts.drawing import (
    BINDING,
    BLUE,
    MOST_ROWS,
    NO_SNAPSHOTS,
    NOT_COLLECTED,
    QUIET,
    VERMILLION,
    WIDTH,
    Chart,
    day_axis,
    finished,
    holds_none,
    hour_axis,
    largest,
    magnitude_axis,
    midnight,
    nothing,
    origin,
    period,
    shades,
    state_colour,
    wall,
    with_demand_value,
    within,
)
from miso_archive.intervals.market_days import INTERVALS_A_DAY, ONE_DAY

__all__ = [
    "NO_SNAPSHOTS",
    "calendar",
    "duration_curve",
    "names_seen",
    "origin",
    "period",
    "profile",
    "ranking",
    "zones",
]

_BLOCK_HOURS: Final = (1, 2, 3, 4, 6, 8, 12, 24)
_MARKS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 200, 1000)  # $/MW


def ranking(summary: pl.DataFrame, *, source: str, most: int = 12) -> Chart:
    """Draw what binds: share of the observed intervals, and the mean shadow price over them.

    Args:
        summary: The result of ``binding_summary`` by ``constraint_name``, hardest first.
        source: The subtitle, from ``origin``.
        most: Show so many of the hardest.
    """
    hardest = summary.head(most)
    title = "What binds: the hardest constraints"
    if hardest.is_empty():
        return nothing(title, source)
    names = alt.Y("constraint_name:N", sort=hardest["constraint_name"].to_list(), title=None)
    bars = alt.Chart(hardest).properties(width=230, height=alt.Step(20))
    often = bars.mark_bar(color=BLUE).encode(
        names.axis(labelLimit=360),
        alt.X("binding_share:Q", title="binds, share of observed intervals").axis(format=".1%", tickCount=5),
        tooltip=["constraint_name", "binding_intervals", alt.Tooltip("binding_share", format=".2%")],
    )
    hard = bars.mark_bar(color=VERMILLION).encode(
        names.axis(None),
        alt.X("mean_shadow_price:Q", title="mean over observed intervals, $/MW").axis(tickCount=5),
        tooltip=["constraint_name", "mean_shadow_price", "mean_when_binding", "extreme_shadow_price"],
    )
    return finished(alt.hconcat(often, hard, spacing=24), title, source)


def calendar(constraints: Frame, snapshots: Frame, *, source: str) -> Chart:
    """Draw when constraints bind: market days by hours, coloured by the largest magnitude in the hour, $/MW.

    An hour is quiet only when all its intervals were observed. Long periods are drawn by blocks of several hours.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        source: The subtitle, from ``origin``.
    """
    title = "When reserve constraints bind, and how hard"
    if holds_none(snapshots):
        return nothing(title, source)
    blocks, hours = _blocks(constraints, snapshots)
    days = blocks["market_day"]
    blocks = blocks.with_columns(pl.col("market_day").dt.to_string())
    span = f"{hours} hours" if hours > 1 else "hour"
    grid = alt.Chart(blocks).encode(
        day_axis("day", "market day (EST)", days),
        alt.X2("day_end:T"),
        alt.Y("hour:Q", title="hour of the day (EST)").scale(domain=[24, 0]).axis(values=list(range(0, 25, 3))),
        alt.Y2("hour_end:Q"),
        tooltip=["market_day:N", "hour:Q", "state:N", alt.Tooltip("magnitude:Q", title="largest, $/MW")],
    )
    rest = grid.transform_filter("datum.state != 'binding'").mark_rect().encode(state_colour(QUIET, NOT_COLLECTED))
    bound = (
        grid.transform_filter("datum.state == 'binding'")
        .mark_rect()
        .encode(
            alt.Color("magnitude:Q", title=["largest magnitude", f"in the {span}, $/MW"])
            .scale(type="symlog", scheme=shades("oranges"), domainMin=0)
            .legend(values=within(_MARKS, blocks["magnitude"]), labelExpr="format(datum.value, '~g')")
        )
    )
    layers = alt.layer(rest, bound).resolve_scale(color="independent").properties(width=WIDTH, height=280)
    note = f"Grey: not all of the {span} was collected, and nothing binds in the rest of it."
    return finished(layers, title, source, note)


def profile(constraints: Frame, snapshots: Frame, *, source: str) -> Chart:
    """Draw the hours of the day, over all and month by month: the share of observed intervals in which any binds.

    Arguments are those of ``calendar``. Hours are those of the intervals' starts, EST.
    """
    title = "At which hours reserve constraints bind"
    if holds_none(snapshots):
        return nothing(title, source)
    observation = observe(constraints, snapshots, start=None, end=None)
    hours = hourly_profile(constraints, snapshots)
    starts = pl.date_range(observation.start.replace(day=1), observation.end, "1mo", eager=True).to_list()
    after = [*starts[1:], observation.end]
    months = pl.concat(
        hourly_profile(constraints, snapshots, start=max(first, observation.start), end=end).with_columns(
            month=pl.lit(f"{first:%Y-%m}")
        )
        for first, end in zip(starts, after, strict=True)
        if max(first, observation.start) < end
    ).with_columns(state=pl.when(pl.col("binding_share").is_null()).then(pl.lit(NOT_COLLECTED)))
    axis = hour_axis()
    all_hours = (
        alt.Chart(hours)
        .mark_bar(color=BLUE)
        .encode(axis, alt.Y("mean_shadow_price:Q", title=["mean, all constraints", "$/MW"]))
        .properties(width=WIDTH, height=130)
    )
    cells = alt.Chart(months).encode(axis, alt.Y("month:O", title="month")).properties(width=WIDTH, height=alt.Step(26))
    shares = (
        cells.transform_filter("isValid(datum.binding_share)")
        .mark_rect()
        .encode(
            alt.Color("binding_share:Q", title=["any binds, share of", "observed intervals"])
            .scale(scheme=shades("blues"), domainMin=0)
            .legend(format=".0%", tickCount=4),
            tooltip=["month:N", "hour:O", alt.Tooltip("binding_share:Q", format=".1%"), "observed_intervals:Q"],
        )
    )
    unseen = cells.transform_filter("!isValid(datum.binding_share)").mark_rect().encode(state_colour(NOT_COLLECTED))
    by_month = alt.layer(shares, unseen).resolve_scale(color="independent")
    return finished(alt.vconcat(all_hours, by_month), title, source)


def duration_curve(curve: pl.DataFrame, *, source: str) -> Chart:
    """Draw for which share of the observed time the largest magnitude, $/MW, was at least so large.

    Args:
        curve: The result of ``price_duration_curve``.
        source: The subtitle, from ``origin``.
    """
    title = "How hard they bind: price duration curve"
    binding = curve.filter(pl.col("magnitude") > 0)
    if binding.is_empty():
        return nothing(title, source)
    points = _thinned(binding.select("magnitude", "share_at_or_above"))
    line = (
        alt.Chart(points)
        .mark_line(color=BLUE, interpolate="step-before")
        .encode(
            alt.X("share_at_or_above:Q", title="share of observed intervals at or above")
            .axis(format="%", tickCount=10)
            .scale(domainMin=0, nice=False),
            magnitude_axis("magnitude of the largest price, $/MW", points["magnitude"]),
            tooltip=[alt.Tooltip("share_at_or_above:Q", format=".2%"), alt.Tooltip("magnitude:Q", format=".2f")],
        )
    )
    return finished(with_demand_value(line).properties(width=WIDTH, height=280), title, source)


def zones(constraints: Frame, snapshots: Frame, *, source: str) -> Chart:
    """Draw the mean shadow price, $/MW over observed intervals, by zone, and by direction and terms as published.

    Each direction has rows of its own: a limit to the North and one to the South are two things, and no sum. Arguments
    are those of ``calendar``. What carries no zone that could be parsed stands under "none".
    """
    title = "Which zones: mean shadow price over the observed intervals"
    terms = pl.col("terms").list.join("+").fill_null("not parsed")
    rows = (
        constraints.lazy()
        .with_columns(terms=pl.concat_str("flow_direction", terms, separator=": ", ignore_nulls=True))
        .collect()
    )
    if rows.is_empty():
        return nothing(title, source)
    cells = pl.concat(
        binding_summary(group, snapshots, by="zone").with_columns(terms=pl.lit(name))
        for name, group in ((name, rows.filter(pl.col("terms") == name)) for name in sorted(rows["terms"].unique()))
    ).with_columns(zone=pl.col("zone").cast(pl.String).fill_null("none"), magnitude=pl.col("mean_shadow_price").abs())
    numbered = [str(number) for number in sorted({zone for zone in rows["zone"].to_list() if zone is not None})]
    base = alt.Chart(cells).encode(
        alt.X("zone:O", title="reserve zone", sort=[*numbered, "none"]).axis(labelAngle=0),
        alt.Y("terms:N", title="direction: terms").axis(labelLimit=300),
    )
    dark = 0.6 * largest(cells["magnitude"], 0)
    fill = base.mark_rect().encode(
        alt.Color("magnitude:Q", title=["magnitude of", "the mean, $/MW"]).scale(scheme=shades("oranges"), domainMin=0),
        tooltip=["terms:N", "zone:O", "mean_shadow_price:Q", alt.Tooltip("binding_share:Q", format=".2%")],
    )
    figures = base.mark_text(fontSize=11).encode(
        alt.Text("mean_shadow_price:Q", format=".2f"),
        color=alt.condition(f"datum.magnitude > {dark}", alt.value("white"), alt.value("black")),
    )
    return finished((fill + figures).properties(width=WIDTH, height=alt.Step(44)), title, source)


def names_seen(seen: pl.DataFrame, *, source: str, most: int = 20) -> Chart:
    """Draw the newest constraint names, each from its first to its last binding interval (EST).

    Args:
        seen: The result of ``drift``, newest first.
        source: The subtitle, from ``origin``.
        most: Show so many of the newest.
    """
    names = seen.filter(pl.col("column") == "constraint_name")
    newest = names.head(most)
    title = f"What is new: the newest {newest.height} of {names.height} names, first to last seen binding"
    if newest.is_empty():
        return nothing("What is new: constraint names", source)
    days = pl.concat([newest["first_interval_end"], newest["last_interval_end"]]).dt.date()
    drawn = newest.select(
        "value",
        "intervals",
        first=wall(pl.col("first_interval_end")),
        last=wall(pl.col("last_interval_end")),
        name=pl.when("parsed").then(pl.lit("parsed")).otherwise(pl.lit("not parsed")),
    )
    base = alt.Chart(drawn).encode(
        alt.Y("value:N", sort=newest["value"].to_list(), title=None).axis(labelLimit=360),
        day_axis("first", "interval end (EST)", days, most=5),
        alt.Color("name:N", title="name").scale(domain=["parsed", "not parsed"], range=[BLUE, VERMILLION]),
        tooltip=["value:N", "intervals:Q"],
    )
    spans = base.mark_rule(strokeWidth=3, opacity=0.5).encode(alt.X2("last:T"))
    begun = base.mark_point(filled=True, size=60, opacity=1)
    return finished((spans + begun).properties(width=420, height=alt.Step(20)), title, source)


def _blocks(constraints: Frame, snapshots: Frame) -> tuple[pl.DataFrame, int]:
    """Return a row a market day and block of hours, and the length of the blocks: as short as the rows allow."""
    observation = observe(constraints, snapshots, start=None, end=None)
    days = pl.date_range(observation.start, observation.end, closed="left", eager=True).alias("market_day")
    hours = next((each for each in _BLOCK_HOURS if len(days) * 24 // each <= MOST_ROWS), _BLOCK_HOURS[-1])
    block = pl.col("interval_start").dt.hour().cast(pl.Int32) // hours * hours
    prices = observation.constraints.group_by("interval_end").agg(pl.col("shadow_price").abs().max().alias("magnitude"))
    seen = (
        observation.intervals.join(prices, on="interval_end", how="left")
        .group_by("market_day", block.alias("hour"))
        .agg(pl.len().alias("observed"), pl.col("magnitude").max())
    )
    state = (
        pl.when(pl.col("magnitude").is_not_null())
        .then(pl.lit(BINDING))
        .when(pl.col("observed") == INTERVALS_A_DAY * hours // 24)
        .then(pl.lit(QUIET))
        .otherwise(pl.lit(NOT_COLLECTED))
    )
    blocks = (
        days.to_frame()
        .join(pl.int_range(0, 24, hours, dtype=pl.Int32, eager=True).alias("hour").to_frame(), how="cross")
        .join(seen, on=["market_day", "hour"], how="left", maintain_order="left")
        .select(
            "market_day",
            midnight(pl.col("market_day")).alias("day"),
            midnight(pl.col("market_day") + ONE_DAY).alias("day_end"),
            "hour",
            (pl.col("hour") + hours).alias("hour_end"),
            "magnitude",
            state.alias("state"),
        )
    )
    return blocks, hours


def _thinned(points: pl.DataFrame) -> pl.DataFrame:
    """Return as many points as a chart may carry, the first and the last among them."""
    step = max(1, -(-points.height // (MOST_ROWS - 1)))
    return pl.concat([points.gather_every(step), points.tail(1)]).unique(maintain_order=True)
