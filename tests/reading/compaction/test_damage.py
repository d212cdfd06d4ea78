"""Raw objects that are damaged or gone: told of from Parquet too, and no compacted month is made less."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.reading.compaction import compact_month
from miso_archive.reading.scan import SkippedObjectsWarning
from miso_archive.store.folder import Folder
from miso_archive.store.store import ArchiveError, UnreadableObjectError
from tests.reading.compaction.archives import (
    AFTER_JULY,
    JULY,
    RAW,
    TABLES,
    at,
    binds,
    compacted,
    compacted_file,
    frame,
    frames,
    same,
    state,
    store,
)

if TYPE_CHECKING:
    from pathlib import Path


class TestDamage:
    DAMAGE = (("truncated", "07-05 08:10"), ("empty", "07-06 00:05"), ("not gzip", "07-07 00:00"))

    @pytest.fixture
    def damaged(self, folder: Path) -> dict[str, bytes]:
        """The archive with three damaged objects in July; their keys, and what they held."""
        held = {}
        for kind, label in self.DAMAGE:
            end = at(label)
            key = f"{RAW}/{end:%Y-%m-%d}/binding_constraints_reserve_{end:%Y%m%d_%H%M}.json.gz"
            held[key] = (folder / key).read_bytes()
            (folder / key).write_bytes({"truncated": held[key][:-9], "empty": b"", "not gzip": b"{}"}[kind])
        return held

    @staticmethod
    def warned(folder: Path, **options: str) -> tuple[pl.DataFrame, list[str]]:
        """The rows, and the warnings of the reading."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = frame(folder, "snapshots", **options)
        return found, [str(warning.message) for warning in caught if warning.category is SkippedObjectsWarning]

    def test_damaged_objects_are_told_of_from_compacted_as_from_raw(
        self, folder: Path, damaged: dict[str, bytes]
    ) -> None:
        """The warning from a compacted month is the one from raw: the same count, keys and reasons."""
        rows, told = self.warned(folder)
        assert compacted(folder).unreadable == 3
        assert compacted_file(folder).exists()
        after, told_after = self.warned(folder)
        assert after.equals(rows)
        [message], [message_after] = told, told_after
        assert message.startswith("3 of the objects in ")
        assert all(key in message for key in damaged)
        assert sorted(message_after.partition(": ")[2].split("; ")) == sorted(message.partition(": ")[2].split("; "))

    @pytest.mark.parametrize("table", TABLES)
    def test_strict_raises_from_compacted_too(self, folder: Path, damaged: dict[str, bytes], table: str) -> None:
        """With strict, an object that could not be read when the month was compacted still raises."""
        compacted(folder)
        with pytest.raises((UnreadableObjectError, pl.exceptions.ComputeError)) as caught:
            frame(folder, table, strict=True)
        assert any(key in str(caught.value) for key in damaged)

    def test_a_day_without_damage_warns_of_nothing(self, folder: Path, damaged: dict[str, bytes]) -> None:
        """Of a compacted month only the days asked for are warned of."""
        compacted(folder)
        assert self.warned(folder, start="2026-07-08", end="2026-08-01")[1] == []
        [message] = self.warned(folder, start="2026-07-06", end="2026-07-07")[1]
        assert message.startswith("2 of the objects")
        assert sum(key in message for key in damaged) == 2

    def test_a_mended_object_is_seen_after_the_next_run(
        self, folder: Path, filled: Path, damaged: dict[str, bytes]
    ) -> None:
        """What was damaged and is mended under the same key is in the month after the next compaction."""
        compacted(folder)
        before = state(folder)
        assert not compacted(folder).written
        assert state(folder) == before
        for key, data in damaged.items():
            (folder / key).write_bytes(data)
        result = compacted(folder)
        assert (result.written, result.unreadable) == (True, 0)
        assert same(frames(folder), frames(filled))

    def test_raw_objects_that_are_gone_are_not_taken_out(self, folder: Path) -> None:
        """A month holding what its raw objects no longer do is an error that names one, and stays as it is."""
        compacted(folder)
        before = state(folder)
        gone = folder / RAW / "2026-07-05"
        names = sorted(path.name for path in gone.iterdir())
        shutil.rmtree(gone)
        with pytest.raises(ArchiveError, match=rf"holds {len(names)} snapshots .* {RAW}/2026-07-05/{names[0]}"):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before

    @pytest.mark.parametrize("absent", ["constraints", "snapshots"])
    def test_either_table_is_enough_to_miss_raw_objects(self, folder: Path, absent: str) -> None:
        """Where one of the two files is gone as well, the other still is not made less."""
        compacted(folder)
        compacted_file(folder, absent).unlink()
        before = state(folder)
        shutil.rmtree(folder / RAW / "2026-07-05")
        with pytest.raises(ArchiveError, match="2026-07-05"):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before

    def test_a_month_whose_raw_objects_are_all_gone_is_an_error(self, folder: Path) -> None:
        """A compacted month that has lost all its raw objects is kept, and not passed over in silence."""
        compacted(folder)
        before = state(folder)
        shutil.rmtree(folder / "sourcing")
        with pytest.raises(ArchiveError, match="gone"):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before

    def test_an_object_damaged_after_compaction_is_not_taken_out(self, folder: Path) -> None:
        """What a month holds and its raw object no longer gives stays in the month, also when new objects arrive."""
        compacted(folder)
        before = state(folder)
        [rotten, *_] = sorted((folder / RAW / "2026-07-05").iterdir())
        rotten.write_bytes(rotten.read_bytes()[:-9])
        store(Folder(folder), at("07-20 12:00"), binds(at("07-20 12:00")))
        with pytest.raises(ArchiveError, match=rotten.name):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before
