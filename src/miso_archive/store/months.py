"""Compacted months: which stand, and what each Parquet file says about itself."""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from io import BytesIO
from typing import Final, Self

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from miso_archive.feeds.columns import columns_of
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import days_between
from miso_archive.store.layout import curated_folder, month_named
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable

VERSION: Final = 2
"""The layout of compacted files. Where one is of an unknown version the raw objects are read, until compacted anew."""

_SEAL: Final = "sha256"
# Stands where the seal will, while the file is digested.
_UNSEALED: Final = "0" * 64
_UNSEALED_VERSION: Final = 1
_DAMAGED: Final = (
    *(ValidationError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError, OSError),
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
)


class Compacted(BaseModel):
    """What a compacted month says of itself, in the Parquet file's own metadata.

    ``first`` and ``through`` are the market days it covers, both included; ``objects`` is a digest of the keys of the
    raw objects it was made from, ``skipped`` names those of them that could not be read; ``snapshots`` and ``rows``
    count those of all the feed's tables: as JSON each count stands under the name of its table.
    """

    model_config = ConfigDict(frozen=True)

    version: int
    first: date
    through: date
    objects: str
    snapshots: int
    rows: dict[str, int]
    skipped: tuple[Unreadable, ...]

    @property
    def days(self) -> list[date]:
        """The market days that the month's file answers for."""
        return days_between(self.first, self.through)

    def as_parquet(self, feed: Feed, table: str, rows: pl.DataFrame) -> bytes:
        """Return the sealed Parquet file of a table's rows, with this and what the columns mean in its metadata."""
        columns = {
            column.name: f"{column.unit}: {column.meaning}".removeprefix(": ") for column in columns_of(feed, table)
        }
        metadata = {_statement(feed): self._as_json(), "columns": json.dumps(columns), _SEAL: _UNSEALED}
        file = BytesIO()
        rows.write_parquet(file, metadata=metadata)
        data = bytearray(file.getvalue())
        place = data.rindex(_UNSEALED.encode())
        data[place : place + len(_UNSEALED)] = hashlib.sha256(data).hexdigest().encode()
        return bytes(data)

    def _as_json(self) -> str:
        said: dict[str, object] = {}
        for name, value in self.model_dump(mode="json").items():
            said |= self.rows if name == "rows" else {name: value}
        return orjson.dumps(said).decode()

    @classmethod
    def of(cls, feed: Feed, file: bytes | OSError) -> Self | None:
        """Read what a Parquet file says of itself; None when it is damaged or no compacted month we know."""
        if isinstance(file, OSError):
            return None
        try:
            metadata = pl.read_parquet_metadata(BytesIO(file))
            said = orjson.loads(metadata.get(_statement(feed), ""))
            said["rows"] = {table.name: said.pop(table.name) for table in feed.contract.tables}
            compacted = cls.model_validate_json(orjson.dumps(said))
        except _DAMAGED:
            return None
        if compacted.version == VERSION:
            return compacted if _is_sealed(file, metadata.get(_SEAL, "")) else None
        return compacted if compacted.version == _UNSEALED_VERSION and _SEAL not in metadata else None


def _statement(feed: Feed) -> str:
    return f"miso_{feed.name}"


def months_of(days: Iterable[date]) -> list[date]:
    """Return the first days of the months that these days are in, sorted."""
    return sorted({day.replace(day=1) for day in days})


def compacted_months(store: Store, feed: Feed, table: str) -> list[date]:
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
