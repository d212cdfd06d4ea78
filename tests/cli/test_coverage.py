"""What an archive holds, and what is missing."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import TYPE_CHECKING

from miso_archive.feeds.columns import COVERAGE
from miso_archive.feeds.reserve import RESERVE
from tests.cli.small_archive import printed

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
        (refused / f"refused_{64 * '0'}.body.gz").write_bytes(gzip.compress(b"{}"))
        table = printed(capsys, "coverage", "--local", str(archive)).splitlines()
        assert [line.split()[0] for line in table[1:]] == ["2026-07-27", "2026-07-28", "2026-09-01", "3"]
