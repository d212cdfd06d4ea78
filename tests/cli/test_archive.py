"""The commands on an archive: read, coverage, compact."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.feeds.columns import CONSTRAINTS, COVERAGE, SNAPSHOTS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.simulate import snapshot_body
from miso_archive.store.layout import snapshot_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket

NAME = "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3"
NOON = datetime(2026, 7, 27, 12, 0, tzinfo=EST)


def body(end: datetime, *prices: str) -> bytes:
    """A live body of one interval with these prices."""
    period = end.replace(tzinfo=None).isoformat()
    rows = [
        {"Name": NAME, "Period": period, "Price": price, "Description": "STR+Lost_Gen Zone_3"} for price in prices
    ] or [{"Name": "None", "Period": period, "Price": "None"}]
    return json.dumps({"RefId": f"{end:%d-%b-%Y} - Interval {end:%H:%M} EST", "Constraint": rows}).encode()


def objects() -> dict[str, bytes]:
    """Two binding intervals, the first revised, and a quiet one, by key."""
    first, second, third = (NOON + timedelta(minutes=5 * number) for number in range(3))
    revision = "aaaaaaaaaaaa"
    return {
        snapshot_key(RESERVE, first): gzip.compress(body(first, "-1.5")),
        snapshot_key(RESERVE, first, revision_of=revision): gzip.compress(body(first, "-2.5")),
        snapshot_key(RESERVE, second): gzip.compress(body(second, "-8.32")),
        snapshot_key(RESERVE, third): gzip.compress(body(third)),
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with the four objects."""
    for key, data in objects().items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that does well, silent on stderr; give what it prints."""
    assert main(list(arguments)) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


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


class TestCoverage:
    def test_each_day_is_counted(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One row a market day: three of 288 intervals collected, one quiet, one revised."""
        [row] = json.loads(printed(capsys, "coverage", "--local", str(archive), "--format", "json"))
        assert list(row) == list(COVERAGE)
        expected = {"expected": 288, "collected": 3, "quiet": 1, "binding": 2, "missing": 285, "revised": 1}
        assert {name: row[name] for name in expected} == expected

    def test_the_missing_intervals_are_listed(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """--missing gives the 285 others, none of the three."""
        text = printed(capsys, "coverage", "--local", str(archive), "--missing", "--format", "csv")
        ends = [row["interval_end"] for row in csv.DictReader(io.StringIO(text))]
        assert len(ends) == 285
        assert ends[0] == "2026-07-27T00:05:00-05:00"
        assert ends[-1] == "2026-07-28T00:00:00-05:00"
        assert not {"2026-07-27T12:00:00-05:00", "2026-07-27T12:10:00-05:00"} & set(ends)

    def test_a_long_run_of_days_without_anything_is_one_row(
        self, archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of 9,703 days between two with something a table shows one row with their sums; JSON shows every day."""
        old = archive / "sourcing" / RESERVE.dataset / "2000-01-01"
        old.mkdir()
        (old / "binding_constraints_reserve_20000101_0700.json.gz").write_bytes(gzip.compress(b"{}"))
        table = printed(capsys, "coverage", "--local", str(archive)).splitlines()
        assert [line.split()[0] for line in table[1:]] == ["2000-01-01", "2000-01-02", "2026-07-27", "3"]
        assert table[2].split()[1:7] == ["to", "2026-07-26", "2794464", "0", "0", "0"]
        assert table[2].split()[7] == "2794464"
        days = json.loads(printed(capsys, "coverage", "--local", str(archive), "--format", "json"))
        assert len(days) == 9703 + 2
        week = ("--start", "2026-07-20", "--end", "2026-07-28")
        table = printed(capsys, "coverage", "--local", str(archive), *week).splitlines()
        assert [line.split()[0] for line in table[1:]] == [*(f"2026-07-{day}" for day in range(20, 28)), "8"]

    def test_a_refused_body_is_something(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A day on which a body was refused alone stands in a row of its own, and is the last."""
        refused = archive / "quarantine" / RESERVE.dataset / "2026-09-01"
        refused.mkdir(parents=True)
        (refused / "refused_00.body.gz").write_bytes(gzip.compress(b"{}"))
        table = printed(capsys, "coverage", "--local", str(archive)).splitlines()
        assert [line.split()[0] for line in table[1:]] == ["2026-07-27", "2026-07-28", "2026-09-01", "3"]


class TestCompact:
    def test_it_says_what_became_of_each_month(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The closed month is written once, and reads as before."""
        before = printed(capsys, "read", "--local", str(archive), "--format", "csv", "--all-revisions")
        for written in (True, False):
            [month] = json.loads(printed(capsys, "compact", "--local", str(archive), "--format", "json"))
            assert month == {
                "month": "2026-07",
                "through": "2026-07-31",
                "snapshots": 4,
                "constraints": 3,
                "unreadable": 0,
                "written": written,
            }
        assert len(list((archive / "curated").rglob("*.parquet"))) == 2
        assert printed(capsys, "read", "--local", str(archive), "--format", "csv", "--all-revisions") == before

    @pytest.mark.parametrize(
        ("days", "months"),
        [
            (("--start", "2026-07-27"), 1),
            (("--start", "2026-08-01"), 0),
            (("--end", "2026-07-28"), 1),
            (("--end", "2026-07-01"), 0),
        ],
    )
    def test_the_days_bound_what_is_compacted(
        self, archive: Path, capsys: pytest.CaptureFixture[str], days: tuple[str, str], months: int
    ) -> None:
        """No month before that of --start, and none that begins at --end or later."""
        assert len(json.loads(printed(capsys, "compact", "--local", str(archive), *days, "--format", "json"))) == months

    def test_a_month_that_fails_is_told_and_the_others_are_compacted(
        self, archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A month whose raw objects are gone makes the exit code 1, by its reason; the next one is written."""
        june = archive / snapshot_key(RESERVE, NOON.replace(month=6))
        june.parent.mkdir()
        june.write_bytes(gzip.compress(snapshot_body(NOON.replace(month=6), seed=1)))
        printed(capsys, "compact", "--local", str(archive), "--end", "2026-07-01")
        june.unlink()
        assert main(["compact", "--local", str(archive), "--format", "json"]) == 1
        output = capsys.readouterr()
        assert [month["month"] for month in json.loads(output.out)] == ["2026-07"]
        assert "raw objects are gone" in output.err


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


class TestUsage:
    @pytest.mark.parametrize("command", ["read", "coverage", "compact"])
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ([], "--s3-bucket (S3_BUCKET), --s3-block or --local"),
            (["--local", "a", "--s3-bucket", "bucket"], "--local"),
            (["--local", ".", "--start", "yesterday"], "--start is a market day, YYYY-MM-DD, not 'yesterday'"),
            (["--local", ".", "--start", "2026-07-02", "--end", "2026-07-01"], "before they start"),
            (["--local", ".", "--format", "xml"], "--format"),
        ],
    )
    def test_wrong_usage_is_said(
        self, command: str, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What is wrong is named, the exit code is 2, and nothing is printed."""
        assert main([command, *arguments]) == 2
        output = capsys.readouterr()
        assert problem in output.err
        assert output.out == ""

    @pytest.mark.parametrize("command", ["read", "coverage", "compact"])
    def test_a_folder_that_is_not_there_is_no_empty_archive(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A folder that does not exist fails, with its name and what to do, instead of giving nothing."""
        assert main([command, "--local", str(tmp_path / "dta")]) == 1
        output = capsys.readouterr()
        assert "dta" in output.err
        assert "collected into" in output.err
        assert output.out == ""

    @pytest.mark.parametrize("command", ["read", "coverage", "compact"])
    def test_a_folder_that_is_no_archive_is_told(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A folder of something else fails by name, instead of giving nothing."""
        (tmp_path / "letters").mkdir()
        assert main([command, "--local", str(tmp_path)]) == 1
        output = capsys.readouterr()
        assert f"{tmp_path.as_uri()} is no archive" in output.err
        assert output.out == ""

    def test_a_file_that_cannot_be_written_is_said(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """--output into a folder that is not there is wrong usage, not a traceback."""
        assert main(["read", "--local", str(archive), "--output", str(archive / "no" / "such.csv")]) == 2
        assert "--output" in capsys.readouterr().err


class TestTerminal:
    def in_terminal(self, *arguments: str) -> tuple[int, str]:
        """Run a command with a terminal for stdout and stderr; give its exit code and what it shows."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "miso_archive", *arguments],
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        ) as process:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # the terminal is closed
                    break
                if not piece:
                    break
                shown += piece
            os.close(ours)
        return process.returncode, shown.decode()

    def test_long_work_shows_a_bar(self, archive: Path) -> None:
        """On a terminal a bar tells how many days are read; elsewhere (as everywhere above) there is none."""
        code, shown = self.in_terminal("coverage", "--local", str(archive))
        assert code == 0
        assert "days read" in shown
        assert "2026-07-27" in shown

    def test_parquet_is_not_for_a_terminal(self, archive: Path) -> None:
        """Parquet on a terminal is refused, with what to do."""
        code, shown = self.in_terminal("read", "--local", str(archive), "--format", "parquet")
        assert code == 2
        assert "--output FILE" in shown


def test_reading_never_imports_prefect(archive: Path) -> None:
    """Neither the package nor a folder read, counted and compacted imports Prefect or boto3."""
    code = (
        "import sys, miso_archive as mr; from datetime import date;"
        f"a = {str(archive)!r}; mr.scan_constraints(a).collect(); mr.scan_snapshots(a).collect(); mr.coverage(a);"
        "mr.missing_intervals(a); mr.fetch_times(a); mr.compact_month(a, date(2026, 7, 1));"
        "sys.exit(' '.join({'prefect', 'prefect_aws', 'boto3', 'redis'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
