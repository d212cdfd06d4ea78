"""One run: the order of its steps, which is what loses nothing and doubles nothing, and its result.

Check Redis, mark, put if absent, notify, register. Killed anywhere between, a rerun finds the object and goes on: one
object, at least one message, and a registration only for what is archived and announced. Where no rerun comes while the
feed shows the interval, the mark tells a later run that the object is still to be announced.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from miso_archive.collecting.fetch import UndecodedError
from miso_archive.collecting.pace import Pace
from miso_archive.collecting.result import RunResult, refusals, run_error
from miso_archive.collecting.steps import Candidate, Do, Observer, Steps, is_known
from miso_archive.contract.findings import FailureCode, Finding
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.store.response import Response

logger = logging.getLogger(__name__)

Outcome = Literal["collected", "skipped_duplicate", "failed"]


class Taken(NamedTuple):
    """What became of a candidate: ``snapshot`` is what stands archived of it, ``code`` that of a failed step."""

    outcome: Outcome
    snapshot: Snapshot | None = None
    code: FailureCode | None = None


def collect(  # noqa: PLR0913, PLR0917 - what a run consists of
    candidates: Sequence[Candidate], feed: Feed, steps: Steps, do: Do, pace: Pace, observer: Observer | None = None
) -> RunResult:
    """Take each candidate through the steps, in the order that loses nothing; failures are counted, not raised."""
    run = Run(feed, steps, do, observer)
    run.begin()
    for candidate in candidates:
        taken = run.take(candidate)
        if taken is None:
            break
        run.count(taken.outcome)
        is_taken = taken.outcome != "failed"
        if is_taken and taken.snapshot is not None and pace.is_enough(taken.snapshot.interval_end - feed.lead):
            break
    return run.end()


@dataclass(frozen=True, slots=True)
class Run:
    """A run of one feed: how a candidate is taken through the steps, and what has come of it so far."""

    feed: Feed
    steps: Steps
    do: Do
    observer: Observer | None
    result: RunResult = field(default_factory=RunResult)

    def begin(self) -> None:
        """Store what waits in the spool."""
        # An archive that is away as the run begins would keep the feed waiting for its time-outs.
        if not self.steps.archive_is_away:
            self._store_spooled()

    def take(
        self, candidate: Candidate, judged: Callable[[Verdict], Verdict] = lambda verdict: verdict
    ) -> Taken | None:
        """Take a candidate through the steps; None when there is none: the run's time is over, or nothing is out.

        What the contract says of its body is ``judged`` once more.
        """
        try:
            response = self.do(self.steps.fetch, candidate)
            if response is None:
                return None
            taken = self._collect_one(response, judged)
        except CollectionError as error:
            self.fail(error)
            if isinstance(error, UndecodedError) and error.response is not None:
                self._quarantine(error.response, error.reasons)
            return Taken("failed", code=error.code)
        self._store_spooled()
        return taken

    def count(self, outcome: Outcome) -> None:
        """Count a candidate, once."""
        self.result.total_candidates += 1
        setattr(self.result, outcome, getattr(self.result, outcome) + 1)

    def fail(self, error: CollectionError) -> None:
        """Tell of a failure, in the log and in the result."""
        logger.error("%s", error)
        self.result.errors.append(run_error(error))

    def end(self) -> RunResult:
        """Announce what runs before this one could not, and return what came of this one."""
        self._catch_up()
        return self.result

    def _collect_one(self, response: Response, judged: Callable[[Verdict], Verdict]) -> Taken:
        """Take one body through the steps."""
        verdict = judged(self.feed.examine(response.body))
        if self.observer is not None:
            self.observer.seen(verdict)
        for warning in verdict.warnings:
            logger.warning("%s at %s: %s", warning.code.value, warning.where, warning.message)
        snapshot = verdict.snapshot
        if snapshot is None:
            self.result.errors.extend(refusals(verdict.reasons))
            self._quarantine(response, verdict.reasons)
            return Taken("failed")
        if is_known(lambda body: self.do(self.steps.is_registered, body), response):
            logger.info("%s is archived and announced already", snapshot.ref_id)
            return Taken("skipped_duplicate", snapshot)
        stored = self.do(self.steps.store, snapshot, response)
        logger.info("%s %s %s", snapshot.ref_id, "stored as" if stored.written else "stands as", stored.key)
        if stored.written:
            self.result.objects.append(stored.key)
        try:
            # An object that stood there may be one whose run died before it was announced: it is announced again.
            if self.steps.announces:
                self.do(self.steps.announce, snapshot, response, stored)
            self.do(self.steps.register, snapshot, response, stored)
        except CollectionError as error:
            self.fail(error)
            return Taken("failed", snapshot, error.code)
        if self.observer is not None:
            self.observer.shown(verdict, stored)
        return Taken("collected" if stored.written else "skipped_duplicate", snapshot)

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
