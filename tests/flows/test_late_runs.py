"""What becomes of a run that starts long after it was due: of the schedule's own, and of those that a person starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry, Crashed, Failed, Pending, Running, Scheduled

from flows.collect import collect
from miso_archive.feeds import FEEDS
from miso_archive.simulate import Reply, snapshot_body
from miso_archive.simulate.server import DEFAULT_START
from tests.scheduled import schedule
from tests.turned import TurnedClock, TurnedFeed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun, State

    from miso_archive.simulate import SimulatedFeed

pytestmark = pytest.mark.usefixtures("prefect_server")

LATE = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def _redis_in_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.fixture
def deployment() -> Iterator[UUID]:
    """A deployment of the flow, without a schedule."""
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow(collect), "late-runs")
        yield made
        client.delete_deployment(made)


def run_due(deployment: UUID, late: timedelta, *since: State[Any], **parameters: Any) -> FlowRun:  # noqa: ANN401 - the flow's
    """Start a run of the schedule that was due so long ago, as a worker does, after it went through some states."""
    due = datetime.now(UTC) - late
    with get_client(sync_client=True) as client:
        [made] = schedule(client, deployment, first=due, last=due, **parameters)
        return started(made, *since)


def started(made: FlowRun, *since: State[Any]) -> FlowRun:
    """Start a run as a worker does, after it went through some states; return how it is then."""
    with get_client(sync_client=True) as client:
        for state in since:
            client.set_flow_run_state(made.id, state, force=True)
        run_flow(collect, flow_run=client.read_flow_run(made.id), parameters=made.parameters, return_type="state")
        return client.read_flow_run(made.id)


def test_a_late_run_is_skipped_and_asks_for_nothing(feed: SimulatedFeed, tmp_path: Path, deployment: UUID) -> None:
    """A first attempt half an hour late ends Skipped, by name and message, without a request or an object."""
    run = run_due(deployment, LATE, api_url=feed.url, local=str(tmp_path))
    assert run.state is not None
    assert (run.state.name, run.state.type.value) == ("Skipped", "COMPLETED")
    assert "nothing was fetched" in (run.state.message or "")
    assert run.name.endswith(" EST: skipped, too late")
    assert feed.hits == 0
    assert list(tmp_path.iterdir()) == []


def test_a_late_run_of_all_feeds_asks_none_of_them(
    feed: SimulatedFeed, tmp_path: Path, deployment: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as that of one feed does; its result tells each feed's nothing."""
    monkeypatch.setenv("MISO_API_BASE", feed.base_url)
    run = run_due(deployment, LATE, feed="all", local=str(tmp_path))
    assert run.state is not None
    assert run.state.name == "Skipped"
    result = run.state.result()
    assert (result["total_candidates"], list(result["feeds"])) == (0, list(FEEDS))
    assert run.name.startswith("collect all-dev due ")
    assert run.name.endswith(" EST: skipped, too late")
    assert [feed.requests_for(each) for each in FEEDS.values()] == [[]] * len(FEEDS)


def test_a_run_just_before_the_next_one_runs(feed: SimulatedFeed, tmp_path: Path, deployment: UUID) -> None:
    """A first attempt four minutes late collects: the next run is not due."""
    run = run_due(deployment, timedelta(minutes=4), api_url=feed.url, local=str(tmp_path))
    assert run.name.endswith(" EST: stored, quiet")
    assert feed.hits == 1


@pytest.mark.parametrize(
    ("before", "attempts"), [((Running(), Failed()), 2), ((Pending(), Crashed()), 1)], ids=["failed", "never begun"]
)
def test_a_retry_runs_however_late(
    feed: SimulatedFeed, tmp_path: Path, deployment: UUID, before: tuple[State[Any], ...], attempts: int
) -> None:
    """A run of the schedule that failed, or whose process ended before it began, collects when it is retried late."""
    again: State[Any] = AwaitingRetry(scheduled_time=datetime.now(UTC))
    run = run_due(deployment, LATE, *before, again, api_url=feed.url, local=str(tmp_path))
    assert (run.auto_scheduled, run.run_count, run.state_name) == (True, attempts, "Completed")
    assert feed.hits == 1


def test_what_a_person_starts_runs_however_late(
    tmp_path: Path, deployment: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run by hand that waited half an hour for a worker has the slots of one that is due when it starts."""
    # How long a run takes to be ready is the machine's affair: by this clock it costs no slot.
    clock = TurnedClock(datetime.now(UTC))
    monkeypatch.setattr("flows.collect.clock_of_a_run", lambda: clock)
    with TurnedFeed(clock, lag=timedelta()) as feed, get_client(sync_client=True) as client:
        # The interval is years old: all polls are made.
        feed.answers.extend([Reply(body=snapshot_body(DEFAULT_START, seed=307))] * 3)
        given: dict[str, Any] = {"api_url": feed.url, "local": str(tmp_path), "polls": 3}
        by_hand: State[Any] = Scheduled(scheduled_time=datetime.now(UTC) - LATE)
        run = started(client.create_flow_run_from_deployment(deployment, parameters=given, state=by_hand))
    assert (run.auto_scheduled, run.state_name) == (False, "Completed")
    assert run.name.endswith(" EST: stored, quiet")
    assert len(feed.asked) == 3
    assert min(feed.gaps()) >= 60
