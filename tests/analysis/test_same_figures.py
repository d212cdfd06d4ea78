"""The figures of an archive are the same each time, to the last digit: a sum of many prices depends on their order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.analysis.episodes import episodes
from miso_archive.analysis.profiles import hourly_profile, monthly_profile, zone_hours
from miso_archive.analysis.reserve_and_prices import against_shadow_price, by_binding, event_study, join_by_label
from miso_archive.analysis.shadow_prices import binding_summary
from tests.frames import binding, bound, labels, seen

if TYPE_CHECKING:
    from collections.abc import Callable

_DRAWN = random.Random(5)  # noqa: S311 - prices, no secrets
_ENDS = labels("2026-07-01 00:05", 3000)
CONSTRAINTS = binding(
    *(
        bound(end, -_DRAWN.random() * 200, f"Z{zone}", zone=zone, flow_direction="South_North")
        for number, end in enumerate(_ENDS)
        if number % 40
        for zone in (1, 2)
    )
)
SNAPSHOTS = seen(*_ENDS)
VALUES = CONSTRAINTS.select(
    *("market_day", "interval_start", "interval_end", "zone"), value=pl.col("shadow_price").abs() / 3
)
JOINED = join_by_label(VALUES, CONSTRAINTS, SNAPSHOTS, of="zone")


@pytest.mark.parametrize(
    "figures",
    [
        lambda: binding_summary(CONSTRAINTS, SNAPSHOTS),
        lambda: binding_summary(CONSTRAINTS, SNAPSHOTS, by="zone"),
        lambda: hourly_profile(CONSTRAINTS, SNAPSHOTS),
        lambda: monthly_profile(CONSTRAINTS, SNAPSHOTS),
        lambda: zone_hours(CONSTRAINTS, SNAPSHOTS),
        lambda: episodes(CONSTRAINTS, SNAPSHOTS),
        lambda: episodes(CONSTRAINTS, SNAPSHOTS, by="zone"),
        lambda: by_binding(join_by_label(VALUES, CONSTRAINTS, SNAPSHOTS, of="zone")),
        lambda: against_shadow_price(JOINED),
        lambda: event_study(VALUES, CONSTRAINTS, SNAPSHOTS),
    ],
    ids=[
        *("summary", "summary by zone", "hours", "months", "zone hours", "episodes", "episodes by zone"),
        *("by binding", "against the shadow price", "event study"),
    ],
)
def test_they_are_the_same_each_time(figures: Callable[[], pl.DataFrame]) -> None:
    """Whoever runs a notebook again gets what stands in the paper."""
    first = figures()
    assert len(first) > 0
    assert [number for number in range(12) if not figures().equals(first)] == []
