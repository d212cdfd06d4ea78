"""The columns of the reader's frames: names, types, units, meaning. Raw and compacted archives give the same."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import polars as pl

from miso_archive.contract.pages import OfADay
from miso_archive.contract.rows import Contract, RowLabel, Table, fields_of
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST_NAME, INTERVAL
from miso_archive.intervals.market_days import ONE_DAY
from miso_archive.text import shown

_AN_HOUR: Final = timedelta(hours=1)

SNAPSHOTS_TABLE: Final = "snapshots"
"""The frame of a feed's snapshots: one row each."""

FETCH_TIMES_TABLE: Final = "fetch_times"
"""The frame of when a feed's snapshots were fetched; compacted beside its tables."""

TIME: Final = pl.Datetime("us", EST_NAME)
LIVE: Final = "live"
"""The source of a row that MISO's live feed showed."""

KEYED_API: Final = "keyed_api"
"""The source of a row of MISO's keyed API, which tells of past days and of the day ahead: not live."""

ROLLING_DAYS: Final = "rolling_days"
"""The source of a row of the links that show the market day so far, and the one before: the host's own, not live."""

OBJECTS: Final = pl.Schema({"object_key": pl.String(), "interval_end": TIME, "revision": pl.Int32()})
"""What is known of archived snapshots before they are read: one row an object."""

MARKET_DAY: Final = (pl.col("interval_end") - pl.duration(microseconds=1)).dt.date().alias("market_day")
"""The market day of ``interval_end``: the label 00:00 ends the last interval of the day before."""

INTERVAL_START: Final = (pl.col("interval_end") - INTERVAL).alias("interval_start")


DAY_START: Final = (pl.col("interval_end") - ONE_DAY).alias("interval_start")
"""The same of a market day, whose end ``interval_end`` is."""


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
        "`live`: the live feed; if asked for, `next_day_report`, `day_ahead_report`: MISO's reports, `keyed_api`: its"
        " keyed API, `rolling_days`: its links of today and yesterday.",
    ),
    Column("object_key", pl.String(), "", "The key of the archived object, below the archive's root."),
)

_FETCH_TIMES: Final = (
    *(column for column in (*_TIMES, *_ORIGIN) if column.name not in {"ref_id", "is_latest", "source"}),
    Column("fetched_at", TIME, "EST", "When the body was fetched, to the second; null where no provenance is kept."),
    Column("lag_minutes", pl.Float64(), "minutes", "From the interval's end to the fetch."),
)

_OF_AN_HOUR: Final = {
    "market_day": "The market day (EST) of the hour.",
    "interval_start": "Where the hour begins.",
    "interval_end": "Where the hour ends: hour 17 at 17:00, as labels name ends **[inferred]**.",
    "ref_id": "The label of the row's body: of five minutes, not of the hour.",
    "revision": "Among the bodies of its body's label, not of the hour: 0 for the one fetched first, 1 for the next.",
    "is_latest": "Whether no later readable body is archived of the hour: its last one counts.",
}
"""What columns mean in a table whose rows are of an hour of the market day."""

_OF_THEIR_OWN: Final = {
    "interval_end": "Where they end, as the row says: a body's rows may be of several intervals, up to a market day"
    " from its label.",
    "ref_id": "The label of the row's body, which may be of another interval than the row.",
    "revision": "Among the bodies of its body's label, not of the row's interval: 0 for the one fetched first.",
    "is_latest": "Whether no later readable body has the row of the interval: the last one that has it counts.",
}
"""What columns mean in a table whose rows name intervals of their own."""

_OF_A_DAY: Final = {
    "interval_start": "Where the row's interval begins.",
    "interval_end": "Where it ends, whichever end MISO names it by.",
    "revision": "Among the bodies of its page: 0 for the one fetched first, 1 for the next.",
    "is_latest": "Whether it counts: all pages of the day stand, and no later body or page has the same row.",
    "source": "`keyed_api`: MISO's keyed API, not the live feed.",
}
"""What columns mean in a table whose bodies are pages of a market day."""

_OF_PAGES: Final = _OF_A_DAY | {
    "interval_start": "Where the market day begins.",
    "interval_end": "Where it ends.",
    "ref_id": "Which page of which market day, in our words.",
    "is_latest": "Whether it counts: all pages of the day stand, and none of its page is fetched later.",
}

_HOUR: Final = Column("hour_ending", pl.Int32(), "", "The hour of the market day by its end, 1 to 24.")
_NODE: Final = Column("node", pl.String(), "", "The commercial pricing node that was asked for.")

TYPES: Final[dict[type, pl.DataType]] = {
    str: pl.String(),
    float: pl.Float64(),
    int: pl.Int32(),
    bool: pl.Boolean(),
    list: pl.List(pl.String()),
    date: pl.Date(),
    datetime: TIME,
}


def value_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns of what a table's rows say, in order."""
    fields = fields_of(table.row)
    made = [*(column for parsed in table.parsed for column in parsed.columns), *(one.column for one in table.computed)]
    columns = {
        name: Column(name, TYPES[field.kind.holds], field.unit, field.meaning)
        for name, field in fields.items()
        if field.kept
    } | {column.name: Column(column.name, TYPES[column.holds], column.unit, column.meaning) for column in made}
    order = dict.fromkeys((*table.order, *columns))
    return tuple(columns[name] for name in order)


def _hour_columns(contract: Contract, table: Table) -> tuple[Column, ...]:
    return tuple(column for column in figure_columns(contract) if column.name == table.hour)


def figure_columns(contract: Contract) -> tuple[Column, ...]:
    """Return the columns of what a body says beside its rows."""
    figures = fields_of(contract.figures) if contract.figures else {}
    return tuple(
        Column(name, TYPES[field.kind.holds], field.unit, field.meaning)
        for name, field in figures.items()
        if field.kept
    )


def columns_of(feed: Feed, table: str) -> tuple[Column, ...]:
    """Return the columns of one of a feed's frames: a table of it, ``snapshots``, or ``fetch_times``."""
    contract = feed.contract
    if table == FETCH_TIMES_TABLE:
        return _FETCH_TIMES
    if feed.daily is not None:
        return _columns_of_pages(feed, table)
    if table != SNAPSHOTS_TABLE:
        found = table_given(feed, table)
        columns = (*_TIMES, *value_columns(found), *_hour_columns(contract, found), *_ORIGIN)
        return _meaning(columns, _particular(contract) | _of_rows(found))
    counts = tuple(Column(one.name, pl.Int32(), "", _counted(contract, one)) for one in contract.tables)
    quiet = (Column("quiet", pl.Boolean(), "", "Whether nothing binds: an observation, not a gap."),)
    columns = (*_TIMES, *counts, *(quiet if contract.quiet else ()), *figure_columns(contract), *_ORIGIN)
    return _meaning(columns, _particular(contract))


def _columns_of_pages(feed: Feed, table: str) -> tuple[Column, ...]:
    contract = feed.contract
    if table != SNAPSHOTS_TABLE:
        found = table_given(feed, table)
        times = tuple(column for column in _TIMES if column.name != "ref_id")
        hour = (_HOUR,) if issubclass(found.row, OfADay) and found.row.length == _AN_HOUR else ()
        return _meaning((*times, *hour, *value_columns(found), *_ORIGIN), _OF_A_DAY)
    counts = tuple(Column(one.name, pl.Int32(), "", _counted(contract, one)) for one in contract.tables)
    node = (_NODE,) if feed.daily is not None and feed.daily.nodes else ()
    return _meaning((*_TIMES, *node, *counts, *figure_columns(contract), *_ORIGIN), _OF_PAGES)


def _counted(contract: Contract, table: Table) -> str:
    return f"How many {table.name} bind; 0 when quiet." if contract.quiet else f"How many rows `{table.name}` has."


def _meaning(columns: tuple[Column, ...], particular: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(column._replace(meaning=particular.get(column.name, column.meaning)) for column in columns)


def _particular(contract: Contract) -> dict[str, str]:
    """Return what columns mean in a feed whose bodies have no label of their own."""
    label = contract.label
    return {"ref_id": f"The label, in our words: the time of `{label.name}`."} if isinstance(label, RowLabel) else {}


def _of_rows(table: Table) -> dict[str, str]:
    """Return what columns mean in a table whose rows are of other intervals than their body."""
    if table.hour is not None:
        return _OF_AN_HOUR
    return {} if table.label is None else _OF_THEIR_OWN


def schema_of(feed: Feed, table: str) -> pl.Schema:
    """Return the names and types of ``columns_of``."""
    return pl.Schema({column.name: column.dtype for column in columns_of(feed, table)})


def tables_of(feed: Feed) -> tuple[str, ...]:
    """Return the names of a feed's frames: its tables, and ``snapshots``."""
    return (*(table.name for table in feed.contract.tables), SNAPSHOTS_TABLE)


class WrongTableError(ValueError):
    """A feed has no table of this name."""


def table_given(feed: Feed, table: str | None) -> Table:
    """Return a feed's table by its name; the first when none is given.

    Raises:
        WrongTableError: There is none of this name.
    """
    tables = {found.name: found for found in feed.contract.tables}
    return tables[_given(feed, table, tuple(tables))]


def frame_given(feed: Feed, table: str | None) -> str:
    """Return the name of one of a feed's frames, ``snapshots`` included; the first when none is given.

    Raises:
        WrongTableError: There is none of this name.
    """
    return _given(feed, table, tables_of(feed))


def _given(feed: Feed, table: str | None, known: Sequence[str]) -> str:
    if table is not None and table not in known:
        raise WrongTableError(f"the tables of {feed.name} are {', '.join(known)}, not {shown(str(table))}")
    return known[0] if table is None else table


CONSTRAINTS: Final = schema_of(RESERVE, "constraints")
"""One row a binding constraint. A live row has four fields: what it does not carry is null."""

SNAPSHOTS: Final = schema_of(RESERVE, SNAPSHOTS_TABLE)
"""One row a snapshot, quiet ones included."""

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
        "Of the missing, how many another source of MISO's covers, archived and readable: inferred.",
    ),
    Column("refused", pl.Int32(), "", "Bodies that were refused and are kept, by the EST day of the fetch."),
    Column("revised", pl.Int32(), "", "Intervals with more than one body."),
    Column("unreadable", pl.Int32(), "", "Objects among the snapshots that cannot be read."),
    Column("off_grid", pl.Int32(), "", "Snapshots whose label is not on the five-minute grid; not in `collected`."),
)
"""One row a market day."""

COVERAGE: Final = pl.Schema({column.name: column.dtype for column in COVERAGE_COLUMNS})


_OF_DAILY: Final = {
    "expected": "Rows that the day is to have, of each node; none before it can be there.",
    "collected": "Of those, how many it has, where all its pages stand.",
    "missing": "Rows that are to be there and are not: expected less collected.",
    "revised": "Pages with more than one body.",
}

DAILY_COVERAGE_COLUMNS: Final = (
    *(
        column._replace(meaning=_OF_DAILY.get(column.name, column.meaning))
        for column in COVERAGE_COLUMNS
        if column.name not in {"quiet", "binding", "healed", "off_grid"}
    ),
    Column("pages", pl.Int32(), "", "Pages that stand, of a day that is not whole too."),
)
"""One row a market day of a daily feed."""


def coverage_of(feed: Feed) -> pl.Schema:
    """Return the columns of a feed's coverage: one that cannot be quiet has none of what is."""
    if feed.daily is not None:
        return pl.Schema({column.name: column.dtype for column in DAILY_COVERAGE_COLUMNS})
    only_quiet = () if feed.contract.quiet else ("quiet", "binding")
    return pl.Schema({name: dtype for name, dtype in COVERAGE.items() if name not in only_quiet})
