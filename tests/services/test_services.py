from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import redis
from botocore.exceptions import ClientError
from confluent_kafka import Producer

from tests.services.kafka import mock_cluster, read_messages
from tests.services.process import ServiceError, free_port, from_environment, running
from tests.services.proxy import FaultProxy
from tests.services.s3 import moto_server
from tests.services.valkey import embedded_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow("waits for servers to start")


def test_moto_refuses_a_second_put_if_none_match() -> None:
    """A conditional put that finds its key taken answers 412 and leaves the object as it was."""
    with moto_server() as endpoint:
        client = endpoint.client()
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"first", IfNoneMatch="*")
        with pytest.raises(ClientError) as refused:
            client.put_object(Bucket="bucket", Key="key", Body=b"second", IfNoneMatch="*")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"first"


def test_every_moto_server_starts_empty() -> None:
    """Buckets of an earlier moto server of the same process are gone."""
    for _ in range(2):
        with moto_server() as endpoint:
            client = endpoint.client()
            assert client.list_buckets()["Buckets"] == []
            client.create_bucket(Bucket="bucket")


def test_valkey_keeps_what_it_is_given() -> None:
    """The embedded Valkey answers a get with what was set."""
    with embedded_valkey() as url, redis.Redis.from_url(url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


def test_mock_cluster_delivers_to_another_client() -> None:
    """What one client produces to the mock cluster another reads, once, from all partitions."""
    with mock_cluster() as bootstrap:
        with Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True}) as producer:
            for number in range(20):
                producer.produce("topic", key=str(number), value=b"value")
            assert producer.flush(10) == 0
        messages = read_messages(bootstrap, "topic", expected=20)
        assert sorted(int(message.key() or b"") for message in messages) == list(range(20))


def test_reading_gives_up_at_its_deadline() -> None:
    """A reader that waits for more than there is returns what there is."""
    with mock_cluster() as bootstrap:
        with Producer({"bootstrap.servers": bootstrap}) as producer:
            producer.produce("topic", value=b"value")
            assert producer.flush(10) == 0
        assert [message.value() for message in read_messages(bootstrap, "topic", expected=2, timeout=1)] == [b"value"]


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A proxy before an empty Valkey."""
    with embedded_valkey() as url, FaultProxy("127.0.0.1", int(url.split(":")[2].split("/")[0])) as proxy:
        yield proxy


def _connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _ping(client: socket.socket) -> bytes:
    client.sendall(b"PING\r\n")
    return client.recv(100)


def test_proxy_passes_on(proxy: FaultProxy) -> None:
    """In mode "pass" a server answers as without a proxy."""
    with _connect(proxy) as client:
        assert _ping(client) == b"+PONG\r\n"


def test_proxy_refuses(proxy: FaultProxy) -> None:
    """In mode "refuse" connections are reset, new ones and open ones."""
    with _connect(proxy) as client:
        assert _ping(client) == b"+PONG\r\n"
        proxy.mode = "refuse"
        with pytest.raises(ConnectionError):
            _ping(client)
    with pytest.raises(ConnectionError), _connect(proxy) as client:
        client.recv(1)


def test_proxy_answers_nothing(proxy: FaultProxy) -> None:
    """In mode "blackhole" connections are accepted and requests neither answered nor done, not even afterwards."""
    with _connect(proxy) as opened:
        assert _ping(opened) == b"+PONG\r\n"
        proxy.mode = "blackhole"
        with _connect(proxy) as client:
            for lost in (opened, client):
                lost.settimeout(0.2)
                lost.sendall(b"SET key value\r\n")
                with pytest.raises(TimeoutError):
                    lost.recv(1)
    proxy.mode = "pass"
    with _connect(proxy) as client:
        client.sendall(b"GET key\r\n")
        assert client.recv(100) == b"$-1\r\n"


def test_proxy_delays(proxy: FaultProxy) -> None:
    """In mode "latency" the request and the answer are each held back."""
    proxy.mode, proxy.latency_seconds = "latency", 0.1
    with _connect(proxy) as client:
        started = time.monotonic()
        assert _ping(client) == b"+PONG\r\n"
        assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("length", [0, 3])
def test_proxy_cuts_answers(proxy: FaultProxy, length: int) -> None:
    """In mode "cut" a request is done and of its answer only the beginning arrives."""
    proxy.mode, proxy.cut_after_bytes = "cut", length
    with _connect(proxy) as client:
        client.sendall(b"SET key value\r\n")
        assert client.makefile("rb").read() == b"+OK\r\n"[:length]
    proxy.mode = "pass"
    with _connect(proxy) as client:
        client.sendall(b"GET key\r\n")
        assert client.recv(100) == b"$5\r\nvalue\r\n"


def test_proxy_cuts_requests(proxy: FaultProxy) -> None:
    """In mode "cut-request" a server sees only the beginning of a request."""
    proxy.mode, proxy.cut_after_bytes = "cut-request", 5
    with _connect(proxy) as client:
        client.sendall(b"SET key value\r\n")
        assert client.makefile("rb").read() == b""
    proxy.mode = "pass"
    with _connect(proxy) as client:
        client.sendall(b"GET key\r\n")
        assert client.recv(100) == b"$-1\r\n"


def test_a_server_that_dies_is_named_with_its_log(tmp_path: Path) -> None:
    """A server that ends while starting is an error that shows its last words."""
    command = [sys.executable, "-c", "import sys; sys.exit('no such disk')"]
    with (
        pytest.raises(ServiceError, match=r"python.* ended with status 1 (.|\n)*no such disk"),
        running(command, ready=lambda: False, log=tmp_path / "log"),
    ):
        pass


def test_a_server_that_hangs_is_stopped(tmp_path: Path) -> None:
    """A server that is not ready in time is an error, and does not stay behind."""
    command = ["sleep", "59.75"]
    with (
        pytest.raises(ServiceError, match=r"not ready after 0\.5 s"),
        running(command, ready=lambda: False, log=tmp_path / "log", timeout=0.5),
    ):
        pass
    assert command not in [child.cmdline() for child in psutil.Process().children()]


def test_ports_are_given_out_once() -> None:
    """No two servers of a test run are given the same port."""
    assert len({free_port() for _ in range(50)}) == 50


def test_a_missing_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests against real servers fail, and say how to run them, where no servers were started."""
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    with pytest.raises(ServiceError, match="TEST_REDIS_URL is not set: run this under `python -m"):
        from_environment("TEST_REDIS_URL")
