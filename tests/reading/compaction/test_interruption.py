"""Compaction killed in its midst, or run beside others: every read is right."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.days import Days
from miso_archive.reading.compaction import compact_month
from miso_archive.reading.one_pass import Reading
from miso_archive.store.folder import Folder
from tests.forked import FORKING
from tests.reading.compaction.archives import (
    AFTER_JULY,
    FILES,
    JULY,
    TABLES,
    at,
    binds,
    compacted,
    fill,
    frame,
    frames,
    from_raw,
    same,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


pytestmark = pytest.mark.slow("kills a process at each step")


_COMPACT_AND_DIE = """
import os, signal, sys
from datetime import date, datetime
from pathlib import Path
from miso_archive.reading.compaction import compact_month
from miso_archive.store.folder import Folder

folder, table, moment, now = sys.argv[1:]
replace, rename = Folder.replace, Path.replace

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def replacing(self, key, data):
    dies = f"/{table}/" in key
    if dies and moment == "before":
        die()
    replace(self, key, data[: len(data) // 2] if dies and moment == "torn" else data)
    if dies:
        die()

def renaming(self, target):
    if moment in {"torn", "whole"} and f"/{table}/" in str(target):
        die()
    return rename(self, target)

Folder.replace, Path.replace = replacing, renaming
compact_month(folder, date(2026, 7, 1), now=datetime.fromisoformat(now))
"""
"""A compaction that ends as by kill -9 before a table's file is written, half written, unnamed yet, or after."""


@pytest.mark.parametrize(
    ("earlier", "table", "moment"),
    [
        *(("07-20 12:00", table, moment) for table in FILES for moment in ("before", "torn", "whole", "after")),
        ("", "snapshots", "before"),
        ("", "constraints", "torn"),
    ],
)
def test_killed_anywhere_the_reader_answers_right(
    folder: Path, tmp_path: Path, earlier: str, table: str, moment: str
) -> None:
    """Killed before, in or after the writing of a table: right rows at once, and no rubbish after the next run."""
    if earlier:
        compacted(folder, now=at(earlier))
    expected = frames(folder)
    command = [sys.executable, "-c", _COMPACT_AND_DIE, str(folder), table, moment, AFTER_JULY.isoformat()]
    process = subprocess.run(command, check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert bool(list((folder / "curated").rglob("*.partial"))) == (moment in {"torn", "whole"})
    assert same(frames(folder), expected)
    assert compacted(folder).written == ((table, moment) != ("fetch_times", "after"))
    assert same(frames(folder), expected)
    assert not compacted(folder).written
    assert not list((folder / "curated").rglob("*.partial"))
    assert same(frames(folder), from_raw(folder, tmp_path / "raw"))


def _keep_collecting(folder: Path) -> None:
    archive = Folder(folder)
    for number in range(30):
        for label in (at("07-02 10:00"), at("07-20 10:00")):
            interval_end = label + timedelta(minutes=5 * (number // 2))
            store(archive, interval_end, binds(interval_end, 1 + number % 2), 2 + number % 2)


def _keep_compacting(folder: Path, first_day: int) -> None:
    for number in range(9):
        compact_month(folder, JULY, now=at(f"07-{first_day + number % 3:02} 12:00"))


def test_beside_a_collector_and_another_compaction_every_read_is_right(small: Path, tmp_path: Path) -> None:
    """While a collector stores and two compactions run, each read has every old row, no row twice and no false one."""
    fill(Folder(small), date(2026, 7, 19), 2)
    before = set(frame(small, "snapshots")["object_key"])
    processes = [
        FORKING.Process(target=_keep_collecting, args=(small,)),
        FORKING.Process(target=_keep_compacting, args=(small, 3)),
        FORKING.Process(target=_keep_compacting, args=(small, 20)),
    ]
    for process in processes:
        process.start()
    reads = []
    while any(process.is_alive() for process in processes):
        reads.append(frames(small))
    assert [process.exitcode for process in processes] == [0, 0, 0]
    [constraints, snapshots] = from_raw(small, tmp_path / "raw")
    assert len(snapshots) == len(before) + 60
    assert len(reads) > 3
    known = [set(constraints.drop("is_latest").drop("terms").iter_rows()), set(snapshots.drop("is_latest").iter_rows())]
    for read in reads:
        keys = read[1]["object_key"].to_list()
        assert before <= set(keys)
        assert len(keys) == len(set(keys))
        assert not read[0].select("object_key", "constraint_name").is_duplicated().any()
        for table, rows in zip(read, known, strict=True):
            assert set(table.drop("is_latest").drop("terms", strict=False).iter_rows()) <= rows
        latest = read[1].filter("is_latest")["interval_end"]
        assert latest.is_sorted()
        assert latest.n_unique() == len(latest) == read[1]["interval_end"].n_unique()
    compacted(small)
    assert same(frames(small), [constraints, snapshots])
    assert not list(small.rglob("*.partial"))


class Interrupted(Folder):
    """A folder in which a compaction finishes just before a given call."""

    def __init__(self, folder: Path, call: int) -> None:
        super().__init__(folder)
        self._folder = folder
        self._call = call
        self.calls = 0

    def _called(self) -> None:
        if self.calls == self._call:
            assert compacted(self._folder).written
        self.calls += 1

    def folders(self, under: str) -> list[str]:
        self._called()
        return super().folders(under)

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        self._called()
        return super().names(folders)

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        self._called()
        return super().read(keys)


STEPS = {"all": (Days(), 7), "period": (Days.of("2026-06-30", "2026-08-02"), 6)}


@pytest.mark.parametrize(
    ("days", "steps", "call"),
    [
        pytest.param(days, steps, call, id=f"{name}-{call}")
        for name, (days, steps) in STEPS.items()
        for call in range(steps)
    ],
)
@pytest.mark.parametrize("table", TABLES)
def test_a_compaction_that_finishes_between_changes_nothing(
    folder: Path, table: str, days: Days, steps: int, call: int
) -> None:
    """Whichever step of a reading a compaction finishes before, no row is lost or there twice."""
    compacted(folder, now=at("07-15 12:00"))
    options = {} if days == Days() else {"start": "2026-06-30", "end": "2026-08-02"}
    expected = frame(folder, table, **options)
    objects = Interrupted(folder, call)
    found = pl.concat(pl.collect_all(list(Reading(objects, table, feed=RESERVE).frames(days))))
    assert found.equals(expected)
    assert objects.calls == steps
    assert not compacted(folder).written
