"""The rows of an archive, and from which sources."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.feeds.columns import CONSTRAINTS, SNAPSHOTS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.store.layout import snapshot_key
from tests.cli.small_archive import NOON, objects, printed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket


class TestRead:
    def test_a_table_shows_the_main_columns(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The table gives label, name, zone, price and revision of each row that is the latest."""
        lines = printed(capsys, "read", "--local", str(archive)).splitlines()
        assert lines[0].split() == ["interval_end", "constraint_name", "zone", "shadow_price", "revision"]
        assert [line.split()[:2] + line.split()[-3:] for line in lines[1:3]] == [
            ["2026-07-27", "12:00", "3", "-2.50", "1"],
            ["2026-07-27", "12:05", "3", "-8.32", "0"],
        ]
        assert lines[3] == "2 rows, times in EST"

    def test_csv_has_every_column_and_est_times(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """CSV carries all columns, times with their offset, terms joined as in the feed."""
        rows = list(csv.DictReader(io.StringIO(printed(capsys, "read", "--local", str(archive), "--format", "csv"))))
        assert list(rows[0]) == list(CONSTRAINTS)
        assert [row["interval_end"] for row in rows] == ["2026-07-27T12:00:00-05:00", "2026-07-27T12:05:00-05:00"]
        assert [(row["shadow_price"], row["terms"], row["quantity"]) for row in rows] == [
            ("-2.5", "STR+Lost_Gen", ""),
            ("-8.32", "STR+Lost_Gen", ""),
        ]

    def test_json_is_an_array_of_objects(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """JSON carries all columns, lists as lists, what is absent as null."""
        rows = json.loads(printed(capsys, "read", "--local", str(archive), "--format", "json", "--all-revisions"))
        assert [(row["shadow_price"], row["revision"], row["is_latest"]) for row in rows] == [
            (-1.5, 0, False),
            (-2.5, 1, True),
            (-8.32, 0, True),
        ]
        assert rows[0]["terms"] == ["STR", "Lost_Gen"]
        assert rows[0]["quantity"] is None

    def test_parquet_goes_into_a_file_typed(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Parquet holds the very frame, and nothing is printed."""
        file = archive / "out.parquet"
        arguments = ("--format", "parquet", "--output", str(file), "--snapshots")
        assert printed(capsys, "read", "--local", str(archive), *arguments) == ""
        assert pl.read_parquet(file).equals(mr.scan_snapshots(archive).collect())
        assert pl.read_parquet_schema(file) == SNAPSHOTS

    def test_the_days_bound_what_is_read(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing before --start, nothing from --end on."""
        cases = ((("--start", "2026-07-28"), 0), (("--start", "2026-07-27"), 2), (("--end", "2026-07-28"), 2))
        for days, count in (*cases, (("--end", "2026-07-27"), 0)):
            text = printed(capsys, "read", "--local", str(archive), *days)
            assert text.splitlines()[-1] == f"{count} rows, times in EST"

    def test_what_cannot_be_read_is_told_or_fails(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A damaged object is named on stderr and the rest is printed; with --strict the exit code is 1."""
        damaged = archive / snapshot_key(RESERVE, NOON + timedelta(minutes=5))
        damaged.write_bytes(damaged.read_bytes()[:30])
        assert main(["read", "--local", str(archive)]) == 0
        output = capsys.readouterr()
        assert output.out.splitlines()[-1] == "1 row, times in EST"
        assert output.err.startswith("miso-archive: warning: 1 of the objects")
        assert damaged.name in output.err
        assert main(["read", "--local", str(archive), "--strict"]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert damaged.name in output.err

    def test_a_bucket_reads_like_a_folder(
        self, archive: Path, bucket: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """--s3-bucket, or S3_BUCKET in the environment, gives what --local gives."""
        for key, data in objects().items():
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
        local = printed(capsys, "read", "--local", str(archive), "--format", "csv")
        assert printed(capsys, "read", "--s3-bucket", bucket.name, "--format", "csv") == local
        monkeypatch.setenv("S3_BUCKET", bucket.name)
        assert printed(capsys, "read", "--format", "csv") == local


class TestSources:
    @pytest.mark.parametrize(
        "given",
        [
            ("live,next_day_report",),
            ("live", "next_day_report"),
            ("next_day_report,live,",),
            (" live , next_day_report ",),
            ("live", "--sources", "next_day_report"),
        ],
    )
    def test_they_are_listed_with_commas_or_blanks(
        self, given: tuple[str, ...], archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Every way to name two sources names both, of which the table then tells."""
        table = printed(capsys, "read", "--local", str(archive), "--sources", *given).splitlines()
        assert table[0].split()[-1] == "source"
        assert {line.split()[-1] for line in table[1:-1]} == {"live"}

    @pytest.mark.parametrize("given", ["live,nope", "live;next_day_report", ",", "", " , "])
    def test_another_one_is_wrong_usage(self, given: str, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What is no source is told with those that are."""
        assert main(["read", "--local", str(archive), "--sources", given]) == 2
        told = capsys.readouterr().err
        assert "--sources: " in told
        assert "live, next_day_report, day_ahead_report" in told
