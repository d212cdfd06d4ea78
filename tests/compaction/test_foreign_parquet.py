"""What stands among the compacted months and is none is passed over."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_reserve.curated import Compacted
from tests.compaction.archives import CURATED, TABLES, compacted, compacted_file, frame, frames, same

if TYPE_CHECKING:
    from pathlib import Path


class TestForeignParquet:
    @staticmethod
    def _spoil(path: Path, kind: str) -> None:
        data = path.read_bytes()
        if kind == "foreign":
            pl.DataFrame({"a": [1]}).write_parquet(path)
        elif kind == "other version":
            standing = Compacted.of(data)
            assert standing is not None
            other = standing.model_copy(update={"version": 2}).as_metadata("constraints")
            pl.read_parquet(path).clear().write_parquet(path, metadata=other)
        elif kind == "unreadable metadata":
            pl.read_parquet(path).clear().write_parquet(path, metadata={"miso_reserve": '{"version": 1}'})
        else:
            # Turning the marks of the footer's structure over is what makes Parquet readers fail in odd ways.
            footer = data[:-60] + bytes(255 - byte for byte in data[-60:-8]) + data[-8:]
            spoilt = {"empty": b"", "cut": data[:-20], "text": b"hello" * 99, "marks": b"PAR1PAR1", "footer": footer}
            path.write_bytes(spoilt[kind])

    @pytest.mark.parametrize(
        "kind", ["foreign", "other version", "unreadable metadata", "empty", "cut", "text", "marks", "footer"]
    )
    def test_what_is_no_compacted_month_is_passed_over(self, folder: Path, filled: Path, kind: str) -> None:
        """A damaged, foreign or other-version file makes the raw objects be read, and the next run replace it."""
        compacted(folder)
        for table in TABLES:
            self._spoil(compacted_file(folder, table), kind)
        assert same(frames(folder), frames(filled))
        assert compacted(folder).written
        assert same([pl.read_parquet(compacted_file(folder, table)) for table in TABLES], july(filled))

    def test_a_damaged_footer_never_stops_the_reader(self, folder: Path) -> None:
        """Whichever byte of the footer is turned over, a file says what it did, or counts as none."""
        compacted(folder)
        data = compacted_file(folder).read_bytes()
        standing = Compacted.of(data)
        length = int.from_bytes(data[-8:-4], "little")
        answers = [
            Compacted.of(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
            for place in range(len(data) - length - 8, len(data), 7)
        ]
        assert standing is not None
        assert None in answers

    def test_files_of_other_names_are_passed_over(self, folder: Path, filled: Path) -> None:
        """What is not named by a month is not read, nor is a month that no calendar has."""
        compacted(folder)
        for name in (
            "2026-07 copy.parquet",
            "2026-13.parquet",
            "2026-00.parquet",
            "0000-01.parquet",
            ".2026-08.parquet",
        ):
            shutil.copy(compacted_file(folder), folder / CURATED / "constraints" / name)
        assert same(frames(folder), frames(filled))


def july(folder: Path) -> list[pl.DataFrame]:
    """The rows of July, of both tables."""
    return [frame(folder, table, start="2026-07-01", end="2026-08-01") for table in TABLES]
