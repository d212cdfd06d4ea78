"""All feeds in one process, on a turned clock: each link is asked a minute apart, and no interval of any is skipped."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.collecting import fetch as fetching
from miso_archive.collecting.pace import SystemClock
from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.simulate import Reply
from miso_archive.simulate.bodies import body_of
from miso_archive.simulate.wire import ReplyServer
from miso_archive.store.layout import snapshot_key
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from miso_archive.store.response import Response

DUE = datetime(2001, 1, 2, 8, 10, tzinfo=EST)
BUSY = Reply(status=503)
ANSWER_SECONDS = 0.4


class Host:
    """All feeds by a clock that turns for each by itself: each of several feeds has a thread of its name.

    Each publishes an interval some time after its end, or before it where the feed has a lead.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = DUE
        self.lag = timedelta(minutes=3, seconds=30)
        self.busy: set[datetime] = set()
        self.asked: dict[str, list[datetime]] = defaultdict(list)
        self._times: dict[str, datetime] = {}
        self._server = ReplyServer("127.0.0.1", 0, self._respond)
        fetch = fetching.fetch

        def noted(url: str, timeout: float, key: str | None = None) -> Response:
            name = next(feed.name for feed in FEEDS.values() if url.endswith(f"/{feed.path}"))
            self.asked[name].append(self.now())
            try:
                return fetch(url, timeout, key=key)
            finally:
                self.sleep(ANSWER_SECONDS)

        monkeypatch.setattr("miso_archive.collecting.parts.fetching.fetch", noted)
        monkeypatch.setattr(SystemClock, "now", lambda _self: self.now())
        monkeypatch.setattr(SystemClock, "sleep", lambda _self, seconds: self.sleep(seconds))

    def now(self) -> datetime:
        """Return this feed's time."""
        return self._times.get(threading.current_thread().name, self.began)

    def sleep(self, seconds: float) -> None:
        """Let time pass for this feed."""
        self._times[threading.current_thread().name] = self.now() + timedelta(seconds=seconds)

    def start(self) -> str:
        """Answer, and return the address of all feeds."""
        self._server.start()
        return f"http://127.0.0.1:{self._server.server_port}/api"

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop()

    def run(self, began: datetime, *options: str) -> int:
        """Run the command line, as a process of its own that begins at a time would."""
        self.began, self._times = began, {}
        return main(["collect", "--feed", "all", *options])

    def seconds(self, name: str) -> list[float]:
        """How long after the first run was due each request for a feed came."""
        return [(time - DUE).total_seconds() for time in self.asked[name]]

    def _respond(self, path: str, _headers: Mapping[str, str]) -> Reply:
        feed = next(feed for feed in FEEDS.values() if path == f"/api/{feed.path}")
        asked = self.asked[feed.name][-1]
        if asked in self.busy:
            return BUSY
        published = asked - self.lag
        return Reply(body=body_of(feed, published - (published - DUE) % INTERVAL, seed=1))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The host, and the turned clock."""
    serving = Host(monkeypatch)
    yield serving
    serving.stop()


@pytest.fixture
def options(host: Host, tmp_path: Path, redis_url: str) -> list[str]:
    """The options of a scheduled run into a folder."""
    return ["--local", str(tmp_path), "--redis-url", redis_url, "--api-base", host.start(), "--polls", "5"]


def test_all_feeds_are_asked_at_the_same_times(host: Host, options: list[str]) -> None:
    """In the slots of when the run was due, each once a slot, until each has the interval that ended last."""
    host.lag = timedelta(seconds=70)
    assert host.run(DUE, *options) == 0
    assert [host.seconds(name) for name in FEEDS] == [[20, 80]] * len(FEEDS)


def test_a_single_request_of_each_is_made_at_once(host: Host, options: list[str]) -> None:
    """Without several polls there are no slots: each link is asked once."""
    assert host.run(DUE, *options[:-2]) == 0
    assert [host.seconds(name) for name in FEEDS] == [[0]] * len(FEEDS)


@ON_REAL_SERVERS
def test_processes_that_follow_each_other(host: Host, options: list[str], tmp_path: Path) -> None:
    """An hour of runs, begun sooner or later, some answers failing: a minute between requests, no interval skipped."""
    host.busy = {DUE + timedelta(minutes=5 * number, seconds=20) for number in range(1, 12, 2)}
    for number in range(12):
        began = DUE + timedelta(minutes=5 * number, seconds=1 + 7 * number % 12)
        assert host.run(began, *options) == 0
    for name, feed in FEEDS.items():
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(sorted(host.asked[name]))]
        assert min(gaps) >= 60
        ends = [DUE + feed.lead + timedelta(minutes=5 * number) for number in range(-1, 12)]
        stored = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob(f"sourcing/{feed.dataset}/*/*"))
        assert stored == [snapshot_key(feed, end) for end in ends]


def test_processes_that_overlap(host: Host, options: list[str]) -> None:
    """A run that begins before the one before has ended asks a minute after that one's last request."""
    host.lag = timedelta(minutes=10)
    assert host.run(DUE, *options) == 0
    assert host.run(DUE + timedelta(minutes=4, seconds=25), *options) == 0
    assert [host.seconds(name)[:6] for name in FEEDS] == [[20, 80, 140, 200, 260, 320]] * len(FEEDS)


def test_processes_at_the_same_time(host: Host, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A run beside another leaves each link's slots to the one that took them; it is no failure to ask for nothing."""
    host.lag = timedelta(minutes=10)
    assert host.run(DUE, *options) == 0
    capsys.readouterr()
    assert host.run(DUE + timedelta(seconds=1), *options) == 0
    assert [host.seconds(name) for name in FEEDS] == [[20, 80, 140, 200, 260]] * len(FEEDS)
    result = json.loads(capsys.readouterr().out)
    assert result.pop("feeds").keys() == FEEDS.keys()
    assert result == {"total_candidates": 0, "collected": 0, "skipped_duplicate": 0, "failed": 0}


def test_a_process_beside_one_that_has_enough(host: Host, options: list[str]) -> None:
    """What a run has not taken is free: another one asks in the slot after, and has enough itself."""
    host.lag = timedelta(seconds=70)
    assert host.run(DUE, *options) == 0
    assert host.run(DUE, *options) == 0
    assert [host.seconds(name) for name in FEEDS] == [[20, 80, 140]] * len(FEEDS)


def test_one_feed_beside_all(host: Host, options: list[str]) -> None:
    """A process of its own that polls one of the feeds takes the slots of that link, and of no other."""
    host.lag = timedelta(minutes=10)
    host.began = DUE
    assert main(["collect", "--feed", "fuel_mix", *options]) == 0
    assert host.run(DUE, *options) == 0
    assert [host.seconds(name) for name in FEEDS] == [[20, 80, 140, 200, 260]] * len(FEEDS)
