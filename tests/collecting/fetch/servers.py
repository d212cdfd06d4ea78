"""Servers of odd answers, and what the tests of the feed have in common."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from miso_archive.collecting.fetch import fetch
from miso_archive.failures import CollectionError
from miso_archive.simulate import Reply
from miso_archive.simulate.wire import ReplyServer
from tests.services.proxy import LoopbackServer

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Mapping
    from types import TracebackType


BODY = b'{"RefId":"27-Jul-2026 - Interval 08:10 EST","Constraint":[]}'
TIMEOUT = 0.3
PLENTY = 10.0
"""A timeout that no test comes near."""


def failure(url: str, timeout: float = PLENTY) -> CollectionError:
    """The error that a fetch ends with."""
    with pytest.raises(CollectionError) as caught:
        fetch(url, timeout)
    return caught.value


class Within:
    """Asserts that a block ends in time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert time.monotonic() - self.began < self.seconds


class Endless(LoopbackServer):
    """Answers a request with a body that never ends."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client hangs up."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(100_000))
            await writer.drain()


class Paths:
    """A server that answers by path, and remembers the paths it was asked for, and with which headers."""

    def __init__(self, replies: Mapping[str, Reply], tls: ssl.SSLContext | None = None) -> None:
        self.replies = dict(replies)
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.server = ReplyServer("127.0.0.1", 0, self._respond)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)

    def _respond(self, path: str, headers: Mapping[str, str]) -> Reply:
        self.asked.append(path)
        self.headers.append(headers)
        return self.replies.get(path, Reply(404, b""))

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """The address of a path."""
        return f"{scheme}://{host}:{self.server.server_port}{path}"


class Proxy(LoopbackServer):
    """Answers whatever a proxy is asked with the same bytes, and remembers the heads of the requests."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer
        self.heads: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()


def self_signed(address: str) -> bytes:
    """A certificate of an IP address, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = (
        builder.not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain)


def redirect(location: str, status: int = 302) -> Reply:
    """A redirect."""
    return Reply(status, b"", {"Location": location})


def join_fetches(seconds: float = 5.0) -> list[str]:
    """Wait for the threads of fetches to end; the names of those that do not."""
    fetches = [thread for thread in threading.enumerate() if thread.name == "fetch"]
    for thread in fetches:
        thread.join(seconds)
    return [thread.name for thread in fetches if thread.is_alive()]
