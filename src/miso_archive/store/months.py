"""Compacted months: which stand, and what each Parquet file says about itself."""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from io import BytesIO
from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from miso_archive.feeds.columns import CONSTRAINT_COLUMNS, CONSTRAINTS, SNAPSHOT_COLUMNS, SNAPSHOTS, Column
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import days_between
from miso_archive.store.layout import Table, curated_folder, month_named
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable

SCHEMAS: Final[dict[Table, pl.Schema]] = {"constraints": CONSTRAINTS, "snapshots": SNAPSHOTS}
_COLUMNS: Final[dict[Table, tuple[Column, ...]]] = {
    "constraints": CONSTRAINT_COLUMNS,
    "snapshots": SNAPSHOT_COLUMNS,
}
VERSION: Final = 2
"""The layout of compacted files. Where one is of an unknown version the raw objects are read, until compacted anew."""

_METADATA: Final = "miso_reserve"
_SEAL: Final = "sha256"
# Stands where the seal will, while the file is digested.
_UNSEALED: Final = "0" * 64
_UNSEALED_VERSION: Final = 1


class Compacted(BaseModel):
    """What a compacted month says of itself, in the Parquet file's own metadata.

    ``first`` and ``through`` are the market days it covers, both included; ``objects`` is a digest of the keys of the
    raw objects it was made from, ``skipped`` names those of them that could not be read; ``snapshots`` and
    ``constraints`` count the rows of both tables.
    """

    model_config = ConfigDict(frozen=True)

    version: int
    first: date
    through: date
    objects: str
    snapshots: int
    constraints: int
    skipped: tuple[Unreadable, ...]

    @property
    def days(self) -> list[date]:
        """The market days that the month's file answers for."""
        return days_between(self.first, self.through)

    def as_parquet(self, table: Table, rows: pl.DataFrame) -> bytes:
        """Return the sealed Parquet file of a table's rows, with this and what the columns mean in its metadata."""
        columns = {column.name: f"{column.unit}: {column.meaning}".removeprefix(": ") for column in _COLUMNS[table]}
        metadata = {_METADATA: self.model_dump_json(), "columns": json.dumps(columns), _SEAL: _UNSEALED}
        file = BytesIO()
        rows.write_parquet(file, metadata=metadata)
        data = bytearray(file.getvalue())
        place = data.rindex(_UNSEALED.encode())
        data[place : place + len(_UNSEALED)] = hashlib.sha256(data).hexdigest().encode()
        return bytes(data)

    @classmethod
    def of(cls, file: bytes | OSError) -> Self | None:
        """Read what a Parquet file says of itself; None when it is damaged or no compacted month we know."""
        if isinstance(file, OSError):
            return None
        try:
            metadata = pl.read_parquet_metadata(BytesIO(file))
            compacted = cls.model_validate_json(metadata.get(_METADATA, ""))
        except (ValidationError, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            return None
        if compacted.version == VERSION:
            return compacted if _is_sealed(file, metadata.get(_SEAL, "")) else None
        return compacted if compacted.version == _UNSEALED_VERSION and _SEAL not in metadata else None


def months_of(days: Iterable[date]) -> list[date]:
    """Return the first days of the months that these days are in, sorted."""
    return sorted({day.replace(day=1) for day in days})


def compacted_months(store: Store, feed: Feed, table: Table) -> list[date]:
    """Return the months that stand compacted: one listing."""
    [names] = store.names([curated_folder(feed, table)])
    return [month for name in names if (month := month_named(name))]


def _is_sealed(file: bytes, seal: str) -> bool:
    # The metadata stand at the file's end.
    place = file.rfind(seal.encode() or _UNSEALED.encode())
    if place < 0:
        return False
    parts = memoryview(file)
    digest = hashlib.sha256(parts[:place])
    digest.update(_UNSEALED.encode())
    digest.update(parts[place + len(seal) :])
    return digest.hexdigest() == seal
