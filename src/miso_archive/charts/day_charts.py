"""Charts of one market day, from 00:00 to 24:00 EST: demand, fuels, prices, and a strip a kind of constraint. Pure.

As in ``charts``: each says where its data comes from. An interval of which nothing was collected is grey in every one,
and no line is drawn across it.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import altair as alt
import polars as pl

from miso_archive.analysis.market_day import gaps_of, labels_of, of_day, on_the_clock
from miso_archive.analysis.observation import Frame
from miso_archive.charts.drawing import (
    BINDING,
    BLUE,
    LINES,
    MOST_ROWS,
    NOT_COLLECTED,
    QUIET,
    STATE_COLOURS,
    VERMILLION,
    WIDTH,
    Chart,
    finished,
    nothing,
    shades,
    state_colour,
    wall,
)
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import INTERVALS_A_DAY, ONE_DAY

_MOST_GROUPS: Final = MOST_ROWS // INTERVALS_A_DAY
# So that a fuel looks the same on each day, whichever produced most; a name that is not here gets a colour, too.
_FUEL_COLOURS: Final = {
    "Battery Storage": VERMILLION,
    "Coal": "#595959",
    "Imports": BLUE,
    "Natural Gas": "#E69F00",
    "Nuclear": "#CC79A7",
    "Other": "#999999",
    "Solar": "#F0E442",
    "Wind": "#009E73",
}
_FREE_COLOURS: Final = tuple(colour for colour in LINES if colour not in _FUEL_COLOURS.values())

_SPAN: Final = {
    "starts": wall(pl.col("interval_end") - INTERVAL),
    "ends": wall(pl.col("interval_end")),
    "label": on_the_clock(pl.col("interval_end")),
}
"""The columns of an interval: from where to where it is drawn, and how it is called."""


def lines(  # noqa: PLR0913 - what is drawn, and how it is called
    rows: Frame, day: date, *, of: str, value: str, title: str, unit: str, source: str, most: int = len(LINES)
) -> Chart:
    """Draw a value of each group over the day, a line each; those of the greatest spread where there are many.

    Args:
        rows: Rows of the reader.
        day: The market day (EST).
        of: The column that names the groups.
        value: The column with the values.
        title: What is drawn.
        unit: The values' unit.
        source: The subtitle, from ``origin``.
        most: How many groups are drawn at most.
    """
    known = of_day(rows, day, of, value).filter(pl.col(value).is_not_null())
    if known.is_empty():
        return nothing(title, source, f"Nothing was observed on {day}.")
    spread = (
        known.group_by(of)
        .agg(spread=pl.col(value).max() - pl.col(value).min())
        .sort("spread", of, descending=[True, False])
    )
    names = sorted(spread[of].cast(pl.String).head(most))
    drawn = _with_breaks(known.with_columns(pl.col(of).cast(pl.String)).filter(pl.col(of).is_in(names)), day, of, value)
    line = (
        alt.Chart(drawn)
        .mark_line(strokeWidth=1.4)
        .encode(
            _hours(day),
            alt.Y("value:Q", title=unit),
            alt.Color(f"{of}:N", title=of.replace("_", " "), scale=alt.Scale(domain=names, range=list(LINES))),
            tooltip=["label:N", f"{of}:N", alt.Tooltip("value:Q", format=",.2f")],
        )
    )
    note = "" if len(spread) <= most else f"The {most} of {len(spread)} that moved most."
    layers = alt.layer(_grey(known, day), line).resolve_scale(color="independent").properties(width=WIDTH, height=200)
    return finished(layers, title, source, *filter(None, [note]))


def demand(figures: Frame, day: date, *, source: str) -> Chart:
    """Draw the demand of a market day, MW, and the peak that was forecast.

    Args:
        figures: Rows of ``snapshot``.
        day: The market day (EST).
        source: The subtitle, from ``origin``.
    """
    title = "Demand, and the peak that was forecast"
    rows = of_day(figures, day, "figure", "value").drop_nulls("value")
    rows = rows.filter(pl.col("figure").is_in(["current_demand", "forecast_peak_demand"]))
    known = rows.filter(pl.col("figure") == "current_demand")
    if known.is_empty():
        return nothing(title, source, f"Nothing was observed on {day}.")
    least, most = rows.select(least=pl.col("value").min(), most=pl.col("value").max()).row(0)
    line = (
        alt.Chart(_with_breaks(known, day, "figure", "value"))
        .mark_line(color=LINES[0])
        .encode(
            _hours(day),
            alt.Y("value:Q", title="MW").scale(domain=[0.97 * least, 1.03 * most], nice=False),
            tooltip=["label:N", alt.Tooltip("value:Q", format=",.0f")],
        )
    )
    forecast = rows.filter(pl.col("figure") == "forecast_peak_demand").tail(1)
    said = [f"forecast peak, {peak:,.0f} MW" for peak in forecast["value"]]
    words = forecast.select("value", text=pl.Series(said, dtype=pl.String))
    mark = alt.Chart(words).encode(alt.Y("value:Q"))
    rule = mark.mark_rule(color=VERMILLION, strokeDash=[6, 4])
    text = mark.mark_text(align="left", dx=6, dy=-7, color=VERMILLION).encode(alt.Text("text:N"), x=alt.value(0))
    layers = alt.layer(_grey(known, day), line, rule, text).resolve_scale(color="independent")
    return finished(layers.properties(width=WIDTH, height=180), title, source)


def fuels_stacked(fuels: Frame, day: date, *, source: str) -> Chart:
    """Draw what each fuel produced over the day, MW, one on the other; what is negative below zero.

    Args:
        fuels: Rows of ``fuel_mix``.
        day: The market day (EST).
        source: The subtitle, from ``origin``.
    """
    title = "Output of fuels"
    known = of_day(fuels, day, "fuel", "output").drop_nulls("output")
    if known.is_empty():
        return nothing(title, source, f"Nothing was observed on {day}.")
    means = known.group_by("fuel").agg(pl.col("output").mean())
    order = means.sort("output", "fuel", descending=[True, False])["fuel"].head(_MOST_GROUPS).to_list()
    boxes = (
        alt.Chart(_stacked(known.filter(pl.col("fuel").is_in(order)), order))
        .mark_rect(strokeWidth=0)
        .encode(
            _hours(day, "starts"),
            alt.X2("ends:T"),
            alt.Y("from:Q", title="MW"),
            alt.Y2("to:Q"),
            alt.Color("fuel:N", sort=order).scale(domain=order, range=_colours_of(order)),
            tooltip=["label:N", "fuel:N", alt.Tooltip("output:Q", format=",.0f")],
        )
    )
    layers = alt.layer(_grey(known, day), boxes).resolve_scale(color="independent")
    return finished(layers.properties(width=WIDTH, height=240), title, source)


def heat(  # noqa: PLR0913 - as lines
    rows: Frame, day: date, *, of: str, value: str, title: str, unit: str, source: str
) -> Chart:
    """Draw a value of each group over the day, a strip each, the darker the more.

    Arguments are those of ``lines``.
    """
    known = of_day(rows, day, of, value).drop_nulls(value)
    if known.is_empty():
        return nothing(title, source, f"Nothing was observed on {day}.")
    names = sorted(known[of].cast(pl.String).unique(), key=lambda name: (len(name), name))[:_MOST_GROUPS]
    drawn = known.filter(pl.col(of).cast(pl.String).is_in(names)).select(
        pl.col(of).cast(pl.String),
        pl.col(value).alias("value"),
        **_SPAN,
    )
    boxes = (
        alt.Chart(drawn)
        .mark_rect()
        .encode(
            _hours(day, "starts"),
            alt.X2("ends:T"),
            alt.Y(f"{of}:N", title=of.replace("_", " "), sort=names),
            alt.Color("value:Q", title=unit).scale(type="symlog", scheme=shades("blues")),
            tooltip=["label:N", f"{of}:N", alt.Tooltip("value:Q", title=unit, format=",.2f")],
        )
    )
    layers = alt.layer(_grey(known, day), boxes).resolve_scale(color="independent")
    return finished(layers.properties(width=WIDTH, height=alt.Step(18)), title, source)


def strips(constraints: Mapping[str, Frame], snapshots: Mapping[str, Frame], day: date, *, source: str) -> Chart:
    """Draw a strip a kind of constraint: where any bound, the darker the harder, where none did, and what is not known.

    Args:
        constraints: Binding constraints by what their kind is called; shadow prices in $/MW or $/MWh.
        snapshots: The snapshots of the same kinds.
        day: The market day (EST).
        source: The subtitle, from ``origin``.
    """
    title = "When constraints bound"
    rows = pl.concat(
        [
            _states(kind, of_day(rows, day, "shadow_price"), of_day(snapshots[kind], day), day)
            for kind, rows in constraints.items()
        ]
    )
    if (rows["state"] == NOT_COLLECTED).all():
        return nothing(title, source, f"Nothing was observed on {day}.")
    base = alt.Chart(rows).encode(
        _hours(day, "starts"),
        alt.X2("ends:T"),
        alt.Y("kind:N", title=None, sort=list(constraints)),
        tooltip=["label:N", "kind:N", "state:N", alt.Tooltip("magnitude:Q", title="largest magnitude", format=",.2f")],
    )
    rest = base.transform_filter("datum.state != 'binding'").mark_rect().encode(state_colour(QUIET, NOT_COLLECTED))
    bound = (
        base.transform_filter("datum.state == 'binding'")
        .mark_rect()
        .encode(
            alt.Color("magnitude:Q", title=["largest magnitude", "$/MW or $/MWh"]).scale(
                type="symlog", scheme=shades("oranges")
            )
        )
    )
    layers = alt.layer(rest, bound).resolve_scale(color="independent")
    return finished(layers.properties(width=WIDTH, height=alt.Step(30)), title, source)


def _colours_of(fuels: Sequence[str]) -> list[str]:
    """Return the colour of each of these fuels."""
    known = {fuel: _FUEL_COLOURS[fuel] for fuel in fuels if fuel in _FUEL_COLOURS}
    free = [colour for colour in (*_FREE_COLOURS, *_FUEL_COLOURS.values()) if colour not in known.values()]
    new = sorted(set(fuels) - known.keys())
    return [known[fuel] if fuel in known else free[new.index(fuel) % len(free)] for fuel in fuels]


def _stacked(fuels: pl.DataFrame, order: list[str]) -> pl.DataFrame:
    """Return from where to where each fuel reaches in its interval: what is produced upward, what is taken downward."""
    ranks = dict(zip(order, range(len(order)), strict=True))
    output, side = pl.col("output"), ["interval_end", "is_taken"]
    ranked = fuels.with_columns(
        rank=pl.col("fuel").replace_strict(ranks, return_dtype=pl.Int32), is_taken=output < 0
    ).sort("interval_end", "rank")
    return ranked.select(
        "fuel",
        "output",
        (output.cum_sum() - output).over(side).alias("from"),
        output.cum_sum().over(side).alias("to"),
        **_SPAN,
    )


def _states(kind: str, rows: pl.DataFrame, snapshots: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return a row an interval of the day: whether anything bound, and how hard."""
    magnitudes = rows.group_by("interval_end").agg(magnitude=pl.col("shadow_price").abs().max())
    seen = pl.col("interval_end").is_in(snapshots["interval_end"].implode())
    state = (
        pl.when(~seen)
        .then(pl.lit(NOT_COLLECTED))
        .when(pl.col("magnitude").is_not_null())
        .then(pl.lit(BINDING))
        .otherwise(pl.lit(QUIET))
    )
    joined = labels_of(day).to_frame().join(magnitudes, on="interval_end", how="left", maintain_order="left")
    return joined.select(
        pl.lit(kind).alias("kind"),
        "magnitude",
        state=state,
        **_SPAN,
    )


def _with_breaks(rows: pl.DataFrame, day: date, of: str, value: str) -> pl.DataFrame:
    """Return a row a group and interval of the day, without a value where there is none: a line breaks there."""
    grid = rows.select(of).unique().join(labels_of(day).to_frame(), how="cross")
    return (
        grid.join(rows.select(of, "interval_end", value=value), on=[of, "interval_end"], how="left")
        .sort(of, "interval_end")
        .select(
            of,
            "value",
            time=wall(pl.col("interval_end")),
            label=on_the_clock(pl.col("interval_end")),
        )
    )


def _hours(day: date, column: str = "time") -> alt.X:
    """Return the axis of a market day, by the hour."""
    named = [_moment(day, hour) for hour in range(0, 24, 3)] + [_moment(day + ONE_DAY, 0)]
    scale = alt.Scale(type="utc", domain=[named[0], named[-1]], nice=False)
    axis = alt.Axis(values=named, format="%H:%M", labelExpr="datum.index == 1 ? '24:00' : datum.label")
    return alt.X(f"{column}:T", title=f"{day}, EST", scale=scale, axis=axis)


def _moment(day: date, hour: int) -> alt.DateTime:
    return alt.DateTime(year=day.year, month=day.month, date=day.day, hours=hour, utc=True)


def _grey(rows: pl.DataFrame, day: date) -> alt.Chart:
    """Return the day's intervals without a row, in grey."""
    gaps = gaps_of(rows, day).select(
        starts=wall(pl.col("starts")), ends=wall(pl.col("ends")), state=pl.lit(NOT_COLLECTED), intervals="intervals"
    )
    grey: alt.Chart = (
        alt.Chart(gaps)
        .mark_rect(color=STATE_COLOURS[NOT_COLLECTED], opacity=0.5)
        .encode(_hours(day, "starts"), alt.X2("ends:T"), tooltip=["state:N", "intervals:Q"])
    )
    return grey
