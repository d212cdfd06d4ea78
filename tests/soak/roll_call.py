"""Each kind of fault once, at a moment at which it cannot miss: the first intervals of every plan. Pure.

The two archives share the kinds that both can meet. What a feed may answer, every feed answers once, and where a run of
all feeds is quick: into the folder. What happens by chance comes after, and more often.
"""

from __future__ import annotations

from itertools import cycle, islice, starmap
from typing import TYPE_CHECKING, Final, TypeVar

from tests.soak.plan import (
    ALL,
    AT_ONCE,
    BUCKET,
    CLOCK_STEPS,
    FOLDER,
    MOMENTS,
    MOST_POLLS,
    POINTS,
    REFUSED,
    RESERVE_ALONE,
    S3_AWAY,
    SERVICE_FAULTS,
    UNSERVED,
    ClockStep,
    Interval,
    Point,
    Run,
    ServiceFault,
    Step,
    draw,
    while_s3_is_away,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.soak.plan import Collector, Feeds

T = TypeVar("T")

_UNTIL_THE_END: Final = 60.0

# The second object that a run puts is the snapshot; the first is its mark.
_THE_SNAPSHOT: Final = Point("put", "before", 2)
# From here on each run asks Redis and S3, whatever became of the faults before.
_EARLY: Final = Point("look up", "before")
# These need a body that is not registered, and each but the last leaves it so: they come first, in this order.
_MOMENTS: Final = {"disk-full": _THE_SNAPSHOT, "kafka-denied": None, "kafka-down": None, "kafka-slow": None}
# Which feeds meet one thing after another, and which do at once: mostly reserve alone.
_TAKING_TURNS: Final = {
    BUCKET: (RESERVE_ALONE, ALL[1:3], RESERVE_ALONE, ALL[2:3]),
    FOLDER: (RESERVE_ALONE, ALL, RESERVE_ALONE, ALL[4:6]),
}
_AT_ONCE: Final = (RESERVE_ALONE, ALL[1:2], ALL[:2])


def plan(collectors: tuple[Collector, ...], runs: int, seed: int) -> list[Interval]:
    """Plan the intervals of one archive: every kind in turn, then as drawn, until there are so many runs at least."""
    first = roll_call(collectors)
    return [*first, *draw(collectors, runs - sum(interval.runs() for interval in first), seed)]


def roll_call(collectors: tuple[Collector, ...]) -> list[Interval]:
    """Plan each kind of fault that falls to this archive, once."""
    first = collectors == BUCKET
    kinds = [kind for kind in SERVICE_FAULTS[collectors] if kind not in _elsewhere(collectors)]
    kinds.sort(key=lambda kind: [*_MOMENTS, kind].index(kind))
    services = [
        _service(kind, _MOMENTS.get(kind, _EARLY), collectors[0], RESERVE_ALONE if kind in _MOMENTS else feeds)
        for kind, feeds in zip(kinds, cycle(_TAKING_TURNS[collectors]), strict=False)
    ]
    refused = () if first else REFUSED
    unserved = [] if first else [Step((Run(collectors[0], ALL),), (reply,), ALL) for reply in UNSERVED]
    # What waits for S3 waits until the end: the next run of that collector is the last.
    away = (
        [one for feeds in (ALL[1:3], RESERVE_ALONE) for one in while_s3_is_away(collectors[-1], feeds, 1)]
        if first
        else []
    )
    # What every feed has stored by then, only its marks can bring to Kafka.
    in_vain = () if first else (ServiceFault("kafka-down", 0.0, _UNTIL_THE_END),)
    return [
        _closed((*_unregistered(collectors, REFUSED[0]), *_own(collectors)), collectors, REFUSED[:1], in_vain),
        *away,
        _closed((*services, *unserved), collectors, refused),
    ]


def _half(things: Sequence[T], *, first: bool) -> tuple[T, ...]:
    """Share things between the two archives."""
    return tuple(things[0 if first else 1 :: 2])


def _elsewhere(collectors: tuple[Collector, ...]) -> set[str]:
    """The faults of servers with a place of their own; Kafka's fall to the folder, which has fewer others."""
    kafka = {kind for kind in SERVICE_FAULTS[BUCKET] if kind.startswith("kafka")} if collectors == BUCKET else set()
    return {S3_AWAY, "s3-answer-lost", "kafka-answer-lost"} | kafka


def _closed(
    troubled: tuple[Step, ...],
    collectors: tuple[Collector, ...],
    refused: tuple[str, ...],
    services: tuple[ServiceFault, ...] = (),
) -> Interval:
    """Let a healthy run see whatever was served."""
    seen = {feed for step in troubled for run in step.runs for feed in run.feeds}
    feeds = tuple(feed for feed in ALL if feed in seen)
    closing = [Step((Run(collectors[0], feeds),), (reply,), feeds, closing=True) for reply in refused]
    last = Step((Run(collectors[-1], feeds),), services=services, closing=True)
    return Interval(documented=False, outage=False, steps=(*troubled, *closing, last))


def _unregistered(collectors: tuple[Collector, ...], refused: str) -> list[Step]:
    """What needs a body that the run's Redis does not know: each of these leaves it so, but the last."""
    first = collectors == BUCKET
    lost = (
        _service("s3-answer-lost", _THE_SNAPSHOT, collectors[-1])
        if first
        else _service("kafka-answer-lost", Point("announce", "before"), collectors[0])
    )
    (moment,) = _half(MOMENTS, first=first)
    points = [Point(call, moment, 2 if call == "put" else 1) for call in POINTS]
    kills = [
        Step((Run(collectors[0], feeds, killed_at=point),), (refused,) if point.call == "quarantine" else (), feeds)
        for point, feeds in zip(points, cycle(_TAKING_TURNS[collectors]), strict=False)
    ]
    # Kafka may not be reached in time by the first run of all, on a busy machine: the next one announces then.
    return [lost, *kills] if first else [lost, lost, *kills]


def _own(collectors: tuple[Collector, ...]) -> list[Step]:
    """What befalls a run's own process at other times."""
    if collectors == FOLDER:
        return [Step((Run(collectors[0], polls=MOST_POLLS, clock=ClockStep(CLOCK_STEPS[0], None)),))]
    return [
        Step((Run(collectors[0], killed_after=0.1),)),
        Step((Run(collectors[-1], clock=ClockStep(CLOCK_STEPS[-1], Point("fetch", "before"))),)),
        Step(tuple(starmap(Run, islice(zip(cycle(collectors), cycle(_AT_ONCE)), AT_ONCE)))),
    ]


def _service(kind: str, at: Point | None, collector: Collector, feeds: Feeds = RESERVE_ALONE) -> Step:
    lasts = 0.3 if kind == "redis-blackhole" else _UNTIL_THE_END
    # One run at least is to ask more than once, which neither waits for a server nor has much to do.
    run = Run(collector, polls=MOST_POLLS) if kind == "redis-flush" else Run(collector, feeds)
    return Step((run,), services=(ServiceFault(kind, 0.0, lasts, at),))
