"""The compacting flow on a real Prefect server."""

from __future__ import annotations

import gzip
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import miso_archive as mr
from flows.compact import compact, compact_one
from flows.task_runner import VARIABLE, task_runner
from miso_archive.contract.findings import FailureCode
from miso_archive.feeds import FEEDS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import compact_month
from miso_archive.simulate.market import snapshot_body
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.store import ArchiveError
from tests.feeds.archived import put
from tests.flows.test_collect import published, task_runs_of
from tests.flows.troubles import failing_at_first
from tests.healing.test_backfill import files_in
from tests.s3_archives import block
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket, Services

pytestmark = pytest.mark.usefixtures("prefect_server")

FIRST = datetime(2026, 1, 31, 12, 0, tzinfo=EST)


def snapshots(count: int = 40) -> dict[str, bytes]:
    """Hourly snapshots from the last day of January on, by key."""
    ends = [FIRST + timedelta(hours=number) for number in range(count)]
    return {snapshot_key(RESERVE, end): gzip.compress(snapshot_body(end, seed=5)) for end in ends}


def write(folder: Path) -> None:
    """Write the snapshots as an archive in a folder."""
    for key, data in snapshots().items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_each_month_is_a_task_and_the_frames_stay_the_same(tmp_path: Path) -> None:
    """Both months are compacted by tasks named after them, the progress ends at 100, and reading gives the same."""
    write(tmp_path)
    raw = mr.scan_snapshots(tmp_path).collect()
    state = compact(local=tmp_path, return_state=True)
    assert [(month["month"], month["snapshots"], month["written"]) for month in state.result()] == [
        ("2026-01", 13, True),
        ("2026-02", 27, True),
    ]
    (artifact,) = (artifact for artifact in published(state) if artifact.key == "compaction")
    tasks = {"compact 2026-01", "compact 2026-02"}
    assert set(task_runs_of(state, *tasks)) == tasks
    assert artifact.data == 100
    assert mr.scan_snapshots(tmp_path).collect().equals(raw)
    assert len(list((tmp_path / "curated").rglob("*.parquet"))) == 6


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    """What stands compacted and is the same is left alone."""
    write(tmp_path)
    compact(local=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "curated").rglob("*.parquet")}
    assert len(before) == 6
    assert [month["written"] for month in compact(local=tmp_path)] == [False, False]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "curated").rglob("*.parquet")} == before


def test_each_feed_that_the_archive_holds_is_compacted(tmp_path: Path) -> None:
    """A sister's months have its name in task and result; those of reserve stay as they were without it."""
    held = {"reserve": "2026-07", "asm_mcp": "2026-10", "fuel_mix": "2026-10"}
    for name in held:
        put(Folder(tmp_path), FEEDS[name], FEEDS[name].recorded.read_bytes())
    state = compact(local=tmp_path, return_state=True)
    assert [(month.get("feed", "reserve"), month["month"]) for month in state.result()] == list(held.items())
    assert "feed" not in state.result()[0]
    tasks = {"compact 2026-07", "compact asm_mcp 2026-10", "compact fuel_mix 2026-10"}
    assert set(task_runs_of(state, *tasks)) == tasks


@pytest.mark.services
def test_dask_compacts_the_same(tmp_path: Path) -> None:
    """On two processes of Dask the archive becomes the same byte for byte, and the progress ends at 100."""
    archives = []
    write(tmp_path / "raw")
    for runner in ("threads", "dask"):
        folder = tmp_path / runner
        shutil.copytree(tmp_path / "raw", folder)
        state = compact.with_options(task_runner=task_runner({VARIABLE: runner}))(local=folder, return_state=True)
        assert [month["written"] for month in state.result()] == [True, True]
        assert [artifact.data for artifact in published(state) if artifact.key == "compaction"] == [100]
        archives.append({key: (folder / key).read_bytes() for key in files_in(folder)})
    in_threads, by_dask = archives
    assert len(in_threads) == len(snapshots()) + 6
    assert by_dask == in_threads


@ON_REAL_SERVERS
def test_a_bucket_is_compacted_by_a_block_or_a_profile(bucket: Bucket, services: Services, profile: str) -> None:
    """With what a saved block, or a profile, says of S3 alone the flow compacts a bucket."""
    for key, data in snapshots().items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
    block(services.s3, bucket.name).save("to-compact", overwrite=True)
    assert [month["written"] for month in compact(s3_block="to-compact")] == [True, True]
    assert len(bucket.keys("curated/")) == 6
    assert [month["written"] for month in compact(s3_bucket=bucket.name, aws_profile=profile)] == [False, False]


def test_only_the_months_asked_for_are_compacted(tmp_path: Path) -> None:
    """The market days given bound what is compacted, by their months."""
    write(tmp_path)
    assert [month["month"] for month in compact(local=tmp_path, end=date(2026, 2, 1))] == ["2026-01"]
    assert [month["month"] for month in compact(local=tmp_path, start=date(2026, 2, 1))] == ["2026-02"]


def test_a_month_that_fails_for_a_moment_is_tried_again(
    tmp_path: Path, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that does not answer twice fails nothing: the month's task is tried again, some seconds later."""
    write(tmp_path)
    trouble = ArchiveError(FailureCode.ARCHIVE_UNREADABLE, "for a moment")
    monkeypatch.setattr("flows.compact.compact_month", failing_at_first(compact_month, trouble, trouble))
    assert len(compact(local=tmp_path, end=date(2026, 2, 1))) == 1
    assert [round(seconds) for seconds in slept] == [10, 60]


def test_every_month_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's message has each of them, by its code; a defect of ours goes by its own name."""
    write(tmp_path)

    def fails(_archive: object, month: date, feed: str) -> None:
        assert feed == "reserve"
        raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, f"{month:%Y-%m} is away")

    def is_wrong(*_arguments: object, **_feed: str) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("flows.compact.compact_one", compact_one.with_options(retries=0))
    monkeypatch.setattr("flows.compact.compact_month", fails)
    told = str(compact(local=tmp_path, return_state=True).message)
    assert told == "archive_unreadable: 2026-01 is away; archive_unreadable: 2026-02 is away"
    monkeypatch.setattr("flows.compact.compact_month", is_wrong)
    told = str(compact(local=tmp_path, return_state=True).message)
    assert "RuntimeError: a defect" in told
    assert "wrong_parameters" not in told


@ON_REAL_SERVERS
def test_a_bucket_is_compacted_by_its_name(bucket: Bucket) -> None:
    """The flow compacts a bucket as well, with what the environment says of S3."""
    for key, data in snapshots().items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
    raw = mr.scan_constraints(f"s3://{bucket.name}").collect()
    assert [month["written"] for month in compact(s3_bucket=bucket.name)] == [True, True]
    assert len(bucket.keys("curated/")) == 6
    assert mr.scan_constraints(f"s3://{bucket.name}").collect().equals(raw)


def test_a_month_that_fails_fails_the_run_after_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month whose raw objects are gone makes the run Failed with the reason; the other month is compacted."""
    write(tmp_path)
    compact(local=tmp_path)
    for path in (tmp_path / "sourcing" / RESERVE.dataset / "2026-01-31").iterdir():
        path.unlink()
    january = tmp_path / "curated" / RESERVE.dataset / "snapshots" / "2026-01.parquet"
    standing = january.read_bytes()
    new = FIRST + timedelta(days=2)
    (tmp_path / snapshot_key(RESERVE, new)).write_bytes(gzip.compress(snapshot_body(new, seed=5)))
    monkeypatch.setattr("flows.compact.compact_one", compact_one.with_options(retries=0))
    state = compact(local=tmp_path, return_state=True)
    assert state.is_failed()
    assert "raw objects are gone" in str(state.message)
    assert january.read_bytes() == standing
    february = mr.scan_snapshots(tmp_path, start="2026-02-01").collect()
    assert new.astimezone(UTC) in [end.astimezone(UTC) for end in february["interval_end"]]
    assert january.with_name("2026-02.parquet").stat().st_mtime_ns > january.stat().st_mtime_ns
