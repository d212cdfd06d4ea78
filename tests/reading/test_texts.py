"""Values are read alike by the contract, one by one, and by the reader, a column at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from miso_archive.contract import kinds
from miso_archive.contract.kinds import Kind, WrongValueError, optional
from miso_archive.feeds.columns import TIME, TYPES
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.reading.texts import Labels, Read, read_again, read_clocks, read_each, read_texts
from tests.feeds.recorded import that_agree

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = datetime(2026, 10, 2, 16, 45, tzinfo=EST)
MIDNIGHT = datetime(2026, 10, 3, tzinfo=EST)
BASE = [kind for kind in vars(kinds).values() if isinstance(kind, Kind)]
# A feed's own: a number as the reader knows it, but for what it means.
PERCENT = replace(kinds.AMOUNT, name="percent", read=lambda value: float(str(kinds.AMOUNT.read(value))) / 100)
KINDS = {kind.name: kind for kind in [*BASE, PERCENT, *map(optional, [*BASE, PERCENT])]}

digits = st.text("0123456789", max_size=4)
grouped = st.lists(digits, min_size=1, max_size=3).map(",".join)
signs = st.sampled_from(["", "", "-", "+", "$", "-$", "$-", "($", "- $", "(", "\u2212"])
ends = st.sampled_from(["", "", "", ")", "%", " MW", "e5", "E-2", "e", "e999", "\n", "\u00a0"])
numbers = st.builds("{}{}{}{}{}".format, signs, grouped, st.sampled_from(["", "", "."]), digits, ends)
hours, minutes = st.integers(0, 25).map(str), st.integers(0, 61).map("{:02}".format)
clocks = st.builds("{}:{}".format, hours, minutes)
days = st.builds("{}{sep}{}{sep}{}".format, st.integers(0, 13), st.integers(0, 32), st.just(2026), sep=st.just("-"))
dates = st.sampled_from(["2026-10-02", "2026-10-03", "10/02/2026", "7/2/2026", "02/30/2026", "2026-2-3", "1926-10-02"])
halves = st.sampled_from([":00 PM", ":00 AM", ":07 pm", ":00 PM EST", ":00 PM EDT", ":00", " PM"])
twelve_hours = st.builds("{} {}{}".format, dates, clocks, halves)
periods = st.builds("{}T{}:00{}".format, dates, clocks, st.sampled_from(["", "Z", "-05:00", "+24:00"]))
noise = st.text("0123456789.,+-eE$() \t\x0b_xXinfaN\u0661:/", max_size=8)
known = st.sampled_from(["", " ", "None", "none", "null", "true", "0", "1", "24:00", "16:45", "00:00", "24", "17"])
texts = st.lists(st.none() | known | numbers | clocks | days | twelve_hours | periods | noise, max_size=12)


def one_by_one(kind: Kind, found: list[str | None]) -> Iterator[tuple[bool, object]]:
    """Read texts as the contract does: whether each is taken, and what it means. Null is nobody's."""
    for text in found:
        try:
            yield text is not None, None if text is None else kind.read(text)
        except WrongValueError:
            yield False, None


def alike(read: Read, kind: Kind, found: list[str | None], *, kept: bool = True) -> None:
    """Hold what is read at once against what is read one by one: what is kept down to the sign of a zero."""
    for text, is_right, value, (expected, meant) in zip(
        found, read.is_right, read.values, one_by_one(kind, found), strict=True
    ):
        assert is_right is expected, text
        if expected and kept:
            assert repr(value) == repr(meant) or value == meant != 0, text


@pytest.mark.slow("tries many texts")
@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@settings(max_examples=40)
@given(found=texts)
@example(found=["0,123", "1,234", "12,34", ",123", "1,234.5", "-1,234", "1_000", "0x10", "1e400", "-0", ".", "+.5"])
@example(found=["$1", "-$1.20", "$-1.20", "($1.20)", "(-$1)", "($1", "$1)", "$ 1", "--$1", "-$-1", "$1,234", "$0,123"])
def test_a_kind_is_read_at_once_as_one_by_one(kind: Kind, found: list[str | None]) -> None:
    """Whatever the texts of a column say, the same are taken, and they mean the same."""
    column = pl.Series(found, dtype=pl.String)
    dtype = TYPES.get(kind.holds, pl.Null())
    # A clock in two parts has a test of its own.
    read = read_each(kind, column, dtype) if kind is kinds.EST_CLOCK else read_texts(kind, column)
    alike(read, kind, found, kept=kind.holds in TYPES)


@given(found=texts)
@example(found=["10/02/2026 4:45:00 PM EST", "2026-10-02 4:45:00 PM", "10/02/2026  4:45:00 PM", "10/02/2026 AM", None])
@example(found=["02/29/2026 4:45:00 PM", "10/02/2026 13:45:00 PM", "1/1/1926 4:45:00 PM", "10/02/2026 4:45:00 PM ", ""])
def test_clocks_are_read_in_two_parts_as_in_one(found: list[str | None]) -> None:
    """A time that is taken as a day and a clock is taken as a whole, and means the same; the others go to the kind."""
    read = read_clocks(kinds.EST_CLOCK, pl.Series(found, dtype=pl.String))
    for text, is_right, value, (expected, meant) in zip(
        found, read.is_right, read.values, one_by_one(kinds.EST_CLOCK, found), strict=True
    ):
        if is_right:
            assert (expected, value) == (True, meant), text


AGREEING = dict(that_agree())


@pytest.mark.slow("tries many texts")
@pytest.mark.parametrize("label", [LABEL, MIDNIGHT], ids=["afternoon", "midnight"])
@pytest.mark.parametrize("name", AGREEING)
@settings(max_examples=40)
@given(found=texts)
def test_what_says_the_interval_again_is_read_at_once_as_one_by_one(
    name: str, label: datetime, found: list[str | None]
) -> None:
    """Spelled as the feed does or otherwise, of this interval or another, the same is taken and means the same."""
    kind = AGREEING[name].kind
    labels = Labels(pl.Series([label] * (len(found) + 1), dtype=TIME))
    expected = labels.spelled(kind)
    if expected is None:  # read as any other value
        assert kind.holds is int
        return
    # The feed's own spelling stands among the others, and names the label.
    spelled = [*found, expected[0]]
    read = read_again(kind, pl.Series(spelled, dtype=pl.String), expected, labels.ends)
    alike(read, kind, spelled, kept=kind.holds is datetime)
    assert AGREEING[name].agrees(kind.read(expected[0]), label)  # type: ignore[misc] # it is one that agrees


@given(number=st.integers(0, 3 * 288))
def test_every_label_is_spelled_as_its_kind_reads_it(number: int) -> None:
    """Through three days, a year's change among them, every label is spelled so that each kind reads it back."""
    label = datetime(2026, 12, 30, tzinfo=EST) + number * INTERVAL
    labels = Labels(pl.Series([label], dtype=TIME))
    for name, field in AGREEING.items():
        expected = labels.spelled(field.kind)
        if expected is not None and field.agrees:
            assert field.agrees(field.kind.read(expected[0]), label), name
