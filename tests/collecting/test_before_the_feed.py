"""An archive that cannot be used is told before the feed is asked; one that is merely away stops nothing."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from prefect_aws.credentials import _get_client_cached

from miso_archive.cli.app import main
from miso_archive.collecting import fetch as fetching
from miso_archive.collecting import plain
from miso_archive.failures import RetryPolicy
from miso_archive.store import environments
from tests.services.process import free_port
from tests.services.proxy import FaultProxy
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed
    from miso_archive.store.response import Response
    from tests.conftest import Bucket, Services

CHECK = "Check bucket, region, credentials and rights"
UNKNOWN_KEY = b"<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code><Message>unknown</Message></Error>"

Case = tuple[str, str]
"""A bucket's name, and a pattern of how what is said begins."""


def missing_bucket(bucket: Bucket, *_others: object) -> Case:
    """Return a bucket that is not there."""
    name = f"{bucket.name[:40]}-{uuid.uuid4().hex[:8]}"
    return name, rf"s3://{name}/\S+ cannot be read: NoSuchBucket( '.+')?\. {CHECK}"


def no_credentials(bucket: Bucket, _proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Take the keys away."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return bucket.name, f"no AWS credentials are found for s3://{bucket.name}: set them as for any AWS tool"


def half_credentials(bucket: Bucket, _proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Take one of the two keys away."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return bucket.name, f"no S3 client can be made for s3://{bucket.name}: Partial credentials found"


def unknown_key(bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Have the key refused, by a server that knows keys: moto takes any."""
    proxy.mode = "answer"
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    proxy.answer = head + b"Content-Length: %d\r\n\r\n%s" % (len(UNKNOWN_KEY), UNKNOWN_KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    return bucket.name, rf"s3://{bucket.name}/\S+ cannot be read: InvalidAccessKeyId 'unknown'\. {CHECK}"


def missing_profile(bucket: Bucket, _proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Name a profile that is not there."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    return (
        bucket.name,
        rf"no S3 client can be made for s3://{bucket.name}: The config profile \(nobody\) could not be found",
    )


CASES = [missing_bucket, no_credentials, half_credentials, unknown_key, missing_profile]


@pytest.fixture
def simulated(feed: SimulatedFeed) -> SimulatedFeed:
    """The simulated feed: `feed` is the module that asks it."""
    return feed


@pytest.fixture
def proxy(services: Services) -> Iterator[FaultProxy]:
    """What stands between a collector and S3."""
    host, port = services.s3.url.removeprefix("http://").split(":")
    with FaultProxy(host, int(port)) as between:
        _get_client_cached.cache_clear()  # prefect-aws keeps clients by their credentials alone
        yield between
    _get_client_cached.cache_clear()


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(
    request: pytest.FixtureRequest,
    bucket: Bucket,
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Case:
    """An archive that cannot be used."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    make: Callable[..., Case] = request.param
    return make(bucket, proxy, monkeypatch)


def test_what_cannot_be_used_is_told_before_the_feed_is_asked(
    case: Case, simulated: SimulatedFeed, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails with one sentence that names the bucket, in its result and its log, and asks nothing."""
    name, told = case
    options = ["--s3-bucket", name, "--api-url", simulated.url, "--redis-url", redis_url, "--spool", str(tmp_path)]
    assert main(["collect", *options]) == 1
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    (error,) = result["errors"]
    assert error["code"] == "archive_refused"
    assert re.match(told, error["message"])
    assert (result["total_candidates"], result["failed"]) == (1, 1)
    assert f"archive_refused: {error['message']}\n" in printed.err
    assert "Traceback" not in printed.err
    assert simulated.requests == []


@ON_REAL_SERVERS
def test_every_command_on_an_archive_says_the_same(
    case: Case, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `collect` says of a missing bucket or key, reading, counting, compacting, healing and replaying say too."""
    name, told = case
    monkeypatch.setenv("REDIS_URL", redis_url)
    nowhere = f"http://127.0.0.1:{free_port()}"
    for command in (
        ["read"],
        ["coverage"],
        ["compact"],
        ["replay"],
        ["backfill", "--reports-url", nowhere],
        ["status"],
    ):
        assert main([*command, "--s3-bucket", name]) == 1
        printed = capsys.readouterr()
        assert re.search(told, printed.out + printed.err), command
        assert "Traceback" not in printed.err


@pytest.fixture
def behind_proxy(  # noqa: PLR0913, PLR0917 - parts of the whole
    bucket: Bucket,
    proxy: FaultProxy,
    simulated: SimulatedFeed,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """Collecting into a bucket behind the proxy, which is tried once; what it does not take waits in tmp_path."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setattr(plain, "ARCHIVE_RETRIES", RetryPolicy(1, 0.0, 0.0, 0.0))
    options = ["--s3-bucket", bucket.name, "--api-url", simulated.url, "--redis-url", redis_url]
    return ["collect", *options, "--spool", str(tmp_path)]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"])
def test_an_archive_that_is_away_does_not_stop_the_feed_from_being_asked(  # noqa: PLR0913, PLR0917 - parts of the whole
    answer: bytes,
    behind_proxy: list[str],
    proxy: FaultProxy,
    simulated: SimulatedFeed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A server that resets connections, or is busy, loses nothing: the body is fetched, and waits in the spool."""
    proxy.mode, proxy.answer = ("answer", answer) if answer else ("refuse", b"")
    assert main(behind_proxy) == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert error["code"] == "archive_unavailable"
    assert len(simulated.requests) == 1
    assert len(list(tmp_path.glob("*/*.body"))) == 1


def test_a_silent_archive_delays_the_feed_once(  # noqa: PLR0913, PLR0917 - parts of the whole
    behind_proxy: list[str],
    bucket: Bucket,
    proxy: FaultProxy,
    simulated: SimulatedFeed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The feed is asked as soon as the archive has been asked in vain; what was spooled is stored when it is back."""
    monkeypatch.setattr(environments, "_SECONDS", 0.25)  # five seconds, of which a test has none
    proxy.mode = "refuse"
    assert main(behind_proxy) == 1
    simulated.advance()
    capsys.readouterr()
    asked: list[float] = []
    fetch = fetching.fetch

    def fetch_as_s3_comes_back(url: str, timeout: float, key: str | None = None) -> Response:
        asked.append(time.monotonic())
        proxy.mode = "pass"
        return fetch(url, timeout, key=key)

    monkeypatch.setattr(fetching, "fetch", fetch_as_s3_comes_back)
    proxy.mode = "blackhole"
    begun = time.monotonic()
    assert main(behind_proxy) == 0
    assert asked[0] - begun < 10  # its own time-out for an answer is 30 s
    printed = capsys.readouterr()
    assert "the archive has not answered within 0.25 s" in printed.err
    assert "; kept in" not in printed.err  # what waits was not tried in vain
    assert len(json.loads(printed.out)["objects"]) == len(bucket.keys("sourcing/")) == 2
    assert list(tmp_path.glob("*/*.body")) == []
