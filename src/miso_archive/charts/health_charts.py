"""Charts of what was collected, when, and what was not: frames of the reader in, Altair charts out. Pure.

Quiet, binding, not collected, refused and to come are five different things here, each with its colour. Times are EST
on the wall (UTC-5 all year), whatever the time zone of the browser.
"""

from datetime import timedelta
from typing import Final

import altair as alt
import polars as pl

from miso_archive.analysis.observation import Frame
from miso_archive.charts.drawing import (
    BINDING,
    BLUE,
    COLLECTOR_BEGAN,
    MOST_ROWS,
    NOT_COLLECTED,
    QUIET,
    REFUSED,
    STATE_COLOURS,
    TO_COME,
    VERMILLION,
    WIDTH,
    Chart,
    day_axis,
    finished,
    first_and_last,
    largest,
    midnight,
    nothing,
    state_colour,
    whole_axis,
)
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import INTERVALS_A_DAY, ONE_DAY

_MOST_LAG: Final = 10.0  # minutes; later fetches are counted in the last bar
_BAR: Final = 0.25  # minutes
_INTERVALS_AN_HOUR: Final = timedelta(hours=1) // INTERVAL
_SIMULATED: Final = pl.col("market_day") < COLLECTOR_BEGAN
_ON_ANOTHER_CLOCK: Final = _SIMULATED & (pl.col("fetched_at").dt.date() >= COLLECTOR_BEGAN)


def collection(snapshots: Frame, missing: pl.DataFrame, coverage: pl.DataFrame, *, source: str) -> Chart:
    """Draw every interval of every market day as quiet, binding, not collected or to come; below, refused bodies.

    A refused body names no interval, so it is counted on the day (EST) of its fetch. Of a period with more runs than
    fit, the newest days are drawn.

    Args:
        snapshots: A row a snapshot, quiet ones included.
        missing: The result of ``missing_intervals`` for the same archive and time.
        coverage: The result of ``coverage`` likewise.
        source: The subtitle, from ``origin``.
    """
    title = "What was collected, and what was not"
    if coverage.is_empty():
        return nothing(title, source)
    runs = collection_runs(snapshots, missing, coverage)
    shown = coverage.filter(pl.col("market_day") >= runs["market_day"].min())
    cut = [f"The last {shown.height} of {coverage.height} market days."] if shown.height < coverage.height else []
    days = shown["market_day"]
    states = (
        alt.Chart(runs.with_columns(_day_edges()).drop("market_day"))
        .mark_rect()
        .encode(
            day_axis("day", "market day (EST)", days),
            alt.X2("day_end:T"),
            alt.Y("begin:Q", title="hour of the day (EST)").scale(domain=[24, 0]).axis(values=list(range(0, 25, 3))),
            alt.Y2("end:Q"),
            state_colour(QUIET, BINDING, NOT_COLLECTED, TO_COME, REFUSED),
            tooltip=["text:N", "state:N"],
        )
        .properties(width=WIDTH, height=300)
    )
    most = largest(shown["refused"], 1)
    refused = (
        alt.Chart(shown.select(*_day_edges(), "refused", state=pl.lit(REFUSED)))
        .mark_rect()
        .encode(
            day_axis("day", "day of the fetch (EST)", days),
            alt.X2("day_end:T"),
            alt.Y("refused:Q", title=["refused", "bodies"]).axis(whole_axis(most)).scale(domain=[0, most]),
            y2=alt.datum(0),
            color=alt.value(STATE_COLOURS[REFUSED]),
        )
        .properties(width=WIDTH, height=60)
    )
    return finished(alt.vconcat(states, refused), title, source, *cut)


def collection_runs(snapshots: Frame, missing: pl.DataFrame, coverage: pl.DataFrame) -> pl.DataFrame:
    """Return runs of intervals of one market day in one state, in order of time; the newest days of those that fit.

    Arguments are those of ``collection``.

    Returns:
        ``market_day``; ``state``; ``begin`` and ``end``, hours of the day, EST; ``text``, the same in words.
    """
    quiet = pl.when("quiet").then(pl.lit(QUIET)).otherwise(pl.lit(BINDING))
    columns = ("market_day", "interval_start")
    seen = snapshots.lazy().filter("is_latest").select(*columns, quiet.alias("state")).collect()
    days = coverage.select("market_day")
    unseen = missing.select(*columns, pl.lit(NOT_COLLECTED).alias("state"))
    number = pl.col("interval_start").dt.hour().cast(pl.Int32) * _INTERVALS_AN_HOUR + (
        pl.col("interval_start").dt.minute() // (INTERVAL.seconds // 60)
    )
    known = pl.concat([seen, unseen]).select("market_day", number.alias("number"), "state")
    every = days.join(pl.int_range(INTERVALS_A_DAY, dtype=pl.Int32, eager=True).alias("number").to_frame(), how="cross")
    runs = (
        every.join(known, on=["market_day", "number"], how="left")
        .with_columns(pl.col("state").fill_null(TO_COME))
        .sort("market_day", "number")
        .with_columns(run=pl.struct("market_day", "state").rle_id())
        .group_by("market_day", "state", "run")
        .agg(pl.col("number").min().alias("first"), pl.col("number").max().alias("last"))
        .sort("run")
        .select(
            "market_day",
            "state",
            (pl.col("first") / _INTERVALS_AN_HOUR).alias("begin"),
            ((pl.col("last") + 1) / _INTERVALS_AN_HOUR).alias("end"),
        )
    )
    if runs.height > MOST_ROWS:
        runs = runs.filter(pl.col("market_day") > runs["market_day"][-MOST_ROWS - 1])
    text = pl.format("{} {} to {}", "market_day", _clock("begin"), _clock("end"))
    return runs.with_columns(text.alias("text"))


def gaps(missing: pl.DataFrame) -> pl.DataFrame:
    """Return runs of missing intervals, the longest first; a run goes on over midnight.

    Args:
        missing: The result of ``missing_intervals``.

    Returns:
        ``from_start`` and ``to_end`` (EST), ``intervals`` and ``minutes``.
    """
    begins = (pl.col("interval_start") != pl.col("interval_end").shift()).fill_null(value=True)
    return (
        missing.sort("interval_end")
        .with_columns(run=begins.cum_sum())
        .group_by("run")
        .agg(
            pl.col("interval_start").min().alias("from_start"),
            pl.col("interval_end").max().alias("to_end"),
            pl.len().cast(pl.Int64).alias("intervals"),
        )
        .sort("intervals", "from_start", descending=[True, False])
        .select(
            "from_start",
            "to_end",
            "intervals",
            (pl.col("to_end") - pl.col("from_start")).dt.total_minutes().alias("minutes"),
        )
    )


def lag_distribution(fetched: pl.DataFrame, *, source: str) -> Chart:
    """Draw how long after an interval's end its first body was fetched, minutes.

    Args:
        fetched: The result of ``fetch_times``.
        source: The subtitle, from ``origin``.
    """
    title = "How late the feed is: from the interval's end to the fetch"
    lags = _lags(fetched)
    if lags.is_empty():
        return nothing(title, source, _without_lag(fetched))
    rest = f" (more than {_MOST_LAG:.0f} in the last bar)" if largest(lags["lag_minutes"], 0) > _MOST_LAG else ""
    bars = (
        lags.group_by((pl.col("lag_minutes").clip(0, _MOST_LAG - _BAR) / _BAR).floor().alias("bar"))
        .agg(snapshots=pl.len())
        .sort("bar")
        .select(begin=pl.col("bar") * _BAR, end=(pl.col("bar") + 1) * _BAR, snapshots="snapshots")
    )
    drawn = (
        alt.Chart(bars)
        .mark_rect(color=BLUE, stroke="white", strokeWidth=1)
        .encode(
            alt.X("begin:Q", title=f"lag, minutes{rest}").axis(tickMinStep=1),
            alt.X2("end:Q"),
            alt.Y("snapshots:Q", title="snapshots"),
            y2=alt.datum(0),
            tooltip=["begin", "end", "snapshots"],
        )
    )
    middle = lags.select(lag=pl.col("lag_minutes").median()).with_columns(
        text=pl.format("median {} minutes", pl.col("lag").round(1))
    )
    mark = alt.Chart(middle).encode(alt.X("lag:Q"))
    rule = mark.mark_rule(color=VERMILLION, strokeWidth=2)
    # Above the frame, where no bar can be behind the words.
    words = mark.mark_text(baseline="bottom", dy=-4, color=VERMILLION).encode(alt.Text("text:N"), y=alt.value(0))
    return finished(alt.layer(drawn, rule, words).properties(width=WIDTH, height=220), title, source)


def lag_by_day(fetched: pl.DataFrame, *, source: str) -> Chart:
    """Draw the lag by market day, minutes: the median and the middle 80 %. Broken where a day has no fetch time.

    Arguments are those of ``lag_distribution``.
    """
    title = "Lag over time: median by market day, and the middle 80 %"
    lags = _lags(fetched)
    if lags.is_empty():
        return nothing(title, source, _without_lag(fetched))
    daily = lags.group_by("market_day").agg(
        low=pl.col("lag_minutes").quantile(0.1),
        median=pl.col("lag_minutes").median(),
        high=pl.col("lag_minutes").quantile(0.9),
    )
    first, last = first_and_last(fetched["market_day"])
    days = pl.select(pl.date_range(first, last).alias("market_day"))
    points = days.join(daily, on="market_day", how="left", maintain_order="left")
    base = alt.Chart(points.with_columns(*_day_edges())).encode(day_axis("day", "market day (EST)", days["market_day"]))
    band = base.mark_area(color=BLUE, opacity=0.25).encode(alt.Y("low:Q", title="lag, minutes"), alt.Y2("high:Q"))
    line = base.mark_line(color=BLUE, point=True).encode(alt.Y("median:Q"))
    return finished(alt.layer(band, line).properties(width=WIDTH, height=180), title, source)


def revisions(coverage: pl.DataFrame, *, source: str) -> Chart:
    """Draw how many intervals of each market day have more than one body, of those that were collected.

    A market day of which nothing was collected is grey over its whole height, not 0.

    Args:
        coverage: The result of ``coverage``.
        source: The subtitle, from ``origin``.
    """
    title = "Revised intervals a market day"
    if coverage.is_empty():
        return nothing(title, source)
    days = coverage.with_columns(*_day_edges())
    most = largest(days["revised"], 1)
    shown = days.select(
        "day",
        "day_end",
        "revised",
        "collected",
        height=pl.when(pl.col("collected") > 0).then(pl.col("revised")).otherwise(most),
        state=pl.when(pl.col("collected") > 0).then(pl.lit("revised")).otherwise(pl.lit(NOT_COLLECTED)),
    )
    colours = alt.Scale(domain=["revised", NOT_COLLECTED], range=[BLUE, STATE_COLOURS[NOT_COLLECTED]])
    drawn = (
        alt.Chart(shown)
        .mark_rect()
        .encode(
            day_axis("day", "market day (EST)", coverage["market_day"]),
            alt.X2("day_end:T"),
            alt.Y("height:Q", title="intervals").axis(whole_axis(most)).scale(domain=[0, most]),
            alt.Color("state:N", title="interval", scale=colours).legend(symbolType="square", symbolStrokeWidth=0),
            y2=alt.datum(0),
            tooltip=["day", "revised", "collected"],
        )
        .properties(width=WIDTH, height=150)
    )
    return finished(drawn, title, source)


def _day_edges() -> tuple[pl.Expr, pl.Expr]:
    day = pl.col("market_day")
    return midnight(day).alias("day"), midnight(day + ONE_DAY).alias("day_end")


def _clock(hours: str) -> pl.Expr:
    minutes = (pl.col(hours) * 60).round().cast(pl.Int64)
    return pl.format("{}:{}", *((part.cast(pl.String).str.zfill(2)) for part in (minutes // 60, minutes % 60)))


def _lags(fetched: pl.DataFrame) -> pl.DataFrame:
    """Return the lag of each first body whose provenance says when it was fetched.

    A simulated interval of 2001 that a real clock saw fetched is not late by 25 years: it has no lag.
    """
    known = (pl.col("revision") == 0) & pl.col("lag_minutes").is_not_null()
    return fetched.filter(known & ~_ON_ANOTHER_CLOCK)


def _without_lag(fetched: pl.DataFrame) -> str:
    if fetched.filter(_ON_ANOTHER_CLOCK).is_empty():
        return "No provenance says when the snapshots were fetched."
    return "These simulated intervals were fetched by a real clock: there is no lag between the two."
