"""The announcement of a new snapshot in Kafka: its message, and its confirmed delivery."""

import logging
import time
from typing import Any, Final

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from pydantic import BaseModel, ConfigDict, Field

from miso_reserve.failure import CollectionError
from miso_reserve.findings import FailureCode, shown
from miso_reserve.kafka_address import KafkaAddress

DELIVERY_SECONDS: Final = 20.0
"""How long a delivery may take, librdkafka's own retries included."""

_GRACE_SECONDS: Final = 2.0
_DENIED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's own codes begin with an underscore
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)

logger = logging.getLogger(__name__)


class Announcement(BaseModel):
    """The Kafka message: JSON, at least one for each new snapshot. The message's key is the SHA-256."""

    model_config = ConfigDict(frozen=True)

    dataset: str = Field(description="The feed: `miso_binding_constraints_reserve`.")
    environment: str = Field(description="`dev`, `staging` or `prod`.")
    location: str = Field(description="The archive: `s3://bucket/folder` or `file:///folder`.")
    key: str = Field(description="The object's key within the location.")
    sha256: str = Field(description="The SHA-256 of the body, in hexadecimal: tell repeated messages apart by it.")
    ref_id: str = Field(description="The feed's own label, as sent.")
    interval_end: str = Field(description="The end of the interval, ISO 8601 with offset: EST, UTC-5 all year.")
    constraint_count: int = Field(description="How many constraints bind; 0 in a quiet interval.")
    fetched_at: str = Field(description="When the body was fetched, ISO 8601 in UTC.")
    collector_version: str = Field(description="The version of miso-reserve that collected it.")


class Announcer:
    """An idempotent producer that waits for every broker's word (acks=all), for so many seconds a message."""

    def __init__(self, address: KafkaAddress, delivery_seconds: float) -> None:
        self._topic = address.topic
        self._brokers = address.brokers
        self._delivery_seconds = delivery_seconds
        self._denied: KafkaError | None = None
        self._told: set[int] = set()
        try:
            self._producer = Producer(self._configuration(address), logger=logger)
        except KafkaException as error:
            raise self._undelivered(f"no producer can be made: {shown(str(error), 200)}") from error

    def announce(self, announcement: Announcement) -> None:
        """Send a message and return when its delivery is confirmed.

        Raises:
            CollectionError: It is not confirmed in time, or the broker denies it. The password is not in the message.
        """
        reports: list[KafkaError | None] = []
        self._denied = None
        try:
            self._producer.produce(
                self._topic,
                key=announcement.sha256.encode(),
                value=orjson.dumps(announcement.model_dump()),
                on_delivery=lambda error, _message: reports.append(error),
            )
        except (KafkaException, BufferError) as error:
            raise self._undelivered(shown(str(error), 200)) from error
        deadline = time.monotonic() + self._delivery_seconds + _GRACE_SECONDS
        while not reports and self._denied is None and time.monotonic() < deadline:
            self._producer.poll(0.1)
        if not reports:
            self._producer.purge()
        trouble = self._denied or (reports[0] if reports else None)
        if trouble is not None and trouble.code() in _DENIED:
            message = f"Kafka at {self._brokers} denies the user or the topic {self._topic}: {trouble.name()}"
            raise CollectionError(FailureCode.KAFKA_DENIED, message)
        if trouble is not None or not reports:
            raise self._undelivered(trouble.name() if trouble is not None else "no answer")

    def reach(self) -> int:
        """Ask Kafka for its brokers and return how many there are.

        Raises:
            CollectionError: There is no answer in time.
        """
        try:
            return len(self._producer.list_topics(timeout=self._delivery_seconds).brokers)
        except KafkaException as error:
            message = f"Kafka at {self._brokers} does not answer: {shown(str(error), 200)}"
            raise CollectionError(FailureCode.KAFKA_UNDELIVERED, message) from error

    def close(self) -> None:
        """Let the producer go; nothing is on its way any more."""
        self._producer.flush(0)

    def _undelivered(self, reason: str) -> CollectionError:
        message = f"Kafka at {self._brokers} has not confirmed the message to {self._topic}: {reason}"
        return CollectionError(FailureCode.KAFKA_UNDELIVERED, message)

    def _configuration(self, address: KafkaAddress) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "bootstrap.servers": address.brokers,
            "security.protocol": address.security_protocol,
            "client.id": "miso-reserve",
            "enable.idempotence": True,
            "acks": "all",
            "delivery.timeout.ms": int(self._delivery_seconds * 1000),
            "linger.ms": 0,
            # librdkafka repeats itself many times a second while a broker is away; error_cb tells each trouble once.
            "log_level": 2,
            # A producer's first connection is often replaced at once; the default wait for it is most of a run's work.
            "reconnect.backoff.ms": 10,
            # And a broker that comes back within the delivery's time must be found in it.
            "reconnect.backoff.max.ms": 1000,
            "error_cb": self._note,
        }
        if address.user is not None:
            configuration |= {
                "sasl.mechanism": address.sasl_mechanism,
                "sasl.username": address.user,
                "sasl.password": address.password,
            }
        return configuration

    def _note(self, error: KafkaError) -> None:
        if error.code() in _DENIED:
            self._denied = error
        if error.code() not in self._told:
            self._told.add(error.code())
            logger.warning("Kafka at %s: %s %s", self._brokers, error.name(), shown(error.str(), 300))
