"""What all charts share: where the data comes from, colours, EST on the axes, gaps drawn as gaps. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias

import altair as alt
import polars as pl

from miso_archive.analysis.observation import Frame
from miso_archive.analysis.shadow_prices import RPE_DEMAND_VALUE
from miso_archive.feeds.columns import LIVE
from miso_archive.intervals.market_days import INTERVALS_A_DAY, ONE_DAY

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart

MOST_ROWS: Final = 4800
"""As many rows as a chart may carry: Altair refuses more than 5,000."""

COLLECTOR_BEGAN: Final = date(2025, 1, 1)
"""Before this day nobody can have collected the live feed with this collector: it did not exist."""

BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
LINES: Final = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind people tell apart: Okabe and Ito's."""

QUIET: Final = "quiet"
BINDING: Final = "binding"
NOT_COLLECTED: Final = "not collected"
TO_COME: Final = "to come"
REFUSED: Final = "refused"
STATE_COLOURS: Final = {
    QUIET: "#cfe6f5",
    BINDING: BLUE,
    NOT_COLLECTED: "#7f7f7f",
    TO_COME: "#f6f1d8",
    REFUSED: VERMILLION,
}
"""Five different things, each with a colour of its own in every chart."""

WIDTH: Final = 640

_WIDTH_OF_WORDS: Final = 800
"""Where a chart has nothing but a title and words: the longest title has room."""

NO_SNAPSHOTS: Final = "The archive holds no snapshots of this: collect some, or make demo for simulated ones"
"""The origin of a chart for which there is nothing in the archive."""


def origin(snapshots: Frame) -> str:
    """Say in a line which data a chart shows: simulated or not, its market days, the share that was observed.

    Only what is certain is claimed. Rows of the live feed before ``COLLECTOR_BEGAN`` can only be simulated. Later
    ones are called archived, never real: a simulated archive may have any dates, and its provenance alone tells.

    Of no snapshots there is none, and what to do is said: ``NO_SNAPSHOTS``.

    Args:
        snapshots: A row a snapshot, quiet ones included; of several feeds the share is what any of them observed.
    """
    rows = snapshots.lazy().filter("is_latest").select("market_day", "interval_end", "source").collect()
    if rows.is_empty():
        return NO_SNAPSHOTS
    simulated = (rows["market_day"] < COLLECTOR_BEGAN) & (rows["source"] == LIVE)
    name = "SIMULATED data" if simulated.all() else "PARTLY SIMULATED data" if simulated.any() else "Archived data"
    first, last = rows.select(first=pl.col("market_day").min(), last=pl.col("market_day").max()).row(0)
    # A label off the grid, as Snapshot's may be, belongs to the interval in which it lies.
    observed = (rows["interval_end"] - timedelta(microseconds=1)).dt.truncate("5m").n_unique()
    share = observed / (INTERVALS_A_DAY * ((last - first).days + 1))
    if first == last:
        return f"{name}, market day {first} (EST), {share:.1%} of its intervals observed"
    return f"{name}, market days {first} to {last} (EST), {share:.1%} of their intervals observed"


def period(snapshots: Frame) -> dict[str, date]:
    """Return the market days of these snapshots as ``start`` and ``end``, for the analysis.

    Of no snapshots it is a day on which nothing can have been observed: every figure is then of no interval.
    """
    days = snapshots.lazy().select("market_day").unique().collect()["market_day"]
    first, last = (COLLECTOR_BEGAN - ONE_DAY,) * 2 if days.is_empty() else first_and_last(days)
    return {"start": first, "end": last + ONE_DAY}


def holds_none(snapshots: Frame) -> bool:
    """Tell whether there are no snapshots, so that there is nothing to draw."""
    return snapshots.lazy().head(1).collect().is_empty()


def wall(time: pl.Expr) -> pl.Expr:
    """Return EST times as the same digits in UTC: on a UTC scale no browser shifts them to its own zone."""
    return time.dt.replace_time_zone("UTC")


def midnight(day: pl.Expr) -> pl.Expr:
    """Return the beginning of a market day, for the same scale."""
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def day_axis(column: str, title: str, days: pl.Series, *, most: int = 7) -> alt.X:
    """Return the axis of times made by ``wall`` or ``midnight``, over these market days, ``most`` of them named."""
    first, last = first_and_last(days)
    span = (last - first).days + 1
    named = range(0, span, max(1, -(-span // most)))
    scale = alt.Scale(type="utc", domain=[_moment(first), _moment(last + ONE_DAY)])
    axis = alt.Axis(values=[_moment(first + number * ONE_DAY) for number in named], format="%Y-%m-%d", labelFlush=False)
    return alt.X(f"{column}:T", title=title, scale=scale, axis=axis)


def hour_axis(every: int = 1) -> alt.X:
    """Return the axis of a column ``hour``: all hours of a day, also those of which nothing is known."""
    named = alt.Axis(labelAngle=0, values=list(range(0, 24, every)))
    return alt.X("hour:O", title="hour beginning (EST)", axis=named, scale=alt.Scale(domain=list(range(24))))


def first_and_last(days: pl.Series) -> tuple[date, date]:
    """Return the first and the last of these market days, in whatever order.

    Raises:
        ValueError: There are none.
    """
    known = days.drop_nulls().to_list()
    if not known:
        raise ValueError("there are no market days to draw")
    return min(known), max(known)


def largest(figures: pl.Series, at_least: float) -> float:
    """Return the largest of these figures and another one."""
    known: list[float] = figures.drop_nulls().cast(pl.Float64).to_list()
    return max([at_least, *known])


def whole_axis(most: float) -> alt.Axis:
    """Return an axis of whole numbers from 0 to the largest, five of them named at most."""
    return alt.Axis(values=list(range(0, int(most) + 1, max(1, -(-int(most) // 4)))), format="d")


def state_colour(*states: str) -> alt.Color:
    """Return the colours of these states, of a column ``state``, with a legend that names them all."""
    colours = alt.Scale(domain=list(states), range=[STATE_COLOURS[state] for state in states])
    return alt.Color("state:N", title="interval", scale=colours).legend(symbolType="square", symbolStrokeWidth=0)


def magnitude_axis(title: str, magnitudes: pl.Series) -> alt.Y:
    """Return the logarithmic axis of a column ``magnitude``, $/MW, with room for the demand value."""
    figures = [RPE_DEMAND_VALUE, *magnitudes]
    domain = [min(figures) * 0.8, max(figures) * 1.5]
    named = alt.Axis(values=[0.01, 0.1, 1, 10, 100, 1000], format="~g")
    return alt.Y("magnitude:Q", title=title, axis=named).scale(type="log", domain=domain, nice=False)


def with_demand_value(chart: alt.Chart) -> alt.LayerChart | alt.FacetChart:
    """Return the chart of magnitudes, $/MW, with the demand value of RPE constraints, marked as a public statement."""
    text = f"${RPE_DEMAND_VALUE:.0f}/MWh, demand value of RPE constraints by a public statement"
    mark = alt.Chart(pl.DataFrame({"value": [RPE_DEMAND_VALUE], "text": [text]})).encode(alt.Y("value:Q"))
    rule = mark.mark_rule(color=VERMILLION, strokeDash=[6, 4])
    words = mark.mark_text(align="left", dx=6, dy=-7, color=VERMILLION).encode(alt.Text("text:N"), x=alt.value(0))
    return alt.layer(chart, rule, words)


def shades(name: Literal["oranges", "blues"]) -> alt.SchemeParams:
    """Return colours that are the darker the more there is: the least is pale, and still not the white of nothing."""
    return alt.SchemeParams(name=name, extent=[0.2, 1.0])


def within(marks: Sequence[float], figures: pl.Series) -> list[float]:
    """Return those of a legend's marks that its scale, from 0, reaches: it draws the others over its title."""
    most = largest(figures, 0.0)
    return [mark for mark in marks if mark <= most] or [most]


def nothing(title: str, source: str, text: str = "Nothing binds in this period.") -> Chart:
    """Return a chart that says so, in place of an empty one; where nothing was observed, nothing is known to bind."""
    if source == NO_SNAPSHOTS:
        text = "Nothing to draw."
    words = alt.Chart(pl.DataFrame({"text": [text]})).mark_text(fontSize=14).encode(alt.Text("text:N"))
    return finished(words.properties(width=_WIDTH_OF_WORDS, height=60), title, source)


def finished(chart: Chart, title: str, *lines: str) -> Chart:
    """Return the chart with its title, and below it where the data comes from and what else a reader needs."""
    titled = chart.properties(title=alt.TitleParams(title, subtitle=list(lines), anchor="start", offset=12))
    configured: Chart = (
        titled.configure_title(fontSize=16, subtitleFontSize=12, subtitleColor="#555555")
        .configure_axis(labelFontSize=11, titleFontSize=12, titleFontWeight="normal", gridColor="#eeeeee")
        .configure_legend(labelFontSize=11, titleFontSize=12, titleFontWeight="normal", labelLimit=0, titleLimit=0)
        .configure_view(stroke="#dddddd")
    )
    return configured


def _moment(day: date) -> alt.DateTime:
    return alt.DateTime(year=day.year, month=day.month, date=day.day, utc=True)
