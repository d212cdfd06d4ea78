"""Servers that stop with the test."""

from __future__ import annotations

import os
import re
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import BODY, Paths, self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROXY: Final = re.compile("[a-z]+_proxy", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _servers_stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miso_archive.simulate.wire._POLL_SECONDS", 0.001)


@pytest.fixture
def paths() -> Iterator[Callable[..., Paths]]:
    """Start servers that answer by path; all of them stop with the test."""
    with ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None, **replies: Reply) -> Paths:
            made = Paths({f"/{name}": reply for name, reply in replies.items()}, tls)
            made.server.start()
            stack.callback(made.server.stop)
            return made

        yield start


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no certificates and no ~/.netrc of whoever runs the tests."""
    for name in [*filter(PROXY.fullmatch, os.environ), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@dataclass(frozen=True)
class Tls:
    """A server that speaks TLS, with a certificate that it signed itself."""

    server: Paths
    certificate: Path


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 and its key, in one file, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    path.write_bytes(self_signed("127.0.0.1"))
    return path


@pytest.fixture
def tls(paths: Callable[..., Paths], own_certificate: Path) -> Tls:
    """A server whose certificate nobody trusts unless he is told to; it answers /feed with a body."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate)
    return Tls(paths(feed=Reply(body=BODY), tls=context), own_certificate)
