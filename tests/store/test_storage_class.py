"""Objects that somebody moved into an archive storage class: they count as unreadable, are named, and stop nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.healing.replay import replay
from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import compact_month
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import SkippedObjectsWarning, scan_snapshots
from miso_archive.simulate.market import snapshot_body
from miso_archive.store.address import store_at
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import ArchiveError, UnreadableObjectError
from tests.s3_archives import block, fill, freeze
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from tests.conftest import Bucket, Services

JULY = date(2026, 7, 1)
AFTER = datetime(2026, 8, 3, 12, 0, tzinfo=EST)
FIRST = snapshot_key(RESERVE, datetime(2026, 7, 30, 8, 10, tzinfo=EST))


@ON_REAL_SERVERS
@pytest.mark.parametrize(("storage_class", "kind"), [("GLACIER", "address"), ("DEEP_ARCHIVE", "block")])
def test_one_is_unreadable_and_stops_nothing(services: Services, bucket: Bucket, storage_class: str, kind: str) -> None:
    """Reading, raw and compacted, leaves it out and names it with its class; counting and compacting count it."""
    archive = f"s3://{bucket.name}" if kind == "address" else block(services.s3, bucket.name)
    fill(store_at(archive))
    freeze(bucket, FIRST, storage_class)
    named = re.escape(f"{FIRST} (it cannot be read: it is in the storage class {storage_class}: restore it)")
    for _ in ("raw", "compacted"):
        with pytest.warns(SkippedObjectsWarning, match=named):
            found = scan_snapshots(archive, latest_only=False).collect()
        assert len(found) == 15
        counted = coverage(archive, now=AFTER)
        assert counted["unreadable"].to_list() == [1, 0, 0, 0]
        assert counted["collected"].to_list() == [2, 2, 2, 2]
        result = compact_month(archive, JULY, now=AFTER)
        assert result is not None
        assert result.unreadable == 1
    with pytest.raises(UnreadableObjectError, match=rf"{FIRST}: .* {storage_class}: restore it"):
        scan_snapshots(archive, strict=True).collect()


def test_the_commands_name_it(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line a reading warns of it, and with --strict ends with its name."""
    fill(store_at(f"s3://{bucket.name}"))
    freeze(bucket, FIRST, "GLACIER")
    named = f"{FIRST} (it cannot be read: it is in the storage class GLACIER: restore it)"
    assert main(["read", "--s3-bucket", bucket.name, "--start", "2026-07-30", "--end", "2026-07-31"]) == 0
    [warned] = capsys.readouterr().err.splitlines()
    assert (
        warned
        == f"miso-archive: warning: 1 of the objects in s3://{bucket.name} cannot be read and are left out: {named}"
    )
    assert main(["read", "--s3-bucket", bucket.name, "--strict"]) == 1
    assert "GLACIER: restore it" in capsys.readouterr().err


def test_it_still_tells_when_it_was_fetched(bucket: Bucket) -> None:
    """A body that cannot be read keeps its place among those of its interval."""
    store = store_at(f"s3://{bucket.name}")
    fill(store)
    keys = bucket.keys(FIRST.removesuffix(".json.gz"))
    before = store.fetched_at(keys)
    assert all(before)
    freeze(bucket, FIRST, "GLACIER")
    assert store.fetched_at([*keys, "nothing"]) == [*before, ""]
    with pytest.warns(SkippedObjectsWarning):
        rows = scan_snapshots(f"s3://{bucket.name}", start="2026-07-30", end="2026-07-31", latest_only=False).collect()
    assert rows["revision"].to_list() == [1, 0, 1]


def test_a_single_object_is_refused_with_its_class(bucket: Bucket) -> None:
    """Where one object is asked for the error has S3's own sentence and the class."""
    bucket.client.put_object(Bucket=bucket.name, Key="a/x", Body=b"data")
    freeze(bucket, "a/x", "GLACIER")
    with pytest.raises(
        ArchiveError, match=rf"get_object of s3://{bucket.name}/a/x failed: InvalidObjectState .*GLACIER"
    ):
        store_at(f"s3://{bucket.name}").get("a/x")


@ON_REAL_SERVERS
@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_compacted_month_is_left_as_it_is(bucket: Bucket, *, all_of_it: bool) -> None:
    """Nothing is put in place of a month that may be whole; and least of all what is left of frozen raw objects."""
    archive = f"s3://{bucket.name}"
    fill(store_at(archive))
    compact_month(archive, JULY, now=AFTER)
    [month] = bucket.keys(f"curated/{RESERVE.dataset}/constraints")
    for key in bucket.keys("sourcing/") if all_of_it else []:
        freeze(bucket, key)
    freeze(bucket, month)
    why = r"\(it is in the storage class GLACIER: restore it\): it is left as it is"
    with pytest.raises(ArchiveError, match=f"^archive_unreadable: {month} in {archive} cannot be read {why}"):
        compact_month(archive, JULY, now=AFTER)
    assert bucket.client.head_object(Bucket=bucket.name, Key=month)["StorageClass"] == "GLACIER"


@pytest.mark.parametrize("stands", ["the body", "another"])
def test_a_dry_run_of_a_replay_knows_what_stands(bucket: Bucket, stands: str) -> None:
    """A replay is told beforehand as it is then done, also where the interval's object cannot be read."""
    store = store_at(f"s3://{bucket.name}")
    end = datetime(2026, 7, 30, 8, 10, tzinfo=EST)
    refused = Response(snapshot_body(end, seed=1, revision=0), end, "http://127.0.0.1/", "application/json")
    store_refused(store, RESERVE, refused, ())
    other = replace(refused, body=snapshot_body(end, seed=2, revision=1))
    standing = refused if stands == "the body" else other
    snapshot = RESERVE.examine(standing.body).snapshot
    assert snapshot is not None
    store_snapshot(store, RESERVE, snapshot, standing)
    freeze(bucket, FIRST)
    rehearsed = replay(store, RESERVE, dry_run=True)
    assert (rehearsed.already, FIRST in rehearsed.objects) == (stands == "the body", False)
    assert replay(store, RESERVE) == rehearsed
