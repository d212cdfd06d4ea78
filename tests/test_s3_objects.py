"""Archives in S3, read and compacted: the same frames as from a folder, in few requests, and errors that help."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl
import pytest
from prefect_aws import AwsClientParameters, AwsCredentials, MinIOCredentials, S3Bucket

from miso_reserve.archive import snapshot_key, store_snapshot, zipped
from miso_reserve.compaction import compact_month, months_to_compact
from miso_reserve.completeness import coverage
from miso_reserve.curated import curated_key
from miso_reserve.dataset import RESERVE
from miso_reserve.interval import EST
from miso_reserve.local_archive import open_folder
from miso_reserve.objects import ArchiveError
from miso_reserve.reader import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_reserve.response import Response
from miso_reserve.s3_archive import S3Archive
from miso_reserve.s3_objects import objects_at, objects_of_block
from miso_reserve.simulate.market import documented_body, snapshot_body
from tests.services.process import free_port
from tests.services.proxy import FaultProxy, LoopbackServer, both, connection, copy
from tests.services.s3 import S3Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from miso_reserve.archive import Archive
    from miso_reserve.archive_address import ArchiveAddress
    from tests.conftest import Bucket, Services

SEED = 307
SECRET = "hunter2"  # noqa: S105 - opens nothing
JULY = date(2026, 7, 1)
AFTER = datetime(2026, 8, 3, 12, 0, tzinfo=EST)


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


def fill(archive: Archive) -> None:
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


def frames(archive: ArchiveAddress) -> list[pl.DataFrame]:
    """All rows of both tables."""
    return [scan(archive, latest_only=False).collect() for scan in (scan_constraints, scan_snapshots)]


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
    fill(open_folder(folder))
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


class StumblingProxy(FaultProxy):
    """Resets so many connections, and passes on those that follow."""

    def __init__(self, upstream: S3Endpoint) -> None:
        parts = urlsplit(upstream.url)
        super().__init__(str(parts.hostname), int(parts.port or 80))
        self.resets = 2

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, or reset it."""
        self.mode = "refuse" if self.resets else "pass"
        self.resets -= bool(self.resets)
        await super().handle(reader, writer)


@pytest.fixture
def counting(services: Services, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingProxy]:
    """A counting proxy before the S3 of the bucket, which the environment names."""
    del bucket  # it has set the environment, which is changed here
    with CountingProxy(services.s3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.server.url)
        yield proxy


class TestTheSameFrames:
    @pytest.mark.parametrize(("kind", "folder"), [("address", "team/miso"), ("aws", ""), ("minio", "team/miso")])
    def test_raw_compacted_and_in_part(
        self, services: Services, bucket: Bucket, local: list[pl.DataFrame], folder: str, kind: str
    ) -> None:
        """An address and both kinds of block give the frame of the folder: raw, compacted in part, compacted."""
        fill(S3Archive(block(services.s3, bucket.name, folder)))
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
            f"{table}/2026-{month}.parquet" for table in ("constraints", "snapshots") for month in ("07", "08")
        ]
        assert sum(len(pl.read_parquet(bucket.body(key))) for key in bucket.keys(f"{prefix}")) == sum(map(len, local))

    @pytest.mark.parametrize("folder", ["année #1", "/x~y%20z and blank/"])
    def test_a_folder_of_any_name(
        self, services: Services, bucket: Bucket, local: list[pl.DataFrame], folder: str
    ) -> None:
        """Where the collector puts objects under a block's folder, the reader finds and compaction adds them."""
        archive = block(services.s3, bucket.name, folder)
        fill(S3Archive(archive))
        compact_month(archive, JULY, now=AFTER)
        assert same(frames(archive), local)
        months = [curated_key(RESERVE, table, JULY) for table in ("constraints", "snapshots")]
        assert bucket.keys(f"{folder.strip('/')}/curated/") == [f"{folder.strip('/')}/{month}" for month in months]

    def test_while_an_event_loop_runs(self, services: Services, bucket: Bucket, local: list[pl.DataFrame]) -> None:
        """In a thread whose event loop runs, as in Jupyter, reading works as ever."""
        fill(S3Archive(block(services.s3, bucket.name)))

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

    def test_a_damaged_object_takes_no_other_down(self, services: Services, bucket: Bucket) -> None:
        """An empty object is left out with a warning that names it, raw and compacted."""
        fill(S3Archive(block(services.s3, bucket.name)))
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
        fill(S3Archive(block(services.s3, bucket.name)))
        first = compact_month(f"s3://{bucket.name}", JULY, now=AFTER)
        assert sum(line.startswith("PUT ") for line in counting.requests) == 2
        counting.requests.clear()
        second = compact_month(f"s3://{bucket.name}", JULY, now=AFTER)
        assert first is not None
        assert second == replace(first, written=False)
        assert counting.counts() == (32, 2)

    def test_more_objects_than_one_listing_tells(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a server tells a few at a time, every object and every folder is found."""
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
        for number in range(10):
            bucket.client.put_object(Bucket=bucket.name, Key=f"a/{number}/x{number}", Body=b"")
            bucket.client.put_object(Bucket=bucket.name, Key=f"b/{number}", Body=b"")
        objects = objects_at(f"s3://{bucket.name}")
        digits = [str(number) for number in range(10)]
        assert objects.folders("a") == digits
        assert objects.folders("b") == []
        assert objects.names(["b", "a", "a/7", "none"]) == [digits, [], ["x7"], []]

    def test_answers_come_in_the_order_of_the_questions(self, bucket: Bucket) -> None:
        """Of many objects read at once each is at its key's place, and what is absent is told at its own."""
        keys = [f"a/{number}" for number in range(140)]
        for number in range(0, 140, 2):
            bucket.client.put_object(Bucket=bucket.name, Key=keys[number], Body=str(number).encode())
        found = list(objects_at(f"s3://{bucket.name}").read(keys))
        assert found[::2] == [str(number).encode() for number in range(0, 140, 2)]
        assert all(isinstance(one, FileNotFoundError) for one in found[1::2])
        assert list(objects_at(f"s3://{bucket.name}").read([])) == []


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
    def test_a_raw_day_is_its_objects_and_three_listings(self, bucket: Bucket, counting: CountingProxy) -> None:
        """One day asked for: what is compacted, two folders, and one get an object; other days are not touched."""
        for day in (1, 2, 3):
            put_day(bucket, date(2026, 7, day), 40)
        rows = scan_constraints(f"s3://{bucket.name}", start="2026-07-02", end="2026-07-03").collect()
        assert rows["interval_end"].n_unique() == 40
        assert counting.counts() == (3, 40)

    def test_a_filter_on_the_market_day_asks_for_that_day_alone(self, bucket: Bucket, counting: CountingProxy) -> None:
        """A filter prunes as a period does: one listing more, for the days there are."""
        for day in (1, 2, 3):
            put_day(bucket, date(2026, 7, day), 5)
        scan = scan_constraints(f"s3://{bucket.name}").filter(pl.col("market_day") == date(2026, 7, 2))
        assert scan.collect()["interval_end"].n_unique() == 5
        assert counting.counts() == (4, 5)

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
        assert counting.counts() == (2, 1)

    def test_nothing_is_asked_before_collecting(self, bucket: Bucket, counting: CountingProxy) -> None:
        """A scan is lazy: making it is no request."""
        scan_constraints(f"s3://{bucket.name}")
        assert counting.counts() == (0, 0)


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Endpoint:
    """An environment with made-up keys for a server that is not there."""
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    server = S3Endpoint(f"http://127.0.0.1:{free_port()}", "AKIANOBODY", SECRET)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


def trouble(call: Callable[[], object], seconds: float = 8) -> str:
    """The message of the ArchiveError that a call ends with, soon."""
    begin = time.monotonic()
    with pytest.raises(ArchiveError) as caught:
        call()
    assert time.monotonic() - begin < seconds
    message = str(caught.value)
    assert SECRET not in message
    assert message.isprintable()
    assert message.isascii()
    assert len(message) < 500
    return message


class TestErrors:
    def test_a_bucket_that_is_not_there(self, services: Services, bucket: Bucket) -> None:
        """A wrong name is told with the name and S3's own word, by reading, counting, compacting and writing."""
        del bucket  # it has set the environment
        name = f"bucket-{uuid.uuid4()}"
        address = f"s3://{name}/folder"
        told = f"{address} cannot be read: NoSuchBucket. Check bucket"
        assert trouble(lambda: scan_constraints(address).collect()).startswith(told)
        assert trouble(lambda: coverage(address)).startswith(told)
        assert trouble(lambda: months_to_compact(address)).startswith(told)
        assert trouble(lambda: objects_of_block(block(services.s3, name, "folder")).folders("x")).startswith(told)
        written = trouble(lambda: objects_at(address).replace("key", b"data"))
        assert written.startswith(f"{address} cannot be written: NoSuchBucket. Check bucket")

    def test_a_refused_connection(self, nobody: S3Endpoint) -> None:
        """Where nobody listens the error comes within seconds and names the bucket."""
        for call in (
            lambda: scan_constraints("s3://bucket").collect(),
            lambda: objects_at("s3://bucket").replace("key", b"data"),
            lambda: scan_constraints(block(nobody, "bucket")).collect(),
        ):
            assert trouble(call).startswith("s3://bucket cannot be ")

    def test_no_credentials(self, nobody: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without credentials nothing is asked: the error names the bucket and what is missing."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        told = "no AWS credentials are found for s3://bucket/folder: "
        assert trouble(lambda: scan_constraints("s3://bucket/folder")).startswith(told)
        bare = S3Bucket(bucket_name="bucket", bucket_folder="folder", credentials=AwsCredentials())
        assert trouble(lambda: scan_constraints(bare)).startswith(told)
        assert nobody.access_key

    @pytest.mark.usefixtures("nobody")
    def test_an_unknown_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A profile that AWS does not know is named."""
        monkeypatch.setenv("AWS_PROFILE", "no such")
        assert "no such" in trouble(lambda: scan_constraints("s3://bucket"))

    @pytest.mark.usefixtures("nobody")
    def test_an_empty_profile_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty variable counts as not set."""
        monkeypatch.setenv("AWS_PROFILE", "")
        assert objects_at("s3://bucket").location == "s3://bucket"

    def test_a_role_that_cannot_be_taken(self, nobody: S3Endpoint, tmp_path: Path, monkeypatch: Any) -> None:  # noqa: ANN401 - pytest's
        """Credentials that fail when they are first needed are an ArchiveError as well."""
        (tmp_path / "config").write_text(
            "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = own\n"
            f"[profile own]\naws_access_key_id = {nobody.access_key}\naws_secret_access_key = {SECRET}\n"
        )
        monkeypatch.setenv("AWS_PROFILE", "role")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        told = trouble(lambda: scan_constraints("s3://bucket").collect())
        assert told.startswith("s3://bucket cannot be read: ")
        assert "credential" in told

    @pytest.mark.services
    @pytest.mark.parametrize("wrong", ["secret_key", "access_key"])
    def test_wrong_keys(self, wrong: str) -> None:
        """A real server's refusal is told with the bucket and S3's own word, and never tried for long."""
        server = S3Endpoint.from_environment()
        name = f"bucket-{uuid.uuid4()}"
        server.client().create_bucket(Bucket=name)
        archive = block(replace(server, **{wrong: SECRET}), name)
        told = trouble(lambda: scan_constraints(archive).collect())
        code = {"secret_key": "SignatureDoesNotMatch", "access_key": "InvalidAccessKeyId"}[wrong]
        assert told.startswith(f"s3://{name} cannot be read: {code}. ")
        assert server.secret_key not in told

    @pytest.mark.services
    def test_a_block_reads_with_its_own_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wrong keys in the environment do not come before those of a block."""
        server = S3Endpoint.from_environment()
        name = f"bucket-{uuid.uuid4()}"
        server.client().create_bucket(Bucket=name)
        for variable, value in replace(server, access_key="nobody", secret_key=SECRET).environment().items():
            monkeypatch.setenv(variable, value)
        fill(S3Archive(block(server, name)))
        assert len(frames(block(server, name))[1]) == 16

    @pytest.mark.parametrize("address", ["s3://", "s3:///folder", "s3://bucket?region=x", "s3://bucket#1"])
    def test_an_address_without_a_bucket(self, address: str) -> None:
        """What names no bucket is told before anything is asked."""
        assert "s3://bucket or s3://bucket/folder" in trouble(lambda: objects_at(address))

    @pytest.mark.usefixtures("nobody")
    def test_a_folder_that_no_object_can_have(self) -> None:
        """An empty part in a folder's name is told, with the address."""
        assert trouble(lambda: objects_at("s3://bucket/a//b")).startswith(
            "no S3 client can be made for s3://bucket/a//b"
        )

    @pytest.mark.usefixtures("nobody")
    def test_a_certificate_that_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bundle of certificates that is not there or is none fails when the client is made."""
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
        assert trouble(lambda: objects_at("s3://bucket")).startswith("no S3 client can be made for s3://bucket")

    def test_a_connection_that_breaks_is_made_again(self, services: Services, bucket: Bucket) -> None:
        """A server that resets some connections costs time, not the reading; one that resets all is told."""
        fill(S3Archive(block(services.s3, bucket.name)))
        with StumblingProxy(services.s3) as proxy:
            archive = block(replace(services.s3, url=f"http://127.0.0.1:{proxy.port}"), bucket.name)
            assert len(frames(archive)[1]) == 16
            assert proxy.resets == 0
            proxy.resets = 1000
            assert trouble(lambda: frames(archive)).startswith(f"s3://{bucket.name} cannot be read: ")
