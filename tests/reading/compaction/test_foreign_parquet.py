"""What stands among the compacted months and is none is passed over."""

from __future__ import annotations

import json
import shutil
from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.feeds.reserve import RESERVE
from miso_archive.reading.compaction import compact_month
from miso_archive.store.months import VERSION, Compacted
from miso_archive.store.store import ArchiveError
from tests.reading.compaction.archives import (
    AFTER_JULY,
    CURATED,
    JULY,
    RAW,
    TABLES,
    at,
    compacted,
    compacted_file,
    frame,
    frames,
    same,
)

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.slow("compacts a month for each")


class TestForeignParquet:
    @staticmethod
    def _spoil(path: Path, kind: str) -> None:
        data = path.read_bytes()
        if kind == "foreign":
            pl.DataFrame({"a": [1]}).write_parquet(path)
        elif kind == "other version":
            standing = Compacted.of(RESERVE, data)
            assert standing is not None
            other = standing.model_copy(update={"version": VERSION + 1})
            path.write_bytes(other.as_parquet(RESERVE, "constraints", pl.read_parquet(path).clear()))
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

    def test_no_bit_can_turn_unnoticed(self, folder: Path) -> None:
        """A file with any bit turned over, in what it says of itself, in its footer or its rows, counts as none."""
        compacted(folder)
        data = compacted_file(folder).read_bytes()
        assert Compacted.of(RESERVE, data) is not None
        metadata = pl.read_parquet_metadata(BytesIO(data))
        footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        places = {place for name in ("miso_reserve", "sha256") for place in _value_places(data, name, metadata[name])}
        assert len(places) > 200
        assert min(places) > footer
        bits = {8 * place + bit for place in places for bit in range(8)}
        bits |= {*range(8 * footer, 8 * len(data), 23), *range(0, 8 * footer, 997)}
        assert [bit for bit in sorted(bits) if Compacted.of(RESERVE, turned(data, bit)) is not None] == []

    def test_a_month_with_another_day_in_its_statement_is_read_from_raw(self, folder: Path, filled: Path) -> None:
        """A file that after damage names other days or counts, in good order, makes the raw objects be read."""
        compacted(folder)
        for table in TABLES:
            path = compacted_file(folder, table)
            data = path.read_bytes()
            path.write_bytes(turned(data, 8 * (data.rindex(b'"through":"2026-07-31"') + len('"through":"2026-07-3'))))
            said = pl.read_parquet_metadata(path)["miso_reserve"]
            assert json.loads(said)["through"] == "2026-07-30"
        assert same(frames(folder), frames(filled))
        assert compacted(folder).written
        assert same([pl.read_parquet(compacted_file(folder, table)) for table in TABLES], july(filled))

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


class TestUnsealed:
    """Files of version 1, which had no seal."""

    @pytest.fixture
    def unsealed(self, folder: Path) -> Path:
        """The archive, compacted by that version."""
        compacted(folder)
        for table in TABLES:
            path = compacted_file(folder, table)
            standing = Compacted.of(RESERVE, path.read_bytes())
            assert standing is not None
            said = pl.read_parquet_metadata(path)["miso_reserve"]
            statement = said.replace(f'"version":{VERSION}', '"version":1')
            pl.read_parquet(path).write_parquet(path, metadata={"miso_reserve": statement, "columns": "{}"})
        return folder

    def test_it_is_read_as_it_is(self, unsealed: Path, filled: Path) -> None:
        """What stands is read from it, without its raw objects: nothing is lost, nothing is there twice."""
        shutil.rmtree(unsealed / RAW / "2026-07-10")
        assert same(frames(unsealed), frames(filled))

    def test_the_next_compaction_seals_it(self, unsealed: Path, filled: Path) -> None:
        """The next run writes both files anew, and the one after it nothing."""
        assert compacted(unsealed).written
        sealed = [Compacted.of(RESERVE, compacted_file(unsealed, table).read_bytes()) for table in TABLES]
        assert [one and one.version for one in sealed] == [VERSION] * 2
        assert same(frames(unsealed), frames(filled))
        assert not compacted(unsealed).written

    def test_it_is_not_made_less(self, unsealed: Path, filled: Path) -> None:
        """Where raw objects are gone, or the clock went back, what it holds stays."""
        assert compacted(unsealed, now=at("07-15 12:00")).through == date(2026, 7, 31)
        shutil.rmtree(unsealed / RAW / "2026-07-05")
        with pytest.raises(ArchiveError, match="2026-07-05"):
            compact_month(unsealed, JULY, now=AFTER_JULY)
        assert same(frames(unsealed), frames(filled))

    def test_a_seal_is_not_left_out(self, folder: Path) -> None:
        """A sealed file that says it is of the version without one is not believed."""
        compacted(folder)
        data = compacted_file(folder).read_bytes()
        assert Compacted.of(RESERVE, data.replace(b'{"version":2', b'{"version":1')) is None


def _value_places(data: bytes, name: str, value: str) -> range:
    """Where a file's own metadata hold a value."""
    start = data.index(value.encode(), data.rindex(name.encode()))
    return range(start, start + len(value))


def turned(data: bytes, bit: int) -> bytes:
    """A file with one bit turned over."""
    spoilt = bytearray(data)
    spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)


def july(folder: Path) -> list[pl.DataFrame]:
    """The rows of July, of both tables."""
    return [frame(folder, table, start="2026-07-01", end="2026-08-01") for table in TABLES]
