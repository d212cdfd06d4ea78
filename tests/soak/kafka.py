"""A Kafka that asks for a login and can be taken away: librdkafka's mock cluster behind two fronts."""

from __future__ import annotations

import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.services.kafka import SaslFront, frame, framed, mock_cluster
from tests.services.proxy import FaultProxy, LoopbackServer, both, connection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

_API_VERSIONS = 18
_FIRST_FLEXIBLE = 3
_SASL_HANDSHAKE, _SASL_AUTHENTICATE = 17, 36


@contextmanager
def kafka_with_login(user: str, password: str) -> Iterator[tuple[str, FaultProxy]]:
    """Yield the mock cluster's own "host:port", for reading, and the proxy by which collectors get there."""
    with ExitStack() as stack:
        bootstrap = stack.enter_context(mock_cluster())
        sign = stack.enter_context(_Signpost(int(bootstrap.rpartition(":")[2])))
        login = stack.enter_context(SaslFront(sign.port, user, password))
        proxy = stack.enter_context(FaultProxy("127.0.0.1", login.port))
        sign.leads_to = proxy.port
        yield bootstrap, proxy


class _Signpost(LoopbackServer):
    """Lets the mock cluster name the proxy as its own address, and say that logins are known behind it."""

    def __init__(self, broker_port: int) -> None:
        super().__init__()
        self._broker_port = broker_port
        self.leads_to = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        async with connection("127.0.0.1", self._broker_port) as (broker_reader, broker_writer):
            versions: dict[bytes, int] = {}
            await both(self._requests(reader, broker_writer, versions), self._answers(broker_reader, writer, versions))

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, versions: dict[bytes, int]
    ) -> None:
        while True:
            request = await frame(reader)
            key, version = struct.unpack_from(">hh", request)
            if key == _API_VERSIONS:
                versions[request[4:8]] = version
            writer.write(framed(request))
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, versions: dict[bytes, int]
    ) -> None:
        host = b"127.0.0.1"
        theirs, ours = (host + struct.pack(">i", port) for port in (self._broker_port, self.leads_to))
        while True:
            answer = (await frame(reader)).replace(theirs, ours)
            version = versions.pop(answer[:4], None)
            refused = answer[4:6] != b"\0\0"
            writer.write(framed(answer if version is None or refused else _with_login(answer, version)))
            await writer.drain()


def _with_login(answer: bytes, version: int) -> bytes:
    """Add the two requests of a login to an ApiVersions answer."""
    keys = (_SASL_HANDSHAKE, _SASL_AUTHENTICATE)
    if version >= _FIRST_FLEXIBLE:
        entries = b"".join(struct.pack(">hhhb", key, 0, 1, 0) for key in keys)
        return answer[:6] + bytes([answer[6] + len(keys)]) + entries + answer[7:]
    (count,) = struct.unpack_from(">i", answer, 6)
    entries = b"".join(struct.pack(">hhh", key, 0, 1) for key in keys)
    return answer[:6] + struct.pack(">i", count + len(keys)) + entries + answer[10:]
