"""What the reader and the compaction need of an archive: list, read and replace objects, in a folder or in S3."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable


class ArchiveError(Exception):
    """The archive cannot be listed, read or written: the message names what failed, where, and what to do."""


class UnreadableObjectError(ValueError):
    """An object among the snapshots cannot be read, and ``strict`` was asked for: the message names it and why."""


@runtime_checkable
class Objects(Protocol):
    """The objects of one archive. Keys and folders are relative to its root, whatever holds it.

    ``location`` and ``identity`` are those of ``archive.Store``.

    Every method raises ArchiveError when the archive itself fails.
    """

    location: str
    identity: str

    def folders(self, under: str) -> list[str]:
        """Return the names of the folders directly below a folder, sorted; none when it is absent."""
        ...

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        """Return the names of the objects directly in each folder, sorted; none when it is absent."""
        ...

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield each object's bytes in order, or what kept that one object from being read."""
        ...

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        """Return when each body was fetched, in UTC, as its provenance says; empty where none is kept."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Put an object in place of what stands there: a reader sees the one or the other, whole."""
        ...
