"""Archives in S3, read and compacted: the same frames as from a folder, in few requests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl
import pytest

from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import compact_month, months_to_compact
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_archive.simulate.market import snapshot_body
from miso_archive.store.address import store_at
from miso_archive.store.folder import Folder
from miso_archive.store.gzipped import zipped
from miso_archive.store.layout import curated_key, snapshot_key
from tests.s3_archives import SEED, block, fill, frames
from tests.services.proxy import LoopbackServer, both, connection, copy
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Bucket, Services
    from tests.services.s3 import S3Endpoint

JULY = date(2026, 7, 1)
AFTER = datetime(2026, 8, 3, 12, 0, tzinfo=EST)


def same(left: list[pl.DataFrame], right: list[pl.DataFrame]) -> bool:
    """Whether both are the same, rows and types."""
    return all(a.schema == b.schema and a.equals(b) for a, b in zip(left, right, strict=True))


def put_day(bucket: Bucket, day: date, count: int) -> None:
    """Put the first so many snapshots of a market day, as objects alone."""
    for number in range(1, count + 1):
        interval_end = datetime(day.year, day.month, day.day, tzinfo=EST) + timedelta(minutes=5 * number)
        body = zipped(snapshot_body(interval_end, seed=SEED, revision=1))
        bucket.client.put_object(Bucket=bucket.name, Key=snapshot_key(RESERVE, interval_end), Body=body)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> list[pl.DataFrame]:
    """What the archive says when it stands in a folder."""
    folder = tmp_path_factory.mktemp("local")
    fill(Folder(folder))
    found = frames(folder)
    assert len(found[0]) >= 12
    assert len(found[1]) == 16
    assert found[0]["quantity"].null_count() not in {0, len(found[0])}
    return found


class CountingProxy(LoopbackServer):
    """Passes requests on to an S3 server, and remembers their first lines."""

    def __init__(self, upstream: S3Endpoint) -> None:
        super().__init__()
        parts = urlsplit(upstream.url)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self.server = replace(upstream, url=f"http://127.0.0.1:{self.port}")
        self.requests: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        async with connection(*self._upstream) as (upstream_reader, upstream_writer):
            await both(self._counted(reader, upstream_writer), copy(upstream_reader, writer))

    async def _counted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if data.startswith((b"GET ", b"PUT ", b"HEAD ")):
                self.requests.append(data.partition(b"\r\n")[0].decode())
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    def counts(self) -> tuple[int, int]:
        """How many listings and how many gets there were; forgets them."""
        listings = sum("list-type=2" in line for line in self.requests)
        gets = sum(line.startswith("GET ") for line in self.requests) - listings
        assert listings + gets == len(self.requests)
        self.requests.clear()
        return listings, gets


@pytest.fixture
def counting(services: Services, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingProxy]:
    """A counting proxy before the S3 of the bucket, which the environment names."""
    del bucket  # it has set the environment, which is changed here
    with CountingProxy(services.s3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.server.url)
        yield proxy


class TestTheSameFrames:
    @ON_REAL_SERVERS
    @pytest.mark.parametrize(("kind", "folder"), [("address", "team/miso"), ("aws", ""), ("minio", "team/miso")])
    def test_raw_compacted_and_in_part(
        self, services: Services, bucket: Bucket, local: list[pl.DataFrame], folder: str, kind: str
    ) -> None:
        """An address and both kinds of block give the frame of the folder: raw, compacted in part, compacted."""
        fill(store_at(block(services.s3, bucket.name, folder)))
        address = f"s3://{bucket.name}/{folder}".rstrip("/")
        archive = address if kind == "address" else block(services.s3, bucket.name, folder, kind)
        assert same(frames(archive), local)
        for now in (AFTER - timedelta(days=3), AFTER):
            for month in months_to_compact(archive, now=now):
                result = compact_month(archive, month, now=now)
                assert result is not None
            assert same(frames(archive), local)
        prefix = f"{folder}/curated/".removeprefix("/")
        months = [key.removeprefix(prefix).partition("/")[2] for key in bucket.keys(prefix)]
        assert months == [
            f"{table}/2026-{month}.parquet"
            for table in ("constraints", "fetch_times", "snapshots")
            for month in ("07", "08")
        ]
        rows = [len(pl.read_parquet(bucket.body(key))) for key in bucket.keys(prefix)]
        assert sum(rows) == sum(map(len, local)) + len(local[1])

    @ON_REAL_SERVERS
    @pytest.mark.parametrize("folder", ["année #1", "/x~y%20z and blank/"])
    def test_a_folder_of_any_name(
        self, services: Services, bucket: Bucket, local: list[pl.DataFrame], folder: str
    ) -> None:
        """Where the collector puts objects under a block's folder, the reader finds and compaction adds them."""
        archive = block(services.s3, bucket.name, folder)
        fill(store_at(archive))
        compact_month(archive, JULY, now=AFTER)
        assert same(frames(archive), local)
        months = [curated_key(RESERVE, table, JULY) for table in ("constraints", "fetch_times", "snapshots")]
        assert bucket.keys(f"{folder.strip('/')}/curated/") == [f"{folder.strip('/')}/{month}" for month in months]

    @ON_REAL_SERVERS
    def test_while_an_event_loop_runs(self, services: Services, bucket: Bucket, local: list[pl.DataFrame]) -> None:
        """In a thread whose event loop runs, as in Jupyter, reading works as ever."""
        fill(store_at(block(services.s3, bucket.name)))

        address = f"s3://{bucket.name}"

        async def cell() -> tuple[list[pl.DataFrame], pl.DataFrame, list[date]]:
            await asyncio.sleep(0)
            return frames(address), coverage(address, now=AFTER), months_to_compact(address, now=AFTER)

        found, covered, months = asyncio.run(cell())
        assert same(found, local)
        assert covered["collected"].to_list() == [2, 2, 2, 2]
        assert months == [JULY, date(2026, 8, 1)]

    def test_an_empty_bucket_is_an_empty_typed_frame(self, bucket: Bucket, local: list[pl.DataFrame]) -> None:
        """A bucket without an archive has no rows, and the same columns; there is nothing to compact."""
        assert same(frames(f"s3://{bucket.name}"), [frame.clear() for frame in local])
        assert months_to_compact(f"s3://{bucket.name}") == []
        assert compact_month(f"s3://{bucket.name}", JULY, now=AFTER) is None

    @ON_REAL_SERVERS
    def test_a_damaged_object_takes_no_other_down(self, services: Services, bucket: Bucket) -> None:
        """An empty object is left out with a warning that names it, raw and compacted."""
        fill(store_at(block(services.s3, bucket.name)))
        key = snapshot_key(RESERVE, datetime(2026, 7, 31, 12, 0, tzinfo=EST))
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
        for _ in ("raw", "compacted"):
            with pytest.warns(SkippedObjectsWarning, match=key):
                found = scan_snapshots(f"s3://{bucket.name}", latest_only=False).collect()
            assert len(found) == 16
            result = compact_month(f"s3://{bucket.name}", JULY, now=AFTER)
            assert result is not None
            assert result.unreadable == 1

    def test_a_second_compaction_puts_nothing(
        self, services: Services, bucket: Bucket, counting: CountingProxy
    ) -> None:
        """Repeated, compaction reads what stands and lists; nothing is put, no raw object is read."""
        fill(store_at(block(services.s3, bucket.name)))
        first = compact_month(f"s3://{bucket.name}", JULY, now=AFTER)
        assert sum(line.startswith("PUT ") for line in counting.requests) == 3
        counting.requests.clear()
        second = compact_month(f"s3://{bucket.name}", JULY, now=AFTER)
        assert first is not None
        assert second == replace(first, written=False)
        assert counting.counts() == (32, 3)

    def test_more_objects_than_one_listing_tells(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a server tells a few at a time, every object and every folder is found."""
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
        for number in range(10):
            bucket.client.put_object(Bucket=bucket.name, Key=f"a/{number}/x{number}", Body=b"")
            bucket.client.put_object(Bucket=bucket.name, Key=f"b/{number}", Body=b"")
        objects = store_at(f"s3://{bucket.name}")
        digits = [str(number) for number in range(10)]
        assert objects.folders("a") == digits
        assert objects.folders("b") == []
        assert objects.names(["b", "a", "a/7", "none"]) == [digits, [], ["x7"], []]

    def test_answers_come_in_the_order_of_the_questions(self, bucket: Bucket) -> None:
        """Of many objects read at once each is at its key's place, and what is absent is told at its own."""
        keys = [f"a/{number}" for number in range(140)]
        for number in range(0, 140, 2):
            bucket.client.put_object(Bucket=bucket.name, Key=keys[number], Body=str(number).encode())
        found = list(store_at(f"s3://{bucket.name}").read(keys))
        assert found[::2] == [str(number).encode() for number in range(0, 140, 2)]
        assert all(isinstance(one, FileNotFoundError) for one in found[1::2])
        assert list(store_at(f"s3://{bucket.name}").read([])) == []


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a year of one snapshot a month, compacted."""
    folder = tmp_path_factory.mktemp("year")
    for month in range(1, 13):
        interval_end = datetime(2025, month, 1, 8, 10, tzinfo=EST)
        path = folder / snapshot_key(RESERVE, interval_end)
        path.parent.mkdir(parents=True)
        path.write_bytes(zipped(snapshot_body(interval_end, seed=SEED, revision=1)))
        compact_month(folder, interval_end.date(), now=datetime(2026, 2, 1, tzinfo=EST))
    return folder


class TestRequests:
    def test_a_raw_day_is_its_objects_and_four_listings(self, bucket: Bucket, counting: CountingProxy) -> None:
        """One day asked for: what is compacted, twice as it is nothing, two folders, and one get an object."""
        for day in (1, 2, 3):
            put_day(bucket, date(2026, 7, day), 40)
        rows = scan_constraints(f"s3://{bucket.name}", start="2026-07-02", end="2026-07-03").collect()
        assert rows["interval_end"].n_unique() == 40
        assert counting.counts() == (4, 40)

    def test_a_filter_on_the_market_day_asks_for_that_day_alone(self, bucket: Bucket, counting: CountingProxy) -> None:
        """A filter prunes as a period does: one listing more, for the days there are."""
        for day in (1, 2, 3):
            put_day(bucket, date(2026, 7, day), 5)
        scan = scan_constraints(f"s3://{bucket.name}").filter(pl.col("market_day") == date(2026, 7, 2))
        assert scan.collect()["interval_end"].n_unique() == 5
        assert counting.counts() == (5, 5)

    @pytest.mark.parametrize("period", [{}, {"start": "2025-01-01", "end": "2026-01-01"}], ids=["all", "period"])
    def test_a_compacted_year_is_a_handful(
        self, year: Path, bucket: Bucket, counting: CountingProxy, period: dict[str, Any]
    ) -> None:
        """Twelve months are twelve gets; beside them what is compacted, which days there are, and the day before."""
        for path in year.rglob("*.*"):
            key = path.relative_to(year).as_posix()
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=path.read_bytes())
        rows = scan_constraints(f"s3://{bucket.name}", **period).collect()
        assert rows["interval_end"].n_unique() == 12
        assert counting.counts() == ((1, 12) if period else (4, 12))

    def test_coverage_of_a_compacted_month_reads_no_object(self, bucket: Bucket, counting: CountingProxy) -> None:
        """What is compacted is counted from Parquet: one get, a few listings."""
        put_day(bucket, JULY, 20)
        compact_month(f"s3://{bucket.name}", JULY, now=AFTER)
        counting.requests.clear()
        found = coverage(f"s3://{bucket.name}", start="2026-07-01", end="2026-08-01", now=AFTER)
        assert found["collected"].sum() == 20
        assert counting.counts() == (3, 1)

    def test_nothing_is_asked_before_collecting(self, bucket: Bucket, counting: CountingProxy) -> None:
        """A scan is lazy: making it is no request."""
        scan_constraints(f"s3://{bucket.name}")
        assert counting.counts() == (0, 0)
