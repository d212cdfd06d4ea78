"""Market days that are asked for: a period, and what a polars filter leaves of it. Pure but for the present."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final, Self, TypeAlias

import polars as pl

from miso_archive.intervals.labels import YEARS
from miso_archive.intervals.market_days import ONE_DAY, WrongDaysError, days_between, read_day
from miso_archive.text import given, shown

Day: TypeAlias = date | str
"""A market day (EST): a date, or ``YYYY-MM-DD``."""

# The days that labels can belong to: the first 00:00 ends the day before.
_FIRST: Final = date(YEARS.start, 1, 1) - ONE_DAY
_AFTER_LAST: Final = date(YEARS.stop, 1, 1)


@dataclass(frozen=True, slots=True)
class Days:
    """The market days from ``start`` up to, but not including, ``end``; None where the archive's own bounds count."""

    start: date | None = None
    end: date | None = None
    wanted: pl.Expr | None = None

    @classmethod
    def of(cls, start: Day | None, end: Day | None) -> Self:
        """Read the two bounds.

        Raises:
            WrongDaysError: A bound is no day, or the days end before they start.
        """
        days = cls(given_day(start, "start"), given_day(end, "end"))
        if days.start is not None and days.end is not None and days.end < days.start:
            raise WrongDaysError(f"the days end ({days.end}) before they start ({days.start}); the end is exclusive")
        return days

    def where(self, predicate: pl.Expr | None) -> Self:
        """Return the days on which rows may fulfil a predicate."""
        if predicate is None:
            return self
        on_days = [part for part in _conjuncts(predicate) if part.meta.root_names() and _is_on_days(part)]
        return replace(self, wanted=pl.all_horizontal(on_days)) if on_days else self

    def all(self) -> list[date] | None:
        """Return every day asked for, or None when a bound is the archive's own."""
        if self.start is None or self.end is None:
            return None
        start, end = max(self.start, _FIRST), min(max(self.end, _FIRST), _AFTER_LAST)
        return self.among(days_between(start, end - ONE_DAY))

    def among(self, days: list[date]) -> list[date]:
        """Return those of some days that are asked for, in order."""
        if self.start is None and self.end is None and self.wanted is None:
            return days
        within = [
            day for day in days if (self.start is None or day >= self.start) and (self.end is None or day < self.end)
        ]
        if self.wanted is None or not within:
            return within
        try:
            return pl.DataFrame({"market_day": within}).filter(self.wanted)["market_day"].to_list()
        except pl.exceptions.PolarsError:  # it may hold on the days that have rows, and that is not known here
            return within


def given_day(value: object, argument: str) -> date | None:
    """Read a market day that was given as an argument of this name; None is none.

    Raises:
        WrongDaysError: It is neither a date nor text of the form YYYY-MM-DD; a time is no date.
    """
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str) and (day := read_day(value)) is not None:
        return day
    hint = ": of a time give the .date()" if isinstance(value, datetime) else ""
    raise WrongDaysError(
        f"{argument}= is a market day, a date or YYYY-MM-DD, not {given(value)}{hint}",
        f"--{argument} is a market day, YYYY-MM-DD, not {shown(value)}",
    )


def given_now(value: object) -> datetime:
    """Read the time that was given as ``now=``; None is the present.

    Raises:
        ValueError: It is no time, or one without a time zone.
    """
    if value is None:
        return datetime.now(UTC)
    if not isinstance(value, datetime):
        raise ValueError(f"now= is an aware datetime, not {given(value)}")  # noqa: TRY004 - documented
    if value.tzinfo is None:
        raise ValueError("now= needs a time zone: it may be anywhere")
    return value


def _conjuncts(predicate: pl.Expr) -> Iterator[pl.Expr]:
    """Take an expression apart at its outer ANDs."""
    parts = predicate.meta.pop()
    if len(parts) == 2 and (parts[1] & parts[0]).meta.eq(predicate):  # noqa: PLR2004 - left and right
        yield from _conjuncts(parts[0])
        yield from _conjuncts(parts[1])
    else:
        yield predicate


def _is_on_days(expression: pl.Expr) -> bool:
    return set(expression.meta.root_names()) == {"market_day"}
