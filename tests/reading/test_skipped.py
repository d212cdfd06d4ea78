"""What is said of objects that cannot be read."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import compact_month
from miso_archive.reading.scan import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_archive.simulate.market import snapshot_body
from miso_archive.store.layout import snapshot_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket

JUNE = datetime(2026, 6, 30, 12, 0, tzinfo=EST)
JULY = JUNE + timedelta(days=1)


def put(folder: Path, end: datetime, body: bytes | None = None) -> Path:
    """Write one interval's object, simulated unless a body is given."""
    path = folder / snapshot_key(RESERVE, end)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(snapshot_body(end, seed=1) if body is None else body))
    return path


def test_each_scan_warns_anew(tmp_path: Path) -> None:
    """The same cell run twice says twice what is left out, by Python's own filters for warnings."""
    put(tmp_path, JULY).write_bytes(b"no gzip")
    code = f"import miso_archive as mr\nfor _ in range(2): mr.scan_snapshots({str(tmp_path)!r}).collect()"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert done.stderr.count("SkippedObjectsWarning: 1 of the objects") == 2


def test_a_name_that_is_no_text_is_told_escaped(tmp_path: Path) -> None:
    """A foreign name that is not UTF-8, or has control characters, hurts neither reading nor compacting."""
    folder = put(tmp_path, JULY).parent
    for name in (b"caf\xe9.txt", b"red\x1b[31m"):
        with open(os.fsencode(folder) + b"/" + name, "wb"):  # noqa: PTH123 - no path has such a name
            pass
    for compacted in (False, True):
        with pytest.warns(SkippedObjectsWarning, match="2 of the objects") as told:
            assert len(scan_snapshots(tmp_path).collect()) == 1
        text = str(told[0].message)
        assert text.isprintable()
        assert r"caf\udce9.txt" in text
        assert r"red\x1b[31m" in text
        if not compacted:
            assert compact_month(tmp_path, date(2026, 7, 1)) is not None


def test_a_bad_month_keeps_no_other_from_being_compacted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command compacts what it can, prints it, says what failed, and ends with 1."""
    gone = put(tmp_path, JUNE)
    put(tmp_path, JULY)
    assert main(["compact", "--local", str(tmp_path)]) == 0
    gone.unlink()
    put(tmp_path, JULY + timedelta(minutes=5))
    capsys.readouterr()
    assert main(["compact", "--local", str(tmp_path), "--format", "json"]) == 1
    output = capsys.readouterr()
    assert [(month["month"], month["snapshots"]) for month in json.loads(output.out)] == [("2026-07", 2)]
    assert gone.name in output.err


def test_a_terminal_is_not_made_to_obey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a name do not reach the table; CSV keeps the name as published."""
    row = {"Name": "A\u001b[31m - B", "Period": "2026-07-01T12:00:00", "Price": "-1.0", "Description": "B"}
    put(tmp_path, JULY, json.dumps({"RefId": "01-Jul-2026 - Interval 12:00 EST", "Constraint": [row]}).encode())
    assert main(["read", "--local", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "\u001b" not in table
    assert "A\ufffd[31m - B" in table
    assert scan_constraints(tmp_path).collect()["constraint_name"].to_list() == ["A\u001b[31m - B"]


def test_a_filter_that_fails_on_other_days_fails_on_none(tmp_path: Path) -> None:
    """A filter that holds on the days with rows only is not tried in vain: it gives its rows."""
    for end in (JUNE, JULY):
        put(tmp_path, end)
    numbers = pl.col("market_day").replace_strict({JUNE.date(): 1, JULY.date(): 2}, return_dtype=pl.Int64)
    assert scan_snapshots(tmp_path).filter(numbers == 2).collect()["market_day"].to_list() == [JULY.date()]


def test_a_folder_made_by_a_console_is_no_object(bucket: Bucket) -> None:
    """An empty object named like its folder is what S3 consoles leave: nothing is warned of, nothing is missing."""
    key = snapshot_key(RESERVE, JULY)
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=gzip.compress(snapshot_body(JULY, seed=1)))
    bucket.client.put_object(Bucket=bucket.name, Key=key.rpartition("/")[0] + "/", Body=b"")
    assert scan_snapshots(f"s3://{bucket.name}", strict=True).collect()["object_key"].to_list() == [key]
