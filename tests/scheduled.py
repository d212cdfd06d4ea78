"""Runs that a schedule makes, as Prefect's own scheduler does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateName as StateName
from prefect.client.schemas.schedules import IntervalSchedule

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

EVERY: Final = timedelta(minutes=5)


def schedule(
    client: SyncPrefectClient,
    deployment: UUID,
    *,
    first: datetime,
    last: datetime,
    **parameters: Any,  # noqa: ANN401 - the flow's
) -> list[FlowRun]:
    """Put a deployment on a schedule of five minutes, and make its runs of a time that is past; those, oldest first."""
    made = DeploymentScheduleCreate(
        schedule=IntervalSchedule(interval=EVERY, anchor_date=first), active=True, parameters=parameters
    )
    client.create_deployment_schedules(deployment, [made])
    answer = client.request(
        "POST",
        "/deployments/{id}/schedule",
        path_params={"id": deployment},
        json={
            "start_time": (first - timedelta(seconds=1)).isoformat(),
            "end_time": (last + timedelta(seconds=1)).isoformat(),
        },
    )
    answer.raise_for_status()
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(name=StateName(any_=["Scheduled", "Late"]))),
    )
    due = [run for run in runs if run.auto_scheduled and first <= (run.expected_start_time or first) <= last]
    return sorted(due, key=lambda run: run.expected_start_time or first)
