"""A simulated week of all feeds with an outage of six hours: what heals it, what stays missing, and why."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.collecting.pace import SystemClock
from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import ONE_DAY, day_begins
from miso_archive.reading.told import source_of
from miso_archive.simulate import SimulatedFeed
from miso_archive.simulate.archive import write_archive
from miso_archive.simulate.bodies import body_of
from miso_archive.simulate.server import DEFAULT_START
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from miso_archive.feeds.feed import Feed

pytestmark = pytest.mark.slow("writes a week of all feeds, and heals it")

SEED: Final = 5
FIRST: Final = date(2001, 1, 8)
LAST: Final = FIRST + 6 * ONE_DAY
OUTAGE: Final = (day_begins(LAST) + timedelta(hours=10), day_begins(LAST) + timedelta(hours=16))
"""The outage is on the week's last day: those intervals that end after the first, up to the second."""

NOW: Final = day_begins(LAST + ONE_DAY) + timedelta(hours=12)
SOURCES: Final = {
    **dict.fromkeys(("reserve", "transmission", "subregional"), "next_day_report"),
    **{name: source for name, feed in FEEDS.items() if (source := source_of(feed))},
}


@dataclass(frozen=True)
class Week:
    """The archive, healed; what was counted and listed as missing, by feed; what those who backfilled were told."""

    archive: Path
    before: pl.DataFrame
    after: pl.DataFrame
    missing: pl.DataFrame
    told: str


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    """The week is written, the outage cut out of it, and each feed backfilled by the command."""
    root = tmp_path_factory.mktemp("week") / "data"
    write_archive(root, days=7, seed=SEED, start=FIRST, feeds=tuple(FEEDS.values()))
    for feed in FEEDS.values():
        cut_out(root, feed)
    with pytest.MonkeyPatch.context() as patched, SimulatedFeed(seed=SEED, ahead=NOW - DEFAULT_START) as host:
        patched.setenv("MISO_API_BASE", host.base_url)
        patched.setenv("MISO_KEYED_API_BASE", host.keyed_base_url)
        patched.setenv("MISO_REPORTS_URL", host.reports_url)
        patched.setenv("MISO_API_KEY", "key")
        patched.setattr(SystemClock, "now", lambda _clock: NOW)
        patched.setattr(SystemClock, "sleep", lambda _clock, _seconds: None)
        before = coverage(root)
        errors = io.StringIO()
        patched.setattr("sys.stderr", errors)
        for name in SOURCES:
            assert (
                main(["backfill", "--local", str(root), "--feed", name, "--output", str(root.parent / "days.csv")]) == 0
            )
        lists = [
            mr.missing_intervals(root, feed=name, start=FIRST, end=LAST + ONE_DAY).with_columns(feed=pl.lit(name))
            for name in FEEDS
        ]
        yield Week(root, before, coverage(root), pl.concat(lists), errors.getvalue())


def coverage(root: Path) -> pl.DataFrame:
    """What the command counts of the week, by feed."""
    told = root.parent / "coverage.csv"
    period = ("--start", str(FIRST), "--end", str(LAST + ONE_DAY))
    assert main(["coverage", "--local", str(root), "--feed", "all", *period, "--output", str(told)]) == 0
    days = pl.read_csv(io.BytesIO(told.read_bytes()))
    return days.group_by("feed", maintain_order=True).agg(pl.col("expected", "collected", "missing", "healed").sum())


def cut_out(root: Path, feed: Feed) -> None:
    """Take away what was collected of a feed in the outage, revisions included."""
    end = OUTAGE[0] + INTERVAL
    while end <= OUTAGE[1]:
        own = root / snapshot_key(feed, end)
        for path in own.parent.glob(own.name.replace(".json.gz", "*.json.gz")):
            path.unlink()
        end += INTERVAL


def of(counted: pl.DataFrame, feed: str) -> dict[str, int]:
    """The counts of a feed."""
    [row] = counted.filter(pl.col("feed") == feed).drop("feed").to_dicts()
    return row


def test_nothing_is_healed_before(week: Week) -> None:
    """The outage's 72 intervals are missing of each feed, beside what the collector missed now and then."""
    assert week.before["feed"].to_list() == list(FEEDS)
    assert (week.before["expected"] == 7 * 288).all()
    assert (week.before["missing"] >= 72).all()
    assert (week.before["healed"] == 0).all()


def test_what_was_collected_stays_what_it_was(week: Week) -> None:
    """Healing changes no count but its own: what is missing of the live feeds stays missing."""
    counts = ("feed", "expected", "collected", "missing")
    assert week.after.select(counts).equals(week.before.select(counts))


@pytest.mark.parametrize("feed", ["reserve", "rt_exante_lmp", "asm_mcp"])
def test_what_a_whole_day_is_told_of_is_healed_wholly(week: Week, feed: str) -> None:
    """Reserve by its reports, the hub prices and the day-ahead hours by the keyed API: nothing is left."""
    counts = of(week.after, feed)
    assert counts["healed"] == counts["missing"]


@pytest.mark.parametrize("feed", ["transmission", "subregional"])
def test_of_reports_that_go_from_midnight_the_last_interval_is_left(week: Week, feed: str) -> None:
    """What else is missing is healed; of 24:00 their files tell nothing that can be relied on."""
    left = week.missing.filter((pl.col("feed") == feed) & ~pl.col("healed"))
    missing = of(week.after, feed)["missing"]
    assert of(week.after, feed)["healed"] == missing - len(left)
    assert set(left["interval_end"].dt.time().cast(pl.String)) <= {"00:00:00"}


def test_who_backfills_is_told_of_cut_names(week: Week) -> None:
    """Once for all days: how many of the first report's names have as many characters as the live feed shows."""
    assert week.told.count("48 characters") == 1
    assert " of its " in week.told
    assert "more reports" in week.told


def test_the_fuel_mix_is_healed_of_two_days(week: Week) -> None:
    """The host shows yesterday and today: the outage is healed, and gaps of the days before stay."""
    left = week.missing.filter((pl.col("feed") == "fuel_mix") & ~pl.col("healed"))
    assert of(week.after, "fuel_mix")["healed"] >= 72
    assert len(left) > 0
    assert (left["market_day"] < LAST).all()


def test_nothing_heals_a_snapshot(week: Week) -> None:
    """No source is known that tells of its past."""
    assert of(week.after, "snapshot")["healed"] == 0


@pytest.mark.parametrize("feed", [name for name in SOURCES if name != "asm_mcp"])
def test_the_outage_is_told_as_the_live_feed_would_have(week: Week, feed: str, tmp_path: Path) -> None:
    """Its rows are those that the live feed shows of this market: none is lacking, none is there twice."""
    known = FEEDS[feed]
    filled = mr.scan(week.archive, feed, sources=("live", SOURCES[feed])).collect()
    live = mr.scan(week.archive, feed).collect()
    assert filled.filter(source="live").equals(live)
    expected = mr.scan(shown_in_outage(known, tmp_path), feed).collect()
    found = filled.filter(pl.col("interval_end").is_in(expected["interval_end"].implode()))
    assert set(found["source"]) <= {SOURCES[feed]}
    if feed == "rt_exante_lmp":  # the keyed API has the hubs, and not the interface among them
        expected = expected.filter(pl.col("location") != "SWPP")
    same = ["interval_end", *(name for name in found.columns if name in TOLD)]
    assert found.select(same).sort(pl.all()).equals(expected.select(same).sort(pl.all()))


TOLD: Final = {
    *("constraint_name", "shadow_price", "override", "curve_type", "bp1", "pc1"),
    *("location", "lmp", "congestion", "fuel", "output"),
}
"""What is told of an interval by whatever source."""


def shown_in_outage(feed: Feed, root: Path) -> Path:
    """Archive what a feed showed in the outage; return where."""
    end = OUTAGE[0] + INTERVAL
    while end <= OUTAGE[1]:
        body = body_of(feed, end - feed.lead, seed=SEED)
        snapshot = feed.examine(body).snapshot
        assert snapshot is not None
        store_snapshot(Folder(root), feed, snapshot, Response(body, end.astimezone(UTC), "http://127.0.0.1/", ""))
        end += INTERVAL
    return root
