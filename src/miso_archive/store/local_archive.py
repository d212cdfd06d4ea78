"""The archive in a folder on disk."""

import os
from collections.abc import Mapping
from pathlib import Path

import orjson
from prefect.filesystems import LocalFileSystem

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.store.archive import Archive, folder_identity
from miso_archive.store.gzipped import sha256_unzipped
from miso_archive.store.layout import provenance_key
from miso_archive.store.whole_file import publish


def open_folder(folder: Path) -> Archive:
    """Return the archive in a folder, which is made when the first object is put."""
    return LocalArchive(LocalFileSystem(basepath=str(folder)))


class LocalArchive:
    """A folder on disk, given as a Prefect ``LocalFileSystem`` block.

    Objects appear whole or not at all, and are on disk before the call returns. Files have no metadata: provenance
    stands in ``provenance/``, one small JSON file an object.
    """

    def __init__(self, block: LocalFileSystem) -> None:
        folder = Path(block.basepath or ".").expanduser().absolute()
        self._root = Path(os.path.realpath(folder))
        self.location = folder.as_uri()
        self.identity = folder_identity(folder)

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        try:
            written = publish(self._root / key, data)
            if provenance and (written or self.sha256_of(key) == provenance["sha256"]):
                publish(self._root / provenance_key(key), orjson.dumps(dict(provenance), option=orjson.OPT_INDENT_2))
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
