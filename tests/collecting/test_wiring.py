"""What joins the parts of a run, by the command line: marks, options on their way, what is closed at the end."""

from __future__ import annotations

import json
import signal
import struct
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import redis as redis_client
import time_machine

from miso_archive.cli.app import main
from miso_archive.collecting import parts as parts_of_a_run
from miso_archive.collecting.announce import Announcer
from miso_archive.collecting.outbox import Outbox
from miso_archive.collecting.registry import Registry
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.settings.options import Settings
from miso_archive.simulate import Reply, snapshot_body
from miso_archive.store.address import store_of
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from tests.forked import exit_code
from tests.killed_run import killing
from tests.services.kafka import frame, framed, read_messages
from tests.services.process import free_port
from tests.services.proxy import LoopbackServer, both, connection
from tests.services.valkey import embedded_valkey
from tests.waiting import until

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

NOW = datetime(2026, 7, 27, 8, 14, tzinfo=EST)
CENTURY = str(60 * 24 * 36_000)


def collect_and_die(arguments: list[str], moment: str) -> None:
    """Run the command line, and die before or after the object is put."""
    setattr(parts_of_a_run, "store_snapshot", killing(store_snapshot, moment))  # noqa: B010 - mypy minds the other way
    main(arguments)


@pytest.mark.parametrize(("moment", "left"), [("before", 0), ("after", 1)])
def test_a_run_killed_about_its_object_loses_no_announcement(  # noqa: PLR0913, PLR0917 - the parts of the whole
    feed: SimulatedFeed, tmp_path: Path, redis_url: str, kafka_topic: str, moment: str, left: int
) -> None:
    """Its body is never served again: what stands is announced by the next run, by its mark; what does not is not."""
    arguments = ["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
    arguments += ["--kafka-connection-string", kafka_topic]
    assert exit_code(collect_and_die, arguments, moment) == -signal.SIGKILL
    feed.advance()
    assert main(arguments) == 0
    broker, topic = kafka_topic.split("/")
    messages = read_messages(broker, topic, expected=left + 1)
    stored = [str(path.relative_to(tmp_path)) for path in tmp_path.glob("sourcing/*/*/*.json.gz")]
    assert len(stored) == left + 1
    assert sorted(json.loads(message.value() or b"")["key"] for message in messages) == sorted(stored)


class TestOptions:
    """What is given reaches the part that it is for."""

    def test_redis_and_environment(
        self, feed: SimulatedFeed, tmp_path: Path, redis_url: str, redis: redis_client.Redis, kafka_topic: str
    ) -> None:
        """Host, port and database are where the registration is; the environment is in its key and in the message."""
        server, _, _ = redis_url.rpartition("/")
        host, _, port = server.removeprefix("redis://").partition(":")
        arguments = ["collect", "--local", str(tmp_path), "--api-url", feed.url, "--environment", "staging"]
        arguments += ["--redis-host", host, "--redis-port", port, "--redis-db", "7"]
        with redis_client.Redis.from_url(f"{server}/7", decode_responses=True) as seventh:
            seventh.flushdb()
            assert main([*arguments, "--kafka-connection-string", kafka_topic]) == 0
            (key,) = seventh.keys("*")
        assert str(key).startswith("hash:staging:")
        assert redis.keys("*") == []
        (message,) = read_messages(*kafka_topic.split("/"), expected=1)
        assert json.loads(message.value() or b"")["environment"] == "staging"

    @pytest.mark.usefixtures("fast_retries")
    def test_address_and_timeout(
        self, feed: SimulatedFeed, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The feed that is named is asked, for as long as was said, as often as a request that failed is tried."""
        feed.script(*[Reply(delay=30)] * 5)
        arguments = ["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
        assert main([*arguments, "--timeout", "0.1"]) == 1
        (error,) = json.loads(capsys.readouterr().out)["errors"]
        assert (error["code"], error["message"]) == ("feed_timeout", f"no whole answer from {feed.url} within 0.1 s")
        assert feed.hits == 5

    def test_profile(
        self,
        bucket: Bucket,
        feed: SimulatedFeed,
        redis_url: str,
        profile: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """With a profile's keys and endpoint alone every command on the archive works, and without them none does."""
        feed.script(Reply(body=b'{"error":"no data"}'))
        there = ["--s3-bucket", bucket.name, "--aws-profile", profile]
        asked = [*there, "--redis-url", redis_url, "--api-url", feed.url]
        assert [main(["collect", *asked]) for _ in range(2)] == [1, 0]
        assert len(bucket.keys("sourcing/")) == 1
        capsys.readouterr()
        assert main(["status", *there, "--redis-url", redis_url, "--stale-after", CENTURY, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["last_interval_end"] == "2001-01-02T07:05:00-05:00"
        assert main(["replay", *there]) == 0
        assert json.loads(capsys.readouterr().out)["still_refused"] == 1
        assert main(["coverage", *there, "--start", "2001-01-02", "--end", "2001-01-03", "--format", "csv"]) == 0
        assert main(["compact", *there]) == 0
        assert len(bucket.keys("curated/")) == 3


class TestClosed:
    """What a command opens it closes: garbage collection is no plan."""

    @pytest.fixture
    def kept(self, monkeypatch: pytest.MonkeyPatch) -> list[Registry]:
        """Every registry that is connected, kept so that only closing it ends its connection."""
        connected: list[Registry] = []
        connect = Registry.connect

        def keep(*arguments: Any) -> Registry:  # noqa: ANN401 - as the method it stands for
            connected.append(connect(*arguments))
            return connected[-1]

        monkeypatch.setattr(Registry, "connect", keep)
        return connected

    @pytest.fixture
    def announcers(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """A word for each announcer that was made and that was closed."""
        words: list[str] = []

        def noting(name: str, word: str) -> None:
            real: Callable[..., None] = getattr(Announcer, name)

            def noted(*arguments: object) -> None:
                words.append(word)
                real(*arguments)

            monkeypatch.setattr(Announcer, name, noted)

        noting("__init__", "made")
        noting("close", "closed")
        return words

    @pytest.mark.parametrize(("command", "status"), [("collect", 200), ("collect", 404), ("status", 200)])
    def test_redis_and_kafka(  # noqa: PLR0913, PLR0917 - the parts of the whole
        self,
        feed: SimulatedFeed,
        tmp_path: Path,
        kafka_topic: str,
        kept: list[Registry],
        announcers: list[str],
        command: str,
        status: int,
    ) -> None:
        """After a run, also one that failed, and after ``status``, Redis has no client more and no producer is left."""
        feed.script(*[Reply(status=status)] * (status != 200))
        # A server of its own: it tells of whoever connects.
        with embedded_valkey() as url, redis_client.Redis.from_url(url) as redis:
            before = len(redis.client_list())
            arguments = ["--local", str(tmp_path), "--redis-url", url, "--kafka-connection-string", kafka_topic]
            main([command, *arguments, *(["--api-url", feed.url] if command == "collect" else [])])
            assert len(kept) == 1
            assert until(lambda: len(redis.client_list()) == before, timeout=5)
        assert announcers == ["made", "closed"]


class KafkaFront(LoopbackServer):
    """Passes Kafka's protocol on to a broker whose address it takes over, and keeps every request."""

    def __init__(self, broker_port: int) -> None:
        super().__init__()
        self._broker_port = broker_port
        self.requests: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        async with connection("127.0.0.1", self._broker_port) as (broker_reader, broker_writer):

            async def ask() -> None:
                while True:
                    self.requests.append(await frame(reader))
                    broker_writer.write(framed(self.requests[-1]))

            async def answer() -> None:
                while True:
                    # Clients go where a broker says that it is.
                    here, there = struct.pack(">i", self.port), struct.pack(">i", self._broker_port)
                    writer.write(framed((await frame(broker_reader)).replace(there, here)))

            await both(ask(), answer())


_PRODUCE, _INIT_PRODUCER_ID = 0, 22


def test_the_producer_waits_for_all_and_is_idempotent(
    services: Services, feed: SimulatedFeed, tmp_path: Path, redis_url: str
) -> None:
    """On the wire: a producer's id was asked for, and each batch is to be confirmed by every replica (acks=-1)."""
    with KafkaFront(int(services.kafka.rpartition(":")[2])) as front:
        arguments = ["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
        assert main([*arguments, "--kafka-connection-string", f"127.0.0.1:{front.port}/on-the-wire"]) == 0
        requests = list(front.requests)
    kinds = [struct.unpack_from(">h", request)[0] for request in requests]
    assert _INIT_PRODUCER_ID in kinds
    produced = [request for kind, request in zip(kinds, requests, strict=True) if kind == _PRODUCE]
    assert produced
    for request in produced:
        _, version, _, client = struct.unpack_from(">hhih", request)
        # Behind the client's name two bytes: no transaction's name, from version 9 on one byte of two behind the tags.
        assert version >= 3  # before it there was no such name
        assert struct.unpack_from(">h", request, 10 + client + 2) == (-1,)


@pytest.fixture(params=["folder", "bucket"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Settings:
    """An archive of each kind, of a server that tells three names at a time."""
    return Settings(local=tmp_path / "data") if request.param == "folder" else Settings(s3_bucket=bucket.name)


def response(body: bytes, fetched_at: datetime = NOW) -> Response:
    """An answer of the feed."""
    return Response(body, fetched_at, "http://feed.test/", "application/json")


def test_more_marks_than_one_listing_tells(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server tells a few at a time, as S3 does a thousand, every mark is found."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    archive = store_of(settings) if settings.local is None else Folder(settings.local)
    outbox = Outbox(archive, RESERVE, "dev")
    for revision in range(8):
        answer = response(snapshot_body(NOW.replace(minute=10), seed=1, revision=revision))
        snapshot = RESERVE.examine(answer.body).snapshot
        assert snapshot is not None
        outbox.mark(snapshot, answer)
        store_snapshot(archive, RESERVE, snapshot, answer)
    assert len(set(outbox.marks())) == 8
    assert len({found.sha256 for found in outbox.unannounced()}) == 8


class TestStatus:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        """A folder with today's first fourteen intervals, quiet and binding, and refused bodies of a week."""
        folder = tmp_path / "archive"
        for minutes in range(5, 75, 5):
            end = NOW.replace(hour=minutes // 60, minute=minutes % 60)
            # At night nothing binds in this market; in a revision something does.
            answer = response(snapshot_body(end, seed=1, revision=int(minutes > 45)))
            snapshot = RESERVE.examine(answer.body).snapshot
            assert snapshot is not None
            store_snapshot(Folder(folder), RESERVE, snapshot, answer)
        for number, day in enumerate((27, 27, 26, 24, 22, 20)):
            answer = response(b'{"error":"%d"}' % number, NOW.replace(day=day))
            store_refused(Folder(folder), RESERVE, answer, RESERVE.examine(answer.body).reasons)
        return folder

    def test_each_figure_stands_at_its_place(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Quiet and binding, today and the seven days are told apart, on the screen and in JSON."""
        with time_machine.travel(NOW, tick=False):
            main(["status", "--local", str(archive)])
            screen = capsys.readouterr().out
            main(["status", "--local", str(archive), "--json"])
            found = json.loads(capsys.readouterr().out)
        assert "14 of 98 collected (9 quiet, 5 binding), 84 missing\n" in screen
        assert "2 today, 5 in seven days\n" in screen
        assert (found["today"]["quiet"], found["today"]["binding"]) == (9, 5)
        assert (found["refused_today"], found["refused_7_days"]) == (2, 5)

    @pytest.mark.parametrize("silent", ["none", "archive", "redis", "kafka"])
    def test_the_exit_code_tells_of_each_part(  # noqa: PLR0913, PLR0917 - the parts of the whole
        self,
        archive: Path,
        redis_url: str,
        kafka_topic: str,
        silent: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """A fresh archive and parts that answer are 0; any one part that does not answer makes it 1."""
        monkeypatch.setattr("miso_archive.health.status._KAFKA_SECONDS", 0.5 if silent == "kafka" else 10.0)
        away = f"127.0.0.1:{free_port()}"
        options = {
            "--local": str(archive / "nowhere" if silent == "archive" else archive),
            "--redis-url": f"redis://{away}/0" if silent == "redis" else redis_url,
            "--kafka-connection-string": f"{away}/x" if silent == "kafka" else kafka_topic,
            "--stale-after": CENTURY,
        }
        arguments = [part for option in options.items() for part in option]
        assert main(["status", *arguments, "--json"]) == (0 if silent == "none" else 1)
        parts = json.loads(capsys.readouterr().out)["parts"]
        assert {part["name"]: part["answers"] for part in parts} == {
            name: name != silent for name in ("archive", "redis", "kafka")
        }
