"""A simulated archive, written at once: made-up snapshots of feeds in the layout of the archive in a folder.

For benchmarks, notebooks and tests. Everything in it is simulated: its days are in 2001 unless asked otherwise, and
the provenance of every object names ``simulated`` as its source. How often intervals are missing, revised, refused or
in the documented shape is made up; how often the real feed shows any of it is not known here.
"""

import math
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Final

import orjson

from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import INTERVAL, YEARS, as_est, as_utc
from miso_archive.intervals.market_days import INTERVALS_A_DAY, day_begins
from miso_archive.simulate.bodies import DOCUMENTED_BODIES, body_of
from miso_archive.simulate.faults import fault_reply
from miso_archive.simulate.relabelled import found_at
from miso_archive.store.environments import Writer, begin
from miso_archive.store.gzipped import sha256_unzipped
from miso_archive.store.layout import provenance_key
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import Keeper

FIRST_DAY: Final = date(2001, 1, 1)
"""The first market day unless another is asked for: long before the feed began."""

DOCUMENTED_SHARE: Final = 0.01
"""The share of intervals in the documented shape unless another is asked for."""

SOURCE: Final = "simulated"
"""What stands in the provenance in place of the feed's address."""

_MOST_OPEN: Final = 8
_ARCHIVE_FOLDERS: Final = ("sourcing", "provenance", "quarantine", "environments")
_LAST_DAY: Final = date(YEARS.stop - 1, 12, 31)

_OUTAGE_SHARE: Final = 0.009
_SHORTEST_OUTAGE, _LONGEST_OUTAGE = 2, 72  # intervals: 10 minutes to 6 hours
_SINGLE_SHARE: Final = 0.001
_REFUSED_SHARE: Final = 1 / 2000
_REFUSED_FAULTS: Final = ("no-data", "html", "garbage")
_REVISED_SHARE: Final = 1 / 200
_REVISED_AGAIN_SHARE: Final = 0.1  # of the revised

_SHORTEST_DOCUMENTED, _LONGEST_DOCUMENTED = 6, 36  # intervals: half an hour to 3 hours

_LEAST_LAG, _MOST_LAG = 30, 360  # seconds
_LAG_LOG_MEAN: Final = math.log(40)  # of the seconds above the least
_LAG_LOG_DEVIATION: Final = 0.8
_LEAST_WAIT, _MOST_WAIT = 60, 120  # seconds from one body of an interval to the next


@dataclass(frozen=True, slots=True)
class ArchiveSummary:
    """What a simulated archive holds, of all its feeds, in intervals but for `revisions`.

    Attributes:
        intervals: 288 a market day and feed; each is a snapshot, refused or a gap.
        snapshots: those with a first body.
        quiet: the snapshots in whose first body nothing binds.
        documented: the snapshots in the documented shape.
        revisions: further bodies beside the first ones.
        gaps: those of which nothing was collected.
        refused: those with a refused body alone; the same body twice on one day (EST) is kept once.
    """

    intervals: int
    snapshots: int
    quiet: int
    documented: int
    revisions: int
    gaps: int
    refused: int


def write_archive(  # noqa: PLR0913 - all but the folder by keyword
    folder: Path,
    *,
    days: int,
    seed: int,
    start: date = FIRST_DAY,
    documented_share: float = DOCUMENTED_SHARE,
    feeds: Sequence[Feed] = (RESERVE,),
    progress: Callable[[int, int], None] | None = None,
) -> ArchiveSummary:
    """Write market days of simulated snapshots, byte for byte the same for the same arguments.

    A market day is the 288 intervals that end at 00:05 to 24:00 EST (fixed UTC-5), daylight saving time or not; 24:00
    is the 00:00 of the next day and lies in that day's folder. A longer archive of the same seed and start begins with
    the shorter one, and one of more feeds holds that of each.

    The documented shape comes in runs of consecutive intervals, not here and there: a feed changes its shape with its
    software, and a reader that takes its columns from the first files it sees fails at such a seam.

    Bodies are fetched the moment they are published: 30 s to 6 min after the interval's end, less the feed's lead,
    mostly within 2 min, and at least a minute after the body before. Revisions follow within 2 min each. While the
    collector is out no feed is collected; all else befalls each feed by itself.

    Files are not synced to disk: an archive that is broken off, or outlives no power cut, is to be written again.

    Args:
        folder: where to write; made when absent.
        days: how many market days, 1 or more.
        seed: names the simulated market and what befalls its collection.
        start: the first market day, in EST.
        documented_share: about which share of the intervals has the documented shape, 0 to 1, where a feed has one.
        feeds: whose snapshots.
        progress: called after each market day with the days written and `days`.

    Returns:
        The counts of what was written.

    Raises:
        ValueError: the folder holds an archive already, or an argument is outside its range.
        OSError: the folder cannot be written.
    """
    _check(days, start, documented_share)
    root = folder.expanduser().absolute()
    if taken := [name for name in _ARCHIVE_FOLDERS if os.path.lexists(root / name)]:
        raise ValueError(f"{root} holds an archive already ({taken[0]}/): simulated data goes into a folder of its own")
    with closing(_NewFolder(root)) as archive:
        return _fill(archive, feeds, days, seed, start, documented_share, progress or (lambda _done, _total: None))


def _fill(  # noqa: PLR0913, PLR0917 - what write_archive was given
    archive: Keeper,
    feeds: Sequence[Feed],
    days: int,
    seed: int,
    start: date,
    documented_share: float,
    progress: Callable[[int, int], None],
) -> ArchiveSummary:
    begin(archive.put_if_absent, Writer(environment="dev", simulated=True, since=as_utc(day_begins(start))))
    intervals = [(feed, _intervals(feed, seed, start, documented_share)) for feed in feeds]
    counts: Counter[str] = Counter()
    for day in range(1, days + 1):
        for feed, of_feed in intervals:
            for interval in islice(of_feed, INTERVALS_A_DAY):
                _store(archive, feed, interval, seed, counts)
        progress(day, days)
    return ArchiveSummary(
        intervals=days * INTERVALS_A_DAY * len(feeds),
        snapshots=counts["snapshots"],
        quiet=counts["quiet"],
        documented=counts["documented"],
        revisions=counts["bodies"] - counts["snapshots"],
        gaps=counts["gaps"],
        refused=counts["refused"],
    )


def _store(archive: Keeper, feed: Feed, interval: "_Interval", seed: int, counts: Counter[str]) -> None:
    if interval.fault is not None:
        _store_refused(archive, feed, interval.fault, interval.fetched[0])
        counts["refused"] += 1
    elif interval.fetched:
        _store_bodies(archive, feed, interval, seed, counts)
        counts["snapshots"] += 1
        counts["documented"] += interval.documented
    else:
        counts["gaps"] += 1


def _check(days: int, start: date, documented_share: float) -> None:
    if start.year not in YEARS:
        raise ValueError(f"start is within {YEARS.start} to {YEARS.stop - 1}: {start}")
    most_days = (_LAST_DAY - start).days
    if not 1 <= days <= most_days:
        raise ValueError(f"days is within 1 and {most_days} from {start}: {days}")
    if not 0 <= documented_share <= 1:
        raise ValueError(f"documented_share is within 0 and 1: {documented_share}")


@dataclass(frozen=True, slots=True)
class _Interval:
    """What a collector gets of one interval: a body for each time in `fetched`, and none in a gap.

    Where `fault` is named, the one body is that fault's.
    """

    end: datetime
    fetched: tuple[datetime, ...]
    documented: bool
    fault: str | None


def _intervals(feed: Feed, seed: int, start: date, documented_share: float) -> Iterator[_Interval]:
    """Draw what befalls the collection of a feed, interval after interval without an end."""

    def draws(of: str) -> random.Random:
        # One generator for each: another share of one thing, or another feed, leaves the others as they are.
        whose = "" if feed.is_first else f" {feed.name}"
        return random.Random(f"archive {seed} {start}{whose} {of}")  # noqa: S311 - a simulation keeps no secrets

    documented = _documented_runs(draws("documented"), documented_share if feed.name in DOCUMENTED_BODIES else 0)
    outages = _outages(random.Random(f"archive {seed} {start} outages"))  # noqa: S311 - the same
    singles = draws("singles")
    refusals, lags, revisions = draws("refusals"), draws("lags"), draws("revisions")
    end = day_begins(start)
    earliest = end - feed.lead
    while True:
        end += INTERVAL
        fault = refusals.choice(_REFUSED_FAULTS) if refusals.random() < _REFUSED_SHARE else None
        is_gap = next(outages) | (singles.random() < _SINGLE_SHARE)
        fetched = [max(end - feed.lead + _lag(lags), earliest)]
        if fault is None:
            fetched += _revised_after(fetched[0], revisions)
        # The feed shows its latest interval alone, and is asked once a minute at most.
        earliest = fetched[-1] + timedelta(seconds=_LEAST_WAIT)
        yield _Interval(end, () if is_gap else tuple(fetched), next(documented), None if is_gap else fault)


def _outages(generator: random.Random) -> Iterator[bool]:
    # Even on a logarithmic scale: short outages are common, long ones are not unheard of.
    shortest, longest = math.log(_SHORTEST_OUTAGE), math.log(_LONGEST_OUTAGE)
    mean = (_LONGEST_OUTAGE - _SHORTEST_OUTAGE) / (longest - shortest)
    return _runs(generator, _OUTAGE_SHARE, mean, lambda: round(math.exp(generator.uniform(shortest, longest))))


def _documented_runs(generator: random.Random, share: float) -> Iterator[bool]:
    mean = (_SHORTEST_DOCUMENTED + _LONGEST_DOCUMENTED) / 2
    return _runs(generator, share, mean, lambda: generator.randint(_SHORTEST_DOCUMENTED, _LONGEST_DOCUMENTED))


def _runs(generator: random.Random, share: float, mean: float, length: Callable[[], int]) -> Iterator[bool]:
    """Say for one interval after another whether it is in a run; of many, about that share are."""
    chance = share / (share + mean * (1 - share))  # that a run begins where none goes on
    while True:
        if generator.random() < chance:
            yield from repeat(True, length())  # noqa: FBT003 - repeat takes no keyword
        else:
            yield False


def _lag(generator: random.Random) -> timedelta:
    seconds = _LEAST_LAG + generator.lognormvariate(_LAG_LOG_MEAN, _LAG_LOG_DEVIATION)
    return timedelta(seconds=min(_MOST_LAG, round(seconds)))


def _revised_after(first: datetime, generator: random.Random) -> list[datetime]:
    if generator.random() >= _REVISED_SHARE:
        return []
    waits = [generator.randint(_LEAST_WAIT, _MOST_WAIT) for _ in range(2)]
    second = first + timedelta(seconds=waits[0])
    third = second + timedelta(seconds=waits[1])
    return [second, third] if generator.random() < _REVISED_AGAIN_SHARE else [second]


def _store_bodies(archive: Keeper, feed: Feed, interval: _Interval, seed: int, counts: Counter[str]) -> None:
    present = interval.end - feed.lead
    for revision, fetched_at in enumerate(interval.fetched):
        body = body_of(feed, present, seed=seed, revision=revision, documented=interval.documented)
        payload = orjson.loads(body)
        # Only its label is looked at.
        snapshot = Snapshot(ref_id=_ref_id(feed, payload, interval.end), interval_end=interval.end, tables={})
        response = Response(body, fetched_at, SOURCE, "application/json")
        # What has no number to change is no revision.
        counts["bodies"] += store_snapshot(archive, feed, snapshot, response).written
        counts["quiet"] += revision == 0 and _is_quiet(feed, payload)


def _ref_id(feed: Feed, payload: Any, interval_end: datetime) -> str:  # noqa: ANN401 - JSON
    label = feed.contract.label
    return str(found_at(payload, label)) if isinstance(label, str) else as_est(interval_end)


def _is_quiet(feed: Feed, payload: Any) -> bool:  # noqa: ANN401 - JSON
    quiet = feed.contract.quiet
    rows = found_at(payload, feed.contract.tables[0].at)
    return quiet is not None and all(quiet.stands_for_nothing(row) for row in rows)


def _store_refused(archive: Keeper, feed: Feed, fault: str, fetched_at: datetime) -> None:
    reply = fault_reply(fault, port=0)
    body = reply.body or b""
    content_type = reply.headers.get("Content-Type", "")
    response = Response(body, fetched_at, SOURCE, content_type)
    store_refused(archive, feed, response, feed.examine(body).reasons)


class _NewFolder:
    """A folder that nobody else writes, filled quickly: its files are neither synced nor put in place whole."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._open: dict[str, int] = {}
        self.location = root.as_uri()
        self.identity = self.location

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        try:
            self._write(key, data)
        except FileExistsError:
            return False
        if provenance:
            self._write(provenance_key(key), orjson.dumps(dict(provenance), option=orjson.OPT_INDENT_2))
        return True

    def sha256_of(self, key: str) -> str | None:
        with Path(self._root, key).open("rb") as file:
            return sha256_unzipped(file)

    def _write(self, key: str, data: bytes) -> None:
        folder, _, name = key.rpartition("/")
        # By the folder's descriptor, which spares a walk along the path; a day's two folders are used up together.
        if folder not in self._open:
            if len(self._open) >= _MOST_OPEN:
                self.close()
            path = Path(self._root, folder)
            path.mkdir(parents=True, exist_ok=True)
            self._open[folder] = os.open(path, os.O_RDONLY)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=self._open[folder])
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of the folders that are open."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
