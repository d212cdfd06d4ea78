"""The command line against the whole: feed, S3, Redis and Kafka, embedded or real."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis as redis_client
from prefect_aws.credentials import _get_client_cached

from miso_archive.cli.app import main
from miso_archive.intervals.labels import EST
from miso_archive.simulate import Reply, documented_body, is_quiet, snapshot_body
from miso_archive.version import __version__
from tests.forked import collect_at_once
from tests.services.kafka import read_messages
from tests.services.process import free_port
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

pytestmark = pytest.mark.slow("makes whole runs")

SEED = 307
QUIET = datetime(2001, 1, 2, 7, 5, tzinfo=EST)
BINDING = QUIET + timedelta(minutes=10)
FOLDER = "sourcing/miso_binding_constraints_reserve"
MIDNIGHT = (
    b'{"RefId":"28-Jul-2026 - Interval 00:00 EST","Constraint":[{"Name":"None","Period":"2026-07-28T00:00:00",'
    b'"Price":"None","Description":"None"}]}'
)


@dataclass(frozen=True)
class Outcome:
    """What one call of the command left: its exit code, its result and what it logged."""

    code: int
    result: dict[str, Any]
    log: str


@dataclass(frozen=True)
class Collector:
    """The command, aimed at the test's own servers."""

    feed: SimulatedFeed
    bucket: Bucket
    redis_url: str
    capsys: pytest.CaptureFixture[str]

    def collect(self, *options: str) -> Outcome:
        """Run ``miso-archive collect`` once."""
        self.capsys.readouterr()
        code = main([*self.arguments, *options])
        told = self.capsys.readouterr()
        return Outcome(code, json.loads(told.out), told.err)

    @property
    def arguments(self) -> list[str]:
        """The command's arguments."""
        return [
            "collect",
            *("--s3-bucket", self.bucket.name),
            *("--redis-url", self.redis_url),
            *("--api-url", self.feed.url),
        ]

    def objects(self) -> list[str]:
        """The keys of the archived snapshots."""
        return self.bucket.keys("sourcing/")


@pytest.fixture
def collector(
    feed: SimulatedFeed, bucket: Bucket, redis_url: str, capsys: pytest.CaptureFixture[str], fast_retries: None
) -> Collector:
    """The command, aimed at the test's own servers, with retries that do not wait for seconds."""
    assert fast_retries is None
    return Collector(feed, bucket, redis_url, capsys)


class TestIntegration:
    @pytest.mark.parametrize(
        ("body", "label"),
        [
            (snapshot_body(BINDING, seed=SEED), "20010102_0715"),
            (snapshot_body(QUIET, seed=SEED), "20010102_0705"),
            (documented_body(BINDING, seed=SEED), "20010102_0715"),
            (MIDNIGHT, "20260728_0000"),
        ],
        ids=["live", "quiet", "documented", "midnight"],
    )
    def test_what_is_archived_is_what_was_served(self, collector: Collector, body: bytes, label: str) -> None:
        """Live, quiet and eleven-field payloads are archived byte for byte under the dated key of their own label."""
        collector.feed.script(Reply(body=body))
        outcome = collector.collect()
        day = f"{label[:4]}-{label[4:6]}-{label[6:8]}"
        key = f"{FOLDER}/{day}/binding_constraints_reserve_{label}.json.gz"
        assert outcome.result == {
            "total_candidates": 1,
            "collected": 1,
            "skipped_duplicate": 0,
            "failed": 0,
            "errors": [],
            "objects": [key],
        }
        assert outcome.code == 0
        assert collector.objects() == [key]
        assert gzip.decompress(collector.bucket.body(key)) == body

    def test_the_samples_are_of_three_kinds(self) -> None:
        """The payloads above are a binding one and a quiet one, as the names of the cases say."""
        assert is_quiet(QUIET, seed=SEED)
        assert not is_quiet(BINDING, seed=SEED)

    def test_an_object_carries_its_provenance(self, collector: Collector) -> None:
        """An object's metadata tell its hash, label, time of fetch, source and collector."""
        (key,) = collector.collect().result["objects"]
        metadata = collector.bucket.metadata(key)
        served = collector.feed.requests[0]
        assert metadata["sha256"] == hashlib.sha256(served.body).hexdigest()
        assert metadata["ref-id"] == "02-Jan-2001 - Interval 07:05 EST"
        assert metadata["source-url"] == collector.feed.url
        assert metadata["collector-version"] == __version__
        assert datetime.fromisoformat(metadata["fetched-at"]).utcoffset() == timedelta(0)
        assert served.headers["User-Agent"] == f"miso-archive/{__version__}"

    def test_a_re_poll_is_skipped(self, collector: Collector) -> None:
        """The same body polled again is a skipped duplicate: no second object."""
        collector.collect()
        outcome = collector.collect()
        assert (outcome.code, outcome.result["skipped_duplicate"], outcome.result["objects"]) == (0, 1, [])
        assert len(collector.objects()) == 1

    def test_a_revision_stands_beside_the_first(self, collector: Collector) -> None:
        """Another body for the same interval is kept beside the first, named by its hash; both stay as served."""
        (first,) = collector.collect().result["objects"]
        collector.feed.revise()
        outcome = collector.collect()
        served = [request.body for request in collector.feed.requests]
        digest = hashlib.sha256(served[1]).hexdigest()
        revision = first.replace(".json.gz", f".{digest[:12]}.json.gz")
        assert outcome.result["objects"] == [revision]
        assert [gzip.decompress(collector.bucket.body(key)) for key in (first, revision)] == served

    def test_a_lost_redis_costs_a_request_and_no_duplicate(
        self, collector: Collector, redis: redis_client.Redis
    ) -> None:
        """With Redis emptied, first body and revision polled again leave the archive as it was."""
        collector.collect()
        first = collector.feed.requests[0].body
        collector.feed.revise()
        collector.collect()
        redis.flushdb()
        again = collector.collect()
        collector.feed.script(Reply(body=first))
        assert [again.result["skipped_duplicate"], collector.collect().result["skipped_duplicate"]] == [1, 1]
        assert len(collector.objects()) == 2

    def test_redis_remembers_for_seven_days(self, collector: Collector, redis: redis_client.Redis) -> None:
        """A collected body is registered under its environment and hash, with the key, for 604,800 seconds."""
        (key,) = collector.collect("--environment", "staging").result["objects"]
        digest = hashlib.sha256(collector.feed.requests[0].body).hexdigest()
        name = f"hash:staging:miso_binding_constraints_reserve:{digest}"
        assert redis.keys("*") == [name]
        assert json.loads(str(redis.get(name)))["key"] == key
        assert 604_790 <= int(str(redis.ttl(name))) <= 604_800

    def test_unavailable_twice_is_collected(self, collector: Collector) -> None:
        """503, 503, 200: collected, after three requests."""
        collector.feed.script(Reply(status=503), Reply(status=503))
        outcome = collector.collect()
        assert (outcome.code, outcome.result["collected"], collector.feed.hits) == (0, 1, 3)

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_other_statuses_fail_at_once(self, collector: Collector, status: int) -> None:
        """A 4xx but 429 fails after one request, with nothing stored."""
        collector.feed.script(Reply(status=status))
        outcome = collector.collect()
        assert (outcome.code, outcome.result["failed"], collector.feed.hits) == (1, 1, 1)
        assert outcome.result["errors"][0]["code"] == "feed_status"
        assert collector.bucket.keys() == []

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b'{"error":"no data"}', "error_payload"),
            (b"<!DOCTYPE html><html><body>Maintenance</body></html>", "html_page"),
            (snapshot_body(BINDING, seed=SEED).replace(b'"Price":"', b'"Price":"x'), "bad_price"),
            (b'{"RefId":"27-Jul-2026', "not_json"),
        ],
    )
    def test_a_refused_body_is_kept(self, collector: Collector, body: bytes, code: str) -> None:
        """A refused body fails the run with its code after one request, and is kept with its reasons."""
        collector.feed.script(Reply(body=body))
        outcome = collector.collect()
        assert (outcome.code, outcome.result["failed"], collector.feed.hits) == (1, 1, 1)
        assert code in {error["code"] for error in outcome.result["errors"]}
        assert all(error["message"] for error in outcome.result["errors"])
        kept, reasons = collector.bucket.keys()
        assert kept.startswith("quarantine/miso_binding_constraints_reserve/20")
        assert gzip.decompress(collector.bucket.body(kept)) == body
        report = json.loads(collector.bucket.body(reasons))
        assert code in {reason["code"] for reason in report["reasons"]}
        assert report["sha256"] == hashlib.sha256(body).hexdigest()

    def test_without_redis_nothing_is_fetched(self, collector: Collector) -> None:
        """With Redis unreachable the run fails at once, names host and port, and asks and stores nothing."""
        port = free_port()
        arguments = [*collector.arguments[:3], "--redis-host", "127.0.0.1", "--redis-port", str(port)]
        code = main([*arguments, "--api-url", collector.feed.url])
        result = json.loads(collector.capsys.readouterr().out)
        assert (code, result["failed"], result["errors"][0]["code"]) == (1, 1, "redis_unreachable")
        assert result["errors"][0]["message"].startswith(f"Failed to connect to Redis at 127.0.0.1:{port}: ")
        assert collector.feed.hits == 0
        assert collector.bucket.keys() == []

    def test_each_new_snapshot_is_announced_once(self, collector: Collector, kafka_topic: str) -> None:
        """Kafka gets one message for a new snapshot, with all a consumer needs, and none for a re-poll."""
        broker, topic = kafka_topic.split("/")
        options = ("--kafka-connection-string", f"kafka://{kafka_topic}")
        (key,) = collector.collect(*options).result["objects"]
        collector.collect(*options)
        (message,) = read_messages(broker, topic, expected=1)
        told = json.loads(message.value() or b"")
        body = collector.feed.requests[0].body
        assert told.pop("fetched_at").endswith("Z")
        assert told == {
            "dataset": "miso_binding_constraints_reserve",
            "environment": "dev",
            "location": f"s3://{collector.bucket.name}",
            "key": key,
            "sha256": hashlib.sha256(body).hexdigest(),
            "ref_id": "02-Jan-2001 - Interval 07:05 EST",
            "interval_end": "2001-01-02T07:05:00-05:00",
            "constraint_count": 0,
            "rows": {"constraints": 0},
            "collector_version": __version__,
        }

    def test_what_a_dead_broker_missed_a_rerun_delivers(
        self, collector: Collector, kafka_topic: str, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the broker down the run fails and registers nothing; a rerun delivers the message, without a copy."""
        broker, topic = kafka_topic.split("/")
        with monkeypatch.context() as patched:
            patched.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 0.5)
            failed = collector.collect("--kafka-connection-string", f"127.0.0.1:{free_port()}/{topic}")
        assert (failed.code, failed.result["errors"][0]["code"]) == (1, "kafka_undelivered")
        assert redis.keys("*") == []
        rerun = collector.collect("--kafka-connection-string", kafka_topic)
        assert rerun.code == 0
        assert len(read_messages(broker, topic, expected=1)) == 1
        assert len(collector.objects()) == 1
        assert len(redis.keys("*")) == 1

    def test_a_password_is_never_told(self, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
        """A Kafka password stands neither in the result nor in the log, at any level, when delivery fails."""
        monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 0.5)
        address = f"user:very-secret@127.0.0.1:{free_port()}?security_protocol=SASL_PLAINTEXT"
        outcome = collector.collect("--kafka-connection-string", address, "--log-level", "DEBUG")
        assert outcome.code == 1
        assert outcome.log
        assert "very-secret" not in outcome.log + json.dumps(outcome.result)

    def test_environments_do_not_mix(self, collector: Collector) -> None:
        """A body registered in one environment is unknown to another, whose archive is complete all the same."""
        collector.collect("--environment", "dev")
        outcome = collector.collect("--environment", "prod")
        assert (outcome.result["skipped_duplicate"], outcome.result["failed"]) == (1, 0)
        assert len(collector.objects()) == 1

    def test_two_archives_may_share_a_redis(self, collector: Collector, tmp_path: Path) -> None:
        """What one archive holds is collected into another one too, though Redis knows the body."""
        collector.collect()
        redis = ["--redis-url", collector.redis_url]
        assert main(["collect", "--local", str(tmp_path), *redis, "--api-url", collector.feed.url]) == 0
        assert len(list(tmp_path.glob(f"{FOLDER}/*/*.json.gz"))) == 1

    def test_a_registration_of_nothing_loses_nothing(self, collector: Collector, redis: redis_client.Redis) -> None:
        """A key that something else wrote in Redis under the body's hash does not keep the body from the archive."""
        digest = hashlib.sha256(snapshot_body(QUIET, seed=SEED)).hexdigest()
        redis.set(f"hash:dev:miso_binding_constraints_reserve:{digest}", "1")
        assert collector.collect().result["collected"] == 1
        assert len(collector.objects()) == 1

    def test_the_registration_names_the_s3_server(
        self, collector: Collector, services: Services, redis: redis_client.Redis
    ) -> None:
        """What is registered for a bucket on one S3 server does not count for a bucket of that name on another."""
        collector.collect()
        (name,) = redis.keys("*")
        location = json.loads(str(redis.get(name)))["location"]
        assert location == f"s3://{collector.bucket.name} at {services.s3.url}"

    def test_an_endpoint_without_a_scheme_is_told(self, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
        """An AWS_ENDPOINT_URL that is no address fails the run with a code before anything is fetched."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
        _get_client_cached.cache_clear()  # prefect-aws keeps clients by their credentials alone
        outcome = collector.collect()
        assert (outcome.code, outcome.result["errors"][0]["code"], collector.feed.hits) == (1, "archive_refused", 0)

    def test_a_missing_bucket_fails_with_its_name(self, collector: Collector) -> None:
        """A bucket that is not there fails the run without retries, and the message names it."""
        collector.bucket.client.delete_bucket(Bucket=collector.bucket.name)
        outcome = collector.collect()
        (error,) = outcome.result["errors"]
        assert (outcome.code, error["code"]) == (1, "archive_refused")
        assert collector.bucket.name in error["message"]
        collector.bucket.client.create_bucket(Bucket=collector.bucket.name)

    @ON_REAL_SERVERS
    def test_eight_runs_at_once_make_one_object(self, collector: Collector) -> None:
        """Eight processes that collect the same interval at once leave one object, and none fails."""
        results = collect_at_once(collector.arguments, 8)
        assert [result["failed"] for result in results] == [0] * 8
        assert sum(result["collected"] for result in results) == 1
        assert len(collector.objects()) == 1

    def test_stdout_is_the_result_and_stderr_the_log(self, collector: Collector) -> None:
        """As a process, the command prints one JSON object on stdout, and logs to stderr as much as it is told to."""
        chatty = run_command(collector.arguments)
        silent = run_command([*collector.arguments, "--log-level", "ERROR"])
        assert json.loads(chatty.stdout)["collected"] == 1
        assert chatty.stdout.count("\n") == 1
        assert "stored as sourcing/" in chatty.stderr
        assert (json.loads(silent.stdout)["skipped_duplicate"], silent.stderr) == (1, "")


class TestLocalArchive:
    def test_a_folder_is_all_it_takes(
        self, feed: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With --local a snapshot is archived in a folder with no service about, and a re-poll is skipped."""
        arguments = ["collect", "--local", str(tmp_path / "data"), "--api-url", feed.url]
        assert [main(arguments), main(arguments)] == [0, 0]
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        assert (first["collected"], second["skipped_duplicate"]) == (1, 1)
        (key,) = first["objects"]
        assert gzip.decompress((tmp_path / "data" / key).read_bytes()) == feed.requests[0].body

    def test_a_stopped_run_stops_its_valkey(self, feed: SimulatedFeed, tmp_path: Path) -> None:
        """A run that SIGTERM stops while it waits for the feed ends at once and leaves no server behind."""
        feed.script(Reply(delay=60))
        arguments = ["collect", "--local", str(tmp_path), "--api-url", feed.url]
        with subprocess.Popen([sys.executable, "-m", "miso_archive", *arguments], stdout=subprocess.DEVNULL) as process:
            while not feed.hits:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.05)
                assert process.returncode is None
            with redis_client.Redis(port=int((tmp_path / ".valkey" / "port").read_text())) as client:
                assert client.ping()
                process.terminate()
                assert process.wait(timeout=20) == 128 + signal.SIGTERM
                with pytest.raises(redis_client.ConnectionError):
                    client.ping()

    def test_eight_runs_at_once_share_the_folder(self, feed: SimulatedFeed, tmp_path: Path) -> None:
        """Eight processes that collect into one folder at once share its Valkey and leave one object."""
        arguments = ["collect", "--local", str(tmp_path), "--api-url", feed.url]
        results = collect_at_once(arguments, 8)
        assert [result["failed"] for result in results] == [0] * 8
        assert sum(result["collected"] for result in results) == 1
        files = [path for path in tmp_path.rglob("*") if path.is_file() and ".valkey" not in path.parts]
        assert len(files) == 3  # the object, its provenance, and the mark of the environment


def run_command(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "miso_archive", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
