"""One system a folder: whoever runs one there holds a lock, which the kernel takes back however its process ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import orjson

LOCK: Final = ".lock"

_HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class FolderInUseError(Exception):
    """The folder has a living system, or cannot be locked: the message says which process, and where it answers."""


class FolderLock:
    """The lock of a folder, held. What it tells of its holder is for the next one who asks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, address: str | None = None) -> None:
        """Say which process holds the folder, and where its system answers."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, orjson.dumps({"pid": os.getpid(), "address": address}), 0)


@contextmanager
def folder_lock(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock of a folder, which is made if need be. However the folder is spelled, it is one file's lock.

    Raises:
        FolderInUseError: A living process holds it, or the file system has no locks, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not inheritable: children that outlive a killed holder do not hold it.
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FolderInUseError(f"the folder {folder} cannot be written: {error.strerror}") from error
    try:
        _take(descriptor, folder)
        lock = FolderLock(descriptor)
        lock.tell()
        yield lock
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise FolderInUseError(f"already running in {folder}: {_holder(descriptor)}") from None
        message = f"the folder {folder} cannot be locked ({error.strerror}): give one on a disk of this machine"
        raise FolderInUseError(message) from error


def _holder(descriptor: int) -> str:
    """Tell who holds the lock, as far as it has said so: it may only just have taken it."""
    with suppress(ValueError, LookupError, TypeError):
        told = orjson.loads(os.pread(descriptor, 4096, 0))
        where = told["address"] or "still starting, or without an address"
        return f"process {int(told['pid'])}, {where}"
    return "a process that is just starting"
