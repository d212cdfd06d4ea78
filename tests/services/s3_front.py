"""Before an S3 server, or in its place: one that remembers what it passes on, and one that answers as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.services.proxy import LoopbackServer, both, connection, copy

if TYPE_CHECKING:
    import asyncio
    import ssl

    from tests.services.s3 import S3Endpoint

_METHODS = (b"GET ", b"PUT ", b"HEAD ", b"DELETE ", b"POST ")


class S3Front(LoopbackServer):
    """Passes requests on to an S3 server and remembers their heads; as an HTTP proxy, for any host."""

    def __init__(self, upstream: S3Endpoint, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        parts = urlsplit(upstream.url)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self.tls = tls
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.heads: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        async with connection(*self._upstream) as (upstream_reader, upstream_writer):
            await both(self._remembered(reader, upstream_writer), copy(upstream_reader, writer))

    async def _remembered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            passed = data
            if data.startswith(_METHODS):
                self.heads.append(data.partition(b"\r\n\r\n")[0].decode())
                passed = _to_its_host(data)
            writer.write(passed)
            await writer.drain()
        writer.write_eof()


def _to_its_host(request: bytes) -> bytes:
    """A request for http://host/path to a proxy, as that host itself gets it."""
    method, address, rest = request.split(b" ", 2)
    return b" ".join((method, b"/" + address.split(b"/", 3)[3] if b"://" in address else address, rest))


class ScriptedS3(LoopbackServer):
    """Answers every request with one status and body, and remembers the requests' first lines."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.body = 200, b""
        self.requests: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            self.requests.append(lines[0])
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            if headers.get("expect") == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await reader.readexactly(int(headers.get("content-length", "0")))
            head = f"HTTP/1.1 {self.status} Scripted\r\nContent-Length: {len(self.body)}\r\n\r\n"
            writer.write(head.encode() + (b"" if lines[0].startswith("HEAD") else self.body))


def error_body(code: str, message: str = "so it is") -> bytes:
    """An error as S3 tells it."""
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


class OtherRegion(S3Front):
    """A front of an S3 server whose buckets are in another region: who asks in his own is told which, as AWS does."""

    region = "eu-west-1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; one on which the wrong region is asked for is closed."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if f"/{self.region}/s3/".encode() not in head:
            body = b"" if head.startswith(b"HEAD") else error_body("PermanentRedirect")
            told = f"x-amz-bucket-region: {self.region}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(b"HTTP/1.1 301 Moved Permanently\r\n" + told.encode() + body)
            await writer.drain()
            return
        async with connection(*self._upstream) as (upstream_reader, upstream_writer):
            upstream_writer.write(head)
            await both(copy(reader, upstream_writer), copy(upstream_reader, writer))
