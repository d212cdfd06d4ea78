from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from miso_archive.contract.findings import FailureCode
from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import BODY, failure
from tests.services.process import free_port

if TYPE_CHECKING:
    from miso_archive.simulate import SimulatedFeed


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
            ("deflate", BODY),
            ("br", gzip.compress(BODY)),
            ("utf-8", gzip.compress(BODY)),
            ("\x1b[31m", bytes(9)),
        ],
        ids=[
            "plain as gzip",
            "damaged",
            "wrong checksum",
            "ten times over",
            "plain as deflate",
            "br",
            "utf-8",
            "hostile",
        ],
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
