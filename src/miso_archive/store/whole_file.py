"""Files that are seen only when whole, and are on disk before the call returns, on any file system.

A killed process leaves at most a hidden ``.*.partial`` beside them, which is in nobody's way.
"""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PARTIAL: Final = ".partial"
_MODE: Final = 0o644

_CANNOT: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})
"""How a file system says that it has no such thing: exFAT, FAT, network shares and FUSE each in its own way."""

_NO_NAMELESS_FILE: Final = _CANNOT | {errno.EISDIR, errno.ENOENT}
"""An older kernel takes the call for another one; ENOENT also where there is no ``/proc`` to link from."""

_NO_LINK: Final = _CANNOT | {errno.EACCES, errno.EMLINK}


def publish(path: Path, data: bytes) -> bool:
    """Write a file where none stands, never over another, and make the folders above it; return whether it was written.

    Where the file system has no hard links (exFAT, many network shares) this holds among the processes of one machine.

    Raises:
        OSError: The disk does not take it; nothing is seen of it.
    """
    _make_folder(path.parent)
    with _opened(path.parent) as folder:
        try:
            written = _publish_nameless(path, data, folder)
        except OSError as error:
            if error.errno not in _NO_NAMELESS_FILE | _NO_LINK:
                raise
            written = _publish_named(path, data, folder)
        if written:
            _force(folder)
    return written


def replace(path: Path, data: bytes) -> None:
    """Write a file in place of what stands there, and make the folders above it.

    Raises:
        OSError: The disk does not take it; what stood there still does.
    """
    _make_folder(path.parent)
    with _opened(path.parent) as folder, _only_writer(folder):
        _sweep(path.parent)
        with _partial(path.parent, data) as partial:
            partial.replace(path)
        _force(folder)


def _publish_nameless(path: Path, data: bytes, folder: int) -> bool:
    # A file without a name leaves nothing behind when the process is killed; not every system has them.
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    descriptor = os.open(path.parent, flag | os.O_WRONLY, _MODE)
    try:
        _fill(descriptor, data)
        # With a folder it follows the link in /proc; without, it does not.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder)
    except FileExistsError:
        return False
    finally:
        os.close(descriptor)
    return True


def _publish_named(path: Path, data: bytes, folder: int) -> bool:
    with _only_writer(folder), _partial(path.parent, data) as partial:
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            # A rename goes over what stands there; the lock keeps everybody else from putting something there.
            if os.path.lexists(path):
                return False
            partial.replace(path)
            _sweep(path.parent)
    return True


@contextmanager
def _partial(folder: Path, data: bytes) -> Iterator[Path]:
    """Yield a file of the folder that holds the data, on disk, under a hidden name; it is gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=_PARTIAL, dir=folder)
    try:
        try:
            _fill(descriptor, data)
        finally:
            os.close(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _fill(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(data)
    # Where files have no rights of their own, those of the mount hold.
    with _as_far_as_it_can():
        os.fchmod(descriptor, _MODE)
    _force(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what killed writers left behind; to be called by the folder's only writer."""
    for left_behind in folder.glob(f".*{_PARTIAL}"):
        left_behind.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on disk: a lost folder would lose what is synced within it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    with _opened(folder.parent) as above:
        _force(above)


def _force(descriptor: int) -> None:
    """Force a file or a folder to disk; a file system that cannot be told to does it in its own time."""
    with _as_far_as_it_can():
        os.fsync(descriptor)


@contextmanager
def _as_far_as_it_can() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _only_writer(folder: int) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process, however that ends."""
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)
