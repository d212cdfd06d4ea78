"""Raw answers of a server that means harm, each with what a fetch must make of it."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bodies import LIVE_ROW, body
from tests.services.proxy import LoopbackServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

GOOD = body(LIVE_ROW)
_PORT = b"@port@"


@dataclass(frozen=True)
class Exchange:
    """What the server sends, one answer a connection, and the outcome.

    The outcome is ``accepted``, a RefusalCode of the body that comes out, or a FailureCode of the fetch.
    """

    name: str
    answers: tuple[bytes, ...]
    outcome: str


class Scripted(LoopbackServer):
    """Sends each connection the next of its answers, byte for byte, and hangs up."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytes] = []

    @property
    def url(self) -> str:
        """Its address, with a secret that must not be told."""
        return f"http://127.0.0.1:{self.port}/feed?token=hunter2"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        await reader.readuntil(b"\r\n\r\n")
        with suppress(IndexError):
            writer.write(self.answers.pop(0).replace(_PORT, str(self.port).encode()))
            await writer.drain()


def answer(*headers: bytes, content: bytes = GOOD, status: bytes = b"200 OK") -> bytes:
    """Spell an answer with these header lines and no others."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"", content])


def _encoded(name: bytes, content: bytes) -> bytes:
    return answer(b"Content-Encoding: " + name, content=content)


def _chunked(content: bytes, *headers: bytes) -> bytes:
    return answer(b"Transfer-Encoding: chunked", *headers, content=content)


def bomb(mebibytes: int, wbits: int = 31) -> bytes:
    """Zeros, compressed a thousandfold."""
    packing = zlib.compressobj(level=9, wbits=wbits)
    return b"".join([*(packing.compress(bytes(1024 * 1024)) for _ in range(mebibytes)), packing.flush()])


_SIZE = b"%x" % len(GOOD)
_PACKED = gzip.compress(GOOD, mtime=0)

_BODIES = {
    "no header at all": (answer(), "accepted"),
    "status 200 without a body": (answer(b"Content-Length: 0", content=b""), "empty_body"),
    "status 200 and nothing more": (answer(content=b""), "empty_body"),
    "no answer": (b"", "feed_unreachable"),
    "garbage": (b"\x00\xff" * 500 + b"\r\n\r\n", "feed_unreachable"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "feed_unreachable"),
    "HTTP/0.9": (GOOD, "feed_unreachable"),
    "HTTP of the future": (answer().replace(b"HTTP/1.1", b"HTTP/9.9"), "feed_unreachable"),
    "status of five digits": (answer(status=b"20000 OK"), "feed_unreachable"),
    "status in words": (answer(status=b"two hundred"), "feed_unreachable"),
    "status below 0": (answer(status=b"-200 OK"), "feed_unreachable"),
    "status 204": (answer(status=b"204 No Content", content=b""), "feed_status"),
    "status 206": (answer(status=b"206 Partial Content"), "feed_status"),
    "status 101": (answer(status=b"101 Switching Protocols"), "feed_status"),
    "status 304": (answer(status=b"304 Not Modified", content=b""), "feed_status"),
    "status 418": (answer(status=b"418 \x1b[2J\xff"), "feed_status"),
    "status 999": (answer(status=b"999 Denied"), "feed_status"),
    "a thousand times 100": (answer(status=b"100 Continue", content=b"") * 1000 + answer(), "accepted"),
    "Content-Length too long": (answer(b"Content-Length: 99999"), "feed_unreachable"),
    "Content-Length too short": (answer(b"Content-Length: 7"), "not_json"),
    "Content-Length negative": (answer(b"Content-Length: -7"), "accepted"),
    "Content-Length no number": (answer(b"Content-Length: many"), "accepted"),
    "Content-Length empty": (answer(b"Content-Length:"), "accepted"),
    "Content-Length in other digits": (answer(b"Content-Length: \xb2"), "accepted"),
    "Content-Length of 400 digits": (answer(b"Content-Length: " + b"9" * 400), "feed_unreachable"),
    "Content-Length of 5,000 digits": (answer(b"Content-Length: " + b"9" * 5000), "accepted"),
    "Content-Length above 2^63": (answer(b"Content-Length: 9223372036854775808"), "feed_unreachable"),
    "two lengths": (answer(b"Content-Length: 7", b"Content-Length: 8"), "feed_unreachable"),
    "a length for a chunked body": (
        _chunked(_SIZE + b"\r\n" + GOOD + b"\r\n0\r\n\r\n", b"Content-Length: 7"),
        "accepted",
    ),
    "chunks": (_chunked(_SIZE + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"), "accepted"),
    "chunks with extensions": (_chunked(_SIZE + b";\x1b=\xff\r\n" + GOOD + b"\r\n0\r\n\r\n"), "accepted"),
    "chunks without an end": (_chunked(_SIZE + b"\r\n" + GOOD), "feed_unreachable"),
    "a chunk of no size": (_chunked(b"\r\n" + GOOD), "feed_unreachable"),
    "a chunk of negative size": (_chunked(b"-5\r\n" + GOOD), "feed_unreachable"),
    "a chunk with an underscore": (_chunked(b"3_c\r\n" + GOOD), "feed_unreachable"),
    "a chunk of garbage": (_chunked(b"zz\r\n" + GOOD), "feed_unreachable"),
    "a chunk of 400 digits": (_chunked(b"f" * 400 + b"\r\n" + GOOD), "feed_unreachable"),
    "a chunk's size of 70,000 characters": (_chunked(b"0" * 70_000 + b"\r\n" + GOOD), "feed_unreachable"),
    "chunks that are none": (_chunked(GOOD), "feed_unreachable"),
    "an unknown transfer encoding": (answer(b"Transfer-Encoding: gzip"), "accepted"),
    "gzip": (_encoded(b"gzip", _PACKED), "accepted"),
    "GZIP with blanks": (_encoded(b"  GZip ", _PACKED), "accepted"),
    "x-gzip": (_encoded(b"x-gzip", _PACKED), "accepted"),
    "identity": (_encoded(b"identity", GOOD), "accepted"),
    "gzip with a name": (
        _encoded(b"gzip", _PACKED[:3] + b"\x08" + _PACKED[4:10] + b"../../x\x00" + _PACKED[10:]),
        "accepted",
    ),
    "gzip in two parts": (_encoded(b"gzip", gzip.compress(GOOD[:50]) + gzip.compress(GOOD[50:])), "accepted"),
    "gzip twice, said once": (_encoded(b"gzip", gzip.compress(_PACKED)), "not_json"),
    "gzip twice, said twice": (_encoded(b"gzip, gzip", gzip.compress(_PACKED)), "accepted"),
    "gzip in two headers": (
        answer(b"Content-Encoding: gzip", b"Content-Encoding: gzip", content=_PACKED),
        "feed_encoding",
    ),
    "gzip, not said": (answer(content=_PACKED), "not_json"),
    "gzip, said and not done": (_encoded(b"gzip", GOOD), "feed_encoding"),
    "gzip without content": (_encoded(b"gzip", b""), "empty_body"),
    "gzip cut": (_encoded(b"gzip", _PACKED[:-9]), "feed_encoding"),
    "gzip cut in its head": (_encoded(b"gzip", _PACKED[:5]), "feed_encoding"),
    "gzip with a wrong sum": (_encoded(b"gzip", _PACKED[:-8] + b"\x00" * 4 + _PACKED[-4:]), "feed_encoding"),
    "gzip with a wrong size": (_encoded(b"gzip", _PACKED[:-4] + b"\x00" * 4), "feed_encoding"),
    "gzip by another method": (_encoded(b"gzip", _PACKED[:2] + b"\x07" + _PACKED[3:]), "feed_encoding"),
    "gzip and garbage": (_encoded(b"gzip", _PACKED + b"garbage"), "feed_encoding"),
    "gzip and zeros": (_encoded(b"gzip", _PACKED + bytes(100_000)), "accepted"),
    "gzip bomb": (_encoded(b"gzip", bomb(200)), "body_too_large"),
    "gzip bomb within a bomb": (_encoded(b"gzip", gzip.compress(bomb(200))), "not_json"),
    "50,000 empty gzips": (_encoded(b"gzip", gzip.compress(b"") * 50_000), "empty_body"),
    "deflate": (_encoded(b"deflate", zlib.compress(GOOD)), "accepted"),
    "deflate bomb": (_encoded(b"deflate", bomb(20, wbits=15)), "body_too_large"),
    "br": (_encoded(b"br", b"\x8b\x03\x80" + GOOD), "feed_encoding"),
    "zstd": (_encoded(b"zstd", b"\x28\xb5\x2f\xfd"), "feed_encoding"),
    "an encoding with control characters": (_encoded(b"\x1b[2J\x7f\xff", GOOD), "accepted"),
    "an encoding with control characters, undone by nobody": (_encoded(b"\x1b[2J\x7f", _PACKED), "feed_encoding"),
    "an encoding of 60,000 characters": (_encoded(b"gzip," * 12_000, GOOD), "feed_encoding"),
    "more bytes than are read": (answer(content=b"[" * 11_000_000), "body_too_large"),
    "HTML as JSON": (answer(b"Content-Type: application/json", content=b"<html>"), "html_page"),
    "JSON as HTML": (answer(b"Content-Type: text/html; charset=utf-16"), "accepted"),
    "JSON as nothing": (answer(b"Content-Type:"), "accepted"),
    "JSON as a picture": (
        answer(b"Content-Type: image/png", b"Content-Disposition: attachment; filename=../x"),
        "accepted",
    ),
    "a type with control characters": (answer(b"Content-Type: \x1b]0;x\x07; charset=\xff\xfe\x00"), "accepted"),
    "a type of 60,000 characters": (answer(b"Content-Type: text/html;" + b" a=b;" * 12_000), "accepted"),
    "a type on two lines": (answer(b"Content-Type: application/json;\r\n\tcharset=\x1b[31m"), "accepted"),
    "two types": (answer(b"Content-Type: a/b", b"Content-Type: c/d"), "accepted"),
}

_HEADERS = {
    "101 headers": (answer(*(b"X-%d: y" % number for number in range(101))), "feed_unreachable"),
    "100,000 headers": (answer(*[b"X: y"] * 100_000), "feed_unreachable"),
    "a header of 70,000 characters": (answer(b"X: " + b"y" * 70_000), "feed_unreachable"),
    "99 headers of 60,000 characters": (answer(*[b"X: " + b"y" * 60_000] * 99), "accepted"),
    "a header without a name": (answer(b": y"), "accepted"),
    "a header with a blank": (answer(b"X Y : z"), "accepted"),
    "a header with NUL": (answer(b"X\x00: \x00"), "accepted"),
    "a header that is none": (answer(b"this is \x1b[31m no header", b"X: y"), "accepted"),
    "a header that is none, before the encoding": (
        answer(b"none", b"Content-Encoding: gzip", content=_PACKED),
        "not_json",
    ),
    "line feeds alone": (answer(b"X: y").replace(b"\r\n", b"\n"), "accepted"),
    "carriage returns alone": (answer(b"X: y\rContent-Encoding: gzip"), "feed_encoding"),
    "links": (answer(b"Link: " + b"<http://127.0.0.2/>; rel=next, " * 1500), "accepted"),
    "a cookie": (answer(b"Set-Cookie: a=b; Path=/; Domain=127.0.0.1"), "accepted"),
    "a cookie for ever": (answer(b"Set-Cookie: a=b; max-age=" + b"9" * 4000), "accepted"),
    "a cookie for ever and a day": (answer(b"Set-Cookie: a=b; max-age=" + b"9" * 5000), "accepted"),
    "a cookie until the year 10^20": (
        answer(b"Set-Cookie: a=b; expires=Wed, 01 Jan " + b"9" * 20 + b" 00:00:00 GMT"),
        "accepted",
    ),
    "a cookie of garbage": (answer(b"Set-Cookie: " + b'=;"\xff\x00,' * 5000), "accepted"),
}

RETRY_AFTER = (
    *(b"", b"0", b"1", b"-5", b"-0", b"+5", b"1.5", b"1e400", b"NaN", b"inf", b"-inf", b"Infinity", b"0x10", b"1_000"),
    *(b"1, 2", b"1;", b"\xb2", b"\xbd", b"\xff", b"\x00", b"\x1b[2J", b"soon", b"9" * 400, b"9" * 5000, b"0" * 60_000),
    *(b"Fri, 31 Dec 9999 23:59:59 GMT", b"Fri, 31 Dec 9999 23:59:59 -2359", b"Fri, 31 Dec 10000 23:59:59 GMT"),
    *(b"Sat, 01 Jan 0000 00:00:00 GMT", b"Mon, 01 Jan 0001 00:00:00 +2359", b"Thu, 01 Jan 1970 00:00:00 GMT"),
    *(b"Mon, 30 Feb 2026 00:00:00 GMT", b"Fri, 31 Dec 2026 24:00:00 GMT", b"Fri, 31 Dec 2026 23:59:60 GMT"),
    *(b"Fri, 31 Dec 2026", b"2026-12-31T00:00:00Z", b"Fri, 31 Dec 2026 23:59:59", b"::::", b"31 " + b"-" * 1000),
    *(b"Fri, 31 Dec 2026 23:59:59 +9999", b"Fri, 31 Dec 2026 -1:00:00 GMT", b"(" * 30_000),
)
"""What a busy server may ask for; none of it is more than a wish."""

RETRY_AFTER_TOO_LARGE = (
    b"Fri, 31 Dec " + b"9" * 20 + b" 23:59:59 GMT",
    b"Fri, " + b"9" * 20 + b" Dec 2026 23:59:59 GMT",
    b"Fri, 31 Dec 2026 " + b"9" * 20 + b":59:59 GMT",
    b"Fri, 31 Dec 2026 23:59:59 +" + b"9" * 20,
)
"""Likewise, with numbers that no date of Python's can hold."""

_LOCATIONS = {
    **dict.fromkeys(
        (b"", b"/", b"?x", b"#x", b"http:x", b"/\\127.0.0.2/", b"\x01\x02", b"\xff\xfe", b"%zz", b"%00"), "accepted"
    ),
    **dict.fromkeys((b"http://127.0.0.1:@port@/x", b"HTTP://127.0.0.1:@port@", b"//127.0.0.1:@port@/"), "accepted"),
    **dict.fromkeys((b"../" * 1000, b"a" * 60_000, b"http://user:hunter2@127.0.0.1:@port@/"), "accepted"),
    **dict.fromkeys(
        (b"http://127.0.0.2/", b"//127.0.0.2/", b"http://127.0.0.1/", b"https://127.0.0.2/"), "feed_redirect"
    ),
    **dict.fromkeys((b"http://127.0.0.1:@port@@127.0.0.2/", b"http://127.0.0.2:@port@/\r\n\tx"), "feed_redirect"),
    **dict.fromkeys((b"http://127.0.0.1:@port@\\@127.0.0.2/", b"http://127.0.0.2#@127.0.0.1:@port@/"), "feed_redirect"),
    **dict.fromkeys((b"http://127.0.0.2?@127.0.0.1:@port@/", b"http://127.0.0.1:@port@\t@127.0.0.2/"), "feed_redirect"),
    **dict.fromkeys((b"http://0x7f000002/", b"http://2130706434/", b"http://localhost:@port@/"), "feed_redirect"),
    **dict.fromkeys(
        (b"http://[::1/", b"http://[x]/", b"http://127.0.0.1:99999/", b"http://127.0.0.1:x/"), "feed_redirect"
    ),
    **dict.fromkeys(
        (b"file:///etc/passwd", b"ftp://127.0.0.1:@port@/", b"javascript:alert(1)", b"data:,x"), "feed_redirect"
    ),
    **dict.fromkeys((b"gopher://127.0.0.1:@port@/", b"http://user:hunter2@127.0.0.2/?token=hunter2"), "feed_redirect"),
    **dict.fromkeys((b"http://\x1b[2J/", b"http://\xff\xfe/", b"http://127.0.0.2\x00/"), "feed_redirect"),
}

HIDDEN_HOST = Exchange(
    "a host that two parsers read differently",
    (answer(b"Location: http://127.0.0.2\\@127.0.0.1:@port@/", status=b"302 Found", content=b""), answer()),
    "feed_redirect",
)
"""urlsplit takes 127.0.0.1 for the host, urllib3, which connects, 127.0.0.2."""

REDIRECT_CODES = (b"301 x", b"302 x", b"303 x", b"307 x", b"308 x")


def _all() -> Iterator[Exchange]:
    for name, (sent, outcome) in (_BODIES | _HEADERS).items():
        yield Exchange(name, (sent,), outcome)
    for wish in RETRY_AFTER:
        sent = answer(b"Retry-After: " + wish, status=b"503 Busy", content=b"")
        yield Exchange(f"Retry-After {wish[:40]!r}, {len(wish)} long", (sent,), "feed_unavailable")
    for number, (location, outcome) in enumerate(_LOCATIONS.items()):
        status = REDIRECT_CODES[number % len(REDIRECT_CODES)]
        sent = answer(b"Location: " + location, b"Content-Length: 0", status=status, content=b"")
        yield Exchange(f"Location {location[:40]!r}", (sent, answer()), outcome)
    again = answer(b"Location: /feed", b"Content-Length: 0", status=b"302 x", content=b"")
    yield Exchange("redirects without end", (again,) * 9, "feed_redirect")
    yield Exchange("a redirect to nowhere", (answer(status=b"302 x", content=b""),), "feed_status")


EXCHANGES = list(_all())
"""All answers of the hand list."""
