"""The whole system on one machine: Prefect's server and UI, the deployments, an embedded Valkey, a local archive.

With the simulated feed the archive's intervals are dated 2001, so that nobody takes them for MISO's; the simulated
clock goes on while the system is down, as the real one does.
"""

import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import requests
from cyclopts import App

from flows.folder_lock import FolderInUseError, folder_lock
from flows.processes import MARK, Child, PartError, child_process, end_what_is_left
from flows.simulated_time import SimulatedTime
from miso_archive.collecting.embedded_valkey import embedded_valkey
from miso_archive.failures import CollectionError
from miso_archive.feeds import ALL, FEEDS
from miso_archive.feeds.feed import Feed
from miso_archive.health.glance import glance
from miso_archive.host import API_BASE
from miso_archive.intervals.labels import INTERVAL, as_est
from miso_archive.intervals.polite import POLITE_GAP
from miso_archive.settings.options import Settings, environment_variable
from miso_archive.store.folder import Folder
from miso_archive.store.store import ArchiveError

_START_SECONDS: Final = 120.0
_TELL_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 0.1
_LAST_PORT: Final = 65535
_DEPLOYMENT: Final = f"collect/{ALL}"

app = App(help=__doc__ or "")


class UpError(Exception):
    """The system does not come up: the message names what fails, and its log."""


class _Stop(Exception):  # noqa: N818 - no error
    """Somebody asked the system to stop."""


class _Signals:
    """Remembers that somebody asked to stop. Nothing is broken off in the middle: whoever waits looks here."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # What was ignored at the start, as by nohup, stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._remember)

    def _remember(self, *_: object) -> None:
        self._asked = True

    def check(self) -> None:
        """Raise when somebody asked."""
        if self._asked:
            raise _Stop

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until it is done, and return whether it is within so many seconds; raise when somebody asks to stop."""
        deadline = time.monotonic() + seconds
        while not done():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(_WAIT_SECONDS)
        return True


@app.default
def main(
    folder: Path,
    *,
    feed: Literal["simulated", "live"] = "simulated",
    speed: float = 1.0,
    seed: int | None = None,
    port: int = 4200,
) -> int:
    """Run until interrupted.

    Args:
        folder: The archive, and beside it all that Prefect and Valkey keep.
        feed: Whose intervals are collected: simulated ones, or MISO's.
        speed: Simulated seconds a second; schedule and polls keep pace.
        seed: Names the simulated market; without one it is the folder's own, at first 7.
        port: The port of Prefect's server; another is taken when it is in use.
    """
    signals = _Signals()
    try:
        _check(feed, speed, seed, port)
        with ExitStack() as stack:
            _Up(folder, stack, signals, speed, port).run(feed, seed)
    except _Stop:
        say("stopped; start it again to go on")
    except (UpError, PartError, FolderInUseError, CollectionError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        gone = "" if folder.is_dir() else "; was it moved or removed while the system ran?"
        sys.stderr.write(f"the folder {folder} cannot be used: {error.strerror or error}{gone}\n")
        return 1
    return 0


def _check(feed: Literal["simulated", "live"], speed: float, seed: int | None, port: int) -> None:
    if feed == "live" and (speed != 1.0 or seed is not None):
        raise UpError("MISO's feed has one speed and no seed: leave --speed and --seed out")
    if not 0 < speed < math.inf:
        raise UpError(f"--speed is more than 0 simulated seconds a second: {speed:g}")
    if not 0 <= port <= _LAST_PORT:
        raise UpError(f"--port is a port of this machine, 0 to {_LAST_PORT}: {port}")


class _Up:
    def __init__(self, folder: Path, stack: ExitStack, signals: _Signals, speed: float, port: int) -> None:
        self._folder, self._stack, self._signals = folder, stack, signals
        self._speed, self._port = speed, port
        self._own = folder / ".up"

    def run(self, feed: Literal["simulated", "live"], seed: int | None) -> None:
        lock = self._stack.enter_context(folder_lock(self._folder))
        self._own.mkdir(exist_ok=True)
        end_what_is_left(self._folder)
        # The last to be called: whatever a stop did not end is killed.
        self._stack.callback(end_what_is_left, self._folder)
        redis_url = self._stack.enter_context(embedded_valkey(self._folder / ".valkey"))
        clock, base_url = None, API_BASE
        if feed == "simulated":
            clock = SimulatedTime.kept_in(self._own / "simulated-time.json", self._speed, seed)
            base_url = self._stack.enter_context(clock.feed()).base_url
        port = _free(self._port)
        address = f"http://127.0.0.1:{port}"
        environment = _environment(self._folder, redis_url, base_url, f"{address}/api")
        # Children are stopped in the reverse order: the runs first, then the server they report to.
        server = self._started(
            "server", ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)), environment
        )
        self._await_server(f"{address}/api/health", server)
        self._tell("begin", environment, server)
        self._stack.callback(self._tell_at_the_end, "end", environment, server)
        pace = ("--every", str(INTERVAL.total_seconds() / self._speed), "--poll-gap", str(POLITE_GAP / self._speed))
        # One run of all feeds at a time: seven starts in five minutes are much for a small machine.
        runs = self._started("runs", ("flows.serve", *pace, "--feed", ALL), environment)
        self._stack.callback(self._tell_at_the_end, "cancel", environment, server)
        lock.tell(address)
        say(f"Prefect   {address}")
        say(f"feeds     {base_url}{'' if clock is None else ' (simulated, not MISO)'}")
        say(f"archive   {self._folder}")
        say(f"logs      {self._own}/*.log; stop with Ctrl-C")
        if clock is not None:
            self._run_at_once(f"{address}/api", [server, runs])
        self._watch(Folder(self._folder), clock, [server, runs])

    def _started(self, name: str, module: tuple[str, ...], environment: Mapping[str, str]) -> Child:
        self._signals.check()
        return self._stack.enter_context(child_process(name, module, environment, self._own / f"{name}.log"))

    def _await_server(self, url: str, server: Child) -> None:
        def answers() -> bool:
            server.check()
            with suppress(requests.RequestException):
                return requests.get(url, timeout=2).ok
            return False

        if not self._signals.wait(answers, _START_SECONDS):
            raise UpError(f"Prefect's server does not answer within {_START_SECONDS:g} s: see {server.log}")

    def _tell(self, what: str, environment: Mapping[str, str], server: Child) -> None:
        """Tell the server of the runs of a system that begins."""
        with child_process(what, ("flows.server_side", what), environment, server.log) as telling:
            if not self._signals.wait(lambda: telling.process.poll() is not None, _START_SECONDS):
                raise UpError(f"Prefect's server takes too long: see {server.log}")
        if telling.process.returncode:
            raise UpError(f"Prefect's server does not take what it is told: see {server.log}")

    def _tell_at_the_end(self, what: str, environment: Mapping[str, str], server: Child) -> None:
        """Tell it of those of one that is stopped: it stops all the same when the server, or the folder, is gone."""
        if server.process.poll() is None:
            telling = child_process(what, ("flows.server_side", what), environment, server.log)
            with suppress(OSError), telling as child, suppress(subprocess.TimeoutExpired):
                child.process.wait(_TELL_SECONDS)

    def _run_at_once(self, api_url: str, children: list[Child]) -> None:
        """Begin with a run, as somebody may by hand: the schedule's first is up to five minutes away.

        Not of MISO's feed: a run of the schedule might ask it within the same minute.
        """

        def is_made() -> bool:
            for child in children:
                child.check()
            with suppress(requests.RequestException):
                found = requests.get(f"{api_url}/deployments/name/{_DEPLOYMENT}", timeout=5)
                if found.ok:
                    url = f"{api_url}/deployments/{found.json()['id']}/create_flow_run"
                    return requests.post(url, json={"state": {"type": "SCHEDULED"}}, timeout=5).ok
            return False

        self._signals.wait(is_made, _START_SECONDS)

    def _watch(self, archive: Folder, clock: SimulatedTime | None, children: list[Child]) -> None:
        """Show a status line for each feed until something ends."""
        shown: list[str] = []
        while True:
            for child in children:
                child.check()
                child.bound_log()
            now = datetime.now(UTC)
            lines = [_line(archive, feed, now if clock is None else clock.at(now)) for feed in FEEDS.values()]
            if lines != shown:
                _show(lines, shown)
                shown = lines
            self._signals.wait(lambda: False, _LOOK_SECONDS)


def _environment(folder: Path, redis_url: str, base_url: str, api_url: str) -> dict[str, str]:
    """Return what the children see: this system's own addresses, and nothing of the user's other collectors."""
    own = {environment_variable(field) for field in Settings.model_fields}
    return (
        {name: value for name, value in os.environ.items() if name not in own}
        | server_settings()
        | {
            MARK: os.path.realpath(folder),
            "MISO_LOCAL": str(folder.absolute()),
            "MISO_API_BASE": base_url,
            "REDIS_URL": redis_url,
            "PREFECT_HOME": str(folder.absolute() / ".prefect"),
            "PREFECT_API_URL": api_url,
            "PREFECT_SERVER_UI_API_URL": api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "2",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "miso_archive",
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


def _line(archive: Folder, feed: Feed, now: datetime) -> str:
    try:
        found = glance(archive, feed, stale_after=3 * INTERVAL, now=now)
    except ArchiveError as error:
        return f"{feed.name:13} {error.message}"
    if found.last_interval_end is None:
        return f"{feed.name:13} nothing archived yet"
    last = f"last {as_est(found.last_interval_end)}{', STALE' if found.stale else ''}"
    counts = f"{found.collected} of {found.expected} today; {found.refused_today} refused"
    return f"{feed.name:13} {last}; {counts}"


def _show(lines: list[str], before: list[str]) -> None:
    """Show the lines in place of those before, or, where nobody looks, those that have changed."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        up = f"\x1b[{len(before)}F" if before else ""
        with suppress(OSError):
            sys.stdout.write(up + "".join(f"\x1b[K{line[:width]}\n" for line in lines))
            sys.stdout.flush()
    else:
        for line in lines:
            if line not in before:
                say(line)


def say(text: str) -> None:
    """Print a line."""
    # The system does not depend on somebody who reads, and a terminal that is closed still has to be obeyed.
    with suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(app())
