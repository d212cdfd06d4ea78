"""The one exception a room raises when its work fails, and the policy for trying again."""

import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from miso_archive.contract.findings import FailureCode
from miso_archive.text import in_utf8

T = TypeVar("T")

logger = logging.getLogger(__name__)


class CollectionError(Exception):
    """A step of the run failed: with a stable code, and a message that names what, where and what to do.

    ``transient`` says whether trying again may help, ``retry_after`` how many seconds the server asked to wait.
    """

    def __init__(
        self, code: FailureCode, message: str, *, transient: bool = False, retry_after: float | None = None
    ) -> None:
        message = in_utf8(message)  # it becomes JSON, and may name a folder of any bytes
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.transient = transient
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code.value}: {self.message}"


class Retries(ABC):
    """When a step that failed is tried again; all times in seconds."""

    @abstractmethod
    def most_tries(self) -> int:
        """Return how many tries there are at most, the first included."""

    @abstractmethod
    def next_delay(self, error: BaseException, failures: int, elapsed: float) -> float | None:
        """Return the wait before the next try, or None when there must be none."""

    def call(
        self,
        step: Callable[[], T],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> T:
        """Call a step until it succeeds or the policy ends; then its last error is raised."""
        started = clock()
        failures = 0
        while True:
            try:
                return step()
            except CollectionError as error:
                failures += 1
                delay = self.next_delay(error, failures, clock() - started)
                if delay is None:
                    raise
                logger.warning("%s; try %d of %d in %.1f s", error, failures + 1, self.most_tries(), delay)
            wait(delay)


@dataclass(frozen=True, slots=True)
class RetryPolicy(Retries):
    """Exponential backoff with jitter, bounded in tries and in time; all times in seconds."""

    tries: int
    first_delay: float
    longest_delay: float
    within: float

    def most_tries(self) -> int:
        """Return how many tries there are at most, the first included."""
        return self.tries

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Return how long to wait after this many failures: jittered by half, and never less than was asked."""
        backoff = min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1))
        jittered = backoff * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards nothing
        return max(jittered, retry_after or 0.0)

    def next_delay(self, error: BaseException, failures: int, elapsed: float) -> float | None:
        """Return the wait before the next try, or None when there must be none."""
        if not isinstance(error, CollectionError) or not error.transient or failures >= self.tries:
            return None
        delay = self.delay(failures, error.retry_after)
        return delay if elapsed + delay <= self.within else None


FEED_RETRIES: Final = RetryPolicy(tries=5, first_delay=1.0, longest_delay=20.0, within=120.0)
"""For the feed: the interval stays up for five minutes, so two of them may go into trying."""

DAILY_RETRIES: Final = RetryPolicy(tries=7, first_delay=2.0, longest_delay=90.0, within=1200.0)
"""For a page of a daily feed: the keyed API is slow, fails for minutes, and does not run away."""

ARCHIVE_RETRIES: Final = RetryPolicy(tries=6, first_delay=0.5, longest_delay=20.0, within=120.0)
"""For the archive: a fetched body is worth patience."""
