"""Charts of what went with reserve constraints: prices of zones and hubs, fuels, interchange. Pure.

As in ``charts``: each says where its data comes from, times are EST, and with nothing to draw it says so. That two
things went together is drawn; that one made the other is not said.
"""

from collections.abc import Mapping

import altair as alt
import polars as pl

from miso_archive.analysis.reserve_and_prices import Joined
from miso_archive.charts.drawing import (
    BINDING,
    BLUE,
    MOST_ROWS,
    STATE_COLOURS,
    VERMILLION,
    WIDTH,
    Chart,
    finished,
    largest,
    nothing,
)
from miso_archive.text import counted

_OTHERWISE = "otherwise"
_COLOURS = {BINDING: STATE_COLOURS[BINDING], _OTHERWISE: "#9aa5ad"}
_FOUND_NOTHING = "No interval of this period is known both of reserve constraints and of these values."


def separations(tables: Mapping[str, pl.DataFrame], *, source: str) -> Chart:
    """Draw by how much each zone was dearer than the cheapest while a constraint bound in it, and otherwise.

    Args:
        tables: The result of ``by_binding`` of a ``separation``, by what the product is called.
        source: The subtitle, from ``origin``.
    """
    title = "Price separation of zones while a reserve constraint binds there, and otherwise"
    if all(table.is_empty() for table in tables.values()):
        return nothing(title, source, _FOUND_NOTHING)
    drawn = []
    for name, table in tables.items():
        rows = _as_rows(table, "zone")
        most = largest(rows["mean"], 0.0)
        words = ["above the cheapest", "zone, mean, $/MW"] if most else ["no zone is dearer", "than another, $/MW"]
        bars = _bars(rows, "zone", [name, *words], alt.Scale(domain=[0, 1.05 * most or 1.0]))
        drawn.append(bars.encode(alt.X("zone:O", title="reserve zone").axis(labelAngle=0)))
    stacked = alt.vconcat(*(bars.properties(width=WIDTH, height=110) for bars in drawn), spacing=8)
    return finished(stacked, title, source, _rests_on(next(iter(tables.values()))))


def groups(table: pl.DataFrame, of: str, *, title: str, unit: str, source: str) -> Chart:
    """Draw the means of groups, of hubs' sides or fuels, while any reserve constraint binds, and otherwise.

    Args:
        table: The result of ``by_binding``.
        of: Its column that names the groups.
        title: What is drawn.
        unit: The values' unit.
        source: The subtitle, from ``origin``.
    """
    rows = _as_rows(table, of)
    if rows.is_empty():
        return nothing(title, source, _FOUND_NOTHING)
    drawn = _bars(rows, of, f"mean, {unit}").encode(alt.X(f"{of}:N", title=None).axis(labelAngle=0, labelLimit=140))
    return finished(drawn.properties(width=WIDTH, height=200), title, source, _rests_on(table))


def against(joined: Joined, *, source: str) -> Chart:
    """Draw the separation of zones against the shadow prices that bind in them, an interval and zone a point.

    Args:
        joined: A ``separation`` joined by ``join_by_label``.
        source: The subtitle, from ``origin``.
    """
    title = "Separation of a zone against the shadow prices that bind there"
    bound = joined.rows.filter(pl.col("magnitude") > 0).select("zone", "interval_end", "magnitude", "value")
    if joined.rows.is_empty():
        return nothing(title, source, _FOUND_NOTHING)
    if bound.is_empty():
        return nothing(title, source)
    step = max(1, -(-bound.height // MOST_ROWS))
    drawn = bound.gather_every(step).with_columns(
        pl.col("interval_end").dt.to_string("%Y-%m-%d %H:%M EST"), pl.col("magnitude", "value").round(2)
    )
    points = (
        alt.Chart(drawn)
        .mark_circle(size=14, opacity=0.45, color=BLUE)
        .encode(
            alt.X("magnitude:Q", title="sum of the magnitudes of shadow prices in the zone, $/MW").axis(tickCount=8),
            alt.Y("value:Q", title="above the cheapest zone, $/MW"),
            tooltip=["interval_end:N", "zone:N", "magnitude:Q", "value:Q"],
        )
        .properties(width=WIDTH, height=300)
    )
    note = f"{bound.height:,} intervals and zones" + (f", one in {step} drawn" if step > 1 else "")
    return finished(points, title, source, f"{note}. What goes together need not be cause and effect.")


def around_the_beginning(study: pl.DataFrame, *, source: str) -> Chart:
    """Draw the median and quartiles of a zone's separation around the beginning of its episodes.

    Args:
        study: The result of ``event_study``.
        source: The subtitle, from ``origin``.
    """
    title = "Separation of a zone around the beginning of its episodes"
    seen = study.filter(pl.col("events") > 0)
    if seen.is_empty():
        return nothing(title, source, "No episode's beginning was observed together with prices.")
    base = alt.Chart(seen).encode(
        alt.X("minutes:Q", title="minutes from the beginning to the interval's start").axis(
            values=list(range(-600, 601, 30))
        )
    )
    figures = [alt.Tooltip(f"{name}:Q", format=".2f") for name in ("lower_quartile", "median", "upper_quartile")]
    band = base.mark_area(color=BLUE, opacity=0.25, interpolate="step-after").encode(
        alt.Y("lower_quartile:Q", title="above the cheapest zone, $/MW"), alt.Y2("upper_quartile:Q")
    )
    line = base.mark_line(color=BLUE, interpolate="step-after").encode(
        alt.Y("median:Q"), tooltip=["minutes:Q", *figures, "events:Q", "left_out_events:Q"]
    )
    rule = alt.Chart(pl.DataFrame({"minutes": [0]})).mark_rule(color=VERMILLION, strokeDash=[6, 4])
    layers = alt.layer(band, line, rule.encode(alt.X("minutes:Q"))).properties(width=WIDTH, height=240)
    least, most = seen.select(least=pl.col("events").min(), most=pl.col("events").max()).row(0)
    rest_on = counted(most, "episode") if least == most else f"{least} to {counted(most, 'episode')}"
    note = f"Line: median; band: quartiles; of {rest_on} whose beginning was observed."
    return finished(layers, title, source, note)


def _as_rows(table: pl.DataFrame, of: str) -> pl.DataFrame:
    """Put the two means of a group below each other, each with the intervals on which it rests."""
    halves = [
        table.select(of, state=pl.lit(state), mean=mean, intervals=intervals)
        for state, mean, intervals in (
            (BINDING, "mean_when_binding", "binding_intervals"),
            (_OTHERWISE, "mean_otherwise", "other_intervals"),
        )
    ]
    return pl.concat(halves)


def _bars(rows: pl.DataFrame, of: str, title: str | list[str], scale: alt.Scale | None = None) -> alt.Chart:
    colours = alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values()))
    bars: alt.Chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            alt.Y("mean:Q", title=title, scale=alt.Scale() if scale is None else scale),
            alt.XOffset("state:N", sort=list(_COLOURS)),
            alt.Color("state:N", title="interval", scale=colours),
            tooltip=[
                f"{of}:N",
                "state:N",
                alt.Tooltip("mean:Q", format=",.2f"),
                alt.Tooltip("intervals:Q", format=","),
            ],
        )
    )
    return bars


def _rests_on(table: pl.DataFrame) -> str:
    joined, left_out = table.select("joined_intervals", "left_out_intervals").row(0)
    return f"{joined:,} intervals known of both feeds; {left_out:,} known of one alone are left out."
