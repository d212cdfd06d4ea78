"""The archive in a folder on disk."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from miso_archive.contract.findings import FailureCode
from miso_archive.store.gzipped import sha256_unzipped
from miso_archive.store.layout import provenance_key
from miso_archive.store.store import ArchiveError, NoArchiveError
from miso_archive.store.whole_file import publish, replace

_MOST_AT_ONCE: Final = 65536


def folder_identity(folder: Path) -> str:
    """Return what tells a folder from every other place: one folder is one archive, also by way of a link or ``..``."""
    return Path(os.path.realpath(folder)).as_uri()


class Folder:
    """A folder on disk, which is made when the first object is put.

    Objects appear whole or not at all, and are on disk before the call returns. Files have no metadata: provenance
    stands in ``provenance/``, one small JSON file an object.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder = folder.expanduser().absolute()
        except RuntimeError as error:
            message = f"{folder} begins with ~ and a name, and no user of that name has a home here"
            raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message) from error
        self._root = Path(os.path.realpath(folder))
        self.location = folder.as_uri()
        self.identity = folder_identity(folder)

    def require(self, *, may_be_new: bool = False) -> None:
        try:
            is_there = self._root.is_dir()
        except OSError as error:  # a folder above has no rights, or the name is too long
            raise _failed("looked at", self._root, error) from error
        if not is_there and not may_be_new:
            message = f"there is no folder {self._root}: name the one that was collected into"
            raise NoArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)

    def folders(self, under: str) -> list[str]:
        return sorted(self._folders(under))

    def has_folders(self, under: str) -> bool:
        """Tell whether a folder has one in it, without listing it to its end."""
        return any(self._folders(under))

    def _folders(self, under: str) -> Iterator[str]:
        path = self._root / under
        try:
            with os.scandir(path) as entries:
                yield from (entry.name for entry in entries if _is_folder(entry))
        except FileNotFoundError as error:
            self._refuse_broken_link(path, error)
        except OSError as error:
            raise _failed("listed", path, error) from error

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        return [self._names(self._root / folder) for folder in folders]

    def _names(self, folder: Path) -> list[str]:
        try:
            names = os.listdir(folder)  # noqa: PTH208 - a Path for each name takes four times as long
        except FileNotFoundError as error:
            self._refuse_broken_link(folder, error)
            return []
        except NotADirectoryError:
            return []
        except OSError as error:
            raise _failed("listed", folder, error) from error
        return sorted(name for name in names if name[0] != ".")

    def _refuse_broken_link(self, folder: Path, error: OSError) -> None:
        """Raise where a link on the way leads nowhere: what lies on a disk that is not mounted is not nothing."""
        while folder != self._root:
            if os.path.islink(folder) and not os.path.exists(folder):  # noqa: PTH110, PTH114 - of every absent day
                raise _failed("listed", folder, error) from error
            folder = folder.parent

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        folder, descriptor = "", -1
        try:
            for key in keys:
                parent, _, name = key.rpartition("/")
                if parent != folder or descriptor < 0:
                    if descriptor >= 0:
                        os.close(descriptor)
                    folder, descriptor = parent, -1
                    try:
                        descriptor = os.open(self._root / folder, os.O_RDONLY | os.O_DIRECTORY)
                    except OSError as error:
                        yield error
                        continue
                yield _read(name, descriptor)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def get(self, key: str) -> bytes | None:
        [data] = self.read([key])
        if isinstance(data, (FileNotFoundError, NotADirectoryError)):
            return None
        if isinstance(data, OSError):
            raise self._refused(key, data)
        return data

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        return [_fetched_at(data) for data in self.read([provenance_key(key) for key in keys])]

    def sha256_of(self, key: str) -> str | None:
        try:
            with (self._root / key).open("rb") as file:
                return sha256_unzipped(file)
        except OSError as error:
            raise self._refused(key, error) from error

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        try:
            written = publish(self._root / key, data)
            if provenance and (written or self.sha256_of(key) == provenance["sha256"]):
                publish(self._root / provenance_key(key), orjson.dumps(dict(provenance), option=orjson.OPT_INDENT_2))
        except OSError as error:
            raise self._refused(key, error) from error
        return written

    def replace(self, key: str, data: bytes) -> None:
        path = self._root / key
        try:
            replace(path, data)
        except OSError as error:
            raise _failed("written", path, error) from error

    def remove(self, key: str) -> None:
        try:
            (self._root / key).unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(key, error) from error

    def _refused(self, key: str, error: OSError) -> ArchiveError:
        message = f"the folder {self._root} does not take or give {key}: {error.strerror or error}"
        return ArchiveError(FailureCode.ARCHIVE_REFUSED, message)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        if entry.is_dir():
            return True
        if entry.is_symlink():
            entry.stat()
    except FileNotFoundError:  # a link that leads nowhere may be a folder's, and is refused when that is listed
        return True
    except OSError:  # a link to itself, a stray thing like any other
        pass
    return False


def _fetched_at(data: bytes | OSError) -> str:
    try:
        provenance = orjson.loads(b"" if isinstance(data, OSError) else data)
    except orjson.JSONDecodeError:
        return ""
    return str(provenance.get("fetched-at", "")) if isinstance(provenance, dict) else ""


def _read(name: str, folder: int) -> bytes | OSError:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)  # a pipe would keep it waiting
    except OSError as error:
        return error
    try:
        data = os.read(descriptor, _MOST_AT_ONCE)
        if len(data) < _MOST_AT_ONCE:
            return data
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return data + file.read()
    except OSError as error:
        return error
    finally:
        os.close(descriptor)


def _failed(verb: str, path: Path, error: OSError) -> ArchiveError:
    message = f"{path} cannot be {verb}: {error.strerror or error}. Check the folder's rights and the disk."
    return ArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)
