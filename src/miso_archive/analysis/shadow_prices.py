"""What the archive says about the reserve constraints: how often they bind, when, how hard, and what is new. Pure.

Figures are weighted by interval: means are over **observed** intervals, an interval without binding counting as
0 $/MW; never over the calendar, and never over binding intervals alone unless the name says so. Each result states
``observed_share``, the observed part of the period's intervals: read no figure without it. Shadow prices keep the
sign as published (negative where they bind, as far as seen); ranking and severity go by magnitude. A constraint
binds in an interval when the feed lists it there, also at a price of 0.

To look at some constraints only, filter ``constraints`` and leave ``snapshots`` whole: it says what was observed.
"""

from typing import Final

import polars as pl

from miso_archive.analysis.gridstatus import to_gridstatus as to_gridstatus  # noqa: PLC0414 - people import it from here
from miso_archive.analysis.observation import (
    PRICE,
    Frame,
    Grouping,
    MarketDay,
    Observation,
    binding_intervals,
    extreme,
    grouped,
    latest,
    observe,
    source_column,
)

RPE_DEMAND_VALUE: Final = 200.0
"""$/MWh, the one demand value of Reserve Procurement Enhancement constraints by a public statement about RPE. That
this feed publishes RPE constraints is inferred: a yardstick, not a limit."""

_PERCENTAGES: Final = (50, 90, 100)
_DRIFTING: Final = ("constraint_name", "reserve_type", "direction")
_COMPARED: Final = ("binding_share", "mean_shadow_price")
_ZERO_WHEN_ABSENT: Final = ("binding_intervals", "total_shadow_price", *_COMPARED)


def binding_summary(
    constraints: Frame,
    snapshots: Frame,
    *,
    by: Grouping = "constraint_name",
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return how often and how hard each constraint, zone, element and so on bound, the hardest first.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        by: What a row is of. By ``term`` a constraint counts under each of its terms, so rows do not add up.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        A row a group that bound, by the sum of its prices' magnitudes, then by name; what has no parsed zone, term
        and so on is a row of its own, null. Columns: the grouping; ``binding_intervals``, in which anything of the
        group binds; ``observed_intervals``, ``expected_intervals``, ``observed_share`` of the period;
        ``binding_share`` of the observed intervals; ``total_shadow_price``, the sum over intervals and constraints,
        $/MW times five-minute intervals (a twelfth of it is $/MW times hours); ``mean_shadow_price``, $/MW, the
        total over observed intervals, what relaxing the group by one MW was worth in an average one;
        ``mean_when_binding``, $/MW, the total over binding intervals; ``extreme_shadow_price``, $/MW, the single
        price of the largest magnitude, with its sign.

    Raises:
        ValueError: ``by`` is not known, a frame lacks a column, or the period is empty.
    """
    observation = observe(constraints, snapshots, start=start, end=end, columns=(source_column(by),))
    return _summary(observation, by)


def price_duration_curve(
    constraints: Frame,
    snapshots: Frame,
    *,
    constraint_name: str | None = None,
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return for which share of the observed time the shadow price was at least so large.

    An interval counts with the **largest magnitude** in it, an interval without binding with 0.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        constraint_name: The one constraint the curve is of, spelled as published; any constraint when None.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        A row a magnitude that occurred, the largest first: ``magnitude``, $/MW; ``intervals`` at just that
        magnitude; ``share_at_or_above``, the share of observed intervals at it or above, 1 in the last row; then the
        period's ``observed_intervals``, ``expected_intervals`` and ``observed_share``. No rows when nothing was
        observed.

    Raises:
        ValueError: A frame lacks a column, or the period is empty.
    """
    observation = observe(constraints, snapshots, start=start, end=end, columns=("constraint_name",))
    chosen = pl.lit(value=True) if constraint_name is None else pl.col("constraint_name") == constraint_name
    magnitudes = (
        observation.constraints.filter(chosen).group_by("interval_end").agg(PRICE.abs().max().alias("magnitude"))
    )
    return (
        observation.intervals.join(magnitudes, on="interval_end", how="left")
        .group_by(pl.col("magnitude").fill_null(0.0))
        .agg(pl.len().cast(pl.Int64).alias("intervals"))
        .sort("magnitude", descending=True)
        .with_columns(
            (pl.col("intervals").cum_sum() / pl.col("intervals").sum()).alias("share_at_or_above"),
            *observation.columns,
        )
    )


def severity(  # noqa: PLR0913 - four of them name the rows, as everywhere here
    constraints: Frame,
    snapshots: Frame,
    *,
    by: Grouping = "constraint_name",
    demand_value: float = RPE_DEMAND_VALUE,
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return how often prices came near the demand value of RPE constraints, the worst first.

    The default, $200/MWh, is a public statement about Reserve Procurement Enhancement constraints: it has one demand
    value. That this feed publishes RPE constraints is inferred, and so is what a price near it means: that reserve
    behind the constraint is about to run short.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        by: What a row is of. A group's interval counts by the largest magnitude among its constraints.
        demand_value: The magnitude that stands for 100 %, $/MW.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        A row a group that bound, also where it came nowhere near: the grouping; ``binding_intervals``;
        ``intervals_at_50_percent``, ``..._90_...``, ``..._100_...``, the intervals at or above that part of the
        demand value; ``share_at_50_percent`` and so on, their share of the observed intervals; then the period's
        ``observed_intervals``, ``expected_intervals`` and ``observed_share``.

    Raises:
        ValueError: ``by`` is not known, the demand value is not above 0, a frame lacks a column, or the period is
            empty.
    """
    if not demand_value > 0:
        raise ValueError(f"demand_value={demand_value!r} is not above 0: give the magnitude of 100 %, in $/MW")
    observation = observe(constraints, snapshots, start=start, end=end, columns=(source_column(by),))
    counts = [f"intervals_at_{percentage}_percent" for percentage in _PERCENTAGES]
    return (
        grouped(observation.constraints, by)
        .group_by(by, "interval_end")
        .agg(PRICE.abs().max().alias("magnitude"))
        .group_by(by)
        .agg(
            binding_intervals(),
            *(
                (pl.col("magnitude") * 100 >= percentage * demand_value).sum().cast(pl.Int64).alias(count)
                for percentage, count in zip(_PERCENTAGES, counts, strict=True)
            ),
        )
        .sort(*reversed(counts), by, descending=[True] * len(counts) + [False], nulls_last=True)
        .with_columns(
            *((pl.col(count) / observation.observed).alias(count.replace("intervals", "share")) for count in counts),
            *observation.columns,
        )
    )


def compare_periods(
    constraints: Frame,
    snapshots: Frame,
    *,
    before: tuple[MarketDay, MarketDay],
    after: tuple[MarketDay, MarketDay],
    by: Grouping = "constraint_name",
) -> pl.DataFrame:
    """Return two periods side by side, the largest change of the mean shadow price first.

    Only rates are subtracted: counts and totals differ by how long and how well a period was observed.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        before: The first market day (EST) of the earlier period, and the one after its last.
        after: Likewise of the later period.
        by: What a row is of.

    Returns:
        A row a group that bound in either period: the grouping; the columns of ``binding_summary`` with ``_before``
        and with ``_after``; ``binding_share_difference`` and ``mean_shadow_price_difference``, after less before. A
        group absent from a period has counts, shares, total and mean of 0 there if any of that period was observed,
        and nulls if none was.

    Raises:
        ValueError: ``by`` is not known, a frame lacks a column, or a period is empty.
    """
    sides = [
        (observe(constraints, snapshots, start=start, end=end, columns=(source_column(by),)), side)
        for (start, end), side in ((before, "_before"), (after, "_after"))
    ]
    summaries = [_summary(observation, by).select(by, pl.exclude(by).name.suffix(side)) for observation, side in sides]
    return (
        summaries[0]
        .join(summaries[1], on=by, how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            pl.col(f"{name}{side}").fill_null(0)
            for observation, side in sides
            if observation.observed
            for name in _ZERO_WHEN_ABSENT
        )
        .with_columns(column.name.suffix(side) for observation, side in sides for column in observation.columns)
        .with_columns(
            (pl.col(f"{name}_after") - pl.col(f"{name}_before")).alias(f"{name}_difference") for name in _COMPARED
        )
        .sort(pl.col("mean_shadow_price_difference").abs(), by, descending=[True, False], nulls_last=True)
    )


def drift(constraints: Frame) -> pl.DataFrame:
    """Return every constraint, reserve type and direction seen, the newest first: what is on top is what is new.

    A new name may be a new constraint of MISO's, or a new spelling. It was seen binding; when it began to exist
    nobody can tell from this feed.

    Args:
        constraints: A row a binding constraint and interval.

    Returns:
        A row a value: ``column``, one of ``constraint_name``, ``reserve_type``, ``direction``; ``value``, as
        published; ``first_interval_end`` and ``last_interval_end`` (EST) with it; ``intervals`` with it;
        ``parsed``, whether an element was read from the name, null for the other two. Nulls are not listed: live
        rows carry neither type nor direction.

    Raises:
        ValueError: The frame lacks a column.
    """
    rows = latest(constraints, "constraints", ("interval_end", "element", *_DRIFTING)).collect()
    seen = [
        rows.filter(pl.col(column).is_not_null())
        .group_by(pl.lit(column).alias("column"), pl.col(column).alias("value"))
        .agg(
            pl.col("interval_end").min().alias("first_interval_end"),
            pl.col("interval_end").max().alias("last_interval_end"),
            pl.col("interval_end").n_unique().cast(pl.Int64).alias("intervals"),
            (pl.col("element").is_not_null().any() if column == "constraint_name" else pl.lit(None, pl.Boolean)).alias(
                "parsed"
            ),
        )
        for column in _DRIFTING
    ]
    return pl.concat(seen).sort("first_interval_end", "column", "value", descending=[True, False, False])


def _summary(observation: Observation, by: Grouping) -> pl.DataFrame:
    total = pl.col("total_shadow_price")
    return (
        grouped(observation.constraints, by)
        .group_by(by)
        .agg(
            binding_intervals(),
            PRICE.sum().alias("total_shadow_price"),
            PRICE.abs().sum().alias("magnitude"),
            extreme().alias("extreme_shadow_price"),
        )
        .sort("magnitude", by, descending=[True, False], nulls_last=True)
        .select(
            by,
            "binding_intervals",
            *observation.columns,
            (pl.col("binding_intervals") / observation.observed).alias("binding_share"),
            "total_shadow_price",
            (total / observation.observed).alias("mean_shadow_price"),
            (total / pl.col("binding_intervals")).alias("mean_when_binding"),
            "extreme_shadow_price",
        )
    )
