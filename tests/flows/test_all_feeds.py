"""Every feed in Prefect: one deployment's run each, and all of them in one run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from redis import Redis

from flows.collect import collect
from miso_archive.feeds import FEEDS
from miso_archive.simulate import Reply
from tests.collecting.recorded_host import RECORDED, RecordedHost, as_json, result_of_one
from tests.feeds.figures import FIGURES, figures
from tests.flows.test_collect import (
    artifacts_of,
    events_of,
    flow_run_of,
    result_of,
    retry_in_a_new_process,
    task_runs_of,
)
from tests.services.kafka import mock_cluster, read_messages
from tests.services.process import free_port
from tests.services.real import ON_REAL_SERVERS
from tests.services.valkey import embedded_valkey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prefect.client.schemas.objects import State

    from tests.conftest import Bucket

pytestmark = pytest.mark.usefixtures("prefect_server")
STEPS: Final = ("fetch snapshot, poll 1", "look up in Redis", "archive snapshot", "register in Redis")
ANNOUNCED: Final = (*STEPS, "announce what is left", "announce snapshot")
COUNTS: Final = {"total_candidates": 7, "collected": 7, "skipped_duplicate": 0, "failed": 0}


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """A Redis of this file's own: what it shows is the same on any, so one test alone runs on each tier's."""
    with embedded_valkey() as url:
        yield url


@pytest.fixture(autouse=True)
def registry(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """It is empty, and the environment names it."""
    monkeypatch.setenv("REDIS_URL", valkey)
    with Redis.from_url(valkey, decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedHost]:
    """The host of all feeds, which the environment names."""
    with RecordedHost() as serving:
        monkeypatch.setenv("MISO_API_BASE", serving.base_url)
        yield serving


def run(feed: str, **parameters: Any) -> State[dict[str, Any]]:  # noqa: ANN401 - the flow's parameters
    """Run the flow and return its final state."""
    return collect(feed=feed, return_state=True, **parameters)


def archived(folder: Path) -> list[str]:
    """The keys of the archived snapshots."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob("sourcing/*/*/*.json.gz"))


def hold_tasks(state: State[Any], expected: set[str]) -> None:
    """Hold the names of a run's tasks, as soon as the server has them."""
    assert set(task_runs_of(state, *expected)) == expected


def registered(name: str) -> str:
    """The key in Redis of a feed's recorded body."""
    feed = FEEDS[name]
    return f"hash:prod:{feed.dataset}:{hashlib.sha256(feed.recorded.read_bytes()).hexdigest()}"


def hold_announced(kafka: str, name: str) -> None:
    """Hold the one message in the topic of a feed's dataset against its recorded body."""
    feed, expected = FEEDS[name], RECORDED[name]
    (message,) = read_messages(kafka, feed.dataset, expected=1)
    told = as_json(message.value())
    assert (told["dataset"], told["key"], told["rows"]) == (feed.dataset, expected.key, expected.rows)


def artifacts_named(name: str) -> set[str]:
    """The artifacts of a feed that is stored in prod."""
    scope = FEEDS[name].scope("prod")
    return {RECORDED[name].table, f"coverage-{scope}", f"latest-snapshot-{scope}"}


@pytest.mark.usefixtures("host")
def test_a_feed_is_collected_under_its_own_names(
    tmp_path: Path, registry: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result, object, registration, message, event, name, tasks and artifacts of a run are those of its feed."""
    with mock_cluster() as kafka:
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", kafka)
        state = run("asm_mcp", local=tmp_path, environment="prod")
        hold_announced(kafka, "asm_mcp")
    assert result_of(state) == result_of_one("asm_mcp")
    assert archived(tmp_path) == [RECORDED["asm_mcp"].key]
    assert registry.keys("*") == [registered("asm_mcp")]
    (event,) = events_of(state, expected=1)
    assert (event.event, event.resource.id) == ("miso-asm-mcp.snapshot.stored", "miso-asm-mcp.prod")
    assert set(artifacts_of(state)) == artifacts_named("asm_mcp")
    assert flow_run_of(state).name == RECORDED["asm_mcp"].run
    hold_tasks(state, set(ANNOUNCED))


def hold_all(state: State[dict[str, Any]], host: RecordedHost, tasks: Iterable[str]) -> None:
    """Hold a run of all feeds in prod: each link is asked once, and what it shows tells the feeds apart."""
    result = result_of(state)
    assert result.pop("feeds") == {name: result_of_one(name) for name in FEEDS}
    assert result == COUNTS
    assert host.asked == dict.fromkeys(FEEDS, 1)
    assert flow_run_of(state).name == "collect all-prod 2026-10-02 16:50 EST: 7 stored"
    hold_tasks(state, {f"{name}: {task}" for name in FEEDS for task in tasks})
    told = {event.resource.id: event.event for event in events_of(state, expected=len(FEEDS))}
    assert told == {f"miso-{feed.tag}.prod": f"miso-{feed.tag}.snapshot.stored" for feed in FEEDS.values()}
    assert set(artifacts_of(state)) == set().union(*map(artifacts_named, FEEDS))


def test_all_feeds_are_collected_in_one_run(
    host: RecordedHost, tmp_path: Path, registry: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a folder: objects, registrations, messages and frames are those of each feed."""
    with mock_cluster() as kafka:
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", kafka)
        hold_all(run("all", local=tmp_path, environment="prod"), host, ANNOUNCED)
        for name in FEEDS:
            hold_announced(kafka, name)
    assert archived(tmp_path) == sorted(expected.key for expected in RECORDED.values())
    assert sorted(registry.keys("*")) == sorted(map(registered, FEEDS))
    assert figures(tmp_path) == FIGURES


@ON_REAL_SERVERS
def test_all_feeds_are_collected_into_s3(
    host: RecordedHost, bucket: Bucket, redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a bucket: objects, where they are from, registrations and frames are those of each feed."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    hold_all(run("all", s3_bucket=bucket.name, environment="prod"), host, STEPS)
    assert bucket.keys("sourcing/") == sorted(expected.key for expected in RECORDED.values())
    sources = {name: bucket.metadata(expected.key)["source-url"] for name, expected in RECORDED.items()}
    assert sources == {name: f"{host.base_url}/{feed.path}" for name, feed in FEEDS.items()}
    assert sorted(redis.keys("*")) == sorted(map(registered, FEEDS))
    assert figures(f"s3://{bucket.name}") == FIGURES


def test_one_that_fails_fails_the_run_and_holds_none_of_the_others(host: RecordedHost, tmp_path: Path) -> None:
    """The run is Failed and named by whose reason it was, code first; the others are archived."""
    host.replies = {"fuel_mix": Reply(404)}
    state = run("all", local=tmp_path)
    assert state.is_failed()
    assert (state.message or "").startswith("feed_status: fuel_mix: ")
    assert flow_run_of(state).name == "collect all-dev 2026-10-02 16:50 EST: fuel_mix feed_status, 6 stored"
    assert (result_of(state)["failed"], result_of(state)["collected"]) == (1, 6)
    assert archived(tmp_path) == sorted(RECORDED[name].key for name in FEEDS if name != "fuel_mix")


def test_a_retry_of_all_feeds_takes_the_bodies_it_has(
    host: RecordedHost, tmp_path: Path, prefect_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retried in a new process, a run that could not announce delivers each feed's own body, and asks nobody again."""
    monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 1.0)
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", f"127.0.0.1:{free_port()}")
    state = run("all", local=tmp_path)
    assert state.is_failed()
    assert flow_run_of(state).name.endswith(": 7 of 7 feeds failed")
    with mock_cluster() as kafka:
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", kafka)
        assert retry_in_a_new_process(state, prefect_server) == "Completed"
        for feed in FEEDS.values():
            (message,) = read_messages(kafka, feed.dataset, expected=1)
            assert as_json(message.value())["key"] == RECORDED[feed.name].key
    assert host.asked == dict.fromkeys(FEEDS, 1)


def test_all_feeds_are_not_asked_under_the_address_of_one(tmp_path: Path) -> None:
    """The run fails by its parameters before it asks anybody, and says what to give."""
    state = run("all", local=tmp_path, api_url="http://127.0.0.1:9/")
    assert (state.message or "").startswith("wrong_parameters: api_url (MISO_API_URL) is the address of one feed")
    assert flow_run_of(state).name.endswith(" EST: wrong_parameters")
