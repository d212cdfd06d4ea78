"""When a run asks the feed: often enough to skip no interval, seldom enough to be polite. Pure but for its clock.

MISO publishes an interval some minutes after its end, by a lag that varies, and each publication replaces the one
before. One poll every five minutes aliases with that lag and skips intervals. So a scheduled run asks at twenty seconds
past each minute, whenever it started, which keeps any two requests of one run, and of two runs that follow each other,
a minute apart. Runs at the same time have the same slots: each takes a slot of a link for itself before it asks, and
leaves to the others what they have taken. It stops as soon as nothing can be missed before the next run: see
``Pace.is_enough``.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final, Protocol

from miso_archive.failures import CollectionError, Retries
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.polite import MOST_POLLS, POLITE_GAP

# A run on the minute is there by then, also from a cold worker.
_LEAD: Final = 1 / 3
_SPARE: Final = 2
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

LONGEST_WAIT: Final = 1.0
"""Seconds the main thread waits at a stretch: a signal that comes just as it begins to wait is handled when it ends."""


class Clock(Protocol):
    """What a run knows of time."""

    def now(self) -> datetime:
        """Return the present time, aware."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock as it was at the start, and how long it has been since: a step in between does no harm."""

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._counted_from = time.monotonic()
        self._stopped = Event()

    def now(self) -> datetime:
        """Return the time of the start plus what has passed."""
        return self._started + timedelta(seconds=time.monotonic() - self._counted_from)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            SystemExit: The clock is stopped, before or meanwhile.
        """
        until = time.monotonic() + seconds
        while not self._stopped.wait(min(LONGEST_WAIT, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                return
        raise SystemExit

    def stop(self) -> None:
        """Let all who wait by it go: a signal reaches the main thread alone."""
        self._stopped.set()


@contextmanager
def stopping(clock: Clock) -> Iterator[None]:
    """Stop the machine's clock when the process is told to end: its other threads are not to poll on for minutes."""
    try:
        yield
    except BaseException as told:
        # An error of one feed holds none of the others.
        if not isinstance(told, Exception) and isinstance(clock, SystemClock):
            clock.stop()
        raise


@dataclass(frozen=True, slots=True)
class Pace:
    """The polls of one run: how many at most, how many seconds apart, counted from when it was due."""

    due: datetime
    polls: int = 1
    gap: float = POLITE_GAP

    @classmethod
    def of(cls, due: datetime, now: datetime, polls: int, gap: float) -> "Pace":
        """Make the pace of a run; one that is due in the future, by a clock set back, begins at once."""
        # A plain time: Prefect's is a subclass that does not divide by plain durations.
        return cls(min(datetime.fromtimestamp(due.timestamp(), UTC), now), polls, gap)

    def slot(self, at: datetime) -> datetime | None:
        """Return the run's first time for a request at or after a time; None when its time is over."""
        first = _first_slot(max(at, self.due), self.gap)
        return first if first < self.due + timedelta(seconds=self.polls * self.gap) else None

    def is_stale(self, now: datetime) -> bool:
        """Tell whether the last slot before the next run is past: asking now would be too soon before that run asks."""
        return replace(self, polls=MOST_POLLS).slot(now) is None

    def is_enough(self, newest: datetime) -> bool:
        """Tell whether a run that has seen this interval end, less the feed's lead, may stop polling.

        An interval is published after its end; where the feed has a lead, no earlier than that before it. So whatever
        is published next stands at least until the interval after it has ended; the next run finds it if it begins by
        then, with two requests to spare for failures. That is not so while the interval seen is older: two
        publications may then fall between two runs, and only polling on finds the first. A label in the future is not
        believed.
        """
        next_run = _first_slot(self.due + INTERVAL, self.gap)
        return next_run + timedelta(seconds=_SPARE * self.gap) - 2 * INTERVAL <= newest <= next_run


@dataclass(frozen=True, slots=True)
class NextSlot(Retries):
    """A failed request of a run with several polls is tried again in the run's next slot, and in no other."""

    pace: Pace
    clock: Clock = field(default_factory=SystemClock)

    def most_tries(self) -> int:
        """Return how many slots the run has."""
        return self.pace.polls

    def next_delay(self, error: BaseException, failures: int, elapsed: float) -> float | None:  # noqa: ARG002 - slots count both
        """Return how long it is to the next slot, or None."""
        if not isinstance(error, CollectionError) or not error.transient:
            return None
        now = self.clock.now()
        slot = self.pace.slot(now + timedelta(seconds=error.retry_after or 0.0))
        # A wait always ends a little late, and the slot would be past: what is tried again waits for it, as a run does.
        return None if slot is None else max(0.0, (slot - now).total_seconds() - self.pace.gap * _LEAD)


def await_slot(pace: Pace, clock: Clock, poll: int, claim: Callable[[datetime], bool]) -> bool:
    """Wait for the run's next slot that it can claim; return whether it may ask the feed at all.

    A single poll is made at once, and so is the first one of a run that is retried when its time is over: these have no
    slot to claim.
    """
    if pace.polls == 1:
        return True
    slot = pace.slot(clock.now())
    if slot is None:
        return poll == 1
    while slot is not None:
        while (left := (slot - clock.now()).total_seconds()) > 0:
            clock.sleep(left)
        if claim(slot):
            return True
        slot = pace.slot(slot + timedelta(seconds=pace.gap))
    return False


def _first_slot(at: datetime, gap: float) -> datetime:
    spacing = timedelta(seconds=gap)
    first = _EPOCH + spacing * _LEAD
    return first - (first - at) // spacing * spacing
