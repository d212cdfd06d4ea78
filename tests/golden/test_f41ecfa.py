"""An archive that commit f41ecfa wrote is read, counted, announced, replayed, healed and compacted to the same rows.

No column was added since: the columns are compared too.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from datetime import UTC, date, datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

import miso_archive as mr
from tests.golden.story import Host, command
from tests.services.kafka import read_messages
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tests.conftest import Bucket

HERE: Final = Path(__file__).with_name("archive_f41ecfa")
NOW: Final = datetime(2026, 7, 10, 12, tzinfo=UTC)
REPORT: Final = "20260702_rt_rpe.xls"
SOURCES: Final = {
    "live": ("live",),
    "filled": ("live", "next_day_report"),
    "next_day_report": ("next_day_report",),
    "day_ahead_report": ("day_ahead_report",),
}
SCANS: Final = {"constraints": mr.scan_constraints, "snapshots": mr.scan_snapshots}


class Place(NamedTuple):
    """An archive: how Python names it, and how a command does."""

    address: str
    option: tuple[str, str]
    remove: Callable[[str], None]


def packed(name: str) -> dict[str, bytes]:
    """The files of a tar of that commit, by name."""
    with tarfile.open(HERE / name) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


SAID: Final = packed("said.tar.gz")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Place:
    """The archive as a folder, and as a bucket."""
    return as_a_folder(tmp_path / "archive") if request.param == "folder" else as_a_bucket(bucket)


def as_a_folder(root: Path) -> Place:
    """Unpack the folder."""
    with tarfile.open(HERE / "folder.tar.gz") as tar:
        tar.extractall(root, filter="data")
    return Place(str(root), ("--local", str(root)), lambda folder: shutil.rmtree(root / folder))


def as_a_bucket(bucket: Bucket) -> Place:
    """Put the objects, with the metadata that f41ecfa gave them."""
    objects = packed("bucket.tar.gz")
    for line in objects.pop("metadata.ndjson").splitlines():
        told = json.loads(line)
        bucket.client.put_object(
            Bucket=bucket.name,
            Key=told["key"],
            Body=objects[told["key"]],
            Metadata=told["metadata"],
            ContentType=told["content_type"],
        )

    def remove(folder: str) -> None:
        for key in bucket.keys(f"{folder}/"):
            bucket.client.delete_object(Bucket=bucket.name, Key=key)

    return Place(f"s3://{bucket.name}", ("--s3-bucket", bucket.name), remove)


def said(name: str) -> list[Any]:
    """What f41ecfa said: of a table its columns, then its rows."""
    return [json.loads(line) for line in SAID[f"{name}.ndjson"].splitlines()]


def told(frame: pl.DataFrame) -> list[Any]:
    """A frame as f41ecfa's were told."""
    rows = [json.loads(json.dumps(list(row.values()), default=str)) for row in frame.to_dicts()]
    return [frame.columns, *rows]


def result(*words: str) -> Any:  # noqa: ANN401 - a command's JSON
    """What a command printed, which must succeed."""
    line, code = command(*words).splitlines()[1:3]
    assert code == "exit code 0"
    return json.loads(line)


def assert_rows(place: Place, prefix: str = "", names: tuple[str, ...] = tuple(SOURCES)) -> None:
    """All rows are those that f41ecfa read, of every source, superseded ones included and left out."""
    for name in names:
        for table, scan in SCANS.items():
            columns, *rows = said(f"{prefix}{name}.{table}")
            everything = scan(place.address, latest_only=False, strict=True, sources=SOURCES[name]).collect()
            assert told(everything) == [columns, *rows]
    columns, *rows = said(f"{prefix}live.snapshots")
    latest = [row for row in rows if row[columns.index("is_latest")]]
    assert len(latest) < len(rows)
    assert told(mr.scan_snapshots(place.address).collect()) == [columns, *latest]


def assert_counts(place: Place, prefix: str = "") -> None:
    """Coverage and the missing intervals are those that f41ecfa counted."""
    assert told(mr.coverage(place.address, now=NOW)) == said(f"{prefix}coverage")
    assert told(mr.missing_intervals(place.address, now=NOW)) == said(f"{prefix}missing")


def test_there_is_something_to_compare() -> None:
    """What was said has rows of every kind: binding, revised, documented, of reports, missing."""
    assert {name: len(said(name)) - 1 for name in ("live.snapshots", "fetch_times", "coverage")} == {
        "live.snapshots": 54,
        "fetch_times": 54,
        "coverage": 2,
    }
    columns, *rows = said("live.constraints")
    assert any(row[columns.index("reserve_type")] for row in rows)
    assert any(row[columns.index("revision")] == 2 for row in rows)


@ON_REAL_SERVERS
def test_it_is_read_and_counted_to_the_same_rows(place: Place) -> None:
    """As it stands, June compacted: rows of every source, coverage, missing intervals, times of the fetches."""
    assert_rows(place)
    assert_counts(place)
    assert told(mr.fetch_times(place.address)) == said("fetch_times")


@ON_REAL_SERVERS
def test_the_raw_objects_alone_give_the_same_rows(place: Place) -> None:
    """Without what was compacted nothing is different."""
    place.remove("curated")
    assert_rows(place, names=("live",))
    assert_counts(place)


def test_the_month_compacted_then_answers_for_itself(place: Place) -> None:
    """Its layout had no seal yet: it is read, also where the raw objects of its days are gone."""
    place.remove("sourcing/miso_binding_constraints_reserve/2026-06-30")
    assert_rows(place, names=("live",))


@ON_REAL_SERVERS
def test_compacting_gives_the_same_rows(place: Place) -> None:
    """The other month is compacted, the first one anew into today's layout, and nothing is different."""
    for month in (date(2026, 7, 1), date(2026, 6, 1)):
        compacted = mr.compact_month(place.address, month, now=NOW)
        assert compacted is not None
        assert (compacted.written, compacted.snapshots, compacted.unreadable) == (True, 27, 0)
    assert_rows(place, names=("live",))
    assert_counts(place)


@ON_REAL_SERVERS
def test_it_is_replayed_healed_and_compacted_alike(place: Place) -> None:
    """Replay, backfill and compact have the results that f41ecfa's had, and leave the same rows."""
    host = Host()
    host.reports = {REPORT: SAID[REPORT]}
    assert result("replay", *place.option) == said("replay")[0]
    with host.serving() as url:
        words = ("--reports-url", f"{url}/reports", "--start", "2026-07-01", "--end", "2026-07-02", "--format", "json")
        assert result("backfill", *place.option, *words) == said("backfill")[0]
    period = ("--start", "2026-06-01", "--end", "2026-08-01")
    assert result("compact", *place.option, *period, "--format", "json") == said("compact")[0]
    assert_rows(place, "healed.", ("live", "filled"))
    assert_counts(place, "healed.")


def test_what_was_not_announced_is(place: Place, tmp_path: Path, redis_url: str, kafka_topic: str) -> None:
    """The next run announces what f41ecfa had marked, with the words that f41ecfa had for it."""
    host = Host()
    parts = ("--redis-url", redis_url, "--spool", str(tmp_path / "spool"), "--environment", "prod")
    with host.serving() as url:
        feed = ("--api-url", f"{url}/feed", "--kafka-connection-string", kafka_topic)
        collected = result("collect", *place.option, *parts, *feed)
    assert collected["collected"] == 1
    by_key = itemgetter("key")
    broker, _, topic = kafka_topic.partition("/")
    messages = [json.loads(message.value() or b"") for message in read_messages(broker, topic, expected=4)]
    marked = [message for message in messages if message["key"] not in collected["objects"]]
    for message in marked:
        assert message.pop("location").endswith(place.address.removeprefix("s3:"))
    assert sorted(marked, key=by_key) == sorted(said("announced"), key=by_key)


def test_what_stands_is_not_put_again(place: Place, tmp_path: Path, redis_url: str) -> None:
    """A body that f41ecfa archived, fetched again, is found where it stands; another one goes beside it."""
    host = Host()
    parts = ("--redis-url", redis_url, "--spool", str(tmp_path / "spool"))
    key = "sourcing/miso_binding_constraints_reserve/2026-07-01/binding_constraints_reserve_20260701_0705.json.gz"
    host.body = gzip.decompress(packed("bucket.tar.gz")[key])
    with host.serving() as url:
        collect = ("collect", *place.option, *parts, "--api-url", f"{url}/feed")
        again = result(*collect)
        assert (again["skipped_duplicate"], again["objects"]) == (1, [])
        host.body += b"\n"
        (beside,) = result(*collect)["objects"]
    assert beside.startswith(key.removesuffix("json.gz"))
    assert mr.scan_snapshots(place.address, latest_only=False).collect().height == 55
