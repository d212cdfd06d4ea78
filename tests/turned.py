"""A clock that turns when somebody sleeps, and a feed that lives by it and notes when it was asked."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from miso_archive.intervals.labels import INTERVAL
from miso_archive.simulate import Reply, snapshot_body
from miso_archive.simulate.server import DEFAULT_START
from miso_archive.simulate.wire import ReplyServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class TurnedClock:
    """A clock that moves when somebody sleeps."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        """Return the time it shows."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.time += timedelta(seconds=seconds)


class TurnedFeed:
    """A feed on loopback that publishes each interval some time after its end, by the clock."""

    def __init__(self, clock: TurnedClock, lag: timedelta) -> None:
        self.asked: list[datetime] = []
        self.lag = lag
        self.answers: deque[Reply] = deque()
        self.answer_seconds = 0.4
        self._clock = clock
        self._server = ReplyServer("127.0.0.1", 0, self._respond)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """The address of the feed."""
        return f"http://127.0.0.1:{self._server.server_port}/feed"

    def gaps(self) -> list[float]:
        """The seconds between any two requests that follow each other, whoever made them."""
        times = sorted(self.asked)
        return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]

    def _respond(self, _path: str, _headers: Mapping[str, str]) -> Reply:
        asked = self._clock.now()
        self.asked.append(asked)
        self._clock.sleep(self.answer_seconds)
        if self.answers:
            return self.answers.popleft()
        published = asked - self.lag
        return Reply(body=snapshot_body(published - (published - DEFAULT_START) % INTERVAL, seed=1))
