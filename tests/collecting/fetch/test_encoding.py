"""Content encodings: what can be undone is, what is plain is read, and the bytes of all else are kept."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import tracemalloc
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.cli.app import main
from miso_archive.collecting.fetch import UndecodedError, fetch
from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.content_encoding import UndecodableError, decoded
from miso_archive.contract.findings import FailureCode, Finding, RefusalCode
from miso_archive.feeds.reserve import RESERVE, RT_RPE
from miso_archive.healing.backfill import ReportDays
from miso_archive.reports.apart import Apart
from miso_archive.simulate import Reply
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_refused
from miso_archive.store.response import Response
from tests.collecting.fetch.servers import BODY, PLENTY, failure

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed

ZIPPED = gzip.compress(BODY, mtime=0)
TWICE = gzip.compress(ZIPPED, mtime=0)
BARE = zlib.compress(BODY, wbits=-zlib.MAX_WBITS)
WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(range(256))
CUT = ZIPPED[:30]
BROTLI = bytes.fromhex("8b1d80") + bytes(range(200, 230))


class TestUndone:
    @pytest.mark.parametrize("word", ["utf-8", "UTF-8", "none", "binary", "8bit", "*", "utf-8;q=1", "\x1b[31m", "br"])
    @pytest.mark.parametrize("body", [BODY, b"", b"<html>\t\r\n</html>", "\ufeff\xe9".encode(), WORKBOOK])
    def test_a_word_that_names_no_encoding_counts_for_nothing(
        self, feed: SimulatedFeed, word: str, body: bytes
    ) -> None:
        """A body that is plain is read as it stands, whatever word its content encoding is called by."""
        for header in (word, f"{word}, identity", f"identity, {word}"):
            feed.script(Reply(body=body, headers={"Content-Encoding": header}))
            response = fetch(feed.url, PLENTY)
            assert (response.body, response.content_encoding) == (body, "")

    @pytest.mark.parametrize(
        ("header", "body"),
        [
            *(("gzip, identity", ZIPPED), ("identity,gzip", ZIPPED), (", gzip ,", ZIPPED), ("X-GZIP", ZIPPED)),
            *(("gzip, gzip", TWICE), ("gzip, utf-8", ZIPPED), ("utf-8, gzip", ZIPPED)),
            *(("deflate", zlib.compress(BODY)), ("deflate", BARE), ("deflate, gzip", gzip.compress(BARE))),
            *(("gzip, deflate", zlib.compress(ZIPPED)), ("deflate", b""), ("gzip", b"")),
        ],
    )
    def test_what_the_library_can_undo_is_undone(self, feed: SimulatedFeed, header: str, body: bytes) -> None:
        """Gzip, zlib's deflate and the bare one are undone, also one within the other: the body is as sent."""
        feed.script(Reply(body=body, headers={"Content-Encoding": header}))
        assert fetch(feed.url, PLENTY).body == (BODY if body else b"")

    @pytest.mark.parametrize("header", ["gzip", "deflate", "gzip, gzip", "gzip, deflate"])
    def test_a_bomb_stays_bounded(self, header: str) -> None:
        """What unpacks to 100 MiB, in whichever encoding, costs less than 60 MiB and gives one byte too many."""
        bomb = bytes(100 * 1024 * 1024)
        for name in header.split(", "):
            bomb = gzip.compress(bomb) if name == "gzip" else zlib.compress(bomb)
        tracemalloc.start()
        try:
            assert len(decoded(bomb, header)) == MOST_BYTES + 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 60 * 1024 * 1024

    @given(st.binary(max_size=200), st.lists(st.sampled_from(["gzip", "deflate", "br", "utf-8", ""]), max_size=7))
    def test_any_bytes_are_a_body_or_undecodable(self, body: bytes, words: list[str]) -> None:
        """Whatever bytes come in whatever encoding, they are undone or refused with a reason."""
        with suppress(UndecodableError):
            decoded(body, ",".join(words))


UNDECODABLE = {
    "br": BROTLI,
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(20),
    "utf-8": ZIPPED,
    "gzip": CUT,
    "gzip, gzip": ZIPPED,
    "deflate": zlib.compress(BODY)[:-3],
    "deflate, identity": zlib.compress(BODY) + b"x",
}


class TestKept:
    @pytest.mark.parametrize(("header", "body"), UNDECODABLE.items(), ids=UNDECODABLE)
    def test_an_error_has_the_bytes_as_they_came(self, feed: SimulatedFeed, header: str, body: bytes) -> None:
        """What cannot be undone is an error with the bytes, their encoding and the reason, also after a pickle."""
        feed.script(Reply(body=body, headers={"Content-Encoding": header}))
        error = pickle.loads(pickle.dumps(failure(feed.url)))  # noqa: S301 - our own, as Prefect does
        assert isinstance(error, UndecodedError)
        assert (error.code, error.transient) == (FailureCode.FEED_ENCODING, True)
        assert error.response is not None
        assert (error.response.body, error.response.content_encoding) == (body, header)
        assert error.reasons == (Finding(RefusalCode.UNREADABLE_ENCODING, "body", error.message),)

    def test_gzip_that_is_cut_in_transfer_is_kept_too(self, feed: SimulatedFeed) -> None:
        """Half a gzip stream of an answer that broke off is kept; half a text is not, which nobody needs to unpack."""
        feed.script(Reply(body=ZIPPED, headers={"Content-Encoding": "gzip"}, truncate_to=30), Reply(truncate_to=20))
        error = failure(feed.url)
        assert isinstance(error, UndecodedError)
        assert error.code == FailureCode.FEED_UNREACHABLE
        assert error.response is not None
        assert error.response.body == CUT
        assert not isinstance(failure(feed.url), UndecodedError)

    def test_the_largest_bytes_are_cut(self, feed: SimulatedFeed) -> None:
        """Bytes that nobody can read are kept up to the first one too many."""
        feed.script(Reply(body=BROTLI + bytes(MOST_BYTES), headers={"Content-Encoding": "br"}))
        error = failure(feed.url)
        assert isinstance(error, UndecodedError)
        assert error.response is not None
        assert len(error.response.body) == MOST_BYTES + 1

    @pytest.mark.usefixtures("fast_retries")
    def test_collect_keeps_them_once_when_the_tries_are_over(
        self, feed: SimulatedFeed, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """After the last try the bytes lie in quarantine, byte for byte, with the encoding and a stable code."""
        feed.script(*[Reply(body=bytes([200, n]), headers={"Content-Encoding": "br"}) for n in range(5)])
        options = ["--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
        assert main(["collect", *options]) == 1
        result = json.loads(capsys.readouterr().out)
        assert (result["total_candidates"], result["failed"]) == (1, 1)
        assert [error["code"] for error in result["errors"]] == ["feed_encoding"]
        [path] = tmp_path.glob("quarantine/*/*/*.body.gz")
        assert gzip.decompress(path.read_bytes()) == bytes([200, 4])
        reasons = json.loads(path.with_name(path.name.replace(".body.gz", ".reasons.json")).read_bytes())
        assert reasons["content-encoding"] == "br"
        assert [reason["code"] for reason in reasons["reasons"]] == ["unreadable_encoding"]

    @pytest.mark.usefixtures("fast_retries")
    def test_nothing_is_kept_when_a_try_succeeds(self, feed: SimulatedFeed, tmp_path: Path, redis_url: str) -> None:
        """Bytes that the next try made good are nobody's loss, and are not kept."""
        feed.script(Reply(body=CUT, headers={"Content-Encoding": "gzip"}), Reply())
        assert main(["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]) == 0
        assert not (tmp_path / "quarantine").exists()

    def test_a_report_is_kept_too(self, tmp_path: Path) -> None:
        """A report in an encoding that cannot be undone fails its day, and lies in the reports' quarantine."""
        response = Response(BROTLI, datetime(2026, 7, 28, tzinfo=UTC), "http://127.0.0.1/x", "", "br")

        def fetched(_name: str) -> Response:
            raise UndecodedError(FailureCode.FEED_ENCODING, "cannot be undone", response=response)

        day: date = datetime(2026, 7, 27, tzinfo=UTC).date()
        with Apart() as apart:
            done = ReportDays(Folder(tmp_path), RESERVE, RT_RPE, fetched, apart).fetch_day(day)
        assert (done.outcome, done.code) == ("failed", "feed_encoding")
        assert done.object_key is not None
        assert "/rt_rpe/" in done.object_key
        assert gzip.decompress((tmp_path / done.object_key).read_bytes()) == BROTLI


class TestReplay:
    def replayed(self, folder: Path, body: bytes, encoding: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        """Keep a body in its encoding, and judge it anew."""
        response = Response(body, datetime(2026, 7, 27, 13, 11, tzinfo=UTC), "http://127.0.0.1/feed", "", encoding)
        reasons = (Finding(RefusalCode.UNREADABLE_ENCODING, "body", "cannot be undone"),)
        store_refused(Folder(folder), RESERVE, response, reasons)
        assert main(["replay", "--local", str(folder)]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    @pytest.mark.parametrize(("header", "body"), UNDECODABLE.items(), ids=UNDECODABLE)
    def test_what_cannot_be_undone_is_refused_again(
        self, tmp_path: Path, header: str, body: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Bytes that nobody can read stay refused, by their code, and stay where they are."""
        found = self.replayed(tmp_path, body, header, capsys)
        assert (found["still_refused"], found["reasons"]) == (1, {"unreadable_encoding": 1})
        assert not (tmp_path / "sourcing").exists()

    @pytest.mark.parametrize(("header", "body"), [("deflate", BARE), ("gzip", ZIPPED), ("br", BODY)])
    def test_what_can_be_undone_now_is_archived(
        self, tmp_path: Path, header: str, body: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Bytes that can be undone by now are judged and archived, undone, under the hash of what the feed said."""
        found = self.replayed(tmp_path, body, header, capsys)
        [key] = found["objects"]
        archived = gzip.decompress((tmp_path / key).read_bytes())
        assert archived == BODY
        [provenance] = tmp_path.glob("provenance/*/*/*.json")
        assert json.loads(provenance.read_bytes())["sha256"] == hashlib.sha256(BODY).hexdigest()
