"""Who reads the sister feeds in ``tests.bench.read``: this reader, its references, and for two feeds its rivals.

Each reads the first table of a feed, or the one that is named. Rivals give the same rows with typed columns, and are
spared what this reader does besides.
"""

# ruff: noqa: PLC0415 - who imports only what it reads with shows its own memory alone
from __future__ import annotations

import os
import sys
import zlib
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from miso_archive.feeds import FEEDS
from tests.bench.read_contestants import GZIP, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from miso_archive.feeds.feed import Feed

_FIRST_DAY: Final = date(2001, 1, 1)
_EST: Final = "Etc/GMT+5"
_LABEL: Final = "%d-%b-%Y - Interval %H:%M EST"
_turn: Final = count()


class Asked(NamedTuple):
    """What is to be read."""

    root: str
    days: int
    feed: Feed
    table: str

    @property
    def raw(self) -> str:
        """The folder of the raw objects."""
        return f"{self.root}/sourcing/{self.feed.dataset}"


def floor(asked: Asked) -> int:
    """List, read and unzip, and nothing else: by the folder's descriptor, with the system's own calls."""
    found = 0
    for day in sorted(os.listdir(asked.raw)):  # noqa: PTH208 - a Path for each takes longer
        folder = os.open(f"{asked.raw}/{day}", os.O_RDONLY)
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - likewise
            descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
            zlib.decompress(os.read(descriptor, 65536), GZIP)
            os.close(descriptor)
            found += 1
        os.close(folder)
    return found


def reader(asked: Asked) -> pl.DataFrame:
    """Read the table of a whole archive."""
    import miso_archive as mr

    return mr.scan(asked.root, asked.feed, asked.table, latest_only=False).collect()


def reader_days(asked: Asked) -> pl.DataFrame:
    """Read as many market days, from the archive's first."""
    import miso_archive as mr

    end = _FIRST_DAY + timedelta(days=asked.days)
    return mr.scan(asked.root, asked.feed, asked.table, start=_FIRST_DAY, end=end, latest_only=False).collect()


def reader_day(asked: Asked) -> pl.DataFrame:
    """Read one market day, another each time."""
    import miso_archive as mr

    start = _FIRST_DAY + timedelta(days=next(_turn) * 7 % asked.days)
    end = start + timedelta(days=1)
    return mr.scan(asked.root, asked.feed, asked.table, start=start, end=end, latest_only=False).collect()


def bare_parquet(asked: Asked) -> pl.DataFrame:
    """Read the compacted table with polars alone."""
    import polars as pl

    return pl.read_parquet(f"{asked.root}/curated/{asked.feed.dataset}/{asked.table}/*.parquet")


class Shape(NamedTuple):
    """What a rival is told of a feed's bodies: their fields, the list a tuple; where it is and where the label."""

    body: Mapping[str, Any]
    rows: str
    label: str
    numbers: Mapping[str, str]


SHAPES: Final = {
    "fuel_mix": Shape(
        {"RefId": "", "Fuel": {"Type": ("INTERVALEST", "CATEGORY", "ACT", "FUEL_CATEGORY")}},
        rows="Fuel.Type",
        label="RefId",
        numbers={"ACT": "output"},
    ),
    "rt_exante_lmp": Shape(
        {"LMPData": {"RefId": "", "ExAnteLMP": {"Hub": ("name", "LMP", "loss", "congestion")}}},
        rows="LMPData.ExAnteLMP.Hub",
        label="LMPData.RefId",
        numbers={"LMP": "lmp_number", "loss": "loss_number", "congestion": "congestion_number"},
    ),
}


def polars_scan(asked: Asked) -> pl.DataFrame:
    """Let polars find, unzip and parse the files."""
    import polars as pl

    def dtype_of(fields: Any) -> Any:  # noqa: ANN401 - nested
        if isinstance(fields, tuple):
            return pl.List(pl.Struct(dict.fromkeys(fields, pl.String)))
        return pl.Struct({name: dtype_of(inner) for name, inner in fields.items()}) if fields else pl.String

    def at(path: str) -> pl.Expr:
        first, *inner = path.split(".")
        found = pl.col(first)
        for name in inner:
            found = found.struct.field(name)
        return found

    shape = SHAPES[asked.feed.name]
    schema = pl.Schema({name: dtype_of(fields) for name, fields in shape.body.items()})
    return (
        pl.scan_ndjson(f"{asked.raw}/*/*.json.gz", schema=schema)
        .select(at(shape.label).alias("RefId"), at(shape.rows).alias("row"))
        .explode("row", empty_as_null=False)
        .unnest("row")
        .with_columns(
            interval_end=pl.col("RefId").str.to_datetime(_LABEL).dt.replace_time_zone(_EST),
            **{column: pl.col(name).cast(pl.Float64) for name, column in shape.numbers.items()},
        )
        .drop(shape.numbers)
        .collect()
    )


def duckdb_json(asked: Asked) -> pl.DataFrame:
    """Let DuckDB find, unzip and parse the files, told of the fields that it is to find."""
    import duckdb
    import polars as pl

    def kind_of(fields: Any) -> str:  # noqa: ANN401 - nested
        if isinstance(fields, tuple):
            return f"{kind_of(dict.fromkeys(fields))}[]"
        inner = ", ".join(f'"{name}" {kind_of(found)}' for name, found in (fields or {}).items())
        return f"STRUCT({inner})" if fields else "VARCHAR"

    shape = SHAPES[asked.feed.name]
    columns = ", ".join(f"{name}: '{kind_of(fields)}'" for name, fields in shape.body.items())
    numbers = ", ".join(f'CAST("{name}" AS DOUBLE) AS {column}' for name, column in shape.numbers.items())
    relation = duckdb.sql(
        f"""
        WITH rows AS (
            SELECT {shape.label} AS label, unnest({shape.rows}, recursive := true)
            FROM read_json('{asked.raw}/*/*.json.gz', columns = {{{columns}}})
        )
        SELECT * EXCLUDE ({", ".join(shape.numbers)}), {numbers}, strptime(label, '{_LABEL}') AS interval_end FROM rows
        """  # noqa: S608 - all of it is this file's own
    )
    assert relation is not None
    frame = pl.from_arrow(relation.to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


_SUMMED: Final = ("shadow_price", "lmp", "lmp_number", "output", "regulation", "value")

READERS: Final[dict[str, Callable[[Asked], pl.DataFrame | int]]] = {
    read.__name__: read for read in (floor, reader, reader_days, reader_day, bare_parquet, polars_scan, duckdb_json)
}


def summary(read: pl.DataFrame | int) -> tuple[int, float]:
    """Return how many rows or objects were read, and the sum of a column of numbers."""
    if isinstance(read, int):
        return read, 0.0
    summed = next(name for name in _SUMMED if name in read.columns)
    return len(read), float(read[summed].sum())


if __name__ == "__main__":
    name, feed, table, warm_up, root, days = sys.argv[1:]
    answer(
        lambda: READERS[name](Asked(root, int(days), FEEDS[feed], table)),
        lambda: READERS[name](Asked(warm_up, 1, FEEDS[feed], table)),
        summary,
    )
