"""The real parts every test may ask for: embedded ones in the fast tier, real servers in the second."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import pytest
import redis as redis_client

from miso_archive.collecting import plain
from miso_archive.settings.options import Settings, environment_variable
from miso_archive.simulate import SimulatedFeed
from tests.distribution import LONGEST, ByFile
from tests.services.kafka import mock_cluster
from tests.services.process import from_environment
from tests.services.s3 import S3Endpoint, moto_server
from tests.services.valkey import embedded_valkey, redis_of_the_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from xdist.remote import Producer


_LONG_FOR_A_NAME: Final = 16
_UNTRACED: Final = tuple(
    f"tests/{where}"
    for where in (
        *("hostile/", "golden/", "feeds/test_contracts.py", "feeds/test_odd_bodies.py", "reading/test_decode"),
        *("reading/test_feeds.py", "reading/test_texts.py", "simulate/test_archive", "store/test_bucket_reading.py"),
    )
)
# Slow ones that wait, or start others, and are alone in going over their lines.
_TRACED: Final = tuple(
    f"tests/{where}"
    for where in (
        "cli/test_output.py",
        "collecting/test_announce.py",
        "healing/test_backfill.py",
        "healing/test_rolling.py",
    )
)


def pytest_configure(config: pytest.Config) -> None:
    """Keep a developer's own settings out of the tests, and the tests out of his home, before anything reads them."""
    state = TemporaryDirectory(prefix="state-")
    config.add_cleanup(state.cleanup)
    os.environ["XDG_STATE_HOME"] = state.name
    for field in Settings.model_fields:
        os.environ.pop(environment_variable(field) or "", None)
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(DO_NOT_TRACK="1", PREFECT_SERVER_ANALYTICS_ENABLED="false")
    # How long an example takes is the machine's affair.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    """Give a worker whole files, where the tests are distributed by file."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; mark what takes Prefect's engine, or servers, by the fixture that starts it."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        # What goes through many bodies, over lines that others cover: to trace it takes half as long again.
        is_slow = item.get_closest_marker("slow") and not item.nodeid.startswith(_TRACED)
        if is_slow or item.nodeid.startswith(_UNTRACED):
            item.add_marker(pytest.mark.no_cover)
        for fixture, mark in (("prefect_server", pytest.mark.engine), ("services", pytest.mark.servers)):
            if isinstance(item, pytest.Function) and fixture in item.fixturenames:
                item.add_marker(mark)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a body by its size: gzip's has the time in it, and the workers of one run must find the same tests."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) and len(val) > _LONG_FOR_A_NAME else None


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server of its own; yields the variables by which another process finds it and its results."""
    import httpx  # noqa: PLC0415 - comes with Prefect

    # Prefect reads the environment when it is imported: after pytest_configure.
    from prefect.settings import (  # noqa: PLC0415 - as said
        PREFECT_API_URL,
        PREFECT_HOME,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415 - as said

    home = tmp_path_factory.mktemp("prefect")
    with ExitStack() as stack:
        stack.enter_context(temporary_settings({PREFECT_HOME: home, PREFECT_LOCAL_STORAGE_PATH: home / "storage"}))
        for is_last in (False, False, True):
            try:
                stack.enter_context(prefect_test_harness(server_startup_timeout=120))
                break
            except httpx.TransportError:  # a server of another worker took the free port that it had found
                if is_last:
                    raise
        yield {
            "PREFECT_API_URL": PREFECT_API_URL.value() or "",
            "PREFECT_HOME": str(home),
            "PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"),
        }


@dataclass(frozen=True)
class Services:
    """The servers of one tier."""

    s3: S3Endpoint
    redis_url: str
    kafka: str


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own for one test."""

    name: str
    client: Any

    def keys(self, prefix: str = "") -> list[str]:
        """Every key in it, sorted; the marks of environments, which every archive has, only when they are asked for."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        keys = (item["Key"] for page in pages for item in page.get("Contents", []))
        return sorted(key for key in keys if prefix or not key.startswith("environments/"))

    def body(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def metadata(self, key: str) -> dict[str, str]:
        """An object's metadata."""
        return dict(self.client.head_object(Bucket=self.name, Key=key)["Metadata"])


@pytest.fixture(scope="session", params=["embedded", pytest.param("real", marks=pytest.mark.services)])
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    """The servers: from wheels in the fast tier, those that TEST_... variables name in the second."""
    if request.param == "real":
        yield Services(S3Endpoint.from_environment(), redis_of_the_worker(), from_environment("TEST_KAFKA_BOOTSTRAP"))
    else:
        with moto_server() as s3, embedded_valkey() as redis_url, mock_cluster() as kafka:
            yield Services(s3, redis_url, kafka)


@pytest.fixture
def bucket(services: Services, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, in the S3 that the environment names for the test."""
    for name, value in services.s3.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    bucket = Bucket(f"bucket-{uuid.uuid4()}", services.s3.client())
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket


@pytest.fixture
def profile(services: Services, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001 - it sets the environment that is taken back here
    """An AWS profile with the keys and the endpoint of the bucket's S3, which nothing else in the environment names."""
    config = tmp_path / "aws-config"
    config.write_text(
        f"[profile here]\naws_access_key_id = {services.s3.access_key}\nregion = {services.s3.region}\n"
        f"aws_secret_access_key = {services.s3.secret_key}\nendpoint_url = {services.s3.url}\n"
    )
    for name in services.s3.environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return "here"


@pytest.fixture
def redis_url(services: Services) -> str:
    """An empty Redis."""
    with redis_client.Redis.from_url(services.redis_url) as client:
        client.flushdb()
    return services.redis_url


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_client.Redis]:
    """A client of the empty Redis."""
    with redis_client.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def kafka_topic(services: Services) -> str:
    """A topic of its own, as ``host:port/topic``."""
    return f"{services.kafka}/topic-{uuid.uuid4()}"


@pytest.fixture
def feed() -> Iterator[SimulatedFeed]:
    """A simulated feed that stands still until it is advanced."""
    with SimulatedFeed(seed=307) as simulated:
        yield simulated


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The retries of the library's own run, as many as ever but a hundred times as fast."""
    for name in ("FEED_RETRIES", "DAILY_RETRIES", "ARCHIVE_RETRIES"):
        policy = getattr(plain, name)
        faster = replace(policy, first_delay=policy.first_delay / 100, longest_delay=policy.longest_delay / 100)
        monkeypatch.setattr(plain, name, faster)
