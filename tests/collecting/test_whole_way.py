"""Every recorded body through the whole way: command line, folder and S3, Redis, Kafka, and back as frames."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.feeds import FEEDS, KNOWN
from miso_archive.simulate import Reply
from tests.collecting.recorded_host import RECORDED, RecordedHost, as_json, result_of_one
from tests.feeds.figures import FIGURES, figures
from tests.services.kafka import mock_cluster, read_messages
from tests.services.real import ON_REAL_SERVERS
from tests.services.valkey import embedded_valkey
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from miso_archive.contract.rows import Doubt
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed
    from tests.conftest import Bucket

pytestmark = pytest.mark.slow("runs the commands, and waits for their ends")

NAMES: Final = ",".join(FEEDS)


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A broker of this file's own: topics are called as the datasets."""
    with mock_cluster() as broker:
        yield broker


@pytest.fixture
def host() -> Iterator[RecordedHost]:
    """The host of all feeds."""
    with RecordedHost() as serving:
        yield serving


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """A Redis of this file's own: what it shows is the same on any, so the way into S3 alone runs on each tier's."""
    with embedded_valkey() as url:
        yield url


@pytest.fixture
def registry(valkey: str) -> str:
    """It is empty."""
    with Redis.from_url(valkey) as client:
        client.flushdb()
    return valkey


def collected(capsys: pytest.CaptureFixture[str], archive: Path | Bucket, *options: str) -> tuple[int, dict[str, Any]]:
    """Collect by the command line; return the exit code and the result."""
    to = ["--local", str(archive)] if isinstance(archive, Path) else ["--s3-bucket", archive.name]
    code = main(["collect", *to, *options])
    return code, as_json(capsys.readouterr().out)


def place(archive: Path | Bucket) -> str:
    """What an archive is named by where it is read."""
    return str(archive) if isinstance(archive, Path) else f"s3://{archive.name}"


def kept(archive: Path | Bucket, key: str) -> tuple[bytes, dict[str, str]]:
    """An object and its provenance."""
    if not isinstance(archive, Path):
        return archive.body(key), archive.metadata(key)
    provenance = key.replace("sourcing/", "provenance/").replace(".json.gz", ".json")
    return (archive / key).read_bytes(), json.loads((archive / provenance).read_bytes())


def hold_one(  # noqa: PLR0913, PLR0917 - the parts of the whole
    capsys: pytest.CaptureFixture[str], feed: Feed, archive: Path | Bucket, host: RecordedHost, redis: str, kafka: str
) -> None:
    """Hold the whole way of one recorded body: object, provenance, registration, message, rows; it is known again."""
    expected, environment = RECORDED[feed.name], "prod"
    topic = f"{kafka}/{feed.dataset}-{uuid.uuid4()}"
    options = ["--feed", feed.name, "--api-base", host.base_url, "--redis-url", redis, "--environment", environment]
    assert collected(capsys, archive, *options, "--kafka-connection-string", topic) == (0, result_of_one(feed.name))
    sent = feed.recorded.read_bytes()
    sha256 = hashlib.sha256(sent).hexdigest()
    body, provenance = kept(archive, expected.key)
    assert gzip.decompress(body) == sent
    assert (provenance["sha256"], provenance["environment"]) == (sha256, environment)
    assert provenance["source-url"] == f"{host.base_url}/{feed.path}"
    with Redis.from_url(redis, decode_responses=True) as client:
        assert client.keys("*") == [f"hash:{environment}:{feed.dataset}:{sha256}"]
    (message,) = read_messages(kafka, topic.rpartition("/")[2], expected=1)
    told = as_json(message.value())
    assert (message.key() or b"").decode() == sha256 == told["sha256"]
    assert (told["dataset"], told["key"], told["rows"]) == (feed.dataset, expected.key, expected.rows)
    assert told.get("constraint_count") == (expected.rows["constraints"] if feed.contract.quiet else None)
    read = {
        table.name: mr.scan(place(archive), feed.name, table.name).collect().height for table in feed.contract.tables
    }
    assert read == expected.rows
    code, again = collected(capsys, archive, *options)
    assert (code, again["skipped_duplicate"], again["objects"]) == (0, 1, [])


@pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
def test_a_recorded_body_is_archived_announced_registered_and_read(  # noqa: PLR0913, PLR0917 - the parts of the whole
    feed: Feed, tmp_path: Path, host: RecordedHost, registry: str, kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte under its dataset's key, with where it comes from, its topic, rows and registration."""
    hold_one(capsys, feed, tmp_path / "data", host, registry, kafka)


@pytest.mark.parametrize("name", ["asm_mcp", "subregional"])
def test_a_recorded_body_goes_the_same_way_into_s3(  # noqa: PLR0913, PLR0917 - the parts of the whole
    name: str, bucket: Bucket, host: RecordedHost, redis_url: str, kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of two tables, and one in which nothing binds."""
    hold_one(capsys, FEEDS[name], bucket, host, redis_url, kafka)


def hold_all(capsys: pytest.CaptureFixture[str], archive: Path | Bucket, host: RecordedHost, redis: str) -> None:
    """Hold a run of all feeds: each link is asked once; topics are the datasets; the frames have what was sent."""
    options = ["--feed", "all", "--api-base", host.base_url, "--redis-url", redis]
    with mock_cluster() as kafka:
        code, result = collected(capsys, archive, *options, "--kafka-connection-string", kafka)
        assert code == 0
        assert result.pop("feeds") == {name: result_of_one(name) for name in FEEDS}
        assert result == {"total_candidates": 7, "collected": 7, "skipped_duplicate": 0, "failed": 0}
        assert host.asked == dict.fromkeys(FEEDS, 1)
        for feed in FEEDS.values():
            (message,) = read_messages(kafka, feed.dataset, expected=1)
            assert as_json(message.value())["key"] == RECORDED[feed.name].key
    assert figures(place(archive)) == FIGURES


def test_all_feeds_in_one_run_come_to_the_figures_that_were_published(
    tmp_path: Path, host: RecordedHost, registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder."""
    hold_all(capsys, tmp_path / "data", host, registry)


@ON_REAL_SERVERS
def test_all_feeds_in_one_run_come_to_them_in_s3(
    bucket: Bucket, host: RecordedHost, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So they do in a bucket."""
    hold_all(capsys, bucket, host, redis_url)


def test_one_that_fails_holds_none_of_the_others(
    tmp_path: Path, host: RecordedHost, registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, the result says whose reason it was, and what the others came to is theirs."""
    host.replies = {"fuel_mix": Reply(404), "snapshot": Reply(body=b'{"error":"no data"}')}
    options = ["--feed", NAMES, "--api-base", host.base_url, "--redis-url", registry]
    code, result = collected(capsys, tmp_path / "data", *options)
    assert (code, result["failed"], result["collected"]) == (1, 2, 5)
    codes = {name: [error["code"] for error in one["errors"]] for name, one in result["feeds"].items()}
    assert {name: found for name, found in codes.items() if found} == {
        "fuel_mix": ["feed_status"],
        "snapshot": ["error_payload"],
    }
    assert [one["objects"] for name, one in result["feeds"].items() if name not in host.replies] == [
        [RECORDED[name].key] for name in FEEDS if name not in host.replies
    ]


def test_an_error_that_nobody_foresaw_costs_the_others_nothing(
    host: RecordedHost,
    tmp_path: Path,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log has its traceback and whose it is, the result says so by a code, and the exit code is 1."""

    def breaks(_snapshot: Snapshot) -> Iterable[Doubt]:
        raise ZeroDivisionError("a secret")

    contract = replace(FEEDS["fuel_mix"].contract, checks=(breaks,))
    monkeypatch.setitem(KNOWN, "fuel_mix", replace(FEEDS["fuel_mix"], contract=contract))
    options = ["--feed", "fuel_mix,snapshot", "--api-base", host.base_url, "--redis-url", redis_url]
    code = main(["collect", "--local", str(tmp_path / "data"), *options])
    printed = capsys.readouterr()
    result = as_json(printed.out)
    assert (code, result["failed"]) == (1, 1)
    feeds = cast("dict[str, Any]", result["feeds"])
    assert feeds["snapshot"] == result_of_one("snapshot")
    (error,) = feeds["fuel_mix"]["errors"]
    assert (error["code"], "ZeroDivisionError" in error["message"]) == ("unforeseen", True)
    assert "secret" not in printed.out
    assert "fuel_mix: an error that nobody foresaw\nTraceback " in printed.err


def test_a_process_that_is_told_to_end_does_not_poll_on(host: RecordedHost, tmp_path: Path) -> None:
    """While all feeds wait for their slots a stop by a container ends them at once, and what they opened."""
    data = tmp_path / "data"
    command = ["collect", "--feed", "all", "--local", str(data), "--api-base", host.base_url]
    with subprocess.Popen(
        [sys.executable, "-m", "miso_archive", *command, "--polls", "5", "--poll-gap", "3600"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert until((data / "environments" / "began.json").is_file)
            process.terminate()
            assert process.wait(timeout=60) == 128 + signal.SIGTERM
        finally:
            process.kill()
    with Redis(port=int((data / ".valkey" / "port").read_text())) as client, pytest.raises(RedisConnectionError):
        client.ping()


@pytest.mark.parametrize(
    ("feed", "address", "told"),
    [
        ("all", "http://feed.test/", "is the address of one feed: for several give --api-base"),
        ("transmission", FEEDS["reserve"].url, "is the address of reserve, not of transmission: give that"),
        ("reserve", f"{FEEDS['fuel_mix'].url}/", "is the address of fuel_mix, not of reserve: give that"),
    ],
)
@pytest.mark.parametrize("from_environment", [False, True])
def test_no_feed_is_asked_under_the_address_of_another(  # noqa: PLR0913 - a case, and its surroundings
    *,
    feed: str,
    address: str,
    told: str,
    from_environment: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is wrong usage, told with what to give instead, and nothing begins: quiet bodies of two feeds look alike."""
    if from_environment:
        monkeypatch.setenv("MISO_API_URL", address)
    options = [] if from_environment else ["--api-url", address]
    assert main(["collect", "--local", str(tmp_path / "data"), "--feed", feed, *options]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
