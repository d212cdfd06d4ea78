"""TCP servers in a thread, and a proxy that misbehaves on request."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Coroutine

Mode = Literal["pass", "refuse", "blackhole", "latency", "cut", "cut-request", "answer", "lose"]


class LoopbackServer:
    """A TCP server on 127.0.0.1 with its event loop in a thread: a context manager; subclasses define `handle`.

    With `tls` set before it is entered it speaks TLS.
    """

    tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        # asyncio's own references are weak: a connection that waits for a silent server would be collected.
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; it is closed afterwards."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listener, ssl=self.tls)
        await self._stop.wait()
        server.close()
        # Again and again: a connection may be accepted yet have no task of its own.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            # Either side may hang up at any time: that is what proxies are for.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.handle(reader, writer)
        finally:
            self._tasks.discard(task)
            await _close(writer)


class FaultProxy(LoopbackServer):
    """Passes connections on to a server, or does what `mode` says, which may be set at any time.

    Modes:
        pass: Everything is passed on.
        refuse: New connections are reset at once, open ones at the next byte.
        blackhole: New connections are accepted, and nothing that is sent gets through or is answered. A connection that
            has lost something in here stays lost when the mode changes.
        latency: Whatever arrives, in either direction, is passed on `latency_seconds` later.
        cut: The request is passed on; of the answers on a connection, counted from the moment this mode is seen, only
            the first `cut_after_bytes` bytes are, then the connection is closed. With 0 the request is done and its
            answer is lost, unless the client waits for a first answer before it has sent all, as S3's clients do.
        cut-request: The same for the requests: of them the server sees the first `cut_after_bytes` bytes.
        answer: The next request on a connection is not passed on: `answer` is sent back, then the connection is closed.
        lose: The connection is closed in place of an answer that `loses` picks; a plain proxy picks none.

    Attributes:
        struck: How often the proxy has done what a mode says, counted as it was done: connections reset, swallowed, cut
            or answered, pieces delayed.
    """

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        super().__init__()
        self._upstream = (upstream_host, upstream_port)
        self.mode: Mode = "pass"
        self.latency_seconds = 0.0
        self.cut_after_bytes = 0
        self.answer = b""
        self.struck: Counter[Mode] = Counter()

    async def loses(self, request: bytes, answer: bytes) -> bool:  # noqa: ARG002 - for proxies that know a protocol
        """Whether to lose an answer: what has just come of it, and what came first of the request before it."""
        return False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, or not."""
        if self.mode == "refuse":
            self._reset(writer)
        elif self.mode == "blackhole":
            await self._swallow(reader)
        else:
            async with connection(*self._upstream) as (upstream_reader, upstream_writer):
                exchange = _Exchange(client=writer)
                requests = self._pass_on(reader, upstream_writer, exchange, is_request=True)
                answers = self._pass_on(upstream_reader, writer, exchange, is_request=False)
                await both(requests, answers)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: _Exchange, *, is_request: bool
    ) -> None:
        left: int | None = None
        while data := await reader.read(65536):
            mode = self.mode
            if is_request:
                exchange.note(data)
            if mode == "refuse":
                self._reset(exchange.client)
                raise ConnectionResetError
            if mode == "blackhole":
                self.struck[mode] += 1
                await self._swallow(reader)
                raise ConnectionAbortedError
            if mode == "latency":
                self.struck[mode] += 1
                await asyncio.sleep(self.latency_seconds)
            if mode == "answer" and is_request:
                self.struck[mode] += 1
                exchange.client.write(self.answer)
                await exchange.client.drain()
                raise ConnectionAbortedError
            if mode == "lose" and not is_request and await self.loses(exchange.request, data):
                self.struck[mode] += 1
                raise ConnectionAbortedError
            cutting = mode == ("cut-request" if is_request else "cut")
            if cutting:
                left = self.cut_after_bytes if left is None else left
                data = data[:left]
                left -= len(data)
            writer.write(data)
            await writer.drain()
            if cutting and not left:
                self.struck[mode] += 1
                raise ConnectionAbortedError
        writer.write_eof()

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            self.struck["blackhole"] += 1

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self.struck["refuse"] += 1
        # Closing with no time to linger sends a reset in place of an orderly end.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@dataclass
class _Exchange:
    """The client of a connection, and the beginning of its last HTTP request."""

    client: asyncio.StreamWriter
    request: bytes = b""

    def note(self, data: bytes) -> None:
        """Look at a piece of what the client sends."""
        if b" HTTP/1.1\r\n" in data.partition(b"\n")[0] + b"\n":
            self.request = data


@asynccontextmanager
async def connection(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server, closed at the end of the block."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        await _close(writer)


async def both(*directions: Coroutine[Any, Any, None]) -> None:
    """Run the two directions of a connection until both have ended or one has failed."""
    tasks = [asyncio.create_task(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on one direction of a connection until it ends."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()
