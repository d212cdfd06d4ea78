"""A market day at a glance: what was observed of it, and its notable moments in words. Pure.

Every sentence rests on observed intervals alone: what was not collected may have been higher, or lower.
"""

from collections.abc import Mapping
from datetime import date, time
from typing import Final

import polars as pl

from miso_archive.analysis.observation import Frame, latest
from miso_archive.feeds.columns import TIME
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import INTERVALS_A_DAY, day_begins

_TIMES: Final = ("market_day", "interval_end")
_MIDNIGHT: Final = time(0)


def of_day(frame: Frame, day: date, *columns: str) -> pl.DataFrame:
    """Return these columns of the latest rows of a market day, in order of time.

    Args:
        frame: A frame of the reader.
        day: The market day (EST).
        columns: Which columns, besides ``market_day`` and ``interval_end``.

    Raises:
        ValueError: The frame lacks a column.
    """
    rows = latest(frame, "rows", (*_TIMES, *columns))
    return rows.filter(pl.col("market_day") == day).sort("interval_end").collect()


def labels_of(day: date) -> pl.Series:
    """Return the ends of a market day's 288 intervals (EST)."""
    ends = [day_begins(day) + number * INTERVAL for number in range(1, INTERVALS_A_DAY + 1)]
    return pl.Series("interval_end", ends, TIME)


def gaps_of(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the runs of intervals of a market day of which there is no row, in order of time.

    Returns:
        A row a run: ``starts`` and ``ends`` (EST), and how many ``intervals`` it has.
    """
    ends = labels_of(day)
    absent = ends.filter(~ends.is_in(rows["interval_end"].implode())).to_frame()
    runs = absent.with_columns(run=(pl.col("interval_end").diff() != INTERVAL).fill_null(value=True).cum_sum())
    return (
        runs.group_by("run", maintain_order=True)
        .agg(
            starts=pl.col("interval_end").min() - pl.lit(INTERVAL),
            ends=pl.col("interval_end").max(),
            intervals=pl.len().cast(pl.Int64),
        )
        .drop("run")
    )


def on_the_clock(interval_end: pl.Expr) -> pl.Expr:
    """Return the labels of one market day as people read them, ``08:10 EST``: the last is 24:00, as none is 00:00."""
    spelled = interval_end.dt.to_string("%H:%M EST")
    return pl.when(interval_end.dt.time() == _MIDNIGHT).then(pl.lit("24:00 EST")).otherwise(spelled)


def notable_moments(  # noqa: PLR0913 - a feed each
    day: date,
    *,
    figures: Frame,
    fuels: Frame,
    hub_prices: Frame,
    zone_prices: Frame,
    constraints: Mapping[str, Frame],
    snapshots: Mapping[str, Frame],
) -> list[str]:
    """Return the notable moments of a market day as sentences; of a feed of which nothing was observed that is said.

    Args:
        day: The market day (EST).
        figures: Rows of ``snapshot``.
        fuels: Rows of ``fuel_mix``; MW.
        hub_prices: Rows of ``rt_exante_lmp``; $/MWh.
        zone_prices: Rows of ``asm_mcp``'s table ``real_time``; $/MW for an hour.
        constraints: Binding constraints by what their kind is called; shadow prices in $/MW or $/MWh.
        snapshots: The snapshots of the same kinds.

    Raises:
        ValueError: A frame lacks a column.
    """
    return [
        _of_demand(of_day(figures, day, "figure", "value")),
        _of_fuels(of_day(fuels, day, "fuel", "output")),
        _of_hubs(of_day(hub_prices, day, "location", "lmp")),
        _of_reserve(of_day(zone_prices, day, "zone", "short_term_reserve")),
        *(
            _of_constraints(name, of_day(rows, day, "constraint_name", "shadow_price"), of_day(snapshots[name], day))
            for name, rows in constraints.items()
        ),
    ]


def _of_demand(figures: pl.DataFrame) -> str:
    demand = figures.filter(pl.col("figure") == "current_demand").drop_nulls("value")
    if demand.is_empty():
        return "Nothing was observed of demand."
    top = demand.row(demand["value"].arg_max() or 0, named=True)
    said = f"Demand was highest at {top['value']:,.0f} MW, at {_clock(top)}"
    forecast = figures.filter(pl.col("figure") == "forecast_peak_demand").drop_nulls("value")
    if forecast.is_empty():
        return f"{said}."
    peak = forecast["value"][-1]
    off = top["value"] - peak
    side = f"{abs(off):,.0f} MW {'above' if off > 0 else 'below'}" if off else "just at"
    return f"{said}, {side} the forecast peak of {peak:,.0f} MW."


def _of_fuels(fuels: pl.DataFrame) -> str:
    rows = fuels.drop_nulls("output")
    if rows.is_empty():
        return "Nothing was observed of fuels."
    of_fuels = rows.group_by("fuel").agg(pl.col("output").mean()).sort("output", "fuel", descending=[True, False])
    told = ", ".join(f"{row['fuel']} {row['output']:,.0f} MW" for row in of_fuels.head(3).to_dicts())
    wind = rows.filter(pl.col("fuel") == "Wind").select(least=pl.col("output").min(), most=pl.col("output").max())
    least, most = wind.row(0)
    span = "" if least is None else f"; wind was between {least:,.0f} and {most:,.0f} MW"
    return f"On average most came from {told}{span}."


def _of_hubs(prices: pl.DataFrame) -> str:
    rows = prices.drop_nulls("lmp")
    if rows.is_empty():
        return "Nothing was observed of hub prices."
    dear, cheap = (rows.row(position or 0, named=True) for position in (rows["lmp"].arg_max(), rows["lmp"].arg_min()))
    return (
        f"The dearest hub was {dear['location']} at {_money(dear['lmp'])}/MWh, at {_clock(dear)}; the cheapest"
        f" {cheap['location']} at {_money(cheap['lmp'])}/MWh, at {_clock(cheap)}."
    )


def _of_reserve(prices: pl.DataFrame) -> str:
    rows = prices.drop_nulls("short_term_reserve")
    if rows.is_empty():
        return "Nothing was observed of ancillary prices."
    top = rows.row(rows["short_term_reserve"].arg_max() or 0, named=True)
    if top["short_term_reserve"] <= 0:
        return "Short-term reserve had no price above $0/MW in any zone."
    return (
        f"Short-term reserve was dearest in zone {top['zone']} at {_money(top['short_term_reserve'])}/MW,"
        f" at {_clock(top)}."
    )


def _of_constraints(name: str, rows: pl.DataFrame, snapshots: pl.DataFrame) -> str:
    observed = snapshots["interval_end"].n_unique()
    if not observed:
        return f"Nothing was observed of {name} constraints."
    seen = rows.join(snapshots, on="interval_end", how="semi")
    if seen.is_empty():
        return f"No {name} constraint bound in the {observed} intervals observed."
    hard = seen.row(seen["shadow_price"].abs().arg_max() or 0, named=True)
    count = seen["interval_end"].n_unique()
    return (
        f"{name.capitalize()} constraints bound in {count} of {observed} intervals observed; hardest"
        f" {hard['constraint_name']} at {_money(hard['shadow_price'])}, at {_clock(hard)}."
    )


def _clock(row: Mapping[str, object]) -> str:
    return pl.select(on_the_clock(pl.lit(row["interval_end"], TIME))).item() or "a time not known"


def _money(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"
