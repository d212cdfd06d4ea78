"""When snapshots were fetched: from provenance alone, whether it is kept in a folder or in S3's metadata."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from miso_archive.feeds.columns import TIME
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST_NAME
from miso_archive.reading.compaction import compact_month
from miso_archive.reading.fetch_times import FETCH_TIMES, fetch_times
from miso_archive.reading.one_pass import Reading
from miso_archive.settings.options import Settings
from miso_archive.simulate.market import snapshot_body
from miso_archive.store.address import store_of
from miso_archive.store.folder import Folder
from miso_archive.store.layout import provenance_key, snapshot_key
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from miso_archive.store.store import Store
    from tests.conftest import Bucket

FETCHED = (
    # Label, seconds from it to the fetch, revision, market day.
    ("2026-07-01 00:05", 61, 0, date(2026, 7, 1)),
    ("2026-07-01 08:10", 90, 0, date(2026, 7, 1)),
    ("2026-07-01 08:10", 400, 1, date(2026, 7, 1)),
    ("2026-07-01 08:10", 3600, 2, date(2026, 7, 1)),
    ("2026-07-02 00:00", 0, 0, date(2026, 7, 1)),
    ("2026-07-02 00:05", 250000, 0, date(2026, 7, 2)),
    ("2026-11-01 01:30", -30, 0, date(2026, 11, 1)),
)


def at(text: str) -> datetime:
    """The interval end ``2026-07-27 08:10``, EST."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(EST_NAME))


def fill(archive: Store, *, later: timedelta = timedelta(0)) -> None:
    """Put the bodies as the collector does, each fetched at its time or so much later."""
    for label, seconds, revision, _ in FETCHED:
        interval_end = at(label)
        body = snapshot_body(interval_end, seed=307, revision=revision)
        fetched_at = interval_end + timedelta(seconds=seconds) + later
        snapshot = RESERVE.examine(body).snapshot
        assert snapshot is not None
        store_snapshot(archive, RESERVE, snapshot, Response(body, fetched_at, "http://127.0.0.1/", "application/json"))


def expected() -> list[tuple[object, ...]]:
    """What the frame says but for the keys."""
    return [
        (
            day,
            at(label) - timedelta(minutes=5),
            at(label),
            revision,
            at(label) + timedelta(seconds=seconds),
            seconds / 60,
        )
        for label, seconds, revision, day in FETCHED
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive in a folder."""
    fill(Folder(tmp_path))
    return tmp_path


def test_each_object_has_its_row(folder: Path) -> None:
    """One row a body in time order, revisions by when they came, with times in EST and the lag in minutes."""
    frame = fetch_times(folder)
    assert frame.schema == FETCH_TIMES
    assert frame.schema["fetched_at"] == TIME
    assert frame.drop("object_key").rows() == expected()
    assert all((folder / key).is_file() for key in frame["object_key"])
    assert frame["object_key"].n_unique() == len(FETCHED)


def test_a_bucket_tells_the_same(folder: Path, bucket: Bucket) -> None:
    """S3's metadata tells what a folder's provenance files tell."""
    fill(store_of(Settings(s3_bucket=bucket.name)))
    assert fetch_times(f"s3://{bucket.name}").equals(fetch_times(folder))


class TestCompacted:
    """Compacted months hold the fetch times of their days."""

    JULY = date(2026, 7, 1)
    NOW = at("2026-08-02 00:00")

    @pytest.fixture
    def asked(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The keys whose provenance is asked for from now on, each as often as it is."""
        assert folder.is_dir()
        keys: list[str] = []
        asks = Folder.fetched_at

        def noted(store: Folder, asked: Sequence[str]) -> list[str]:
            keys.extend(asked)
            return asks(store, asked)

        monkeypatch.setattr(Folder, "fetched_at", noted)
        return keys

    def test_they_tell_the_same(self, folder: Path, asked: list[str]) -> None:
        """The rows are those of the raw objects, unreadable ones included, and no provenance is asked for."""
        (folder / snapshot_key(RESERVE, at("2026-07-02 00:05"))).write_bytes(b"damaged")
        before = fetch_times(folder)
        compact_month(folder, self.JULY, now=self.NOW)
        del asked[:]
        after = fetch_times(folder)
        assert after.equals(before)
        assert after.schema == FETCH_TIMES
        assert asked == after["object_key"].to_list()[-1:]
        assert fetch_times(folder, start="2026-07-02", end="2026-07-03").equals(before[5:6])

    def test_a_month_compacted_without_them_is_asked_for(
        self, folder: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where a month has no such file its provenance tells, until it is compacted: no body is read for it."""
        before = fetch_times(folder)
        compact_month(folder, self.JULY, now=self.NOW)
        others = {path: path.stat().st_mtime_ns for path in (folder / "curated").rglob("*/snapshots/*.parquet")}
        [months] = (folder / "curated").rglob("fetch_times/2026-07.parquet")
        months.unlink()
        del asked[:]
        assert fetch_times(folder).equals(before)
        assert sorted(asked) == sorted(before["object_key"])
        del asked[:]
        with monkeypatch.context() as reading:
            # Of months and provenances alone.
            reading.setattr(Reading, "raw", None)
            again = compact_month(folder, self.JULY, now=self.NOW)
        assert again is not None
        assert again.written
        assert sorted(asked) == sorted(before["object_key"][:-1])
        assert {path: path.stat().st_mtime_ns for path in others} == others
        assert fetch_times(folder).equals(before)

    def test_only_what_is_new_is_asked_for(self, folder: Path, asked: list[str]) -> None:
        """A month that is compacted anew takes over what it knows, and asks for the others."""
        compact_month(folder, self.JULY, now=self.NOW)
        end = at("2026-07-20 12:00")
        snapshot = RESERVE.examine(body := snapshot_body(end, seed=307)).snapshot
        assert snapshot is not None
        key = store_snapshot(Folder(folder), RESERVE, snapshot, Response(body, end, "http://127.0.0.1/", "")).key
        before = fetch_times(folder)
        del asked[:]
        compact_month(folder, self.JULY, now=self.NOW)
        assert asked == [key]
        assert fetch_times(folder).filter(pl.col("object_key") != key).equals(before)
        assert fetch_times(folder).filter(object_key=key)["lag_minutes"].to_list() == [0]


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        ("2026-07-01", "2026-07-02", [0, 1, 2, 3, 4]),
        ("2026-07-02", None, [5, 6]),
        (None, "2026-07-02", [0, 1, 2, 3, 4]),
        (date(2026, 7, 2), date(2026, 11, 1), [5]),
        ("2027-01-01", None, []),
    ],
)
def test_only_the_days_asked_for(
    folder: Path, start: date | str | None, end: date | str | None, rows: list[int]
) -> None:
    """Days run from start to end, exclusive; the label 00:00 belongs to the day before."""
    frame = fetch_times(folder, start=start, end=end)
    assert frame.schema == FETCH_TIMES
    assert frame.drop("object_key").rows() == [expected()[row] for row in rows]


@pytest.mark.parametrize("kept", [None, b"", b"{", b"[]", b"{}", b'{"fetched-at": 5}', b'{"fetched-at": "yesterday"}'])
def test_without_provenance_the_time_is_null(folder: Path, kept: bytes | None) -> None:
    """A body whose provenance is absent or damaged has its row, without time and lag."""
    path = folder / provenance_key(snapshot_key(RESERVE, at("2026-07-02 00:05")))
    path.unlink()
    if kept is not None:
        path.write_bytes(kept)
    rows = fetch_times(folder).drop("object_key").rows()
    assert rows[5] == (*expected()[5][:4], None, None)
    assert [*rows[:5], *rows[6:]] == [*expected()[:5], *expected()[6:]]


def test_an_object_without_metadata_has_no_time(bucket: Bucket) -> None:
    """What another program put into a bucket has no provenance."""
    key = snapshot_key(RESERVE, at("2026-07-02 00:05"))
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
    frame = fetch_times(f"s3://{bucket.name}")
    assert frame["object_key"].to_list() == [key]
    assert frame["fetched_at"].to_list() == frame["lag_minutes"].to_list() == [None]


def test_foreign_files_have_no_row(folder: Path) -> None:
    """Only what is named as a snapshot was fetched."""
    (folder / "sourcing" / RESERVE.dataset / "2026-07-01" / "notes.txt").write_text("mine")
    assert len(fetch_times(folder)) == len(FETCHED)


def test_an_empty_archive_gives_an_empty_typed_frame(tmp_path: Path) -> None:
    """Nothing was fetched: no rows, the same columns."""
    (tmp_path / "sourcing" / RESERVE.dataset / "2026-07-27").mkdir(parents=True)
    frame = fetch_times(tmp_path)
    assert frame.is_empty()
    assert frame.schema == FETCH_TIMES


def test_what_cannot_be_asked_is_an_error(folder: Path) -> None:
    """A folder that is not there and days that end before they start are told."""
    with pytest.raises(ArchiveError, match="there is no folder"):
        fetch_times(folder / "none")
    with pytest.raises(ValueError, match="before they start"):
        fetch_times(folder, start="2026-07-02", end="2026-07-01")


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_the_time_is_that_of_the_first_fetch(tmp_path: Path, bucket: Bucket, kind: str) -> None:
    """A body that is fetched again, later, keeps the time at which it was first archived."""
    archive = Folder(tmp_path) if kind == "folder" else store_of(Settings(s3_bucket=bucket.name))
    fill(archive)
    fill(archive, later=timedelta(hours=5))
    found = fetch_times(tmp_path if kind == "folder" else f"s3://{bucket.name}")
    assert found.drop("object_key").rows() == expected()
