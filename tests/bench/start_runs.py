"""What ``tests.bench.start`` measures of a checkout: a command, a served run, a worker's run, and what they stored."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
import tomllib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil
import requests
import yaml
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from miso_archive.feeds.reserve import RESERVE
from tests.bench.earlier import BenchError
from tests.services.process import free_port, running, tail
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from miso_archive.feeds.feed import Feed
    from miso_archive.simulate import SimulatedFeed

BODIES: Final = "sourcing/"
LONGEST: Final = 180.0  # seconds that a run may take
FLOW: Final = "collect"
DEPLOYED: Final = "reserve-staging"


class Cost(NamedTuple):
    """Seconds: on the clock, and of processors, user and system, of a process and its children."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: a checkout, the Python of its environment, and a folder for all it writes."""

    name: str
    checkout: Path
    python: Path
    scratch: Path

    @cached_property
    def script(self) -> tuple[str, str]:
        """The name of the command, and the package that it is of."""
        project = tomllib.loads((self.checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        ((command, entry),) = project["scripts"].items()
        return command, entry.partition(".")[0]

    @property
    def command(self) -> str:
        """The path of the command."""
        return str(self.python.parent / self.script[0])

    def environment(self, **more: str) -> dict[str, str]:
        """What its processes see: nothing of the user's own."""
        home = self.scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "PREFECT_HOME": str(home / ".prefect"),
            "PREFECT_LOGGING_EXTRA_LOGGERS": self.script[1],
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            **more,
        }

    @property
    def output(self) -> Path:
        """What the last command printed."""
        return self.scratch / "output"

    def cost(self, command: Sequence[str], **environment: str) -> Cost:
        """Run a command to its end.

        Raises:
            BenchError: It ends with another code than 0.
        """
        seen, errors = self.environment(**environment), self.scratch / "errors.log"
        with self.output.open("wb") as out, errors.open("wb") as err:
            began = time.perf_counter()
            process = subprocess.Popen(command, cwd=self.checkout, env=seen, stdout=out, stderr=err)
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BenchError(f"{self.name}: {' '.join(command)} ended with {process.returncode}{tail(errors)}")
        return Cost(wall, used.ru_utime + used.ru_stime)


def after_which_it_stands(
    run: Callable[[], Cost],
    bodies: Callable[[], Mapping[str, bytes]],
    host: SimulatedFeed,
    feeds: Sequence[Feed] = (RESERVE,),
) -> Callable[[], Cost]:
    """Let the host move on before each run, and count it only if the bodies that were served stand in the archive.

    Args:
        run: Makes a run.
        bodies: Each object of the archive with its content, at present.
        host: Whose bodies are to stand there behind it.
        feeds: Of which feeds one body each is to.
    """

    def counted() -> Cost:
        known = set(bodies())
        host.advance()
        cost = run()
        new = [gzip.decompress(data) for key, data in bodies().items() if key not in known]
        if sorted(new) != sorted(host.requests_for(feed)[-1].body for feed in feeds):
            raise BenchError(f"a run put {len(new)} snapshots into the archive, and not the {len(feeds)} served")
        return cost

    return counted


def in_folder(folder: Path) -> dict[str, bytes]:
    """The bodies of an archive in a folder."""
    return {str(path): path.read_bytes() for path in (folder / BODIES).rglob("*.json.gz")}


def in_bucket(client: Any, bucket: str) -> dict[str, bytes]:  # noqa: ANN401 - boto3 ships no types
    """The bodies of an archive in a bucket."""
    listed = client.list_objects_v2(Bucket=bucket, Prefix=BODIES).get("Contents", [])
    return {item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}


class Runs:
    """A process that starts a process for each run: ``flows.serve``, or a worker of type process."""

    def __init__(self, api: str, process: subprocess.Popen[bytes], deployment: str) -> None:
        self._api, self._process, self._deployment = api, psutil.Process(process.pid), deployment

    def one(self) -> Cost:
        """Trigger a run of one poll: the time until it has ended, and the processors' of all that was started for it.

        Raises:
            BenchError: It is not Completed.
        """
        before, there = self._used_by_children(), set(self._process.children())
        began = datetime.now(UTC)
        made = {"state": {"type": "SCHEDULED"}, "parameters": {"polls": 1}}
        run = _asked("POST", f"{self._api}/deployments/{self._deployment}/create_flow_run", made)["id"]
        state: dict[str, Any] = {}

        def has_ended() -> bool:
            state.update(_asked("GET", f"{self._api}/flow_runs/{run}"))
            return state["end_time"] is not None and set(self._process.children()) <= there

        if not until(has_ended, timeout=LONGEST, pause=0.25) or state["state"]["type"] != "COMPLETED":
            raise BenchError(f"a run is {state['state']}")
        return Cost(
            (datetime.fromisoformat(state["end_time"]) - began).total_seconds(), self._used_by_children() - before
        )

    def _used_by_children(self) -> float:
        used = self._process.cpu_times()
        return float(used.children_user + used.children_system)


@contextmanager
def served_runs(side: Side, **environment: str) -> Iterator[Runs]:
    """Prefect's server, and ``flows.serve``, which starts the runs."""
    with _server(side) as api, ExitStack() as stack:
        environment |= {"PREFECT_API_URL": api, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
        serve = [str(side.python), "-m", "flows.serve"]
        yield Runs(api, *_started(side, stack, api, serve, environment))


@contextmanager
def workers_runs(side: Side, **environment: str) -> Iterator[Runs]:
    """Prefect's server, a deployment as it ships, and a process worker, which starts its runs."""
    with _server(side) as api, ExitStack() as stack:
        environment |= {"PREFECT_API_URL": api, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        shipped = yaml.safe_load((side.checkout / "prefect.yaml").read_text(encoding="utf-8"))
        pool = shipped["definitions"]["work_pool"]["name"]
        prefect = [str(side.python), "-m", "prefect"]
        for told in (("work-pool", "create", pool, "--type", "process"), ("deploy", "--name", DEPLOYED)):
            side.cost([*prefect, "--no-prompt", *told], **environment)
        worker = [*prefect, "worker", "start", "--pool", pool, "--type", "process"]
        yield Runs(api, *_started(side, stack, api, worker, environment))


@contextmanager
def _server(side: Side) -> Iterator[str]:
    """Prefect's server without its scheduler: no run is made but those that are triggered here."""
    api = f"http://127.0.0.1:{(port := free_port())}/api"
    command = [str(side.python), "-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1"]
    with running(
        [*command, "--port", str(port)],
        ready=lambda: requests.get(f"{api}/health", timeout=1).ok,
        log=side.scratch / "server.log",
        env=side.environment(PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED="false", PREFECT_API_URL=api),
        timeout=LONGEST,
    ):
        yield api


def _started(
    side: Side, stack: ExitStack, api: str, command: list[str], environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    """Start what starts the runs; return it, and the deployment whose runs it starts."""
    deployment = ""

    def is_there() -> bool:
        nonlocal deployment
        asked = {"flows": {"name": {"any_": [FLOW]}}}
        deployment = next((found["id"] for found in _asked("POST", f"{api}/deployments/filter", asked)), "")
        return bool(deployment)

    process = stack.enter_context(
        running(
            command,
            ready=is_there,
            log=side.scratch / "runs.log",
            cwd=side.checkout,
            env=side.environment(**environment),
            timeout=LONGEST,
        )
    )
    return process, deployment


def _asked(method: str, url: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
    # SQLite under several writers answers 503 now and then; Prefect's own client tries again likewise.
    again = HTTPAdapter(max_retries=Retry(10, status_forcelist=[503], allowed_methods=None, backoff_factor=0.1))
    with requests.Session() as session:
        session.mount("http://", again)
        answer = session.request(method, url, json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()
