"""Closed market days to monthly Parquet, from the command line."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.simulate import snapshot_body
from miso_archive.store.layout import snapshot_key
from tests.cli.small_archive import NOON, printed

if TYPE_CHECKING:
    from pathlib import Path


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
        assert len(list((archive / "curated").rglob("*.parquet"))) == 3
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
