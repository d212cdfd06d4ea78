"""MISO's reports, in the layouts that public parsers read; no real sample is at hand."""

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


_OF_BC = ("Constraint Name", "Branch Name ( Branch Type / From CA / To CA )", "Contingency Description")
_CURVE = ("Override", "Curve Type", "BP1", "PC1", "BP2", "PC2")


def binding_constraints(market_day: date | None, *rows: Row, disclaimer: str | None = DISCLAIMER) -> bytes:
    """A report of transmission constraints: a row is a clock, a name, a price, and what there is of a curve."""
    header = (
        *("Flowgate NERC ID", "Constraint ID", *_OF_BC, "Hour of  Occurrence", "Preliminary Shadow Price"),
        *("Constraint Description", *_CURVE),
    )
    date_row = (f"Market Date: {market_day:%m/%d/%Y}",) if market_day else ("no date",)
    banner = (("Binding Constraints Report - Real-Time Market",), date_row, ("Publish Date: 07/27/2026",))
    cells = (
        (29254, 438951, name, "SEMINOLE A (LN/OKGE/CSWS)", "PITTSBURG 345", clock, price, None, *curve)
        for clock, name, price, *curve in rows
    )
    return workbook((*banner, header, *cells, *(((disclaimer,),) if disclaimer else ())))


PBC_HEADER = (
    "MARKET_HOUR_EST, CONSTRAINT_NAME, PRELIMINARY_SHADOW_PRICE, CURVETYPE,"
    " BP1, PC1, BP2, PC2, BP3, PC3, BP4, PC4, OVERRIDE, REASON"
)
SOUTH_NORTH = "RDT_SO_MW (South_North),-7.56,PERCENT,100,40,102,500,200,500,,,0,,"
NORTH_SOUTH = "RDT_MW_SO (North_South),-4.47,PERCENT,100,40,102,3000,200,3000,,,1,System conditions require override,"


def power_balance(*rows: str, header: str = PBC_HEADER, disclaimer: str = "The data, as is, are made up.\n") -> bytes:
    """A real-time report of subregional constraints, as lines."""
    banner = ("Binding Sub-Regional Power Balance Constraints", "Real-Time Market", "Publish Date: 07/27/2026", "")
    return ("\n".join((*banner, header, *rows)) + "\n" + disclaimer).encode()


def _deadly() -> bytes:
    """A workbook on which the library that reads it asks for 17 GB, and aborts."""
    data = bytearray(real_time(None, bound("07-26-2026 08:10:00")))
    data[47] = 255  # four billion sectors in the table of sectors
    return bytes(data)


DEADLY = _deadly()
