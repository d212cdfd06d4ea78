"""DuckDB and pandas read the compacted months as plain Parquet."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import polars as pl
import pytest

from miso_archive.feeds.columns import CONSTRAINTS, SNAPSHOTS
from miso_archive.reading.compaction import compact_month, months_to_compact
from miso_archive.reading.scan import scan_constraints
from tests.reading.compaction.archives import CURATED, at, compacted_file, frame


class TestPlainParquet:
    @pytest.fixture
    def plain(self, folder: Path) -> str:
        """The address by which other tools take the compacted constraints of three months."""
        for month in months_to_compact(folder, now=at("08-04 12:00")):
            compact_month(folder, month, now=at("08-04 12:00"))
        return str(folder / CURATED / "constraints" / "*.parquet")

    def test_duckdb_counts_the_same(self, folder: Path, plain: str) -> None:
        """Rows and totals per market day and per constraint are those of the reader."""
        reader = scan_constraints(folder)
        for column in ("market_day", "constraint_name"):
            totals = pl.col("shadow_price").sum().round(6).alias("total")
            ours = reader.group_by(column).agg(pl.len().alias("rows"), totals).sort(column).collect().rows()
            with duckdb.connect() as connection:
                theirs = connection.execute(
                    f"select {column}, count(*), round(sum(shadow_price), 6) from read_parquet(?)"  # noqa: S608 - ours
                    " where is_latest group by all order by 1",
                    [plain],
                ).fetchall()
            assert len(ours) > 10
            assert theirs == ours

    def test_duckdb_shows_hours_in_est(self, folder: Path, plain: str) -> None:
        """With its time zone set to Etc/GMT+5, DuckDB counts the labels by the EST hour they show."""
        expected: dict[int, int] = {}
        for interval_end in frame(folder)["object_key"]:
            hour = int(interval_end.split("_")[-1][:2])
            expected[hour] = expected.get(hour, 0) + 1
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'Etc/GMT+5'")
            found = connection.execute(
                "select hour(interval_end), count(*) from read_parquet(?) group by all", [plain]
            ).fetchall()
            [stored] = connection.execute(
                "select distinct typeof(interval_end) from read_parquet(?)", [plain]
            ).fetchall()
        assert set(expected) == {0, 8}
        assert dict(found) == expected
        assert stored == ("TIMESTAMP WITH TIME ZONE",)

    def test_duckdb_knows_lists_and_nulls(self, folder: Path, plain: str) -> None:
        """Terms are a list, and what the live feed does not carry is null."""
        with duckdb.connect() as connection:
            found = connection.execute(
                "select count(*) filter (terms[1] = 'STR'), count(quantity), count(*) from read_parquet(?)", [plain]
            ).fetchone()
        ours = frame(folder)
        assert found == (
            sum("STR" in terms for terms in ours["terms"]),
            sum(quantity is not None for quantity in ours["quantity"]),
            len(ours),
        )
        assert found[1] < found[2]

    def test_pandas_reads_it(self, folder: Path, plain: str) -> None:
        """Pandas finds EST times, numbers as numbers, and the reader's prices in their order."""
        parts = [pd.read_parquet(path) for path in sorted(Path(plain).parent.glob("*.parquet"))]
        found = pd.concat([part for part in parts if len(part)])
        ours = frame(folder)
        assert list(found.columns) == list(CONSTRAINTS)
        assert found["shadow_price"].dtype == "float64"
        assert found["shadow_price"].tolist() == ours["shadow_price"].to_list()
        assert found["is_latest"].dtype == "bool"
        assert found["interval_end"].tolist() == ours["interval_end"].to_list()
        assert {time.utcoffset() for time in found["interval_end"]} == {timedelta(hours=-5)}

    def test_the_file_says_what_its_columns_mean(self, plain: str) -> None:
        """Each file's own metadata tells unit and meaning of every column, and what it was made from."""
        with duckdb.connect() as connection:
            rows = connection.execute("select key, value from parquet_kv_metadata(?)", [plain]).fetchall()
        told = {key.decode(): value.decode() for key, value in rows if "2026-07" in value.decode() or key == b"columns"}
        columns = json.loads(told["columns"])
        assert list(columns) == list(CONSTRAINTS)
        assert columns["shadow_price"].startswith("$/MW: ")
        assert columns["interval_end"].startswith("EST: ")
        assert not columns["market_day"].startswith(":")
        assert all(len(meaning) > 10 for meaning in columns.values())
        snapshots = pl.read_parquet_metadata(str(compacted_file(Path(plain).parents[3], "snapshots")))
        assert list(json.loads(snapshots["columns"])) == list(SNAPSHOTS)
        standing = json.loads(snapshots["miso_reserve"])
        assert (standing["version"], standing["first"], standing["through"]) == (2, "2026-07-01", "2026-07-31")

    def test_rows_stand_in_time_order(self, plain: str) -> None:
        """Within each file labels never go back, and neither do files beside each other."""
        labels = [pl.read_parquet(path)["interval_end"] for path in sorted(Path(plain).parent.glob("*.parquet"))]
        assert all(one.is_sorted() for one in labels)
        whole = [one for one in labels if len(one)]
        assert all(before[-1] < after[0] for before, after in pairwise(whole))
