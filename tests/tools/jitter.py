"""A month of each feed's publications on a virtual clock, collected by the run that ships: ``make jitter``.

MISO's lag is not known of any feed; these models bracket what has been seen, and are the same for all **[inferred]**.
They count from the interval's end, of a feed with a lead from as much before it: such labels are out ahead of the clock
**[seen]**. A publication replaces the one before and never goes back: an interval that its successor has overtaken is
not shown, and does not count as published. A body whose label is the clock of one of its rows moves every minute, as
others of its clocks do **[seen]**: each such body is a revision. Nothing of the run is replaced but the clock, the one
function that asks the feed, and archive and Redis, which are in memory: its polls, its slots, its rule for stopping,
its retries and the order of its steps are the library's own.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from bisect import bisect_right
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
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
from miso_archive.contract.rows import RowLabel
from miso_archive.failures import CollectionError
from miso_archive.feeds import FEEDS
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.polite import MOST_POLLS
from miso_archive.settings.options import Settings
from miso_archive.simulate.bodies import body_of as simulated_body
from miso_archive.store.layout import snapshot_key
from miso_archive.store.response import Response
from tests.turned import TurnedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from miso_archive.collecting.registry import Registration
    from miso_archive.contract.verdict import Verdict

RECORD: Final = Path(__file__).with_name("jitter.txt")
"""What ``--record`` has kept of the last month, for the documentation."""

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

FEWER_PHASES = PHASES[::3]
"""Those of the sister feeds: what a phase does to a run is the same for all."""


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

    def require(self, *, may_be_new: bool = False) -> None:
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

    def claim(self, link: str, location: str, slot: datetime, gap: float) -> bool:  # noqa: ARG002 - nobody else asks
        """Take a slot."""
        return True


class Publications:
    """What a feed shows when: each interval's end, from the moment it is published."""

    def __init__(self, feed: Feed, lag: Callable[[random.Random], float], days: int, seed: int) -> None:
        generator = random.Random(f"lag {feed.name} {seed}")  # noqa: S311 - a simulation keeps no secrets
        count = days * timedelta(days=1) // INTERVAL
        ends = [START + feed.lead + INTERVAL * number for number in range(count)]
        times = [end - feed.lead + timedelta(minutes=lag(generator)) for end in ends]
        shown: list[tuple[datetime, datetime]] = []
        earliest = times[-1] + INTERVAL
        for time, end in zip(reversed(times), reversed(ends), strict=True):
            if time < earliest:
                shown.append((time, end))
                earliest = time
        shown.reverse()
        self.times = [time for time, _ in shown]
        self.ends = [end for _, end in shown]

    def at(self, time: datetime) -> tuple[datetime, int] | None:
        """Return the interval end that is shown at a time, and for how many minutes it has been."""
        number = bisect_right(self.times, time) - 1
        return None if number < 0 else (self.ends[number], (time - self.times[number]) // timedelta(minutes=1))


class Remembering(Feed):
    """A feed that examines no body a second time: every collector of a month meets the same ones."""

    def examine(self, body: bytes) -> Verdict:
        """Return what was found before, or look."""
        return examined(self.name, body)


@lru_cache(maxsize=65536)
def examined(name: str, body: bytes) -> Verdict:
    """Return what a feed's contract says of a body."""
    return FEEDS[name].examine(body)


def remembering(feed: Feed) -> Feed:
    """Return a feed that remembers its verdicts."""
    return Remembering(**{field.name: getattr(feed, field.name) for field in fields(feed)})


@lru_cache(maxsize=65536)
def body_of(name: str, present: datetime, revision: int) -> bytes:
    """Return what a feed shows of an interval."""
    return simulated_body(FEEDS[name], present, seed=1, revision=revision)


def moves(feed: Feed) -> bool:
    """Tell whether a feed's bodies change each minute: that has no label of its own, but rows with a clock each."""
    return isinstance(feed.contract.label, RowLabel)


class Tally(NamedTuple):
    """What a collector caught of what was published while it was up, and at what rate it asked."""

    published: int
    captured: int
    bodies: int
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
    """Runs on a schedule against a feed's publications, with a part of the requests answered by 503."""

    feed: Feed
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
        self.down = [
            (START + timedelta(days=day), START + timedelta(days=day, hours=hours)) for day, hours in self.outages
        ]
        self.feed = remembering(self.feed)
        self.generator = random.Random(f"requests {self.feed.name} {self.phase} {self.polls}")  # noqa: S311 - as above
        spool = EmptySpool(Path("memory"), self.archive.identity, self.feed, "dev")
        self.opened = (self.feed, "dev", self.archive, MemoryRegistry(), None, spool)

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
        collect(generate_candidates(self.settings, self.feed), self.feed, parts, Patient(parts), pace)

    def fetch(self, _url: str, _timeout: float, key: str | None = None) -> Response:  # noqa: ARG002 - of daily feeds
        """Ask the virtual feed."""
        asked = self.clock.now()
        self.asked.append(asked)
        self.clock.sleep(REQUEST_SECONDS)
        shown = self.publications.at(asked)
        if shown is None or self.generator.random() < self.unavailable:
            raise CollectionError(FailureCode.FEED_UNAVAILABLE, "503", transient=True)
        end, minutes = shown
        body = body_of(self.feed.name, end - self.feed.lead, minutes if moves(self.feed) else 0)
        return Response(body, asked, "virtual", "application/json")

    def tally(self, end: datetime) -> Tally:
        """Count what was caught of what was published while the collector was up."""
        shown = zip(self.publications.times, self.publications.ends, strict=True)
        published = {label for time, label in shown if not self.is_down(time) and time < end - INTERVAL}
        up = timedelta(days=self.days) - sum((until - since for since, until in self.down), timedelta())
        gaps = (later - earlier for earlier, later in zip(self.asked, self.asked[1:], strict=False))
        shortest = min(gaps).total_seconds()
        captured = sum(snapshot_key(self.feed, label) in self.archive.objects for label in published)
        bodies = len(self.archive.objects)
        return Tally(len(published), captured, bodies, len(self.asked), up / timedelta(minutes=1), shortest)


class Month(NamedTuple):
    """One feed by one model of its lag: what the run that ships makes of it, and a plain poll every five minutes."""

    feed: str
    lag: str
    ours: tuple[Tally, ...]
    plain: tuple[Tally, ...]

    @property
    def worst(self) -> Tally:
        """The phase in which the run keeps least."""
        return min(self.ours, key=lambda tally: tally.share)

    @property
    def plainest(self) -> float:
        """The share that a plain poll keeps in the phase in which it keeps least."""
        return min(tally.share for tally in self.plain)

    @property
    def is_well(self) -> bool:
        """Whether in each phase all but one interval in a thousand are kept, and a minute is between two requests."""
        return self.worst.share >= LEAST_SHARE and all(tally.shortest_gap >= 60 for tally in self.ours)

    def line(self) -> str:
        """What there is to tell of it."""
        rate = sum(tally.rate for tally in self.ours) / len(self.ours)
        gap = min(tally.shortest_gap for tally in self.ours)
        lead = FEEDS[self.feed].lead // timedelta(minutes=1)
        return (
            f"{self.feed:13} {lead:2} min  {self.lag:21}  {self.worst.published:9}  {self.worst.captured:5}  "
            f"{self.worst.share:8.3%}  {self.worst.bodies:6}  {rate:8.2f}  {gap:7.1f} s  {self.plainest:10.1%}"
        )


def month_of(name: str, lag: str) -> Month:
    """Collect a month of one feed, by one model of its lag, in several phases of the schedule."""
    logging.getLogger("miso_archive").setLevel(logging.CRITICAL)
    feed = FEEDS[name]
    publications = Publications(feed, LAGS[lag], DAYS, seed=7)
    phases = PHASES if feed.is_first else FEWER_PHASES
    tallies = {
        polls: tuple(Collector(feed, publications, phase, polls, DAYS).month() for phase in phases)
        for polls in (MOST_POLLS, 1)
    }
    return Month(name, lag, tallies[MOST_POLLS], tallies[1])


def months() -> Iterator[Month]:
    """Yield each feed by each model of its lag, as they come to an end."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(month_of, *zip(*product(FEEDS, LAGS), strict=True))


def main(arguments: list[str]) -> int:
    """Print the table as it comes, then the worst case; with ``--record`` keep them for the documentation."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.jitter", description="A month on a virtual clock.")
    parser.add_argument("--record", action="store_true", help="keep the table for the documentation; then make readme")
    given = parser.parse_args(arguments)
    lines: list[str] = []

    def tell(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        lines.append(line)

    tell(f"{DAYS} virtual days, {UNAVAILABLE:.0%} of requests answered 503, {len(OUTAGES)} outages of the collector;")
    tell(f"{len(PHASES)} phases of the schedule, {len(FEWER_PHASES)} for sister feeds: the worst one, the mean rate")
    tell(
        "feed           lead  lag                    published   kept    share  bodies  a minute  least gap  plain poll"
    )
    found: list[Month] = []
    for month in months():
        tell(month.line())
        found.append(month)
    worst = min(found, key=lambda month: month.worst.share)
    tell(
        f"jitter: feed={worst.feed} published={worst.worst.published} kept={worst.worst.captured} "
        f"share={worst.worst.share:.5f} plain={worst.plainest:.3f}"
    )
    is_well = all(month.is_well for month in found)
    if given.record and is_well:
        RECORD.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
