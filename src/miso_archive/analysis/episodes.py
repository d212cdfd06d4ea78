"""Episodes: how long constraints bind at a stretch, and whether their beginning and end were seen. Pure."""

import polars as pl

from miso_archive.analysis.observation import (
    PRICE,
    Frame,
    Grouping,
    MarketDay,
    Observation,
    extreme,
    grouped,
    observe,
    source_column,
)


def episodes(
    constraints: Frame,
    snapshots: Frame,
    *,
    by: Grouping | None = "constraint_name",
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return the runs of consecutive intervals in which a constraint binds, in order of time.

    An episode tells a passing spike from hours of scarcity. It runs on over midnight and the market day's end. A
    missing interval breaks it, as nobody knows whether the constraint bound: a gap in the middle makes two episodes,
    the first with an unknown end, the second with an unknown beginning, and the true duration may be longer.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        by: What an episode is of: one constraint (the default), any constraint of the same zone, term and so on;
            None: any constraint at all.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        A row an episode: the grouping (absent with ``by=None``); ``first_interval_start`` and ``last_interval_end``
        (EST); ``intervals``; ``duration_minutes``; ``mean_shadow_price``, $/MW, the sum of the group's prices in an
        interval, averaged over the episode; ``extreme_shadow_price``, $/MW, the single price of the largest
        magnitude, with its sign; ``total_shadow_price``, the sum of all prices, $/MW times five-minute intervals;
        ``began`` and ``ended``: ``observed`` when the interval before (after) was seen without the group binding,
        ``unknown`` when it is missing or outside the period; then the period's ``observed_intervals``,
        ``expected_intervals`` and ``observed_share``.

    Raises:
        ValueError: ``by`` is not known, a frame lacks a column, or the period is empty.
    """
    keys = () if by is None else (by,)
    observation = observe(
        constraints, snapshots, start=start, end=end, columns=tuple(source_column(key) for key in keys)
    )
    rows = observation.constraints if by is None else grouped(observation.constraints, by)
    return (
        _numbered(rows, keys)
        .group_by("episode", *keys)
        .agg(
            pl.col("interval_start").min().alias("first_interval_start"),
            pl.col("interval_end").max().alias("last_interval_end"),
            pl.len().cast(pl.Int64).alias("intervals"),
            PRICE.mean().alias("mean_shadow_price"),
            extreme(pl.col("extreme")).alias("extreme_shadow_price"),
            PRICE.sum().alias("total_shadow_price"),
        )
        .sort("first_interval_start", *keys, nulls_last=True)
        .select(
            *keys,
            "first_interval_start",
            "last_interval_end",
            "intervals",
            (pl.col("last_interval_end") - pl.col("first_interval_start")).dt.total_minutes().alias("duration_minutes"),
            "mean_shadow_price",
            "extreme_shadow_price",
            "total_shadow_price",
            *_edges(observation),
            *observation.columns,
        )
    )


def _numbered(rows: pl.DataFrame, keys: tuple[Grouping, ...]) -> pl.DataFrame:
    """Return a row a group and interval in which it binds, numbered by episode: one number may serve two groups."""
    joins_on = pl.col("interval_start").eq_missing(pl.col("interval_end").shift())
    return (
        rows.group_by(*keys, "interval_start", "interval_end")
        .agg(PRICE.sum(), extreme().alias("extreme"))
        .sort(*keys, "interval_end", nulls_last=True)
        .with_columns((~joins_on).cum_sum().alias("episode"))
    )


def _edges(observation: Observation) -> tuple[pl.Expr, pl.Expr]:
    """Say whether the neighbour of an episode was seen. It was not binding then, or it would be of the episode."""
    before = pl.col("first_interval_start").is_in(observation.intervals["interval_end"].implode())
    after = pl.col("last_interval_end").is_in(observation.intervals["interval_start"].implode())
    seen, unseen = pl.lit("observed"), pl.lit("unknown")
    return (
        pl.when(before).then(seen).otherwise(unseen).alias("began"),
        pl.when(after).then(seen).otherwise(unseen).alias("ended"),
    )
