"""What a notebook is run on: a market day, a period of them, or all that the archive holds. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from miso_archive.intervals.market_days import ONE_DAY

OF_A_DAY: Final = "market_day"
"""The notebook of one market day."""

OF_A_PERIOD: Final = "shadow_prices"
"""The one that takes a period."""


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """A notebook of ``NOTEBOOKS``, and the market day (EST), or the period, its end exclusive, that it is about.

    Without either ``market_day`` is about the last day of which anything is known, the others about the whole archive.
    """

    name: str
    day: date | None = None
    period: tuple[date, date] | None = None

    @property
    def title(self) -> str:
        """What the page is called: ``market day 2026-10-01``."""
        called = self.name.replace("_", " ")
        if self.period is not None:
            start, end = self.period
            return f"{called} {start} to {end - ONE_DAY}"
        return called if self.day is None else f"{called} {self.day}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that its cells of parameters read."""
        start, end = self.period or ("", "")
        return {
            "MISO_MARKET_DAY": "" if self.day is None else str(self.day),
            "MISO_START": str(start),
            "MISO_END": str(end),
            "MISO_EXPORT": "",
        }


def runs_of(day: date) -> list[NotebookRun]:
    """Return what is run once a market day is closed: the day, and after the last of a month that month's prices."""
    runs = [NotebookRun(OF_A_DAY, day=day)]
    after = day + ONE_DAY
    if after.day == 1:
        runs.append(NotebookRun(OF_A_PERIOD, period=(day.replace(day=1), after)))
    return runs
