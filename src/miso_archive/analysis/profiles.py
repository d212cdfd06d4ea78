"""Profiles: at which hours and in which months constraints bind, and how hard. Pure; weighted like ``analysis``."""

import polars as pl

from miso_archive.analysis.observation import PRICE, Frame, MarketDay, Observation, observe
from miso_archive.intervals.market_days import INTERVALS_A_DAY


def hourly_profile(
    constraints: Frame,
    snapshots: Frame,
    *,
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return at which hours of the day constraints bind, and how hard.

    The hour is that of the interval's **start**, EST all year: the interval 00:55 to 01:00 has the label 01:00 and
    belongs to hour 0. Hour ending, as market people count, is the hour plus 1.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        Always 24 rows. Columns: ``hour``, 0 to 23; ``observed_intervals``, ``expected_intervals``,
        ``observed_share`` of that hour; ``binding_intervals``, in which any constraint binds; ``binding_share`` of
        the observed ones; ``mean_shadow_price``, $/MW, the sum of an interval's prices, averaged over the observed
        ones. Share and mean are null, not 0, for an hour never observed.

    Raises:
        ValueError: A frame lacks a column, or the period is empty.
    """
    observation = observe(constraints, snapshots, start=start, end=end)
    days = (observation.end - observation.start).days
    hours = pl.select(
        pl.int_range(24, dtype=pl.Int8).alias("hour"),
        pl.lit(days * INTERVALS_A_DAY // 24, pl.Int64).alias("expected_intervals"),
    )
    return _profile(observation, hours, pl.col("interval_start").dt.hour())


def monthly_profile(
    constraints: Frame,
    snapshots: Frame,
    *,
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return in which months constraints bind, and how hard.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        A row for each calendar month of the period's market days, observed or not: ``month``, its first day, then
        the columns of ``hourly_profile``. Of a month that lies partly in the period only that part is expected.

    Raises:
        ValueError: A frame lacks a column, or the period is empty.
    """
    observation = observe(constraints, snapshots, start=start, end=end)
    days = pl.date_range(observation.start, observation.end, closed="left", eager=True).alias("day")
    months = (
        days.to_frame()
        .group_by(pl.col("day").dt.truncate("1mo").alias("month"))
        .agg((pl.len().cast(pl.Int64) * INTERVALS_A_DAY).alias("expected_intervals"))
        .sort("month")
    )
    return _profile(observation, months, pl.col("market_day").dt.truncate("1mo"))


def zone_hours(
    constraints: Frame,
    snapshots: Frame,
    *,
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return at which hours the constraints of each zone bind, and how hard, directions apart.

    A limit to the North and one to the South are two things, and no sum. Arguments, hours and errors are those of
    ``hourly_profile``.

    Returns:
        A row a ``flow_direction`` and ``zone`` that bound, as parsed (null where there is none), and ``hour``, 0 to 23:
        ``observed_intervals`` of that hour; ``binding_intervals``; ``binding_share`` of the observed ones;
        ``mean_shadow_price``, $/MW, the sum of an interval's prices, averaged over the observed ones. Both are
        null for an hour never observed.
    """
    keys = ["flow_direction", "zone"]
    observation = observe(constraints, snapshots, start=start, end=end, columns=tuple(keys))
    hour = pl.col("interval_start").dt.hour().alias("hour")
    observed = observation.intervals.group_by(hour).agg(observed_intervals=pl.len().cast(pl.Int64))
    bound = (
        observation.constraints.group_by(*keys, "interval_end", hour, maintain_order=True)
        .agg(PRICE.sum())
        .group_by(*keys, "hour")
        .agg(binding_intervals=pl.len().cast(pl.Int64), total=PRICE.sum())
    )
    hours = pl.select(hour=pl.int_range(24, dtype=pl.Int8))
    groups = observation.constraints.select(keys).unique()
    of_hours = hours.join(observed, on="hour", how="left").with_columns(pl.col("observed_intervals").fill_null(0))
    counted = pl.col("observed_intervals")
    return (
        groups.join(of_hours, how="cross")
        .join(bound, on=[*keys, "hour"], how="left", nulls_equal=True)
        .with_columns(pl.col("binding_intervals").fill_null(0), pl.col("total").fill_null(0.0))
        .sort(*keys, "hour", nulls_last=True)
        .select(
            *(*keys, "hour", "observed_intervals", "binding_intervals"),
            pl.when(counted > 0).then(pl.col("binding_intervals") / counted).alias("binding_share"),
            pl.when(counted > 0).then(pl.col("total") / counted).alias("mean_shadow_price"),
        )
    )


def _profile(observation: Observation, expected: pl.DataFrame, key: pl.Expr) -> pl.DataFrame:
    """Take observed intervals together under a key of theirs; ``expected`` lists all keys with their intervals."""
    name = expected.columns[0]
    prices = observation.constraints.group_by("interval_end").agg(PRICE.sum())
    seen = (
        observation.intervals.join(prices, on="interval_end", how="left")
        .group_by(key.alias(name))
        .agg(
            pl.len().cast(pl.Int64).alias("observed_intervals"),
            PRICE.count().cast(pl.Int64).alias("binding_intervals"),
            PRICE.fill_null(0.0).mean(),
        )
    )
    observed = pl.col("observed_intervals")
    return (
        expected.join(seen, on=name, how="left", maintain_order="left")
        .with_columns(pl.col("observed_intervals", "binding_intervals").fill_null(0))
        .select(
            name,
            observed,
            "expected_intervals",
            (observed / pl.col("expected_intervals")).alias("observed_share"),
            "binding_intervals",
            pl.when(observed > 0).then(pl.col("binding_intervals") / observed).alias("binding_share"),
            PRICE.alias("mean_shadow_price"),
        )
    )
