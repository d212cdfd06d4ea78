"""Two feeds in one archive, with one Redis: what the machinery does for one is nothing to the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.collecting.outbox import Outbox
from miso_archive.collecting.plain import run
from miso_archive.collecting.spool import Spool
from miso_archive.feeds.reserve import RESERVE, RT_RPE
from miso_archive.healing.replay import replay
from miso_archive.health.glance import glance
from miso_archive.health.status import status
from miso_archive.intervals.days import Days
from miso_archive.intervals.labels import EST
from miso_archive.reading.coverage import coverage_of_day
from miso_archive.reading.one_pass import Reading
from miso_archive.reports.archived import store_report
from miso_archive.settings.options import Settings
from miso_archive.simulate import Reply
from miso_archive.store.folder import Folder
from miso_archive.store.layout import sourcing_folder
from miso_archive.store.response import Response
from tests.report_files import real_time

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed

SIBLING = replace(RESERVE, name="sibling", dataset="miso_sibling", file_stem="sibling", is_first=False)
BOTH = (RESERVE, SIBLING)
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 7, 27, 12, tzinfo=EST)


@pytest.fixture
def settings(feed: SimulatedFeed, redis_url: str, tmp_path: Path) -> Settings:
    """One archive, one Redis and one spool for both."""
    return Settings(local=tmp_path / "data", spool=tmp_path / "spool", redis_url=redis_url, api_url=feed.url)


def test_a_body_that_one_has_is_new_to_the_other(settings: Settings) -> None:
    """The same bytes are stored for each, under its own dataset and file name, and known to each from then on."""
    first = [run(settings, each) for each in BOTH]
    assert [result.collected for result in first] == [1, 1]
    assert [run(settings, each).skipped_duplicate for each in BOTH] == [1, 1]
    for each, result in zip(BOTH, first, strict=True):
        assert result.objects[0].startswith(f"{sourcing_folder(each)}/2001-01-02/{each.file_stem}_")


def test_each_is_counted_by_itself(settings: Settings, feed: SimulatedFeed) -> None:
    """Of three intervals of the one and one of the other, reading, glance and status each tell the feed asked for."""
    for _ in range(3):
        run(settings, SIBLING)
        feed.advance()
    run(settings, RESERVE)
    assert settings.local is not None
    archive, now = Folder(settings.local), feed.interval_end + MINUTE
    glances = [glance(archive, each, stale_after=2 * MINUTE, now=now) for each in BOTH]
    assert [(seen.collected, seen.stale) for seen in glances] == [(1, False), (3, True)]
    found = [status(settings, each, stale_after=2 * MINUTE, now=now) for each in BOTH]
    assert [(seen.today and seen.today.collected, seen.stale) for seen in found] == [(1, False), (3, True)]
    for each, count in zip(BOTH, (1, 3), strict=True):
        read = pl.concat(Reading(archive, "snapshots", feed=each).frames(Days())).select("object_key").collect()
        keys = read["object_key"].to_list()
        assert len(keys) == count
        assert all(key.startswith(f"{sourcing_folder(each)}/") for key in keys)


def test_a_report_heals_the_gaps_of_its_own_feed(tmp_path: Path) -> None:
    """MISO's next-day report of the one says nothing of what was missed of the other."""
    day, archive = date(2026, 7, 26), Folder(tmp_path)
    report = Response(real_time(day), NOON, "http://127.0.0.1/", "application/vnd.ms-excel")
    store_report(archive, RESERVE, RT_RPE, day, report)
    counted = [coverage_of_day(archive, each, day, now=NOON, seen=lambda _body: None) for each in BOTH]
    assert [frame.select("missing", "healed").row(0) for frame in counted] == [(288, 288), (288, 0)]


def test_what_one_refuses_is_not_judged_anew_for_the_other(settings: Settings, feed: SimulatedFeed) -> None:
    """A refused body lies in its own feed's quarantine, where a replay of the other does not look."""
    feed.script(Reply(body=b'{"error":"no data"}'))
    assert run(settings, SIBLING).failed == 1
    assert settings.local is not None
    assert [replay(Folder(settings.local), each).quarantined for each in BOTH] == [0, 1]


def test_what_waits_of_each_waits_apart(tmp_path: Path) -> None:
    """Neither spool nor marks of what is to be announced are shared."""
    archive = Folder(tmp_path)
    spools = {Spool(tmp_path, archive.identity, each, "dev").folder for each in BOTH}
    assert len(spools) == len(BOTH)
    archive.put_if_absent("unannounced/miso_sibling/dev/x.json", b"{}", {})
    assert [len(Outbox(archive, each, "dev").marks()) for each in BOTH] == [0, 1]
