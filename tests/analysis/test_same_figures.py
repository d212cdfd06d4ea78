"""The figures of an archive are the same each time, to the last digit: a sum of many prices depends on their order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pytest

from miso_archive.analysis.episodes import episodes
from miso_archive.analysis.profiles import hourly_profile, monthly_profile, zone_hours
from miso_archive.analysis.reserve_and_prices import (
    SOUTH,
    against_shadow_price,
    by_binding,
    event_study,
    join_by_label,
    sides,
)
from miso_archive.analysis.shadow_prices import binding_summary
from tests.frames import binding, bound, labels, seen

if TYPE_CHECKING:
    from collections.abc import Callable


class Frames(NamedTuple):
    """What a reader gives of an archive."""

    constraints: pl.DataFrame
    snapshots: pl.DataFrame
    values: pl.DataFrame
    hubs: pl.DataFrame


def frames_of(intervals: int, pieces: int) -> Frames:
    """Frames of so many intervals, put together of so many pieces, as a reader's are of its batches."""
    drawn = random.Random(5)  # noqa: S311 - prices, no secrets
    ends = labels("2026-07-01 00:05", intervals)
    constraints = binding(
        *(
            bound(end, -drawn.random() * 200, f"Z{zone}", zone=zone, flow_direction="South_North")
            for number, end in enumerate(ends)
            if number % 40
            for zone in range(1, 6)
        )
    )
    snapshots = seen(*ends)
    hubs = snapshots.select("market_day", "interval_start", "interval_end", "is_latest").join(
        pl.DataFrame({"location": [*SOUTH, *(f"{name}.HUB" for name in "ABCDE")]}), how="cross"
    )
    values = constraints.select(
        *("market_day", "interval_start", "interval_end", "zone"), value=pl.col("shadow_price").abs() / 3
    )
    prices = hubs.with_columns(lmp=pl.Series([drawn.random() * 50 for _ in range(len(hubs))]))
    return Frames(*(in_pieces(frame, pieces) for frame in (constraints, snapshots, values, prices)))


def in_pieces(frame: pl.DataFrame, pieces: int) -> pl.DataFrame:
    """The frame in so many pieces, whose rows polars may take in any order."""
    return pl.concat(list(frame.iter_slices(-(-len(frame) // pieces))), rechunk=False)


ARCHIVES = {"an hour": frames_of(12, pieces=2), "ten days": frames_of(3000, pieces=7)}


@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
@pytest.mark.parametrize(
    "figures",
    [
        lambda of: binding_summary(of.constraints, of.snapshots),
        lambda of: binding_summary(of.constraints, of.snapshots, by="zone"),
        lambda of: hourly_profile(of.constraints, of.snapshots),
        lambda of: monthly_profile(of.constraints, of.snapshots),
        lambda of: zone_hours(of.constraints, of.snapshots),
        lambda of: episodes(of.constraints, of.snapshots),
        lambda of: episodes(of.constraints, of.snapshots, by="zone"),
        lambda of: by_binding(join_by_label(of.values, of.constraints, of.snapshots, of="zone")),
        lambda of: against_shadow_price(join_by_label(of.values, of.constraints, of.snapshots, of="zone")),
        lambda of: event_study(of.values, of.constraints, of.snapshots),
        lambda of: join_by_label(sides(of.hubs), of.constraints, of.snapshots, of="side").rows,
    ],
    ids=[
        *("summary", "summary by zone", "hours", "months", "zone hours", "episodes", "episodes by zone"),
        *("by binding", "against the shadow price", "event study", "sides of the transfer"),
    ],
)
def test_they_are_the_same_each_time(figures: Callable[[Frames], pl.DataFrame], archive: Frames) -> None:
    """Whoever runs a notebook again gets what stands in the paper."""
    first = figures(archive)
    assert len(first) > 0
    assert [number for number in range(12) if not figures(archive).equals(first)] == []
