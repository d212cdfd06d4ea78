"""What prices, fuels and interchange were while a reserve constraint bound, and while none did. Pure.

Feeds are joined by label alone, the interval's end, never by when they were collected. An interval that one of them
lacks is left out and counted: it says nothing about either. What goes together need not be cause and effect, and a
shadow price is not a cost: no figure here says what anybody paid.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from miso_archive.analysis.episodes import episodes
from miso_archive.analysis.observation import PRICE, Frame, MarketDay, Observation, latest, observe
from miso_archive.intervals.labels import INTERVAL

PRODUCTS: Final = ("short_term_reserve", "regulation", "spin")
"""The ancillary services whose zones are compared, as the columns of ``asm_mcp``'s real-time prices."""

SOUTH: Final = ("ARKANSAS.HUB", "LOUISIANA.HUB", "MS.HUB", "TEXAS.HUB")
"""The hubs south of the regional transfer **[inferred]** from the states that they are named after."""

_HUB: Final = ".HUB"
_LEAST_TO_FIT: Final = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """Values of a feed in the intervals of which it is known, too, whether a reserve constraint bound.

    ``rows`` has a row a group and interval: ``of``'s column, ``market_day``, ``interval_end`` (EST), ``value``, and
    ``magnitude``, $/MW: the sum of the magnitudes of the shadow prices that bind, those of the group's zone alone where
    groups are zones; 0 where none does. ``both`` intervals are known of both; ``constraints_alone`` and
    ``values_alone`` are left out.
    """

    of: str
    rows: pl.DataFrame
    both: int
    constraints_alone: int
    values_alone: int

    @property
    def left_out(self) -> int:
        """How many intervals are known of one of the two alone."""
        return self.constraints_alone + self.values_alone


def separation(prices: Frame, product: str = "short_term_reserve") -> pl.LazyFrame:
    """Return how much dearer a product is in each zone than where it is cheapest, interval by interval.

    Args:
        prices: Rows of ``asm_mcp``'s table ``real_time``; $/MW for an hour.
        product: The price's column, one of ``PRODUCTS`` or another of the table.

    Returns:
        A row a zone and interval: ``market_day``, ``interval_start``, ``interval_end`` (EST), ``zone``, ``value``, $/MW
        for an hour, 0 in the cheapest zone. An interval with a price in one zone alone has none.

    Raises:
        ValueError: The frame lacks a column.
    """
    rows = latest(prices, "prices", ("market_day", "interval_start", "interval_end", "zone", product))
    known = rows.filter(pl.col(product).is_not_null()).with_columns(
        value=pl.col(product) - pl.col(product).min().over("interval_end"), zones=pl.len().over("interval_end")
    )
    return known.filter(pl.col("zones") > 1).select("market_day", "interval_start", "interval_end", "zone", "value")


def sides(prices: Frame, *, south: tuple[str, ...] = SOUTH) -> pl.LazyFrame:
    """Return the mean price of the hubs on either side of the regional transfer, interval by interval.

    Args:
        prices: Rows of ``rt_exante_lmp``; $/MWh.
        south: Which hubs are in the south; every other hub is in the north, and what is no hub in neither.

    Returns:
        A row a side and interval: ``market_day``, ``interval_start``, ``interval_end`` (EST), ``side``, ``north`` or
        ``south``, ``value``, $/MWh.

    Raises:
        ValueError: The frame lacks a column.
    """
    rows = latest(prices, "prices", ("market_day", "interval_start", "interval_end", "location", "lmp"))
    side = pl.when(pl.col("location").is_in(south)).then(pl.lit("south")).otherwise(pl.lit("north"))
    hubs = rows.filter(pl.col("location").str.ends_with(_HUB), pl.col("lmp").is_not_null()).with_columns(side=side)
    keys = ("market_day", "interval_start", "interval_end", "side")
    # Of sorted lists: polars sums a group in any order, and the last digit depends on it.
    return hubs.group_by(keys).agg("lmp").select(*keys, value=pl.col("lmp").list.sort().list.mean())


def join_by_label(  # noqa: PLR0913 - all but the frames by keyword
    values: Frame,
    constraints: Frame,
    snapshots: Frame,
    *,
    of: str,
    value: str = "value",
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> Joined:
    """Join values of another feed to what is known of reserve constraints, by the interval's end alone.

    To look at some constraints only, filter ``constraints`` and leave ``snapshots`` whole: it says what was observed.

    Args:
        values: A row a group and interval: of the reader, or of ``separation`` or ``sides``; the latest count.
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot of reserve, quiet ones included.
        of: The column that names the groups. Where it is ``zone`` those constraints bind that are of the group's zone;
            one whose name tells of no zone binds in none.
        value: The column with the values; what is null there is not known.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Raises:
        ValueError: A frame lacks a column, or the period is empty.
    """
    observation = observe(constraints, snapshots, start=start, end=end, columns=("zone",))
    known = _known(values, of, value, observation)
    observed = observation.intervals.select("interval_end")
    keys = ["interval_end", *(["zone"] if of == "zone" else [])]
    bound = _magnitudes(observation.constraints, keys)
    rows = (
        known.join(observed.lazy(), on="interval_end", how="semi")
        .join(bound.lazy(), on=keys, how="left")
        .with_columns(pl.col("magnitude").fill_null(0.0))
        .sort("interval_end", of)
        .collect()
    )
    labels = known.select(pl.col("interval_end").unique()).collect()
    both = rows["interval_end"].n_unique()
    return Joined(of, rows, both, len(observed) - both, len(labels) - both)


def by_binding(joined: Joined) -> pl.DataFrame:
    """Return each group's mean while a constraint binds and while none does, and on how many intervals either rests.

    Returns:
        A row a group, by name: its column; ``binding_intervals``, ``mean_when_binding``; ``other_intervals``,
        ``mean_otherwise``; ``difference``, the first mean less the second, null where either is of no interval;
        ``joined_intervals`` and ``left_out_intervals`` of all groups. Units are the values'.
    """
    binds = pl.col("magnitude") > 0
    value = pl.col("value")
    return (
        joined.rows.group_by(joined.of)
        .agg(
            binding_intervals=binds.sum().cast(pl.Int64),
            mean_when_binding=value.filter(binds).mean(),
            other_intervals=(~binds).sum().cast(pl.Int64),
            mean_otherwise=value.filter(~binds).mean(),
        )
        .sort(joined.of)
        .with_columns(
            difference=pl.col("mean_when_binding") - pl.col("mean_otherwise"),
            joined_intervals=pl.lit(joined.both, pl.Int64),
            left_out_intervals=pl.lit(joined.left_out, pl.Int64),
        )
    )


def against_shadow_price(joined: Joined) -> pl.DataFrame:
    """Return how the values went with the shadow price while a constraint bound: a straight line by least squares.

    Correlation is not cause: both may follow a third.

    Returns:
        A row a group that bound, by name: its column; ``binding_intervals``; ``slope``, the values' unit for each $/MW
        of magnitude; ``intercept``, the values' unit; ``correlation``, Pearson's. They are null where fewer than three
        intervals bind, or all at the same price.
    """
    magnitude, value = pl.col("magnitude"), pl.col("value")
    slope = pl.cov(magnitude, value) / magnitude.var()
    is_fit = (pl.len() >= _LEAST_TO_FIT) & (magnitude.n_unique() > 1)
    return (
        joined.rows.filter(magnitude > 0)
        .group_by(joined.of)
        .agg(
            binding_intervals=pl.len().cast(pl.Int64),
            slope=pl.when(is_fit).then(slope),
            intercept=pl.when(is_fit).then(value.mean() - slope * magnitude.mean()),
            correlation=pl.when(is_fit & (value.n_unique() > 1)).then(pl.corr(magnitude, value)),
        )
        .sort(joined.of)
    )


def event_study(  # noqa: PLR0913 - all but the frames by keyword
    values: Frame,
    constraints: Frame,
    snapshots: Frame,
    *,
    before: timedelta = timedelta(hours=1),
    after: timedelta = timedelta(hours=2),
    start: MarketDay | None = None,
    end: MarketDay | None = None,
) -> pl.DataFrame:
    """Return how a zone's values went around the beginning of the episodes of its constraints.

    An event is an episode of a zone whose beginning was observed: one that may have begun in a gap is none. Events may
    overlap; an event's values are those of its own zone.

    Args:
        values: A row a zone and interval, ``zone`` and ``value``: those of ``separation``.
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot of reserve, quiet ones included.
        before: How long before the beginning.
        after: How long after it.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.

    Returns:
        A row an interval around the beginning, in order of time: ``minutes`` from the beginning to the interval's
        start, 0 for the first that binds; ``lower_quartile``, ``median``, ``upper_quartile`` of the values over the
        events; ``events`` with a value there; ``left_out_events``, those without.

    Raises:
        ValueError: A frame lacks a column, or the period is empty.
    """
    found = episodes(constraints, snapshots, by="zone", start=start, end=end)
    begun = found.filter(pl.col("zone").is_not_null(), began="observed").select(
        event=pl.int_range(pl.len()), zone=pl.col("zone").cast(pl.String), begins="first_interval_start"
    )
    steps = pl.select(step=pl.int_range(-(before // INTERVAL), after // INTERVAL + 1))
    around = begun.join(steps, how="cross").with_columns(
        interval_end=pl.col("begins") + (pl.col("step") + 1) * pl.lit(INTERVAL)
    )
    observation = observe(constraints, snapshots, start=start, end=end)
    known = _known(values, "zone", "value", observation)
    value = pl.col("value")
    return (
        around.lazy()
        .join(known, on=["interval_end", "zone"], how="left")
        .group_by("step")
        .agg(
            lower_quartile=value.quantile(0.25, "linear"),
            median=value.median(),
            upper_quartile=value.quantile(0.75, "linear"),
            events=value.count().cast(pl.Int64),
            left_out_events=value.null_count().cast(pl.Int64),
        )
        .sort("step")
        .select((pl.col("step") * (INTERVAL // timedelta(minutes=1))).alias("minutes"), pl.exclude("step"))
        .collect()
    )


def _known(values: Frame, of: str, value: str, observation: Observation) -> pl.LazyFrame:
    """Return the values that are known in the period, a group and interval each once."""
    columns = ("market_day", "interval_end", of, value)
    has_revisions = "is_latest" in values.collect_schema()
    rows = latest(values if has_revisions else values.lazy().with_columns(is_latest=True), "values", columns)
    within = (pl.col("market_day") >= observation.start) & (pl.col("market_day") < observation.end)
    known = rows.filter(within & pl.col(value).is_not_null())
    return known.select(pl.col(of).cast(pl.String), "market_day", "interval_end", value=value)


def _magnitudes(constraints: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    rows = constraints.with_columns(pl.col("zone").cast(pl.String))
    return rows.group_by(keys).agg(magnitude=PRICE.abs().sum())
