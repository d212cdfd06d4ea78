"""What is stored and not announced: marks, and the run that makes it good."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.collecting.outbox import Outbox
from miso_archive.collecting.parts import open_parts
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings
from miso_archive.simulate import snapshot_body
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response
from tests.s3_archives import freeze
from tests.services.kafka import read_messages
from tests.services.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

    import redis as redis_client

    from miso_archive.contract.verdict import Snapshot
    from miso_archive.simulate import SimulatedFeed
    from miso_archive.store.store import Store
    from tests.conftest import Bucket

END = datetime(2001, 1, 2, 12, 15, tzinfo=UTC)
FETCHED = datetime(2001, 1, 2, 12, 17, tzinfo=UTC)


@dataclass(frozen=True)
class Body:
    """A body of one interval, examined."""

    snapshot: Snapshot
    response: Response

    @classmethod
    def of(cls, revision: int = 0) -> Body:
        """Make one."""
        body = snapshot_body(END, seed=307, revision=revision)
        snapshot = RESERVE.examine(body).snapshot
        assert snapshot is not None
        return cls(snapshot, Response(body, FETCHED, "http://feed.test/", "application/json"))


@pytest.fixture(params=["folder", "bucket"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Store:
    """An archive of each kind."""
    if request.param == "folder":
        return Folder(tmp_path / "data")
    from miso_archive.store.address import store_of  # noqa: PLC0415 - slow to import

    return store_of(Settings(s3_bucket=bucket.name))


@pytest.fixture
def outbox(archive: Store) -> Outbox:
    """Its outbox."""
    return Outbox(archive, RESERVE, "staging")


class TestMarks:
    def test_what_is_stored_and_marked_is_to_be_announced(self, archive: Store, outbox: Outbox) -> None:
        """A marked snapshot that stands is yielded with all that its announcement says; unmarked, it is not."""
        body = Body.of()
        outbox.mark(body.snapshot, body.response)
        outbox.mark(body.snapshot, body.response)
        stored = store_snapshot(archive, RESERVE, body.snapshot, body.response)
        assert list(outbox.unannounced()) == [outbox.announcement(body.snapshot, body.response, stored.key)]
        assert outbox.marks() == [f"unannounced/{RESERVE.dataset}/staging/{body.response.sha256}.json"]
        outbox.unmark(body.response.sha256)
        outbox.unmark(body.response.sha256)
        assert list(outbox.unannounced()) == []
        assert outbox.marks() == []

    def test_a_revision_is_announced_by_its_own_key(self, archive: Store, outbox: Outbox) -> None:
        """Of two bodies of one interval each is announced under the key where it stands."""
        bodies = [Body.of(), Body.of(revision=1)]
        for body in bodies:
            outbox.mark(body.snapshot, body.response)
        keys = {store_snapshot(archive, RESERVE, body.snapshot, body.response).key for body in bodies}
        assert {found.key for found in outbox.unannounced()} == keys
        assert len(keys) == 2

    def test_a_mark_without_a_snapshot_is_not_announced(self, outbox: Outbox) -> None:
        """What was never stored is not announced; its mark goes after a day, when no run can be about it."""
        body = Body.of()
        outbox.mark(body.snapshot, body.response)
        assert list(outbox.unannounced(now=FETCHED + timedelta(hours=23))) == []
        assert len(outbox.marks()) == 1
        assert list(outbox.unannounced(now=FETCHED + timedelta(hours=25))) == []
        assert outbox.marks() == []

    def test_other_bytes_under_the_key_are_not_announced(self, archive: Store, outbox: Outbox) -> None:
        """Where another body, or a damaged one, stands under the interval's key, the mark is not taken for it."""
        body = Body.of()
        outbox.mark(body.snapshot, body.response)
        archive.put_if_absent(snapshot_key(RESERVE, body.snapshot.interval_end), b"not gzip", {})
        assert list(outbox.unannounced(now=FETCHED)) == []

    def test_environments_are_apart(self, archive: Store, outbox: Outbox) -> None:
        """The marks of one environment are none of another's business."""
        body = Body.of()
        outbox.mark(body.snapshot, body.response)
        assert Outbox(archive, RESERVE, "prod").marks() == []

    def test_what_is_no_mark_stays_and_is_told(
        self, archive: Store, outbox: Outbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A file that is no mark is named, by its address, in a warning and left where it is."""
        key = f"unannounced/{RESERVE.dataset}/staging/stray.json"
        archive.put_if_absent(key, b"{}", {})
        assert list(outbox.unannounced()) == []
        assert f"{archive.location}/{key} is no mark that can be read" in caplog.text
        assert outbox.marks() == [key]

    @pytest.mark.parametrize(
        "change",
        [
            {"interval_end": "soon"},
            {"interval_end": "2001-01-02T07:15:00"},
            {"interval_end": "0001-01-01T00:00:00+14:00"},
            {"fetched_at": "2001-01-02T12:17:00"},
            {"fetched_at": ""},
            {"sha256": "5f" * 32},
            {"environment": "prod"},
            {"dataset": "another"},
        ],
    )
    def test_a_mark_that_is_damaged_or_not_its_own_stops_nothing(
        self, archive: Store, outbox: Outbox, change: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """A mark without real times, or of another body, environment or feed, is told; others are announced."""
        body, other = Body.of(), Body.of(revision=1)
        mark = outbox.announcement(body.snapshot, body.response, "sourcing/x").model_dump() | change
        key = f"unannounced/{RESERVE.dataset}/staging/{body.response.sha256}.json"
        archive.put_if_absent(key, json.dumps(mark).encode(), {})
        outbox.mark(other.snapshot, other.response)
        for each in (body, other):
            store_snapshot(archive, RESERVE, each.snapshot, each.response)
        assert [found.sha256 for found in outbox.unannounced()] == [other.response.sha256]
        assert f"{key} is no mark that can be read" in caplog.text
        assert key in outbox.marks()

    def test_a_mark_that_cannot_be_read_stops_nothing(
        self, archive: Store, outbox: Outbox, bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A folder in a mark's place, or one in an archive storage class, is told; others are announced."""
        first, second = sorted([Body.of(), Body.of(revision=1)], key=lambda body: body.response.sha256)
        for body in (first, second):
            outbox.mark(body.snapshot, body.response)
            store_snapshot(archive, RESERVE, body.snapshot, body.response)
        unreadable = outbox.marks()[0]
        if isinstance(archive, Folder):
            (tmp_path / "data" / unreadable).unlink()
            (tmp_path / "data" / unreadable).mkdir()
        else:
            freeze(bucket, unreadable)
        assert [found.sha256 for found in outbox.unannounced()] == [second.response.sha256]
        why = "Is a directory" if isinstance(archive, Folder) else "it is in the storage class GLACIER: restore it"
        assert f"{unreadable} is no mark that can be read ({why}): look at it" in caplog.text

    @pytest.mark.parametrize("archive", ["bucket"], indirect=True)
    def test_a_snapshot_in_an_archive_storage_class_is_announced(
        self, archive: Store, outbox: Outbox, bucket: Bucket
    ) -> None:
        """What it holds is known without reading it; its mark is no abandoned one."""
        body = Body.of()
        outbox.mark(body.snapshot, body.response)
        freeze(bucket, store_snapshot(archive, RESERVE, body.snapshot, body.response).key)
        assert [found.sha256 for found in outbox.unannounced()] == [body.response.sha256]


class TestRuns:
    @pytest.fixture
    def options(self, feed: SimulatedFeed, tmp_path: Path, redis_url: str) -> list[str]:
        """The command line of a run into a folder."""
        return ["--local", str(tmp_path / "data"), "--redis-url", redis_url, "--api-url", feed.url]

    def test_what_was_stored_without_kafka_is_announced_by_a_later_run(  # noqa: PLR0913, PLR0917 - the parts of the whole
        self,
        feed: SimulatedFeed,
        tmp_path: Path,
        options: list[str],
        redis: redis_client.Redis,
        kafka_topic: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Stored while Kafka is away, the feed moved on, Redis emptied: the next run announces both snapshots."""
        monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 0.3)
        away = f"127.0.0.1:{free_port()}/away"
        assert main(["collect", *options, "--kafka-connection-string", away]) == 1
        (left,) = json.loads(capsys.readouterr().out)["objects"]
        feed.advance()
        redis.flushdb()
        monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 20.0)
        assert main(["collect", *options, "--kafka-connection-string", kafka_topic]) == 0
        (new,) = json.loads(capsys.readouterr().out)["objects"]
        broker, topic = kafka_topic.split("/")
        messages = read_messages(broker, topic, expected=2)
        assert sorted(json.loads(message.value() or b"")["key"] for message in messages) == sorted([left, new])
        assert not list((tmp_path / "data" / "unannounced").rglob("*.json"))

    def test_a_run_that_cannot_catch_up_says_so(
        self, feed: SimulatedFeed, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With nothing new and Kafka away, what is left keeps its mark and the run does not fail for it."""
        monkeypatch.setattr("miso_archive.collecting.parts.DELIVERY_SECONDS", 0.3)
        away = ("--kafka-connection-string", f"127.0.0.1:{free_port()}/away")
        assert main(["collect", *options]) == 0
        settings = Settings(local=tmp_path / "data", redis_url=options[3], kafka_connection_string=away[1])
        body = feed.requests[0].body
        snapshot = RESERVE.examine(body).snapshot
        assert snapshot is not None
        with open_parts(settings, RESERVE) as parts:
            parts.outbox.mark(snapshot, replace(Body.of().response, body=body))
            assert main(["collect", *options, *away]) == 0
            assert len(parts.outbox.marks()) == 1

    def test_without_kafka_nothing_is_marked(self, options: list[str], tmp_path: Path) -> None:
        """A run that announces nothing leaves no marks."""
        assert main(["collect", *options]) == 0
        assert not (tmp_path / "data" / "unannounced").exists()
