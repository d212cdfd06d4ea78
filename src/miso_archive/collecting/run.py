"""One run: the order of its steps, which is what loses nothing and doubles nothing, and its result.

Check Redis, mark, put if absent, notify, register. Killed anywhere between, a rerun finds the object and goes on: one
object, at least one message, and a registration only for what is archived and announced. Where no rerun comes while the
feed shows the interval, the mark tells a later run that the object is still to be announced.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from miso_archive.collecting.fetch import UndecodedError
from miso_archive.collecting.pace import Pace
from miso_archive.collecting.result import RunResult, refusals, run_error
from miso_archive.collecting.steps import Candidate, Do, Observer, Steps, is_known
from miso_archive.contract.findings import Finding
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.store.response import Response

logger = logging.getLogger(__name__)


def collect(  # noqa: PLR0913, PLR0917 - what a run consists of
    candidates: Sequence[Candidate], feed: Feed, steps: Steps, do: Do, pace: Pace, observer: Observer | None = None
) -> RunResult:
    """Take each candidate through the steps, in the order that loses nothing; failures are counted, not raised."""
    return _Run(feed, steps, do, observer).collect(candidates, pace)


@dataclass(frozen=True, slots=True)
class _Run:
    feed: Feed
    steps: Steps
    do: Do
    observer: Observer | None
    result: RunResult = field(default_factory=RunResult)

    def collect(self, candidates: Sequence[Candidate], pace: Pace) -> RunResult:
        # One that is away as the run begins would keep the feed waiting for its time-outs.
        if not self.steps.archive_is_away:
            self._store_spooled()
        for candidate in candidates:
            newest = None
            try:
                response = self.do(self.steps.fetch, candidate)
                if response is None:
                    break
                newest = self._collect_one(response)
            except CollectionError as error:
                logger.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would not help
                self.result.failed += 1
                self.result.errors.append(run_error(error))
                if isinstance(error, UndecodedError) and error.response is not None:
                    self._quarantine(error.response, error.reasons)
            else:
                self._store_spooled()
            self.result.total_candidates += 1
            if newest is not None and pace.is_enough(newest - self.feed.lead):
                break
        self._catch_up()
        return self.result

    def _collect_one(self, response: Response) -> datetime | None:
        """Take one body through the steps; return its interval's end, or None when it is refused."""
        verdict = self.feed.examine(response.body)
        if self.observer is not None:
            self.observer.seen(verdict)
        for warning in verdict.warnings:
            logger.warning("%s at %s: %s", warning.code.value, warning.where, warning.message)
        snapshot = verdict.snapshot
        if snapshot is None:
            self.result.failed += 1
            self.result.errors.extend(refusals(verdict.reasons))
            self._quarantine(response, verdict.reasons)
            return None
        if is_known(lambda body: self.do(self.steps.is_registered, body), response):
            logger.info("%s is archived and announced already", snapshot.ref_id)
            self.result.skipped_duplicate += 1
            return snapshot.interval_end
        stored = self.do(self.steps.store, snapshot, response)
        logger.info("%s %s %s", snapshot.ref_id, "stored as" if stored.written else "stands as", stored.key)
        if stored.written:
            self.result.objects.append(stored.key)
        # An object that stood there may be one whose run died before it was announced: it is announced again.
        if self.steps.announces:
            self.do(self.steps.announce, snapshot, response, stored)
        self.do(self.steps.register, snapshot, response, stored)
        if self.observer is not None:
            self.observer.shown(verdict, stored)
        if stored.written:
            self.result.collected += 1
        else:
            self.result.skipped_duplicate += 1
        return snapshot.interval_end

    def _store_spooled(self) -> None:
        if not self.steps.has_spooled:
            return
        for verdict, stored in self.do(self.steps.store_spooled):
            if stored.written:
                self.result.objects.append(stored.key)
            if self.observer is not None:
                self.observer.shown(verdict, stored)

    def _quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> None:
        try:
            logger.error("refused, kept as %s", self.do(self.steps.quarantine, response, reasons))
        except CollectionError as error:
            self.result.errors.append(run_error(error))

    def _catch_up(self) -> None:
        if not self.steps.announces:
            return
        try:
            self.do(self.steps.catch_up)
        except CollectionError as error:
            # This run's own snapshots are not concerned, and the marks stay for the next one.
            logger.warning("%s; what is still to be announced waits for the next run", error)
