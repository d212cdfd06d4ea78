"""What moto lacks of S3 when clients die: half a request is none, and conditional puts are atomic."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from tests.services.proxy import LoopbackServer, connection

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_EXPECT: Final = re.compile(rb"\r\nexpect: *100-continue(?=\r\n)", re.IGNORECASE)
_CONNECTION: Final = re.compile(rb"\r\nconnection: *[^\r]*(?=\r\n)", re.IGNORECASE)


class WholeRequests(LoopbackServer):
    """Passes a request on when all of it has arrived, one after the other, and closes the connection behind it.

    S3 refuses a body that is shorter than announced, and of two conditional puts lets one through. Moto stores what has
    come when the client dies, and looks before it puts.
    """

    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self._turn = asyncio.Lock()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if _EXPECT.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(length[1])) if length else b""
        head = _CONNECTION.sub(b"", _EXPECT.sub(b"", head)).removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
        async with self._turn, connection("127.0.0.1", self._upstream_port) as (upstream_reader, upstream_writer):
            upstream_writer.write(head + body)
            answer = await upstream_reader.read(-1)
        writer.write(answer)
        await writer.drain()
