"""Compaction repeated: nothing is written twice, and what arrived since is taken in."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.feeds.reserve import RESERVE
from miso_archive.reading.compaction import compact_month
from miso_archive.store.folder import Folder
from miso_archive.store.months import Compacted
from tests.reading.compaction.archives import (
    AFTER_JULY,
    FILES,
    JULY,
    RAW,
    TABLES,
    at,
    binds,
    compacted,
    compacted_file,
    frames,
    from_raw,
    same,
    state,
    store,
)

if TYPE_CHECKING:
    from pathlib import Path


class TestRepetition:
    def test_a_second_run_writes_nothing(self, folder: Path) -> None:
        """Repeated, compaction tells the same and leaves every file as it is, to the time of writing."""
        first = compacted(folder)
        before = state(folder)
        second = compacted(folder)
        assert (first.written, second.written) == (True, False)
        assert {**first.as_dict(), "written": None} == {**second.as_dict(), "written": None}
        assert state(folder) == before
        assert len(before) == len(FILES)

    def test_what_became_of_a_month_is_counted(self, folder: Path) -> None:
        """The result counts the rows of both files, and what could not be read."""
        (folder / RAW / "2026-07-03" / "notes.txt").write_text("mine")
        result = compacted(folder)
        rows = [len(pl.read_parquet(compacted_file(folder, table))) for table in TABLES]
        assert [result.constraints, result.snapshots] == rows
        assert (result.snapshots, result.unreadable) == (31 * 3 + 1, 1)
        assert result.as_dict()["month"] == "2026-07"

    @pytest.mark.parametrize(
        "interval_end", ["07-12 08:10", "07-12 09:00", "08-01 00:00"], ids=["revised", "late", "00:00"]
    )
    def test_what_arrives_later_is_seen_after_the_next_run(
        self, folder: Path, tmp_path: Path, interval_end: str
    ) -> None:
        """A revision or a late first body of a compacted day is not there until the next compaction, and is then."""
        compacted(folder)
        before = frames(folder)
        key = store(Folder(folder), at(interval_end), binds(at(interval_end), 5), 60 * 24 * 30)
        assert same(frames(folder), before)
        assert compacted(folder).written
        after = frames(folder)
        assert key in after[0]["object_key"]
        assert same(after, from_raw(folder, tmp_path / "raw"))
        labels = [row["is_latest"] for row in after[1].iter_rows(named=True) if row["interval_end"] == at(interval_end)]
        assert labels == [False] * (len(labels) - 1) + [True]
        assert not compacted(folder).written

    def test_a_foreign_file_that_comes_later_is_told_of(self, folder: Path) -> None:
        """What is laid among the snapshots after a compaction is unreadable in the next."""
        compacted(folder)
        (folder / RAW / "2026-07-03" / "notes.txt").write_text("mine")
        result = compacted(folder)
        assert (result.written, result.unreadable) == (True, 1)

    def test_a_closed_day_with_nothing_is_covered(self, small: Path) -> None:
        """A day that closes without a snapshot is compacted too, so that it is not looked for again."""
        assert compacted(small, now=at("07-05 12:00")).through == date(2026, 7, 4)
        assert compacted(small, now=at("07-10 12:00")).through == date(2026, 7, 9)
        standing = [Compacted.of(RESERVE, compacted_file(small, table).read_bytes()) for table in FILES]
        assert [one and one.through for one in standing] == [date(2026, 7, 9)] * 3

    @pytest.mark.parametrize("gone", FILES)
    def test_one_table_gone_is_written_again(self, folder: Path, gone: str) -> None:
        """Where one of the files is missing it is made anew, and the others are left alone."""
        compacted(folder)
        before = state(folder)
        compacted_file(folder, gone).unlink()
        assert compacted(folder).written
        after = state(folder)
        assert {name: data for name, (data, _) in after.items()} == {name: data for name, (data, _) in before.items()}
        for kept in {*FILES} - {gone}:
            path = str(compacted_file(folder, kept))
            assert after[path] == before[path]

    def test_progress_counts_the_days(self, folder: Path) -> None:
        """Whoever watches is told how many market days are read, to the last."""
        told: list[tuple[int, int]] = []
        compact_month(folder, JULY, now=AFTER_JULY, progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (31, 31)
