"""A whole Prefect on this machine: server with UI, the shipped deployments, workers; each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import requests
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.states import Scheduled

from tests.scheduled import schedule
from tests.services.process import free_port, running
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun, Log, State
    from prefect.events.schemas.events import ReceivedEvent

POOL = "miso-reserve"
DEPLOYMENT = "collect/reserve-prod"

PATIENCE: Final = 300.0
"""Seconds for what takes a few where the machine has nothing else to do."""


@dataclass(frozen=True)
class PrefectSystem:
    """A running server: the address of its UI, and the environment by which other processes find it."""

    url: str
    environment: dict[str, str]

    def client(self) -> SyncPrefectClient:
        """A client of the server, as a context manager."""
        return SyncPrefectClient(f"{self.url}/api")

    def command(self, *arguments: str) -> str:
        """What a ``prefect`` command that succeeds prints."""
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(
            command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE
        )
        return done.stdout

    def schedule(self, *, due: datetime | None = None, **parameters: Any) -> UUID:  # noqa: ANN401 - the flow's parameters
        """Give the pool a run of the deployment, due now or at a time; its id."""
        with self.client() as client:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
            state: State[Any] = Scheduled(scheduled_time=due or datetime.now(UTC))
            parameters = {"polls": 1, **parameters}
            return client.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=state).id

    def run(self, run_id: UUID) -> FlowRun:
        """A run, as the server knows it now."""
        with self.client() as client:
            return client.read_flow_run(run_id)

    @contextmanager
    def schedule_since(self, first: datetime, last: datetime, **parameters: Any) -> Iterator[list[UUID]]:  # noqa: ANN401 - likewise
        """Put the deployment on a schedule of five minutes, for a while; the ids of its past runs, oldest first."""
        with self.client() as client:
            deployment = client.read_deployment_by_name(DEPLOYMENT).id
            made = schedule(client, deployment, first=first, last=last, **{"polls": 1, **parameters})
            try:
                yield [run.id for run in made]
            finally:
                for left in client.read_deployment_schedules(deployment):
                    client.delete_deployment_schedule(deployment, left.id)

    def logs(self, run_id: UUID) -> list[Log]:
        """What a run has logged, oldest first."""
        with self.client() as client:
            return client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))

    def ended(self, *run_ids: UUID, timeout: float = PATIENCE) -> list[FlowRun]:
        """The runs, once all have ended."""
        runs: list[FlowRun] = []

        def all_ended() -> bool:
            runs[:] = [self.run(run_id) for run_id in run_ids]
            return all(run.state is not None and run.state.is_final() for run in runs)

        assert until(all_ended, timeout=timeout, pause=0.5), [(run.name, run.state) for run in runs]
        return runs

    def events(self, name: str) -> list[ReceivedEvent]:
        """The latest events of a name, at most 50, newest first."""
        with self.client() as client:
            return client.read_events(EventFilter(event=EventNameFilter(name=[name])), limit=50).events

    @contextmanager
    def worker(self, log: Path) -> Iterator[None]:
        """A process worker of the pool, in a session of its own."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        with running(command, ready=self._has_worker, log=log, env=self.environment, timeout=PATIENCE):
            yield

    def _has_worker(self) -> bool:
        with self.client() as client:
            return bool(
                client.request(
                    "POST", "/work_pools/{work_pool_name}/workers/filter", path_params={"work_pool_name": POOL}
                ).json()
            )


@contextmanager
def prefect_system(folder: Path) -> Iterator[PrefectSystem]:
    """A server with everything it keeps in a folder, with its UI, the work pool and the shipped deployments."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Seconds: events are to be seen soon, and scheduled runs to be started.
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        # A busy machine locks the server's SQLite longer than five tries take: a worker then calls the run crashed.
        "PREFECT_CLIENT_MAX_RETRIES": "10",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]

    def serves() -> bool:
        return requests.get(f"{url}/api/health", timeout=5).ok and requests.get(url, timeout=5).ok

    with running(command, ready=serves, log=folder / "server.log", env=environment, timeout=PATIENCE):
        system = PrefectSystem(url, environment)
        with system.client() as client:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        system.command("deploy", "--name", "reserve-prod")
        yield system
