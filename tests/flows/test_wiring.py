"""What joins the flow to the library: its tasks' retries, the catch-up, the marks, its parameters, its secrets."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis as redis_client
from prefect.client.orchestration import get_client
from prefect.events.filters import EventFilter, EventRelatedFilter

from flows.collect import collect
from miso_archive.collecting.announce import Announcer
from miso_archive.collecting.parts import Parts
from miso_archive.collecting.result import RunResult
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import ARCHIVE_RETRIES, CollectionError
from miso_archive.feeds import FEEDS
from miso_archive.settings.options import Settings
from miso_archive.simulate import Reply
from miso_archive.store.put_once import store_snapshot
from tests.flows.test_collect import events_of, flow_run_of, logs_of, published, result_of, run, task_runs_of
from tests.flows.troubles import failing_at_first
from tests.services.kafka import read_messages
from tests.services.process import free_port
from tests.services.valkey import embedded_valkey
from tests.settings.test_options import FIELDS, TABLE

if TYPE_CHECKING:
    from flows.show import Show
    from miso_archive.collecting.market_day import AskedDay
    from miso_archive.collecting.pace import Clock, Pace
    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket

pytestmark = pytest.mark.usefixtures("prefect_server")

SECRET = "very-secret"  # noqa: S105 - opens a server of the test's own


@pytest.fixture(autouse=True)
def _redis_in_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)


def test_a_run_that_dies_behind_its_object_loses_no_announcement(
    feed: SimulatedFeed, tmp_path: Path, kafka_topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its body is never served again: the next run finds the mark, put before the object, and announces both."""
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", kafka_topic)

    def stored_and_dead(*arguments: Any) -> None:  # noqa: ANN401 - as the function it stands for
        store_snapshot(*arguments)
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr("miso_archive.collecting.parts.store_snapshot", stored_and_dead)
        with pytest.raises(SystemExit):
            run(feed, local=tmp_path)
    feed.advance()
    assert result_of(run(feed, local=tmp_path))["collected"] == 1
    broker, topic = kafka_topic.split("/")
    announced = [json.loads(message.value() or b"")["key"] for message in read_messages(broker, topic, expected=2)]
    stored = [str(path.relative_to(tmp_path)) for path in tmp_path.glob("sourcing/*/*/*.json.gz")]
    assert len(stored) == 2
    assert sorted(announced) == sorted(stored)
    assert list(tmp_path.glob("unannounced/*/*/*.json")) == []


def test_what_must_not_be_lost_is_tried_again_by_its_task(
    feed: SimulatedFeed, tmp_path: Path, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archiving, quarantining and registering are tried as often as the library's policy says, with its delays."""
    tries = {"store": ARCHIVE_RETRIES.tries, "quarantine": 2, "register": 3}
    for step, times in tries.items():
        trouble = CollectionError(FailureCode.ARCHIVE_UNAVAILABLE, f"{step}, for a moment", transient=True)
        monkeypatch.setattr(Parts, step, failing_at_first(getattr(Parts, step), *[trouble] * (times - 1)))
    feed.script(Reply(body=b'{"error":"no data"}'))
    refused, stored = run(feed, local=tmp_path), run(feed, local=tmp_path)
    assert [error["code"] for error in result_of(refused)["errors"]] == ["error_payload"]
    assert result_of(stored)["collected"] == 1
    ended = {refused: ["quarantine body"], stored: ["archive snapshot", "register in Redis"]}
    counts = {name: task_runs_of(state, name)[name].run_count for state, names in ended.items() for name in names}
    assert counts["archive snapshot"] == tries["store"]
    assert (counts["quarantine body"], counts["register in Redis"]) == (2, 3)
    assert len(slept) == sum(times - 1 for times in tries.values())
    assert max(slept) > 1  # the delays double


def test_what_trying_cannot_mend_is_not_tried_again(
    feed: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that refuses for good is asked once, and the run fails by that reason."""

    def refuses(*_arguments: object) -> None:
        raise CollectionError(FailureCode.ARCHIVE_REFUSED, "for good")

    monkeypatch.setattr(Parts, "store", refuses)
    state = run(feed, local=tmp_path)
    assert (state.message or "").startswith("archive_refused: for good")
    assert task_runs_of(state, "archive snapshot")["archive snapshot"].run_count == 1


def test_every_parameter_reaches_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is set in the form is what the run goes by; Kafka and what else is secret comes from the environment."""
    elsewhere = {"feed", "market_day", "nodes", "local", "s3_block", "spool"}
    names = set(inspect.signature(collect).parameters) - elsewhere
    given: dict[str, Any] = {FIELDS[row[0]]: row[4] for row in TABLE if FIELDS[row[0]] in names}
    assert set(given) == names
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", "broker:9092")
    reached: list[Settings] = []

    def noted(settings: Settings, *_others: object) -> RunResult:
        reached.append(settings)
        return RunResult()

    monkeypatch.setattr("flows.collect.run", noted)
    assert collect(**given, return_state=True).is_completed()
    assert reached == [Settings.resolve(given, {"KAFKA_CONNECTION_STRING": "broker:9092"})]


def test_an_error_that_nobody_foresaw_costs_other_feeds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The run is Failed and keeps what the others came to; the log has the traceback."""

    def breaks(_settings: Settings, _pace: Pace, _clock: Clock, show: Show, _asked: AskedDay) -> RunResult:
        if show.feed.name == "fuel_mix":
            raise ZeroDivisionError
        return RunResult(total_candidates=1, collected=1)

    monkeypatch.setattr("flows.collect.run", breaks)
    state = collect(feed="all", local=tmp_path, return_state=True)
    assert (state.is_failed(), (state.message or "").partition(": an ")[0]) == (True, "unforeseen: fuel_mix")
    assert (result_of(state)["failed"], result_of(state)["collected"]) == (1, len(FEEDS) - 1)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_no_secret_of_a_run_that_succeeds_is_published(
    feed: SimulatedFeed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prefect_server: dict[str, str],
) -> None:
    """Passwords of feed, Redis and Kafka stand in no parameter, state, artifact, event, log, result or object."""
    monkeypatch.setattr(Announcer, "announce", lambda *_: None)  # no broker here takes a login
    kafka = f"user:{SECRET}@127.0.0.1:{free_port()}?security_protocol=SASL_PLAINTEXT"
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", kafka)
    monkeypatch.setenv("MISO_API_URL", feed.url.replace("//", f"//user:{SECRET}@") + f"?token={SECRET}")
    with embedded_valkey() as url:
        with redis_client.Redis.from_url(url) as client:
            client.config_set("requirepass", SECRET)
        monkeypatch.setenv("REDIS_URL", url.replace("//", f"//:{SECRET}@"))
        state = collect(local=tmp_path, return_state=True)
        assert result_of(state)["collected"] == 1
        with redis_client.Redis.from_url(url, password=SECRET) as client:
            told = [str(client.get(key)) for key in client.keys("*")]
    assert [event.event for event in events_of(state, expected=1)] == ["miso-reserve.snapshot.stored"]
    run_id = flow_run_of(state).id
    with get_client(sync_client=True) as client:
        related = EventFilter(related=EventRelatedFilter(id=[f"prefect.flow-run.{run_id}"]))
        told += [event.model_dump_json() for event in client.read_events(related, limit=50).events]
    artifacts = published(state)
    assert len([artifact for artifact in artifacts if artifact.key]) == 3
    told += [artifact.model_dump_json() for artifact in artifacts]
    told += [flow_run_of(state).model_dump_json(), *logs_of(state), caplog.text]
    told += [task.model_dump_json() for task in task_runs_of(state).values()]
    results = Path(prefect_server["PREFECT_LOCAL_STORAGE_PATH"])
    kept = [path for folder in (tmp_path, results) for path in folder.rglob("*") if path.is_file()]
    told += [text for path in kept for text in (str(path), path.read_bytes().decode("latin-1"))]
    assert [text for text in told if SECRET in text] == []


def test_a_run_of_prefect_tells_who_else_writes_into_the_archive(
    feed: SimulatedFeed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run into another environment's archive completes, with a warning; each object says who fetched it."""
    assert run(feed, local=tmp_path).is_completed()
    feed.advance()
    assert "was begun by" not in caplog.text
    assert run(feed, local=tmp_path, environment="prod").is_completed()
    assert "was begun by dev-simulated, and prod-simulated writes into it too" in caplog.text
    kept = sorted(tmp_path.glob("provenance/**/*.json"))
    assert [json.loads(path.read_bytes())["environment"] for path in kept] == ["dev", "prod"]


def test_what_waits_in_the_spool_does_not_delay_the_poll_while_the_archive_is_away(
    feed: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that does not answer as the run begins is given what waits only once it has taken the run's body."""

    def refuses(*_arguments: object) -> None:
        raise CollectionError(FailureCode.ARCHIVE_REFUSED, "for good")

    places = {"local": tmp_path / "archive", "spool": tmp_path / "spool"}
    with monkeypatch.context() as refusing:
        refusing.setattr("miso_archive.collecting.parts.store_snapshot", refuses)
        assert run(feed, **places).is_failed()
    feed.advance()
    monkeypatch.setattr("miso_archive.collecting.parts.enter", lambda *_, **__: False)
    state = run(feed, **places)
    assert len(result_of(state)["objects"]) == 2
    first, then = "fetch snapshot, poll 1", "store what was spooled"
    tasks = task_runs_of(state, first, then)
    stored, fetched = tasks[then].start_time, tasks[first].end_time
    assert stored is not None
    assert fetched is not None
    assert stored > fetched


def test_a_bucket_that_is_not_there_is_told_before_the_feed_is_asked(feed: SimulatedFeed, bucket: Bucket) -> None:
    """The run fails by that reason, and nothing was asked."""
    state = run(feed, s3_bucket=f"{bucket.name}-x")
    assert (state.message or "").startswith(
        f"archive_refused: s3://{bucket.name}-x/environments/began.json cannot be read: No"
    )
    assert feed.requests == []
