"""Files that appear whole or not at all, and never over another: with links, without them, on a real exFAT disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.store.whole_file import publish, replace
from tests.services.exfat import exfat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed

pytestmark = pytest.mark.slow("a process for each moment of its death")

KEYS = 40
RACERS = 6

# Without links: as the system calls of exFAT answer. A process can be killed before each of its calls of the system.
PRELUDE = """if True:
    import errno, os, signal, sys
    from pathlib import Path
    from miso_archive.store.whole_file import publish, replace
    folder, kind, *rest = sys.argv[1:]
    def refuse(*_arguments, **_options):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
    if kind == "no links":
        del os.O_TMPFILE
        os.link = refuse
"""
RACER = (
    PRELUDE
    + """
    sys.stdin.readline()
    data = rest[0].encode() * 10_000
    print(*(number for number in range(int(rest[1])) if publish(Path(folder, f"key{number}"), data)))
"""
)
KILLED = (
    PRELUDE
    + """
    write, left = {"publish": publish, "replace": replace}[rest[0]], int(rest[1])
    def count(event, _arguments):
        global left
        if event in {"open", "os.link", "os.rename", "os.remove", "os.chmod", "fcntl.flock", "os.mkdir"}:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    write(Path(folder, "day", "key"), b"killed" * 10_000)
"""
)


@pytest.fixture(params=["links", "no links", pytest.param("exFAT", marks=pytest.mark.services)])
def kind(request: pytest.FixtureRequest) -> str:
    """What the folder is on."""
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path) -> Iterator[Path]:
    """A folder of that kind; the processes of the tests see "no links" by PRELUDE."""
    if kind == "exFAT":
        with exfat() as disk:
            yield disk
    else:
        yield tmp_path


def child(script: str, folder: Path, kind: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a script on a folder, in a process of its own."""
    command = [sys.executable, "-c", script, str(folder), kind, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def killed_anywhere(folder: Path, kind: str, write: str) -> Iterator[int]:
    """Let a process write and be killed, one call of the system later each time, until it gets through."""
    for call in range(1, 100):
        with child(KILLED, folder, kind, write, str(call)) as process:
            ended = process.wait(60)
        if not ended:
            return
        assert ended == -signal.SIGKILL
        yield call
    pytest.fail("it never gets through")


def test_of_many_writers_at_once_one_wins(folder: Path, kind: str) -> None:
    """Processes publish under the same names at the same moment: each name has one winner, whose bytes it holds."""
    with ExitStack() as stack:
        racers = [stack.enter_context(child(RACER, folder, kind, str(number), str(KEYS))) for number in range(RACERS)]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        won = [racer.communicate(timeout=60)[0].split() for racer in racers]
    winners = {f"key{key}": number for number, keys in enumerate(won) for key in keys}
    assert sum(map(len, won)) == len(winners) == KEYS
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        key: str(number).encode() * 10_000 for key, number in winners.items()
    }


def test_a_writer_that_is_killed_leaves_nothing_in_the_way(folder: Path, kind: str) -> None:
    """Killed before any of its calls, a writer leaves its file whole or not at all, and the next one can publish."""
    path = folder / "day" / "key"
    whole = []
    for _ in killed_anywhere(folder, kind, "publish"):
        there = path.exists()
        assert publish(path, b"next") == (not there)
        assert path.read_bytes() == (b"killed" * 10_000 if there else b"next")
        whole.append(there)
        path.unlink()
    assert path.read_bytes() == b"killed" * 10_000
    assert False in whole
    path.unlink()
    # What was left behind under hidden names is swept where files need names.
    if kind == "exFAT":
        publish(path, b"next")
        assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_a_file_is_replaced_whole(folder: Path, kind: str) -> None:
    """A writer that is killed while it replaces a file leaves the old one or the new one, and the next no rubbish."""
    path = folder / "day" / "key"
    replace(path, b"old")
    for _ in killed_anywhere(folder, kind, "replace"):
        assert path.read_bytes() in {b"old", b"killed" * 10_000}
        replace(path, b"old")
        assert [one.name for one in path.parent.iterdir()] == ["key"]
    assert path.read_bytes() == b"killed" * 10_000


@pytest.mark.parametrize("write", [publish, replace])
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ENOSYS])
def test_what_a_file_system_cannot_do_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], bool | None], code: int
) -> None:
    """Where rights cannot be set nor a folder forced to disk, nor links be made, a file is written all the same."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    for name in ("fchmod", "fsync", "link"):
        monkeypatch.setattr(os, name, refuse)
    assert write(tmp_path / "a" / "key", b"data") in {True, None}
    assert publish(tmp_path / "a" / "key", b"other") is False
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "a").iterdir()] == [("key", b"data")]


@pytest.mark.services
def test_an_archive_on_exfat_is_an_archive(feed: SimulatedFeed, capsys: pytest.CaptureFixture[str]) -> None:
    """On an exFAT disk, with the embedded Valkey there too: collected, known again, compacted, and counted."""
    with exfat() as disk:
        data = disk / "data"
        options = ["--local", str(data), "--api-url", feed.url]
        assert main(["collect", *options]) == 0
        assert main(["collect", *options]) == 0
        assert '"skipped_duplicate":1' in capsys.readouterr().out
        feed.advance()
        assert main(["collect", *options]) == 0
        assert main(["compact", "--local", str(data)]) == 0
        capsys.readouterr()
        assert main(["read", "--snapshots", "--local", str(data), "--format", "csv"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert (data / ".valkey" / "appendonlydir").is_dir()
        assert not list(data.rglob("*.partial"))
