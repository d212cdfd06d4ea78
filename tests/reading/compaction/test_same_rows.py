"""The same rows, and types, from Parquet as from the raw objects."""

from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.reading.compaction import compact_month, months_to_compact
from tests.reading.compaction.archives import CURATED, FILES, RAW, at, compacted, compacted_file, frame, frames, same

if TYPE_CHECKING:
    from pathlib import Path


class TestSameRows:
    def test_a_compacted_archive_reads_as_its_raw_objects(self, folder: Path, filled: Path) -> None:
        """Both tables are the same, rows and types, before and after compaction, with a month compacted in part."""
        for month in months_to_compact(folder, now=at("08-03 12:00")):
            compact_month(folder, month, now=at("08-03 12:00"))
        stand = sorted(path.relative_to(folder / CURATED).as_posix() for path in (folder / CURATED).rglob("*.parquet"))
        assert stand == [f"{table}/2026-{month}.parquet" for table in sorted(FILES) for month in ("06", "07", "08")]
        assert same(frames(folder), frames(filled))

    def test_every_raw_row_is_in_the_compacted_month_once(self, folder: Path) -> None:
        """The Parquet file alone holds what plain Python finds in the raw objects of the month, 00:00 included."""
        compacted(folder)
        expected = []
        for path in (folder / RAW).rglob("*.json.gz"):
            month, day, hour = path.name[32:34], path.name[34:36], path.name[37:41]
            if (month == "07" and (day, hour) != ("01", "0000")) or (month, day, hour) == ("08", "01", "0000"):
                body = json.loads(gzip.decompress(path.read_bytes()))
                rows = [row for row in body["Constraint"] if not row["Name"].startswith("None")]
                expected += [(path.name, row["Name"], float(row["Price"])) for row in rows]
        standing = pl.read_parquet(compacted_file(folder))
        found = standing.select(pl.col("object_key").str.split("/").list.last(), "constraint_name", "shadow_price")
        assert len(expected) > 60
        assert sorted(found.rows()) == sorted(expected)

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-06-30", "2026-07-02"),
            ("2026-07-05", "2026-07-06"),
            ("2026-07-30", "2026-08-02"),
            (None, "2026-07-02"),
        ],
    )
    def test_a_period_is_the_same_from_compacted_and_raw(
        self, folder: Path, filled: Path, start: str | None, end: str
    ) -> None:
        """A period that cuts through a compacted month holds its days' rows and no others."""
        compacted(folder)
        asked = frame(folder, "snapshots", start=start, end=end)
        assert asked.equals(frame(filled, "snapshots", start=start, end=end))
        assert asked["market_day"].min() == date.fromisoformat(start or "2026-06-29")
        assert asked["market_day"].max() == date.fromisoformat(end) - timedelta(days=1)

    def test_raw_objects_are_kept(self, folder: Path) -> None:
        """Compaction adds to an archive and takes nothing away."""
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        compacted(folder)
        assert {path: path.read_bytes() for path in before} == before

    def test_a_damaged_day_beside_a_compacted_one_is_not_read(self, folder: Path) -> None:
        """Compacted days come from Parquet alone: their raw objects are not looked at."""
        compacted(folder)
        before = frames(folder)
        for path in (folder / RAW / "2026-07-10").iterdir():
            path.write_bytes(b"")
        assert same(frames(folder), before)
