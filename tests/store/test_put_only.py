"""A collector whose rights in S3 are to put, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prefect_aws.credentials import _get_client_cached

from miso_archive.cli.app import main
from tests.services.kafka import read_messages
from tests.services.proxy import LoopbackServer, both, connection, copy

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class PutOnly(LoopbackServer):
    """An S3 server that takes puts and answers everything else with 403."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = host, int(port)
        self.denied: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; what is put on it is followed by no other request, since it closes behind a put."""
        head = await reader.readuntil(b"\r\n\r\n")
        method = head.split(b" ", 1)[0].decode()
        if method != "PUT":
            self.denied.append(method)
            body = b"" if method == "HEAD" else _DENIED
            answer = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\n"
            writer.write(answer + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            return
        async with connection(*self._upstream) as (upstream_reader, upstream_writer):
            upstream_writer.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            await both(copy(reader, upstream_writer), copy(upstream_reader, writer))


@pytest.fixture
def put_only(services: Services, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[PutOnly]:
    """The bucket's server, as a collector sees it who may only put."""
    assert bucket.keys() == []
    with PutOnly(services.s3.url) as front:
        for name, value in replace(services.s3, url=f"http://127.0.0.1:{front.port}").environment().items():
            monkeypatch.setenv(name, value)
        _get_client_cached.cache_clear()  # prefect-aws keeps clients by their credentials alone
        yield front
        _get_client_cached.cache_clear()


def test_a_collector_that_may_only_put_collects_and_announces(  # noqa: PLR0913, PLR0917 - the parts of the whole
    put_only: PutOnly,
    feed: SimulatedFeed,
    bucket: Bucket,
    redis_url: str,
    kafka_topic: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing may be listed, read or deleted: a snapshot is stored, announced and registered, trouble told once."""
    options = ["--s3-bucket", bucket.name, "--redis-url", redis_url, "--api-url", feed.url]
    options += ["--kafka-connection-string", kafka_topic]
    assert main(["collect", *options]) == 0
    printed = capsys.readouterr()
    (key,) = json.loads(printed.out)["objects"]
    assert {"GET", "DELETE"} <= set(put_only.denied)
    assert printed.err.count("its mark stays") == 1
    assert printed.err.count("waits for the next run") == 1
    assert main(["collect", *options]) == 0
    assert '"skipped_duplicate":1' in capsys.readouterr().out
    assert key in set(bucket.keys())
    assert bucket.keys("environments/") == ["environments/began.json"]
    broker, _, topic = kafka_topic.partition("/")
    assert len(read_messages(broker, topic, expected=1)) == 1
