"""What a run shows of itself in Prefect: events, artifacts and its name. Nothing of it can fail a run."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from prefect import runtime
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.events import emit_event

from flows.harmless import harmless
from miso_reserve.archive import Stored
from miso_reserve.archive_address import objects_of
from miso_reserve.collection import Parts, RunResult
from miso_reserve.contract import Snapshot, Verdict
from miso_reserve.dataset import RESERVE
from miso_reserve.interval import market_day
from miso_reserve.run_report import (
    Event,
    RunRecord,
    constraint_rows,
    constraints_description,
    coverage_markdown,
    events_of,
    name_at_end,
    object_link,
    outcome_of,
    stored_event,
)
from miso_reserve.settings import Settings


@dataclass(slots=True)
class Show:
    """One run's record, shown as it grows."""

    settings: Settings
    due: datetime
    record: RunRecord = field(default_factory=RunRecord)
    _told: set[str] = field(default_factory=set)

    def examine(self, body: bytes) -> Verdict:
        """Examine a body as the dataset does, and tell of a refusal and of drift: once, however often it is polled."""
        verdict = RESERVE.examine(body)
        if verdict.interval_end is not None:
            self.record.seen.append(verdict.interval_end)
        with harmless("events"):
            for event in events_of(self.settings.environment, verdict):
                # Each poll of a run may find the same body again.
                said = event.name + str(event.payload)
                if said not in self._told:
                    self._told.add(said)
                    _emit(event)
        return verdict

    def stored(self, parts: Parts, verdict: Verdict, stored: Stored) -> None:
        """Publish a stored snapshot: the event, its binding constraints as a table, and a link to its object."""
        snapshot = verdict.snapshot
        if snapshot is None:
            return
        if stored.written:
            self.record.stored.append(snapshot)
        link = object_link(parts.archive.location, stored.key)
        environment = self.settings.environment
        with harmless("event of the stored snapshot"):
            _emit(stored_event(environment, snapshot, stored))
        with harmless("table of binding constraints"):
            create_table_artifact(
                key=f"binding-constraints-{environment}",
                table=constraint_rows(snapshot),
                description=constraints_description(snapshot, link),
            )
        with harmless("link to the snapshot"):
            create_link_artifact(
                key=f"latest-snapshot-{environment}",
                link=link,
                link_text=PurePosixPath(stored.key).name,
                description=f"{len(snapshot.constraints)} binding: `{link}`",
            )

    def end(self, result: RunResult) -> None:
        """Publish the market day's coverage if anything was stored, and name the run by what it came to."""
        newest = self.record.newest_stored
        if newest is not None:
            with harmless("coverage of the market day"):
                self._show_coverage(newest)
        self.name(outcome_of(result, self.record))

    def name(self, outcome: str) -> None:
        """Name the run by its interval and outcome."""
        with harmless("name of the run"), get_client(sync_client=True) as client:
            name = name_at_end(self.settings.environment, self.due, self.record, outcome)
            client.update_flow_run(runtime.flow_run.id, name=name)

    def _show_coverage(self, newest: Snapshot) -> None:
        from miso_reserve.listing import list_snapshots  # noqa: PLC0415 - polars takes a while, and many runs need none

        day = market_day(newest.interval_end)
        # A listing: reading the day's bodies would cost S3 up to 288 requests a run.
        listing = list_snapshots(objects_of(self.settings), RESERVE, [day], ordered=False)
        ends = listing.snapshots["interval_end"].to_list()
        environment = self.settings.environment
        create_markdown_artifact(
            key=f"coverage-{environment}",
            markdown=coverage_markdown(environment, day, ends),
            description=f"Intervals collected of market day {day}",
        )


def _emit(event: Event) -> None:
    emit_event(event.name, resource=event.resource, payload=event.payload)
