"""Periods of market days: the one before another, and the halves of an archive."""

from datetime import date

import pytest

from miso_archive.analysis.periods import halves, period_and_before
from tests.frames import label, seen


def test_the_period_before_is_as_long() -> None:
    """A week in July is preceded by the week before, over the month's beginning."""
    assert period_and_before("2026-07-05", date(2026, 7, 12)) == (
        (date(2026, 6, 28), date(2026, 7, 5)),
        (date(2026, 7, 5), date(2026, 7, 12)),
    )


@pytest.mark.parametrize(("start", "end"), [("2026-07-05", "2026-07-05"), ("2026-07-06", "2026-07-05")])
def test_an_empty_period_is_told(start: str, end: str) -> None:
    """It has no market day."""
    with pytest.raises(ValueError, match="a first market day and one after its last"):
        period_and_before(start, end)


@pytest.mark.parametrize("days", [(20, 21, 22, 23), (19, 20, 21, 22, 23), (20, 23)], ids=["even", "odd", "gap"])
def test_halves_are_of_the_same_length(days: tuple[int, ...]) -> None:
    """Of an odd number of days the first is left out; days without snapshots count as days."""
    assert halves(seen(*(label(f"2026-07-{day} 12:00") for day in days))) == (
        (date(2026, 7, 20), date(2026, 7, 22)),
        (date(2026, 7, 22), date(2026, 7, 24)),
    )


@pytest.mark.parametrize("ends", [(), ("2026-07-20 12:00", "2026-07-20 12:05")], ids=["nothing", "one day"])
def test_a_day_has_no_halves(ends: tuple[str, ...]) -> None:
    """Nor has nothing at all."""
    assert halves(seen(*map(label, ends))) is None
