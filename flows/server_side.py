"""What Prefect's server is told of a system: ``python -m flows.server_side begin``, ``cancel`` or ``end``.

In a process of its own: Prefect reads its settings when it is imported.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.events.schemas.automations import AutomationCore
from prefect.states import Cancelled, Cancelling, Crashed

AUTOMATIONS: Final = Path(__file__).with_name("automations.yaml")

_UNDER_WAY: Final = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_CANCEL_SECONDS: Final = 20.0


def begin() -> None:
    """Tell of runs that a kill -9 ended, since nobody else will; and make the automations that are not there."""
    with get_client(sync_client=True) as client:
        _set_all(client, Crashed, "its process was killed with the whole system")
        for automation in yaml.safe_load(AUTOMATIONS.read_text(encoding="utf-8"))["automations"]:
            # One that is there stays as it is: somebody may have given it another action.
            if not client.read_automations_by_name(automation["name"]):
                client.create_automation(AutomationCore.model_validate(automation))


def cancel() -> None:
    """Let no more runs begin, ask those that are under way to end, and wait for them as long as that may take."""
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            # As serving does when it ends, and undoes when it begins.
            client.pause_deployment(deployment.id)
        _set_all(client, Cancelling, "the system is being stopped")
        deadline = time.monotonic() + _CANCEL_SECONDS
        while _under_way(client) and time.monotonic() < deadline:
            time.sleep(0.2)


def end() -> None:
    """Tell of runs that did not end by themselves, once their processes are gone."""
    with get_client(sync_client=True) as client:
        _set_all(client, Cancelled, "the system was stopped")


def _under_way(client: SyncPrefectClient) -> list[FlowRun]:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY))
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state))


def _set_all(client: SyncPrefectClient, state: Callable[..., State[Any]], message: str) -> None:
    for run in _under_way(client):
        client.set_flow_run_state(run.id, state(message=message), force=True)


if __name__ == "__main__":
    {"begin": begin, "cancel": cancel, "end": end}[sys.argv[1]]()
