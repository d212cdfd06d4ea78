"""An archive as everybody meets it who collects, reads or heals: one place of objects, a folder or a bucket."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from miso_archive.failures import CollectionError


class ArchiveError(CollectionError):
    """The archive cannot be listed, read or written: the message names what failed, where, and what to do."""


class NoArchiveError(ArchiveError):
    """There is no such folder, or nothing of an archive in it."""


class UnusableArchiveError(ArchiveError):
    """The archive is named wrongly, or lets nobody in this way: no body gets there until the settings are mended."""


class UnreadableObjectError(ValueError):
    """An object among the snapshots cannot be read, and ``strict`` was asked for: the message names it and why."""


class Keeper(Protocol):
    """As much of a store as it takes to put bodies."""

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        """Put an object where none stands, whole or not at all; return whether it was put."""
        ...

    def sha256_of(self, key: str) -> str | None:
        """Return the SHA-256 of what an object holds, unzipped; None when it cannot be read as gzip."""
        ...


@runtime_checkable
class Store(Keeper, Protocol):
    """The objects of one archive. Keys and folders are relative to its root, whatever holds it.

    ``location`` is its address, without secrets: ``s3://bucket/folder`` or ``file:///folder``. ``identity`` tells it
    from every other place: the location, and the S3 endpoint when it is not AWS's.

    Every method raises ArchiveError when the archive itself fails; it is transient when trying again may help.
    """

    location: str
    identity: str

    def require(self, *, may_be_new: bool = False) -> None:
        """Raise ArchiveError where there is plainly no archive: no such folder, no credentials. S3 is not asked.

        A folder that may be new need not be there; one that cannot be looked at fails all the same.
        """
        ...

    def folders(self, under: str) -> list[str]:
        """Return the names of the folders directly below a folder, sorted; none when it is absent."""
        ...

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        """Return the names of the objects directly in each folder, sorted; none when it is absent.

        Names that begin with a dot are left out: those are being written.
        """
        ...

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield each object's bytes in order, or what kept that one object from being read."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return one small object as it stands; None when there is none."""
        ...

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        """Return when each body was fetched, in UTC, as its provenance says; empty where none is kept."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Put an object in place of what stands there: a reader sees the one or the other, whole."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object; there need not be one. Only marks are ever removed."""
        ...
