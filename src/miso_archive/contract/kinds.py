"""The kinds of value that a feed's fields hold, each read once. Pure.

What a field says and what it means are two things: ``read`` turns a JSON value into the meaning, or raises
``WrongValueError`` with what is the matter. The reading of many bodies at once has its own words for each kind, and a
test holds the two together. A kind that tells of a time can also ``spell`` it, for the simulated host.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import Enum, auto
from functools import cache
from typing import Final, TypeVar

from miso_archive.contract.findings import RefusalCode
from miso_archive.intervals.labels import EST, as_clock, as_period, as_twelve_hours, parse_period, plausible
from miso_archive.intervals.market_days import hour_ending_of, market_day
from miso_archive.text import shown

T = TypeVar("T")


class Trouble(Enum):
    """What is the matter with a value."""

    EMPTY = auto()
    NOT_TEXT = auto()
    UNREADABLE = auto()


class WrongValueError(ValueError):
    """A value is not of its field's kind."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its name, what type it gives, and how one is read.

    ``read`` raises WrongValueError where the value is not of the kind; of one that ``is_optional`` it gives None for
    what says nothing. ``bad`` and ``empty`` are the codes of a wrong value unless its field has its own. ``spell`` is
    how one that tells of a time is written, as of an aware time.
    """

    name: str
    holds: type
    read: Callable[[object], object]
    bad: RefusalCode
    empty: RefusalCode = RefusalCode.EMPTY_VALUE
    is_optional: bool = False
    spell: Callable[[datetime], str] | None = None


_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_AMOUNT: Final = re.compile(r"(?P<sign>[+-])?(?P<digits>[1-9]\d{0,2}(?:,\d{3})+)(?P<rest>\.\d*)?", re.ASCII)
_MONEY: Final = re.compile(r"(?P<before>[+(-]?) ?\$ ?(?P<after>[+-]?)(?P<amount>[\d.,]+)(?P<closed>\)?)", re.ASCII)
_SIGNS: Final = frozenset({"", "+", "-", "("})
_ABSENT: Final = frozenset({"", "none"})
_CLOCK: Final = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})", re.ASCII)
_EST_CLOCK: Final = re.compile(
    r"(?:(?P<iso>\d{4}-\d{2}-\d{2})|(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})) "
    r"(?P<hour>1[0-2]|0?[1-9]):(?P<minute>\d{2}):(?P<second>\d{2}) (?P<half>[AaPp])[Mm](?: EST)?",
    re.ASCII,
)
_MARKET_DAY: Final = re.compile(r"(?P<month>\d{1,2})[-/](?P<day>\d{1,2})[-/](?P<year>\d{4})", re.ASCII)


def _text(value: object) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise WrongValueError(Trouble.EMPTY, "is empty")
    if not isinstance(value, str):
        raise WrongValueError(Trouble.NOT_TEXT, f"{shown(value)} is not text")
    return value


def _name(value: object) -> str:
    text = _text(value)
    if text.strip().lower() in _ABSENT:
        raise WrongValueError(Trouble.EMPTY, f"{shown(text)} names nothing")
    return text


def _number_or_name(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _name(value)


def _text_or_null(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise WrongValueError(Trouble.NOT_TEXT, f"{shown(value)} is not text")


def _any_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _period(value: object) -> object:
    text = _text(value)
    try:
        return parse_period(text)
    except ValueError as error:
        raise WrongValueError(Trouble.UNREADABLE, f"{shown(text)} cannot be read: {error}") from error


def _number(value: object) -> float:
    is_numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_numeric or (isinstance(value, str) and _NUMBER.fullmatch(value.strip(" \t\r\n"))):
        number = float(value)  # type: ignore[arg-type] # narrowed above, beyond what mypy follows
        if math.isfinite(number):
            return number
    raise WrongValueError(Trouble.UNREADABLE, f"{shown(value)} is not a finite number")


def _number_or_null(value: object) -> float | None:
    return None if value is None else _number(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, str)) and value in (0, 1, "0", "1"):
        return value in (1, "1")
    raise WrongValueError(Trouble.UNREADABLE, f'{shown(value)} is not a boolean, 0, 1, "0" or "1"')


def _matched(pattern: re.Pattern[str], value: object) -> re.Match[str]:
    text = _text(value)
    match = pattern.fullmatch(text.strip(" "))
    if match is None:
        raise WrongValueError(Trouble.UNREADABLE, f"{shown(text)} cannot be read")
    return match


def _real(value: object, make: Callable[[], T]) -> T:
    """Return a time or day that a text names, if there is one."""
    try:
        return make()
    except ValueError as error:
        raise WrongValueError(Trouble.UNREADABLE, f"{shown(value)} cannot be read: {error}") from error


def _clock(value: object) -> time:
    match = _matched(_CLOCK, value)
    hour = 0 if match[0] == "24:00" else int(match["hour"])
    return _real(value, lambda: time(hour, int(match["minute"])))


def _est_clock(value: object) -> datetime:
    match = _matched(_EST_CLOCK, value)
    hour = int(match["hour"]) % 12 + (12 if match["half"] in "Pp" else 0)

    def make() -> datetime:
        day = date.fromisoformat(match["iso"]) if match["iso"] else _day(match)
        return plausible(
            datetime(day.year, day.month, day.day, hour, int(match["minute"]), int(match["second"]), tzinfo=EST)
        )

    return _real(value, make)


def _day(match: re.Match[str]) -> date:
    return date(int(match["year"]), int(match["month"]), int(match["day"]))


def _market_day(value: object) -> date:
    match = _matched(_MARKET_DAY, value)
    return _real(value, lambda: _day(match))


def _hour_ending(value: object) -> int:
    hour = _number(value)
    if hour not in range(1, 25):
        raise WrongValueError(Trouble.UNREADABLE, f"{shown(value)} is no hour of 1 to 24")
    return int(hour)


def _amount(value: object) -> float:
    if isinstance(value, str) and (spelled := _AMOUNT.fullmatch(value.strip(" \t\r\n"))):
        return _number((spelled["sign"] or "") + spelled["digits"].replace(",", "") + (spelled["rest"] or ""))
    return _number(value)


def _money(value: object) -> float:
    if isinstance(value, str) and (spelled := _MONEY.fullmatch(value.strip(" \t\r\n"))):
        sign = spelled["before"] + spelled["after"]
        if sign in _SIGNS and (sign == "(") == bool(spelled["closed"]):
            amount = _amount(spelled["amount"])
            return -amount if sign in {"-", "("} else amount
    return _amount(value)


@cache
def optional(kind: Kind) -> Kind:
    """Return the kind of what may be absent: null, ``""`` and ``"None"`` give None. Of one kind it is one."""

    def read(value: object) -> object:
        is_absent = value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT)
        return None if is_absent else kind.read(value)

    return replace(kind, name=f"optional {kind.name}", read=read, is_optional=True)


TEXT: Final = Kind("text", str, _text, RefusalCode.NOT_TEXT)
"""Text that says something; kept to the letter."""

NAME: Final = Kind("name", str, _name, RefusalCode.NOT_TEXT)
"""Text that names something: neither empty nor ``"None"``; kept to the letter."""

NUMBER_OR_NAME: Final = Kind("number or name", str, _number_or_name, RefusalCode.NOT_TEXT)
"""Such a name, or a whole number, which is the text of its digits."""

TEXT_OR_NULL: Final = Kind("text or null", str, _text_or_null, RefusalCode.NOT_TEXT, is_optional=True)
"""Text, kept to the letter and empty too; or null."""

ANY_TEXT: Final = Kind("any text", str, _any_text, RefusalCode.NOT_TEXT, is_optional=True)
"""Text, kept to the letter; whatever is none counts as absent."""

PERIOD: Final = Kind("period", datetime, _period, RefusalCode.UNREADABLE_TIME, spell=as_period)
"""A time in ISO 8601, in EST where no offset is given."""

NUMBER: Final = Kind("number", float, _number, RefusalCode.BAD_NUMBER)
"""A finite number, as a number or as text."""

NUMBER_OR_NULL: Final = Kind("number or null", float, _number_or_null, RefusalCode.BAD_NUMBER, is_optional=True)
"""The same, or null."""

AMOUNT: Final = Kind("amount", float, _amount, RefusalCode.BAD_NUMBER)
"""A finite number, as a number or as text, with commas between its thousands or without."""

MONEY: Final = Kind("money", float, _money, RefusalCode.BAD_NUMBER)
"""The same, with a dollar sign or without; a negative one is ``-$1.20``, ``$-1.20`` or ``($1.20)``: none was seen."""

FLAG: Final = Kind("flag", bool, _flag, RefusalCode.BAD_NUMBER)
"""A boolean, 0 or 1, as a number or as text."""

CLOCK: Final = Kind("clock", time, _clock, RefusalCode.UNREADABLE_TIME, spell=as_clock)
"""A time of the day, ``16:45``; 24:00 is 00:00."""

EST_CLOCK: Final = Kind(
    "EST clock",
    datetime,
    _est_clock,
    RefusalCode.UNREADABLE_TIME,
    spell=lambda time: f"{time.astimezone(EST):%Y-%m-%d} {as_twelve_hours(time)}",
)
"""A time in EST on a twelve-hour clock, ``2026-10-02 4:45:00 PM`` or ``10/02/2026 4:45:00 PM EST``."""

MARKET_DAY: Final = Kind(
    "market day",
    date,
    _market_day,
    RefusalCode.UNREADABLE_TIME,
    spell=lambda time: f"{market_day(time):%m-%d-%Y}",
)
"""A day, ``10-02-2026``."""

HOUR_ENDING: Final = Kind(
    "hour ending", int, _hour_ending, RefusalCode.UNREADABLE_TIME, spell=lambda time: str(hour_ending_of(time))
)
"""The hour of a market day by its end, 1 to 24."""
