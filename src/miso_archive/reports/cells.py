"""The bytes of a report to cells of text: a legacy Excel workbook, or comma-separated lines. Pure."""

import csv
from codecs import BOM_UTF8
from collections.abc import Callable
from itertools import islice, zip_longest
from typing import Final, NoReturn

import polars as pl

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.content_encoding import WORKBOOK
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.report import Report
from miso_archive.reports.sheet import NoSheetError, sheet_of
from miso_archive.text import shown

# As many rows as a legacy workbook can have, and more commas than an operator's sentence.
_MOST_ROWS: Final = 65_536
_MOST_CELLS: Final = 100


class RefusedReportError(ValueError):
    """A report is not what its name says: ``reasons`` tells why, with stable codes."""

    def __init__(self, reasons: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(f"{reason.code.value}: {reason.where} {reason.message}" for reason in reasons))
        self.reasons = reasons


def refuse(code: RefusalCode, where: str, message: str) -> NoReturn:
    """Refuse a report for one reason.

    Raises:
        RefusedReportError: With the reason.
    """
    raise RefusedReportError((Finding(code, where, message),))


def refuse_no_sheet(why: str) -> NoReturn:
    """Refuse a workbook of which no sheet can be read.

    Raises:
        RefusedReportError: With the reason.
    """
    refuse(RefusalCode.NOT_A_WORKBOOK, "file", f"cannot be read: {shown(why, 200)}")


def sheet_here(data: bytes) -> pl.DataFrame:
    """Return a workbook's first sheet, read in this process, which that may end.

    Raises:
        RefusedReportError: There is none that can be read.
    """
    try:
        return pl.DataFrame(sheet_of(data))
    except NoSheetError as error:
        refuse_no_sheet(str(error))


def cells_of(report: Report, data: bytes, sheet: Callable[[bytes], pl.DataFrame]) -> pl.DataFrame:
    """Return a report's cells as text, row by row: those of a workbook's first sheet, or of lines.

    Raises:
        RefusedReportError: The bytes are no such file.
    """
    if len(data) > MOST_BYTES:
        refuse(RefusalCode.BODY_TOO_LARGE, "file", f"is larger than {MOST_BYTES} bytes")
    start = data[:1024].removeprefix(BOM_UTF8).strip()
    if not start:
        refuse(RefusalCode.EMPTY_BODY, "file", "is empty")
    if start.startswith(b"<"):
        refuse(RefusalCode.HTML_PAGE, "file", f"begins with {shown(start[:40].decode('latin-1'))}")
    if report.ending == "csv":
        return _lines(data)
    if not data.startswith(WORKBOOK):
        refuse(RefusalCode.NOT_A_WORKBOOK, "file", f"begins with {shown(start[:8].decode('latin-1'))}")
    return sheet(data)


def _lines(data: bytes) -> pl.DataFrame:
    # A byte that is no UTF-8 may stand in what an operator wrote, of which no reading depends.
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    try:
        rows = list(islice(csv.reader(lines, skipinitialspace=True, strict=True), _MOST_ROWS + 1))
    except csv.Error as error:
        refuse(RefusalCode.REPORT_LAYOUT, "file", f"cannot be read as comma-separated lines: {error}")
    if len(rows) > _MOST_ROWS or max(map(len, rows)) > _MOST_CELLS:
        refuse(RefusalCode.REPORT_LAYOUT, "file", f"has more than {_MOST_ROWS} lines, or {_MOST_CELLS} cells in one")
    columns = list(zip_longest(*rows))
    return pl.DataFrame(columns, schema={f"column_{number}": pl.String for number in range(len(columns))})
