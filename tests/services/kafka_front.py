"""A Kafka broker that refuses: the mock cluster behind a front that writes error codes into its answers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tests.services.kafka import frame, framed
from tests.services.proxy import LoopbackServer, both, connection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

PRODUCE: Final = 0
METADATA: Final = 3
INIT_PRODUCER_ID: Final = 22

_FLEXIBLE_SINCE: Final = {PRODUCE: 9, METADATA: 9, INIT_PRODUCER_ID: 2}


class RefusingFront(LoopbackServer):
    """Stands before a broker on this machine and speaks for it: what it advertises is the front.

    Args:
        broker: The broker's "host:port".
        topic: The topic that Produce and Metadata refuse; of one partition's messages at a time.
        refusals: Kafka's error code for each request that is refused; may be changed at any time.

    Attributes:
        swallowed: Kinds of requests whose answers are swallowed.
    """

    swallowed: frozenset[int] = frozenset()

    def __init__(self, broker: str, topic: str, refusals: Mapping[int, int]) -> None:
        super().__init__()
        self._host, _, port = broker.partition(":")
        self._broker_port = int(port)
        self._topic = topic.encode()
        self.refusals = dict(refusals)
        self.address = f"127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, the answers one by one."""
        asked: dict[int, tuple[int, int]] = {}
        async with connection(self._host, self._broker_port) as (broker_reader, broker_writer):

            async def requests() -> None:
                while True:
                    request = await frame(reader)
                    key, version, correlation = struct.unpack_from(">hhi", request)
                    asked[correlation] = key, version
                    broker_writer.write(framed(request))

            async def answers() -> None:
                while True:
                    answer = bytearray(await frame(broker_reader))
                    (correlation,) = struct.unpack_from(">i", answer)
                    key, version = asked.pop(correlation)
                    if key not in self.swallowed:
                        writer.write(framed(self._refused(answer, key, version)))

            await both(requests(), answers())

    def _refused(self, answer: bytearray, key: int, version: int) -> bytes:
        flexible = version >= _FLEXIBLE_SINCE.get(key, version + 1)
        if key == METADATA:
            answer = answer.replace(struct.pack(">i", self._broker_port), struct.pack(">i", self.port))
        name = answer.find(self._topic)
        if key in self.refusals and (name >= 0 or key == INIT_PRODUCER_ID):
            if key == INIT_PRODUCER_ID:  # the throttle's time stands before the code
                place = 4 + flexible + 4
            elif key == METADATA:  # the code, then the name with its length
                place = name - (3 if flexible else 4)
            else:  # the name, how many partitions, the partition, the code
                place = name + len(self._topic) + (1 if flexible else 4) + 4
            struct.pack_into(">h", answer, place, self.refusals[key])
        return bytes(answer)
