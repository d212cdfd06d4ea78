from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from miso_archive.collecting.fetch import fetch
from miso_archive.contract.findings import FailureCode
from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import BODY, TIMEOUT, Paths, Within, failure, join_fetches
from tests.services.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from miso_archive.simulate import SimulatedFeed
    from miso_archive.store.response import Response

pytestmark = pytest.mark.slow("waits for deadlines")


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


def test_a_timeout_of_requests_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out that requests notices first is the same failure as one at the deadline."""

    def late(*_arguments: object) -> Response:
        raise requests.ReadTimeout

    monkeypatch.setattr("miso_archive.collecting.fetch._request", late)
    error = failure("http://127.0.0.1/")
    assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)
