"""What Prefect's server is told when a system begins and when it is stopped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Cancelled, Completed, Pending, Running, Scheduled

from flows import server_side
from flows.collect import collect
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect.client.schemas.objects import State

pytestmark = pytest.mark.usefixtures("prefect_server")

NAMES = [made["name"] for made in yaml.safe_load(server_side.AUTOMATIONS.read_text())["automations"]]


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    """A client of the server."""
    with get_client(sync_client=True) as opened:
        yield opened


@pytest.fixture
def deployment(client: SyncPrefectClient) -> Iterator[UUID]:
    """A deployment of the flow, without a schedule."""
    made = client.create_deployment(client.create_flow(collect), "server-side")
    yield made
    client.delete_deployment(made)


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # The runs here have no process that could end them.
    monkeypatch.setattr(server_side, "_CANCEL_SECONDS", 0.0)


def run_in(client: SyncPrefectClient, deployment: UUID, state: State[Any]) -> UUID:
    """Make a run that is in this state."""
    made = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(made.id, state, force=True)
    return made.id


def states(client: SyncPrefectClient, runs: list[UUID]) -> list[str | None]:
    """Tell the names of the states of runs."""
    return [client.read_flow_run(run).state_name for run in runs]


def test_runs_of_a_system_that_was_killed_are_crashed(client: SyncPrefectClient, deployment: UUID) -> None:
    """What was under way when the system was killed is shown as Crashed; what was over or is to come stays."""
    before: list[State[Any]] = [Running(), Pending(), Completed(), Scheduled()]
    runs = [run_in(client, deployment, state) for state in before]
    server_side.begin()
    assert states(client, runs) == ["Crashed", "Crashed", "Completed", "Scheduled"]


def test_automations_are_made_once(client: SyncPrefectClient) -> None:
    """The automations are there after a start, and after another one no more of them."""
    assert len(NAMES) > 1
    server_side.begin()
    server_side.begin()
    found = {name: len(client.read_automations_by_name(name)) for name in NAMES}
    assert found == dict.fromkeys(NAMES, 1)


@pytest.mark.usefixtures("_no_waiting")
def test_an_orderly_stop_cancels(client: SyncPrefectClient, deployment: UUID) -> None:
    """A stop lets no more runs begin, asks those under way to end, and shows what did not as Cancelled."""
    before: list[State[Any]] = [Running(), Completed()]
    runs = [run_in(client, deployment, state) for state in before]
    server_side.cancel()
    assert client.read_deployment(deployment).paused
    assert states(client, runs) == ["Cancelling", "Completed"]
    server_side.end()
    assert states(client, runs) == ["Cancelled", "Completed"]


def test_a_stop_waits_for_runs_that_end_by_themselves(
    client: SyncPrefectClient, deployment: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that needs a while to end, once it is asked, has that while."""
    monkeypatch.setattr(server_side, "_CANCEL_SECONDS", 60.0)
    run = run_in(client, deployment, Running())

    def end_when_asked() -> bool:
        with get_client(sync_client=True) as own:
            assert until(lambda: states(own, [run]) == ["Cancelling"], timeout=60)
            own.set_flow_run_state(run, Cancelled(), force=True)
            return True

    with ThreadPoolExecutor() as pool:
        ended = pool.submit(end_when_asked)
        server_side.cancel()
        assert states(client, [run]) == ["Cancelled"]
        assert ended.result()
