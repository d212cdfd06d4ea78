"""The announcement in Kafka, read by a real consumer: what it says, and that it is delivered or told as not."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
from confluent_kafka import KafkaError

from miso_archive.collecting.announce import Announcer
from miso_archive.collecting.announcement import Announcement
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.settings.kafka_address import KafkaAddress, parse_kafka_address
from tests.services.kafka import SaslFront, mock_cluster, read_messages, sasl_front
from tests.services.process import free_port
from tests.services.proxy import FaultProxy, LoopbackServer, both, connection, copy
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow("waits until Kafka's time is up")

SECRET = "hunter2 & 'more'"  # noqa: S105 - opens nothing
ANNOUNCEMENT = Announcement(
    dataset="miso_binding_constraints_reserve",
    environment="dev",
    location="s3://bucket",
    key="sourcing/miso_binding_constraints_reserve/2026-07-27/binding_constraints_reserve_20260727_0810.json.gz",
    sha256="5f" * 32,
    ref_id="27-Jul-2026 - Interval 08:10 EST",
    interval_end="2026-07-27T08:10:00-05:00",
    constraint_count=2,
    fetched_at="2026-07-27T13:10:31Z",
    collector_version="0.1.0",
)


@pytest.fixture
def announcer() -> Iterator[Callable[..., Announcer]]:
    """Make announcers that are closed with the test."""
    made: list[Announcer] = []

    def make(address: KafkaAddress | str, delivery_seconds: float = 20.0) -> Announcer:
        if isinstance(address, str):
            address = parse_kafka_address(address, default_topic="default-topic")
        made.append(Announcer(address, delivery_seconds))
        return made[-1]

    yield make
    for one in made:
        one.close()


def numbered(number: int) -> Announcement:
    """An announcement that differs from others."""
    return ANNOUNCEMENT.model_copy(update={"constraint_count": number, "sha256": f"{number:064x}"})


def read(kafka_topic: str, expected: int) -> list[tuple[str, dict[str, object]]]:
    """The keys and values in a topic, once so many are there."""
    bootstrap, _, topic = kafka_topic.partition("/")
    messages = read_messages(bootstrap, topic, expected=expected)
    return [((message.key() or b"").decode(), json.loads(message.value() or b"")) for message in messages]


def trouble(announcer: Announcer) -> CollectionError:
    """The error that announcing ends with."""
    with pytest.raises(CollectionError) as caught:
        announcer.announce(ANNOUNCEMENT)
    return caught.value


class TestMessage:
    def test_a_consumer_reads_what_was_announced(self, announcer: Callable[..., Announcer], kafka_topic: str) -> None:
        """The message is the announcement as JSON, its key the SHA-256, and it is there once announcing returns."""
        announcer(kafka_topic).announce(ANNOUNCEMENT)
        assert read(kafka_topic, expected=1) == [
            (
                "5f" * 32,
                {
                    "dataset": "miso_binding_constraints_reserve",
                    "environment": "dev",
                    "location": "s3://bucket",
                    "key": ANNOUNCEMENT.key,
                    "sha256": "5f" * 32,
                    "ref_id": "27-Jul-2026 - Interval 08:10 EST",
                    "interval_end": "2026-07-27T08:10:00-05:00",
                    "constraint_count": 2,
                    "fetched_at": "2026-07-27T13:10:31Z",
                    "collector_version": "0.1.0",
                },
            )
        ]

    def test_each_call_is_one_message(self, announcer: Callable[..., Announcer], kafka_topic: str) -> None:
        """Five announcements are five messages, each once."""
        producer = announcer(kafka_topic)
        for number in range(5):
            producer.announce(numbered(number))
        assert sorted(str(value["sha256"]) for _, value in read(kafka_topic, expected=5)) == [
            f"{number:064x}" for number in range(5)
        ]

    def test_every_field_is_documented(self) -> None:
        """The message's schema explains each of its fields."""
        assert all(field["description"] for field in Announcement.model_json_schema()["properties"].values())

    def test_the_default_topic_serves_where_none_is_named(self, announcer: Callable[..., Announcer]) -> None:
        """An address without a topic announces in the default one."""
        with mock_cluster() as bootstrap:
            announcer(bootstrap).announce(ANNOUNCEMENT)
            assert len(read(f"{bootstrap}/default-topic", expected=1)) == 1

    def test_one_broker_of_several_is_enough(self, announcer: Callable[..., Announcer], kafka_topic: str) -> None:
        """With a list of brokers one that answers is enough."""
        announcer(f"127.0.0.1:{free_port()},{kafka_topic}").announce(ANNOUNCEMENT)
        assert len(read(kafka_topic, expected=1)) == 1


class TestBrokerDown:
    def test_no_broker_is_told_at_the_deadline(self, announcer: Callable[..., Announcer]) -> None:
        """Without a broker announcing fails when the delivery's time is up, and names broker and topic."""
        address = f"127.0.0.1:{free_port()}"
        producer = announcer(f"{address}/somewhere", delivery_seconds=0.5)
        began = time.monotonic()
        error = trouble(producer)
        assert 0.4 < time.monotonic() - began < 4
        assert error.code == FailureCode.KAFKA_UNDELIVERED
        assert error.message.startswith(f"Kafka at {address} has not confirmed the message to somewhere: ")
        assert "Connection refused" in error.message

    @ON_REAL_SERVERS
    @pytest.mark.parametrize("mode", ["refuse", "blackhole", "cut"])
    def test_a_rerun_announces_once_the_broker_is_back(
        self, announcer: Callable[..., Announcer], kafka_topic: str, mode: str
    ) -> None:
        """A broker that hangs up or is silent fails the announcement; once it is well the next one gets through."""
        bootstrap, _, topic = kafka_topic.partition("/")
        host, _, port = bootstrap.partition(":")
        with FaultProxy(host, int(port)) as proxy:
            proxy.mode = "refuse" if mode == "refuse" else "blackhole" if mode == "blackhole" else "cut"
            address = f"127.0.0.1:{proxy.port}/{topic}"
            began = time.monotonic()
            error = trouble(announcer(address, delivery_seconds=0.5))
            assert time.monotonic() - began < 4
            assert error.code == FailureCode.KAFKA_UNDELIVERED
            proxy.mode = "pass"
            announcer(address).announce(ANNOUNCEMENT)
        assert len(read(kafka_topic, expected=1)) == 1

    @ON_REAL_SERVERS
    def test_a_broker_may_go_and_come_back(self, announcer: Callable[..., Announcer], kafka_topic: str) -> None:
        """The same producer fails while the broker is away, and delivers what comes after, without what failed."""
        bootstrap, _, topic = kafka_topic.partition("/")
        host, _, port = bootstrap.partition(":")
        with FaultProxy(host, int(port)) as proxy:
            proxy.mode = "refuse"
            producer = announcer(f"127.0.0.1:{proxy.port}/{topic}", delivery_seconds=4)
            assert trouble(producer).code == FailureCode.KAFKA_UNDELIVERED
            proxy.mode = "pass"
            producer.announce(numbered(7))
        assert [key for key, _ in read(kafka_topic, expected=1)] == [f"{7:064x}"]

    def test_a_broker_that_goes_away_is_noticed(self, announcer: Callable[..., Announcer]) -> None:
        """A delivery that worked says nothing of the next: when the broker is gone the next one fails."""
        with mock_cluster() as bootstrap:
            producer = announcer(f"{bootstrap}/topic", delivery_seconds=4)
            producer.announce(ANNOUNCEMENT)
        assert trouble(producer).code == FailureCode.KAFKA_UNDELIVERED

    def test_a_producer_that_cannot_be_made_is_told(self, announcer: Callable[..., Announcer]) -> None:
        """Settings that librdkafka refuses fail with a reason code, and without the password."""
        with pytest.raises(CollectionError, match="no producer can be made: ") as caught:
            announcer(login("127.0.0.1:1", sasl_mechanism="UNHEARD-OF"))
        assert caught.value.code == FailureCode.KAFKA_UNDELIVERED
        assert "hunter2" not in repr(caught.value)

    def test_a_message_that_is_too_large_is_told(self, announcer: Callable[..., Announcer], kafka_topic: str) -> None:
        """A message that cannot even be taken for sending fails like any that is not delivered."""
        producer = announcer(kafka_topic)
        with pytest.raises(CollectionError) as caught:
            producer.announce(ANNOUNCEMENT.model_copy(update={"ref_id": "x" * 2_000_000}))
        assert caught.value.code == FailureCode.KAFKA_UNDELIVERED
        producer.announce(ANNOUNCEMENT)
        assert len(read(kafka_topic, expected=1)) == 1


class Wiretap(LoopbackServer):
    """Passes connections on to a broker, and keeps what is sent to it."""

    def __init__(self, broker_port: int) -> None:
        super().__init__()
        self._broker_port = broker_port
        self.sent = b""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        async with connection("127.0.0.1", self._broker_port) as (broker_reader, broker_writer):
            await both(self._kept(reader, broker_writer), copy(broker_reader, writer))

    async def _kept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.sent += data
            writer.write(data)
            await writer.drain()


def login(bootstrap: str, **changes: str) -> KafkaAddress:
    """The address of a broker that asks for user "collector" and SECRET."""
    values = {"user": "collector", "password": SECRET, "topic": "topic", "sasl_mechanism": "PLAIN", **changes}
    return KafkaAddress(brokers=bootstrap, security_protocol="SASL_PLAINTEXT", **values)  # type: ignore[arg-type]


class TestLogin:
    @pytest.fixture(params=["mock cluster", pytest.param("Tansu", marks=pytest.mark.services)])
    def front(self, request: pytest.FixtureRequest) -> Iterator[str]:
        """A broker that lets in no one with another password; the mock cluster behind it is never reached."""
        if request.param == "Tansu":
            with sasl_front("collector", "the right one") as bootstrap:
                yield bootstrap
        else:
            with mock_cluster() as cluster, SaslFront(int(cluster.split(":")[1]), "collector", "the right one") as at:
                yield f"127.0.0.1:{at.port}"

    @pytest.mark.services
    def test_the_right_password_opens(self, announcer: Callable[..., Announcer]) -> None:
        """With the right user and password the message is delivered."""
        with sasl_front("collector", SECRET) as bootstrap:
            announcer(login(bootstrap)).announce(ANNOUNCEMENT)
            config = {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "collector",
                "sasl.password": SECRET,
            }
            assert len(read_messages(bootstrap, "topic", expected=1, extra_config=config)) == 1

    @pytest.mark.parametrize("changes", [{}, {"user": "somebody"}, {"sasl_mechanism": "SCRAM-SHA-256"}])
    def test_a_wrong_login_is_denied_quickly(
        self, announcer: Callable[..., Announcer], front: str, changes: dict[str, str]
    ) -> None:
        """A wrong password, user or mechanism fails long before the delivery's deadline, and says so."""
        began = time.monotonic()
        error = trouble(announcer(login(front, **changes), delivery_seconds=60))
        assert time.monotonic() - began < 10
        assert (error.code, error.transient) == (FailureCode.KAFKA_DENIED, False)
        assert error.message.startswith(f"Kafka at {front} denies the user or the topic topic: ")

    def test_every_announcement_is_denied(self, announcer: Callable[..., Announcer], front: str) -> None:
        """A second announcement with the wrong password is denied like the first."""
        producer = announcer(login(front), delivery_seconds=60)
        assert [trouble(producer).code for _ in range(2)] == [FailureCode.KAFKA_DENIED] * 2

    def test_what_was_denied_is_not_sent_later(self, announcer: Callable[..., Announcer], front: str) -> None:
        """A message that was denied does not wait in the producer: it was told as not delivered."""
        producer = announcer(login(front), delivery_seconds=60)
        trouble(producer)
        assert producer._producer.flush(1) == 0  # noqa: SLF001 - how many messages wait

    def test_a_denial_of_the_past_does_not_count(self, announcer: Callable[..., Announcer], kafka_topic: str) -> None:
        """A connection that was denied between two announcements says nothing of the second."""
        producer = announcer(kafka_topic)
        producer._note(KafkaError(KafkaError._AUTHENTICATION))  # noqa: SLF001 - as librdkafka calls it
        producer.announce(ANNOUNCEMENT)
        assert len(read(kafka_topic, expected=1)) == 1

    def test_a_password_is_nowhere(
        self, announcer: Callable[..., Announcer], front: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A password is in no log line, no error with its causes, and no repr."""
        caplog.set_level("DEBUG")
        address = login(front)
        producer = announcer(address, delivery_seconds=60)
        error = trouble(producer)
        told = [
            *(record.getMessage() for record in caplog.records),
            *traceback.format_exception(error),
            repr(error),
            repr(address),
            repr(producer),
            repr(vars(producer)),
        ]
        assert any("_AUTHENTICATION" in line for line in told)
        assert not any("hunter2" in line for line in told)

    @pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
    def test_a_broker_without_login_is_not_told_the_password(
        self, announcer: Callable[..., Announcer], protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"]
    ) -> None:
        """A broker that knows no login, or no TLS, is asked, and gets none of the password: the announcement fails."""
        with mock_cluster() as cluster, Wiretap(int(cluster.partition(":")[2])) as tapped:
            address = replace(login(f"127.0.0.1:{tapped.port}"), security_protocol=protocol)
            error = trouble(announcer(address, delivery_seconds=1))
        assert error.code in {FailureCode.KAFKA_UNDELIVERED, FailureCode.KAFKA_DENIED}
        assert tapped.sent
        assert b"hunter2" not in tapped.sent
