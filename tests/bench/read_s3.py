"""An S3 server as far away as one in another region: ``python -m tests.bench.read_s3 FOLDER PORT``.

Every folder in FOLDER but those of the sister feeds is a bucket, read into memory at the start; its ``provenance/``
becomes its objects' metadata. It lists and gives objects as ListObjectsV2, GetObject and HeadObject do, checks no
signature, and answers each request 20 ms after it came. ``GET /-/requests`` is answered at once: how many came so far.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import orjson

from miso_archive.store.layout import provenance_key

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENCY: Final = 0.020  # seconds
COUNT_PATH: Final = "/-/requests"

_MOST_LISTED: Final = 1000
_END: Final = b"\r\n\r\n"
_AFTER_EVERY_KEY: Final = "\U0010ffff"
_RANGE: Final = re.compile(rb"\r\nrange: *bytes=(\d*)-(\d*)\r\n", re.IGNORECASE)
_HEADERS: Final = b'ETag: "0"\r\nLast-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n'
_NOT_FOUND: Final = b"<Error><Code>NoSuchKey</Code><Message>There is no such key.</Message></Error>"


class Stored(NamedTuple):
    """An object: what it holds, and its headers but for its length."""

    data: bytes
    headers: bytes


class Bucket:
    """A folder's objects by key, and their keys in order."""

    def __init__(self, folder: Path) -> None:
        self.objects = {key: _stored(folder, key) for key in _keys(folder) if not key.startswith("provenance/")}
        self._keys = sorted(self.objects)

    def listing(self, prefix: str, delimiter: str, start: str) -> str:
        """Return ListObjectsV2's answer: at most 1,000 keys and common prefixes, from a key on."""
        found: list[str] = []
        following = ""
        position = bisect_left(self._keys, max(prefix, start))
        while position < len(self._keys) and (key := self._keys[position]).startswith(prefix):
            if len(found) == _MOST_LISTED:
                following = key
                break
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                found.append(self._listed(key))
                position += 1
            else:
                common = key[: cut + len(delimiter)]
                found.append(f"<CommonPrefixes><Prefix>{escape(common)}</Prefix></CommonPrefixes>")
                position = bisect_left(self._keys, common + _AFTER_EVERY_KEY, position)
        token = f"<NextContinuationToken>{escape(following)}</NextContinuationToken>" if following else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount><MaxKeys>{_MOST_LISTED}</MaxKeys>"
            f"<IsTruncated>{str(bool(following)).lower()}</IsTruncated>{token}{''.join(found)}</ListBucketResult>"
        )

    def _listed(self, key: str) -> str:
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>2001-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{len(self.objects[key].data)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


def _keys(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder, followlinks=True):
        relative = Path(parent).relative_to(folder)
        yield from ((relative / name).as_posix() for name in names)


def _stored(folder: Path, key: str) -> Stored:
    provenance = folder / provenance_key(key)
    metadata = orjson.loads(provenance.read_bytes()) if provenance.is_file() else {}
    headers = "".join(f"x-amz-meta-{name}: {value}\r\n" for name, value in metadata.items())
    return Stored((folder / key).read_bytes(), _HEADERS + headers.encode())


class Server:
    """All buckets, and how many requests came."""

    def __init__(self, folder: Path) -> None:
        # Those of the sister feeds are large, and none reads them from here.
        folders = [bucket for bucket in folder.iterdir() if bucket.is_dir() and not bucket.name.startswith("feeds")]
        self._buckets = {bucket.name: Bucket(bucket) for bucket in folders}
        self._requests = 0

    def answer(self, request: bytes) -> tuple[bytes, float]:
        """Return the answer to a request, and the seconds after which it goes out."""
        method, target, _ = request.split(b" ", 2)
        path, _, query = target.decode().partition("?")
        if path == COUNT_PATH:
            return _answer(b"200 OK", str(self._requests).encode()), 0.0
        self._requests += 1
        name, _, key = unquote(path[1:]).partition("/")
        bucket = self._buckets.get(name)
        if bucket is None or method not in {b"GET", b"HEAD"}:
            return _answer(b"404 Not Found", _NOT_FOUND), LATENCY
        if not key:
            asked = parse_qs(query)
            prefix, delimiter, token = (
                asked.get(part, [""])[0] for part in ("prefix", "delimiter", "continuation-token")
            )
            return _answer(b"200 OK", bucket.listing(prefix, delimiter, token).encode()), LATENCY
        stored = bucket.objects.get(key)
        if stored is None:
            return _answer(b"404 Not Found", _NOT_FOUND, with_body=method == b"GET"), LATENCY
        return _object(stored, request, with_body=method == b"GET"), LATENCY


def _object(stored: Stored, request: bytes, *, with_body: bool) -> bytes:
    part = _RANGE.search(request)
    if part is None:
        return _answer(b"200 OK", stored.data, stored.headers, with_body=with_body)
    size = len(stored.data)
    first = int(part[1]) if part[1] else size - int(part[2])
    end = min(int(part[2]) + 1, size) if part[1] and part[2] else size
    headers = stored.headers + f"Content-Range: bytes {first}-{end - 1}/{size}\r\n".encode()
    return _answer(b"206 Partial Content", stored.data[first:end], headers, with_body=with_body)


def _answer(status: bytes, body: bytes, headers: bytes = b"", *, with_body: bool = True) -> bytes:
    head = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, headers, len(body))
    return head + body if with_body else head


class Connection(asyncio.Protocol):
    """One kept-alive connection; its requests have no body."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the answers."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is whole, later."""
        self._received += data
        while (end := self._received.find(_END)) >= 0:
            request, self._received = self._received[: end + 2], self._received[end + len(_END) :]
            answer, seconds = self._server.answer(request)
            asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)


async def serve(folder: Path, port: int) -> None:
    """Serve a folder's buckets on 127.0.0.1 until killed."""
    buckets = Server(folder)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(buckets), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
