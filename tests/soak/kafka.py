"""A Kafka that asks for a login and can be taken away: librdkafka's mock cluster behind two fronts."""

from __future__ import annotations

import struct
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.services.kafka import SaslFront, frame, framed, mock_cluster
from tests.services.proxy import FaultProxy, LoopbackServer, both, connection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

_PRODUCE, _API_VERSIONS = 0, 18
_FIRST_FLEXIBLE = {_PRODUCE: 9, _API_VERSIONS: 3}
_SASL_HANDSHAKE, _SASL_AUTHENTICATE = 17, 36


@dataclass(frozen=True)
class SoakKafka:
    """The mock cluster's own "host:port", for reading, and what stands before it."""

    bootstrap: str
    proxy: FaultProxy
    login: SaslFront
    sign: Signpost

    def struck(self) -> Counter[str]:
        """How often each kind of fault has struck."""
        proxy = self.proxy.struck
        return Counter(
            {
                "kafka-down": proxy["refuse"],
                "kafka-slow": proxy["latency"],
                "kafka-denied": self.login.denied,
                "kafka-answer-lost": self.sign.acknowledgements_lost,
            }
        )


@contextmanager
def kafka_with_login(user: str, password: str) -> Iterator[SoakKafka]:
    """Run the cluster; collectors get there by the proxy's port."""
    with ExitStack() as stack:
        bootstrap = stack.enter_context(mock_cluster())
        sign = stack.enter_context(Signpost(int(bootstrap.rpartition(":")[2])))
        login = stack.enter_context(SaslFront(sign.port, user, password))
        proxy = stack.enter_context(FaultProxy("127.0.0.1", login.port))
        sign.leads_to = proxy.port
        yield SoakKafka(bootstrap, proxy, login, sign)


class Signpost(LoopbackServer):
    """Lets the mock cluster name the proxy as its own address, and say that logins are known behind it.

    Attributes:
        leads_to: The port that the cluster is to name.
        loses_acknowledgements: What the broker has taken is not acknowledged: the connection is closed in its place.
        acknowledgements_lost: How many it has lost, each of a message that the broker has.
    """

    def __init__(self, broker_port: int) -> None:
        super().__init__()
        self._broker_port = broker_port
        self.leads_to = 0
        self.loses_acknowledgements = False
        self.acknowledgements_lost = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        async with connection("127.0.0.1", self._broker_port) as (broker_reader, broker_writer):
            asked: dict[bytes, tuple[int, int]] = {}
            await both(self._requests(reader, broker_writer, asked), self._answers(broker_reader, writer, asked))

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[bytes, tuple[int, int]]
    ) -> None:
        while True:
            request = await frame(reader)
            key, version = struct.unpack_from(">hh", request)
            asked[request[4:8]] = key, version
            writer.write(framed(request))
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[bytes, tuple[int, int]]
    ) -> None:
        host = b"127.0.0.1"
        theirs, ours = (host + struct.pack(">i", port) for port in (self._broker_port, self.leads_to))
        while True:
            answer = (await frame(reader)).replace(theirs, ours)
            key, version = asked.pop(answer[:4])
            if key == _PRODUCE and self.loses_acknowledgements and _is_taken(answer, version):
                self.acknowledgements_lost += 1
                raise ConnectionAbortedError
            refused = answer[4:6] != b"\0\0"
            writer.write(framed(answer if key != _API_VERSIONS or refused else _with_login(answer, version)))
            await writer.drain()


def _is_taken(acknowledgement: bytes, version: int) -> bool:
    """Tell whether a broker says that it has a message, the only one it was sent in that request."""
    if version >= _FIRST_FLEXIBLE[_PRODUCE]:
        topic_length = acknowledgement[6] - 1  # behind the correlation, the tags and the number of topics
        error_at = 7 + topic_length + 1 + 4
    else:
        (topic_length,) = struct.unpack_from(">h", acknowledgement, 8)
        error_at = 10 + topic_length + 4 + 4
    return acknowledgement[error_at : error_at + 2] == b"\0\0"


def _with_login(answer: bytes, version: int) -> bytes:
    """Add the two requests of a login to an ApiVersions answer."""
    keys = (_SASL_HANDSHAKE, _SASL_AUTHENTICATE)
    if version >= _FIRST_FLEXIBLE[_API_VERSIONS]:
        entries = b"".join(struct.pack(">hhhb", key, 0, 1, 0) for key in keys)
        return answer[:6] + bytes([answer[6] + len(keys)]) + entries + answer[7:]
    (count,) = struct.unpack_from(">i", answer, 6)
    entries = b"".join(struct.pack(">hhh", key, 0, 1) for key in keys)
    return answer[:6] + struct.pack(">i", count + len(keys)) + entries + answer[10:]
