"""One run: the order of its steps, which is what loses nothing and doubles nothing, and its result.

Check Redis, mark, put if absent, notify, register. Killed anywhere between, a rerun finds the object and goes on: one
object, at least one message, and a registration only for what is archived and announced. Where no rerun comes while the
feed shows the interval, the mark tells a later run that the object is still to be announced.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, Field

from miso_archive.collecting import fetch as fetching
from miso_archive.collecting.announcement import DELIVERY_SECONDS
from miso_archive.collecting.embedded_valkey import DiskAwayError, embedded_valkey
from miso_archive.collecting.outbox import Outbox
from miso_archive.collecting.pace import Clock, NextSlot, Pace, await_slot
from miso_archive.collecting.registry import Registration, Registry
from miso_archive.collecting.spool import Spool, default_folder
from miso_archive.contract.examine import Snapshot, Verdict
from miso_archive.contract.findings import Finding
from miso_archive.failures import ARCHIVE_RETRIES, FEED_RETRIES, CollectionError, Retries
from miso_archive.feeds.feed import Dataset
from miso_archive.settings.options import Settings
from miso_archive.store.address import store_of
from miso_archive.store.environments import enter
from miso_archive.store.put_once import Stored, store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import Store

if TYPE_CHECKING:
    from miso_archive.collecting.announce import Announcer

T = TypeVar("T")

_STORING_SECONDS: Final = 30.0
"""How long a run stores what others left in the spool, at a stretch: it has a poll of its own to make."""

_VALKEY: Final = ".valkey"

logger = logging.getLogger(__name__)


class RunError(BaseModel):
    """Why a candidate failed: a stable code, a sentence, and the place in the body when the body is at fault."""

    code: str
    message: str
    where: str | None = None


class RunResult(BaseModel):
    """What a run did. Every candidate is counted once: collected, skipped or failed."""

    total_candidates: int = Field(
        default=0, description="Polls of the feed that the run made; one that was tried again counts once."
    )
    collected: int = Field(default=0, description="New snapshots archived, announced and registered.")
    skipped_duplicate: int = Field(default=0, description="Snapshots that the archive held already.")
    failed: int = Field(default=0, description="Candidates that failed; `errors` says why.")
    errors: list[RunError] = Field(default_factory=list, description="Each with a code and a message.")
    objects: list[str] = Field(default_factory=list, description="The keys of the objects this run wrote.")

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return self.model_dump(exclude_none=True)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One poll of the feed within a run, counted from 1."""

    url: str
    timeout: float
    poll: int


@dataclass(frozen=True, slots=True)
class Steps:
    """What a run does to the world, each step one call: plain functions, or Prefect's tasks over them."""

    fetch: Callable[[Candidate], Response | None]
    is_registered: Callable[[Response], bool]
    store: Callable[[Snapshot, Response], Stored]
    quarantine: Callable[[Response, tuple[Finding, ...]], str]
    announce: Callable[[Snapshot, Response, Stored], None] | None
    register: Callable[[Snapshot, Response, Stored], None]
    show: Callable[[Verdict, Stored], None] | None = None
    catch_up: Callable[[], None] | None = None
    store_spooled: Callable[[], list[tuple[Verdict, Stored]]] | None = None
    archive_is_away: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """The open parts of a run: where it archives, registers and announces, under which names."""

    dataset: Dataset
    environment: str
    archive: Store
    registry: Registry
    announcer: "Announcer | None"
    spool: Spool
    archive_is_away: bool = False

    @property
    def outbox(self) -> Outbox:
        """The marks of what is stored and not announced."""
        return Outbox(self.archive, self.dataset, self.environment)

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
            return store_snapshot(self.archive, self.dataset, snapshot, first, self.environment)

    def quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> str:
        """Keep a refused body with its reasons, or in the spool while the archive does not take it."""
        with self.spool.keeping(response) as first:
            return store_refused(self.archive, self.dataset, first, reasons, self.environment)

    def announce_in(self, announcer: "Announcer", snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Tell Kafka of the snapshot, then take its mark away."""
        announcer.announce(self.outbox.announcement(snapshot, response, stored.key))
        try:
            self.outbox.unmark(response.sha256)
        except CollectionError as error:
            # It is announced; a mark that stays repeats a message at most.
            logger.warning("%s; the snapshot is announced, and its mark stays", error)

    def catch_up(self, announcer: "Announcer") -> None:
        """Announce what runs before this one stored and could not announce; not when Kafka has just failed this one.

        Raises:
            CollectionError: Kafka fails, or the marks cannot be listed, read or removed.
        """
        if announcer.trouble is not None:
            raise announcer.trouble
        for announcement in self.outbox.unannounced():
            announcer.announce(announcement)
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
            verdict = _judged(self.dataset, response)
            try:
                if verdict.snapshot is None:
                    logger.info("refused, of the spool, kept as %s", self.quarantine(response, verdict.reasons))
                    continue
                if _is_known(self.is_registered, response):
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
            if self.announcer is not None:
                self.announce_in(self.announcer, snapshot, response, stored)
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
def open_parts(settings: Settings, dataset: Dataset) -> Iterator[Parts]:
    """Open everything a run needs, Redis first, so that a run without it fails before anything is fetched.

    Raises:
        CollectionError: Redis cannot be reached, the block cannot be loaded, the embedded Valkey does not start, there
            is no such bucket or nobody is let in.
        MissingExtraError: Kafka, S3 or a block is named, and what it needs is not installed.
    """
    with ExitStack() as stack:
        if settings.local is not None and settings.embeds_valkey:
            redis_address = stack.enter_context(_own_valkey(settings.local, settings.spool or default_folder()))
        else:
            redis_address = settings.redis_address
        registry = Registry.connect(redis_address, settings.environment, dataset)
        stack.callback(registry.close)
        announcer = None
        if settings.kafka is not None:
            from miso_archive.collecting.announce import Announcer  # noqa: PLC0415 - Kafka's library is an extra

            announcer = Announcer(settings.kafka, DELIVERY_SECONDS)
            stack.callback(announcer.close)
        archive = store_of(settings)
        answers = enter(archive, settings.environment, simulated=settings.simulated)
        spool = Spool(settings.spool, archive.identity, dataset, settings.environment)
        yield Parts(dataset, settings.environment, archive, registry, announcer, spool, archive_is_away=not answers)


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


def fetch_in_slot(candidate: Candidate, pace: Pace, clock: Clock) -> Response | None:
    """Wait until the run may ask, then ask the feed; None when the run's time is over."""
    if not await_slot(pace, clock, candidate.poll):
        return None
    # By the run's clock: a step of the machine's does not reach it, and that of a simulated hour is in that hour.
    try:
        return replace(fetching.fetch(candidate.url, candidate.timeout), fetched_at=clock.now())
    except fetching.UndecodedError as error:
        if error.response is not None:
            error.response = replace(error.response, fetched_at=clock.now())
        raise


def feed_retries(pace: Pace, clock: Clock) -> Retries:
    """Return how a failed request is tried again: in the next slot, or, by a run with one poll, soon."""
    return FEED_RETRIES if pace.polls == 1 else NextSlot(pace, clock)


def plain_steps(parts: Parts, pace: Pace, clock: Clock) -> Steps:
    """Return the steps as plain calls with their retries, for a run without Prefect's engine."""

    def fetch(candidate: Candidate) -> Response | None:
        return feed_retries(pace, clock).call(partial(fetch_in_slot, candidate, pace, clock), wait=clock.sleep)

    def retried(step: Callable[..., T]) -> Callable[..., T]:
        return lambda *arguments: ARCHIVE_RETRIES.call(partial(step, *arguments))

    return Steps(
        fetch=fetch,
        is_registered=parts.is_registered,
        store=retried(parts.store),
        quarantine=retried(parts.quarantine),
        # librdkafka tries again by itself until its deadline
        announce=partial(parts.announce_in, parts.announcer) if parts.announcer else None,
        register=retried(parts.register),
        catch_up=partial(parts.catch_up, parts.announcer) if parts.announcer else None,
        store_spooled=parts.store_spooled,
        archive_is_away=parts.archive_is_away,
    )


def generate_candidates(settings: Settings) -> list[Candidate]:
    """Return the polls that a run is to make, at most."""
    return [Candidate(settings.api_url, settings.timeout, poll) for poll in range(1, settings.polls + 1)]


def collect(candidates: list[Candidate], dataset: Dataset, steps: Steps, pace: Pace) -> RunResult:
    """Take each candidate through the steps, in the order that loses nothing; failures are counted, not raised."""
    result = RunResult()
    # One that is away as the run begins would keep the feed waiting for its time-outs.
    if not steps.archive_is_away:
        _store_spooled(steps, result)
    for candidate in candidates:
        newest = None
        try:
            response = steps.fetch(candidate)
            if response is None:
                break
            newest = _collect_one(response, dataset, steps, result)
        except CollectionError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would not help
            result.failed += 1
            result.errors.append(_run_error(error))
            if isinstance(error, fetching.UndecodedError) and error.response is not None:
                _quarantine(error.response, error.reasons, steps, result)
        else:
            _store_spooled(steps, result)
        result.total_candidates += 1
        if newest is not None and pace.is_enough(newest):
            break
    _catch_up(steps)
    return result


def failed_before_start(error: CollectionError) -> RunResult:
    """Return the result of a run whose parts could not be opened: nothing was fetched."""
    return RunResult(total_candidates=1, failed=1, errors=[_run_error(error)])


def _collect_one(response: Response, dataset: Dataset, steps: Steps, result: RunResult) -> datetime | None:
    """Take one body through the steps; return its interval's end, or None when it is refused."""
    verdict = dataset.examine(response.body)
    for warning in verdict.warnings:
        logger.warning("%s at %s: %s", warning.code.value, warning.where, warning.message)
    if verdict.snapshot is None:
        result.failed += 1
        result.errors.extend(_refusals(verdict.reasons))
        _quarantine(response, verdict.reasons, steps, result)
        return None
    if _is_known(steps.is_registered, response):
        logger.info("%s is archived and announced already", verdict.snapshot.ref_id)
        result.skipped_duplicate += 1
        return verdict.snapshot.interval_end
    stored = steps.store(verdict.snapshot, response)
    logger.info("%s %s %s", verdict.snapshot.ref_id, "stored as" if stored.written else "stands as", stored.key)
    if stored.written:
        result.objects.append(stored.key)
    # An object that stood there may be one whose run died before it was announced: it is announced again.
    if steps.announce is not None:
        steps.announce(verdict.snapshot, response, stored)
    steps.register(verdict.snapshot, response, stored)
    if steps.show is not None:
        steps.show(verdict, stored)
    if stored.written:
        result.collected += 1
    else:
        result.skipped_duplicate += 1
    return verdict.snapshot.interval_end


def _store_spooled(steps: Steps, result: RunResult) -> None:
    if steps.store_spooled is None:
        return
    for verdict, stored in steps.store_spooled():
        if stored.written:
            result.objects.append(stored.key)
        if steps.show is not None:
            steps.show(verdict, stored)


def _judged(dataset: Dataset, response: Response) -> Verdict:
    """Judge a body of the spool, where those wait too whose content encoding cannot be undone."""
    if response.content_encoding:
        message = f"its content encoding, {response.content_encoding}, cannot be undone"
        return Verdict(None, fetching.encoding_reasons(message), (), None)
    return dataset.examine(response.body)


def _quarantine(response: Response, reasons: tuple[Finding, ...], steps: Steps, result: RunResult) -> None:
    try:
        logger.error("refused, kept as %s", steps.quarantine(response, reasons))
    except CollectionError as error:
        result.errors.append(_run_error(error))


def _catch_up(steps: Steps) -> None:
    if steps.catch_up is None:
        return
    try:
        steps.catch_up()
    except CollectionError as error:
        # This run's own snapshots are not concerned, and the marks stay for the next one.
        logger.warning("%s; what is still to be announced waits for the next run", error)


def _is_known(is_registered: Callable[[Response], bool], response: Response) -> bool:
    try:
        return is_registered(response)
    except CollectionError as error:
        # The body is here, and the put is conditional: archive it now, and let the registration say what Redis is.
        logger.warning("%s; archived all the same", error)
        return False


def _run_error(error: CollectionError) -> RunError:
    return RunError(code=error.code.value, message=error.message)


def _refusals(reasons: tuple[Finding, ...]) -> list[RunError]:
    return [
        RunError(code=reason.code.value, message=f"{reason.where} {reason.message}", where=reason.where)
        for reason in reasons
    ]
