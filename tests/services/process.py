"""Starting a server as a subprocess, waiting until it serves, and stopping it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_given_out: set[int] = set()


class ServiceError(RuntimeError):
    """A server, or something it needs, could not be started."""


def free_port() -> int:
    """A TCP port free on 127.0.0.1, given out only once by this process."""
    # Below the ranges systems pick ports from for outgoing connections, so that none takes it before the server binds.
    for _ in range(1000):
        port = 20000 + secrets.randbelow(12000)
        if port in _given_out:
            continue
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            _given_out.add(port)
            return port
    raise ServiceError("no free port on 127.0.0.1 from 20000 to 31999")


def listening(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1 at that port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def program(name: str) -> str:
    """The path of a program that install-services.sh installs."""
    # Debian keeps some where not every PATH looks.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise ServiceError(f"{name} is not installed: run tests/services/install-services.sh")
    return path


def from_environment(variable: str) -> str:
    """The value of a variable that `python -m tests.services` sets."""
    value = os.environ.get(variable)
    if not value:
        raise ServiceError(f"{variable} is not set: run this under `python -m tests.services COMMAND`")
    return value


@contextmanager
def running(  # noqa: PLR0913 - each names one thing a server is started with
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, entered once `ready()` is true.

    Args:
        command: The program and its arguments.
        ready: Asked again and again until true; an `OSError` out of it counts as not ready yet.
        log: Where the output of the server goes; its end is shown when the start fails.
        cwd: The working directory.
        env: The whole environment, if not this process's.
        timeout: Seconds to become ready in.

    Yields:
        The process, in a session of its own: Ctrl-C at a terminal does not reach it before its users.

    Raises:
        ServiceError: It died or was not ready in time.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, command[0], ready, log, timeout)
        yield process
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], name: str, ready: Callable[[], bool], log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        with suppress(OSError):
            if ready() and process.poll() is None:
                return
        if process.poll() is not None:
            raise ServiceError(f"{name} ended with status {process.returncode} while starting{tail(log)}")
        if time.monotonic() > deadline:
            raise ServiceError(f"{name} was not ready after {timeout:g} s{tail(log)}")
        time.sleep(0.01)


def tail(log: Path, lines: int = 30) -> str:
    """The end of a log, as the end of an error message."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    logged = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(["; its log ends:", *logged]) if logged else "; it logged nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
    raise ServiceError(f"process {process.pid} does not end, not even killed")
