"""What Kafka refuses, and why it does not answer: told in its own words, in time, and never as a traceback."""

from __future__ import annotations

import json
import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError

from miso_archive.cli.app import main
from miso_archive.collecting import announce as announcing
from miso_archive.collecting.announce import Announcer
from miso_archive.collecting.announcement import DELIVERY_SECONDS
from miso_archive.collecting.kafka_word import LastWord
from miso_archive.collecting.parts import open_parts
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.kafka_address import parse_kafka_address
from miso_archive.settings.options import Settings
from tests.collecting.test_announce import ANNOUNCEMENT
from tests.services.certificates import tls_of_own_ca
from tests.services.kafka import SaslFront, mock_cluster, read_messages
from tests.services.kafka_front import INIT_PRODUCER_ID, METADATA, PRODUCE, RefusingFront
from tests.services.process import free_port
from tests.services.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed

pytestmark = pytest.mark.slow("waits until Kafka's time is up")

TOPIC = "snapshots"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A mock cluster of this module's own."""
    with mock_cluster() as broker:
        yield broker


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is to be closed with the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def _nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, it is no use to wait for what is wrong with the topic."""
    monkeypatch.setattr(announcing, "_TOPIC_SECONDS", 0.1)


def failure(address: str, seconds: float = 0.5) -> CollectionError:
    """The error that announcing at an address ends with."""
    announcer = Announcer(parse_kafka_address(address, default_topic=TOPIC), seconds)
    with pytest.raises(CollectionError) as caught:
        announcer.announce(ANNOUNCEMENT)
    announcer.close()
    return caught.value


class TestFatal:
    """Errors after which a producer is done for."""

    @pytest.mark.parametrize(
        ("request_kind", "refusal", "code"),
        [
            (INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED, "kafka_denied"),
            (INIT_PRODUCER_ID, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "kafka_denied"),
            (INIT_PRODUCER_ID, KafkaError.INVALID_PRODUCER_EPOCH, "kafka_undelivered"),
            (PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "kafka_undelivered"),
        ],
    )
    def test_a_run_ends_in_its_code_and_a_later_one_announces(  # noqa: PLR0913, PLR0917 - the parts of the whole
        self,
        cluster: str,
        request_kind: int,
        refusal: int,
        code: str,
        feed: SimulatedFeed,
        tmp_path: Path,
        redis_url: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Refused for good: a result with the code, the object stored and marked, and announced by a later run."""
        topic = f"fatal-{request_kind}-{refusal}"
        with RefusingFront(cluster, topic, {request_kind: refusal}) as front:
            place = ["--local", str(tmp_path), "--redis-url", redis_url]
            kafka = ["--kafka-connection-string", f"{front.address}/{topic}"]
            assert main(["collect", *place, *kafka, "--api-url", feed.url]) == 1
            result = json.loads(capsys.readouterr().out)
            assert [error["code"] for error in result["errors"]] == [code]
            assert (len(result["objects"]), len(list(tmp_path.glob("unannounced/*/*/*.json")))) == (1, 1)
            main(["status", *place, *kafka])
            assert "kafka " in capsys.readouterr().out
            front.refusals.clear()
            feed.advance()
            assert main(["collect", *place, *kafka, "--api-url", feed.url]) == 0
        keys = {json.loads(message.value() or b"")["key"] for message in read_messages(cluster, topic, expected=2)}
        assert result["objects"][0] in keys
        assert not list(tmp_path.glob("unannounced/*/*/*.json"))

    def test_what_follows_fails_at_once_for_the_same_reason(self, cluster: str) -> None:
        """After a fatal error each further message, and closing, say no more and wait for nothing."""
        with RefusingFront(cluster, TOPIC, {INIT_PRODUCER_ID: KafkaError.CLUSTER_AUTHORIZATION_FAILED}) as front:
            announcer = Announcer(parse_kafka_address(f"{front.address}/{TOPIC}", default_topic=TOPIC), 60)
            told = set()
            for _ in range(3):
                with pytest.raises(CollectionError) as caught:
                    announcer.announce(ANNOUNCEMENT)
                told.add(str(caught.value))
            announcer.close()
        (only,) = told
        assert only.startswith("kafka_denied: ")
        assert "the user needs the right IdempotentWrite on the cluster" in only


class TestReasons:
    """Why a message is not confirmed."""

    @pytest.mark.parametrize(
        ("request_kind", "refusal", "word"),
        [
            (METADATA, KafkaError.UNKNOWN_TOPIC_OR_PART, "Unknown topic or partition; make the topic, or name another"),
            (METADATA, KafkaError.LEADER_NOT_AVAILABLE, "Leader not available"),
            (PRODUCE, KafkaError.NOT_ENOUGH_REPLICAS, "Not enough in-sync replicas"),
            (PRODUCE, KafkaError.POLICY_VIOLATION, "Policy violation"),
            (INIT_PRODUCER_ID, KafkaError.COORDINATOR_NOT_AVAILABLE, "Coordinator not available"),
        ],
    )
    def test_what_the_broker_answers_is_told(self, cluster: str, request_kind: int, refusal: int, word: str) -> None:
        """What a broker answers again and again, until the time is up, stands in the error."""
        with RefusingFront(cluster, TOPIC, {request_kind: refusal}) as front:
            error = failure(f"{front.address}/{TOPIC}", seconds=1.5)
        assert error.code == FailureCode.KAFKA_UNDELIVERED
        assert word in error.message

    def test_a_topic_one_may_not_write_to_is_denied(self, cluster: str) -> None:
        """A topic without the right to write is denied at once, with the rights that it takes."""
        with RefusingFront(cluster, TOPIC, {PRODUCE: KafkaError.TOPIC_AUTHORIZATION_FAILED}) as front:
            error = failure(f"{front.address}/{TOPIC}", seconds=60)
        assert error.code == FailureCode.KAFKA_DENIED
        assert "the user needs the rights Describe and Write on the topic" in error.message

    @pytest.mark.usefixtures("_nobody_answers")
    def test_an_address_where_nobody_is_is_told(self) -> None:
        """A host that has no address, and a port that is dead, are told as such."""
        assert "Failed to resolve" in failure("no-such-host.invalid:9092").message
        assert "Connection refused" in failure(f"127.0.0.1:{free_port()}").message

    @pytest.mark.usefixtures("_nobody_answers")
    def test_a_host_that_swallows_everything_is_told(self, cluster: str) -> None:
        """A host that takes connections and never answers is told before the delivery's time is up."""
        host, _, port = cluster.partition(":")
        with FaultProxy(host, int(port)) as proxy:
            proxy.mode = "blackhole"
            assert "timed out" in failure(f"127.0.0.1:{proxy.port}", seconds=2).message

    @pytest.mark.usefixtures("_nobody_answers")
    def test_a_broker_that_falls_silent_is_told(self, cluster: str) -> None:
        """A broker that is there and then answers no more is told in words, not by a constant of librdkafka's."""
        with RefusingFront(cluster, TOPIC, {}) as front:
            front.swallowed = frozenset({INIT_PRODUCER_ID})
            error = failure(f"{front.address}/{TOPIC}", seconds=1)
        assert error.message == f"Kafka at {front.address} has not confirmed the message to {TOPIC}: no answer"

    @pytest.mark.usefixtures("_nobody_answers")
    def test_a_login_and_a_listener_that_do_not_go_together_are_told(self, cluster: str) -> None:
        """No login where one is wanted, and one where there is none, are told with what to look at."""
        with SaslFront(int(cluster.rpartition(":")[2]), "user", "password") as front:
            # How it hangs up is said once it has been tried again: half a second may be too short for that.
            error = failure(f"127.0.0.1:{front.port}", seconds=3)
        assert "a listener that wants a user, or TLS" in error.message
        error = failure(f"user:hunter2@{cluster}?security_protocol=SASL_PLAINTEXT")
        assert error.code == FailureCode.KAFKA_DENIED
        assert "SASL Handshake not supported by broker" in error.message
        assert "hunter2" not in error.message


class TestTls:
    """A listener with TLS, whose certificate is by a CA that the system does not know."""

    @pytest.fixture
    def listener(self, cluster: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
        """Its address, and the CA's file."""
        front = RefusingFront(cluster, TOPIC, {})
        front.tls, ca = tls_of_own_ca(tmp_path)
        with front:
            yield front.address, ca

    def test_a_ca_that_is_named_is_believed(self, listener: tuple[str, Path]) -> None:
        """With the CA's file in the connection string the message is delivered."""
        address, ca = listener
        text = f"{address}/{TOPIC}?security_protocol=SSL&ssl_ca_location={ca}"
        announcer = Announcer(parse_kafka_address(text, default_topic=TOPIC), 20)
        announcer.announce(ANNOUNCEMENT)
        announcer.close()

    @pytest.mark.usefixtures("_nobody_answers")
    def test_tls_that_does_not_fit_is_told(self, listener: tuple[str, Path], cluster: str) -> None:
        """An unknown CA, TLS on one side alone: each is told with what to look at."""
        address, ca = listener
        assert "name the CA's file by ssl_ca_location" in failure(f"{address}?security_protocol=SSL").message
        assert "security_protocol" in failure(address).message
        plain = FaultProxy("127.0.0.1", int(cluster.rpartition(":")[2]))
        plain.mode = "answer"  # with nothing, as a broker without TLS does
        with plain:
            told = failure(f"127.0.0.1:{plain.port}?security_protocol=SSL&ssl_ca_location={ca}").message
        assert "the listener may be one without TLS: see security_protocol" in told

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_a_ca_that_cannot_be_used_is_told_before_the_feed_is_asked(
        self, content: str | None, feed: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A CA's file that is not there, or holds none, ends the run in a result; nothing was fetched."""
        ca = tmp_path / "ca.pem"
        if content is not None:
            ca.write_text(content)
        kafka = f"127.0.0.1:1?security_protocol=SSL&ssl_ca_location={ca}"
        place = ["--local", str(tmp_path / "data"), "--api-url", feed.url]
        assert main(["collect", *place, "--kafka-connection-string", kafka]) == 1
        (error,) = json.loads(capsys.readouterr().out)["errors"]
        assert error["code"] == "kafka_undelivered"
        expected = "ssl.ca.location failed" if content else f"ssl_ca_location names '{ca}': No such file or directory"
        assert expected in error["message"]
        assert feed.hits == 0


class TestTime:
    """How long a run waits, and what it says meanwhile."""

    def test_all_waiting_together_is_less_than_fifteen_seconds(self) -> None:
        """The delivery, its grace and the question for the topic add up to less than what a run may be held up."""
        seconds = DELIVERY_SECONDS + announcing._GRACE_SECONDS + announcing._TOPIC_SECONDS  # noqa: SLF001 - its parts
        assert seconds < 15

    def test_once_waited_in_vain_a_run_hardly_waits_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next message of a run for which Kafka was away has the short time alone."""
        monkeypatch.setattr(announcing, "_AGAIN_SECONDS", 0.2)
        announcer = Announcer(parse_kafka_address(f"127.0.0.1:{free_port()}", default_topic=TOPIC), 60)
        announcer.trouble = CollectionError(FailureCode.KAFKA_UNDELIVERED, "before")
        began = time.monotonic()
        with pytest.raises(CollectionError, match="Connection refused"):
            announcer.announce(ANNOUNCEMENT)
        assert time.monotonic() - began < 20
        announcer.close()

    @pytest.mark.usefixtures("_nobody_answers")
    def test_the_catch_up_does_not_wait_for_what_has_just_failed(
        self, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When this run's own message was not confirmed, the marks wait for the next run: nothing more is sent."""
        kafka = f"127.0.0.1:{free_port()}/{TOPIC}"
        settings = Settings(local=tmp_path, redis_url=redis_url, kafka_connection_string=kafka)
        monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 0.3)
        with open_parts(settings, RESERVE) as parts:
            assert parts.announcer is not None
            with pytest.raises(CollectionError) as caught:
                parts.announcer.announce(ANNOUNCEMENT)
            monkeypatch.setattr(Announcer, "announce", lambda *_arguments: pytest.fail("it is sent"))
            with pytest.raises(CollectionError) as again:
                parts.catch_up()
            assert again.value.message == caught.value.message

    def test_a_broker_that_comes_back_in_time_is_found(self, cluster: str, stack: ExitStack) -> None:
        """A broker that is away at first, and back within the delivery's time, gets the message."""
        host, _, port = cluster.partition(":")
        proxy = stack.enter_context(FaultProxy(host, int(port)))
        proxy.mode = "refuse"
        topic = "back-in-time"

        class Repair(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the first word is enough
                proxy.mode = "pass"

        repair = Repair()
        announcing.logger.addHandler(repair)
        stack.callback(announcing.logger.removeHandler, repair)
        announcer = Announcer(parse_kafka_address(f"127.0.0.1:{proxy.port}/{topic}", default_topic=TOPIC), 20)
        announcer.announce(ANNOUNCEMENT)
        announcer.close()
        assert len(read_messages(cluster, topic, expected=1)) == 1

    @pytest.mark.usefixtures("_nobody_answers")
    def test_waiting_is_told_again_and_again(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While a run waits for Kafka it says so every few seconds, with the last word."""
        monkeypatch.setattr(announcing, "_WORD_EACH_SECONDS", 0.3)
        failure(f"127.0.0.1:{free_port()}")
        told = [record.getMessage() for record in caplog.records if " since " in record.getMessage()]
        assert len(told) >= 2
        assert all("Connection refused" in line for line in told)


class TestSecrets:
    @pytest.mark.parametrize("log", [logging.Logger.error, logging.Logger.critical])
    def test_a_password_that_a_broker_repeats_is_not_shown(self, log: Callable[[logging.Logger, str], None]) -> None:
        """A text of a broker that has the password in it is shown without."""
        words = LastWord("hunter2")
        log(words.logger, "FAIL [rdkafka#producer-1] [thrd:main]: wrong password hunter2\n")
        assert words.last == r"wrong password ***\n"
        assert words.shown("hunter2 is wrong") == "*** is wrong"
