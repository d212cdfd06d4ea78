"""The confirmed delivery of an announcement in Kafka."""

import logging
import os
import time
from pathlib import Path
from typing import Any, Final

from miso_archive.extras import needs

with needs("kafka", "Kafka"):
    from confluent_kafka import KafkaError, KafkaException, Producer

from miso_archive.collecting.announcement import Announcement
from miso_archive.collecting.kafka_word import LastWord
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.settings.kafka_address import KafkaAddress
from miso_archive.text import shown

_GRACE_SECONDS: Final = 2.0
_TOPIC_SECONDS: Final = 2.0
_TOPIC_AGAIN_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 2.0
"""How long a run waits for Kafka once it has waited in vain."""

_WORD_EACH_SECONDS: Final = 5.0

# librdkafka's own codes begin with an underscore.
_DENIED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as said
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_TELLS_NOTHING: Final = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TRANSPORT})  # noqa: SLF001 - as said

_REMEDIES: Final = {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the user needs the right IdempotentWrite on the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "the user needs the right IdempotentWrite on the cluster",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the user needs the rights Describe and Write on the topic",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "make the topic, or name another",
    KafkaError._AUTHENTICATION: "see user, password, security_protocol and sasl_mechanism",  # noqa: SLF001 - as said
}

_RAISED: Final = (KafkaException, BufferError, ValueError, TypeError, NotImplementedError)
"""What confluent_kafka raises: the first also out of calls that only wait, once an error is fatal to the producer."""

logger = logging.getLogger(__name__)


class Announcer:
    """An idempotent producer that waits for every broker's word (acks=all), for so many seconds a message.

    ``trouble`` is what the last announcement failed with, None when it was delivered.
    """

    def __init__(self, address: KafkaAddress, delivery_seconds: float) -> None:
        self._topic = address.topic
        self._brokers = address.brokers
        self._delivery_seconds = delivery_seconds
        self._words = LastWord(address.password)
        self._denied: KafkaError | None = None
        self._told: set[int] = set()
        self.trouble: CollectionError | None = None
        try:
            self._producer = Producer(self._configuration(address), logger=self._words.logger)
        except _RAISED as error:
            trouble = _kafka_error(error)
            reason = self._words.shown(error if trouble is None else trouble.str())
            raise self._undelivered(f"no producer can be made: {reason}") from error

    def announce(self, announcement: Announcement) -> None:
        """Send a message and return when its delivery is confirmed.

        Once it was waited for in vain, Kafka has two seconds for each further message.

        Raises:
            CollectionError: It is not confirmed in time, or the broker denies it. The password is not in the message.
        """
        seconds = self._delivery_seconds + _GRACE_SECONDS
        if self.trouble is not None:
            seconds = min(seconds, _AGAIN_SECONDS)
        try:
            self._deliver(announcement, seconds)
        except CollectionError as error:
            self.trouble = error
            raise
        self.trouble = None
        # Not before: why nothing goes out may have been said while the producer was made.
        self._words.last = ""

    def reach(self) -> int:
        """Ask Kafka for its brokers and return how many there are.

        Raises:
            CollectionError: There is no answer in time.
        """
        try:
            found = len(self._producer.list_topics(timeout=self._delivery_seconds).brokers)
            self._producer.poll(0)
        except _RAISED as error:
            self._hear()
            raise self._raised(error, f"Kafka at {self._brokers} does not answer", of_topic=False) from error
        return found

    def close(self) -> None:
        """Let the producer go; nothing is on its way any more."""
        try:
            self._producer.flush(0)
        except _RAISED as error:
            logger.debug("Kafka at %s: %s", self._brokers, self._words.shown(error))  # a fatal error is told again

    def _deliver(self, announcement: Announcement, seconds: float) -> None:
        reports: list[KafkaError | None] = []
        self._denied = None
        try:
            self._producer.produce(
                self._topic,
                key=announcement.sha256.encode(),
                value=announcement.as_json(),
                on_delivery=lambda error, _message: reports.append(error),
            )
            self._wait(reports, seconds)
            if not reports:
                self._producer.purge()
        except _RAISED as error:
            raise self._raised(error, self._not_confirmed) from error
        trouble = self._denied or (reports[0] if reports else None)
        if trouble is not None or not reports:
            raise self._failure(trouble, self._not_confirmed)

    def _wait(self, reports: list[KafkaError | None], seconds: float) -> None:
        began = time.monotonic()
        word_at = _WORD_EACH_SECONDS
        while not reports and self._denied is None and (waited := time.monotonic() - began) < seconds:
            if waited > word_at:
                logger.warning("%s since %.0f s: %s", self._not_confirmed, waited, self._words.last or "no answer")
                word_at += _WORD_EACH_SECONDS
            self._producer.poll(0.1)

    @property
    def _not_confirmed(self) -> str:
        return f"Kafka at {self._brokers} has not confirmed the message to {self._topic}"

    def _undelivered(self, reason: str) -> CollectionError:
        return CollectionError(FailureCode.KAFKA_UNDELIVERED, f"{self._not_confirmed}: {reason}")

    def _raised(self, error: Exception, what: str, *, of_topic: bool = True) -> CollectionError:
        trouble = _kafka_error(error)
        if trouble is not None:
            if trouble.code() == KafkaError._FATAL:  # noqa: SLF001 - as said
                self._hear()  # which one it was comes out of the next call
            return self._failure(trouble, what, of_topic=of_topic)
        return CollectionError(FailureCode.KAFKA_UNDELIVERED, f"{what}: {self._words.shown(error)}")

    def _failure(self, trouble: KafkaError | None, what: str, *, of_topic: bool = True) -> CollectionError:
        """Return the error to raise: with the code of what is wrong and the broker's own last word on it."""
        trouble = self._denied or trouble
        if trouble is not None and trouble.code() == KafkaError._FATAL and self.trouble is not None:  # noqa: SLF001 - as said
            return self.trouble  # the producer is done for, and this is why
        if of_topic and (trouble is None or trouble.code() in _TELLS_NOTHING):
            trouble = self._trouble_of_topic() or trouble
        if trouble is None or trouble.code() in _TELLS_NOTHING:
            return CollectionError(FailureCode.KAFKA_UNDELIVERED, f"{what}: {self._words.last or 'no answer'}")
        reason = f"{trouble.name()}: {self._words.shown(trouble.str())}"
        if trouble.code() in _REMEDIES:
            reason = f"{reason}; {_REMEDIES[trouble.code()]}"
        if trouble.code() in _DENIED:
            message = f"Kafka at {self._brokers} denies the user or the topic {self._topic}: {reason}"
            return CollectionError(FailureCode.KAFKA_DENIED, message)
        return CollectionError(FailureCode.KAFKA_UNDELIVERED, f"{what}: {reason}")

    def _trouble_of_topic(self) -> KafkaError | None:
        """Ask what is wrong with the topic: a producer waits for one that is not there, and says nothing."""
        seconds = _TOPIC_SECONDS if self.trouble is None else _TOPIC_AGAIN_SECONDS
        seconds = min(seconds, self._delivery_seconds)
        try:
            found = self._producer.list_topics(self._topic, timeout=seconds).topics.get(self._topic)
        except _RAISED:
            return None  # the brokers do not answer; the log has why
        return None if found is None else found.error

    def _hear(self) -> None:
        """Take in what librdkafka has to say."""
        try:
            self._producer.poll(0)
        except _RAISED as error:
            self._denied = self._denied or _kafka_error(error)

    def _configuration(self, address: KafkaAddress) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "bootstrap.servers": address.brokers,
            "security.protocol": address.security_protocol,
            "client.id": "miso-archive",
            "enable.idempotence": True,
            "acks": "all",
            "delivery.timeout.ms": int(self._delivery_seconds * 1000),
            # A host that swallows everything is told before the delivery's time is up.
            "socket.connection.setup.timeout.ms": max(1000, int(self._delivery_seconds * 500)),
            "linger.ms": 0,
            # What a broker answers to a message that librdkafka then sends again is in the log alone.
            "debug": "msg",
            # A producer's first connection is often replaced at once; the default wait for it is most of a run's work.
            "reconnect.backoff.ms": 10,
            # And a broker that comes back within the delivery's time must be found in it.
            "reconnect.backoff.max.ms": 1000,
            "error_cb": self._note,
        }
        if address.ssl_ca_location is not None:
            configuration["ssl.ca.location"] = self._readable(address.ssl_ca_location)
        if address.user is not None:
            configuration |= {
                "sasl.mechanism": address.sasl_mechanism,
                "sasl.username": address.user,
                "sasl.password": address.password,
            }
        return configuration

    def _readable(self, ca_location: str) -> str:
        """Return the path of the CA's file or folder, once it is seen that it can be read."""
        path = Path(os.path.expanduser(ca_location))  # noqa: PTH111 - Path's raises where there is no such home
        try:
            if not path.is_dir():
                path.open("rb").close()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise self._undelivered(f"ssl_ca_location names {shown(str(path), 200)}: {reason}") from error
        return str(path)

    def _note(self, error: KafkaError) -> None:
        if error.code() in _DENIED:
            self._denied = error
        if error.code() not in self._told:
            self._told.add(error.code())
            logger.warning("Kafka at %s: %s %s", self._brokers, error.name(), self._words.shown(error.str()))


def _kafka_error(error: BaseException) -> KafkaError | None:
    """Return what librdkafka means by an exception, if it is one of its own."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, KafkaError) else None
