"""Every feed's archive is read, counted and compacted alike, by its recorded bodies and by simulated ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import miso_archive as mr
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import SNAPSHOTS_TABLE, coverage_of, schema_of, tables_of
from miso_archive.intervals.labels import EST, EST_NAME, INTERVAL
from miso_archive.settings.options import Settings
from miso_archive.store.address import store_of
from miso_archive.store.folder import Folder
from tests.feeds.archived import put_recorded, put_simulated
from tests.feeds.figures import FIGURES, figures
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from miso_archive.feeds.feed import Feed
    from tests.conftest import Bucket

each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
TABLES = [(name, table) for name, feed in FEEDS.items() for table in tables_of(feed)]
UNLIKE = {("reserve", "constraints"), ("asm_mcp", "day_ahead"), ("fuel_mix", "fuels"), ("snapshot", "snapshots")}
"""Tables that are read each in a way of its own: by the label, by the hour, by rows' own labels, and one a body."""
KINDS = ["equal", "between", "starts", "is in", "is in a frame", "market day"]
_HOUR, _LABEL = attrgetter("hour"), attrgetter("label")
AFTER = datetime(2026, 12, 1, 12, tzinfo=EST)
JULY_31, AUGUST_1, AUGUST_2 = date(2026, 7, 31), date(2026, 8, 1), date(2026, 8, 2)


def times() -> list[datetime]:
    """Three market days over the end of a month: around midnights, whole hours, and here and there."""
    midnight = datetime(2026, 7, 31, tzinfo=EST)
    minutes = (5, 10, 55, 60, 65, 490, 495, 1435, 1440)
    return [midnight + timedelta(days=day, minutes=minute) for day in range(3) for minute in minutes]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of all feeds, every interval revised once; not to be changed."""
    folder = tmp_path_factory.mktemp("raw")
    for feed in FEEDS.values():
        put_simulated(Folder(folder), feed, *times(), revisions=2)
    return folder


@pytest.fixture(scope="module")
def compacted(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same archive, its first month compacted, and of the second the first day."""
    folder = tmp_path_factory.mktemp("compacted")
    (folder / "sourcing").symlink_to(raw / "sourcing")
    (folder / "provenance").symlink_to(raw / "provenance")
    for feed in FEEDS.values():
        for month in (JULY_31, AUGUST_1):
            assert mr.compact_month(folder, month, now=datetime(2026, 8, 2, 2, tzinfo=EST), feed=feed) is not None
    return folder


def hold_figures(archive: str, compacted: Iterable[str]) -> None:
    """Hold the frames of the recorded bodies against what these say, raw, and with some feeds compacted."""
    for is_compacted in (False, True):
        assert figures(archive) == FIGURES | {"subregional": [(-7.56, "System conditions require override")]}
        for name in compacted:
            counted = mr.coverage(archive, now=AFTER, feed=name).filter(pl.col("collected") > 0)
            assert counted.schema == coverage_of(FEEDS[name])
            assert counted.select("collected", "missing", "revised", "unreadable").rows() == [(1, 287, 0, 0)]
            [day] = counted["market_day"]
            missing = mr.missing_intervals(archive, start=day, end=day + timedelta(days=1), now=AFTER, feed=name)
            assert len(missing) == 287
            [fetched] = mr.fetch_times(archive, feed=name)["lag_minutes"]
            assert fetched == 2
            for month in () if is_compacted else mr.months_to_compact(archive, now=AFTER, feed=name):
                became = mr.compact_month(archive, month, now=AFTER, feed=name)
                assert became is not None
                assert (became.snapshots, became.written) == (1, True)


def test_the_recorded_bodies_give_their_figures(tmp_path: Path) -> None:
    """Raw and compacted, each feed's frames hold what its body says, counts and fetch times too."""
    put_recorded(Folder(tmp_path))
    hold_figures(str(tmp_path), FEEDS)


@ON_REAL_SERVERS
def test_the_recorded_bodies_give_their_figures_from_s3(bucket: Bucket) -> None:
    """So they do in a bucket, raw and compacted."""
    put_recorded(store_of(Settings(s3_bucket=bucket.name)))
    hold_figures(f"s3://{bucket.name}", ["asm_mcp", "fuel_mix"])


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_compacted_rows_are_the_raw_ones(raw: Path, compacted: Path, name: str, table: str) -> None:
    """Every row, superseded ones included, is the same from Parquet, in part from Parquet, and from raw objects."""
    feed, every_day = FEEDS[name], (None, None)
    parts = [(JULY_31, AUGUST_2), (AUGUST_1, AUGUST_2), (AUGUST_2, None)] if (name, table) in UNLIKE else []
    for latest_only in (True, False):
        for start, end in (every_day, *parts):
            frames = [
                mr.scan(folder, feed, table, start=start, end=end, latest_only=latest_only, strict=True).collect()
                for folder in (raw, compacted)
            ]
            assert_frame_equal(*frames)
            assert frames[0].schema == schema_of(feed, table)
            assert frames[0]["interval_end"].is_sorted()
    assert (compacted / "curated" / feed.dataset / table / "2026-07.parquet").is_file()


@each_feed
def test_each_interval_has_its_latest_rows_once(raw: Path, feed: Feed) -> None:
    """By default a table has one body's rows an interval, or an hour; all bodies have theirs if they are asked for."""
    for table in feed.contract.tables:
        latest = mr.scan(raw, feed, table.name).collect()
        every = mr.scan(raw, feed, table.name, latest_only=False).collect()
        bodies = latest.group_by("interval_end").agg(pl.col("object_key").n_unique())
        assert every.filter("is_latest").equals(latest)
        if feed.name == "subregional":  # hardly ever binds, and not on these days
            assert latest.is_empty()
            continue
        assert set(bodies["object_key"]) == {1}
        spans = (latest["interval_end"] - latest["interval_start"]).unique().to_list()
        assert spans == [timedelta(hours=1) if table.hour else INTERVAL]
    snapshots = mr.scan(raw, feed, SNAPSHOTS_TABLE, latest_only=False).collect()
    assert len(snapshots) == 2 * snapshots["is_latest"].sum() == 2 * len(times())


@each_feed
def test_counts_and_fetch_times_are_the_same_compacted(raw: Path, compacted: Path, feed: Feed) -> None:
    """Coverage, missing intervals and fetch times do not depend on what is compacted."""
    for count in (mr.coverage, mr.missing_intervals):
        assert_frame_equal(count(raw, now=AFTER, feed=feed), count(compacted, now=AFTER, feed=feed))
    assert_frame_equal(mr.fetch_times(raw, feed=feed), mr.fetch_times(compacted, feed=feed))
    counted = mr.coverage(raw, now=AFTER, feed=feed)
    assert counted["collected"].sum() == counted["revised"].sum() == len(times())


class TestSparedDays:
    """What a filter on times leaves to be read, in objects."""

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The keys of the bodies and months that are read, as they are read."""
        keys: list[str] = []
        reads = Folder.read

        def noted(folder: Folder, asked: Sequence[str]) -> Iterator[bytes | OSError]:
            keys.extend(key for key in asked if not key.startswith("provenance/"))
            return reads(folder, asked)

        monkeypatch.setattr(Folder, "read", noted)
        return keys

    @pytest.mark.parametrize(
        ("feed", "table", "kind"),
        [
            pytest.param(FEEDS[name], table, kind, id=f"{name}-{table}-{kind}")
            for name, table in TABLES
            for kind in (KINDS if (name, table) in UNLIKE else KINDS[:1])
        ],
    )
    def test_only_its_day_is_read(self, raw: Path, feed: Feed, table: str, read: list[str], kind: str) -> None:
        """A filter that one market day can fulfil reads that day's bodies, and those that may have rows of it."""
        of_table = next((one for one in feed.contract.tables if one.name == table), None)
        by_the_hour, by_its_own = (of_table is not None and told(of_table) for told in (_HOUR, _LABEL))
        end = datetime(2026, 8, 1, 1, tzinfo=ZoneInfo(EST_NAME))
        start = end - (timedelta(hours=1) if by_the_hour else INTERVAL)
        column, frame = pl.col("interval_end"), pl.DataFrame({"interval_end": [end]})
        predicate = {
            "equal": column == end,
            "between": (column > end - timedelta(minutes=50)) & (column <= end),
            "starts": pl.col("interval_start") == start,
            "is in": column.is_in([end]),
            "is in a frame": column.is_in(frame["interval_end"].implode()),
            "market day": pl.col("market_day") == AUGUST_1,
        }[kind]
        found = mr.scan(raw, feed, table).filter(predicate).collect()
        a_day = 2 * len(times()) // 3
        assert len(read) == (3 * a_day if by_its_own else a_day)
        assert_frame_equal(found, mr.scan(raw, feed, table).collect().filter(predicate))
        assert feed.name == "subregional" or end in found["interval_end"]

    @each_feed
    def test_a_compacted_day_reads_no_body(self, compacted: Path, feed: Feed, read: list[str]) -> None:
        """A day that is compacted is read from its month's file alone, fetch times too."""
        end = datetime(2026, 8, 1, 8, 10, tzinfo=ZoneInfo(EST_NAME))
        mr.scan(compacted, feed).filter(pl.col("interval_end") == end).collect()
        mr.fetch_times(compacted, start=JULY_31, end=AUGUST_2, feed=feed)
        assert read
        assert not [key for key in read if not key.startswith("curated/")]
