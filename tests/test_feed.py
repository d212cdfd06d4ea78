"""The feed over HTTP: deadline, cap, redirects, and which troubles are worth another try."""

from __future__ import annotations

import gzip
import hashlib
import random
import socket
import threading
import time
import traceback
import tracemalloc
import zlib
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from miso_reserve import __version__
from miso_reserve.contract import MOST_BYTES
from miso_reserve.failure import CollectionError
from miso_reserve.feed import fetch, without_secrets
from miso_reserve.findings import FailureCode
from miso_reserve.simulate import Reply
from miso_reserve.simulate.wire import ReplyServer
from tests.services.process import free_port
from tests.services.proxy import FaultProxy, LoopbackServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from miso_reserve.response import Response
    from miso_reserve.simulate import SimulatedFeed

BODY = b'{"RefId":"27-Jul-2026 - Interval 08:10 EST","Constraint":[]}'
TIMEOUT = 0.3
PLENTY = 10.0
"""A timeout that no test comes near."""


@pytest.fixture(autouse=True)
def _servers_stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miso_reserve.simulate.wire._POLL_SECONDS", 0.001)


def failure(url: str, timeout: float = PLENTY) -> CollectionError:
    """The error that a fetch ends with."""
    with pytest.raises(CollectionError) as caught:
        fetch(url, timeout)
    return caught.value


class Within:
    """Asserts that a block ends in time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert time.monotonic() - self.began < self.seconds


class Endless(LoopbackServer):
    """Answers a request with a body that never ends."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client hangs up."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(100_000))
            await writer.drain()


class Paths:
    """A server that answers by path, and remembers the paths it was asked for."""

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self.replies = dict(replies)
        self.asked: list[str] = []
        self.server = ReplyServer("127.0.0.1", 0, self._respond)

    def _respond(self, path: str, _headers: Mapping[str, str]) -> Reply:
        self.asked.append(path)
        return self.replies.get(path, Reply(404, b""))

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """The address of a path."""
        return f"{scheme}://{host}:{self.server.server_port}{path}"


@pytest.fixture
def paths() -> Iterator[Callable[..., Paths]]:
    """Start servers that answer by path; all of them stop with the test."""
    with ExitStack() as stack:

        def start(**replies: Reply) -> Paths:
            made = Paths({f"/{name}": reply for name, reply in replies.items()})
            made.server.start()
            stack.callback(made.server.stop)
            return made

        yield start


def redirect(location: str, status: int = 302) -> Reply:
    """A redirect."""
    return Reply(status, b"", {"Location": location})


class TestBody:
    @pytest.mark.parametrize(
        "body",
        [BODY, b"", b" \r\n" + BODY + b"\n", bytes(range(256)), "é ✓".encode(), b"\xef\xbb\xbf" + BODY, b"x" * 200_000],
        ids=["json", "empty", "white space", "every byte", "utf-8", "byte order mark", "long"],
    )
    @pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzip"])
    def test_body_is_the_one_that_was_served(self, feed: SimulatedFeed, body: bytes, *, gzipped: bool) -> None:
        """A body arrives byte for byte, whatever it holds and whether or not it travels compressed."""
        reply = Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"}) if gzipped else Reply(body=body)
        feed.script(reply)
        response = fetch(feed.url, PLENTY)
        assert response.body == body
        assert response.sha256 == hashlib.sha256(body).hexdigest()

    @pytest.mark.parametrize("beyond", [0, 1, 1_000_000])
    def test_body_is_capped(self, feed: SimulatedFeed, beyond: int) -> None:
        """A body of up to 5 MiB is read whole, a larger one is cut behind the first byte too many."""
        feed.script(Reply(body=b"x" * (MOST_BYTES + beyond)))
        assert len(fetch(feed.url, PLENTY).body) == MOST_BYTES + min(beyond, 1)

    def test_a_body_without_end_is_capped(self) -> None:
        """A body that never ends is cut like any other that is too large; nobody waits for its end."""
        with Endless() as server:
            assert len(fetch(f"http://127.0.0.1:{server.port}/", PLENTY).body) == MOST_BYTES + 1

    def test_a_body_that_hardly_compresses_is_capped_alike(self, feed: SimulatedFeed) -> None:
        """A gzip answer that is too large already as it travels is cut like any other, not taken for a broken one."""
        body = random.Random(307).randbytes(MOST_BYTES + 1_000_000)  # noqa: S311 - made-up bytes
        feed.script(Reply(body=gzip.compress(body, 1), headers={"Content-Encoding": "gzip"}))
        assert fetch(feed.url, PLENTY).body == body[: MOST_BYTES + 1]

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [("identity", BODY), ("", BODY), ("GZIP", gzip.compress(BODY)), (" x-gzip", gzip.compress(BODY))],
    )
    def test_encodings_may_be_spelled_in_any_way(self, feed: SimulatedFeed, encoding: str, body: bytes) -> None:
        """HTTP's own spellings of gzip and of no encoding are understood."""
        feed.script(Reply(body=body, headers={"Content-Encoding": encoding}))
        assert fetch(feed.url, PLENTY).body == BODY

    @pytest.mark.parametrize(
        ("status", "headers"),
        [(200, {}), (503, {}), (404, {}), (302, {"Location": "/next"})],
        ids=["200", "503", "404", "redirect"],
    )
    def test_a_gzip_bomb_takes_no_memory(self, feed: SimulatedFeed, status: int, headers: dict[str, str]) -> None:
        """An answer of 100 MiB in 100 kB costs less than 30 MiB of memory, with any status."""
        stream = zlib.compressobj(level=9, wbits=31)
        bomb = b"".join([stream.compress(bytes(1024 * 1024)) for _ in range(100)] + [stream.flush()])
        feed.script(Reply(status, bomb, {"Content-Encoding": "gzip", **headers}))
        tracemalloc.start()
        try:
            with suppress(CollectionError):
                assert len(fetch(feed.url, PLENTY).body) == MOST_BYTES + 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 30 * 1024 * 1024

    def test_response_says_when_and_from_where(self, feed: SimulatedFeed) -> None:
        """A response carries the time it was fetched, in UTC, its address and its content type."""
        before = datetime.now(UTC)
        response = fetch(feed.url, PLENTY)
        assert before <= response.fetched_at <= datetime.now(UTC)
        assert response.fetched_at.utcoffset() == timedelta(0)
        assert response.source_url == feed.url
        assert response.content_type == "application/json; charset=utf-8"

    @pytest.mark.parametrize(
        "hostile",
        ["text/html\x1b[31m", "text/html; " + "x" * 5000, "text/\r\n html", "té\xff", "", "'\"", "a\tb"],
        ids=["escape", "long", "folded", "latin-1", "empty", "quotes", "tab"],
    )
    def test_a_hostile_content_type_is_made_harmless(self, feed: SimulatedFeed, hostile: str) -> None:
        """Whatever a content type holds, what is kept of it is short, on one line and printable ASCII."""
        feed.script(Reply(body=BODY, headers={"Content-Type": hostile}))
        response = fetch(feed.url, PLENTY)
        assert response.body == BODY
        assert len(response.content_type) <= 110
        assert response.content_type.isprintable()
        assert response.content_type.isascii()

    def test_the_content_type_is_not_needed(self, paths: Callable[..., Paths]) -> None:
        """JSON with a content type of something else is fetched like any other: what counts is the body."""
        server = paths(feed=Reply(body=BODY, headers={"Content-Type": "text/plain"}))
        assert fetch(server.url("/feed"), PLENTY).content_type == "text/plain"


class TestRequest:
    def test_request_names_project_and_version(self, feed: SimulatedFeed) -> None:
        """MISO can tell who calls: the User-Agent is the project's name and version."""
        fetch(feed.url, PLENTY)
        assert feed.requests[0].headers["User-Agent"] == f"miso-reserve/{__version__}"

    def test_request_asks_for_json_and_gzip_only(self, feed: SimulatedFeed) -> None:
        """No content encoding is asked for that could not be undone, whatever is installed."""
        fetch(feed.url, PLENTY)
        headers = feed.requests[0].headers
        assert (headers["Accept"], headers["Accept-Encoding"]) == ("application/json", "gzip")

    @pytest.mark.parametrize(
        "reply", [Reply(), Reply(503, b""), Reply(404, b""), Reply(reset=True)], ids=["200", "503", "404", "reset"]
    )
    def test_one_fetch_is_one_request(self, feed: SimulatedFeed, reply: Reply) -> None:
        """Trying again is the policy's business, never done behind its back: the feed asks for one call a minute."""
        feed.script(reply)
        if reply == Reply():
            fetch(feed.url, PLENTY)
        else:
            failure(feed.url)
        assert feed.hits == 1


@contextmanager
def full_listener() -> Iterator[str]:
    """An address whose connections are neither accepted nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(64):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.1)
            try:
                waiting.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.fail("the listener takes any number of connections")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


class TestDeadline:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(delay=60),
            Reply(body=b"x" * 1000, drip=0.1),
            Reply(drip=0.1, drip_headers=True),
            Reply(body=b"1\r\nx\r\n" * 1000, headers={"Transfer-Encoding": "chunked"}, drip=0.01),
            Reply(503, b"", drip=0.1, drip_headers=True),
            Reply(body=BODY, headers={"Content-Length": "1000"}),
        ],
        ids=["slow", "dripping body", "dripping headers", "dripping chunks", "dripping 503", "stalling body"],
    )
    def test_deadline_covers_the_whole_answer(self, feed: SimulatedFeed, reply: Reply) -> None:
        """However slowly an answer comes, the fetch ends at its deadline, and is worth another try."""
        feed.script(reply)
        with Within(10 * TIMEOUT):
            error = failure(feed.url, TIMEOUT)
        assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)
        assert error.message == f"no whole answer from {feed.url} within 0.3 s"

    def test_deadline_covers_the_connection(self) -> None:
        """A host that answers to no connection holds a fetch no longer than its deadline."""
        with full_listener() as url, Within(10 * TIMEOUT):
            error = failure(url, TIMEOUT)
        assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)

    def test_deadline_covers_a_silent_server(self, feed: SimulatedFeed) -> None:
        """A server that takes the connection and never says a word holds a fetch no longer than its deadline."""
        with FaultProxy("127.0.0.1", int(urlsplit(feed.url).port or 0)) as proxy:
            proxy.mode = "blackhole"
            with Within(10 * TIMEOUT):
                error = failure(f"http://127.0.0.1:{proxy.port}/", TIMEOUT)
        assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)

    def test_deadline_covers_the_resolver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A resolver that hangs holds a fetch no longer than its deadline."""
        over = threading.Event()

        def resolve(*_arguments: object, **_options: object) -> list[Any]:
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no such luck")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with Within(10 * TIMEOUT):
            error = failure("http://feed.invalid/", TIMEOUT)
        assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)
        over.set()
        join_fetches()

    def test_deadline_covers_redirects_together(self, paths: Callable[..., Paths]) -> None:
        """Each redirect takes from the same time: three slow ones do not get it thrice."""
        slow = {name: Reply(302, b"", {"Location": f"/{to}"}, delay=0.4) for name, to in zip("abc", "bcd", strict=True)}
        server = paths(**slow, d=Reply(body=BODY, delay=0.4))
        with Within(1.5):
            error = failure(server.url("/a"), 0.6)
        assert error.code == FailureCode.FEED_TIMEOUT

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(delay=60),
            Reply(body=b"1\r\nx\r\n" * 1000, headers={"Transfer-Encoding": "chunked"}, drip=0.02),
            Reply(body=b"x" * 1000, drip=0.05),
        ],
        ids=["slow", "dripping chunks", "dripping body"],
    )
    def test_no_thread_stays_behind(self, feed: SimulatedFeed, reply: Reply) -> None:
        """What a fetch leaves behind at its deadline ends soon, though the server goes on for a minute."""
        feed.script(reply)
        failure(feed.url, TIMEOUT)
        assert join_fetches(2.0) == []

    def test_an_answer_in_time_is_not_held_up(self, feed: SimulatedFeed) -> None:
        """A fetch returns when the answer is there, not when its time is up."""
        with Within(5):
            assert fetch(feed.url, 60).body == feed.requests[0].body


def join_fetches(seconds: float = 5.0) -> list[str]:
    """Wait for the threads of fetches to end; the names of those that do not."""
    fetches = [thread for thread in threading.enumerate() if thread.name == "fetch"]
    for thread in fetches:
        thread.join(seconds)
    return [thread.name for thread in fetches if thread.is_alive()]


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XST+7")
        time.tzset()
        yield
    time.tzset()


class TestStatus:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
    def test_a_feed_in_trouble_is_worth_another_try(self, feed: SimulatedFeed, status: int) -> None:
        """429 and every 5xx are transient, and the message names the status."""
        feed.script(Reply(status, b"{}"))
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_UNAVAILABLE, True)
        assert error.message == f"{feed.url} answers {status}"

    @pytest.mark.parametrize("status", [201, 202, 204, 206, 300, 302, 304, 307, 400, 401, 403, 404, 408, 410, 451, 600])
    def test_any_other_status_is_final(self, feed: SimulatedFeed, status: int) -> None:
        """A status that a retry would not change, a redirect to nowhere among them, fails at once and is named."""
        feed.script(Reply(status, b""))
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_STATUS, False)
        assert error.message == f"{feed.url} answers {status}, not 200"

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("0", 0.0),
            ("7", 7.0),
            (" 120 ", 120.0),
            ("9" * 400, float("inf")),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("Wed, 99 Foo 2015 07:28:00 GMT", None),
            ("Fri, 31 Dec 99999 23:59:59 GMT", None),
            ("Fri, 31 Dec 2027 23:59:59 -9999", None),
        ],
    )
    def test_retry_after_is_read(self, feed: SimulatedFeed, status: int, header: str, seconds: float | None) -> None:
        """Retry-After in seconds is read, a time gone by is none to wait, and what cannot be read asks for nothing."""
        feed.script(Reply(status, b"", {"Retry-After": header}))
        assert failure(feed.url).retry_after == seconds

    @pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
    @pytest.mark.usefixtures("_far_from_greenwich")
    def test_retry_after_may_be_a_date(self, feed: SimulatedFeed, zone: str) -> None:
        """Retry-After as a date asks for the time until then, whatever the clock of this machine is set to."""
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=100)).replace("+0000", zone)
        feed.script(Reply(503, b"", {"Retry-After": then}))
        asked = failure(feed.url).retry_after
        assert asked is not None
        assert 80 < asked <= 100

    def test_without_retry_after_nothing_is_asked(self, feed: SimulatedFeed) -> None:
        """A 503 without Retry-After leaves the wait to the policy."""
        feed.script(Reply(503, b""))
        assert failure(feed.url).retry_after is None


class TestBrokenConnections:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(truncate_to=20),
            Reply(body=b"x" * 200_000, truncate_to=100_000),
            Reply(reset=True),
            Reply(body=b"zz\r\n", headers={"Transfer-Encoding": "chunked"}),
            Reply(body=b"9\r\n12345", headers={"Transfer-Encoding": "chunked", "Connection": "close"}, truncate_to=8),
            Reply(body=b"1\r\nx\r\n", headers={"Transfer-Encoding": "chunked", "Connection": "close"}, truncate_to=6),
            Reply(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}, truncate_to=30),
            Reply(headers={"X-Long": "x" * 70_000}),
        ],
        ids=[
            "truncated",
            "truncated late",
            "reset",
            "bad chunk",
            "half a chunk",
            "no last chunk",
            "truncated gzip",
            "long header",
        ],
    )
    def test_a_broken_answer_is_worth_another_try(self, feed: SimulatedFeed, reply: Reply) -> None:
        """An answer that breaks off or makes no sense is never taken for a body; it is transient."""
        feed.script(reply)
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_UNREACHABLE, True)
        assert error.message.startswith(f"no answer from {feed.url}: ")

    def test_a_refused_connection_is_worth_another_try(self) -> None:
        """A refused connection is transient, and the message gives the reason in plain words."""
        url = f"http://127.0.0.1:{free_port()}/feed"
        error = failure(url)
        assert (error.code, error.transient) == (FailureCode.FEED_UNREACHABLE, True)
        assert error.message == f"no answer from {url}: ConnectionRefusedError 'Connection refused'"

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            ("gzip", BODY),
            ("gzip", gzip.compress(BODY)[:12] + bytes(30)),
            ("gzip", gzip.compress(BODY)[:-8] + bytes(8)),
            ("gzip" + ", gzip" * 9, BODY),
            ("deflate", zlib.compress(BODY)),
            ("br", BODY),
            ("\x1b[31m", BODY),
        ],
        ids=["plain as gzip", "damaged", "wrong checksum", "ten times over", "deflate", "unknown", "hostile"],
    )
    def test_an_encoding_that_cannot_be_undone_is_worth_another_try(
        self, feed: SimulatedFeed, encoding: str, body: bytes
    ) -> None:
        """An answer whose content encoding is wrong is transient, with a code of its own."""
        feed.script(Reply(body=body, headers={"Content-Encoding": encoding}))
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_ENCODING, True)
        assert error.message.startswith(f"{feed.url} sent a content encoding that cannot be undone: ")
        assert error.message.isprintable()

    @pytest.mark.parametrize("missing", [1, 8, 9, 20])
    def test_a_gzip_stream_that_ends_early_is_no_body(self, feed: SimulatedFeed, missing: int) -> None:
        """A gzip stream that was cut before it was sent, its length announced as such, is not taken for a body."""
        feed.script(Reply(body=gzip.compress(BODY)[:-missing], headers={"Content-Encoding": "gzip"}))
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_ENCODING, True)


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("location", ["/moved", "moved", "{server}/moved", "//127.0.0.1:{port}/moved"])
    def test_a_redirect_within_the_host_is_followed(
        self, paths: Callable[..., Paths], status: int, location: str
    ) -> None:
        """A redirect to the same host and port is followed, and the address that was asked for is the source."""
        server = paths(moved=Reply(body=BODY))
        target = location.format(server=server.url(""), port=server.server.server_port)
        server.replies["/feed"] = redirect(target, status)
        response = fetch(server.url("/feed"), PLENTY)
        assert (response.body, response.source_url) == (BODY, server.url("/feed"))

    @pytest.mark.parametrize("location", ["{other}/moved", "http://localhost:{port}/moved", "ftp://127.0.0.1/moved"])
    def test_a_redirect_elsewhere_is_refused(self, paths: Callable[..., Paths], location: str) -> None:
        """A redirect to another host, port or scheme is final: nobody there is asked, and the message names both."""
        server, other = paths(moved=Reply(body=BODY)), paths(moved=Reply(body=BODY))
        target = location.format(other=other.url(""), port=server.server.server_port)
        server.replies["/feed"] = redirect(target)
        error = failure(server.url("/feed"))
        assert (error.code, error.transient) == (FailureCode.FEED_REDIRECT, False)
        assert (server.asked, other.asked) == (["/feed"], [])
        assert error.message == f"{server.url('/feed')} redirects to '{target}', another host: not followed"

    def test_a_redirect_elsewhere_is_refused_at_any_hop(self, paths: Callable[..., Paths]) -> None:
        """A host cannot be left by way of a redirect that stays."""
        other = paths(moved=Reply(body=BODY))
        server = paths(feed=redirect("/next"), next=redirect(other.url("/moved")))
        assert failure(server.url("/feed")).code == FailureCode.FEED_REDIRECT
        assert (server.asked, other.asked) == (["/feed", "/next"], [])

    def test_a_redirect_to_tls_is_followed(self, paths: Callable[..., Paths]) -> None:
        """A redirect from http to https on the same host is followed, here to a server that speaks no TLS."""
        server = paths(moved=Reply(body=BODY))
        server.replies["/feed"] = redirect(server.url("/moved", scheme="https"))
        error = failure(server.url("/feed"))
        assert error.code == FailureCode.FEED_UNREACHABLE
        assert "SSL" in error.message

    @pytest.mark.parametrize("hops", [1, 2, 3])
    def test_a_few_redirects_are_followed(self, paths: Callable[..., Paths], hops: int) -> None:
        """Up to three redirects in a row lead to a body."""
        chain = {f"hop{number}": redirect(f"/hop{number + 1}") for number in range(hops)}
        server = paths(**chain, **{f"hop{hops}": Reply(body=BODY)})
        assert fetch(server.url("/hop0"), PLENTY).body == BODY

    @pytest.mark.parametrize("location", ["/feed", "/other", ""])
    def test_endless_redirects_end(self, paths: Callable[..., Paths], location: str) -> None:
        """Redirects in a circle are given up after a few, for good."""
        server = paths(feed=redirect(location), other=redirect("/feed"))
        error = failure(server.url("/feed"))
        assert (error.code, error.transient) == (FailureCode.FEED_REDIRECT, False)
        assert error.message == f"{server.url('/feed')} redirects without end"
        assert len(server.asked) == 4

    @pytest.mark.parametrize("location", ["https://user:hunter2@elsewhere.test/?token=hunter2", "//x\x1b\x07/\xc3\xa9"])
    def test_a_refused_target_is_made_harmless(self, paths: Callable[..., Paths], location: str) -> None:
        """Of a hostile or secret target the message shows only what is fit for a log."""
        server = paths(feed=redirect(location))
        message = failure(server.url("/feed")).message
        assert "hunter2" not in message
        assert message.isascii()
        assert message.isprintable()

    def test_a_target_in_any_bytes_is_followed(self, paths: Callable[..., Paths]) -> None:
        """A redirect within the host to a path that is no UTF-8 is asked for, here where nothing is."""
        server = paths(feed=redirect("/\xe9\xff"))
        assert failure(server.url("/feed")).code == FailureCode.FEED_STATUS
        assert server.asked[1].isascii()

    @pytest.mark.parametrize("location", ["http://[", "http://[::1", "//[/feed"])
    def test_a_target_that_cannot_be_read_is_a_failure_like_others(
        self, paths: Callable[..., Paths], location: str
    ) -> None:
        """A redirect to something that is no address fails with a reason code, not with a defect's error."""
        server = paths(feed=redirect(location))
        assert failure(server.url("/feed")).code == FailureCode.FEED_REDIRECT


SECRET_URLS = [
    ("http://{host}/feed?token=hunter2", "http://{host}/feed"),
    ("http://user:hunter2@{host}/feed", "http://{host}/feed"),
    ("http://us%40er:hunter2@{host}/feed?a=hunter2#hunter2", "http://{host}/feed"),
    ("http://user:hunt@hunter2@{host}/feed", "http://{host}/feed"),
]


class TestSecrets:
    @pytest.mark.parametrize(("url", "shown"), SECRET_URLS)
    def test_a_source_holds_no_secret(self, paths: Callable[..., Paths], url: str, shown: str) -> None:
        """User, password, query and fragment of an address are not in the source that is archived."""
        server = paths(feed=Reply(body=BODY))
        host = server.url("").removeprefix("http://")
        response = fetch(url.format(host=host), PLENTY)
        assert response.source_url == shown.format(host=host)
        assert "hunter2" not in repr(response)

    @pytest.mark.parametrize("reply", [Reply(404, b""), Reply(503, b""), Reply(reset=True), Reply(delay=60)])
    @pytest.mark.parametrize(("url", "_shown"), SECRET_URLS)
    def test_an_error_holds_no_secret(self, paths: Callable[..., Paths], reply: Reply, url: str, _shown: str) -> None:
        """User, password and query of an address are in no message, whatever goes wrong."""
        server = paths(feed=reply)
        error = failure(url.format(host=server.url("").removeprefix("http://")), TIMEOUT)
        assert "hunter2" not in str(error)
        assert "hunter2" not in repr(error)

    @pytest.mark.parametrize("reply", [Reply(reset=True), Reply(body=BODY, truncate_to=1), Reply(503, b"")])
    def test_a_traceback_holds_no_secret(self, paths: Callable[..., Paths], reply: Reply) -> None:
        """Nor is a secret in the causes, which whoever logs a traceback writes down too."""
        server = paths(feed=reply)
        error = failure(server.url("/feed?token=hunter2").replace("//", "//user:hunter2@"))
        assert not [line for line in traceback.format_exception(error) if "hunter2" in line]

    @pytest.mark.parametrize("port", [None, 99999], ids=["refused", "no port"])
    def test_a_traceback_of_requests_holds_no_secret(self, port: int | None) -> None:
        """Nor is one in what requests says of an address that it cannot connect to or cannot read."""
        error = failure(f"http://user:hunter2@127.0.0.1:{port or free_port()}/?token=hunter2")
        assert not [line for line in traceback.format_exception(error) if "hunter2" in line]

    def test_an_address_that_cannot_be_read_is_not_repeated(self) -> None:
        """An address that cannot be used, its port is too high, is told without its secrets."""
        assert "hunter2" not in failure("http://user:hunter2@127.0.0.1:99999/?token=hunter2").message

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://host/a/b", "https://host/a/b"),
            ("https://host:8443/a?b=c#d", "https://host:8443/a"),
            ("https://u:p@[::1]:80/", "https://[::1]:80/"),
            ("https://host/é", "https://host/\\xe9"),
            ("https://höst", "https://h\\xf6st"),
        ],
    )
    def test_addresses_are_shown_in_ascii(self, url: str, shown: str) -> None:
        """An address fit for logs and metadata keeps scheme, host, port and path, in ASCII."""
        assert without_secrets(url) == shown


def test_a_timeout_of_requests_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out that requests notices first is the same failure as one at the deadline."""

    def late(*_arguments: object) -> Response:
        raise requests.ReadTimeout

    monkeypatch.setattr("miso_reserve.feed._request", late)
    error = failure("http://127.0.0.1/")
    assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw reaches the caller as it is, out of the thread that met it."""

    def broken(*_arguments: object) -> Response:
        raise ZeroDivisionError

    monkeypatch.setattr("miso_reserve.feed._request", broken)
    with pytest.raises(ZeroDivisionError):
        fetch("http://127.0.0.1/", PLENTY)
