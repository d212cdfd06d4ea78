"""What a run shows of itself in Prefect: events, artifacts and names. Nothing of it can fail a run."""

import zlib
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

from prefect import Task, runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.client.orchestration import get_client
from prefect.events import emit_event

from flows.harmless import harmless
from miso_archive.collecting.told import (
    Event,
    RunRecord,
    coverage_markdown,
    events_of,
    name_at_end,
    object_link,
    rows_description,
    rows_key,
    rows_shown,
    show_command,
    snapshot_markdown,
    stored_event,
)
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import market_day
from miso_archive.settings.options import Settings
from miso_archive.store.gzipped import unzipped
from miso_archive.store.listing import find_snapshots
from miso_archive.store.put_once import Stored
from miso_archive.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")

# Prefect's server on SQLite refuses who writes while another does, and its client then waits for seconds: of several
# feeds that end at the same time each publishes in its turn.
_ONE_AT_A_TIME: Final = Lock()


@dataclass(slots=True)
class Show:
    """The record of one feed in a run, shown as it grows; ``is_one_of_several`` where the run collects others too."""

    feed: Feed
    settings: Settings
    is_one_of_several: bool = False
    record: RunRecord = field(default_factory=RunRecord)
    archive: Store | None = None
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.record.is_daily = self.feed.daily is not None

    def named(self, made: Task[P, T]) -> Task[P, T]:
        """Return a task of its own for this feed, whose runs tell the feed where a run has those of several."""
        # Not by a tag as well: for each task with one Prefect asks its server whether tags are limited.
        of = f"{self.feed.name}: " if self.is_one_of_several else ""
        return made.with_options(task_run_name=f"{of}{made.task_run_name}")

    def seen(self, verdict: Verdict) -> None:
        """Tell of a refusal and of drift in a fetched body: once, however often it is polled."""
        if verdict.interval_end is not None:
            self.record.seen.append(verdict.interval_end)
        with harmless("events"):
            for event in events_of(self.feed, self.settings.environment, verdict):
                # Each poll of a run may find the same body again.
                said = event.name + str(event.payload)
                if said not in self._told:
                    self._told.add(said)
                    _emit(event)

    def shown(self, verdict: Verdict, stored: Stored) -> None:
        """Publish a stored snapshot: the event, its rows as a table, and a link to its object."""
        snapshot = verdict.snapshot
        if snapshot is None or self.archive is None:
            return
        if stored.written:
            self.record.stored.append(snapshot)
        link = object_link(self.archive.location, stored.key)
        scope = self.feed.scope(self.settings.environment)
        with harmless("event of the stored snapshot"):
            _emit(stored_event(self.feed, self.settings.environment, snapshot, stored))
        if self.feed.daily is None:  # a page has a thousand rows
            with harmless("table of rows"), _ONE_AT_A_TIME:
                create_table_artifact(
                    key=rows_key(self.feed, scope),
                    table=rows_shown(self.feed, snapshot),
                    description=rows_description(self.feed, snapshot, link),
                )
        with harmless("command that shows the snapshot"):
            endpoint = endpoint_of(self.archive)
            command = show_command(
                self.archive.location, stored.key, endpoint=endpoint, profile=self.settings.aws_profile
            )
            with _ONE_AT_A_TIME:
                create_markdown_artifact(
                    key=f"latest-snapshot-{scope}",
                    markdown=snapshot_markdown(self.feed, snapshot, link, command),
                    description="The newest snapshot, and a command that shows it",
                )

    def end(self) -> None:
        """Publish the market day's coverage if anything was stored."""
        newest = self.record.newest_stored
        if newest is not None and self.archive is not None and self.feed.daily is None:
            with harmless("coverage of the market day"):
                self._show_coverage(self.archive, newest)

    def _show_coverage(self, store: Store, newest: Snapshot) -> None:
        day = market_day(newest.interval_end)
        # Which body of an interval is the last tells a quiet one: on S3 that asks for each of several, hundreds a day.
        can_be_quiet = self.feed.contract.quiet is not None
        snapshots, _ = find_snapshots(store, self.feed, [day], ordered=can_be_quiet)
        keys, ends = snapshots.keys, snapshots.ends
        # The hours that are over are read once and not by each run: on S3 that would be up to 288 requests a run.
        hour = newest.interval_end.replace(minute=0)
        over = sum(end <= hour for end in ends)
        read = self.named(read_hours_over)
        counts = read(self.feed, store, store.location, keys[:over], hour) if over else []
        counts += _counts_in(self.feed, store, keys[over:])
        scope = self.feed.scope(self.settings.environment)
        markdown = coverage_markdown(scope, day, zip(ends, counts, strict=True), can_be_quiet=can_be_quiet)
        with _ONE_AT_A_TIME:
            create_markdown_artifact(
                key=f"coverage-{scope}", markdown=markdown, description=f"Intervals collected of market day {day}"
            )


# What stands in an archive never changes: under the same keys the answer of an earlier run holds. Prefect keeps it with
# the results of runs, by the archive and the keys.
@task(
    name="read the hours that are over",
    task_run_name="read the day until {until:%H:%M}",
    cache_policy=INPUTS - "feed" - "store" - "until" + TASK_SOURCE,
    persist_result=True,
)
def read_hours_over(
    feed: Feed,
    store: Store,
    location: str,  # noqa: ARG001 - tells archives apart in the cache key
    keys: list[str],
    until: datetime,  # noqa: ARG001 - for the name
) -> list[int | None]:
    """Return how many rows each archived body has; None where it cannot be read."""
    return _counts_in(feed, store, keys)


def _counts_in(feed: Feed, store: Store, keys: list[str]) -> list[int | None]:
    return [_count(feed, data) for data in store.read(keys)]


def _count(feed: Feed, data: bytes | OSError) -> int | None:
    try:
        snapshot = feed.examine(unzipped(data)).snapshot
    except (zlib.error, OSError):
        return None
    return None if snapshot is None else len(snapshot.rows)


def endpoint_of(archive: Store) -> str | None:
    """Return the S3 server of an archive when it is not AWS's, without a user or password."""
    address = urlsplit(archive.identity.removeprefix(archive.location).removeprefix(" at "))
    if not address.netloc:
        return None
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"


def name_run(scope: str, due: datetime, outcome: str, record: RunRecord | None = None) -> None:
    """Name the present run by its interval and outcome."""
    with harmless("name of the run"), get_client(sync_client=True) as client:
        name = name_at_end(scope, due, record or RunRecord(), outcome)
        client.update_flow_run(runtime.flow_run.id, name=name)


def _emit(event: Event) -> None:
    emit_event(event.name, resource=event.resource, payload=event.payload)
