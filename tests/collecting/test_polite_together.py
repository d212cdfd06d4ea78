"""Runs of one feed at the same time, on one turned clock: who asks takes the slot, and nothing is lost by it."""

from __future__ import annotations

from bisect import bisect_right, insort
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Condition
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from miso_archive.collecting.plain import run
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.settings.options import Settings
from miso_archive.simulate import Reply
from miso_archive.store.layout import snapshot_key
from tests.services.proxy import FaultProxy
from tests.turned import TurnedClock, TurnedFeed

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.collecting.result import RunResult

DUE = datetime(2001, 1, 2, 8, 10, tzinfo=EST)
SCHEDULES = 2
RUNS = 3
BUSY = Reply(status=503)


class SharedClock(TurnedClock):
    """The clock of several threads, which turns to the next of their times when all of them sleep."""

    def __init__(self, time: datetime, threads: int) -> None:
        super().__init__(time)
        self._awake = threads
        self._asleep_until: list[datetime] = []
        self._turned = Condition()

    def sleep(self, seconds: float) -> None:
        """Sleep until the others do, and it is time."""
        if seconds <= 0:
            return
        with self._turned:
            until = self.time + timedelta(seconds=seconds)
            insort(self._asleep_until, until)
            self._rest()
            self._turned.wait_for(lambda: self.time >= until)

    def leave(self) -> None:
        """Let the others go on without this thread."""
        with self._turned:
            self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if self._awake == 0 and self._asleep_until:
            self.time = self._asleep_until[0]
            self._awake = bisect_right(self._asleep_until, self.time)
            del self._asleep_until[: self._awake]
            self._turned.notify_all()


def followed(clock: SharedClock, schedules: list[Settings]) -> list[RunResult]:
    """Run each schedule in a thread of its own, at the same moments; the results of all runs."""

    def follow(settings: Settings) -> list[RunResult]:
        try:
            results = []
            for number in range(RUNS):
                clock.sleep((DUE + number * INTERVAL - clock.now()).total_seconds())
                results.append(run(settings, RESERVE, clock))
            return results
        finally:
            clock.leave()

    with ThreadPoolExecutor(len(schedules)) as threads:
        return [result for one in threads.map(follow, schedules) for result in one]


def stored(archive: Path) -> list[str]:
    """The keys of its snapshots."""
    return sorted(str(path.relative_to(archive)) for path in archive.glob("sourcing/*/*/*.json.gz"))


@pytest.mark.parametrize(
    ("lag", "slots", "answers"),
    [
        (210, [20, 80, 140, 200, 260], []),
        (210, [20, 80, 140, 200, 260], [BUSY, BUSY, BUSY]),
        # The one that has not seen the interval in the second slot asks in the third.
        (70, [20, 80, 140], []),
    ],
)
def test_two_schedules_ask_as_often_as_one_may(
    tmp_path: Path, redis_url: str, lag: float, slots: list[float], answers: list[Reply]
) -> None:
    """Both run at the same moments: one of them asks in each slot, no run fails, and no interval is skipped."""
    clock = SharedClock(DUE, SCHEDULES)
    with TurnedFeed(clock, timedelta(seconds=lag)) as feed:
        feed.answer_seconds = 0
        feed.answers.extend(answers)
        settings = Settings(local=tmp_path, redis_url=redis_url, api_url=feed.url, polls=5)
        results = followed(clock, [settings] * SCHEDULES)
    assert [(time - DUE).total_seconds() for time in feed.asked] == [
        number * INTERVAL.total_seconds() + slot for number in range(RUNS) for slot in slots
    ]
    assert [result.failed for result in results] == [0] * SCHEDULES * RUNS
    assert stored(tmp_path) == [snapshot_key(RESERVE, DUE + number * INTERVAL) for number in range(-1, RUNS)]


def test_two_archives_each_have_every_interval(tmp_path: Path, redis_url: str) -> None:
    """Schedules that share a Redis and collect into different archives leave each other no slot: each asks in all."""
    clock = SharedClock(DUE, SCHEDULES)
    archives = [tmp_path / "one", tmp_path / "other"]
    with TurnedFeed(clock, timedelta(seconds=210)) as feed:
        feed.answer_seconds = 0
        followed(clock, [Settings(local=one, redis_url=redis_url, api_url=feed.url, polls=5) for one in archives])
    for archive in archives:
        assert stored(archive) == [snapshot_key(RESERVE, DUE + number * INTERVAL) for number in range(-1, RUNS)]
    assert len(feed.asked) == len(archives) * RUNS * 5


def test_a_redis_that_is_away_for_the_claim_loses_no_interval(
    tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its answer the feed is asked all the same, as a body is archived all the same, and a warning says so."""
    server = urlsplit(redis_url)

    class Breaking(TurnedClock):
        def sleep(self, seconds: float) -> None:
            # Away while the run waits for its slot, and back when the feed has answered.
            redis.mode = "cut" if seconds > feed.answer_seconds else "pass"
            super().sleep(seconds)

    clock = Breaking(DUE)
    with (
        FaultProxy(str(server.hostname), int(server.port or 6379)) as redis,
        TurnedFeed(clock, timedelta(seconds=70)) as feed,
    ):
        address = f"redis://127.0.0.1:{redis.port}{server.path}"
        result = run(Settings(local=tmp_path, redis_url=address, api_url=feed.url, polls=5), RESERVE, clock)
    assert [(time - DUE).total_seconds() for time in feed.asked] == [20, 80]
    assert (result.collected, result.failed) == (2, 0)
    told = [line for line in caplog.messages if line.endswith("; the feed is asked all the same")]
    assert len(told) == 2
    assert "redis_failed: Redis at 127.0.0.1:" in told[0]
