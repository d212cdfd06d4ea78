"""One system a folder, whichever way it is spelled, as long as its process lives."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from flows.folder_lock import LOCK, FolderInUseError, folder_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "http://127.0.0.1:4200"

HOLDER = """if True:
    import subprocess, sys
    from pathlib import Path
    from flows.folder_lock import folder_lock
    with folder_lock(Path(sys.argv[1])) as lock:
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
        lock.tell(sys.argv[2])
        print("held", flush=True)
        sys.stdin.readline()
        child.kill()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a folder's lock, and has a child."""
    command = [sys.executable, "-c", HOLDER, str(folder), ADDRESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def contents(folder: Path) -> dict[str, float]:
    """Everything in a folder, and when it was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("module", ["flows.up", "flows.demo"])
def test_a_second_one_says_who_is_there_and_touches_nothing(tmp_path: Path, module: str) -> None:
    """`make up` and `make demo` end with 1 where a system lives, by a link too, with its process and address."""
    folder, spelled = tmp_path / "folder", tmp_path / "spelled"
    folder.mkdir()
    spelled.symlink_to(folder)
    with holder(folder) as first:
        before = contents(folder)
        second = subprocess.run(
            [sys.executable, "-m", module, str(spelled)], capture_output=True, text=True, check=False, timeout=60
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == f"already running in {spelled}: process {first.pid}, {ADDRESS}\n"
        assert contents(folder) == before


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """After kill -9 the folder is free, though a child of the holder lives and the file still names it."""
    (tmp_path / "x").mkdir()
    with holder(tmp_path) as first:
        first.kill()
        first.wait(30)
        told = f"process {os.getpid()}, still starting"
        with folder_lock(tmp_path), pytest.raises(FolderInUseError, match=told), folder_lock(tmp_path / "x" / ".."):
            pass


@pytest.mark.parametrize("told", ["", "no JSON", "[1]", '{"pid": 1}', '{"pid": "x", "address": null}', "\xff"])
def test_whatever_the_file_says_a_held_folder_is_told(tmp_path: Path, told: str) -> None:
    """What somebody else has written into the lock's file is passed over."""
    with folder_lock(tmp_path):
        (tmp_path / LOCK).write_text(told, encoding="latin-1")
        with (
            pytest.raises(FolderInUseError, match=r"already running in .*: a process that is just starting"),
            folder_lock(tmp_path),
        ):
            pass


def test_a_file_system_without_locks_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel gives no lock, nothing is started: the message says why, and what to do."""

    def none_left(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none_left)
    told = r"cannot be locked \(No locks available\): give one on a disk"
    with pytest.raises(FolderInUseError, match=told), folder_lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is a message that names it."""
    (tmp_path / "file").touch()
    told = f"{tmp_path}/file/folder cannot be written: Not a directory"
    with pytest.raises(FolderInUseError, match=told), folder_lock(tmp_path / "file" / "folder"):
        pass
