"""MISO's reports of the simulated market, in the layouts of the real ones as far as these are known.

Their times name the ends of intervals, as is inferred of the real ones, and go from 00:00 to 23:55 where those do.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from io import BytesIO
from typing import Any, Final

from miso_archive.extras import needs
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import INTERVALS_A_DAY, day_begins, hour_ending_of
from miso_archive.simulate.bodies import body_of

_DISCLAIMER: Final = "Simulated: nothing in this report was published by MISO."


def report_file(feed: Feed, report: Report, market_day: date, *, seed: int) -> bytes:
    """Return the report of a simulated market day, as a file of its kind.

    Raises:
        MissingExtraError: It is a workbook, and the library that writes those is not installed.
    """
    rows = [(end, row) for end in _ends(report, market_day) for row in _binding(feed, end, seed)]
    layout = _LAYOUTS[report.name]
    return layout(report, market_day, rows)


def _ends(report: Report, market_day: date) -> Iterator[datetime]:
    if report.times == "hour":
        yield from report.interval_ends(market_day)
        return
    first = 0 if report.from_midnight else 1
    for number in range(first, first + INTERVALS_A_DAY):
        yield day_begins(market_day) + number * INTERVAL


def _binding(feed: Feed, interval_end: datetime, seed: int) -> tuple[Any, ...]:
    """Return the constraints that bind: of an hour those of its last five minutes."""
    snapshot = feed.examine(body_of(feed, interval_end, seed=seed)).snapshot
    return () if snapshot is None or snapshot.quiet else snapshot.rows


Rows = list[tuple[datetime, Any]]


def _reserve_sheet(report: Report, market_day: date, rows: Rows) -> bytes:
    banner = (("MISO",), (f"{report.name} simulated",), (f"Market Date: {market_day:%m/%d/%Y}",))
    is_hourly = report.times == "hour"
    label = "Hour of Occurence" if is_hourly else "Time of Occurence"
    header = (label, "Constraint Name", "Shadow Price", "Constraint Description")
    cells = (
        (
            hour_ending_of(end) if is_hourly else f"{end:%m-%d-%Y %H:%M:%S}",
            row.constraint_name,
            row.shadow_price,
            row.description,
        )
        for end, row in rows
    )
    return _sheet((*banner, header, *cells, (_DISCLAIMER,)))


def _transmission_sheet(report: Report, market_day: date, rows: Rows) -> bytes:
    published = market_day + report.dated
    banner = (
        ("Binding Constraints Report - Real-Time Market",),
        (f"Market Date: {market_day:%m/%d/%Y}",),
        (f"Publish Date: {published:%m/%d/%Y}",),
    )
    header = (
        *("Flowgate NERC ID", "Constraint ID", "Constraint Name", "Branch Name ( Branch Type / From CA / To CA )"),
        *("Contingency Description", "Hour of  Occurrence", "Preliminary Shadow Price", "Constraint Description"),
        *("Override", "Curve Type", "BP1", "PC1", "BP2", "PC2"),
    )
    cells = (
        (
            *(None, None, row.constraint_name, None, None, f"{end:%H:%M}", row.shadow_price, None),
            *(_flag(row), row.curve_type, row.bp1, row.pc1, row.bp2, row.pc2),
        )
        for end, row in rows
    )
    return _sheet((*banner, header, *cells, (_DISCLAIMER,)))


def _subregional_lines(report: Report, market_day: date, rows: Rows) -> bytes:
    published = market_day + report.dated
    curve = [name.upper() for name in report.columns.values() if name[:2] in {"bp", "pc"}]
    header = (
        "MARKET_HOUR_EST",
        "CONSTRAINT_NAME",
        "PRELIMINARY_SHADOW_PRICE",
        "CURVETYPE",
        *curve,
        "OVERRIDE",
        "REASON",
    )
    lines = [
        "Binding Sub-Regional Power Balance Constraints",
        f"Market Date: {market_day:%m/%d/%Y}",
        f"Publish Date: {published:%m/%d/%Y}",
        ", ".join(header),
    ]
    for end, row in rows:
        values = (
            *(f"{end:%m/%d/%Y %H:%M:%S}", row.constraint_name, row.shadow_price, row.curve_type),
            *(getattr(row, name.lower()) for name in curve),
            *(_flag(row), row.reason, None),
        )
        line = ",".join(
            "" if value is None else f"{value:g}" if isinstance(value, float) else str(value) for value in values
        )
        lines += [line, line]  # the real ones have rows twice
    return "\n".join((*lines, _DISCLAIMER, "")).encode()


def _flag(row: Any) -> int | None:  # noqa: ANN401 - a row of any feed
    return None if row.override is None else int(row.override)


def _sheet(rows: tuple[tuple[Any, ...], ...]) -> bytes:
    with needs("simulate", "A simulated report"):
        import xlwt  # noqa: PLC0415 - the rest of the simulated host needs nothing of it
    book = xlwt.Workbook()
    sheet = book.add_sheet("report")
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell is not None:
                sheet.write(number, column, cell)
    data = BytesIO()
    book.save(data)
    return data.getvalue()


_LAYOUTS: Final[dict[str, Callable[[Report, date, Rows], bytes]]] = {
    "rt_rpe": _reserve_sheet,
    "da_rpe": _reserve_sheet,
    "rt_bc": _transmission_sheet,
    "rt_pbc": _subregional_lines,
}
