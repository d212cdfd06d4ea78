"""MISO's reports on reserve constraints, legacy Excel workbooks, to typed frames. Pure.

No raw sample of these files is at hand: the layout is the one that two public libraries parse. Three banner rows, a
header, the rows, one disclaimer row; a day without binding constraints has no rows. What a time in the real-time report
names is **unverified**: it is taken for the interval's **end**, as in the live feed, which is inferred. A report with a
time that no interval of its market day ends at, such as the day's own 00:00, speaks against that and is refused.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NoReturn

import polars as pl

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.content_encoding import WORKBOOK
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.columns import CONSTRAINTS, DAY_AHEAD_REPORT, MARKET_DAY, NEXT_DAY_REPORT, TIME
from miso_archive.feeds.constraint_name import parse_constraint_name
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST_NAME, INTERVAL, MONTHS
from miso_archive.intervals.market_days import ONE_DAY, day_begins
from miso_archive.text import shown

_MOST_BANNER_ROWS: Final = 10
_HOURS_A_DAY: Final = 24
_COLUMNS: Final = {
    "constraint name": "constraint_name",
    "shadow price": "shadow_price",
    "constraint description": "description",
}
_MARKET_DATE: Final = re.compile(r"market\s+date\s*:?\s*(?P<date>.*)", re.IGNORECASE | re.DOTALL)
_DATES: Final = (
    re.compile(r"(?P<month>\d{1,2})[/-](?P<day>\d{1,2})[/-](?P<year>\d{4})", re.ASCII),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})", re.ASCII),
    re.compile(r"(?P<name>[A-Za-z]{3})[a-z]*\.? (?P<day>\d{1,2}),? (?P<year>\d{4})", re.ASCII),
)


@dataclass(frozen=True, slots=True)
class Report:
    """One kind of report: of which feed, its name in addresses and keys, its rows' source, and how it tells time.

    ``dated`` is the file's date less the market day; ``length`` how long what a row names lasts.
    """

    feed: Feed
    name: str
    source: str
    dated: timedelta
    length: timedelta
    labels: tuple[str, ...]
    names_its_day: bool

    def file_name(self, market_day: date) -> str:
        """Return the file of a market day: ``20260727_rt_rpe.xls`` has 2026-07-26, ``20260725_da_rpe.xls`` too."""
        return f"{market_day + self.dated:%Y%m%d}_{self.name}.xls"

    def interval_ends(self, market_day: date) -> list[datetime]:
        """Return the ends of all intervals of a market day, in EST."""
        return [day_begins(market_day) + self.length * number for number in range(1, ONE_DAY // self.length + 1)]


REAL_TIME: Final = Report(
    feed=RESERVE,
    name="rt_rpe",
    source=NEXT_DAY_REPORT,
    dated=ONE_DAY,
    length=INTERVAL,
    labels=("time of occurence", "time of occurrence"),
    names_its_day=False,
)
"""Real time, five minutes a row; the file's date is the day after the market day."""

DAY_AHEAD: Final = Report(
    feed=RESERVE,
    name="da_rpe",
    source=DAY_AHEAD_REPORT,
    dated=-ONE_DAY,
    length=timedelta(hours=1),
    labels=("hour of occurence", "hour of occurrence"),
    names_its_day=True,
)
"""Day ahead, an hour a row; the file's date is the day before the market day."""


def next_day_report(feed: Feed) -> Report | None:
    """Return the report that speaks for a feed's gaps; None where MISO publishes none."""
    return REAL_TIME if feed.dataset == REAL_TIME.feed.dataset else None


class RefusedReportError(ValueError):
    """A report is not what its name says: ``reasons`` tells why, with stable codes."""

    def __init__(self, reasons: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(f"{reason.code.value}: {reason.where} {reason.message}" for reason in reasons))
        self.reasons = reasons


def read_report(report: Report, data: bytes, market_day: date, object_key: str = "") -> pl.DataFrame:
    """Read a report: one row a binding constraint and time, in time order.

    ``Time of Occurence`` of a ``YYYYMMDD_rt_rpe.xls`` is taken for the end of five minutes in EST: unverified, inferred
    from the live feed. A time off the five-minute grid is kept as it is. ``Hour of Occurence`` of a
    ``YYYYMMDD_da_rpe.xls``, 1 to 24, is taken for the hour ending: 1 is 00:00 to 01:00 EST.

    The market day is checked against the banner's ``Market Date:``, where there is one, and against every time. A
    day-ahead report without one is refused: nothing would say which day it is.

    A workbook damaged on purpose can make the library end the process: ``check_report`` reads where that does no harm.

    Args:
        report: Which kind of report.
        data: The file as MISO sent it.
        market_day: The day (EST) that it is to be about.
        object_key: Where it is archived, for the column of that name.

    Returns:
        A frame with the columns of ``feeds.columns.CONSTRAINTS``: shadow prices in $/MW, the sign as published; what
        the report does not carry is null.

    Raises:
        RefusedReportError: It is no such report of that day.
    """
    cells = _cells(data)
    header, columns = _header(cells, report)
    _check_market_date(cells.head(header).rows(), report, market_day)
    rows = _rows(cells, header, columns)
    ends = _hour_ends(market_day) if report.names_its_day else _times()
    read = rows.with_columns(interval_end=ends, price=pl.col("shadow_price").cast(pl.Float64, strict=False))
    _check_rows(read, market_day)
    known = read.sort("interval_end", maintain_order=True).select(
        "interval_end",
        "constraint_name",
        "description",
        MARKET_DAY,
        interval_start=pl.col("interval_end") - report.length,
        shadow_price="price",
        revision=pl.lit(0, pl.Int32),
        is_latest=pl.lit(value=True),
        source=pl.lit(report.source),
        object_key=pl.lit(object_key),
    )
    named = known.join(_parts(known["constraint_name"]), on="constraint_name", how="left", maintain_order="left")
    return named.select(
        pl.col(name) if name in named.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in CONSTRAINTS.items()
    )


def covered(report: Report, rows: pl.DataFrame, market_day: date) -> pl.Series:
    """Return the ends of the intervals that a report speaks for: all of its day, quiet where it has no row.

    That is inferred: a day without binding constraints has no rows. An interval into which a time off the grid falls
    is left out: what the report says of it is not known.
    """
    ends = pl.Series("interval_end", report.interval_ends(market_day), TIME)
    found = rows["interval_end"]
    # Truncating from below the label gives the start of the interval that a time falls into.
    starts = (found - timedelta(microseconds=1)).dt.truncate(report.length)
    doubtful = (starts + report.length).filter(~found.is_in(ends.implode()))
    return ends.filter(~ends.is_in(doubtful.implode()))


def _cells(data: bytes) -> pl.DataFrame:
    """Return the first sheet as text, cell by cell."""
    if len(data) > MOST_BYTES:
        _refuse(RefusalCode.BODY_TOO_LARGE, "file", f"is larger than {MOST_BYTES} bytes")
    start = data[:1024].removeprefix(BOM_UTF8).strip()
    if not start:
        _refuse(RefusalCode.EMPTY_BODY, "file", "is empty")
    if start.startswith(b"<"):
        _refuse(RefusalCode.HTML_PAGE, "file", f"begins with {shown(start[:40].decode('latin-1'))}")
    if not data.startswith(WORKBOOK):
        _refuse(RefusalCode.NOT_A_WORKBOOK, "file", f"begins with {shown(start[:8].decode('latin-1'))}")
    try:
        return pl.read_excel(
            data,
            engine="calamine",
            has_header=False,
            infer_schema_length=0,  # all as text
            drop_empty_rows=False,
            drop_empty_cols=False,
            raise_if_empty=False,
        )
    except (KeyboardInterrupt, SystemExit, ImportError, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 - where calamine panics it raises what is no Exception
        _refuse(RefusalCode.NOT_A_WORKBOOK, "file", f"cannot be read: {shown(str(error).partition(chr(10))[0], 200)}")


def _header(cells: pl.DataFrame, report: Report) -> tuple[int, dict[str, str]]:
    """Find the header; return its number and which sheet columns hold what."""
    for number, row in enumerate(cells.head(_MOST_BANNER_ROWS).rows()):
        names = [" ".join((cell or "").split()).lower() for cell in row]
        label = next((name for name in report.labels if name in names), None)
        if label is not None:
            wanted = {label: "label", **_COLUMNS}
            if missing := [name for name in wanted if name not in names]:
                _refuse(RefusalCode.REPORT_LAYOUT, f"Row[{number}]", f"the header has no column {missing[0]!r}")
            return number, {cells.columns[names.index(name)]: column for name, column in wanted.items()}
    return _refuse(RefusalCode.REPORT_LAYOUT, "file", f"no header with {report.labels[0]!r} is found")


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
                _refuse(RefusalCode.REPORT_MARKET_DAY, f"Row[{number}]", message)
            return
    if report.names_its_day:
        _refuse(RefusalCode.REPORT_MARKET_DAY, "file", "the banner has no 'Market Date:', so no day is known")


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


def _rows(cells: pl.DataFrame, header: int, columns: dict[str, str]) -> pl.DataFrame:
    """Return the rows between the header and the disclaimer as text: ``row``, ``label`` and the three columns."""
    text = pl.all().str.strip_chars().replace("", None)
    below = cells.with_columns(text).with_row_index("row")[header + 1 :]
    rows = below.filter(~pl.all_horizontal(pl.exclude("row").is_null())).select("row", *columns).rename(columns)
    if rows.is_empty() or rows["shadow_price"][-1] is not None or rows["constraint_name"][-1] is not None:
        _refuse(RefusalCode.REPORT_LAYOUT, "file", "no disclaimer row ends it: it may have been cut off")
    return rows[:-1]


def _times() -> pl.Expr:
    """Read the times of the real-time report: text, or what the library makes of Excel's own dates."""
    text = pl.col("label")
    spelled = text.str.to_datetime("%m-%d-%Y %H:%M:%S", strict=False, time_unit="us")
    cell = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    return pl.coalesce(spelled, cell).dt.replace_time_zone(EST_NAME)


def _hour_ends(market_day: date) -> pl.Expr:
    hour = pl.col("label").cast(pl.Float64, strict=False)
    is_hour = (hour == hour.round()) & hour.is_between(1, _HOURS_A_DAY)
    end = pl.lit(day_begins(market_day), TIME) + pl.duration(hours=hour.cast(pl.Int64, strict=False))
    return pl.when(is_hour).then(end)


def _check_rows(rows: pl.DataFrame, market_day: date) -> None:
    """Refuse a report with a row that cannot be read, or is not of its day; one reason for all rows of a kind."""
    other_day = f"does not end an interval of the market day {market_day}; a time is taken for an interval's end"
    checks = (
        (RefusalCode.UNREADABLE_TIME, "label", pl.col("interval_end").is_null(), "cannot be read as a time"),
        (RefusalCode.REPORT_MARKET_DAY, "label", MARKET_DAY.ne(market_day), other_day),
        (RefusalCode.EMPTY_NAME, "constraint_name", pl.col("constraint_name").is_null(), "is empty"),
        (
            RefusalCode.BAD_PRICE,
            "shadow_price",
            ~pl.col("price").is_finite().fill_null(value=False),
            "is not a finite number",
        ),
    )
    reasons: list[Finding] = []
    for code, column, is_bad, message in checks:
        bad = rows.filter(is_bad)
        if len(bad):
            more = f"; and so in {len(bad) - 1} more rows" if len(bad) > 1 else ""
            reasons.append(Finding(code, f"Row[{bad['row'][0]}]", f"{shown(bad[column][0])} {message}{more}"))
    if reasons:
        raise RefusedReportError(tuple(reasons))


def _parts(names: pl.Series) -> pl.DataFrame:
    """Take each name apart once: they recur."""
    parts = ("element", "flow_direction", "terms", "zone")
    schema = {"constraint_name": pl.String(), **{name: CONSTRAINTS[name] for name in parts}}
    rows = [{"constraint_name": name, **parse_constraint_name(name)._asdict()} for name in names.unique()]
    return pl.DataFrame(rows, schema)


def _refuse(code: RefusalCode, where: str, message: str) -> NoReturn:
    raise RefusedReportError((Finding(code, where, message),))
