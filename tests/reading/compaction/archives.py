"""Archives to compact, and what is read from them and stands in them."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import CompactedMonth, compact_month
from miso_archive.reading.scan import scan_constraints, scan_snapshots
from miso_archive.simulate.market import documented_body, snapshot_body
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from miso_archive.store.store import Store

SEED = 307
JULY, AUGUST = date(2026, 7, 1), date(2026, 8, 1)
CURATED = "curated/miso_binding_constraints_reserve"
RAW = "sourcing/miso_binding_constraints_reserve"
AFTER_JULY = datetime(2026, 8, 1, 12, 0, tzinfo=EST)
TABLES = ("constraints", "snapshots")
FILES = (*TABLES, "fetch_times")


def at(text: str) -> datetime:
    """The interval end ``07-27 08:10`` of 2026, EST."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=EST)


def store(archive: Store, interval_end: datetime, body: bytes, minutes: int = 2) -> str:
    """Put a body as the collector does, fetched so many minutes after its label; return its key."""
    snapshot = RESERVE.examine(body).snapshot
    assert snapshot is not None
    response = Response(body, interval_end + timedelta(minutes=minutes), "http://127.0.0.1/", "application/json")
    return store_snapshot(archive, RESERVE, snapshot, response).key


def binds(interval_end: datetime, revision: int = 1) -> bytes:
    """A body in which something binds: a revision of the simulated market always has a row."""
    return snapshot_body(interval_end, seed=SEED, revision=revision)


def fill(archive: Store, first: date, days: int) -> None:
    """Three snapshots a market day, the last of them labelled 00:00; every other day in the documented shape."""
    for number in range(days):
        midnight = datetime.combine(first + timedelta(days=number), datetime.min.time(), EST)
        body = documented_body if number % 2 else snapshot_body
        for minutes, revision in ((5, 1), (490, 0), (1440, 2)):
            interval_end = midnight + timedelta(minutes=minutes)
            store(archive, interval_end, body(interval_end, seed=SEED, revision=revision))


def frame(folder: Path, table: str = "constraints", **options: Any) -> pl.DataFrame:  # noqa: ANN401 - the reader's
    """All rows of a table, superseded ones too."""
    scan = scan_constraints if table == "constraints" else scan_snapshots
    return scan(folder, latest_only=False, **options).collect()


def frames(folder: Path) -> list[pl.DataFrame]:
    """All rows of both tables."""
    return [frame(folder, table) for table in TABLES]


def same(left: Sequence[pl.DataFrame], right: Sequence[pl.DataFrame]) -> bool:
    """Whether both are the same, rows and types."""
    return all(a.schema == b.schema and a.equals(b) for a, b in zip(left, right, strict=True))


def from_raw(folder: Path, elsewhere: Path) -> list[pl.DataFrame]:
    """What the raw objects of an archive say, read where nothing is compacted."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    for part in ("sourcing", "provenance"):
        shutil.copytree(folder / part, elsewhere / part)
    return frames(elsewhere)


def compacted_file(folder: Path, table: str = "constraints", month: str = "2026-07") -> Path:
    """Where a compacted month stands."""
    return folder / CURATED / table / f"{month}.parquet"


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below ``curated``, its bytes and when it was written."""
    paths = [path for path in (folder / "curated").rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def compacted(folder: Path, month: date = JULY, now: datetime = AFTER_JULY) -> CompactedMonth:
    """Compact a month that has something to compact."""
    result = compact_month(folder, month, now=now)
    assert result is not None
    return result
