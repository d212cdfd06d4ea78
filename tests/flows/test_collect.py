"""The flow on a real Prefect server: states, retries, caching, artifacts."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from itertools import chain, count, takewhile
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError
from obstore.store import S3Store
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.events.filters import EventFilter, EventNameFilter, EventRelatedFilter
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket
from prefect_aws.credentials import _get_client_cached

from flows.collect import collect
from miso_archive.feeds import KNOWN
from miso_archive.feeds.reserve import RESERVE
from miso_archive.simulate import Reply
from miso_archive.simulate.market import is_quiet, snapshot_body
from miso_archive.store.layout import snapshot_key
from tests.services.kafka import mock_cluster, read_messages
from tests.services.kafka_front import INIT_PRODUCER_ID, RefusingFront
from tests.services.process import free_port
from tests.services.proxy import FaultProxy
from tests.services.real import ON_REAL_SERVERS
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis as redis_client
    from prefect.client.schemas.objects import Artifact, FlowRun, State, TaskRun
    from prefect.events.schemas.events import ReceivedEvent

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(autouse=True)
def _redis_in_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)


def run(feed: SimulatedFeed, **parameters: Any) -> State[dict[str, Any]]:  # noqa: ANN401 - the flow's parameters
    """Run the flow against the simulated feed and return its final state."""
    return collect(api_url=feed.url, return_state=True, **parameters)


def result_of(state: State[dict[str, Any]]) -> dict[str, Any]:
    """The result a state holds, failed or not."""
    result = state.result(raise_on_failure=False)
    assert isinstance(result, dict)
    return result


def flow_run_of(state: State[Any]) -> FlowRun:
    """The flow run that ended in a state, as the server knows it."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


def task_runs_of(state: State[Any], *expected: str) -> dict[str, TaskRun]:
    """The task runs of a flow run, by name, as soon as the server has those expected, and that they have ended."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    runs: dict[str, TaskRun] = {}

    def arrived() -> bool:
        # The server takes them from events, some after the flow run has ended, and some under another name at first.
        runs.clear()
        with get_client(sync_client=True) as client:
            runs.update({run.name: run for run in client.read_task_runs(flow_run_filter=wanted)})
        # One that has not ended may have its first name still.
        return runs.keys() >= set(expected) and all(run.state and run.state.is_final() for run in runs.values())

    assert until(arrived), set(expected) - set(runs)
    return runs


def published(state: State[Any]) -> list[Artifact]:
    """All artifacts of a flow run, oldest first; a persisted result is one without a key."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    of_the_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return sorted(client.read_artifacts(artifact_filter=of_the_run), key=lambda one: str(one.created))


def artifacts_of(state: State[Any]) -> dict[str, Artifact]:
    """The artifacts that a flow run published, by key."""
    return {artifact.key: artifact for artifact in published(state) if artifact.key}


def logs_of(state: State[Any]) -> list[str]:
    """All that a flow run logged, as soon as the server has its last line."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    messages: list[str] = []

    def arrived() -> bool:
        with get_client(sync_client=True) as client:
            pages = (client.read_logs(wanted, limit=200, offset=offset) for offset in count(0, 200))
            messages[:] = [log.message for log in chain.from_iterable(takewhile(bool, pages))]
        return any(message.startswith("Finished in state ") for message in messages)

    assert until(arrived)
    return messages


def events_of(state: State[Any], expected: int) -> list[ReceivedEvent]:
    """The project's own events of a flow run, oldest first, as soon as the server has as many as expected."""
    of_the_run = EventRelatedFilter(id=[f"prefect.flow-run.{state.state_details.flow_run_id}"])
    wanted = EventFilter(event=EventNameFilter(prefix=["miso-"]), related=of_the_run)
    events: list[ReceivedEvent] = []

    def arrived() -> bool:
        with get_client(sync_client=True) as client:
            events[:] = client.read_events(wanted, limit=50).events
        return len(events) >= expected

    assert until(arrived)
    return sorted(events, key=lambda event: event.occurred)


def retry_in_a_new_process(state: State[Any], server: dict[str, str]) -> str:
    """Retry a flow run as ``prefect flow-run retry`` does; return the type of the state it ends in."""
    run_id = state.state_details.flow_run_id
    subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "retry", str(run_id), "-e", "flows/collect.py:collect"],
        env={**os.environ, **server},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return flow_run_of(state).state_name or ""


def test_a_run_completes_with_the_result_as_a_dictionary(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A run that collects is Completed and its result has exactly the six documented fields."""
    state = run(feed, local=tmp_path)
    assert state.is_completed()
    result = result_of(state)
    assert sorted(result) == ["collected", "errors", "failed", "objects", "skipped_duplicate", "total_candidates"]
    assert (result["collected"], result["failed"]) == (1, 0)
    assert (tmp_path / result["objects"][0]).is_file()


def test_names_can_be_read_by_a_person(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A flow run is named for environment, interval in EST and outcome, its task runs for what they do."""
    state = run(feed, local=tmp_path, environment="staging")
    assert flow_run_of(state).name == "collect staging 2001-01-02 07:05 EST: stored, quiet"
    tasks = {"fetch snapshot, poll 1", "look up in Redis", "archive snapshot", "register in Redis"}
    assert set(task_runs_of(state, *tasks)) == tasks


def test_a_refused_body_fails_the_run_and_says_why(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A refused body makes a Failed run named and explained by the reason code, with the result attached."""
    feed.script(Reply(body=b'{"error":"no data"}'))
    state = run(feed, local=tmp_path)
    assert state.is_failed()
    assert (state.message or "").startswith("error_payload: ")
    assert flow_run_of(state).name.endswith(" EST: error_payload")
    assert result_of(state)["errors"][0]["code"] == "error_payload"
    assert len(list(tmp_path.glob("quarantine/*/*/*.body.gz"))) == 1


@ON_REAL_SERVERS
def test_what_alerts_go_by_is_told_once_a_run(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A refused body, a drifted one and a stored one are an event each, however often the run polls them."""
    refused = Reply(body=b'{"error":"no data"}')
    drifted = Reply(body=snapshot_body(feed.interval_end, seed=1).replace(b'"Price"', b'"Zone":"3","Price"'))
    feed.script(refused, drifted, drifted, drifted, drifted)
    state = run(feed, local=tmp_path, polls=5, poll_gap=1.0)
    assert feed.hits >= 3
    assert flow_run_of(state).name.endswith(" EST: error_payload, stored")
    told = events_of(state, expected=3)
    assert [event.event for event in told] == [
        "miso-reserve.body.refused",
        "miso-reserve.feed.drifted",
        "miso-reserve.snapshot.stored",
    ]
    assert {event.resource.id for event in told} == {"miso-reserve.dev"}


@ON_REAL_SERVERS
def test_transient_answers_are_retried_by_the_task(feed: SimulatedFeed, tmp_path: Path) -> None:
    """503 and 429 with Retry-After are retried by the fetch task, which waits at least as long as it was asked."""
    feed.script(Reply(status=503), Reply(status=429, headers={"Retry-After": "3"}))
    state = run(feed, local=tmp_path)
    assert result_of(state)["collected"] == 1
    asked, again = feed.requests[1].at, feed.requests[2].at
    assert again - asked >= 3
    name = "fetch snapshot, poll 1"
    assert task_runs_of(state, name)[name].run_count == 3


def test_a_final_answer_is_not_retried(feed: SimulatedFeed, tmp_path: Path) -> None:
    """404 fails the run after one request."""
    feed.script(Reply(status=404))
    state = run(feed, local=tmp_path)
    assert state.is_failed()
    assert (state.message or "").startswith("feed_status: ")
    assert feed.hits == 1


def test_a_run_without_redis_fails_before_it_fetches(
    feed: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Redis unreachable the run is Failed, names host and port, and never asks the feed."""
    port = free_port()
    monkeypatch.delenv("REDIS_URL")
    state = run(feed, local=tmp_path, redis_host="127.0.0.1", redis_port=port)
    assert state.is_failed()
    assert f"Failed to connect to Redis at 127.0.0.1:{port}: " in (state.message or "")
    assert feed.hits == 0


def test_wrong_parameters_fail_the_run_with_the_parameter_to_give(feed: SimulatedFeed) -> None:
    """A run with nowhere to archive fails in one line, code first, names the parameters, and is named by the code."""
    state = run(feed)
    assert state.is_failed()
    assert (state.message or "").startswith("wrong_parameters: say where the archive is: s3_bucket (S3_BUCKET), ")
    assert "--" not in (state.message or "")
    assert result_of(state)["errors"][0]["code"] == "wrong_parameters"
    assert flow_run_of(state).name.endswith(" EST: wrong_parameters")
    assert feed.hits == 0


def test_a_library_that_is_not_installed_fails_the_run_with_the_extra_to_install(
    feed: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that names Kafka where its library is missing fails in one line, code first, and keeps its result."""
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", "127.0.0.1:9092")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.delitem(sys.modules, "miso_archive.collecting.announce", raising=False)
    state = run(feed, local=tmp_path)
    assert (state.message or "").startswith("wrong_parameters: Kafka needs the extra kafka: pip install 'miso-archive")
    assert result_of(state)["errors"][0]["code"] == "wrong_parameters"
    assert flow_run_of(state).name.endswith(" EST: wrong_parameters")
    assert feed.hits == 0


@ON_REAL_SERVERS
def test_a_retry_in_a_new_process_takes_the_body_it_has(
    feed: SimulatedFeed, tmp_path: Path, prefect_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed run, retried by a new process, delivers the body already fetched: the feed is asked once."""
    monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 1.0)
    with mock_cluster() as bootstrap:
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", f"127.0.0.1:{free_port()}/retried")
        state = run(feed, local=tmp_path)
        assert state.is_failed()
        assert (state.message or "").startswith("kafka_undelivered: ")
        feed.advance()
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", f"{bootstrap}/retried")
        monkeypatch.setenv("MISO_TIMEOUT", "31")  # a changed environment must not cost the body
        assert retry_in_a_new_process(state, prefect_server) == "Completed"
        assert feed.hits == 1
        assert len(read_messages(bootstrap, "retried", expected=1)) == 1
    assert len(list(tmp_path.glob("sourcing/*/*/*.json.gz"))) == 1


@pytest.fixture
def s3_denied(bucket: Bucket, services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy before S3, which denies everything until its mode is set."""
    host, port = services.s3.url.removeprefix("http://").split(":")
    monkeypatch.setenv("S3_BUCKET", bucket.name)
    with FaultProxy(host, int(port)) as proxy:
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        proxy.mode = "answer"
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        _get_client_cached.cache_clear()  # prefect-aws keeps clients by their credentials alone
        yield proxy
    _get_client_cached.cache_clear()


@ON_REAL_SERVERS
def test_the_next_run_stores_what_s3_did_not_take(
    feed: SimulatedFeed, bucket: Bucket, s3_denied: FaultProxy, tmp_path: Path
) -> None:
    """A body that S3 did not take waits, as the run's message says; the next run's own task archives and shows it."""
    failed = run(feed, spool=tmp_path)
    (waiting,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert f"kept in {waiting} until a run reaches the archive" in (failed.message or "")
    s3_denied.mode = "pass"
    feed.advance()
    state = run(feed, spool=tmp_path)
    assert state.is_completed()
    assert (result_of(state)["collected"], result_of(state)["objects"]) == (1, bucket.keys("sourcing/"))
    assert len(bucket.keys("sourcing/")) == 2
    assert task_runs_of(state, "store what was spooled")
    assert len(events_of(state, expected=2)) == 2
    assert not waiting.exists()


@ON_REAL_SERVERS
def test_a_retry_of_the_run_itself_archives_what_s3_did_not_take(
    feed: SimulatedFeed, bucket: Bucket, s3_denied: FaultProxy, tmp_path: Path, prefect_server: dict[str, str]
) -> None:
    """A failed run that is retried once S3 is back archives its body once, and nothing waits any more."""
    state = run(feed, spool=tmp_path)
    s3_denied.mode = "pass"
    feed.advance()
    assert retry_in_a_new_process(state, prefect_server) == "Completed"
    assert (feed.hits, len(bucket.keys("sourcing/"))) == (1, 1)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_fatal_error_of_kafka_ends_the_run_in_its_code(
    feed: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A producer that Kafka refuses for good: the run is Failed, its message begins with the code."""
    refused = {INIT_PRODUCER_ID: KafkaError.CLUSTER_AUTHORIZATION_FAILED}
    with mock_cluster() as bootstrap, RefusingFront(bootstrap, "fatal", refused) as front:
        monkeypatch.setenv("KAFKA_CONNECTION_STRING", f"{front.address}/fatal")
        state = run(feed, local=tmp_path)
    assert state.is_failed()
    assert (state.message or "").startswith("kafka_denied: Kafka at ")
    assert len(list(tmp_path.glob("sourcing/*/*/*.json.gz"))) == 1
    assert len(list(tmp_path.glob("unannounced/*/*/*.json"))) == 1


def test_a_new_run_asks_the_feed_anew(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A new run never takes the body of another: it fetches, and finds the interval that is up now."""
    first = result_of(run(feed, local=tmp_path))
    feed.advance()
    second = result_of(run(feed, local=tmp_path))
    assert feed.hits == 2
    assert first["objects"] != second["objects"]


def test_a_stored_snapshot_is_shown(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A stored snapshot publishes its constraints in $/MW, a link to its object and the market day's coverage."""
    run(feed, local=tmp_path, environment="prod")
    feed.advance(2)
    state = run(feed, local=tmp_path, environment="prod")
    (key,) = result_of(state)["objects"]
    shown = artifacts_of(state)
    assert sorted(shown) == ["binding-constraints-prod", "coverage-prod", "latest-snapshot-prod"]
    assert "Shadow price ($/MW)" in str(shown["binding-constraints-prod"].data)
    assert "2001-01-02 07:15 EST" in (shown["binding-constraints-prod"].description or "")
    assert f"zcat {tmp_path}/{key}\n" in str(shown["latest-snapshot-prod"].data)
    assert "**2 of 87** intervals collected until 07:15, 85 missing" in str(shown["coverage-prod"].data)
    assert "**1** are quiet, and in **1** something binds" in str(shown["coverage-prod"].data)


def test_bodies_of_hours_that_are_over_are_read_once(
    feed: SimulatedFeed, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day's coverage counts what all bodies say; those of hours that are over are asked of S3 once."""
    asked: list[str] = []
    get = S3Store.get_async

    def noting(store: S3Store, path: str) -> object:
        asked.append(path.rpartition("_")[2].removesuffix(".json.gz"))
        return get(store, path)

    monkeypatch.setattr(S3Store, "get_async", noting)
    over = 12
    for _ in range(over):  # from 07:05 to 08:00; of these 07:10 to 07:55 bind
        key = snapshot_key(RESERVE, feed.interval_end)
        bucket.client.put_object(
            Bucket=bucket.name, Key=key, Body=gzip.compress(snapshot_body(feed.interval_end, seed=307))
        )
        feed.advance()
    run(feed, s3_bucket=bucket.name)
    assert len(asked) == over + 1
    feed.advance()
    state = run(feed, s3_bucket=bucket.name)
    assert asked[over + 1 :] == ["0805", "0810"]
    assert "**14 of 98** intervals collected until 08:10" in str(artifacts_of(state)["coverage-dev"].data)
    assert "**4** are quiet, and in **10** something binds" in str(artifacts_of(state)["coverage-dev"].data)


def test_what_another_archive_holds_under_the_same_keys_is_not_taken_for_this_ones(
    feed: SimulatedFeed, tmp_path: Path
) -> None:
    """Of hours that are over each archive's own bodies are counted, quiet ones here and binding ones there."""
    end = feed.interval_end
    feed.advance(12)
    told = []
    for quiet in (True, False):
        seed = next(seed for seed in count() if is_quiet(end, seed=seed) is quiet)
        path = tmp_path / str(quiet) / snapshot_key(RESERVE, end)
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress(snapshot_body(end, seed=seed)))
        coverage = artifacts_of(run(feed, local=tmp_path / str(quiet)))["coverage-dev"].data
        told.append(str(coverage).partition("Of those collected ")[2].splitlines()[0])
    assert told == ["**2** are quiet, and in **0** something binds.", "**1** are quiet, and in **1** something binds."]


def test_an_archive_elsewhere_is_told_with_its_endpoint(
    feed: SimulatedFeed, bucket: Bucket, services: Services
) -> None:
    """The command that shows the newest snapshot names the S3 server where that is not AWS's."""
    state = run(feed, s3_bucket=bucket.name)
    (key,) = result_of(state)["objects"]
    command = f"aws s3 cp --endpoint-url={services.s3.url} s3://{bucket.name}/{key} - | zcat"
    assert command in str(artifacts_of(state)["latest-snapshot-dev"].data)


def test_an_archive_of_a_profile_is_told_with_it(feed: SimulatedFeed, bucket: Bucket, profile: str) -> None:
    """With a profile's keys and endpoint alone a run archives, and the command that shows the snapshot names it."""
    state = run(feed, s3_bucket=bucket.name, aws_profile=profile)
    (key,) = result_of(state)["objects"]
    command = f" --profile={profile} s3://{bucket.name}/{key} - | zcat"
    assert command in str(artifacts_of(state)["latest-snapshot-dev"].data)


@ON_REAL_SERVERS
def test_a_run_that_stores_nothing_shows_no_coverage(
    feed: SimulatedFeed, tmp_path: Path, redis: redis_client.Redis
) -> None:
    """A run that finds nothing new says so and publishes nothing; with Redis emptied it shows the snapshot again."""
    run(feed, local=tmp_path)
    again = run(feed, local=tmp_path)
    assert flow_run_of(again).name == "collect dev 2001-01-02 07:05 EST: nothing new"
    assert artifacts_of(again) == {}
    redis.flushdb()
    shown_again = run(feed, local=tmp_path)
    assert flow_run_of(shown_again).name == "collect dev 2001-01-02 07:05 EST: nothing new"
    assert sorted(artifacts_of(shown_again)) == ["binding-constraints-dev", "latest-snapshot-dev"]


def test_what_cannot_be_shown_fails_no_run(
    feed: SimulatedFeed, tmp_path: Path, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the server takes no event, artifact or name, the snapshot is archived and registered all the same.

    The run keeps the name that it began with.
    """

    def busy(*_: object, **__: object) -> None:
        raise RuntimeError("503 database is locked")

    for name in ("emit_event", "create_table_artifact", "create_markdown_artifact"):
        monkeypatch.setattr(f"flows.show.{name}", busy)
    monkeypatch.setattr("flows.show.get_client", busy)
    state = run(feed, local=tmp_path, environment="prod")
    assert state.is_completed()
    assert flow_run_of(state).name.startswith("collect prod due ")
    assert result_of(state)["collected"] == 1
    assert len(redis.keys("*")) == 1


def test_the_saved_block_is_loaded_by_name(feed: SimulatedFeed, services: Services, bucket: Bucket) -> None:
    """With s3_block the run archives in the block's bucket and folder, with the block's credentials."""
    credentials = AwsCredentials(
        aws_access_key_id=services.s3.access_key,
        aws_secret_access_key=services.s3.secret_key,
        region_name=services.s3.region,
        aws_client_parameters=AwsClientParameters(endpoint_url=services.s3.url),
    )
    S3Bucket(bucket_name=bucket.name, bucket_folder="archive", credentials=credentials).save("reserve", overwrite=True)
    state = run(feed, s3_block="reserve")
    (key,) = result_of(state)["objects"]
    assert bucket.keys() == ["archive/environments/began.json", f"archive/{key}"]


def test_an_unknown_block_fails_the_run_by_its_name(feed: SimulatedFeed) -> None:
    """A block that is not saved fails the run before it fetches, and the message names it."""
    state = run(feed, s3_block="nobody-saved-this")
    assert (state.message or "").startswith("block_not_found: no S3Bucket block named 'nobody-saved-this'")
    assert feed.hits == 0


def test_no_secret_reaches_prefect(feed: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password of the environment stands in no parameter, state, log or artifact of the run."""
    monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 0.5)
    login = f"user:very-secret@127.0.0.1:{free_port()}?security_protocol=SASL_PLAINTEXT"
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", login)
    state = run(feed, local=tmp_path)
    assert state.is_failed()
    artifacts = published(state)
    assert artifacts
    told = [str(found) for found in (flow_run_of(state), task_runs_of(state), logs_of(state), artifacts)]
    assert [text for text in told if "very-secret" in text] == []


def test_the_form_describes_each_parameter_as_the_settings_do() -> None:
    """Prefect's form shows a typed field with the settings' own help text for every option without a secret."""
    properties = collect.parameters.properties
    assert properties["feed"]["enum"] == [*KNOWN, "all"]
    assert properties["environment"]["enum"] == ["dev", "staging", "prod"]
    assert all(field["description"] and "--" not in field["description"] for field in properties.values())
    assert not {"redis_url", "kafka_connection_string", "api_key"} & set(properties)
