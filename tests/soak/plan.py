"""What befalls which run: drawn from a seed, the same every time. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Collector = Literal["a", "b", "folder"]
Moment = Literal["before", "after"]

BUCKET: Final[tuple[Collector, ...]] = ("a", "b")
"""Two collectors, each with a Redis of its own, on one bucket."""

FOLDER: Final[tuple[Collector, ...]] = ("folder",)
"""One collector with a local folder and the Valkey that comes with it."""

REFUSED: Final = ("garbage", "html", "no-data", "bad-row", "huge", "gzip-bomb")
"""Replies that arrive whole, with status 200, and that the contract refuses."""

UNSERVED: Final = ("503", "500", "reset", "truncated", "slow", "drip", "drip-headers", "redirect")
"""Replies of which no whole body with status 200 arrives."""

_WAITED_FOR: Final = {"slow", "drip", "drip-headers"}

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
        "kafka-down",
        "kafka-slow",
        "kafka-answer-lost",
        "kafka-denied",
    ),
    FOLDER: (
        "disk-full",
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

CLOCK_STEPS: Final = (-20 * 365 * 86_400, -25 * 3_600, -2 * 3_600, -30, 30, 2 * 3_600, 25 * 3_600, 2 * 365 * 86_400)
"""Seconds by which a machine's clock may be wrong or be set right."""

AT_ONCE: Final = 8
_MOST_ROOM: Final = 16  # pages: about as many as Valkey needs to start, and a few objects more
_LONGEST_RUN: Final = {BUCKET: 0.7, FOLDER: 0.35}
"""About how many seconds a run takes; a fault later than that finds it ended."""


@dataclass(frozen=True)
class Point:
    """Before or after the nth of a run's calls of one name."""

    call: str
    moment: Moment
    nth: int


@dataclass(frozen=True)
class ClockStep:
    """A step of the wall clock by so many seconds: at a point, or before the run begins."""

    seconds: int
    at: Point | None


@dataclass(frozen=True)
class Run:
    """One run: who collects, and what befalls the process itself."""

    collector: Collector
    killed_at: Point | None = None
    killed_after: float | None = None
    clock: ClockStep | None = None
    own_interpreter: bool = False


@dataclass(frozen=True)
class ServiceFault:
    """What befalls a server, from so many seconds after the start of the runs for so many."""

    kind: str
    after: float
    lasts: float
    room: int = 0
    """The 4-KiB pages that a full disk still has."""


@dataclass(frozen=True)
class Step:
    """Runs that start at once, and what they meet.

    A closing step is one healthy run with a healthy feed: what it is served must be archived, and whatever it is served
    and refuses quarantined. Kafka may be away then, and nothing else.
    """

    runs: tuple[Run, ...]
    replies: tuple[str, ...] = ()
    services: tuple[ServiceFault, ...] = ()
    revision: int = 0
    closing: bool = False

    @property
    def waits(self) -> bool:
        """Whether the feed lets the runs wait until their time is over."""
        return not _WAITED_FOR.isdisjoint(self.replies)


@dataclass(frozen=True)
class Interval:
    """One interval of the feed, and the steps while it is up; in an outage it is never served at all."""

    documented: bool
    outage: bool
    steps: tuple[Step, ...]


def plan(collectors: tuple[Collector, ...], runs: int, seed: int) -> list[Interval]:
    """Draw the intervals of one archive, until they hold that many runs at least."""
    generator = random.Random(f"{collectors} {seed}")  # noqa: S311 - a plan keeps no secrets
    intervals: list[Interval] = []
    planned = 0
    while planned < runs:
        interval = _Drawing(generator, collectors).interval()
        intervals.append(interval)
        planned += sum(len(step.runs) for step in interval.steps)
    return intervals


class _Drawing:
    """Draws one interval."""

    def __init__(self, generator: random.Random, collectors: tuple[Collector, ...]) -> None:
        self._generator = generator
        self._collectors = collectors
        self._longest_run = _LONGEST_RUN[collectors]

    def interval(self) -> Interval:
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
        refused = sorted({reply for step in troubled for reply in step.replies if reply in REFUSED})
        for reply in refused:
            yield Step((Run(self._collector()),), replies=(reply,), revision=revision, closing=True)
        yield Step((Run(self._collector()),), services=kafka_is_away, revision=revision, closing=True)

    def _in_outage(self) -> Step:
        quick = [reply for reply in UNSERVED if reply not in _WAITED_FOR]
        # As many as every try of every run may take; what is left is not served to the next.
        runs = self._runs()
        return Step(runs, replies=(self._generator.choice(quick),) * (5 * len(runs)))

    def _troubled(self, revision: int, lasting: tuple[ServiceFault, ...]) -> Step:
        return Step(
            self._runs(),
            replies=self._replies() if self._chance(0.4) else (),
            services=lasting or tuple(self._service_fault() for _ in range(self._generator.choice((0, 1, 1, 1, 2)))),
            revision=revision,
        )

    def _runs(self) -> tuple[Run, ...]:
        if self._chance(0.08):
            return tuple(self._run() for _ in range(AT_ONCE))
        return (self._run(),)

    def _run(self) -> Run:
        dies, own_interpreter = self._chance(0.5), self._chance(0.01)
        if own_interpreter:
            # It takes seconds to begin; killed at any time, its beginning included.
            return Run(self._collector(), killed_after=self._seconds(6.0), own_interpreter=True)
        by_time = self._chance(0.5)
        return Run(
            self._collector(),
            killed_at=self._point() if dies and not by_time else None,
            killed_after=self._seconds(self._longest_run) if dies and by_time else None,
            clock=self._clock_step() if self._chance(0.15) else None,
        )

    def _replies(self) -> tuple[str, ...]:
        kind = self._generator.choice(REFUSED + UNSERVED)
        most = 2 if kind in _WAITED_FOR else 6
        return (kind,) * self._generator.randint(1, most)

    def _service_fault(self) -> ServiceFault:
        return ServiceFault(
            self._generator.choice(SERVICE_FAULTS[self._collectors]),
            after=self._generator.choice((0.0, self._seconds(self._longest_run))),
            lasts=self._generator.choice((self._seconds(0.4), 60.0)),
            room=self._generator.randint(0, _MOST_ROOM),
        )

    def _clock_step(self) -> ClockStep:
        at = self._point() if self._chance(0.5) else None
        return ClockStep(self._generator.choice(CLOCK_STEPS), at)

    def _point(self) -> Point:
        call = self._generator.choice(POINTS)
        nth = self._generator.randint(1, 3) if call == "put" else 1
        return Point(call, self._pick(("before", "after")), nth)

    def _collector(self) -> Collector:
        return self._generator.choice(self._collectors)

    def _pick(self, moments: Sequence[Moment]) -> Moment:
        return self._generator.choice(moments)

    def _seconds(self, most: float) -> float:
        return round(self._generator.uniform(0.0, most), 3)

    def _chance(self, share: float) -> bool:
        return self._generator.random() < share
