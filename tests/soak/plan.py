"""What befalls which run: each kind once, then as drawn from a seed, the same every time. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from miso_archive.feeds import FEEDS
from miso_archive.feeds.reserve import RESERVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Collector = Literal["a", "b", "folder"]
Moment = Literal["before", "after"]
MOMENTS: Final[tuple[Moment, ...]] = ("before", "after")

BUCKET: Final[tuple[Collector, ...]] = ("a", "b")
"""Two collectors, each with a Redis of its own, on one bucket."""

FOLDER: Final[tuple[Collector, ...]] = ("folder",)
"""One collector with a local folder and the Valkey that comes with it."""

Feeds = tuple[str, ...]
"""Names of feeds, in the order of all."""

RESERVE_ALONE: Final[Feeds] = (RESERVE.name,)
ALL: Final[Feeds] = tuple(FEEDS)

REFUSED: Final = ("garbage", "html", "no-data", "bad-row", "huge", "gzip-bomb")
"""Replies that arrive whole, with status 200, and that the contract refuses."""

UNSERVED: Final = ("503", "500", "reset", "truncated", "slow", "drip", "drip-headers", "redirect")
"""Replies of which no whole body with status 200 arrives."""

WAITED_FOR: Final = {"slow", "drip", "drip-headers"}

SERVICE_FAULTS: Final = {
    BUCKET: (
        "redis-restart",
        "redis-flush",
        "redis-blackhole",
        "redis-down",
        "s3-500",
        "s3-slow",
        "s3-reset",
        "s3-answer-lost",
        "s3-request-cut",
        "s3-away",
        "kafka-down",
        "kafka-slow",
        "kafka-answer-lost",
        "kafka-denied",
    ),
    FOLDER: (
        "disk-full",
        "redis-restart",
        "redis-flush",
        "kafka-down",
        "kafka-slow",
        "kafka-answer-lost",
        "kafka-denied",
    ),
}

POINTS: Final = (
    "connect",
    "fetch",
    "look up",
    "mark",
    "put",
    "store",
    "quarantine",
    "announce",
    "unmark",
    "register",
    "catch up",
)
"""The library's own calls before or after which a run is killed, or its clock steps; `put` is one object."""

KILLED_BY_TIME: Final = "kill -9 by time"

CLOCK_STEPS: Final = (-20 * 365 * 86_400, -25 * 3_600, -2 * 3_600, -30, 30, 2 * 3_600, 25 * 3_600, 2 * 365 * 86_400)
"""Seconds by which a machine's clock may be wrong or be set right."""

S3_AWAY: Final = "s3-away"
BRIEF: Final = 1.0
"""Seconds that a fault lasts at most where a run has the retries that ship."""

_OUTLASTED: Final = {*(kind for kind in SERVICE_FAULTS[BUCKET] if kind.startswith(("s3-", "kafka-")))} - {
    "kafka-denied"
}
_SHARE_AWAY: Final = 0.05

AT_ONCE: Final = 8
MOST_POLLS: Final = 5
_SHARE_OF_FIVE_POLLS: Final = 0.22  # where they may be: a tenth of all runs and a few more
_MOST_ROOM: Final = 16  # pages: about as many as Valkey needs to start, and a few objects more
_LONGEST_RUN: Final = {BUCKET: 0.7, FOLDER: 0.35}
"""About how many seconds a run of one feed takes; a fault later than that finds it ended."""

_LONGER_BY: Final = 0.25  # for each further feed
_SHARES: Final = {"reserve": 0.6, "one": 0.2, "several": 0.14, "all": 0.06}
_SHARE_OF_SUBSETS: Final = 0.25


@dataclass(frozen=True)
class Point:
    """Before or after the nth of a run's calls of one name."""

    call: str
    moment: Moment
    nth: int = 1

    def killing(self) -> str:
        """The kind of fault that a kill at this point is."""
        return f"kill -9 {self.moment} {self.call}"


@dataclass(frozen=True)
class ClockStep:
    """A step of the wall clock by so many seconds: at a point, or before the run begins."""

    seconds: int
    at: Point | None

    def kind(self) -> str:
        """The kind of fault that this is."""
        return "clock wrong" if self.at is None else "clock step"


@dataclass(frozen=True)
class Run:
    """One run: who collects which feeds, how often it may ask, and what befalls the process itself.

    A run of five polls has the retries and time-outs that ship.
    """

    collector: Collector
    feeds: Feeds = RESERVE_ALONE
    polls: int = 1
    killed_at: Point | None = None
    killed_after: float | None = None
    clock: ClockStep | None = None
    own_interpreter: bool = False

    def kinds(self) -> set[str]:
        """The kinds of fault that are planned for the process itself."""
        kinds = {self.killed_at.killing()} if self.killed_at is not None else set()
        kinds |= {KILLED_BY_TIME} if self.killed_after is not None else set()
        return kinds | ({self.clock.kind()} if self.clock is not None else set())


@dataclass(frozen=True)
class ServiceFault:
    """What befalls a server for so many seconds, from so many after the start of the runs on, or from a point on.

    The point is one of the first run's, which waits there until the fault is on.
    """

    kind: str
    after: float
    lasts: float
    at: Point | None = None
    room: int = 0
    """The 4-KiB pages that a full disk still has."""


@dataclass(frozen=True)
class Step:
    """Runs that start at once, and what they meet.

    Each of the struck feeds gives all of the replies. A closing step is one healthy run with healthy feeds: what it is
    served must be archived, and whatever it is served and refuses quarantined. Kafka may be away then, and nothing
    else.
    """

    runs: tuple[Run, ...]
    replies: tuple[str, ...] = ()
    struck: Feeds = RESERVE_ALONE
    services: tuple[ServiceFault, ...] = ()
    revision: int = 0
    closing: bool = False

    @property
    def waits(self) -> bool:
        """Whether the feed lets the runs wait until their time is over."""
        return not WAITED_FOR.isdisjoint(self.replies)

    @property
    def passes(self) -> bool:
        """Whether all that is wrong is a server that comes back while retries that ship are still under way."""
        outlasted = all(fault.kind in _OUTLASTED and fault.lasts <= BRIEF for fault in self.services)
        return bool(self.services) and outlasted and not self.replies

    def kinds(self) -> set[str]:
        """The kinds of fault that are planned here."""
        kinds = {fault.kind for fault in self.services}
        kinds |= {of_feed(reply, feed) for reply in self.replies for feed in self.struck}
        kinds |= {"eight runs at once"} if len(self.runs) == AT_ONCE else set()
        return kinds.union(*(run.kinds() for run in self.runs))


@dataclass(frozen=True)
class Interval:
    """One interval of the feeds, and the steps while it is up.

    In an outage it is never served at all. While the archive is away it is served to runs that find no archive, and
    never again.
    """

    documented: bool
    outage: bool
    steps: tuple[Step, ...]
    away: bool = False

    def runs(self) -> int:
        """How many runs it holds."""
        return sum(len(step.runs) for step in self.steps)


def draw(collectors: tuple[Collector, ...], runs: int, seed: int) -> list[Interval]:
    """Draw the intervals of one archive, until they hold that many runs at least."""
    generator = random.Random(f"{collectors} {seed}")  # noqa: S311 - a plan keeps no secrets
    intervals: list[Interval] = []
    while sum(interval.runs() for interval in intervals) < runs:
        intervals += _Drawing(generator, collectors).intervals()
    return intervals


def of_feed(reply: str, feed: str) -> str:
    """The kind of fault that a feed's reply is."""
    return f"feed {reply} of {feed}"


def while_s3_is_away(collector: Collector, feeds: Feeds, count: int) -> list[Interval]:
    """Plan intervals that one collector sees while it does not reach the archive."""
    step = Step((Run(collector, feeds),), services=(ServiceFault(S3_AWAY, 0.0, 60.0),))
    return [Interval(documented=False, outage=False, steps=(step,), away=True) for _ in range(count)]


class _Drawing:
    """Draws one interval, or those in a row while the archive is away."""

    def __init__(self, generator: random.Random, collectors: tuple[Collector, ...]) -> None:
        self._generator = generator
        self._collectors = collectors
        self._feeds = self._drawn_feeds()
        self._longest_run = _LONGEST_RUN[collectors] * (1 + _LONGER_BY * (len(self._feeds) - 1))

    def intervals(self) -> list[Interval]:
        if S3_AWAY in SERVICE_FAULTS[self._collectors] and self._chance(_SHARE_AWAY):
            return while_s3_is_away(self._collector(), self._feeds, self._generator.randint(2, 6))
        return [self._interval()]

    def _interval(self) -> Interval:
        documented, outage = self._chance(0.2), self._chance(0.08)
        if outage:
            return Interval(documented, outage, tuple(self._in_outage() for _ in range(self._generator.randint(1, 3))))
        revisions = self._generator.choice(([0], [0], [0], [0, 1], [0, 1, 0]))
        return Interval(documented, outage, tuple(step for revision in revisions for step in self._phase(revision)))

    def _phase(self, revision: int) -> Iterator[Step]:
        # With Kafka away for as long as a body is up, only its mark can bring it there.
        kafka_is_away = (ServiceFault("kafka-down", 0.0, 60.0),) if self._chance(0.25) else ()
        troubled = [self._troubled(revision, kafka_is_away) for _ in range(self._generator.randint(1, 3))]
        yield from troubled
        # A run that was killed may not have kept what it refused: each such body is served once more.
        refused = sorted({(reply, step.struck) for step in troubled for reply in step.replies if reply in REFUSED})
        for reply, struck in refused:
            yield Step((Run(self._collector(), self._feeds),), (reply,), struck, revision=revision, closing=True)
        closing = Run(self._collector(), self._feeds, polls=1 if kafka_is_away else self._polls())
        yield Step((closing,), services=kafka_is_away, revision=revision, closing=True)

    def _in_outage(self) -> Step:
        quick = [reply for reply in UNSERVED if reply not in WAITED_FOR]
        # As many as every try of every run may take; what is left is not served to the next.
        runs = self._runs(1, refused=False)
        return Step(runs, replies=(self._generator.choice(quick),) * (5 * len(runs)), struck=self._feeds)

    def _troubled(self, revision: int, lasting: tuple[ServiceFault, ...]) -> Step:
        replies = self._replies() if self._chance(0.4) else ()
        # What ships waits for twenty seconds and more: there nothing is away for long.
        polls = 1 if lasting or not WAITED_FOR.isdisjoint(replies) else self._polls()
        count = self._generator.choice((0, 1, 1, 1, 2))
        return Step(
            self._runs(polls, refused=not {*REFUSED}.isdisjoint(replies)),
            replies=replies,
            struck=self._some_of_the_feeds(0.5),
            services=lasting or tuple(self._service_fault(short=polls > 1) for _ in range(count)),
            revision=revision,
        )

    def _runs(self, polls: int, *, refused: bool) -> tuple[Run, ...]:
        if self._chance(0.08):
            return tuple(self._run(polls, refused=refused) for _ in range(AT_ONCE))
        return (self._run(polls, refused=refused),)

    def _run(self, polls: int, *, refused: bool) -> Run:
        dies, own_interpreter = self._chance(0.5), polls == 1 and self._chance(0.01)
        if own_interpreter:
            # It takes seconds to begin; killed at any time, its beginning included.
            return Run(self._collector(), self._feeds, killed_after=self._seconds(6.0), own_interpreter=True)
        by_time = self._chance(0.5)
        return Run(
            self._collector(),
            self._some_of_the_feeds(_SHARE_OF_SUBSETS),
            polls,
            killed_at=self._point() if dies and not by_time else None,
            killed_after=self._seconds(self._longest_run) if dies and by_time else None,
            # A body refused on another day, by a run that dies between it and its reasons: nobody comes back to it.
            clock=self._clock_step() if self._chance(0.15) and not (dies and refused) else None,
        )

    def _drawn_feeds(self) -> Feeds:
        (share,) = self._generator.choices(list(_SHARES), list(_SHARES.values()))
        if share == "reserve":
            return RESERVE_ALONE
        if share == "all":
            return ALL
        drawn = self._generator.sample(ALL, 1 if share == "one" else self._generator.randint(2, 3))
        return tuple(name for name in ALL if name in drawn)

    def _some_of_the_feeds(self, share_of_one: float) -> Feeds:
        return (self._generator.choice(self._feeds),) if self._chance(share_of_one) else self._feeds

    def _polls(self) -> int:
        return MOST_POLLS if self._chance(_SHARE_OF_FIVE_POLLS) else 1

    def _replies(self) -> tuple[str, ...]:
        kind = self._generator.choice(REFUSED + UNSERVED)
        most = 2 if kind in WAITED_FOR else 6
        return (kind,) * self._generator.randint(1, most)

    def _service_fault(self, *, short: bool) -> ServiceFault:
        brief = self._seconds(BRIEF if short else 0.4)
        return ServiceFault(
            self._generator.choice([kind for kind in SERVICE_FAULTS[self._collectors] if kind != S3_AWAY]),
            after=self._generator.choice((0.0, self._seconds(self._longest_run))),
            lasts=brief if short else self._generator.choice((brief, 60.0)),
            at=self._point() if self._chance(0.4) else None,
            # Without any the first write fails; a small run fits into most of what is drawn otherwise.
            room=self._generator.choice((0, self._generator.randint(1, _MOST_ROOM))),
        )

    def _clock_step(self) -> ClockStep:
        at = self._point() if self._chance(0.5) else None
        return ClockStep(self._generator.choice(CLOCK_STEPS), at)

    def _point(self) -> Point:
        call = self._generator.choice(POINTS)
        nth = self._generator.randint(1, 3) if call == "put" else 1
        return Point(call, self._pick(MOMENTS), nth)

    def _collector(self) -> Collector:
        return self._generator.choice(self._collectors)

    def _pick(self, moments: Sequence[Moment]) -> Moment:
        return self._generator.choice(moments)

    def _seconds(self, most: float) -> float:
        return round(self._generator.uniform(0.0, most), 3)

    def _chance(self, share: float) -> bool:
        return self._generator.random() < share
