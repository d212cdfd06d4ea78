"""The archive, the same promises for a folder on disk, for moto and for a real S3 server."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

from miso_archive.contract.body import MOST_BYTES
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.store.address import store_at
from miso_archive.store.folder import Folder
from miso_archive.store.gzipped import zipped
from miso_archive.store.layout import quarantine_key, snapshot_key
from miso_archive.store.put_once import Stored, store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.version import __version__
from tests.services.s3 import S3Endpoint, moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from miso_archive.store.store import Store

FOLDER = "sourcing/miso_binding_constraints_reserve/2026-07-27"
KEY = f"{FOLDER}/binding_constraints_reserve_20260727_0810.json.gz"
REF_ID = "27-Jul-2026 - Interval 08:10 EST"
FETCHED_AT = datetime(2026, 7, 27, 13, 10, 31, 999_999, tzinfo=UTC)


class Place(Protocol):
    """An archive, and the way around it: what another program would see and do."""

    @property
    def archive(self) -> Store: ...

    def keys(self) -> list[str]:
        """Every object but those that hold provenance, sorted."""
        ...

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Put an object as another program would: no metadata, no asking."""
        ...

    def provenance(self, key: str) -> dict[str, str]:
        """What is kept beside an object."""
        ...


@dataclass(frozen=True)
class OnDisk:
    """A folder on disk."""

    root: Path
    archive: Store

    def keys(self) -> list[str]:
        """Every object but those that hold provenance, sorted."""
        names = (str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())
        return sorted(name for name in names if not name.startswith("provenance/"))

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return (self.root / key).read_bytes()

    def put(self, key: str, data: bytes) -> None:
        """Put an object as another program would."""
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def provenance(self, key: str) -> dict[str, str]:
        """What is kept beside an object: a file of its own."""
        name = key.replace("sourcing/", "provenance/").replace(".json.gz", ".json")
        return dict(json.loads((self.root / name).read_bytes()))


@dataclass(frozen=True)
class InBucket:
    """A bucket."""

    name: str
    client: Any
    archive: Store

    def keys(self) -> list[str]:
        """Every object, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def put(self, key: str, data: bytes) -> None:
        """Put an object as another program would."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def provenance(self, key: str) -> dict[str, str]:
        """What is kept beside an object: its metadata."""
        return dict(self.client.head_object(Bucket=self.name, Key=key)["Metadata"])


@pytest.fixture(
    scope="module",
    params=[
        "folder",
        pytest.param("moto", marks=pytest.mark.servers),
        pytest.param("real S3", marks=pytest.mark.services),
    ],
)
def endpoint(request: pytest.FixtureRequest) -> Iterator[S3Endpoint | None]:
    """An S3 server, or none: the archive is a folder."""
    if request.param == "moto":
        with moto_server() as server:
            yield server
    else:
        yield S3Endpoint.from_environment() if request.param == "real S3" else None


@pytest.fixture
def place(endpoint: S3Endpoint | None, tmp_path: Path) -> Place:
    """An empty archive."""
    if endpoint is None:
        return OnDisk(tmp_path / "data", Folder(tmp_path / "data"))
    name, client = f"bucket-{uuid.uuid4()}", endpoint.client()
    client.create_bucket(Bucket=name)
    credentials = AwsCredentials(
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        region_name=endpoint.region,
        aws_client_parameters=AwsClientParameters(endpoint_url=endpoint.url),
    )
    return InBucket(name, client, store_at(S3Bucket(bucket_name=name, credentials=credentials)))


def body_of(price: str = "-0.16", ref_id: str = REF_ID) -> bytes:
    """A body of the live shape."""
    row = {
        "Name": "RDT_SO_MW (South_North) - STR",
        "Period": "2026-07-27T08:10:00",
        "Price": price,
        "Description": "STR",
    }
    return json.dumps({"RefId": ref_id, "Constraint": [row]}).encode()


def response_of(body: bytes, fetched_at: datetime = FETCHED_AT) -> Response:
    """A body as if it had been fetched."""
    return Response(body, fetched_at, "https://feed.test/Reserve", "application/json")


def revision_key(body: bytes) -> str:
    """The key of a body whose interval is taken by another."""
    return KEY.replace(".json.gz", f".{hashlib.sha256(body).hexdigest()[:12]}.json.gz")


def store(place: Place, body: bytes) -> Stored:
    """Store a body of the interval 08:10."""
    snapshot = RESERVE.examine(body).snapshot
    assert snapshot is not None
    return store_snapshot(place.archive, RESERVE, snapshot, response_of(body))


def refuse(place: Place, body: bytes, fetched_at: datetime = FETCHED_AT) -> str:
    """Keep a refused body."""
    return store_refused(place.archive, RESERVE, response_of(body, fetched_at), RESERVE.examine(body).reasons)


class TestKeys:
    @pytest.mark.parametrize(
        ("interval_end", "expected"),
        [
            (datetime(2026, 7, 27, 8, 10, tzinfo=EST), "2026-07-27/binding_constraints_reserve_20260727_0810"),
            (datetime(2026, 7, 27, 13, 10, tzinfo=UTC), "2026-07-27/binding_constraints_reserve_20260727_0810"),
            (datetime(2026, 7, 28, 5, 0, tzinfo=UTC), "2026-07-28/binding_constraints_reserve_20260728_0000"),
            (datetime(2026, 7, 28, 4, 55, tzinfo=UTC), "2026-07-27/binding_constraints_reserve_20260727_2355"),
            (datetime(2026, 1, 1, 4, 59, tzinfo=UTC), "2025-12-31/binding_constraints_reserve_20251231_2359"),
        ],
        ids=["EST", "UTC", "midnight", "before midnight", "off the grid"],
    )
    def test_a_key_is_the_label_in_est(self, interval_end: datetime, expected: str) -> None:
        """A snapshot's key spells its own label in EST, all year; the label 00:00 stands under its own date."""
        path = f"sourcing/miso_binding_constraints_reserve/{expected}"
        assert snapshot_key(RESERVE, interval_end) == f"{path}.json.gz"
        assert snapshot_key(RESERVE, interval_end, revision_of="0123456789abcdef") == f"{path}.0123456789ab.json.gz"

    @pytest.mark.parametrize(
        ("fetched_at", "day"),
        [
            (datetime(2026, 7, 28, 4, 59, 59, tzinfo=UTC), "2026-07-27"),
            (datetime(2026, 7, 28, 5, tzinfo=UTC), "2026-07-28"),
        ],
    )
    def test_a_refused_body_is_filed_under_the_day_in_est(self, fetched_at: datetime, day: str) -> None:
        """A refused body has no label of its own: its key is the day it was fetched, in EST, and its SHA-256."""
        assert quarantine_key(RESERVE, response_of(b"x", fetched_at)) == (
            f"quarantine/miso_binding_constraints_reserve/{day}/refused_{hashlib.sha256(b'x').hexdigest()}"
        )

    @pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 1000])
    def test_zipping_is_the_same_at_any_time(self, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same body gives the same gzip bytes whenever it is done, so that a put repeated is the same put."""
        first = zipped(body)
        monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
        assert zipped(body) == first
        assert gzip.decompress(first) == body


class TestPutIfAbsent:
    def test_an_object_is_put_once(self, place: Place) -> None:
        """The first put of a key wins, and what it put stays as it is."""
        assert place.archive.put_if_absent(KEY, b"first", {})
        assert not place.archive.put_if_absent(KEY, b"second", {})
        assert place.read(KEY) == b"first"
        assert place.keys() == [KEY]

    def test_eight_puts_at_once_have_one_winner(self, place: Place) -> None:
        """Of eight puts of one key at once a single one succeeds, and its bytes are those that stand."""
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda number: place.archive.put_if_absent(KEY, b"%d" % number, {}), range(8)))
        assert sum(won) == 1
        assert place.read(KEY) == b"%d" % won.index(True)
        assert place.keys() == [KEY]

    def test_the_hash_of_what_stands_is_found(self, place: Place) -> None:
        """The SHA-256 of an object is that of its content, however it was compressed and by whom."""
        place.put(KEY, gzip.compress(b"content", compresslevel=1))
        assert place.archive.sha256_of(KEY) == hashlib.sha256(b"content").hexdigest()


class TestSnapshots:
    def test_the_body_is_archived_byte_for_byte(self, place: Place) -> None:
        """The object's content is the body as it was fetched, under the interval's key."""
        body = body_of()
        assert store(place, body) == Stored(KEY, written=True)
        assert gzip.decompress(place.read(KEY)) == body
        assert place.keys() == [KEY]

    def test_the_same_body_is_the_same_object(self, place: Place) -> None:
        """A body stored again finds its own object, byte-stable, and writes nothing."""
        store(place, body_of())
        before = place.read(KEY)
        assert store(place, body_of()) == Stored(KEY, written=False)
        assert place.read(KEY) == before
        assert place.keys() == [KEY]

    def test_a_revision_stands_beside_the_first(self, place: Place) -> None:
        """Other bytes for the same interval are an object of their own; both are kept."""
        first, second = body_of("-1"), body_of("-2")
        store(place, first)
        assert store(place, second) == Stored(revision_key(second), written=True)
        assert gzip.decompress(place.read(KEY)) == first
        assert gzip.decompress(place.read(revision_key(second))) == second
        assert place.keys() == sorted([KEY, revision_key(second)])

    def test_every_body_finds_its_own_object_again(self, place: Place) -> None:
        """After revisions, each body of the interval that comes again finds where it stands."""
        bodies = [body_of(price) for price in ("-1", "-2", "-3")]
        keys = [store(place, body).key for body in bodies]
        assert keys == [KEY, revision_key(bodies[1]), revision_key(bodies[2])]
        assert [store(place, body) for body in bodies] == [Stored(key, written=False) for key in keys]
        assert place.keys() == sorted(keys)

    def test_eight_runs_at_once_store_one_object(self, place: Place) -> None:
        """Eight runs with the same body end with one object, which one of them wrote."""
        with ThreadPoolExecutor(8) as pool:
            stored = list(pool.map(lambda _: store(place, body_of()), range(8)))
        assert sorted(one.written for one in stored) == [False] * 7 + [True]
        assert {one.key for one in stored} == {KEY}
        assert place.keys() == [KEY]

    def test_eight_revisions_at_once_are_all_kept(self, place: Place) -> None:
        """Eight bodies of one interval at once are eight objects: one under its key, seven beside it."""
        bodies = [body_of(f"-{number}") for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            stored = list(pool.map(lambda body: store(place, body), bodies))
        assert all(one.written for one in stored)
        assert sum(one.key == KEY for one in stored) == 1
        assert place.keys() == sorted(one.key for one in stored)
        assert [gzip.decompress(place.read(one.key)) for one in stored] == bodies

    @pytest.mark.parametrize("ref_id", [REF_ID, "27-Jul-2026, 08:10 EST", "  27-JUL-2026  -  Interval   8:10  EST  "])
    def test_provenance_is_kept(self, place: Place, ref_id: str) -> None:
        """Beside a snapshot, and beside a revision, stands where it comes from, in five words and no more."""
        for price in ("-1", "-2"):
            body = body_of(price, ref_id)
            provenance = place.provenance(store(place, body).key)
            spelled = provenance.pop("ref-id")
            assert spelled.split() == ref_id.split()
            assert provenance == {
                "sha256": hashlib.sha256(body).hexdigest(),
                "fetched-at": "2026-07-27T13:10:31Z",
                "source-url": "https://feed.test/Reserve",
                "collector-version": __version__,
            }

    def test_provenance_stays_that_of_the_first_fetch(self, place: Place) -> None:
        """Storing a body again does not change what is kept of its first fetch."""
        snapshot = RESERVE.examine(body_of()).snapshot
        assert snapshot is not None
        store(place, body_of())
        later = response_of(body_of(), datetime(2027, 1, 1, tzinfo=UTC))
        store_snapshot(place.archive, RESERVE, snapshot, later)
        assert place.provenance(KEY)["fetched-at"] == "2026-07-27T13:10:31Z"


WHOLE = gzip.compress(body_of())


class TestForeignObjects:
    @pytest.mark.parametrize(
        "foreign",
        [
            b"",
            b"plain text",
            WHOLE[:5],
            WHOLE[: len(WHOLE) // 2],
            WHOLE[:-1],
            WHOLE[:-8] + bytes(8),
            WHOLE[:20] + bytes(10) + WHOLE[30:],
            WHOLE + b"rubbish",
            gzip.compress(b"another body"),
        ],
        ids=["empty", "text", "stub", "half", "cut", "wrong checksum", "damaged", "rubbish behind", "another body"],
    )
    def test_a_foreign_object_is_never_overwritten(self, place: Place, foreign: bytes) -> None:
        """What another program put or damaged stays as it is, and the body is stored beside it, once."""
        place.put(KEY, foreign)
        body = body_of()
        assert store(place, body) == Stored(revision_key(body), written=True)
        assert store(place, body) == Stored(revision_key(body), written=False)
        assert place.read(KEY) == foreign
        assert gzip.decompress(place.read(revision_key(body))) == body

    @pytest.mark.parametrize(
        "data", [gzip.compress(body_of(), 1, mtime=1), WHOLE[:0] + zipped(b"") + zipped(body_of())]
    )
    def test_the_same_body_of_another_program_is_found(self, place: Place, data: bytes) -> None:
        """The same body, compressed by another program in its own way, counts as archived."""
        place.put(KEY, data)
        assert store(place, body_of()) == Stored(KEY, written=False)
        assert place.read(KEY) == data


class TestQuarantine:
    def test_body_and_reasons_are_kept(self, place: Place) -> None:
        """A refused body is kept as it came, and beside it why, when and where from."""
        body = b'{"error":"no data"}'
        key = refuse(place, body)
        sha256 = hashlib.sha256(body).hexdigest()
        stem = f"quarantine/miso_binding_constraints_reserve/2026-07-27/refused_{sha256}"
        assert key == f"{stem}.body.gz"
        assert place.keys() == [key, f"{stem}.reasons.json"]
        assert gzip.decompress(place.read(key)) == body
        report = json.loads(place.read(f"{stem}.reasons.json"))
        assert [reason["code"] for reason in report.pop("reasons")] == ["error_payload"]
        assert report == {
            "sha256": sha256,
            "fetched-at": "2026-07-27T13:10:31Z",
            "source-url": "https://feed.test/Reserve",
            "collector-version": __version__,
            "content-type": "application/json",
            "cut": False,
        }

    def test_each_reason_has_code_place_and_message(self, place: Place) -> None:
        """The reasons kept are those of the contract, each with its code, its place and its sentence."""
        body = body_of("many").replace(b"STR", b"\xc3\xa9")
        stem = refuse(place, body).removesuffix(".body.gz")
        reasons = json.loads(place.read(f"{stem}.reasons.json"))["reasons"]
        assert reasons == [reason.as_dict() for reason in RESERVE.examine(body).reasons]
        assert [set(reason) for reason in reasons] == [{"code", "where", "message"}]

    def test_the_same_body_is_kept_once_a_day(self, place: Place) -> None:
        """A body refused again is kept once on a day, with its first reasons, and anew on another."""
        first = refuse(place, b"<html>")
        before = place.read(first.replace(".body.gz", ".reasons.json"))
        assert refuse(place, b"<html>", datetime(2026, 7, 27, 23, 0, tzinfo=UTC)) == first
        assert place.read(first.replace(".body.gz", ".reasons.json")) == before
        assert len(place.keys()) == 2
        assert refuse(place, b"<html>", datetime(2026, 7, 29, tzinfo=UTC)) != first
        assert len(place.keys()) == 4

    def test_different_bodies_are_kept_apart(self, place: Place) -> None:
        """Two refused bodies of one day are two."""
        assert refuse(place, b"<html>") != refuse(place, b"<html >")
        assert len(place.keys()) == 4

    @pytest.mark.parametrize("body", [b"", b"\x00\xff"])
    def test_any_body_can_be_kept(self, place: Place, body: bytes) -> None:
        """An empty body or plain garbage is kept like any other."""
        assert gzip.decompress(place.read(refuse(place, body))) == body

    @pytest.mark.parametrize(("length", "cut"), [(MOST_BYTES, False), (MOST_BYTES + 1, True)])
    def test_a_cut_body_is_marked(self, place: Place, length: int, *, cut: bool) -> None:
        """A body that was too large to be read whole is kept as far as it was read, and says so."""
        stem = refuse(place, b" " * length).removesuffix(".body.gz")
        assert json.loads(place.read(f"{stem}.reasons.json"))["cut"] is cut
