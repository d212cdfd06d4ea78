import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests

from miso_archive.simulate import FAULTS, Reply, SimulatedFeed, snapshot_body
from miso_archive.simulate.faults import fault_reply
from miso_archive.simulate.server import DEFAULT_START

FIVE_BYTES = b"12345"


@pytest.fixture
def feed() -> Iterator[SimulatedFeed]:
    """Give a running feed with every default."""
    with SimulatedFeed() as running:
        yield running


def get(url: str) -> requests.Response:
    """Ask as an ordinary client does."""
    return requests.get(url, timeout=10, allow_redirects=False)


def connect(feed: SimulatedFeed) -> socket.socket:
    """Open a connection and say nothing."""
    address = urlsplit(feed.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)


def ask(feed: SimulatedFeed) -> socket.socket:
    """Send a request and leave the answer unread."""
    connection = connect(feed)
    connection.sendall(b"GET /api/BindingConstraints/Reserve HTTP/1.1\r\nHost: simulated\r\n\r\n")
    return connection


def threads() -> set[threading.Thread]:
    """The threads that Python started; those of libraries, which it calls dummies, come and go as they like."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def test_one_connection_serves_many_requests(feed: SimulatedFeed) -> None:
    """A client may keep its connection from one request to the next, whatever it asks for."""
    with closing(HTTPConnection(urlsplit(feed.url).netloc, timeout=10)) as connection:
        sockets = []
        for url in (feed.url, feed.status_url, feed.url):
            connection.request("GET", urlsplit(url).path)
            connection.getresponse().read()
            sockets.append(connection.sock)
    assert sockets == [sockets[0]] * 3
    assert feed.hits == 2


def test_a_truncated_reply_announces_more_than_it_sends(feed: SimulatedFeed) -> None:
    """A truncated reply names its full length, sends a part and closes the connection."""
    feed.script(Reply(body=FIVE_BYTES, truncate_to=3))
    with ask(feed) as connection:
        head, body = read_all(connection).split(b"\r\n\r\n")
    assert b"Content-Length: 5" in head
    assert b"Connection: close" in head
    assert body == feed.requests[0].body == b"123"


def test_a_reset_is_a_reset(feed: SimulatedFeed) -> None:
    """The client of a reset reply sees the connection reset and no byte of an answer."""
    feed.script(Reply(reset=True))
    with ask(feed) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert feed.requests[0].body == b""


def test_a_delay_comes_before_the_first_byte(feed: SimulatedFeed) -> None:
    """A delayed reply arrives no sooner than its delay."""
    feed.script(Reply(delay=0.02))
    get(feed.url)
    assert time.monotonic() - feed.requests[0].at >= 0.02


@pytest.mark.parametrize("drip_headers", [False, True])
def test_a_drip_pauses_before_each_byte(feed: SimulatedFeed, drip_headers: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A dripped body takes at least its pause for each byte and arrives whole, the headers dripped or not."""
    feed.script(Reply(body=FIVE_BYTES, drip=0.002, drip_headers=drip_headers))
    assert get(feed.url).content == FIVE_BYTES
    assert time.monotonic() - feed.requests[0].at >= 0.002 * (100 if drip_headers else 5)


def test_dripped_headers_have_a_pace_of_their_own(feed: SimulatedFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that drip beside a body that does not arrive at the usual pace."""
    monkeypatch.setattr("miso_archive.simulate.wire.DRIP_SECONDS", 0.0001)
    feed.script(Reply(body=FIVE_BYTES, drip_headers=True))
    assert get(feed.url).content == FIVE_BYTES


@pytest.mark.parametrize(
    "reply", [Reply(delay=600), Reply(drip=600), Reply(drip=600, drip_headers=True), Reply(body=b"x" * 50_000_000)]
)
def test_leaving_breaks_off_what_is_being_answered(reply: Reply) -> None:
    """A feed with a reply in progress and an idle connection closes in under half a second and leaves no thread."""
    before = threads()
    with SimulatedFeed() as feed:
        feed.script(Reply(), reply)
        with ask(feed) as idle:
            idle.recv(1)
            with ask(feed) as busy:
                while len(feed.requests) < 2:
                    pass
                began = time.monotonic()
                feed.close()
                took = time.monotonic() - began
                assert len(busy.recv(1)) <= 1
    assert took < 0.5
    assert threads() == before


def test_a_feed_that_never_ran_can_be_closed() -> None:
    """Closing frees the port of a feed that answered nothing."""
    feed = SimulatedFeed()
    port = int(urlsplit(feed.url).port or 0)
    feed.close()
    with SimulatedFeed(port=port) as again:
        assert get(again.url).status_code == 200


def test_nothing_is_printed(
    feed: SimulatedFeed, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Requests, nonsense and broken connections go to the log at DEBUG, quoted, and never to the terminal."""
    with caplog.at_level(logging.DEBUG, "miso_archive.simulate"):
        get(feed.url)
        with connect(feed) as nonsense:
            nonsense.sendall(b"GET\x1b[31m\r\n\r\n")
            assert b"X-Simulated: true" in read_all(nonsense)
        with ask(feed) as rude:
            rude.recv(1)
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        feed.close()
    assert capfd.readouterr() == ("", "")
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert "a connection broke" in caplog.messages
    assert not any("\x1b" in message for message in caplog.messages)


def test_compression_leaves_special_replies_alone() -> None:
    """A reply with an encoding of its own, or one to be cut short, is not compressed again."""
    with SimulatedFeed(compress=True) as feed:
        feed.script(Reply(body=FIVE_BYTES, headers={"content-encoding": "identity"}), Reply(truncate_to=3))
        assert get(feed.url).content == FIVE_BYTES
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="3 bytes read"):
            get(feed.url)
        assert feed.requests[1].body == snapshot_body(DEFAULT_START, seed=0)[:3]


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"slow", "drip", "drip-headers", "truncated", "reset"}))
def test_a_fault_arrives_as_its_reply(name: str) -> None:
    """A fault's status, headers and body reach the client unchanged, a gzip bomb still closed."""
    with SimulatedFeed(faults={name: 1}) as feed:
        expected = fault_reply(name, port=int(urlsplit(feed.url).port or 0))
        with requests.get(feed.url, timeout=10, allow_redirects=False, stream=True) as answer:
            assert answer.status_code == expected.status
            assert expected.headers.items() <= answer.headers.items()
            assert answer.raw.read(decode_content=False) == expected.body == feed.requests[0].body
