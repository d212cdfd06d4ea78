"""An archive of seven days with all that may befall one, and its counts in plain Python."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.simulate.market import documented_body, is_quiet, snapshot_body
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import polars as pl

    from miso_archive.store.store import Store

SEED = 307
FIVE_MINUTES = timedelta(minutes=5)
COUNTS = (
    "expected",
    "collected",
    "quiet",
    "binding",
    "missing",
    "healed",
    "refused",
    "revised",
    "unreadable",
    "off_grid",
)


def at(text: str) -> datetime:
    """The interval end ``2026-07-27 08:10``, EST."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=EST)


def ends_of(day: date) -> list[datetime]:
    """The 288 labels of a market day: 00:05 to the next day's 00:00."""
    first = datetime(day.year, day.month, day.day, 0, 5, tzinfo=EST)
    return [first + number * FIVE_MINUTES for number in range(288)]


def response(interval_end: datetime, body: bytes) -> Response:
    """A body, fetched a minute after its label."""
    return Response(body, interval_end + timedelta(minutes=1), "http://127.0.0.1/", "application/json")


def store(archive: Store, interval_end: datetime, body: bytes) -> None:
    """Put a body as the collector does."""
    snapshot = RESERVE.examine(body).snapshot
    assert snapshot is not None
    store_snapshot(archive, RESERVE, snapshot, response(interval_end, body))


def refuse(archive: Store, fetched: datetime, body: bytes) -> None:
    """Keep a refused body as the collector does."""
    verdict = RESERVE.examine(body)
    assert verdict.snapshot is None
    store_refused(archive, RESERVE, Response(body, fetched, "http://127.0.0.1/", "text/html"), verdict.reasons)


def put_whole_day(folder: Path, day: date) -> None:
    """Put the 288 snapshots of a day as files alone: a full day by way of the collector takes seconds."""
    for end in ends_of(day):
        path = folder / snapshot_key(RESERVE, end)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(snapshot_body(end, seed=SEED), 1))


def row(**counts: int) -> dict[str, int]:
    """A day's counts: 288 expected and nothing there, but for those given."""
    return {"expected": 288, **dict.fromkeys(COUNTS[1:], 0), "missing": 288 - counts.get("collected", 0), **counts}


def by_day(frame: pl.DataFrame) -> dict[str, dict[str, int]]:
    """The counts of each day."""
    return {str(found.pop("market_day")): found for found in frame.to_dicts()}


def odd_minute(interval_end: datetime) -> bytes:
    """A body that binds at a label off the five-minute grid."""
    label = interval_end.astimezone(EST)
    rows = [
        {"Name": "A - B Zone_1", "Period": f"{label:%Y-%m-%dT%H:%M:%S}", "Price": "-1.00", "Description": "B Zone_1"}
    ]
    return json.dumps({"RefId": f"{label:%d-%b-%Y} - Interval {label:%H:%M} EST", "Constraint": rows}).encode()


def quiet_label(day: date, *, after: int = 0) -> datetime:
    """The first label of a day, after so many, at which nothing binds."""
    return next(end for end in ends_of(day)[after:] if is_quiet(end, seed=SEED))


DAYS = [date(2026, 7, number) for number in range(1, 8)]


def fill(archive: Store) -> None:
    """Seven market days with all that may befall an archive; day 4 has nothing at all, day 5 only refused bodies."""
    for day in (DAYS[0], DAYS[1], DAYS[2], DAYS[6]):
        for number, end in enumerate(ends_of(day)):
            if number % 24 in {0, 23} or number in {1, 2}:
                shape = documented_body if number % 24 == 0 else snapshot_body
                store(archive, end, shape(end, seed=SEED))
    for interval_end in (quiet_label(DAYS[1]), ends_of(DAYS[1])[287], at("2026-07-07 00:05")):
        store(archive, interval_end, snapshot_body(interval_end, seed=SEED, revision=1))
    store(archive, ends_of(DAYS[1])[287], snapshot_body(ends_of(DAYS[1])[287], seed=SEED, revision=2))
    store(archive, at("2026-07-03 10:02"), odd_minute(at("2026-07-03 10:02")))
    for fetched, refused in (
        (at("2026-07-05 00:00"), b"{}"),
        (at("2026-07-05 23:59"), b"<html>"),
        (at("2026-07-01 12:00"), b"<html>"),
    ):
        refuse(archive, fetched, refused)


DAMAGED = (at("2026-07-01 00:05"), at("2026-07-03 00:00"), at("2026-07-07 00:10"))
"""What is cut off: 00:00 belongs to the day before."""


def damaged_keys() -> list[str]:
    """The keys of what is cut off."""
    return [snapshot_key(RESERVE, end) for end in DAMAGED]


def count_in_plain_python(folder: Path, days: Iterable[date]) -> dict[str, dict[str, int]]:
    """Count file by file what a folder holds, with nothing of the library's reader."""
    bodies: dict[datetime, list[tuple[int, bool]]] = defaultdict(list)
    counts = {str(day): row() for day in days}
    for path in (folder / "sourcing").rglob("*.json.gz"):
        end = label_of(path)
        try:
            body = json.loads(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError):
            counts[str((end - timedelta(seconds=1)).date())]["unreadable"] += 1
            continue
        quiet = all(constraint["Name"].startswith("None") for constraint in body["Constraint"])
        bodies[end].append((path.name.count("."), quiet))  # a revision's name has a dot more
    for end, found in bodies.items():
        day = counts[str((end - timedelta(seconds=1)).date())]
        day["revised"] += len(found) > 1
        if end.minute % 5:
            day["off_grid"] += len(found)
            continue
        day["collected"] += 1
        day["missing"] -= 1
        day["quiet" if max(found)[1] else "binding"] += 1
    for path in (folder / "quarantine").rglob("*.body.gz"):
        counts[path.parent.name]["refused"] += 1
    return counts


def label_of(path: Path) -> datetime:
    """The label in a file's name."""
    stamp, hour = path.name.partition(".")[0].split("_")[3:]
    return datetime.strptime(f"{stamp}{hour}-0500", "%Y%m%d%H%M%z")
