"""Simulated archives of several feeds, of one too of which the simulator knows nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli import app as cli_app
from miso_archive.feeds import FEEDS
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.feeds.reserve import RESERVE
from miso_archive.feeds.snapshot import SNAPSHOT
from miso_archive.reading.coverage import coverage, missing_intervals
from miso_archive.simulate.archive import ArchiveSummary, write_archive
from miso_archive.store.folder import Folder
from miso_archive.store.gzipped import unzipped
from miso_archive.store.layout import provenance_key, snapshot_key
from miso_archive.store.listing import find_snapshots
from tests.files import files

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.feeds.feed import Feed

pytestmark = pytest.mark.slow("writes archives of all feeds")

SEED = 34
"""A market whose collector is out for a while on its first day."""

DAYS = [date(2001, 1, 1), date(2001, 1, 2)]
UNKNOWN = replace(FUEL_MIX, name="unknown", dataset="miso_unknown")
EVERY = (*FEEDS.values(), UNKNOWN)
each_feed = pytest.mark.parametrize("feed", EVERY, ids=[feed.name for feed in EVERY])


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ArchiveSummary]:
    """A market day of all feeds, and of one more."""
    folder = tmp_path_factory.mktemp("feeds") / "archive"
    return folder, write_archive(folder, days=1, seed=SEED, feeds=EVERY)


@each_feed
def test_every_body_is_the_feed_s_own(day: tuple[Path, ArchiveSummary], feed: Feed) -> None:
    """It is taken without a warning, under its label's key, with a provenance that says simulated and when."""
    archive = Folder(day[0])
    keys = find_snapshots(archive, feed, DAYS)[0].keys
    assert len(keys) > 200
    for key, data in zip(keys, archive.read(keys), strict=True):
        assert isinstance(data, bytes)
        verdict = feed.examine(unzipped(data))
        assert (verdict.reasons, verdict.warnings) == ((), ())
        assert verdict.snapshot is not None
        own = snapshot_key(feed, verdict.snapshot.interval_end)
        assert key == own or key.startswith(own.removesuffix(".json.gz") + ".")
        provenance = json.loads((day[0] / provenance_key(key)).read_bytes())
        assert (provenance["source-url"], provenance["ref-id"]) == ("simulated", verdict.snapshot.ref_id)
        published = verdict.snapshot.interval_end - feed.lead
        lag = datetime.fromisoformat(provenance["fetched-at"]) - published
        assert timedelta(seconds=30) <= lag <= timedelta(minutes=10)


def test_the_summary_counts_all_feeds(day: tuple[Path, ArchiveSummary]) -> None:
    """Its figures are the sums of what coverage counts feed by feed."""
    folder, summary = day
    counted = [coverage(folder, feed=feed, now=datetime.fromisoformat("2001-01-03T00:00-05:00")) for feed in EVERY]
    rows = [frame.row(0, named=True) for frame in counted]
    assert summary.intervals == sum(row["expected"] for row in rows) == 288 * len(EVERY)
    assert summary.snapshots == sum(row["collected"] for row in rows)
    assert summary.quiet == sum(row.get("quiet") or 0 for row in rows) > 0
    bodies = sum(len(find_snapshots(Folder(folder), feed, DAYS)[0].keys) for feed in EVERY)
    assert summary.revisions == bodies - summary.snapshots > 0
    assert summary.gaps + summary.refused == sum(row["missing"] for row in rows)


def test_reserve_s_part_is_what_it_is_alone(day: tuple[Path, ArchiveSummary], tmp_path: Path) -> None:
    """The other feeds beside it change no byte of it."""
    write_archive(tmp_path, days=1, seed=SEED)
    assert files(tmp_path).items() <= files(day[0]).items()


def test_the_collector_is_out_for_all_feeds_at_once(day: tuple[Path, ArchiveSummary]) -> None:
    """What is missing of one feed because the collector was out is missing of every other; all else is its own."""
    missing = [set(missing_intervals(day[0], feed=feed)["interval_end"]) for feed in EVERY]
    assert len(set.intersection(*missing)) > 2
    assert len({frozenset(one) for one in missing}) > 1


def test_the_command_writes_the_feeds_that_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`simulate --archive --feed` writes those, and says how many they are; without it, reserve alone."""
    folder = tmp_path / "two"
    options = ["simulate", "--archive", str(folder), "--days", "1", "--feed", "snapshot", "fuel_mix"]
    assert cli_app.main(options) == 0
    assert f" of 2 feeds in {folder}: simulated data, not MISO's\n" in capsys.readouterr().out
    summary = write_archive(tmp_path / "same", days=1, seed=0, feeds=[FUEL_MIX, SNAPSHOT])
    assert files(folder) == files(tmp_path / "same")
    assert {path.name for path in (folder / "sourcing").iterdir()} == {FUEL_MIX.dataset, SNAPSHOT.dataset}
    assert summary.documented == 0
    assert cli_app.main(["simulate", "--archive", str(tmp_path / "one"), "--days", "1"]) == 0
    assert [path.name for path in (tmp_path / "one" / "sourcing").iterdir()] == [RESERVE.dataset]
