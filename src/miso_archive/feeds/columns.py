"""The columns of the reader's frames: names, types, units, meaning. Raw and compacted archives give the same."""

from typing import Final, NamedTuple

import polars as pl

from miso_archive.intervals.labels import EST_NAME, INTERVAL

TIME: Final = pl.Datetime("us", EST_NAME)
LIVE: Final = "live"
"""The source of a row that MISO's live feed showed."""

NEXT_DAY_REPORT: Final = "next_day_report"
"""The source of a row of MISO's real-time report of the day after, ``rt_rpe``."""

DAY_AHEAD_REPORT: Final = "day_ahead_report"
"""The source of a row of MISO's day-ahead report, ``da_rpe``: another market than that of the live feed."""

OBJECTS: Final = pl.Schema({"object_key": pl.String(), "interval_end": TIME, "revision": pl.Int32()})
"""What is known of archived snapshots before they are read: one row an object."""

MARKET_DAY: Final = (pl.col("interval_end") - pl.duration(microseconds=1)).dt.date().alias("market_day")
"""The market day of ``interval_end``: the label 00:00 ends the last interval of the day before."""

INTERVAL_START: Final = (pl.col("interval_end") - INTERVAL).alias("interval_start")


class Column(NamedTuple):
    """One column: its name, its polars type, its unit and what it means."""

    name: str
    dtype: pl.DataType
    unit: str
    meaning: str


_TIMES: Final = (
    Column(
        "market_day", pl.Date(), "", "The market day (EST) of the interval; the label 00:00 ends the day before's last."
    ),
    Column("interval_start", TIME, "EST", "Where the five minutes begin: five minutes before the label."),
    Column("interval_end", TIME, "EST", "Where they end: the feed's label. EST is UTC-5 all year."),
    Column("ref_id", pl.String(), "", "The label as published, `RefId`."),
)
_ORIGIN: Final = (
    Column("revision", pl.Int32(), "", "0 for the body of the interval fetched first, 1 for the next, and so on."),
    Column("is_latest", pl.Boolean(), "", "Whether no later readable body is archived for the interval."),
    Column(
        "source",
        pl.String(),
        "",
        "`live`: the live feed; `next_day_report`, `day_ahead_report`: MISO's reports, if asked for.",
    ),
    Column("object_key", pl.String(), "", "The key of the archived object, below the archive's root."),
)

CONSTRAINT_COLUMNS: Final = (
    *_TIMES,
    Column("constraint_name", pl.String(), "", "The constraint as published, `Name`."),
    Column("description", pl.String(), "", "`Description` as published; null in documented rows without one."),
    Column("element", pl.String(), "", "The limited element, parsed from the name: `RDT_SO_MW`."),
    Column("flow_direction", pl.String(), "", "Its direction, parsed: `South_North`."),
    Column("terms", pl.List(pl.String()), "", "The terms of the description, parsed: `STR`, `Lost_Gen`."),
    Column("zone", pl.Int32(), "", "The reserve zone's number, parsed: 3 of `Zone_3`."),
    Column(
        "shadow_price", pl.Float64(), "$/MW", "`Price`, the sign as published: negative where it binds, as far as seen."
    ),
    Column("reserve_type", pl.String(), "", "`ReserveType` of a documented row."),
    Column("direction", pl.String(), "", "`Direction` of a documented row."),
    Column("quantity", pl.Float64(), "MW", "`Quantity` of a documented row."),
    Column("override", pl.Boolean(), "", "`OVERRIDE` of a documented row."),
    Column("bp1", pl.Float64(), "", "`BP1` of a documented row, as published; its unit is not documented."),
    Column("pc1", pl.Float64(), "", "`PC1` of a documented row, likewise."),
    Column("bp2", pl.Float64(), "", "`BP2` of a documented row, likewise."),
    Column("pc2", pl.Float64(), "", "`PC2` of a documented row, likewise."),
    *_ORIGIN,
)
"""One row a binding constraint. A live row has four fields: what it does not carry is null."""

SNAPSHOT_COLUMNS: Final = (
    *_TIMES,
    Column("constraints", pl.Int32(), "", "How many constraints bind; 0 when quiet."),
    Column("quiet", pl.Boolean(), "", "Whether nothing binds: an observation, not a gap."),
    *_ORIGIN,
)
"""One row a snapshot, quiet ones included."""

CONSTRAINTS: Final = pl.Schema({column.name: column.dtype for column in CONSTRAINT_COLUMNS})
SNAPSHOTS: Final = pl.Schema({column.name: column.dtype for column in SNAPSHOT_COLUMNS})

COVERAGE_COLUMNS: Final = (
    Column("market_day", pl.Date(), "", "The market day (EST)."),
    Column("expected", pl.Int32(), "", "Intervals that have ended: 288, fewer on the day that is not over."),
    Column("collected", pl.Int32(), "", "Of those, how many have a snapshot: quiet and binding."),
    Column("quiet", pl.Int32(), "", "Intervals in which nothing binds, by the latest body."),
    Column("binding", pl.Int32(), "", "Intervals in which something binds, by the latest body."),
    Column("missing", pl.Int32(), "", "Intervals without a snapshot: expected less collected. Not known to be quiet."),
    Column(
        "healed",
        pl.Int32(),
        "",
        "Of the missing, how many MISO's next-day report covers, archived and readable: inferred.",
    ),
    Column("refused", pl.Int32(), "", "Bodies that were refused and are kept, by the EST day of the fetch."),
    Column("revised", pl.Int32(), "", "Intervals with more than one body."),
    Column("unreadable", pl.Int32(), "", "Objects among the snapshots that cannot be read."),
    Column("off_grid", pl.Int32(), "", "Snapshots whose label is not on the five-minute grid; not in `collected`."),
)
"""One row a market day."""

COVERAGE: Final = pl.Schema({column.name: column.dtype for column in COVERAGE_COLUMNS})
