"""The parts of a system on one machine: processes with all that they start, of which a stop leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "MISO_ARCHIVE_UP"
"""The variable by which the processes of a folder are known again, also after a kill -9: its resolved path."""

STOP_SECONDS: Final = 20.0
"""How long a part has to end by itself."""

_MOST_LOG_BYTES: Final = 10_000_000
_LOOKS: Final = 5


class PartError(Exception):
    """A part of the system ended: the message names it and its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A part of the system: a process, and the file that it logs to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise when the process has ended.

        Raises:
            PartError: It has.
        """
        code = self.process.poll()
        if code is not None:
            raise PartError(f"the part '{self.name}' ended with code {code}: see {self.log}")

    def bound_log(self, most_bytes: int = _MOST_LOG_BYTES) -> None:
        """Begin the log anew when it is long, and keep the one before: the process goes on appending to its file."""
        if self.log.stat().st_size > most_bytes:
            shutil.copyfile(self.log, self.log.with_suffix(".before.log"))
            os.truncate(self.log, 0)


@contextmanager
def child_process(
    name: str, module: tuple[str, ...], environment: Mapping[str, str], log: Path, *, stop_seconds: float = STOP_SECONDS
) -> Iterator[Child]:
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
        _end(process, stop_seconds)


def end_what_is_left(folder: Path) -> None:
    """Kill what a system in this folder left behind. Only whoever holds the folder's lock may: nothing of it lives."""
    # Whoever is killed may just have started another.
    for _ in range(_LOOKS):
        left = [process for process in psutil.process_iter() if _is_of(process, folder)]
        if not left:
            return
        _kill(left)


def _is_of(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        of_the_folder = process.environ().get(MARK) == os.path.realpath(folder)
        # A shell within the system may have started this one.
        return of_the_folder and process.pid != os.getpid() and process not in psutil.Process().parents()
    return False


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process and its group with all their children: ask, wait, then kill what is left of them."""
    members = _members(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    _kill([member for member in {*members, *_members(process.pid)} if member.is_running()])
    process.wait()


def _members(group: int) -> set[psutil.Process]:
    """Return the processes of a group, and whatever they have started in groups of their own."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found |= {process, *process.children(recursive=True)}
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_SECONDS)
