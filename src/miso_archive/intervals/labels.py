"""Labels of the feed's five-minute intervals, and the market days they belong to.

Every time in the feed is EST, fixed UTC-5, all year; never US/Eastern. A label names the **end** of its interval:
averaging MISO's five-minute prices by label = end reproduces its own hourly report, label = begin does not. So the
label ``00:00`` belongs to the market day before, and a market day has 288 intervals, 00:05 to 24:00.
"""

import re
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Final

EST: Final = timezone(timedelta(hours=-5), "EST")
"""MISO's clock: UTC-5 all year, without daylight saving time."""

EST_NAME: Final = "Etc/GMT+5"
"""The same in the time-zone database, whose signs are the other way round."""

INTERVAL: Final = timedelta(minutes=5)
"""The length of one interval of the feed."""


YEARS: Final = range(2000, 2200)
"""The years a label may name; others are typing errors, and some could not be converted to UTC."""

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""The months as MISO spells them, in lower case; case does not matter where they are read."""

_REF_ID: Final = re.compile(
    r" {0,3}(?P<day>\d{1,2})-(?P<month>[A-Za-z]{3})-(?P<year>\d{4})"
    r"(?: {0,3}- {0,3}Interval {1,3}| {0,3}, {0,3})"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2}) {1,3}EST {0,3}",
    re.ASCII,
)

_PERIOD: Final = re.compile(
    r"(?P<time>\d{4}-\d{2}-\d{2}[T ](?:[01]\d|2[0-3]):\d{2}(?::\d{2}(?:\.\d{1,9})?)?) ?(?P<offset>Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)


def parse_ref_id(text: str) -> datetime:
    """Read a RefId in either spelling and return the interval's end, an aware datetime in EST.

    The spellings are ``27-Jul-2026 - Interval 08:10 EST`` (the live feed) and ``05-Dec-2025, 09:35 EST`` (the
    documented contract).

    Raises:
        ValueError: The text is neither, or names a time that does not exist.
    """
    match = _REF_ID.fullmatch(text)
    if match is None or match["month"].lower() not in MONTHS:
        raise ValueError("not of the form 'DD-Mon-YYYY - Interval HH:MM EST' or 'DD-Mon-YYYY, HH:MM EST'")
    month = MONTHS.index(match["month"].lower()) + 1
    return plausible(
        datetime(int(match["year"]), month, int(match["day"]), int(match["hour"]), int(match["minute"]), tzinfo=EST)
    )


def parse_period(text: str) -> datetime:
    """Read a row's Period, ISO 8601 with or without an offset, and return it as an aware datetime in EST.

    Without an offset the time is EST, as the live feed sends it; ``Z`` or ``+HH:MM`` is honoured.

    Raises:
        ValueError: The text is not such a time, or names a time that does not exist.
    """
    match = _PERIOD.fullmatch(text.strip(" "))
    if match is None:
        raise ValueError("not of the form 'YYYY-MM-DDTHH:MM[:SS]', with or without an offset")
    time = datetime.fromisoformat(match["time"] + (match["offset"] or "").upper())
    return plausible(time).replace(tzinfo=EST) if time.tzinfo is None else plausible(time).astimezone(EST)


def plausible(time: datetime) -> datetime:
    """Return a time of a year that a label may name.

    Raises:
        ValueError: The year is another.
    """
    if time.year not in YEARS:
        raise ValueError(f"the year {time.year} is not within {YEARS.start} to {YEARS.stop - 1}")
    return time


def is_on_grid(interval_end: datetime) -> bool:
    """Tell whether a label stands on the five-minute grid of the market day."""
    return (interval_end - interval_end.replace(hour=0, minute=0, second=0, microsecond=0)) % INTERVAL == timedelta(0)


def as_est(time: datetime, *, seconds: bool = False) -> str:
    """Spell an aware time for people: ``2026-07-27 08:10 EST``."""
    return f"{time.astimezone(EST):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}} EST"


def as_utc(time: datetime) -> str:
    """Spell an aware time in UTC, to the second: ``2026-07-27T13:10:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_ref_id(interval_end: datetime) -> str:
    """Spell a label as the live feeds do: ``27-Jul-2026 - Interval 08:10 EST``."""
    label = interval_end.astimezone(EST)
    # Not by strftime, whose names of months follow the locale.
    return f"{label.day:02}-{MONTHS[label.month - 1].title()}-{label.year:04} - Interval {as_clock(label)} EST"


def as_period(time: datetime) -> str:
    """Spell a time as rows do, in EST: ``2026-07-27T08:10:00``."""
    return time.astimezone(EST).replace(tzinfo=None).isoformat()


def as_clock(time: datetime) -> str:
    """Spell the time of day, in EST: ``16:45``."""
    return f"{time.astimezone(EST):%H:%M}"


def as_twelve_hours(time: datetime) -> str:
    """Spell it on a twelve-hour clock, in EST: ``4:45:00 PM``."""
    local = time.astimezone(EST)
    half = "AM" if local.hour < 12 else "PM"  # noqa: PLR2004 - noon
    return f"{(local.hour + 11) % 12 + 1}:{local:%M:%S} {half}"


def is_clock_of(clock: time, interval_end: datetime) -> bool:
    """Tell whether a time of day is that of a label."""
    return clock == interval_end.astimezone(EST).time()
