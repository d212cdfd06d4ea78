"""What becomes of a run that starts long after it was due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry, Failed, Running, Scheduled

from flows.collect import collect

if TYPE_CHECKING:
    from pathlib import Path

    from prefect.client.schemas.objects import FlowRun, State

    from miso_reserve.simulate import SimulatedFeed

pytestmark = pytest.mark.usefixtures("prefect_server")

LATE = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def _redis_in_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)


def run_due(due: datetime, *, tried: bool = False, **parameters: Any) -> FlowRun:  # noqa: ANN401 - the flow's parameters
    """Start a run that was due at a time, as a worker does, for the first time or after a failure; return how it is."""
    with get_client(sync_client=True) as client:
        scheduled: State[Any] = Scheduled(scheduled_time=due)
        created = client.create_flow_run(collect, parameters=parameters, state=scheduled)
        if tried:
            since: list[State[Any]] = [Running(), Failed(), AwaitingRetry(scheduled_time=datetime.now(UTC))]
            for state in since:
                client.set_flow_run_state(created.id, state, force=True)
        run_flow(collect, flow_run=client.read_flow_run(created.id), parameters=parameters, return_type="state")
        return client.read_flow_run(created.id)


def test_a_late_run_is_skipped_and_asks_for_nothing(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A first attempt half an hour late ends Skipped, by name and message, without a request or an object."""
    due = datetime.now(UTC) - LATE
    run = run_due(due, api_url=feed.url, local=tmp_path)
    assert run.state is not None
    assert (run.state.name, run.state.type.value) == ("Skipped", "COMPLETED")
    assert "nothing was fetched" in (run.state.message or "")
    assert run.name.endswith(" EST: skipped, too late")
    assert feed.hits == 0
    assert list(tmp_path.iterdir()) == []


def test_a_run_just_before_the_next_one_runs(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A first attempt four minutes late collects: the next run is not due."""
    run = run_due(datetime.now(UTC) - timedelta(minutes=4), api_url=feed.url, local=tmp_path)
    assert run.name.endswith(" EST: stored, quiet")
    assert feed.hits == 1


def test_a_retry_runs_however_late(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A run that failed in time and is retried half an hour later collects."""
    run = run_due(datetime.now(UTC) - LATE, tried=True, api_url=feed.url, local=tmp_path)
    assert run.state is not None
    assert (run.run_count, run.state.name) == (2, "Completed")
    assert feed.hits == 1
