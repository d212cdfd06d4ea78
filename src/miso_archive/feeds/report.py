"""A report of MISO's that tells of a feed's past: which file it is, and how it is laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal

from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import ONE_DAY, day_begins

NEXT_DAY_REPORT: Final = "next_day_report"
"""The source of a row of one of MISO's reports of the day after: ``rt_rpe``, ``rt_bc``, ``rt_pbc``."""

DAY_AHEAD_REPORT: Final = "day_ahead_report"
"""The source of a row of MISO's day-ahead report, ``da_rpe``: another market than that of the live feed."""


def curve(points: int) -> dict[str, str]:
    """Return the columns of a curve of so many break points and their prices: they are headed as they are named."""
    return {name: name for number in range(1, points + 1) for name in (f"bp{number}", f"pc{number}")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One kind of report.

    ``name`` is what it is called in addresses and keys, ``source`` where its rows are said to be from. ``dated`` is the
    file's date less the market day, ``length`` how long what a row names lasts. ``columns`` are what is read of it, by
    heading; ``headings`` the spellings of that of the times, and ``times`` how those are told: with their date, by the
    clock of the day that the banner names, or by the hour of that day. ``from_midnight`` marks one with the rows that
    have the market day's date: from its own 00:00 on. ``cut_at`` is how many characters of a name the live feed shows.
    """

    name: str
    source: str
    dated: timedelta
    length: timedelta = INTERVAL
    ending: Literal["xls", "csv"] = "xls"
    headings: tuple[str, ...]
    times: Literal["dated", "clock", "hour"]
    columns: Mapping[str, str] = field(hash=False)
    from_midnight: bool = False
    cut_at: int | None = None

    def file_name(self, market_day: date) -> str:
        """Return the file of a market day: ``20260727_rt_rpe.xls`` has 2026-07-26, ``20260725_da_rpe.xls`` too."""
        return f"{market_day + self.dated:%Y%m%d}_{self.name}.{self.ending}"

    def interval_ends(self, market_day: date) -> list[datetime]:
        """Return the ends of all intervals of a market day, in EST."""
        return [day_begins(market_day) + self.length * number for number in range(1, ONE_DAY // self.length + 1)]
