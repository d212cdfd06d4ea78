"""Market days that are asked for: a period, and what a polars filter leaves of it. Pure but for the present."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self, TypeAlias

import polars as pl

from miso_archive.intervals.labels import EST, EST_NAME, INTERVAL, YEARS
from miso_archive.intervals.market_days import ONE_DAY, WrongDaysError, days_between, read_day
from miso_archive.text import given, shown

Day: TypeAlias = date | str
"""A market day (EST): a date, or ``YYYY-MM-DD``."""

_DAY: Final = "market_day"
_MINUTE: Final = timedelta(minutes=1)
_MINUTES: Final = 24 * 60
_A_YEAR: Final = 366
_TIMES: Final = frozenset({"interval_end", "interval_start"})

# The days that labels can belong to: the first 00:00 ends the day before.
_FIRST: Final = date(YEARS.start, 1, 1) - ONE_DAY
_AFTER_LAST: Final = date(YEARS.stop, 1, 1)


@dataclass(frozen=True, slots=True)
class Days:
    """The market days from ``start`` up to, but not including, ``end``; None where the archive's own bounds count."""

    start: date | None = None
    end: date | None = None
    wanted: pl.Expr | None = None
    at_times: tuple[pl.Expr, ...] = ()

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
        told = [(part, {*part.meta.root_names()} - {_DAY}) for part in _conjuncts(predicate) if part.meta.root_names()]
        on_days = [part for part, others in told if not others]
        on_times = tuple(part for part, others in told if len(others) == 1 and others <= _TIMES)
        return replace(self, wanted=pl.all_horizontal(on_days) if on_days else None, at_times=on_times)

    def all(self) -> list[date] | None:
        """Return every day asked for, or None when a bound is the archive's own."""
        if self.start is None or self.end is None:
            return None
        start, end = max(self.start, _FIRST), min(max(self.end, _FIRST), _AFTER_LAST)
        # Days are asked for by their times only once it is known which there are: bounds may be centuries apart.
        return replace(self, at_times=()).among(days_between(start, end - ONE_DAY))

    def among(self, days: list[date]) -> list[date]:
        """Return those of some days that are asked for, in order."""
        if self.start is None and self.end is None and self.wanted is None and not self.at_times:
            return days
        within = [
            day for day in days if (self.start is None or day >= self.start) and (self.end is None or day < self.end)
        ]
        if self.wanted is not None and within:
            within = _holding(self.wanted, pl.DataFrame({_DAY: within}), within)
        for part in self.at_times:
            years = [within[first : first + _A_YEAR] for first in range(0, len(within), _A_YEAR)]
            within = [day for year in years for day in _holding(part, _every_minute(year), year)]
        return within


def _holding(wanted: pl.Expr, among: pl.DataFrame, days: list[date]) -> list[date]:
    """Return the days that have a row for which an expression holds."""
    try:
        return among.filter(wanted)[_DAY].unique(maintain_order=True).to_list()
    except pl.exceptions.PolarsError:  # it may hold on the days that have rows, and that is not known here
        return days


def _every_minute(days: list[date]) -> pl.DataFrame:
    """Return every label that these market days may have, with both ends of its interval.

    An hour that begins or ends at a time lies in the same day as the five minutes that do.
    """
    number = pl.int_range(0, len(days) * _MINUTES, eager=True)
    day = pl.Series(days, dtype=pl.Date).gather(number // _MINUTES)
    # From midnight on a clock of UTC to that of EST; a conversion of each would take longer than all else.
    minutes = day.cast(pl.Int64) * _MINUTES + number % _MINUTES + 1 - EST.utcoffset(None) // _MINUTE
    ends = (minutes * (_MINUTE // timedelta(microseconds=1))).cast(pl.Datetime("us", EST_NAME))
    return pl.DataFrame({_DAY: day, "interval_end": ends, "interval_start": ends - INTERVAL})


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
