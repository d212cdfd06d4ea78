from __future__ import annotations

import gzip
import hashlib
import random
import tracemalloc
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.collecting.fetch import fetch
from miso_archive.contract.body import MOST_BYTES
from miso_archive.failures import CollectionError
from miso_archive.simulate import Reply
from miso_archive.version import __version__
from tests.collecting.fetch.servers import BODY, PLENTY, Endless, Paths, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from miso_archive.simulate import SimulatedFeed


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
        assert feed.requests[0].headers["User-Agent"] == f"miso-archive/{__version__}"

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
