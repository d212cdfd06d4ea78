"""The open parts of a run: what each of its steps does, once."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from miso_archive.collecting import fetch as fetching
from miso_archive.collecting.announcement import DELIVERY_SECONDS
from miso_archive.collecting.embedded_valkey import DiskAwayError, embedded_valkey
from miso_archive.collecting.keyed import Keyed, Turn, fetched, key_of, pages_in
from miso_archive.collecting.outbox import Outbox
from miso_archive.collecting.pace import Clock, Pace, SystemClock, await_slot
from miso_archive.collecting.registry import Registration, Registry
from miso_archive.collecting.spool import Spool, default_folder
from miso_archive.collecting.steps import Candidate, is_known
from miso_archive.contract.findings import Finding
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import as_est
from miso_archive.settings.options import Settings
from miso_archive.store.address import store_of
from miso_archive.store.environments import enter
from miso_archive.store.put_once import Stored, store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import Store

if TYPE_CHECKING:
    from miso_archive.collecting.announce import Announcer

_STORING_SECONDS: Final = 30.0
"""How long a run stores what others left in the spool, at a stretch: it has a poll of its own to make."""

_VALKEY: Final = ".valkey"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The open parts of a run: where it archives, registers and announces, under which names."""

    feed: Feed
    environment: str
    archive: Store
    registry: Registry
    announcer: "Announcer | None"
    spool: Spool
    pace: Pace
    clock: Clock
    archive_is_away: bool = False
    keyed: Keyed | None = None

    @property
    def announces(self) -> bool:
        """Whether snapshots are announced in Kafka."""
        return self.announcer is not None

    @property
    def has_spooled(self) -> bool:
        """Whether bodies wait in the spool."""
        return bool(self.spool.waiting())

    @property
    def outbox(self) -> Outbox:
        """The marks of what is stored and not announced."""
        return Outbox(self.archive, self.feed, self.environment)

    def fetch(self, candidate: Candidate) -> Response | None:
        """Wait until the run may ask, then ask the feed; None when the run's time is over, or a page is not there."""
        if self.keyed is not None:
            return self.keyed.fetch(candidate, self.clock)
        if not await_slot(self.pace, self.clock, candidate.poll, partial(self._claim, candidate.url)):
            return None
        return fetched(candidate, self.clock)

    def _claim(self, link: str, slot: datetime) -> bool:
        """Take a slot of the link for this run alone; without an answer it asks all the same, as it stores."""
        try:
            claimed = self.registry.claim(link, self.archive.identity, slot, self.pace.gap)
        except CollectionError as error:
            logger.warning("%s; the feed is asked all the same", error)
            return True
        if not claimed:
            logger.info("another run asks %s at %s", self.feed.name, as_est(slot, seconds=True))
        return claimed

    def pages_of(self, day: date) -> dict[str, list[Snapshot]]:
        """Return by node the first pages that stand of a market day, without a hole."""
        return pages_in(self.archive, self.feed, day)

    def is_registered(self, response: Response) -> bool:
        """Ask Redis whether the body is archived and announced."""
        return self.registry.holds(response.sha256, self.archive.identity)

    def store(self, snapshot: Snapshot, response: Response) -> Stored:
        """Put the snapshot into the archive unless it stands there; first a mark, if it is to be announced.

        A body that the archive does not take waits in the spool from the first try on.
        """
        with self.spool.keeping(response) as first:
            if self.announcer is not None:
                self.outbox.mark(snapshot, first)
            return store_snapshot(self.archive, self.feed, snapshot, first, self.environment)

    def quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> str:
        """Keep a refused body with its reasons, or in the spool while the archive does not take it."""
        with self.spool.keeping(response) as first:
            return store_refused(self.archive, self.feed, first, reasons, self.environment)

    def announce(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Tell Kafka of the snapshot, if it is to be told, then take its mark away."""
        if self.announcer is None:
            return
        self.announcer.announce(self.outbox.announcement(snapshot, response, stored.key))
        try:
            self.outbox.unmark(response.sha256)
        except CollectionError as error:
            # It is announced; a mark that stays repeats a message at most.
            logger.warning("%s; the snapshot is announced, and its mark stays", error)

    def catch_up(self) -> None:
        """Announce what runs before this one stored and could not announce; not when Kafka has just failed this one.

        Raises:
            CollectionError: Kafka fails, or the marks cannot be listed, read or removed.
        """
        if self.announcer is None:
            return
        if self.announcer.trouble is not None:
            raise self.announcer.trouble
        for announcement in self.outbox.unannounced():
            self.announcer.announce(announcement)
            self.outbox.unmark(announcement.sha256)
            logger.info("%s, stored by a run before this one, is announced", announcement.key)

    def store_spooled(self) -> list[tuple[Verdict, Stored]]:
        """Archive what waits in the spool, oldest first, as of its own fetch; announce and register it.

        What fails is a warning, and waits for a later run: an archive that is still away is tried once.

        Returns:
            What stands in the archive now, each snapshot with where.
        """
        stands: list[tuple[Verdict, Stored]] = []
        failures: list[CollectionError] = []
        announces = True
        until = time.monotonic() + _STORING_SECONDS
        for path in self.spool.waiting():
            if time.monotonic() > until or (failures and failures[-1].transient):
                break
            response = self.spool.read(path)
            if response is None:
                continue
            verdict = _judged(self.feed, response)
            try:
                if verdict.snapshot is None:
                    logger.info("refused, of the spool, kept as %s", self.quarantine(response, verdict.reasons))
                    continue
                if is_known(self.is_registered, response):
                    self.spool.remove(path)
                    continue
                stored = self.store(verdict.snapshot, response)
            except CollectionError as error:
                failures.append(error)
                continue
            logger.info("%s, of the spool, stands as %s", verdict.snapshot.ref_id, stored.key)
            stands.append((verdict, stored))
            announces = announces and self._is_announced(verdict.snapshot, response, stored)
        if failures:
            logger.warning("%s", failures[0])
        return stands

    def _is_announced(self, snapshot: Snapshot, response: Response, stored: Stored) -> bool:
        try:
            self.announce(snapshot, response, stored)
            self.register(snapshot, response, stored)
        except CollectionError as error:
            logger.warning("%s; what is still to be announced waits for a later run", error)
            return False
        return True

    def register(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Remember the body in Redis, as archived and announced."""
        registration = Registration(key=stored.key, location=self.archive.identity, ref_id=snapshot.ref_id)
        self.registry.register(response.sha256, registration)


@contextmanager
def open_parts(
    settings: Settings, feed: Feed, *, pace: Pace | None = None, clock: Clock | None = None, turn: Turn | None = None
) -> Iterator[Parts]:
    """Open everything a run needs, Redis first, so that a run without it fails before anything is fetched.

    Without a pace and a clock the run is due now, by the machine's; without a turn it asks as if it were alone.

    Raises:
        CollectionError: Redis cannot be reached, the block cannot be loaded, the embedded Valkey does not start, there
            is no such bucket or nobody is let in.
        MissingExtraError: Kafka, S3 or a block is named, and what it needs is not installed.
    """
    clock = clock or SystemClock()
    pace = pace or Pace(clock.now(), settings.polls, settings.poll_gap)
    keyed = None if feed.daily is None else Keyed(key_of(settings), turn or Turn(clock))
    with ExitStack() as stack:
        if settings.local is not None and settings.embeds_valkey:
            redis_address = stack.enter_context(_own_valkey(settings.local, settings.spool or default_folder()))
        else:
            redis_address = settings.redis_address
        registry = Registry.connect(redis_address, settings.environment, feed)
        stack.callback(registry.close)
        announcer = None
        kafka = settings.kafka(feed)
        if kafka is not None:
            from miso_archive.collecting.announce import Announcer  # noqa: PLC0415 - Kafka's library is an extra

            announcer = Announcer(kafka, DELIVERY_SECONDS)
            stack.callback(announcer.close)
        archive = store_of(settings)
        answers = enter(archive, settings.environment, simulated=settings.simulates(feed))
        yield Parts(
            feed=feed,
            environment=settings.environment,
            archive=archive,
            registry=registry,
            announcer=announcer,
            spool=Spool(settings.spool, archive.identity, feed, settings.environment),
            pace=pace,
            clock=clock,
            archive_is_away=not answers,
            keyed=keyed,
        )


@contextmanager
def _own_valkey(archive: Path, spool: Path | None) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            address = stack.enter_context(embedded_valkey(archive / _VALKEY))
        except DiskAwayError as error:
            if spool is None:
                raise
            # The archive does not take the body either, and where the body can wait there is room for a Valkey.
            logger.warning("%s; this run has it in %s", error, spool / _VALKEY)
            address = stack.enter_context(embedded_valkey(spool / _VALKEY))
        yield address


def _judged(feed: Feed, response: Response) -> Verdict:
    """Judge a body of the spool, where those wait too whose content encoding cannot be undone."""
    if response.content_encoding:
        message = f"its content encoding, {response.content_encoding}, cannot be undone"
        return Verdict(None, fetching.encoding_reasons(message), (), None)
    return feed.examine(response.body)
