"""The processes of a system on one machine: a stop leaves none of them, and ends nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from flows.processes import MARK, PartError, child_process, end_what_is_left
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow("waits for processes to go")


@contextmanager
def stubborn(folder: Path) -> Iterator[tuple[int, int]]:
    """A process of a folder's system that obeys no signal, and one that it started: what a killed start leaves."""
    command = [sys.executable, "-m", "tests.stubborn"]
    environment = os.environ | {MARK: os.path.realpath(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = (process.pid, int(process.stdout.readline()))
        try:
            yield pids
        finally:
            for pid in pids:
                if psutil.pid_exists(pid):
                    psutil.Process(pid).kill()


def lives(pid: int) -> bool:
    """Whether a process runs, and is not only still to be waited for."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("options", [(), ("--obedient",)], ids=["the part", "what the part started"])
def test_what_does_not_go_is_killed(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A part that ignores every request to end, and its child in a session of its own that does, are killed."""
    log = tmp_path / "part.log"
    with child_process("part", ("tests.stubborn", *options), os.environ, log, stop_seconds=0.5) as child:
        assert until(lambda: log.read_bytes().endswith(b"\n"))
        pids = (child.process.pid, int(log.read_bytes()))
        assert all(map(lives, pids))
    assert not any(map(lives, pids))


def test_a_part_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    """A part that ended by itself is named, with its exit code and where it logged."""
    log = tmp_path / "part.log"
    with child_process("part", ("no.such.module",), os.environ, log) as child:
        assert until(lambda: child.process.poll() is not None)
        with pytest.raises(PartError, match=f"'part' ended with code 1: see {log}"):
            child.check()


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into the environment of processes")
def test_what_a_killed_system_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    """By whatever spelling of the folder, what was left there is killed; what belongs to another folder stays."""
    folder, other, spelled = tmp_path / "folder", tmp_path / "other", tmp_path / "spelled"
    folder.mkdir()
    other.mkdir()
    spelled.symlink_to(folder)
    with stubborn(folder) as left, stubborn(other) as foreign:
        end_what_is_left(spelled)
        assert not any(map(lives, left))
        assert all(map(lives, foreign))
