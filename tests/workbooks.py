"""MISO's reports as legacy Excel workbooks, in the layout that public parsers read; no real sample is at hand."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import xlwt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

NAME = "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3"
DESCRIPTION = "STR+Lost_Gen Zone_3"
DISCLAIMER = "The information in this report is made up by a test."
COLUMNS = ("Constraint Name", "Shadow Price", "Constraint Description")

Row = tuple[Any, ...]


def workbook(rows: Iterable[Sequence[Any]]) -> bytes:
    """A sheet with these cells; a datetime becomes Excel's own, None leaves a cell out."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("report")
    style = xlwt.easyxf(num_format_str="MM-DD-YYYY HH:MM:SS")
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, datetime):
                sheet.write(number, column, cell, style)
            elif cell is not None:
                sheet.write(number, column, cell)
    data = BytesIO()
    book.save(data)
    return data.getvalue()


def real_time(market_day: date | None, *rows: Row, disclaimer: str | None = DISCLAIMER) -> bytes:
    """A real-time report; without a day its banner names none."""
    date_row = (f"Market Date: {market_day:%m/%d/%Y}",) if market_day else ("no date",)
    banner = (("MISO",), ("Real-Time RPE Constraints",), date_row)
    return workbook((*banner, ("Time of Occurence", *COLUMNS), *rows, *(((disclaimer,),) if disclaimer else ())))


def day_ahead(market_day: date, *rows: Row) -> bytes:
    """A day-ahead report."""
    banner = (("MISO",), ("Day-Ahead RPE Constraints",), (f"Market Date: {market_day:%m/%d/%Y}",))
    return workbook((*banner, ("Hour of Occurence", *COLUMNS), *rows, (DISCLAIMER,)))


def bound(label: Any, price: Any = -8.32, name: Any = NAME, description: Any = DESCRIPTION) -> Row:  # noqa: ANN401 - a cell
    """A row of either."""
    return (label, name, price, description)
