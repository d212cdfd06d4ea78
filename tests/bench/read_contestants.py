"""Who reads in ``tests.bench.read``, each in a process of its own: this reader, its references and its rivals.

Rivals give the same rows with typed columns: RefId, the interval's end, name, description, price and what documented
rows have beside. They are spared what this reader does besides: names taken apart, revisions numbered, keys, and each
body held against the contract.

Left out, for they take minutes over S3: DuckDB's ``read_json``, and boto3 in a loop.

The earlier commit's Python runs this file, too: it imports nothing of ours but what is named to it, by its public API.
"""

# ruff: noqa: PLC0415 - who imports only what it reads with shows its own memory alone
from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl

Read: TypeAlias = "pl.DataFrame | pd.DataFrame | int"
"""What was read: a frame, or from who decodes nothing how many objects."""

_DATASET: Final = "miso_binding_constraints_reserve"
_FIRST_DAY: Final = date(2001, 1, 1)
_FOLDER: Final = f"sourcing/{_DATASET}"
_CURATED: Final = f"curated/{_DATASET}"
GZIP: Final = 31
_GETS_AT_ONCE: Final = 128
_THREADS: Final = 32
_TEXTS: Final = ("Name", "Period", "Price", "Description", "ReserveType", "Direction")
_FLAG: Final = "OVERRIDE"
_NUMBERS: Final = ("Quantity", "BP1", "PC1", "BP2", "PC2")
_LABEL: Final = "%d-%b-%Y, %H:%M EST"
_turn: Final = count()


def _folders(days: int) -> list[str]:
    """Name the folders that hold the first market days: one more, for the last day's label 00:00."""
    return [f"{_FOLDER}/{_FIRST_DAY + timedelta(days=day)}" for day in range(days + 1)]


def _files(root: str) -> list[str]:
    folder = f"{root}/{_FOLDER}"
    days = [f"{folder}/{day}" for day in sorted(os.listdir(folder))]  # noqa: PTH208 - a Path for each takes longer
    return [f"{day}/{name}" for day in days for name in sorted(os.listdir(day))]  # noqa: PTH208 - likewise


def floor(root: str, _days: int) -> int:
    """List, read and unzip, and nothing else: with the system's own calls, for files as Python has them are slower."""
    files = _files(root)
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        zlib.decompress(os.read(descriptor, 65536), GZIP)
        os.close(descriptor)
    return len(files)


def reader(package: ModuleType, root: str, _days: int) -> pl.DataFrame:
    """Read a whole archive."""
    return _collected(package.scan_constraints(root, latest_only=False))


def reader_latest(package: ModuleType, root: str, _days: int) -> pl.DataFrame:
    """Read a whole archive by the defaults: superseded bodies are left out."""
    return _collected(package.scan_constraints(root))


def reader_snapshots(package: ModuleType, root: str, _days: int) -> pl.DataFrame:
    """Read a whole archive's snapshots."""
    return _collected(package.scan_snapshots(root, latest_only=False))


def reader_days(package: ModuleType, root: str, days: int) -> pl.DataFrame:
    """Read the first market days."""
    end = _FIRST_DAY + timedelta(days=days)
    return _collected(package.scan_constraints(root, start=_FIRST_DAY, end=end, latest_only=False))


def reader_day(package: ModuleType, root: str, days: int) -> pl.DataFrame:
    """Read one market day, another each time."""
    start = _FIRST_DAY + timedelta(days=next(_turn) * 7 % days)
    return _collected(package.scan_constraints(root, start=start, end=start + timedelta(days=1), latest_only=False))


def _collected(scan: pl.LazyFrame) -> pl.DataFrame:
    return scan.collect()


def python_rows(root: str, _days: int) -> pd.DataFrame:
    """Read file after file with json, gather rows, make a pandas frame."""
    folder = Path(root, _FOLDER)
    return _pandas(path.read_bytes() for path in sorted(folder.glob("*/*.json.gz")))


def _pandas(zipped: Iterable[bytes]) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for data in zipped:
        body = json.loads(zlib.decompress(data, GZIP))
        rows += [{"RefId": body["RefId"], **row} for row in body["Constraint"] if row["Price"] != "None"]
    frame = pd.DataFrame(rows).drop(columns="Period")
    labels = frame["RefId"].str.replace(" - Interval ", ", ", regex=False)
    return frame.assign(
        interval_end=pd.to_datetime(labels, format=_LABEL).dt.tz_localize("Etc/GMT+5"),
        shadow_price=frame["Price"].astype(float),
    ).drop(columns="Price")


def polars_scan(root: str, _days: int) -> pl.DataFrame:
    """Let polars find, unzip and parse the files."""
    import polars as pl

    fields = dict.fromkeys(_TEXTS, pl.String) | dict.fromkeys(_NUMBERS, pl.Float64) | {_FLAG: pl.Boolean}
    schema = pl.Schema([("RefId", pl.String()), ("Constraint", pl.List(pl.Struct(fields)))])
    label = pl.col("RefId").str.replace(" - Interval ", ", ", literal=True)
    return (
        pl.scan_ndjson(f"{root}/{_FOLDER}/*/*.json.gz", schema=schema, storage_options=_storage_options(root))
        .explode("Constraint", empty_as_null=False)
        .unnest("Constraint")
        .filter(pl.col("Price") != "None")
        .with_columns(
            interval_end=label.str.to_datetime(_LABEL).dt.replace_time_zone("Etc/GMT+5"),
            shadow_price=pl.col("Price").cast(pl.Float64),
        )
        .drop("Price", "Period")
        .collect()
    )


def _storage_options(root: str) -> dict[str, str] | None:
    if not root.startswith("s3://"):
        return None
    environment = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
    return {**environment, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "AWS_ALLOW_HTTP": "true"}


def duckdb_json(root: str, _days: int) -> pl.DataFrame:
    """Let DuckDB find, unzip and parse the files, every field of both shapes typed."""
    types = dict.fromkeys(_TEXTS, "VARCHAR") | dict.fromkeys(_NUMBERS, "DOUBLE") | {_FLAG: "BOOLEAN"}
    fields = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    return _duckdb_json(root, f""", columns = {{RefId: 'VARCHAR', "Constraint": 'STRUCT({fields})[]'}}""")


def duckdb_json_detected(root: str, _days: int) -> pl.DataFrame:
    """Let DuckDB do so with the fields that it finds in its sample, the live ones: less work, documented ones lost."""
    return _duckdb_json(root, "")


def _duckdb_json(root: str, options: str) -> pl.DataFrame:
    return _duckdb(
        f"""
        WITH rows AS (
            SELECT RefId, unnest("Constraint", recursive := true)
            FROM read_json('{root}/{_FOLDER}/*/*.json.gz'{options})
        )
        SELECT
            * EXCLUDE (Price, Period),
            strptime(replace(RefId, ' - Interval ', ', '), '{_LABEL}') AS interval_end,
            CAST(Price AS DOUBLE) AS shadow_price
        FROM rows
        WHERE Price <> 'None'
        """  # noqa: S608 - all of it is this file's own
    )


def _duckdb(query: str) -> pl.DataFrame:
    import duckdb
    import polars as pl

    relation = duckdb.sql(query)
    assert relation is not None
    frame = pl.from_arrow(relation.to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def bare_parquet(root: str, _days: int) -> pl.DataFrame:
    """Read the compacted constraints with polars alone."""
    import polars as pl

    return pl.read_parquet(f"{root}/{_CURATED}/constraints/*.parquet")


def bare_parquet_snapshots(root: str, _days: int) -> pl.DataFrame:
    """Read the compacted snapshots with polars alone."""
    import polars as pl

    return pl.read_parquet(f"{root}/{_CURATED}/snapshots/*.parquet")


def duckdb_parquet(root: str, _days: int) -> pl.DataFrame:
    """Read the compacted constraints with DuckDB."""
    return _duckdb(f"FROM '{root}/{_CURATED}/constraints/*.parquet'")


def duckdb_parquet_snapshots(root: str, _days: int) -> pl.DataFrame:
    """Read the compacted snapshots with DuckDB."""
    return _duckdb(f"FROM '{root}/{_CURATED}/snapshots/*.parquet'")


def bare_obstore(root: str, days: int) -> int:
    """List the days at once, then get every object, 128 at once, and nothing else."""
    return asyncio.run(_list_and_get(root.removeprefix("s3://"), _folders(days)))


async def _list_and_get(bucket: str, folders: list[str]) -> int:
    from obstore.store import S3Store

    store = S3Store(
        bucket,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )
    listings = await asyncio.gather(*(store.list_with_delimiter_async(folder) for folder in folders))
    keys = [found["path"] for listing in listings for found in listing["objects"]]
    left = iter(keys)

    async def get() -> int:
        found = 0
        for key in left:
            answer = await store.get_async(key)
            found += len(await answer.bytes_async()) > 0
        return found

    return sum(await asyncio.gather(*(get() for _ in range(_GETS_AT_ONCE))))


def boto3_threads(root: str, days: int) -> pd.DataFrame:
    """List and get with boto3 in 32 threads; the rows as in ``python_rows``."""
    import boto3
    from botocore.config import Config

    bucket = root.removeprefix("s3://")
    client = boto3.client("s3", config=Config(max_pool_connections=_THREADS))

    def listed(folder: str) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/")
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def got(key: str) -> bytes:
        body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    with ThreadPoolExecutor(_THREADS) as threads:
        keys = [key for keys in threads.map(listed, _folders(days)) for key in keys]
        return _pandas(threads.map(got, keys))


READERS: Final[dict[str, Callable[[ModuleType, str, int], Read]]] = {
    read.__name__: read for read in (reader, reader_latest, reader_snapshots, reader_days, reader_day)
}
"""This reader, of now or of the earlier commit."""

OTHERS: Final[dict[str, Callable[[str, int], Read]]] = {
    other.__name__: other
    for other in (
        floor,
        python_rows,
        polars_scan,
        duckdb_json,
        duckdb_json_detected,
        bare_parquet,
        bare_parquet_snapshots,
        duckdb_parquet,
        duckdb_parquet_snapshots,
        bare_obstore,
        boto3_threads,
    )
}


def summary(read: Read) -> tuple[int, float]:
    """Return how many rows or objects were read, and the sum of the shadow prices ($/MW) or constraints."""
    if isinstance(read, int):
        return read, 0.0
    return len(read), float(read["shadow_price" if "shadow_price" in read.columns else "constraints"].sum())


def main(name: str, package: str, warm_up: str, root: str, days: int) -> None:
    """Read a small archive, then the real one."""
    read: Callable[[str, int], Read] = (
        partial(READERS[name], import_module(package)) if name in READERS else OTHERS[name]
    )
    answer(partial(read, root, days), partial(read, warm_up, 1), summary)


def answer(read: Callable[[], Any], warm_up: Callable[[], Any], summed: Callable[[Any], tuple[int, float]]) -> None:
    """Read the small archive, then the real one once a line of input; say each time how long it took."""
    warm_up()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        started = time.perf_counter()
        found = read()
        seconds = time.perf_counter() - started
        rows, total = summed(found)
        del found
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(json.dumps({"seconds": seconds, "rows": rows, "total": total, "peak": peak}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
