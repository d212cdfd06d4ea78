"""The flow that collects: thin tasks over the library's steps, in the library's order."""

import inspect
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from prefect import Task, flow, runtime, task
from prefect.cache_policies import INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from flows.described import in_sentences
from flows.failures import tell_in_one_line
from flows.show import Show, name_run
from miso_archive.collecting.market_day import AskedDay, refuse_wrong_asking
from miso_archive.collecting.pace import Clock, Pace, SystemClock, stopping
from miso_archive.collecting.parts import Parts, open_parts
from miso_archive.collecting.plain import collect_feed, feed_retries, one_of_several, results_of
from miso_archive.collecting.result import ResultOfFeeds, RunResult, failed_before_start
from miso_archive.collecting.steps import Candidate, refuse_wrong_address
from miso_archive.collecting.told import (
    TOO_LATE,
    RunRecord,
    failure_message,
    name_at_start,
    outcome_of,
    outcome_of_feeds,
)
from miso_archive.contract.findings import FailureCode, Finding
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.extras import MissingExtraError
from miso_archive.failures import ARCHIVE_RETRIES, CollectionError, Retries
from miso_archive.feeds import ALL, FEEDS, KNOWN, FeedChoice
from miso_archive.intervals.labels import as_est
from miso_archive.settings.options import Environment, Settings, UsageError, with_fields_named
from miso_archive.store.put_once import Stored
from miso_archive.store.response import Response

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

clock_of_a_run: Callable[[], Clock] = SystemClock
"""What tells a run the time: the demo, whose hour lies in 2001, has a clock of its own."""

tell_in_one_line()


def _retries(policy: Retries) -> dict[str, Any]:
    """Return a policy as task options: Prefect waits and counts, the policy decides."""

    def condition(this_task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
        started = task_run.start_time or datetime.now(UTC)
        elapsed = (datetime.now(UTC) - started).total_seconds()
        delay = (
            policy.next_delay(state.data, task_run.run_count, elapsed) if isinstance(state.data, Exception) else None
        )
        if delay is None:
            return False
        # Prefect reads the delay after this call, so one that the server asked for (Retry-After) can be honoured.
        this_task.retry_delay_seconds = [delay]
        return True

    return {"retries": policy.most_tries() - 1, "retry_condition_fn": condition}


# A retried run, also in a new process, takes the body it has; a new run asks the feed anew.
@task(
    name="fetch snapshot",
    task_run_name="fetch snapshot, poll {poll}",
    # Feed, with a daily one's day and node, and poll tell a run's fetches apart; an environment that changed before a
    # retry must not cost the body.
    cache_policy=RUN_ID + (INPUTS - "parts" - "candidate") + TASK_SOURCE,
    persist_result=True,
)
def fetch_snapshot(parts: Parts, candidate: Candidate, feed: str, poll: int) -> Response | None:  # noqa: ARG001 - feed and poll make the cache key
    """Ask the feed for the present snapshot, in the run's next slot; None when there is none left."""
    return parts.fetch(candidate)


@task(name="look what stands", task_run_name="look what stands of {day}", cache_policy=NO_CACHE)
def look_what_stands(parts: Parts, day: date) -> dict[str, list[Snapshot]]:
    """Look which pages of a market day are archived."""
    return parts.pages_of(day)


# No retries: without an answer the snapshot is archived all the same, and the registration tries again.
@task(name="look up in Redis", task_run_name="look up in Redis", cache_policy=NO_CACHE)
def look_up(parts: Parts, response: Response) -> bool:
    """Ask Redis whether the snapshot is archived and announced."""
    return parts.is_registered(response)


@task(name="archive snapshot", task_run_name="archive snapshot", cache_policy=NO_CACHE, **_retries(ARCHIVE_RETRIES))
def archive_snapshot(parts: Parts, snapshot: Snapshot, response: Response) -> Stored:
    """Put the snapshot where nothing stands."""
    return parts.store(snapshot, response)


@task(name="quarantine body", task_run_name="quarantine body", cache_policy=NO_CACHE, **_retries(ARCHIVE_RETRIES))
def quarantine_body(parts: Parts, response: Response, reasons: tuple[Finding, ...]) -> str:
    """Keep a refused body with its reasons."""
    return parts.quarantine(response, reasons)


# No retries: librdkafka tries again by itself until its deadline, and the marks stay for the next run.
@task(name="announce what is left", task_run_name="announce what is left", cache_policy=NO_CACHE)
def announce_what_is_left(parts: Parts) -> None:
    """Tell Kafka of what earlier runs stored and could not announce."""
    parts.catch_up()


# No retries: the run has a poll of its own to make, and what waits is safe.
@task(name="store what was spooled", task_run_name="store what was spooled", cache_policy=NO_CACHE)
def store_what_was_spooled(parts: Parts) -> list[tuple[Verdict, Stored]]:
    """Archive the bodies that earlier runs fetched while the archive was away."""
    return parts.store_spooled()


# No retries: librdkafka tries again by itself until its deadline.
@task(name="announce snapshot", task_run_name="announce snapshot", cache_policy=NO_CACHE)
def announce_snapshot(parts: Parts, snapshot: Snapshot, response: Response, stored: Stored) -> None:
    """Tell Kafka, and wait for the delivery."""
    parts.announce(snapshot, response, stored)


@task(name="register in Redis", task_run_name="register in Redis", cache_policy=NO_CACHE, **_retries(ARCHIVE_RETRIES))
def register_snapshot(parts: Parts, snapshot: Snapshot, response: Response, stored: Stored) -> None:
    """Remember the snapshot as archived and announced."""
    parts.register(snapshot, response, stored)


_DESCRIBED: Final = {
    "feed": "Which feed to collect; all live ones in one run, each once and at the same time, is `all`.",
    "market_day": "Of a daily feed: which day; the newest that can be there when empty.",
    "nodes": "Of rt_exante_lmp_history: commercial pricing nodes; MISO's hubs when empty.",
}


def _described_by_settings(function: Function) -> Function:
    """Give a flow's parameters the settings' own help texts: Prefect shows what the docstring says."""
    lines = [
        f"    {name}: {with_fields_named(_DESCRIBED.get(name) or Settings.model_fields[name].description or '')}"
        for name in inspect.signature(function).parameters
    ]
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *lines])
    return function


def _run_name() -> str:
    scheduled = runtime.flow_run.scheduled_start_time or datetime.now(UTC)
    parameters = runtime.flow_run.parameters
    return name_at_start(_scope(parameters.get("feed", "reserve"), parameters.get("environment", "dev")), scheduled)


def _scope(feed: str, environment: str) -> str:
    """Return what tells runs of a feed, or of all, from others."""
    return KNOWN[feed].scope(environment) if feed in KNOWN else f"{feed}-{environment}"


# The settings' options but the secrets: these come from the worker's environment (REDIS_URL, KAFKA_CONNECTION_STRING,
# MISO_API_KEY) or stand in a block, never in a parameter, which Prefect stores in clear.
@in_sentences
@flow(name="collect", flow_run_name=_run_name, persist_result=True)
@_described_by_settings
def collect(  # noqa: PLR0913 - one parameter an option, as people set them in the UI
    *,
    feed: FeedChoice = "reserve",
    market_day: date | None = None,
    nodes: list[str] | None = None,
    s3_block: str | None = None,
    s3_bucket: str | None = None,
    local: Path | None = None,
    environment: Environment = "dev",
    aws_profile: str | None = None,
    redis_host: str | None = None,
    redis_port: int | None = None,
    redis_db: int | None = None,
    api_url: str | None = None,
    keyed_api_base: str | None = None,
    api_key_block: str | None = None,
    timeout: float | None = None,
    polls: int | None = None,
    poll_gap: float | None = None,
    spool: Path | None = None,
) -> dict[str, Any]:
    """Collect the present snapshot of one of MISO's real-time feeds, or of all of them; or a market day of a daily one.

    What is left empty comes from the worker's environment, then from the defaults. A run with failures is Failed, says
    why in its message, and keeps its result; a retry of it takes the body already fetched.
    """
    given = {name: value for name, value in locals().items() if name not in _DESCRIBED}
    clock = clock_of_a_run()
    now = clock.now()
    this_run = _this_run()
    due = _due(this_run) or now
    feeds = list(FEEDS.values()) if feed == ALL else [KNOWN[feed]]
    asked = AskedDay(market_day, tuple(nodes or ()))
    scope = _scope(feed, environment)
    try:
        settings = Settings.resolve(given, os.environ)
        refuse_wrong_address(settings, feeds)
        refuse_wrong_asking(settings, feeds, asked)
    except UsageError as error:
        name_run(scope, due, FailureCode.WRONG_PARAMETERS.value)
        return _failed(_wrong_parameters(error))  # type: ignore[no-any-return]
    pace = Pace.of(due, now, settings.polls, settings.poll_gap)
    # A worker that was down starts its whole backlog at once: the next run of the schedule does what this one would.
    is_live = any(each.daily is None for each in feeds)
    if is_live and pace.is_stale(now) and _is_sent_for_the_first_time(this_run):
        name_run(scope, due, TOO_LATE)
        due_at, started_at = as_est(pace.due, seconds=True), as_est(now, seconds=True)
        message = f"due at {due_at}, started at {started_at}: the next run is to ask; nothing was fetched"
        nothing = _as_one({each.name: RunResult() for each in feeds})
        return Completed(name="Skipped", message=message, data=nothing.as_dict())  # type: ignore[return-value]
    shows = [Show(each, settings, is_one_of_several=len(feeds) > 1) for each in feeds]
    result = _as_one(_collected(shows, settings, pace, clock, asked))
    name_run(scope, pace.due, *_outcome(shows, result))
    return _failed(result) if result.failed else result.as_dict()


def _collected(
    shows: Sequence[Show], settings: Settings, pace: Pace, clock: Clock, asked: AskedDay
) -> dict[str, RunResult]:
    """Collect one feed, or several at once, each in a thread: one that fails, or waits, holds none of the others.

    Not in a task each: what a task within a task results in is kept only where all of that succeeds, and a retry would
    ask the feed again.
    """
    if len(shows) == 1:
        return {show.feed.name: run(settings, pace, clock, show, asked) for show in shows}
    with ThreadPoolExecutor(len(shows)) as threads, stopping(clock):
        runs = {
            show.feed.name: threads.submit(
                copy_context().run, one_of_several, partial(run, settings, pace, clock, show, asked)
            )
            for show in shows
        }
        return results_of(runs)


def _as_one(results: dict[str, RunResult]) -> RunResult | ResultOfFeeds:
    """Return a single feed's result as it is."""
    return ResultOfFeeds(results) if len(results) > 1 else next(iter(results.values()))


def _outcome(shows: Sequence[Show], result: RunResult | ResultOfFeeds) -> tuple[str, RunRecord]:
    """Say what a run came to, and what it was about."""
    if isinstance(result, RunResult):
        return outcome_of(shows[0].feed, result, shows[0].record), shows[0].record
    records = [show.record for show in shows]
    seen, stored = ([one for record in records for one in getattr(record, which)] for which in ("seen", "stored"))
    return outcome_of_feeds(result, len(stored)), RunRecord(seen, stored)


def _wrong_parameters(error: UsageError | MissingExtraError) -> RunResult:
    """Return the result of a run that parameters and environment do not make, or not with what is installed."""
    return failed_before_start(CollectionError(FailureCode.WRONG_PARAMETERS, str(error)))


def _failed(result: RunResult | ResultOfFeeds) -> Any:  # noqa: ANN401 - a state, in place of what the flow returns
    # Prefect takes the state a flow returns as the run's own, and keeps the result in it.
    return Failed(message=with_fields_named(failure_message(result)), data=result.as_dict())


def _this_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return None if context is None else context.flow_run


def _due(this_run: FlowRun | None) -> datetime | None:
    """Return when a run was to begin. What a person starts is due when it begins, however long no worker was free."""
    if this_run is None:
        return None
    return this_run.expected_start_time if this_run.auto_scheduled else this_run.start_time


def _is_sent_for_the_first_time(this_run: FlowRun | None) -> bool:
    """Tell whether nobody has sent a run again.

    A run whose process ended before it began is still at its first attempt by Prefect's count when it is retried.
    """
    if this_run is None or this_run.run_count > 1:
        return False
    with get_client(sync_client=True) as client:
        return not any(state.is_final() for state in client.read_flow_run_states(this_run.id))


def run(settings: Settings, pace: Pace, clock: Clock, show: Show, asked: AskedDay) -> RunResult:
    """Run the library's steps of one feed as tasks, within a flow run."""
    try:
        with open_parts(settings, show.feed, pace=pace, clock=clock) as parts:
            show.archive = parts.archive
            result = collect_feed(settings, asked, parts, _AsTasks(parts, show), show)
    except CollectionError as error:
        result = failed_before_start(error)
    except MissingExtraError as error:
        result = _wrong_parameters(error)
    show.end()
    return result


class _AsTasks:
    """Takes each step of a run as a task of Prefect."""

    def __init__(self, parts: Parts, show: Show) -> None:
        # Copies: a retry's delay is set on the task, and must not reach into another run of this process.
        fetch = show.named(fetch_snapshot).with_options(**_retries(feed_retries(parts)))
        if parts.feed.daily is not None:
            # A page is there later, too: a retried run asks anew for what the archive lacks, whatever was answered.
            fetch = fetch.with_options(
                task_run_name="fetch page {poll} of {feed}", cache_policy=NO_CACHE, persist_result=False
            )
        name = parts.feed.name
        self._tasks: dict[Callable[..., Any], Callable[..., Any]] = {
            parts.fetch: lambda candidate: fetch(parts, candidate, f"{name} {candidate.of}".rstrip(), candidate.poll),
            parts.pages_of: partial(show.named(look_what_stands), parts),
            parts.is_registered: partial(show.named(look_up), parts),
            parts.store: partial(show.named(archive_snapshot), parts),
            parts.quarantine: partial(show.named(quarantine_body), parts),
            parts.announce: partial(show.named(announce_snapshot), parts),
            parts.register: partial(show.named(register_snapshot), parts),
            parts.catch_up: partial(show.named(announce_what_is_left), parts),
            parts.store_spooled: partial(show.named(store_what_was_spooled), parts),
        }

    def __call__(self, step: Callable[..., T], /, *arguments: Any, **named: Any) -> T:  # noqa: ANN401 - the step's own
        """Take a step."""
        return cast("T", self._tasks[step](*arguments, **named))
