"""The whole system on one machine: Prefect's server and UI, the deployments, an embedded Valkey, a local archive.

With the simulated feed the archive's intervals are dated 2001, so that nobody takes them for MISO's; the simulated
clock goes on while the system is down, as the real one does.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Self

import orjson
import psutil
import requests
from cyclopts import App

from miso_reserve.dataset import RESERVE
from miso_reserve.embedded_valkey import embedded_valkey
from miso_reserve.interval import EST, INTERVAL
from miso_reserve.pace import POLITE_GAP
from miso_reserve.settings import Settings, environment_variable
from miso_reserve.simulate import SimulatedFeed
from miso_reserve.status import Status, status

SEED: Final = 7
SIMULATED_YEAR: Final = 2001
MARK: Final = "MISO_RESERVE_UP"
"""The variable by which the processes of a folder are known again after a kill -9."""

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 5.0
_MOST_LOG_BYTES: Final = 10_000_000

app = App(help=__doc__ or "")


class UpError(Exception):
    """The system does not come up, or a part of it ended: the message names it and its log."""


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """Where a simulated clock stands: it was ``simulated`` at ``real``, and goes ``speed`` times as fast."""

    real: datetime
    simulated: datetime
    speed: float

    @classmethod
    def kept_in(cls, path: Path, speed: float) -> Self:
        """Go on with the clock of a folder, at this speed from now on; begin one where there is none."""
        now = datetime.now(UTC)
        try:
            kept = orjson.loads(path.read_bytes())
            before = cls(datetime.fromisoformat(kept["real"]), datetime.fromisoformat(kept["simulated"]), kept["speed"])
            if before.speed == speed:
                return before
            started = cls(now, before.at(now), speed)
        except (OSError, orjson.JSONDecodeError, LookupError, TypeError, ValueError):
            started = cls(now, _in_simulated_year(now), speed)
        path.write_bytes(orjson.dumps({"real": started.real, "simulated": started.simulated, "speed": started.speed}))
        return started

    def at(self, real: datetime) -> datetime:
        """Return the simulated time at a real one."""
        return self.simulated + (real - self.real) * self.speed

    def feed(self) -> SimulatedFeed:
        """Return a feed that shows the simulated present, interval by interval."""
        begun = self.simulated.astimezone(EST).replace(minute=0, second=0, microsecond=0)
        return SimulatedFeed(start=begun, seed=SEED, speed=self.speed, ahead=self.at(datetime.now(UTC)) - begun)


@app.default
def main(
    folder: Path,
    *,
    feed: Literal["simulated", "live"] = "simulated",
    speed: float = 1.0,
    port: int = 4200,
) -> int:
    """Run until interrupted.

    Args:
        folder: The archive, and beside it all that Prefect and Valkey keep.
        feed: Whose intervals are collected: simulated ones, or MISO's.
        speed: Simulated seconds a second; schedule and polls keep pace.
        port: The port of Prefect's server; another is taken when it is in use.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with ExitStack() as stack:
            _Up(folder.absolute(), stack, speed, port).run(feed)
    except KeyboardInterrupt:
        say("stopped; start it again to go on")
    except UpError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


class _Up:
    def __init__(self, folder: Path, stack: ExitStack, speed: float, port: int) -> None:
        self._folder, self._stack, self._speed, self._port = folder, stack, speed, port
        self._own = folder / ".up"

    def run(self, feed: Literal["simulated", "live"]) -> None:
        if feed == "live" and self._speed != 1.0:
            raise UpError("MISO's feed has one speed: leave --speed out")
        self._own.mkdir(parents=True, exist_ok=True)
        _end_what_is_left(self._folder)
        redis_url = self._stack.enter_context(embedded_valkey(self._folder / ".valkey"))
        clock, feed_url = None, RESERVE.url
        if feed == "simulated":
            clock = SimulatedTime.kept_in(self._own / "simulated-time.json", self._speed)
            feed_url = self._stack.enter_context(clock.feed()).url
        port = _free(self._port)
        api_url = f"http://127.0.0.1:{port}/api"
        environment = _environment(self._folder, redis_url, feed_url, api_url)
        # Children are stopped in the reverse order: the runs first, then the server they report to.
        server = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        children = [self._started("server", server, environment)]
        _await_server(f"{api_url}/health", children[0])
        _crash_what_was_running(environment)
        pace = ("--every", str(INTERVAL.total_seconds() / self._speed), "--poll-gap", str(POLITE_GAP / self._speed))
        children.append(self._started("runs", ("flows.serve", *pace), environment))
        say(f"Prefect   http://127.0.0.1:{port}")
        say(f"feed      {feed_url}{'' if clock is None else ' (simulated, not MISO)'}")
        say(f"archive   {self._folder}")
        say(f"logs      {self._own}/*.log; stop with Ctrl-C")
        settings = Settings(local=self._folder, redis_url=redis_url)
        _watch(settings, clock, children)

    def _started(self, name: str, module: tuple[str, ...], environment: Mapping[str, str]) -> "Child":
        return self._stack.enter_context(child_process(name, module, environment, self._own / f"{name}.log"))


@dataclass(frozen=True, slots=True)
class Child:
    """A part of the system: a process, and the file that it logs to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise when the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise UpError(f"the part '{self.name}' ended with code {code}: see {self.log}")

    def bound_log(self, most_bytes: int = _MOST_LOG_BYTES) -> None:
        """Begin the log anew when it is long, and keep the one before: the process goes on appending to its file."""
        if self.log.stat().st_size > most_bytes:
            shutil.copyfile(self.log, self.log.with_suffix(".before.log"))
            os.truncate(self.log, 0)


@contextmanager
def child_process(name: str, module: tuple[str, ...], environment: Mapping[str, str], log: Path) -> Iterator[Child]:
    """Run a Python module in a session of its own, with whatever it starts, and end all of it."""
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", "flows.tethered", *module],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Child(name, process, log)
    finally:
        _end(process.pid, [psutil.Process(process.pid)] if psutil.pid_exists(process.pid) else [])
        process.wait()


def _end(group: int, members: list[psutil.Process]) -> None:
    """End a process group: ask it, wait, then kill what is left of it."""
    with suppress(psutil.Error):
        members += [child for member in list(members) for child in member.children(recursive=True)]
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    _, left = psutil.wait_procs(members, timeout=_STOP_SECONDS)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_STOP_SECONDS)


def _end_what_is_left(folder: Path) -> None:
    """End what an earlier start in this folder left behind when it was killed."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(folder):
                process.kill()
                process.wait(_STOP_SECONDS)


def _environment(folder: Path, redis_url: str, feed_url: str, api_url: str) -> dict[str, str]:
    """Return what the children see: this system's own addresses, and nothing of the user's other collectors."""
    own = {environment_variable(field) for field in Settings.model_fields}
    return (
        {name: value for name, value in os.environ.items() if name not in own}
        | server_settings()
        | {
            MARK: str(folder),
            "MISO_LOCAL": str(folder),
            "MISO_API_URL": feed_url,
            "REDIS_URL": redis_url,
            "PREFECT_HOME": str(folder / ".prefect"),
            "PREFECT_API_URL": api_url,
            "PREFECT_SERVER_UI_API_URL": api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "2",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "miso_reserve",
            "DO_NOT_TRACK": "1",
        }
    )


def server_settings() -> dict[str, str]:
    """Return what flows/server.env sets: how long Prefect's server keeps what it is told."""
    lines = Path(__file__).with_name("server.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _free(port: int) -> int:
    """Return the port if nobody listens there, or one that is free."""
    for candidate in (port, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", candidate))
            return int(probe.getsockname()[1])
    raise UpError("this machine has no free port")


def _await_server(url: str, server: Child) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        server.check()
        with suppress(requests.RequestException):
            if requests.get(url, timeout=2).ok:
                return
        time.sleep(0.2)
    raise UpError(f"Prefect's server does not answer within {_START_SECONDS:g} s: see {server.log}")


def _crash_what_was_running(environment: Mapping[str, str]) -> None:
    """Tell the server of runs that a kill -9 ended: nobody else will, and they would be shown as running for ever."""
    # In a process of its own: Prefect reads its settings when it is imported.
    code = "from flows.up import crash_running; crash_running()"
    subprocess.run([sys.executable, "-c", code], env=dict(environment), check=False)  # noqa: S603 - our own code


def crash_running() -> None:
    """Set every flow run that is shown as running to Crashed. Only right before any run is started."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - it reads its settings when it is imported
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType  # noqa: PLC0415
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415 - likewise
    from prefect.states import Crashed  # noqa: PLC0415 - likewise

    running = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=running))):
            state: object = Crashed(message="its process was killed with the whole system")
            client.set_flow_run_state(run.id, state, force=True)  # type: ignore[arg-type]


def _watch(settings: Settings, clock: SimulatedTime | None, children: list[Child]) -> None:
    """Show a status line until something ends."""
    shown = ""
    while True:
        for child in children:
            child.check()
            child.bound_log()
        now = datetime.now(UTC)
        line = _line(status(settings, stale_after=3 * INTERVAL, now=now if clock is None else clock.at(now)))
        if line != shown:
            _show(line)
            shown = line
        time.sleep(_LOOK_SECONDS)


def _line(found: Status) -> str:
    if found.last_interval_end is None or found.today is None:
        return "nothing archived yet"
    stale = ", STALE" if found.stale else ""
    return (
        f"last interval {found.last_interval_end:%Y-%m-%d %H:%M} EST{stale}; market day {found.today.market_day}: "
        f"{found.today.collected} of {found.today.expected} collected; {found.refused_today} refused"
    )


def _show(line: str) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{line}")
        sys.stdout.flush()
    else:
        say(line)


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(("\n" if sys.stdout.isatty() and text.startswith("stopped") else "") + text + "\n")
    sys.stdout.flush()


def _in_simulated_year(now: datetime) -> datetime:
    """Return the same moment of the year in the simulated one."""
    local = now.astimezone(EST)
    return local.replace(year=SIMULATED_YEAR, day=min(local.day, 28 if local.month == 2 else 31))  # noqa: PLR2004 - February


if __name__ == "__main__":
    raise SystemExit(app())
