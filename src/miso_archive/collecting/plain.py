"""A whole run without Prefect's engine, for the command line and for cron."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import current_thread
from typing import Any, TypeVar

from miso_archive.collecting.keyed import Turn
from miso_archive.collecting.market_day import AskedDay, collect_day, doubt_the_address
from miso_archive.collecting.pace import LONGEST_WAIT, Clock, NextSlot, SystemClock, stopping
from miso_archive.collecting.parts import Parts, open_parts
from miso_archive.collecting.result import ResultOfFeeds, RunResult, broken_off, failed_before_start
from miso_archive.collecting.run import collect
from miso_archive.collecting.steps import Do, Observer, generate_candidates
from miso_archive.extras import MissingExtraError
from miso_archive.failures import ARCHIVE_RETRIES, DAILY_RETRIES, FEED_RETRIES, CollectionError, Retries
from miso_archive.feeds.feed import Feed
from miso_archive.settings.options import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)


def run(
    settings: Settings,
    feed: Feed,
    clock: Clock | None = None,
    asked: AskedDay = AskedDay(),  # noqa: B008 - cannot be changed
    turn: Turn | None = None,
) -> RunResult:
    """Collect a feed as the settings say, now by a clock or the machine's; what fails is in the result."""
    try:
        with open_parts(settings, feed, clock=clock, turn=turn) as parts:
            return collect_feed(settings, asked, parts, Patient(parts))
    except CollectionError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would not help
        return failed_before_start(error)


def collect_feed(
    settings: Settings, asked: AskedDay, parts: Parts, do: Do, observer: Observer | None = None
) -> RunResult:
    """Collect the feed of open parts: its present snapshot, or the pages of a market day."""
    if parts.feed.daily is not None:
        now = parts.clock.now()
        result = collect_day(settings, asked, parts.feed, parts, do, now, observer)
        if result.not_published:
            doubt_the_address(settings, parts.feed, asked, now)
        return result
    return collect(generate_candidates(settings, parts.feed), parts.feed, parts, do, parts.pace, observer)


def run_all(
    settings: Settings,
    feeds: Sequence[Feed],
    clock: Clock | None = None,
    asked: AskedDay = AskedDay(),  # noqa: B008 - cannot be changed
) -> ResultOfFeeds:
    """Collect several feeds as the settings say, all at once: one that fails, or waits, holds none of the others."""
    clock = clock or SystemClock()
    turn = Turn(clock)

    def run_one(feed: Feed) -> RunResult:
        current_thread().name = feed.name  # by which its lines are told from the others' in the log
        return one_of_several(lambda: run(settings, feed, clock, asked, turn))

    with ThreadPoolExecutor(len(feeds)) as threads, stopping(clock):
        return ResultOfFeeds(results_of({feed.name: threads.submit(run_one, feed) for feed in feeds}))


def results_of(runs: Mapping[str, Future[RunResult]]) -> dict[str, RunResult]:
    """Wait for runs in threads, awake now and then: a signal that comes as a wait begins is handled at its next end."""
    while wait(runs.values(), timeout=LONGEST_WAIT).not_done:
        pass
    return {name: run.result() for name, run in runs.items()}


def one_of_several(run: Callable[[], RunResult]) -> RunResult:
    """Collect one feed of several: an error that nobody foresaw is told in the log, and costs no other its result."""
    try:
        return run()
    except MissingExtraError:  # foreseen, of all feeds alike, and told by the command
        raise
    except Exception as error:
        logger.exception("an error that nobody foresaw")
        return broken_off(error)


def feed_retries(parts: Parts) -> Retries:
    """Return how a failed request is tried again: in the next slot, or, by a run with one poll, soon."""
    if parts.feed.daily is not None:
        return DAILY_RETRIES
    return FEED_RETRIES if parts.pace.polls == 1 else NextSlot(parts.pace, parts.clock)


class Patient:
    """Takes each step as it is, and again where that helps."""

    def __init__(self, parts: Parts) -> None:
        # librdkafka tries again by itself until its deadline.
        self._retries: dict[Callable[..., Any], Retries] = dict.fromkeys(
            (parts.store, parts.quarantine, parts.register), ARCHIVE_RETRIES
        )
        self._fetch, self._feed_retries = parts.fetch, feed_retries(parts)
        self._clock = parts.clock

    def __call__(self, step: Callable[..., T], /, *arguments: Any, **named: Any) -> T:  # noqa: ANN401 - the step's own
        """Take a step."""
        taken = partial(step, *arguments, **named)
        if step == self._fetch:
            return self._feed_retries.call(taken, wait=self._clock.sleep)
        retries = self._retries.get(step)
        return taken() if retries is None else retries.call(taken)
