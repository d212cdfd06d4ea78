"""Market days: which one an interval belongs to, which are closed. Pure."""

from datetime import date, datetime, time, timedelta
from typing import Final

from miso_archive.intervals.labels import EST, INTERVAL, YEARS

ONE_DAY: Final = timedelta(days=1)

INTERVALS_A_DAY: Final = ONE_DAY // INTERVAL
"""The intervals of a market day: 288, all year, as EST has no daylight saving time."""

CLOSED_AFTER: Final = timedelta(hours=1)
"""How long after its last interval a market day is closed: publication lags by minutes, and runs are retried."""


class WrongDaysError(ValueError):
    """What was given are no market days, or they end before they start; ``as_option`` says it of the command line's."""

    def __init__(self, message: str, as_option: str | None = None) -> None:
        super().__init__(message)
        self.as_option = as_option or message


def market_day(interval_end: datetime) -> date:
    """Return the market day, in EST, that the interval ending at this aware time belongs to.

    The label ``00:00`` ends the last interval of the day before.
    """
    return (interval_end.astimezone(EST) - timedelta(microseconds=1)).date()


def day_begins(day: date) -> datetime:
    """Return the time at which a market day begins."""
    return datetime.combine(day, time(), EST)


def intervals_ended(day: date, by: datetime) -> int:
    """Return how many intervals of a market day have ended by a time, aware."""
    return min(max((by - day_begins(day)) // INTERVAL, 0), INTERVALS_A_DAY)


def open_day(now: datetime) -> date:
    """Return the first market day that is not closed at a time, aware."""
    return (now - CLOSED_AFTER).astimezone(EST).date()


def days_between(first: date, last: date) -> list[date]:
    """Return the days from the first to the last, both included."""
    return [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]


def month_end(month: date) -> date:
    """Return the last day of a month, given by its first."""
    return (month + 31 * ONE_DAY).replace(day=1) - ONE_DAY


def day_named(name: str) -> date | None:
    """Return the day that a folder is named by, ``YYYY-MM-DD``, or None where it is no day that a label may name."""
    day = read_day(name)
    return day if day is not None and day.year in YEARS else None


def read_day(text: str) -> date | None:
    """Return the day that a text names as YYYY-MM-DD, or None; 20260727 and 2026-W31-1 are ISO too, and none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def is_market_day_of(day: date, interval_end: datetime) -> bool:
    """Tell whether a day is the market day of a label."""
    return day == market_day(interval_end)


def hour_ending_of(interval_end: datetime) -> int:
    """Return the hour of the market day that a label lies in, by its end 1 to 24; its own end does."""
    since = interval_end - day_begins(market_day(interval_end))
    return -(-since // timedelta(hours=1))


def is_hour_of(hour_ending: int, interval_end: datetime) -> bool:
    """Tell whether an hour, by its end, is the one that a label lies in."""
    return hour_ending == hour_ending_of(interval_end)
