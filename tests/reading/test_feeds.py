"""Every feed's archive is read, counted and compacted alike, by its recorded bodies and by simulated ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from miso_archive.feeds.feed import Feed
    from miso_archive.store.address import ArchiveAddress
    from tests.conftest import Bucket

each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
each_table = pytest.mark.parametrize(
    ("feed", "table"),
    [pytest.param(feed, table, id=f"{feed.name}-{table}") for feed in FEEDS.values() for table in tables_of(feed)],
)
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


def figures(archive: ArchiveAddress) -> dict[str, Any]:
    """What is known of the recorded bodies, read from an archive."""

    def of(feed: str, table: str | None = None) -> pl.DataFrame:
        return mr.scan(archive, feed, table, strict=True).collect()

    prices, curves, shown = of("rt_exante_lmp"), of("transmission")["curve_type"], of("snapshot")
    return {
        "zones": [of("asm_mcp", table)["zone"].to_list() for table in ("real_time", "day_ahead")],
        "hours": of("asm_mcp", "day_ahead").select("hour_ending", "interval_start", "interval_end").unique().rows(),
        "fuels": (of("fuel_mix")["output"].sum(), of("fuel_mix", SNAPSHOTS_TABLE)["total"].to_list()),
        "energy": prices["energy"].to_list(),
        "curves": (len(curves), curves.null_count()),
        "figures": dict(shown.select("figure", "value").iter_rows()),
        "reserve": of("reserve")["shadow_price"].to_list(),
        "subregional": of("subregional").select("shadow_price", "reason").rows(),
    }


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_the_recorded_bodies_give_their_figures(tmp_path: Path, bucket: Bucket, kind: str) -> None:
    """From a folder and from S3, raw and compacted, each feed's frames hold what its body says."""
    archive = str(tmp_path) if kind == "folder" else f"s3://{bucket.name}"
    put_recorded(Folder(tmp_path) if kind == "folder" else store_of(Settings(s3_bucket=bucket.name)))
    for is_compacted in (False, True):
        found = figures(archive)
        at = [datetime(2026, 10, 2, hour, tzinfo=ZoneInfo(EST_NAME)) for hour in (16, 17)]
        assert found["zones"] == [[str(zone) for zone in range(1, 9)]] * 2
        assert found["hours"] == [(17, *at)]
        assert found["fuels"] == (82084.0, [82084.0])
        assert found["energy"] == [32.74] * 9
        assert found["curves"] == (10, 7)
        assert len(found["figures"]) == 4
        assert found["figures"]["marginal_energy_cost"] == 36.32
        assert found["figures"]["net_scheduled_interchange"] == -656
        assert found["reserve"] == [-0.16, -8.32]
        assert found["subregional"] == [(-7.56, "System conditions require override")]
        for name, feed in FEEDS.items():
            counted = mr.coverage(archive, now=AFTER, feed=name).filter(pl.col("collected") > 0)
            assert counted.schema == coverage_of(feed)
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


@each_table
def test_compacted_rows_are_the_raw_ones(raw: Path, compacted: Path, feed: Feed, table: str) -> None:
    """Every row, superseded ones included, is the same from Parquet, in part from Parquet, and from raw objects."""
    for latest_only in (True, False):
        for start, end in ((None, None), (JULY_31, AUGUST_2), (AUGUST_1, AUGUST_2), (AUGUST_2, None)):
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
        assert set(bodies["object_key"]) <= {1}
        assert every.filter("is_latest").equals(latest)
        spans = (latest["interval_end"] - latest["interval_start"]).unique().to_list()
        assert spans in ([timedelta(hours=1) if table.hour else INTERVAL], [])
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

    @pytest.mark.parametrize("kind", ["equal", "between", "starts", "is in", "is in a frame", "market day"])
    @each_table
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
