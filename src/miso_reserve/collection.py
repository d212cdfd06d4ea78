"""One run: the order of its steps, which is what loses nothing and doubles nothing, and its result.

Check Redis, put if absent, notify, register. Killed anywhere between, a rerun finds the object and goes on: one object,
at least one message, and a registration only for what is archived and announced.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, Field

from miso_reserve import __version__, feed
from miso_reserve.archive import Archive, Stored, store_refused, store_snapshot
from miso_reserve.contract import Snapshot
from miso_reserve.dataset import Dataset
from miso_reserve.dedup import Registration, Registry
from miso_reserve.embedded_valkey import embedded_valkey
from miso_reserve.failure import ARCHIVE_RETRIES, FEED_RETRIES, CollectionError
from miso_reserve.findings import Finding
from miso_reserve.interval import as_utc
from miso_reserve.notify import DELIVERY_SECONDS, Announcement, Announcer
from miso_reserve.response import Response
from miso_reserve.settings import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)


class RunError(BaseModel):
    """Why a candidate failed: a stable code, a sentence, and the place in the body when the body is at fault."""

    code: str
    message: str
    where: str | None = None


class RunResult(BaseModel):
    """What a run did. Every candidate is counted once: collected, skipped or failed."""

    total_candidates: int = Field(default=0, description="Polls of the feed that the run was to make.")
    collected: int = Field(default=0, description="New snapshots archived, announced and registered.")
    skipped_duplicate: int = Field(default=0, description="Snapshots that the archive held already.")
    failed: int = Field(default=0, description="Candidates that failed; `errors` says why.")
    errors: list[RunError] = Field(default_factory=list, description="Each with a code and a message.")
    objects: list[str] = Field(default_factory=list, description="The keys of the objects this run wrote.")

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return self.model_dump(exclude_none=True)

    @property
    def why_failed(self) -> str:
        """The errors on one line, reason codes first; empty when nothing failed."""
        return "; ".join(f"{error.code}: {error.message}" for error in self.errors)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One poll of the feed within a run, counted from 1."""

    url: str
    timeout: float
    poll: int


@dataclass(frozen=True, slots=True)
class Steps:
    """What a run does to the world, each step one call: plain functions, or Prefect's tasks over them."""

    fetch: Callable[[Candidate], Response]
    is_registered: Callable[[Response], bool]
    store: Callable[[Snapshot, Response], Stored]
    quarantine: Callable[[Response, tuple[Finding, ...]], str]
    announce: Callable[[Snapshot, Response, Stored], None] | None
    register: Callable[[Snapshot, Response, Stored], None]
    show: Callable[[Snapshot, Stored], None] | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The open parts of a run: where it archives, registers and announces, under which names."""

    dataset: Dataset
    environment: str
    archive: Archive
    registry: Registry
    announcer: Announcer | None

    def is_registered(self, response: Response) -> bool:
        """Ask Redis whether the body is archived and announced."""
        return self.registry.holds(response.sha256, self.archive.identity)

    def store(self, snapshot: Snapshot, response: Response) -> Stored:
        """Put the snapshot into the archive unless it stands there."""
        return store_snapshot(self.archive, self.dataset, snapshot, response)

    def quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> str:
        """Keep a refused body with its reasons."""
        return store_refused(self.archive, self.dataset, response, reasons)

    def announce_in(self, announcer: Announcer, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Tell Kafka of the snapshot."""
        announcement = Announcement(
            dataset=self.dataset.name,
            environment=self.environment,
            location=self.archive.location,
            key=stored.key,
            sha256=response.sha256,
            ref_id=snapshot.ref_id,
            interval_end=snapshot.interval_end.isoformat(),
            constraint_count=len(snapshot.constraints),
            fetched_at=as_utc(response.fetched_at),
            collector_version=__version__,
        )
        announcer.announce(announcement)

    def register(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Remember the body in Redis, as archived and announced."""
        registration = Registration(key=stored.key, location=self.archive.identity, ref_id=snapshot.ref_id)
        self.registry.register(response.sha256, registration)


@contextmanager
def open_parts(settings: Settings, dataset: Dataset) -> Iterator[Parts]:
    """Open everything a run needs, Redis first, so that a run without it fails before anything is fetched.

    Raises:
        CollectionError: Redis cannot be reached, the block cannot be loaded, the embedded Valkey does not start.
    """
    with ExitStack() as stack:
        if settings.local is not None and settings.embeds_valkey:
            redis_address = stack.enter_context(embedded_valkey(settings.local / ".valkey"))
        else:
            redis_address = settings.redis_address
        registry = Registry.connect(redis_address, settings.environment, dataset)
        stack.callback(registry.close)
        announcer = None if settings.kafka is None else Announcer(settings.kafka, DELIVERY_SECONDS)
        if announcer is not None:
            stack.callback(announcer.close)
        yield Parts(dataset, settings.environment, _open_archive(settings), registry, announcer)


def _open_archive(settings: Settings) -> Archive:
    # Prefect's blocks take one to two seconds to import, and a run needs one kind only.
    if settings.local is not None:
        from miso_reserve.local_archive import open_folder  # noqa: PLC0415 - slow to import

        return open_folder(settings.local)
    from miso_reserve.s3_archive import open_bucket  # noqa: PLC0415 - slower still

    return open_bucket(settings)


def plain_steps(parts: Parts) -> Steps:
    """Return the steps as plain calls with their retries, for a run without Prefect's engine."""

    def fetch(candidate: Candidate) -> Response:
        return FEED_RETRIES.call(partial(feed.fetch, candidate.url, candidate.timeout))

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
    )


def generate_candidates(settings: Settings, polls: int = 1) -> list[Candidate]:
    """Return the polls that a run is to make."""
    return [Candidate(settings.api_url, settings.timeout, poll) for poll in range(1, polls + 1)]


def collect(candidates: list[Candidate], dataset: Dataset, steps: Steps) -> RunResult:
    """Take each candidate through the steps, in the order that loses nothing; failures are counted, not raised."""
    result = RunResult(total_candidates=len(candidates))
    for candidate in candidates:
        try:
            _collect_one(candidate, dataset, steps, result)
        except CollectionError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would not help
            result.failed += 1
            result.errors.append(_run_error(error))
    return result


def failed_before_start(candidates: list[Candidate], error: CollectionError) -> RunResult:
    """Return the result of a run whose parts could not be opened: every candidate failed, nothing was fetched."""
    return RunResult(
        total_candidates=len(candidates),
        failed=len(candidates),
        errors=[_run_error(error)],
    )


def _collect_one(candidate: Candidate, dataset: Dataset, steps: Steps, result: RunResult) -> None:
    response = steps.fetch(candidate)
    verdict = dataset.examine(response.body)
    for warning in verdict.warnings:
        logger.warning("%s at %s: %s", warning.code.value, warning.where, warning.message)
    if verdict.snapshot is None:
        result.failed += 1
        result.errors.extend(_refusals(verdict.reasons))
        try:
            logger.error("refused, kept as %s", steps.quarantine(response, verdict.reasons))
        except CollectionError as error:
            result.errors.append(_run_error(error))
        return
    if _is_known(steps, response):
        logger.info("%s is archived and announced already", verdict.snapshot.ref_id)
        result.skipped_duplicate += 1
        return
    stored = steps.store(verdict.snapshot, response)
    logger.info("%s %s %s", verdict.snapshot.ref_id, "stored as" if stored.written else "stands as", stored.key)
    if stored.written:
        result.objects.append(stored.key)
    # An object that stood there may be one whose run died before it was announced: it is announced again.
    if steps.announce is not None:
        steps.announce(verdict.snapshot, response, stored)
    steps.register(verdict.snapshot, response, stored)
    if steps.show is not None:
        steps.show(verdict.snapshot, stored)
    if stored.written:
        result.collected += 1
    else:
        result.skipped_duplicate += 1


def _is_known(steps: Steps, response: Response) -> bool:
    try:
        return steps.is_registered(response)
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
