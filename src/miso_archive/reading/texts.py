"""What texts of many bodies mean, where they say it as the feed does. Pure.

Each kind of value is read here as ``contract.kinds`` reads it, column by column: numbers by a cast, what names the
interval again by the text that is expected, all else text by text, each once. Where one is not read so it is handed to
the kind itself, and so is every text of a kind that is not known here, whatever it holds.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import polars as pl

from miso_archive.contract.kinds import (
    AMOUNT,
    ANY_TEXT,
    CLOCK,
    EST_CLOCK,
    MARKET_DAY,
    MONEY,
    NUMBER,
    NUMBER_OR_NULL,
    PERIOD,
    TEXT_OR_NULL,
    Kind,
    WrongValueError,
    optional,
)
from miso_archive.feeds.columns import TIME, TYPES
from miso_archive.intervals.labels import INTERVAL

_GROUPS: Final = r"[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?"
# How numbers are spelled that no cast takes, as far as it is usual.
_SEPARATED: Final = {
    AMOUNT: f"^[+-]?{_GROUPS}$",
    MONEY: rf"^([+-]?{_GROUPS}|\$([0-9]+(\.[0-9]+)?|{_GROUPS}))$",
}
_AT_MIDNIGHT: Final = " 12:00:00 AM"
_ON_A_DAY: Final = "01/01/2001 "
# Labels are of whole minutes.
_PATTERNS: Final = {
    PERIOD: "%Y-%m-%dT%H:%M:00",
    EST_CLOCK: "%Y-%m-%d %-I:%M:00 %p",
    CLOCK: "%H:%M",
    MARKET_DAY: "%m-%d-%Y",
}


class Labels:
    """The labels of some bodies, and how the feed spells them: each kind's spelling is made once."""

    def __init__(self, ends: pl.Series) -> None:
        self.ends = ends
        self._spelled: dict[Kind, pl.Series] = {}

    def spelled(self, kind: Kind) -> pl.Series | None:
        """Return the labels as values of this kind are spelled; None for a kind that names no time."""
        if kind not in self._spelled:
            pattern = _SPELLINGS.get(kind)
            if pattern is None:
                return None
            times = self.ends - INTERVAL if pattern == _PATTERNS[MARKET_DAY] else self.ends
            self._spelled[kind] = times.dt.strftime(pattern)
        return self._spelled[kind]

    def ref_ids(self) -> pl.Series:
        """Return the labels as a RefId is spelled."""
        return self.ends.dt.strftime("%d-%b-%Y - Interval %H:%M EST")


_SPELLINGS: Final = _PATTERNS | {optional(kind): pattern for kind, pattern in _PATTERNS.items()}
_NUMBERS: Final = {NUMBER, NUMBER_OR_NULL, AMOUNT, MONEY}
CAST: Final = _NUMBERS | {optional(kind) for kind in _NUMBERS}
"""The kinds that are read by a cast, wherever it takes a text."""


class Read(NamedTuple):
    """One field of some rows: which of them the contract takes, and what they mean."""

    is_right: pl.Series
    values: pl.Series


def of_all(value: object, number: int, dtype: pl.DataType) -> pl.Series:
    """Return the same value as many times."""
    return pl.Series([value], dtype=dtype).new_from_index(0, number)


def _there(texts: pl.Series) -> pl.Series:
    return texts.is_not_null() if texts.null_count() else of_all(True, len(texts), pl.Boolean())  # noqa: FBT003 - a value


def told(is_so: pl.Series) -> pl.Series:
    """Take what cannot be told for what is not so."""
    return is_so.fill_null(value=False) if is_so.null_count() else is_so


def read_texts(kind: Kind, texts: pl.Series) -> Read:
    """Read values of any kind, each column in the quickest way that its kind is known to allow."""
    if kind in CAST:
        return read_numbers(kind, texts)
    if kind is EST_CLOCK:
        return read_clocks(kind, texts)
    return read_each(kind, texts, TYPES.get(kind.holds, pl.Null()))


def plain_numbers(texts: pl.DataFrame, names: Sequence[str]) -> Mapping[str, pl.Series]:
    """Read columns of numbers at once, and return those in which each text is there and spelled as a cast takes it."""
    values = texts.select(pl.col(names).cast(pl.Float64, strict=False))
    return {column.name: column for column in values if not column.null_count() and math.isfinite(column.sum())}


def read_numbers(kind: Kind, texts: pl.Series) -> Read:
    """Read numbers: by a cast, and what that does not take by the kind itself. Null stays null, and is not right."""
    values = texts.cast(pl.Float64, strict=False)
    separated = _SEPARATED.get(kind)
    if separated is not None and values.null_count() > texts.null_count():
        is_separated = values.is_null() & texts.str.contains(separated)
        plain = texts.filter(is_separated).str.replace_all("[$,]", "").cast(pl.Float64)
        values = values.scatter(is_separated.arg_true(), plain)
    # Nothing but a number out of bounds makes their sum one.
    if values.null_count() == texts.null_count() and math.isfinite(values.sum()):
        return Read(_there(texts), values)
    is_right = told(values.is_finite())
    odd = ~is_right & texts.is_not_null()
    if odd.any():
        found = read_each(kind, texts.filter(odd), pl.Float64())
        at = odd.arg_true()
        is_right = is_right.scatter(at, found.is_right)
        values = values.scatter(at, found.values)
    return Read(is_right, values)


def read_again(kind: Kind, texts: pl.Series, expected: pl.Series, labels: pl.Series) -> Read:
    """Read what names the interval again: it is the label where it is spelled as expected."""
    is_right = told(texts == expected)
    values = labels
    if is_right.all():
        return Read(is_right, values)
    odd = ~is_right & texts.is_not_null()
    if odd.any():
        is_time = kind.holds is datetime
        found = read_each(kind, texts.filter(odd), labels.dtype if is_time else pl.Null())
        at = odd.arg_true()
        is_right = is_right.scatter(at, found.is_right)
        values = values.scatter(at, found.values) if is_time else values
    return Read(is_right, values)


def read_clocks(kind: Kind, texts: pl.Series) -> Read:
    """Read times as a day, a blank and a clock: each day and each clock once, by the kind itself.

    Null stays null, and is not right.
    """
    parts = texts.str.splitn(" ", 2).struct.unnest()
    days, clocks = parts["field_0"], parts["field_1"]
    begins = read_each(kind, days + _AT_MIDNIGHT, TIME)
    of_a_day = read_each(kind, _ON_A_DAY + clocks, TIME)
    midnight = pl.Series([kind.read(f"{_ON_A_DAY}{_AT_MIDNIGHT.strip()}")], dtype=TIME)
    return Read(begins.is_right & of_a_day.is_right, begins.values + (of_a_day.values - midnight[0]))


def read_each(kind: Kind, texts: pl.Series, dtype: pl.DataType) -> Read:
    """Read each text that there is once, by the kind itself; null stays null, and is not right."""
    if kind is ANY_TEXT or kind is TEXT_OR_NULL:
        return Read(_there(texts), texts)
    known = texts.unique()
    known = known.drop_nulls() if known.null_count() else known
    meant: list[object] = []
    wrong: list[object] = []
    for text in known:
        try:
            meant.append(kind.read(text))
        except WrongValueError:
            meant.append(None)
            wrong.append(text)
    is_right = _there(texts)
    if wrong:
        is_right &= ~told(texts.is_in(wrong))
    if isinstance(dtype, pl.Null) or (isinstance(dtype, pl.String) and meant == known.to_list()):
        return Read(is_right, texts)
    values = texts.replace_strict(known, pl.Series(meant, dtype=dtype, strict=False), default=None, return_dtype=dtype)
    return Read(is_right, values)
