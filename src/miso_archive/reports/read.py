"""MISO's reports on binding constraints to typed frames. Pure.

No raw file is at hand: the layouts are those that public libraries parse, and that of ``rt_bc`` also that of a public
copy of its rows. Three banner rows, a header, the rows, one disclaimer row; a day without binding constraints has no
rows. What a time in a real-time report names is **unverified**: it is taken for the interval's **end**, as in the live
feed, which is inferred. A report with a time of another market day speaks against that and is refused; of one that goes
from its day's own 00:00 on, what stands at that time is used for nothing, as it may be the day's first or its eve's
last interval. Where live rows of the same day are at hand, ``healing`` compares.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Final

import polars as pl

from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.contract.kinds import WrongValueError
from miso_archive.contract.rows import Parsed, Published, Table, fields_of
from miso_archive.feeds.columns import MARKET_DAY, TIME, TYPES, schema_of, table_given
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.intervals.labels import EST_NAME, MONTHS
from miso_archive.intervals.market_days import day_begins
from miso_archive.reports.cells import RefusedReportError, cells_of, refuse, sheet_here
from miso_archive.text import shown

_MOST_BANNER_ROWS: Final = 10
_HOURS_A_DAY: Final = 24
_MARKET_DATE: Final = re.compile(r"market\s+date\s*:?\s*(?P<date>.*)", re.IGNORECASE | re.DOTALL)
_DATES: Final = (
    re.compile(r"(?P<month>\d{1,2})[/-](?P<day>\d{1,2})[/-](?P<year>\d{4})", re.ASCII),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})", re.ASCII),
    re.compile(r"(?P<name>[A-Za-z]{3})[a-z]*\.? (?P<day>\d{1,2}),? (?P<year>\d{4})", re.ASCII),
)
_SPELLED: Final = ("%m-%d-%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S%.f")
# The last of them is what the library makes of Excel's own dates, as is the day before this pattern's clock.
_CLOCK: Final = r"^(?:1899-12-31 )?(?<hour>\d{1,2}):(?<minute>[0-5]\d)(?::00(?:\.\d+)?)?$"
_IN_WORDS: Final = r"^[^\d\s]"


def read_report(  # noqa: PLR0913 - what is read, of which day, and how
    feed: Feed,
    report: Report,
    data: bytes,
    market_day: date,
    object_key: str = "",
    *,
    sheet: Callable[[bytes], pl.DataFrame] = sheet_here,
) -> pl.DataFrame:
    """Read a report: one row a binding constraint and time, in time order; rows that are alike once.

    A time of the day is taken for the end of five minutes in EST: unverified, inferred from the live feed. A time off
    the five-minute grid is kept as it is. The hour of a day-ahead report, 1 to 24, is taken for the hour ending: 1 is
    00:00 to 01:00 EST. A name longer than what the live feed shows of it is cut as it is there, so that they join.

    The market day is checked against the banner's ``Market Date:``, where there is one, and against every time. A
    report without one, whose times have no date, is refused: nothing would say which day it is.

    A workbook damaged on purpose can make the library end the process: ``Apart`` reads where that does no harm.

    Args:
        feed: Whose report it is.
        report: Which kind of report, of those that the feed has.
        data: The file as MISO sent it.
        market_day: The day (EST) that it is to be about.
        object_key: Where it is archived, for the column of that name.
        sheet: How the cells of a workbook are had.

    Returns:
        A frame with the columns of the feed's table ``constraints``: shadow prices in its unit, the sign as published;
        what the report does not carry is null.

    Raises:
        RefusedReportError: It is no such report of that day.
    """
    table = table_given(feed, None)
    cells = cells_of(report, data, sheet)
    header, columns = _header(cells, report)
    cells = _with_the_rest(cells, header)
    _check_market_date(cells.head(header).rows(), report, market_day)
    rows = _rows(cells, header, columns, report)
    rows = rows.with_columns(interval_end=_ends(report, market_day))
    if report.from_midnight:
        rows = rows.filter(pl.col("interval_end").ne_missing(pl.lit(day_begins(market_day), TIME)))
    said = _read(table, report, rows, market_day)
    if report.cut_at is not None:
        said = said.with_columns(pl.col("constraint_name").str.slice(0, report.cut_at))
    for parsed in table.parsed:
        said = said.join(_parts(said[parsed.of], parsed), on=parsed.of, how="left", maintain_order="left")
    known = said.with_columns(
        MARKET_DAY,
        interval_start=pl.col("interval_end") - report.length,
        revision=pl.lit(0, pl.Int32),
        is_latest=pl.lit(value=True),
        source=pl.lit(report.source),
        object_key=pl.lit(object_key),
    )
    return known.select(
        pl.col(name) if name in known.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema_of(feed, table.name).items()
    )


def covered(report: Report, rows: pl.DataFrame, market_day: date) -> pl.Series:
    """Return the ends of the intervals that a report speaks for: all of its day, quiet where it has no row.

    That is inferred: a day without binding constraints has no rows. An interval into which a time off the grid falls
    is left out: what the report says of it is not known. So is the day's last one in a report that goes from 00:00 on,
    unless it has a row of it: nothing else shows that it goes so far.
    """
    ends = pl.Series("interval_end", report.interval_ends(market_day), TIME)
    found = rows["interval_end"]
    # Truncating from below the label gives the start of the interval that a time falls into.
    starts = (found - timedelta(microseconds=1)).dt.truncate(report.length)
    doubtful = (starts + report.length).filter(~found.is_in(ends.implode()))
    spoken_for = ends.filter(~ends.is_in(doubtful.implode()))
    if report.from_midnight and ends[-1] not in found:
        return spoken_for.filter(spoken_for != ends[-1])
    return spoken_for


def _header(cells: pl.DataFrame, report: Report) -> tuple[int, dict[str, str]]:
    """Find the header; return its number and which columns of the file hold what."""
    for number, row in enumerate(cells.head(_MOST_BANNER_ROWS).rows()):
        names = [" ".join((cell or "").split()).lower() for cell in row]
        label = next((name for name in report.headings if name in names), None)
        if label is not None:
            wanted = {label: "label", **report.columns}
            if missing := [name for name in wanted if name not in names]:
                refuse(RefusalCode.REPORT_LAYOUT, f"Row[{number}]", f"the header has no column {missing[0]!r}")
            return number, {cells.columns[names.index(name)]: column for name, column in wanted.items()}
    return refuse(RefusalCode.REPORT_LAYOUT, "file", f"no header with {report.headings[0]!r} is found")


def _with_the_rest(cells: pl.DataFrame, header: int) -> pl.DataFrame:
    """Put what stands beyond the header's last name to the column of that: free text, whose commas parted it."""
    last = max(number for number, cell in enumerate(cells.row(header)) if cell and cell.strip())
    rest = [pl.col(name).replace("", None) for name in cells.columns[last:]]
    return cells.with_columns(pl.concat_str(rest, separator=", ", ignore_nulls=True).alias(cells.columns[last]))


def _check_market_date(banner: Iterable[tuple[str | None, ...]], report: Report, market_day: date) -> None:
    for number, row in enumerate(banner):
        texts = [cell for cell in row if cell]
        for position, text in enumerate(texts):
            match = _MARKET_DATE.search(text)
            if match is None:
                continue
            spelled = match["date"] or " ".join(texts[position + 1 :])
            if _date(spelled) != market_day:
                message = f"the market date is {shown(spelled)}, and {market_day} was to be"
                refuse(RefusalCode.REPORT_MARKET_DAY, f"Row[{number}]", message)
            return
    if report.times != "dated":
        refuse(RefusalCode.REPORT_MARKET_DAY, "file", "the banner has no 'Market Date:', so no day is known")


def _date(text: str) -> date | None:
    for pattern in _DATES:
        match = pattern.match(text.strip())
        if match is None:
            continue
        parts = match.groupdict()
        try:
            month = int(parts["month"]) if "month" in parts else MONTHS.index(parts["name"].lower()) + 1
            return date(int(parts["year"]), month, int(parts["day"]))
        except ValueError:
            return None
    return None


def _rows(cells: pl.DataFrame, header: int, columns: dict[str, str], report: Report) -> pl.DataFrame:
    """Return the rows between the header and the disclaimer as text: ``row``, ``label`` and what else is read."""
    text = pl.all().str.strip_chars().replace("", None)
    below = cells.with_columns(text).with_row_index("row")[header + 1 :]
    filled = below.filter(~pl.all_horizontal(pl.exclude("row").is_null()))
    rows = filled.select("row", *columns).rename(columns)
    if rows.is_empty() or not _is_disclaimer(rows[-1], filled[-1], report):
        refuse(RefusalCode.REPORT_LAYOUT, "file", "no disclaimer row ends it: it may have been cut off")
    return rows[:-1]


def _is_disclaimer(row: pl.DataFrame, whole: pl.DataFrame, report: Report) -> bool:
    """Tell a sentence from a row: in a sheet it has one cell, in lines its commas part it, and it begins in words."""
    if report.ending == "csv":
        first = next(cell for cell in whole.drop("row").row(0) if cell is not None)
        return re.match(_IN_WORDS, first) is not None
    return row["shadow_price"][0] is None and row["constraint_name"][0] is None


def _ends(report: Report, market_day: date) -> pl.Expr:
    """Read the times as ends of intervals; what is none is null."""
    text = pl.col("label")
    if report.times == "dated":
        spelled = [text.str.to_datetime(pattern, strict=False, time_unit="us") for pattern in _SPELLED]
        return pl.coalesce(spelled).dt.replace_time_zone(EST_NAME)
    midnight = pl.lit(day_begins(market_day), TIME)
    if report.times == "clock":
        clock = text.str.extract_groups(_CLOCK)
        hour, minute = (clock.struct.field(name).cast(pl.Int64, strict=False) for name in ("hour", "minute"))
        is_time = (hour < _HOURS_A_DAY) | ((hour == _HOURS_A_DAY) & (minute == 0))
        return pl.when(is_time).then(midnight + pl.duration(hours=hour, minutes=minute))
    hour = text.cast(pl.Float64, strict=False)
    is_hour = (hour == hour.round()) & hour.is_between(1, _HOURS_A_DAY)
    return pl.when(is_hour).then(midnight + pl.duration(hours=hour.cast(pl.Int64, strict=False)))


def _read(table: Table, report: Report, rows: pl.DataFrame, market_day: date) -> pl.DataFrame:
    """Read what the rows say, in time order; refuse with one reason for all rows of a kind that cannot be read."""
    other_day = f"does not end an interval of the market day {market_day}; a time is taken for an interval's end"
    times = (
        (RefusalCode.UNREADABLE_TIME, pl.col("interval_end").is_null(), "cannot be read as a time"),
        (RefusalCode.REPORT_MARKET_DAY, MARKET_DAY.ne(market_day), other_day),
    )
    found: list[Finding | None] = []
    for code, is_bad, message in times:
        bad = rows.filter(is_bad)
        if len(bad):
            found.append(_reason(code, bad, f"{shown(bad['label'][0])} {message}"))
    columns, fields = {}, fields_of(table.row)
    for name in report.columns.values():
        columns[name], wrong = _column(fields[name], rows, name)
        found.append(wrong)
    if reasons := tuple(reason for reason in found if reason is not None):
        raise RefusedReportError(reasons)
    read = rows.select("interval_end").with_columns(**columns)
    return read.unique(maintain_order=True).sort("interval_end", maintain_order=True)


def _column(field: Published, rows: pl.DataFrame, name: str) -> tuple[pl.Series, Finding | None]:
    """Read a column, each text once, and say what of it is not of the field's kind."""
    meanings: dict[str | None, object] = {}
    wrong: dict[str | None, WrongValueError] = {}
    for text in rows[name].unique(maintain_order=True):
        try:
            meanings[text] = field.kind.read(text)
        except WrongValueError as error:
            wrong[text] = error
    values = pl.Series(name, [meanings.get(text) for text in rows[name]], TYPES[field.kind.holds])
    bad = rows.filter(pl.Series([text in wrong for text in rows[name]], dtype=pl.Boolean))
    if bad.is_empty():
        return values, None
    first = wrong[bad[name][0]]
    return values, _reason(field.code_of(first.trouble), bad, str(first))


def _reason(code: RefusalCode, bad: pl.DataFrame, message: str) -> Finding:
    more = f"; and so in {len(bad) - 1} more rows" if len(bad) > 1 else ""
    return Finding(code, f"Row[{bad['row'][0]}]", f"{message}{more}")


def _parts(texts: pl.Series, parsed: Parsed) -> pl.DataFrame:
    """Take each text apart once: they recur."""
    names = [column.name for column in parsed.columns]
    schema = {parsed.of: pl.String(), **{column.name: TYPES[column.holds] for column in parsed.columns}}
    rows = [{parsed.of: text, **dict(zip(names, parsed.parse(text), strict=True))} for text in texts.unique()]
    return pl.DataFrame(rows, schema)
