"""Every feed in Prefect: one deployment's run each, and all of them in one run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from flows.collect import collect
from miso_archive.feeds import FEEDS
from miso_archive.simulate import Reply
from tests.collecting.recorded_host import RECORDED, RecordedHost, as_json, result_of_one
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
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prefect.client.schemas.objects import State
    from redis import Redis

    from tests.conftest import Bucket

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(autouse=True)
def _redis_in_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)


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


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("name", FEEDS)
def test_each_feed_is_collected_under_its_own_names(
    name: str, tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result, object, registration, message, event and artifacts of a run are those of its feed."""
    feed, expected = FEEDS[name], RECORDED[name]
    with mock_cluster() as kafka:
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", kafka)
        state = run(name, local=tmp_path, environment="prod")
        (message,) = read_messages(kafka, feed.dataset, expected=1)
    assert result_of(state) == result_of_one(name)
    assert archived(tmp_path) == [expected.key]
    told = as_json(message.value())
    assert (told["dataset"], told["key"], told["rows"]) == (feed.dataset, expected.key, expected.rows)
    sha256 = hashlib.sha256(feed.recorded.read_bytes()).hexdigest()
    assert [str(key) for key in redis.keys("*")] == [f"hash:prod:{feed.dataset}:{sha256}"]
    (event,) = events_of(state, expected=1)
    assert (event.event, event.resource.id) == (f"miso-{feed.tag}.snapshot.stored", f"miso-{feed.tag}.prod")
    scope = feed.scope("prod")
    assert {f"coverage-{scope}", f"latest-snapshot-{scope}"} < set(artifacts_of(state))
    assert flow_run_of(state).name.startswith(f"collect {scope} 20")
    assert "fetch snapshot, poll 1" in task_runs_of(state)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("name", ["asm_mcp", "snapshot"])
def test_a_feed_is_collected_into_s3(name: str, bucket: Bucket) -> None:
    """Where it goes into a bucket the object and its metadata are that feed's."""
    assert result_of(run(name, s3_bucket=bucket.name)) == result_of_one(name)
    assert bucket.keys() == [RECORDED[name].key]
    assert bucket.metadata(RECORDED[name].key)["source-url"].endswith(f"/api/{FEEDS[name].path}")


def test_all_feeds_are_collected_in_one_run(host: RecordedHost, tmp_path: Path) -> None:
    """Each link is asked once; tasks, events and artifacts tell the feeds apart, and the run is named by the sum."""
    state = run("all", local=tmp_path, environment="prod")
    result = result_of(state)
    assert result.pop("feeds") == {name: result_of_one(name) for name in FEEDS}
    assert result == {"total_candidates": 7, "collected": 7, "skipped_duplicate": 0, "failed": 0}
    assert host.asked == dict.fromkeys(FEEDS, 1)
    assert archived(tmp_path) == sorted(expected.key for expected in RECORDED.values())
    assert flow_run_of(state).name == "collect all-prod 2026-10-02 16:50 EST: 7 stored"
    steps = ("fetch snapshot, poll 1", "look up in Redis", "archive snapshot", "register in Redis")
    tasks = {f"{name}: {step}" for name in FEEDS for step in steps}
    # Prefect's server takes them from events, some after the run has ended.
    assert until(lambda: set(task_runs_of(state)) == tasks), set(task_runs_of(state)) ^ tasks
    told = {event.resource.id: event.event for event in events_of(state, expected=len(FEEDS))}
    assert told == {f"miso-{feed.tag}.prod": f"miso-{feed.tag}.snapshot.stored" for feed in FEEDS.values()}
    assert {f"coverage-{feed.scope('prod')}" for feed in FEEDS.values()} < set(artifacts_of(state))


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


def test_the_form_offers_each_feed_and_all() -> None:
    """What is collected is a choice."""
    assert collect.parameters.properties["feed"]["enum"] == [*FEEDS, "all"]
