"""What a backfill did, day by day."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Final, Literal

import polars as pl

Outcome = Literal["fetched", "not_published", "already", "refused", "failed"]

RESULTS: Final = pl.Schema(
    {
        "market_day": pl.Date(),
        "outcome": pl.String(),
        "rows": pl.Int64(),
        "covered": pl.Int64(),
        "object_key": pl.String(),
        "code": pl.String(),
        "message": pl.String(),
    }
)
"""The columns of a frame of BackfilledDays."""


@dataclass(frozen=True, slots=True)
class BackfilledDay:
    """What became of one market day.

    ``fetched``: its report, or the pages it lacked, are archived now, with so many rows, and speak for so many
    intervals where they heal a live feed's. ``not_published``: there is none yet. ``already``: it stood archived.
    ``refused``: it is kept in quarantine, a report under ``object_key``. ``failed``: ``code`` and ``message`` tell why,
    as they do for a refused one; bytes whose encoding cannot be undone are kept.
    """

    market_day: date
    outcome: Outcome
    rows: int = 0
    covered: int = 0
    object_key: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What a backfill did, day by day, newest first."""

    days: tuple[BackfilledDay, ...]

    @property
    def failures(self) -> list[BackfilledDay]:
        """The days that failed, or whose report was refused."""
        return [day for day in self.days if day.outcome in {"failed", "refused"}]

    @property
    def failed(self) -> bool:
        """Whether there are any."""
        return bool(self.failures)

    def as_dict(self) -> dict[str, object]:
        """Return how many days were asked for and came to which outcome, the rows fetched, and the errors."""
        outcomes: tuple[Outcome, ...] = ("fetched", "not_published", "already", "refused", "failed")
        return {
            "asked": len(self.days),
            **{outcome: sum(day.outcome == outcome for day in self.days) for outcome in outcomes},
            "rows": sum(day.rows for day in self.days),
            "errors": [
                {"market_day": str(day.market_day), "code": day.code, "message": day.message}
                for day in self.days
                if day.code is not None
            ],
            "objects": [day.object_key for day in self.days if day.outcome == "fetched"],
        }

    def frame(self) -> pl.DataFrame:
        """Return a row a day, with the columns of RESULTS."""
        return pl.DataFrame([asdict(day) for day in self.days], RESULTS)
