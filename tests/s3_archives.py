"""Archives in S3: the block that leads to one, what is put into it and what is read from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.exceptions import ClientError
from prefect_aws import AwsClientParameters, AwsCredentials, MinIOCredentials, S3Bucket

from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.scan import scan_constraints, scan_snapshots
from miso_archive.simulate.market import documented_body, snapshot_body
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response

if TYPE_CHECKING:
    import polars as pl

    from miso_archive.store.address import ArchiveAddress
    from miso_archive.store.store import Store
    from tests.conftest import Bucket
    from tests.services.s3 import S3Endpoint

SEED = 307


def block(server: S3Endpoint, bucket: str, folder: str = "", kind: str = "aws") -> S3Bucket:
    """An S3Bucket block with keys and endpoint of its own."""
    parameters = AwsClientParameters(endpoint_url=server.url)
    if kind == "minio":
        credentials: Any = MinIOCredentials(
            minio_root_user=server.access_key,
            minio_root_password=server.secret_key,
            region_name=server.region,
            aws_client_parameters=parameters,
        )
    else:
        credentials = AwsCredentials(
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name=server.region,
            aws_client_parameters=parameters,
        )
    return S3Bucket(bucket_name=bucket, bucket_folder=folder, credentials=credentials)


def fill(archive: Store) -> None:
    """2026-07-30 to 2026-08-02, two snapshots a day and a revision; live and documented rows, labels at 00:00."""
    for number in range(4):
        midnight = datetime(2026, 7, 30, tzinfo=EST) + timedelta(days=number)
        shape = documented_body if number % 2 else snapshot_body
        for minutes, revision in ((490, 1), (490, 2), (1440, 0), (1440, 3)):
            interval_end = midnight + timedelta(minutes=minutes)
            body = shape(interval_end, seed=SEED, revision=revision)
            snapshot = RESERVE.examine(body).snapshot
            assert snapshot is not None
            fetched_at = interval_end + timedelta(minutes=1 + revision)
            response = Response(body, fetched_at, "http://127.0.0.1/", "application/json")
            store_snapshot(archive, RESERVE, snapshot, response)


def freeze(bucket: Bucket, key: str, storage_class: str = "GLACIER") -> None:
    """Move an object to another storage class, with what it says of itself."""
    body, metadata = bucket.body(key), bucket.metadata(key)
    try:
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body, Metadata=metadata, StorageClass=storage_class)
    except ClientError:
        pytest.skip("this server has no archive storage class")


def frames(archive: ArchiveAddress) -> list[pl.DataFrame]:
    """All rows of both tables."""
    return [scan(archive, latest_only=False).collect() for scan in (scan_constraints, scan_snapshots)]


def use_both_sides(store: Store) -> None:
    """Write and read by each of a store's methods."""
    assert store.put_if_absent("a/x", b"first", {"sha256": "5f", "fetched-at": "then"})
    assert not store.put_if_absent("a/x", b"second", {})
    store.replace("a/b/y", b"there")
    assert store.sha256_of("a/x") == "5f"
    assert store.get("a/x") == b"first"
    assert store.folders("a") == ["b"]
    assert store.names(["a", "a/b"]) == [["x"], ["y"]]
    assert list(store.read(["a/x", "a/b/y"])) == [b"first", b"there"]
    assert store.fetched_at(["a/x", "a/b/y"]) == ["then", ""]
    store.remove("a/x")
    assert store.get("a/x") is None


def is_moto(server: S3Endpoint) -> bool:
    """Whether this is moto, which takes any token and any host."""
    return requests.get(f"{server.url}/moto-api/data.json", timeout=10).ok
