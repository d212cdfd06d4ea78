"""Clients of ours are closed by whoever made them; those of Prefect, which drops its own, are not looked at."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
import redis
import requests

from flows.collect import collect
from miso_archive.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed


@contextmanager
def left_open(*urls: str) -> Iterator[list[Any]]:
    """Gather what is still connected to some servers in the end, of clients kept alive: dropped, they close."""
    ports = {urlsplit(url).port for url in urls}
    kept: list[object] = []
    found: list[Any] = []
    before = connections(ports)
    with pytest.MonkeyPatch.context() as patch:
        for kind in (redis.Redis, requests.Session):
            patch.setattr(kind, "__init__", keeping(kind.__init__, kept))
        yield found
    found += connections(ports) - before


def connections(ports: set[int | None]) -> set[Any]:
    """This process's connections to some ports of loopback."""
    return {one.laddr for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port in ports}


def keeping(made: Any, kept: list[object]) -> Any:  # noqa: ANN401 - any constructor
    """Construct as ever, and keep what is constructed alive."""

    def construct(client: object, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as the constructor's
        kept.append(client)
        made(client, *arguments, **options)

    return construct


@pytest.mark.parametrize("command", ["collect", "status"])
def test_a_command_closes_what_it_opened(feed: SimulatedFeed, redis_url: str, tmp_path: Path, command: str) -> None:
    """No command leaves a client of the feed or of Redis for the interpreter to close."""
    collecting = ["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
    if command == "status":
        main(collecting)
    arguments = collecting if command == "collect" else ["status", "--local", str(tmp_path), "--redis-url", redis_url]
    with left_open(feed.url, redis_url) as found:
        main(arguments)
    assert found == []


@pytest.mark.usefixtures("prefect_server")
def test_a_run_of_the_flow_closes_what_it_opened(
    feed: SimulatedFeed, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a run under Prefect leave one."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    with left_open(feed.url, redis_url) as found:
        state = collect(local=tmp_path, api_url=feed.url, return_state=True)
    assert state.is_completed()
    assert found == []


def test_a_client_that_is_not_closed_is_seen(feed: SimulatedFeed, redis_url: str) -> None:
    """What these tests look for can be seen: a client of each kind, used and dropped."""
    with left_open(feed.url, redis_url) as found:
        requests.Session().get(feed.url, timeout=10)
        redis.Redis.from_url(redis_url).ping()
    assert len(found) == 2
