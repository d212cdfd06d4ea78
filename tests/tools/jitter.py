"""A month of publications on a virtual clock, collected by the run that ships: ``make jitter``.

MISO's lag is not known; these models bracket what has been seen. A publication replaces the one before and never goes
back: an interval that its successor has overtaken is not shown, and does not count as published. Nothing of the run is
replaced but the clock, the one function that asks the feed, and archive and Redis, which are in memory: its polls, its
slots, its rule for stopping, its retries and the order of its steps are the library's own.
"""

from __future__ import annotations

import logging
import random
import sys
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from miso_archive.collecting import fetch as fetching
from miso_archive.collecting.pace import Pace
from miso_archive.collecting.parts import Parts
from miso_archive.collecting.plain import Patient
from miso_archive.collecting.registry import Registry
from miso_archive.collecting.run import collect
from miso_archive.collecting.spool import Spool
from miso_archive.collecting.steps import generate_candidates
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.polite import MOST_POLLS
from miso_archive.settings.options import Settings
from miso_archive.simulate import snapshot_body
from miso_archive.store.layout import snapshot_key
from miso_archive.store.response import Response
from tests.turned import TurnedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from miso_archive.collecting.registry import Registration
    from miso_archive.contract.verdict import Verdict

START = datetime(2001, 1, 1, tzinfo=EST)
DAYS = 31
LEAST_SHARE = 0.999
UNAVAILABLE = 0.01
REQUEST_SECONDS = 0.4
START_SECONDS = (1.0, 13.0)
"""How long after its due time a run starts: a worker's, as measured."""

OUTAGES = ((5.0, 2.0), (12.4, 0.5), (20.7, 26.0))
"""When the collector is down: days from the start, and hours."""

PHASES = tuple(range(0, 300, 30))
"""Seconds between the five-minute grid and the schedule."""


class EmptySpool(Spool):
    """A spool in which nothing waits: the archive in memory takes everything."""

    @contextmanager
    def keeping(self, response: Response) -> Iterator[Response]:
        """Give the body back."""
        yield response

    def waiting(self) -> list[Path]:
        """Say that nothing does."""
        return []


def uniform(low: float, high: float) -> Callable[[random.Random], float]:
    """Draw lags evenly between two numbers of minutes."""
    return lambda generator: generator.uniform(low, high)


def heavy_tail(generator: random.Random) -> float:
    """Draw lags of a minute, seldom far more, and never above twelve."""
    return min(12.0, generator.paretovariate(4.0))


LAGS: dict[str, Callable[[random.Random], float]] = {
    "uniform 0 to 4 min": uniform(0, 4),
    "uniform 3 to 7 min": uniform(3, 7),
    "1 min, tail to 12 min": heavy_tail,
}


class MemoryArchive:
    """An archive that keeps its objects in memory."""

    location = identity = "memory:"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.sha256: dict[str, str] = {}

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        """Keep what is not kept yet."""
        self.sha256.setdefault(key, provenance.get("sha256", ""))
        return self.objects.setdefault(key, data) is data

    def sha256_of(self, key: str) -> str | None:
        """Return what was said of an object."""
        return self.sha256[key]

    def require(self) -> None:
        """It is always there."""

    def folders(self, under: str) -> list[str]:
        """Return the folders below a folder."""
        return sorted(
            {key.removeprefix(f"{under}/").partition("/")[0] for key in self.objects if key.startswith(under)}
        )

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        """Return the names in each folder."""
        return [
            sorted(key.rpartition("/")[2] for key in self.objects if key.rpartition("/")[0] == folder)
            for folder in folders
        ]

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield objects."""
        return (self.objects.get(key) or FileNotFoundError(key) for key in keys)

    def get(self, key: str) -> bytes | None:
        """Return an object."""
        return self.objects.get(key)

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        """Return what nobody asks for here."""
        return [""] * len(keys)

    def replace(self, key: str, data: bytes) -> None:
        """Keep an object in place of another."""
        self.objects[key] = data

    def remove(self, key: str) -> None:
        """Forget an object."""
        self.objects.pop(key, None)


class MemoryRegistry(Registry):
    """A registry without a Redis behind it."""

    def __init__(self) -> None:
        self.registered: set[str] = set()

    def holds(self, sha256: str, location: str) -> bool:  # noqa: ARG002 - there is one archive
        """Tell whether a body was registered."""
        return sha256 in self.registered

    def register(self, sha256: str, registration: Registration) -> None:  # noqa: ARG002 - nobody looks at it
        """Remember a body."""
        self.registered.add(sha256)


class Publications:
    """What the feed shows when: each interval's end, from the moment it is published."""

    def __init__(self, lag: Callable[[random.Random], float], days: int, seed: int) -> None:
        generator = random.Random(f"lag {seed}")  # noqa: S311 - a simulation keeps no secrets
        count = days * timedelta(days=1) // INTERVAL
        ends = [START + INTERVAL * number for number in range(count)]
        times = [end + timedelta(minutes=lag(generator)) for end in ends]
        shown: list[tuple[datetime, datetime]] = []
        earliest = times[-1] + INTERVAL
        for time, end in zip(reversed(times), reversed(ends), strict=True):
            if time < earliest:
                shown.append((time, end))
                earliest = time
        shown.reverse()
        self.times = [time for time, _ in shown]
        self.ends = [end for _, end in shown]

    def at(self, time: datetime) -> datetime | None:
        """Return the interval end that is shown at a time."""
        number = bisect_right(self.times, time) - 1
        return None if number < 0 else self.ends[number]


class Remembering(Feed):
    """The feed, which examines no body a second time: every collector of a month meets the same ones."""

    def examine(self, body: bytes) -> Verdict:
        """Return what was found before, or look."""
        return examined(body)


@lru_cache(maxsize=16384)
def examined(body: bytes) -> Verdict:
    """Return what the feed's contract says of a body."""
    return RESERVE.examine(body)


DATASET = Remembering(**{field.name: getattr(RESERVE, field.name) for field in fields(RESERVE)})


@lru_cache(maxsize=16384)
def body_of(interval_end: datetime) -> bytes:
    """Return the body of an interval."""
    return snapshot_body(interval_end, seed=1)


class Tally(NamedTuple):
    """What a collector caught of what was published while it was up, and at what rate it asked."""

    published: int
    captured: int
    requests: int
    minutes: float
    shortest_gap: float

    @property
    def share(self) -> float:
        """The share of the published intervals that is archived."""
        return self.captured / self.published

    @property
    def rate(self) -> float:
        """Requests a minute while it was up."""
        return self.requests / self.minutes


@dataclass
class Collector:
    """Runs on a schedule against the publications, with a part of the requests answered by 503."""

    publications: Publications
    phase: float
    polls: int
    days: int
    unavailable: float = UNAVAILABLE
    outages: tuple[tuple[float, float], ...] = OUTAGES

    def __post_init__(self) -> None:
        self.clock = TurnedClock(START)
        self.settings = Settings(local=Path("memory"), polls=self.polls)
        self.archive = MemoryArchive()
        self.asked: list[datetime] = []
        self.generator = random.Random(f"requests {self.phase} {self.polls}")  # noqa: S311 - as above
        self.down = [
            (START + timedelta(days=day), START + timedelta(days=day, hours=hours)) for day, hours in self.outages
        ]
        spool = EmptySpool(Path("memory"), self.archive.identity, DATASET, "dev")
        self.opened = (DATASET, "dev", self.archive, MemoryRegistry(), None, spool)

    def is_down(self, time: datetime) -> bool:
        """Tell whether the collector is down at a time."""
        return any(begin <= time < end for begin, end in self.down)

    def month(self) -> Tally:
        """Run the whole schedule."""
        end = START + timedelta(days=self.days)
        due = START + timedelta(seconds=self.phase)
        with patch.object(fetching, "fetch", self.fetch):
            while due < end:
                if not self.is_down(due):
                    started = due + timedelta(seconds=self.generator.uniform(*START_SECONDS))
                    self.clock.time = max(self.clock.time, started)
                    self.run(due)
                due += INTERVAL
        return self.tally(end)

    def run(self, due: datetime) -> None:
        """Do one scheduled run with the library's own steps."""
        pace = Pace.of(due, self.clock.now(), self.settings.polls, self.settings.poll_gap)
        parts = Parts(*self.opened, pace, self.clock)
        collect(generate_candidates(self.settings, DATASET), DATASET, parts, Patient(parts), pace)

    def fetch(self, _url: str, _timeout: float) -> Response:
        """Ask the virtual feed."""
        asked = self.clock.now()
        self.asked.append(asked)
        self.clock.sleep(REQUEST_SECONDS)
        shown = self.publications.at(asked)
        if shown is None or self.generator.random() < self.unavailable:
            raise CollectionError(FailureCode.FEED_UNAVAILABLE, "503", transient=True)
        return Response(body_of(shown), asked, "virtual", "application/json")

    def tally(self, end: datetime) -> Tally:
        """Count what was caught of what was published while the collector was up."""
        shown = zip(self.publications.times, self.publications.ends, strict=True)
        published = {label for time, label in shown if not self.is_down(time) and time < end - INTERVAL}
        up = timedelta(days=self.days) - sum((until - since for since, until in self.down), timedelta())
        gaps = (later - earlier for earlier, later in zip(self.asked, self.asked[1:], strict=False))
        shortest = min(gaps).total_seconds()
        captured = sum(snapshot_key(RESERVE, label) in self.archive.objects for label in published)
        return Tally(len(published), captured, len(self.asked), up / timedelta(minutes=1), shortest)


def compared(days: int, phases: tuple[int, ...]) -> Iterator[tuple[str, int, Tally, Tally]]:
    """Yield each lag model and phase: the run that ships, and a plain poll every five minutes."""
    for name, lag in LAGS.items():
        publications = Publications(lag, days, seed=7)
        for phase in phases:
            ours = Collector(publications, phase, MOST_POLLS, days).month()
            plain = Collector(publications, phase, 1, days).month()
            yield name, phase, ours, plain


def main() -> int:
    """Print the table and the worst case."""
    logging.getLogger("miso_archive").setLevel(logging.CRITICAL)
    print(f"{DAYS} virtual days, {UNAVAILABLE:.0%} of requests answered 503, {len(OUTAGES)} outages of the collector")  # noqa: T201 - its output
    print("lag                    phase  published  captured    share  a minute  least gap   plain poll")  # noqa: T201
    compared_ones = []
    for name, phase, ours, plain in compared(DAYS, PHASES):
        print(  # noqa: T201
            f"{name:22} {phase:3} s  {ours.published:9}  {ours.captured:8}  {ours.share:7.3%}  {ours.rate:8.2f}"
            f"  {ours.shortest_gap:7.1f} s  {plain.share:11.1%}"
        )
        compared_ones.append((ours, plain))
    ours, plain = min(compared_ones, key=lambda pair: pair[0].share)
    print(  # noqa: T201
        f"jitter: published={ours.published} captured={ours.captured} share={ours.share:.5f} plain={plain.share:.3f} "
        f"requests_per_minute={ours.rate:.2f}"
    )
    return 0 if all(one.share >= LEAST_SHARE and one.shortest_gap >= 60 for one, _ in compared_ones) else 1


if __name__ == "__main__":
    sys.exit(main())
