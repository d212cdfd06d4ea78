"""Frames of the reader, built by hand: what binds at a label, and which labels were seen."""

from datetime import datetime, timedelta

import polars as pl

from miso_archive.feeds.columns import CONSTRAINTS, SNAPSHOTS
from miso_archive.intervals.labels import EST

FIVE_MINUTES = timedelta(minutes=5)


def label(text: str) -> datetime:
    """Return the interval end ``2026-07-27 08:10``, EST."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=EST)


def labels(first: str, count: int) -> list[datetime]:
    """Return so many consecutive interval ends."""
    return [label(first) + number * FIVE_MINUTES for number in range(count)]


def _times(interval_end: datetime) -> dict[str, object]:
    start = interval_end - FIVE_MINUTES
    return {"market_day": start.date(), "interval_start": start, "interval_end": interval_end}


def seen(*interval_ends: datetime, is_latest: bool = True) -> pl.DataFrame:
    """Return a row a snapshot of these intervals."""
    rows = [_times(interval_end) | {"is_latest": is_latest} for interval_end in interval_ends]
    return pl.DataFrame(rows, schema=SNAPSHOTS)


def bound(interval_end: datetime, price: float, name: str = "A", **columns: object) -> dict[str, object]:
    """Return a row: a constraint with this shadow price, $/MW."""
    row: dict[str, object] = {"constraint_name": name, "shadow_price": price, "is_latest": True}
    return _times(interval_end) | row | columns


def binding(*rows: dict[str, object]) -> pl.DataFrame:
    """Return the frame of these rows."""
    return pl.DataFrame(list(rows), schema=CONSTRAINTS)
