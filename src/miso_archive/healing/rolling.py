"""A host's links of today and yesterday, archived as they were shown: what a live feed lacks of these two days."""

import logging
from dataclasses import replace
from datetime import date
from functools import partial

from miso_archive.collecting.fetch import UndecodedError, fetch_if_published
from miso_archive.collecting.pace import Clock, SystemClock
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.failures import ARCHIVE_RETRIES, FEED_RETRIES, CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.healing.backfilled import BackfilledDay, BackfillResult, Outcome
from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import ONE_DAY, market_day
from miso_archive.reading.told import covered_intervals, told_of
from miso_archive.settings.options import BackfillSettings
from miso_archive.store.address import standing, store_of
from miso_archive.store.layout import rolling_keys
from miso_archive.store.put_once import provenance_of, put_once, store_refused
from miso_archive.store.response import Response
from miso_archive.store.store import Store

logger = logging.getLogger(__name__)


def backfill_rolling(settings: BackfillSettings, feed: Feed, clock: Clock | None = None) -> BackfillResult:
    """Fetch and archive what the links of today and yesterday show, each once; a link that fails stops no other.

    Safe to repeat: the same body is archived once. An empty body, as was seen, tells of nothing.

    Args:
        settings: Where the archive and the feeds are.
        feed: A feed that has such links.
        clock: The time, and how to wait; the machine's when not given.

    Raises:
        ArchiveError: There is no such archive, or it cannot be read.
    """
    if feed.rolling is None:
        raise TypeError(f"{feed.name} has no links of today and yesterday")
    clock = clock or SystemClock()
    store = standing(store_of(settings))
    done = []
    for before, (name, path) in enumerate(feed.rolling.paths.items()):
        day = market_day(clock.now()) - before * ONE_DAY
        url = f"{settings.api_base.rstrip('/')}/{path}"
        fetch = partial(fetch_if_published, url, settings.timeout)
        try:
            response = FEED_RETRIES.call(fetch, clock=lambda: clock.now().timestamp(), wait=clock.sleep)
        except CollectionError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would not help
            kept = _kept(store, feed, name, error)
            done.append(BackfilledDay(day, "failed", object_key=kept, code=error.code.value, message=error.message))
        else:
            done.append(_archived(store, feed, name, response, day, before))
    return BackfillResult(tuple(done))


def _archived(  # noqa: PLR0913, PLR0917 - a link, its body, and its day
    store: Store, feed: Feed, name: str, response: Response | None, day: date, before: int
) -> BackfilledDay:
    """Check and archive a link's body; tell of how many intervals it speaks, with all bodies that came before it.

    By the clock it is of a ``day``; by its own label of so many ``before`` the label's.
    """
    if response is None:
        return BackfilledDay(day, "not_published")
    verdict = feed.examine(response.body)
    try:
        if verdict.snapshot is None:
            if {reason.code for reason in verdict.reasons} == {RefusalCode.TOO_FEW_ROWS}:
                return BackfilledDay(day, "not_published")
            key = ARCHIVE_RETRIES.call(partial(_store_refused, store, feed, name, response, verdict.reasons))
            first = verdict.reasons[0]
            message = f"{first.where} {first.message}"
            logger.error("%s of %s is refused, kept as %s: %s", name, feed.name, key, message)
            return BackfilledDay(day, "refused", object_key=key, code=first.code.value, message=message)
        day = market_day(verdict.snapshot.interval_end) - before * ONE_DAY
        keys = rolling_keys(feed, name, verdict.snapshot.interval_end, response.sha256)
        stored = ARCHIVE_RETRIES.call(partial(put_once, store, keys, response, provenance_of(response)))
        told = told_of(store, feed, Days(day, day + ONE_DAY))
    except CollectionError as error:
        logger.error("%s", error)  # noqa: TRY400 - likewise
        return BackfilledDay(day, "failed", code=error.code.value, message=error.message)
    outcome: Outcome = "fetched" if stored.written else "already"
    covered = len(covered_intervals(feed, told))
    return BackfilledDay(day, outcome, len(verdict.snapshot.rows), covered, stored.key)


def _kept(store: Store, feed: Feed, name: str, error: CollectionError) -> str | None:
    """Keep a body whose content encoding cannot be undone, and return its key; None where there is none."""
    if not isinstance(error, UndecodedError) or error.response is None:
        return None
    try:
        return ARCHIVE_RETRIES.call(partial(_store_refused, store, feed, name, error.response, error.reasons))
    except CollectionError as failed:
        logger.warning("what came of it is lost: %s", failed)
        return None


def _store_refused(store: Store, feed: Feed, name: str, response: Response, reasons: tuple[Finding, ...]) -> str:
    """Keep it apart from the refused bodies of the feed, by which no replay is to take it for one."""
    return store_refused(store, replace(feed, dataset=f"{feed.dataset}/{name}"), response, reasons)
