"""The archive in a folder on disk."""

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import orjson
from prefect.filesystems import LocalFileSystem

from miso_reserve.archive import Archive, provenance_key, sha256_unzipped
from miso_reserve.failure import CollectionError
from miso_reserve.findings import FailureCode


def open_folder(folder: Path) -> Archive:
    """Return the archive in a folder, which is made when the first object is put."""
    return LocalArchive(LocalFileSystem(basepath=str(folder)))


class LocalArchive:
    """A folder on disk, given as a Prefect ``LocalFileSystem`` block.

    Objects appear whole or not at all, and are on disk before the call returns. Files have no metadata: provenance
    stands in ``provenance/``, one small JSON file an object.
    """

    def __init__(self, block: LocalFileSystem) -> None:
        self._root = Path(block.basepath or ".").expanduser().absolute()
        self.location = self._root.as_uri()
        self.identity = self.location

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        try:
            written = _publish(self._root / key, data)
            if provenance and (written or self.sha256_of(key) == provenance["sha256"]):
                _publish(self._root / provenance_key(key), orjson.dumps(dict(provenance), option=orjson.OPT_INDENT_2))
        except OSError as error:
            raise self._refused(key, error) from error
        return written

    def sha256_of(self, key: str) -> str | None:
        try:
            with (self._root / key).open("rb") as file:
                return sha256_unzipped(file)
        except OSError as error:
            raise self._refused(key, error) from error

    def keys(self, folder: str) -> list[str]:
        try:
            names = sorted(path.name for path in (self._root / folder).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused(folder, error) from error
        return [f"{folder}/{name}" for name in names if not name.startswith(".")]  # those are being written

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refused(key, error) from error

    def remove(self, key: str) -> None:
        try:
            (self._root / key).unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(key, error) from error

    def _refused(self, key: str, error: OSError) -> CollectionError:
        message = f"the folder {self._root} does not take or give {key}: {error.strerror or error}"
        return CollectionError(FailureCode.ARCHIVE_REFUSED, message)


def _publish(path: Path, data: bytes) -> bool:
    """Write a file that is seen only when whole, and only if no other stands there."""
    _make_folder(path.parent)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        descriptor, source, named = _new_file(path.parent)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
            os.link(source, path, src_dir_fd=folder)  # with a folder it follows the link in /proc; without, it does not
            os.fsync(folder)
        except FileExistsError:
            return False
        finally:
            os.close(descriptor)
            if named:
                Path(source).unlink()
    finally:
        os.close(folder)
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on disk: a lost folder would lose what is synced within it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    above = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def _new_file(folder: Path) -> tuple[int, str, bool]:
    # A file without a name leaves nothing behind when the process is killed; not every system has them.
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
    except AttributeError:
        pass
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}:
            raise
    else:
        return descriptor, f"/proc/self/fd/{descriptor}", False
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=folder)
    return descriptor, name, True
