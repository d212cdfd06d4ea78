"""What disturbs the soak's runs does what it says, and counts it."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, HTTPClientError
from confluent_kafka import Producer

from tests.services.kafka import read_messages
from tests.services.proxy import FaultProxy, LoopbackServer
from tests.services.s3 import S3Proxy, moto_server
from tests.soak.kafka import kafka_with_login
from tests.soak.s3 import WholeRequests

if TYPE_CHECKING:
    import asyncio


class Recorder(LoopbackServer):
    """An upstream that keeps what it is sent, and says 200."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.received.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")


def exchange(port: int, request: bytes) -> bytes:
    """Send a request, or the beginning of one, then hang up; return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


def test_half_a_request_is_none() -> None:
    """A put whose client dies in the middle does not reach the server; a whole one does, body and all."""
    head = b"PUT /key HTTP/1.1\r\nContent-Length: 5\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n"
    with Recorder() as upstream, WholeRequests(upstream.port) as front:
        assert exchange(front.port, head + b"wh") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert upstream.received == []
        assert exchange(front.port, head + b"whole").endswith(b"HTTP/1.1 200 OK\r\n\r\n")
        assert upstream.received == [b"PUT /key HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole"]


def test_a_proxy_answers_in_place_of_the_server() -> None:
    """In mode "answer" a request gets the proxy's own answer, and the server never sees it."""
    with Recorder() as upstream, FaultProxy("127.0.0.1", upstream.port) as proxy:
        proxy.mode, proxy.answer = "answer", b"HTTP/1.1 500 No\r\n\r\n"
        assert exchange(proxy.port, b"GET / HTTP/1.1\r\n\r\n") == proxy.answer
        assert not any(upstream.received)


def test_a_lost_answer_is_that_of_a_put_that_stands() -> None:
    """The proxy before S3 loses the answers of puts that were done, and counts those: no request, no other answer."""
    with moto_server() as s3, WholeRequests(int(s3.url.rpartition(":")[2])) as front:
        whole = replace(s3, url=f"http://127.0.0.1:{front.port}")
        with S3Proxy(whole) as proxy:
            client = replace(s3, url=f"http://127.0.0.1:{proxy.port}").client(retries={"total_max_attempts": 1})
            client.create_bucket(Bucket="bucket")
            proxy.mode = "lose"
            with pytest.raises(HTTPClientError):
                client.put_object(Bucket="bucket", Key="a/key", Body=b"data", IfNoneMatch="*")
            assert client.get_object(Bucket="bucket", Key="a/key")["Body"].read() == b"data"
            with pytest.raises(ClientError, match="PreconditionFailed"):
                client.put_object(Bucket="bucket", Key="a/key", Body=b"data", IfNoneMatch="*")
            assert proxy.struck == {"lose": 1}


def test_a_lost_acknowledgement_is_of_a_message_that_the_broker_has() -> None:
    """Kafka's front loses the word that a message was taken, on the connection by which it came."""
    delivered: list[object] = []
    with kafka_with_login("user", "password") as kafka:
        login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
        login |= {
            "sasl.username": "user",
            "sasl.password": "password",
            "bootstrap.servers": f"127.0.0.1:{kafka.proxy.port}",
        }
        with Producer({**login, "enable.idempotence": True, "log_level": 2}) as producer:
            kafka.sign.loses_acknowledgements = True
            producer.produce("topic", value=b"message", on_delivery=lambda error, _: delivered.append(error))
            assert len(read_messages(kafka.bootstrap, "topic", expected=1)) >= 1
            producer.poll(0)
            assert delivered == []
            assert kafka.struck()["kafka-answer-lost"] >= 1
            kafka.sign.loses_acknowledgements = False
            assert producer.flush(10) == 0
        assert delivered == [None]
