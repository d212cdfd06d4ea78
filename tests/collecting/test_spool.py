"""What the archive does not take waits in the spool: nothing is lost, and a later run stores it as of its own fetch."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from prefect_aws.credentials import _get_client_cached

import miso_archive.collecting.outbox
from miso_archive.cli.app import main
from miso_archive.collecting import embedded_valkey, plain, spool
from miso_archive.collecting import fetch as fetching
from miso_archive.collecting import parts as parts_of_a_run
from miso_archive.collecting.announce import Announcer
from miso_archive.collecting.registry import Registry
from miso_archive.collecting.spool import Spool, SpoolError
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError, RetryPolicy
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.simulate import Reply
from miso_archive.store.layout import snapshot_key
from miso_archive.store.response import Response
from tests.forked import exit_code
from tests.services.kafka import read_messages
from tests.services.proxy import FaultProxy
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis as redis_client

    from miso_archive.collecting.announcement import Announcement
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

SEED: Final = 307
FIRST: Final = datetime(2001, 1, 2, 12, 10, 44, 123456, tzinfo=UTC)
REFUSED: Final = b'{"error":"no data"}'
DENIED: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Turned:
    """The clock of a run, turned by hand; waiting takes no time."""

    at = FIRST

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        _Turned.at += timedelta(seconds=seconds)


class Site:
    """A collector with a bucket behind a proxy, its spool, and the time at which it fetches."""

    def __init__(
        self, feed: SimulatedFeed, bucket: Bucket, proxy: FaultProxy, options: list[str], folder: Path
    ) -> None:
        self.feed, self.bucket, self.proxy, self.options, self.folder = feed, bucket, proxy, options, folder

    def collect(self, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
        """Run the command line once; return its result."""
        capsys.readouterr()
        code = main([*self.options, *options])
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert code == (1 if result["failed"] else 0)
        return result

    def waiting(self) -> list[Path]:
        """The files in the spool, oldest first."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def provenance(self, key: str) -> str:
        """When an object was fetched, as its metadata says."""
        return self.bucket.metadata(key)["fetched-at"]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the time at which bodies are fetched."""
    monkeypatch.setattr(parts_of_a_run, "SystemClock", _Turned)
    monkeypatch.setattr(_Turned, "at", FIRST)
    return lambda time: setattr(_Turned, "at", time)


@pytest.fixture
def site(  # noqa: PLR0913, PLR0917 - the parts of the whole
    feed: SimulatedFeed,
    services: Services,
    bucket: Bucket,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A collector whose S3 can be taken away, and which tries twice."""
    monkeypatch.setattr(plain, "ARCHIVE_RETRIES", RetryPolicy(2, 0.0, 0.0, 60.0))
    host, port = services.s3.url.removeprefix("http://").split(":")
    with FaultProxy(host, int(port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        _get_client_cached.cache_clear()  # prefect-aws keeps clients by their credentials alone
        options = ["collect", "--s3-bucket", bucket.name, "--redis-url", redis_url, "--api-url", feed.url]
        yield Site(feed, bucket, proxy, [*options, "--spool", str(tmp_path / "spool")], tmp_path / "spool")
    _get_client_cached.cache_clear()


class TestThroughTheCommandLine:
    @ON_REAL_SERVERS
    def test_two_hours_without_s3_lose_nothing(
        self,
        site: Site,
        at: Callable[[datetime], None],
        kafka_topic: str,
        redis: redis_client.Redis,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Every interval of two hours without S3 is archived by the next run, once, as fetched, and made known."""
        site.proxy.mode = "refuse"
        kafka = ("--kafka-connection-string", kafka_topic)
        fetched: dict[str, str] = {}
        for number in range(25):
            at(FIRST + number * timedelta(minutes=5, microseconds=1))
            if number == 24:
                site.proxy.mode = "pass"
            result = site.collect(capsys, *kafka)
            key = snapshot_key(RESERVE, site.feed.interval_end)
            fetched[key] = f"{_Turned.at:%Y-%m-%dT%H:%M:%SZ}"
            if number < 24:
                (error,) = result["errors"]
                assert error["code"] == "archive_unavailable"
                assert f"kept in {site.waiting()[-1]} until a run reaches the archive" in error["message"]
                assert (result["failed"], result["collected"], len(site.waiting())) == (1, 0, number + 1)
            site.feed.advance()
        assert result["objects"] == list(fetched)
        assert (result["total_candidates"], result["collected"], result["failed"]) == (1, 1, 0)
        assert {key: site.provenance(key) for key in site.bucket.keys("sourcing/")} == fetched
        bodies = [gzip.decompress(site.bucket.body(key)) for key in fetched]
        assert bodies == [request.body for request in site.feed.requests]
        assert site.waiting() == []
        assert site.bucket.keys("unannounced/") == []
        assert {json.loads(str(redis.get(name)))["key"] for name in redis.scan_iter()} == set(fetched)
        broker, topic = kafka_topic.split("/")
        messages = [json.loads(message.value() or b"") for message in read_messages(broker, topic, expected=25)]
        assert sorted((message["key"], message["fetched_at"]) for message in messages) == sorted(fetched.items())

    def test_a_refused_body_goes_to_quarantine_under_its_own_day(
        self, site: Site, at: Callable[[datetime], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A refused body that could not be quarantined is, the day after, with its reasons, as of its own fetch."""
        site.proxy.mode = "refuse"
        site.feed.script(Reply(body=REFUSED))
        result = site.collect(capsys)
        assert [error["code"] for error in result["errors"]] == ["error_payload", "archive_unavailable"]
        assert f"kept in {site.waiting()[0]}" in result["errors"][1]["message"]
        site.proxy.mode = "pass"
        at(FIRST + timedelta(days=1))
        assert site.collect(capsys)["failed"] == 0
        stem = f"quarantine/{RESERVE.dataset}/2001-01-02/refused_{hashlib.sha256(REFUSED).hexdigest()}"
        assert site.bucket.keys("quarantine/") == [f"{stem}.body.gz", f"{stem}.reasons.json"]
        reasons = json.loads(site.bucket.body(f"{stem}.reasons.json"))
        assert (reasons["fetched-at"], reasons["reasons"][0]["code"]) == ("2001-01-02T12:10:44Z", "error_payload")
        assert site.waiting() == []

    @pytest.mark.usefixtures("fast_retries")
    def test_a_body_whose_encoding_cannot_be_undone_goes_there_too(
        self, site: Site, at: Callable[[datetime], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its bytes wait as they came, and go to quarantine with their encoding, as of their own fetch."""
        body = b"{\xff\n\x00"
        site.proxy.mode = "refuse"
        site.feed.script(*[Reply(body=body, headers={"Content-Encoding": "br"})] * 5)
        result = site.collect(capsys)
        assert [error["code"] for error in result["errors"]] == ["feed_encoding", "archive_unavailable"]
        assert len(site.waiting()) == 1
        site.proxy.mode = "pass"
        fetched = f"{_Turned.at:%Y-%m-%dT%H:%M:%SZ}"
        at(FIRST + timedelta(days=1))
        assert site.collect(capsys)["failed"] == 0
        stem = f"quarantine/{RESERVE.dataset}/2001-01-02/refused_{hashlib.sha256(body).hexdigest()}"
        assert site.bucket.keys("quarantine/") == [f"{stem}.body.gz", f"{stem}.reasons.json"]
        assert gzip.decompress(site.bucket.body(f"{stem}.body.gz")) == body
        reasons = json.loads(site.bucket.body(f"{stem}.reasons.json"))
        assert (reasons["fetched-at"], reasons["content-encoding"]) == (fetched, "br")
        assert [reason["code"] for reason in reasons["reasons"]] == ["unreadable_encoding"]
        assert site.waiting() == []

    @pytest.mark.parametrize("trouble", ["denied", "away"])
    def test_whatever_the_archive_says_no_with(
        self, site: Site, trouble: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A body is kept when S3 refuses, as with a key that has expired, and when it does not answer at all.

        It takes no Redis that remembers to let it go.
        """
        monkeypatch.setattr(Registry, "holds", lambda *_: False)
        site.proxy.mode, site.proxy.answer = ("answer", DENIED) if trouble == "denied" else ("refuse", b"")
        (error,) = site.collect(capsys)["errors"]
        assert error["code"] == ("archive_refused" if trouble == "denied" else "archive_unavailable")
        assert len(site.waiting()) == 1
        site.proxy.mode = "pass"
        result = site.collect(capsys)
        assert (len(result["objects"]), result["skipped_duplicate"], site.waiting()) == (1, 1, [])

    def test_an_s3_that_sends_every_request_on_is_told_before_the_feed_is_asked(
        self, site: Site, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An endpoint that answers all with a redirect ends the run in one sentence, and nothing is fetched."""
        site.proxy.mode, site.proxy.answer = "answer", DENIED.replace(b"403 Forbidden", b"301 Moved Permanently")
        (error,) = site.collect(capsys)["errors"]
        assert error["code"] == "archive_refused"
        assert "the server sends every request on to another region" in error["message"]
        assert site.feed.hits == 0

    def test_a_body_that_every_poll_finds_waits_once(
        self,
        site: Site,
        at: Callable[[datetime], None],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """A body fetched again while S3 is away is kept once; fetched a third time, it is archived as of its first."""
        fetch = fetching.fetch
        site.proxy.mode = "refuse"
        site.collect(capsys)
        at(FIRST + timedelta(minutes=1))
        site.collect(capsys)
        assert len(site.waiting()) == 1

        def fetch_as_s3_comes_back(*arguments: Any, **named: Any) -> Response:  # noqa: ANN401 - as the original
            site.proxy.mode = "pass"
            return fetch(*arguments, **named)

        monkeypatch.setattr(fetching, "fetch", fetch_as_s3_comes_back)
        at(FIRST + timedelta(minutes=2))
        assert site.collect(capsys)["collected"] == 1
        (key,) = site.bucket.keys("sourcing/")
        assert (site.provenance(key), site.waiting()) == ("2001-01-02T12:10:44Z", [])

    def test_a_later_poll_stores_what_an_earlier_one_could_not(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """When S3 comes back within a run, the run itself stores what its earlier poll had to spool."""
        monkeypatch.setattr(plain, "ARCHIVE_RETRIES", RetryPolicy(1, 0.0, 0.0, 0.0))
        site.proxy.mode = "refuse"
        keep = Spool.keep

        def keep_and_come_back(self: Spool, response: Response) -> Path:
            kept = keep(self, response)
            site.proxy.mode = "pass"
            site.feed.advance()
            return kept

        monkeypatch.setattr(Spool, "keep", keep_and_come_back)
        monkeypatch.setattr(parts_of_a_run, "SystemClock", _Turned)
        monkeypatch.setattr(_Turned, "at", FIRST)
        result = site.collect(capsys, "--polls", "2")
        assert (result["total_candidates"], result["failed"], result["collected"]) == (2, 1, 1)
        assert sorted(result["objects"]) == site.bucket.keys("sourcing/")
        assert (len(result["objects"]), site.waiting()) == (2, [])

    def test_what_is_stored_and_still_waits_is_let_go(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """A file that a run stored, announced and could not remove goes with the next run, and stores nothing."""
        site.proxy.mode = "refuse"
        site.collect(capsys)
        (waiting,) = site.waiting()
        kept = waiting.read_bytes()
        site.proxy.mode = "pass"
        assert len(site.collect(capsys)["objects"]) == 1
        waiting.write_bytes(kept)
        assert site.collect(capsys)["objects"] == []
        assert site.waiting() == []

    @pytest.mark.parametrize(("transient", "tries"), [(True, 1), (False, 3)])
    def test_an_archive_that_goes_away_is_tried_once(
        self,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        *,
        transient: bool,
        tries: int,
    ) -> None:
        """Of three that wait one is tried where S3 does not answer, each where it refuses; the first reason is told."""
        site.proxy.mode = "refuse"
        for _ in range(3):
            site.collect(capsys)
            site.feed.advance()
        waiting = site.waiting()
        site.proxy.mode = "pass"
        tried: list[str] = []

        def fails(_archive: object, _dataset: object, snapshot: Snapshot, *_: object) -> None:
            tried.append(snapshot.ref_id)
            raise CollectionError(FailureCode.ARCHIVE_UNAVAILABLE, f"try {len(tried)}", transient=transient)

        monkeypatch.setattr(plain, "ARCHIVE_RETRIES", RetryPolicy(1, 0.0, 0.0, 0.0))
        monkeypatch.setattr(parts_of_a_run, "store_snapshot", fails)
        capsys.readouterr()
        assert main(site.options) == 1
        assert len(tried) == tries + 1  # and that of the run's own poll
        assert site.waiting()[:3] == waiting
        assert "archive_unavailable: try 1; kept in " in capsys.readouterr().err

    @ON_REAL_SERVERS
    def test_a_kafka_that_fails_is_tried_once_for_all_that_waited(
        self, site: Site, kafka_topic: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All that waited is archived; Kafka is tried once for it, and the next run announces each."""
        site.proxy.mode = "refuse"
        kafka = ("--kafka-connection-string", kafka_topic)
        for _ in range(3):
            site.collect(capsys, *kafka)
            site.feed.advance()
        site.proxy.mode = "pass"
        tried: list[str] = []

        def fails(self: Announcer, announcement: Announcement) -> None:
            tried.append(announcement.key)
            self.trouble = CollectionError(FailureCode.KAFKA_UNDELIVERED, "nobody confirms")
            raise self.trouble

        with monkeypatch.context() as failing:
            failing.setattr(Announcer, "announce", fails)
            assert len(site.collect(capsys, *kafka)["objects"]) == 4
        assert len(tried) == 2  # the first that waited, and the run's own
        assert site.collect(capsys, *kafka)["failed"] == 0
        broker, topic = kafka_topic.split("/")
        messages = [json.loads(message.value() or b"")["key"] for message in read_messages(broker, topic, expected=4)]
        assert sorted(set(messages)) == site.bucket.keys("sourcing/")
        assert site.bucket.keys("unannounced/") == []

    def test_each_archive_and_environment_has_its_own(
        self, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What waits for one archive and environment goes to no other."""
        site.proxy.mode = "refuse"
        site.collect(capsys)
        site.proxy.mode = "pass"
        site.feed.advance()
        site.collect(capsys, "--environment", "prod")
        assert main(["collect", "--local", str(tmp_path / "data"), *site.options[3:]]) == 0
        assert (len(site.waiting()), len(site.bucket.keys("sourcing/"))) == (1, 1)
        assert len(list((tmp_path / "data").rglob("*.json.gz"))) == 1

    def test_a_damaged_or_foreign_file_stops_nothing(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """A file that is damaged, or of another kind, is named once a run and left; what is whole is stored."""
        site.proxy.mode = "refuse"
        for _ in range(2):
            site.collect(capsys)
            site.feed.advance()
        damaged, whole = site.waiting()
        damaged.write_bytes(damaged.read_bytes().replace(b'"fetched_at":"2', b'"fetched_at":"1'))
        foreign = whole.with_name("notes.txt")
        foreign.write_text("mine")
        timeless = foreign.with_name(f"00000000{whole.name[8:]}")
        timeless.write_text("mine too")
        whole.with_name(f"19990101{whole.name[8:]}").mkdir()
        site.proxy.mode = "pass"
        capsys.readouterr()
        assert main(site.options) == 0
        told = capsys.readouterr()
        assert len(json.loads(told.out)["objects"]) == 2
        assert site.waiting() == [timeless, damaged, foreign]
        for path in (timeless, foreign):
            assert told.err.count(f"{path} is no body that waits") == 1
        assert told.err.count(f"{damaged} is damaged") == 1
        main(["status", *site.options[1:5], "--spool", str(site.folder)])
        assert "in the spool       1, oldest 20" in capsys.readouterr().out

    @pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=1)])
    def test_a_damaged_file_does_not_count_as_kept(
        self, site: Site, at: Callable[[datetime], None], later: timedelta, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A body whose file is damaged is kept anew when it is fetched again, also by a retry of the same fetch."""
        site.proxy.mode = "refuse"
        site.collect(capsys)
        (damaged,) = site.waiting()
        damaged.write_bytes(damaged.read_bytes()[:-10])
        at(FIRST + later)
        (error,) = site.collect(capsys)["errors"]
        kept = site.waiting()[-1]
        assert f"kept in {kept}" in error["message"]
        site.proxy.mode = "pass"
        site.feed.advance()
        assert len(site.collect(capsys)["objects"]) == 2
        assert site.waiting() == ([damaged] if later else [])

    def test_a_full_spool_says_so_and_gives_up_nothing(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With no room left the error says that the body is lost, and why; what waits goes on waiting."""
        site.proxy.mode = "refuse"
        site.collect(capsys)
        (waiting,) = site.waiting()
        monkeypatch.setattr(spool, "MOST_SPOOLED_BYTES", waiting.stat().st_size + 10)
        site.feed.advance()
        (error,) = site.collect(capsys)["errors"]
        assert f"the body is lost with this run: the spool {site.folder} is full" in error["message"]
        assert site.waiting() == [waiting]

    def test_a_spool_that_cannot_be_written_is_told(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """A spool below a file ends the run with the archive's own code, and says that the body is lost."""
        site.proxy.mode = "refuse"
        site.folder.write_text("in the way")
        (error,) = site.collect(capsys)["errors"]
        assert error["code"] == "archive_unavailable"
        assert f"the body is lost with this run: the spool {site.folder} cannot be written: " in error["message"]

    def test_status_does_not_know_what_it_cannot_look_at(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """A spool that cannot be read is unknown on the screen, not empty."""
        site.folder.write_text("in the way")
        main(["status", *site.options[1:5], "--spool", str(site.folder)])
        assert "in the spool       unknown\n" in capsys.readouterr().out

    def test_status_counts_what_waits_without_the_archive(
        self, site: Site, at: Callable[[datetime], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The screen tells how many of an environment's bodies wait, and since when (EST), while S3 is away."""
        environment = ("--environment", "staging")
        screen = ["status", *site.options[1:5], "--spool", str(site.folder), *environment]
        main(screen)
        assert "in the spool       0\n" in capsys.readouterr().out
        site.proxy.mode = "refuse"
        for number in range(2):
            at(FIRST + timedelta(minutes=number))
            site.collect(capsys, *environment)
            site.feed.advance()
        main(screen)
        assert "in the spool       2, oldest 2001-01-02 07:10 EST\n" in capsys.readouterr().out
        main([*screen, "--json"])
        facts = json.loads(capsys.readouterr().out)
        assert facts["spooled"] == 2
        assert datetime.fromisoformat(facts["spooled_since"]) == FIRST


@pytest.mark.parametrize("spool_has_room", [True, False])
def test_a_full_disk_of_an_archive_with_its_own_valkey(
    feed: SimulatedFeed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    spool_has_room: bool,
) -> None:
    """With no room for the embedded Valkey either the body waits in the spool, and is stored when there is room.

    Where the spool has none, nothing is asked: the body could not be kept.
    """
    options = ["collect", "--local", str(tmp_path / "data"), "--api-url", feed.url, "--spool", str(tmp_path / "spool")]
    start = embedded_valkey._start  # noqa: SLF001 - the disk, as the server meets it

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        has_room = tmp_path / "spool" / ".valkey" if spool_has_room else None
        patched.setattr(embedded_valkey, "_start", lambda folder: (start if folder == has_room else full)(folder))
        patched.setattr("miso_archive.store.folder.publish", full)
        assert main(options) == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    if not spool_has_room:
        assert (error["code"], feed.hits) == ("valkey_not_started", 0)
        assert "No space left on device" in error["message"]
        return
    assert error["code"] == "archive_refused"
    (waiting,) = (tmp_path / "spool").rglob("*.body")
    assert f"kept in {waiting}" in error["message"]
    feed.advance()
    assert main(options) == 0
    assert len(json.loads(capsys.readouterr().out)["objects"]) == 2
    assert not waiting.exists()


def _die(_self: object, *_arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def collect_and_die(owner: str, step: str, options: list[str]) -> None:
    """Run the command line, and die as by kill -9 where the step would begin."""
    outbox = miso_archive.collecting.outbox.Outbox
    places = {"spool": Spool, "outbox": outbox, "registry": Registry, "archive": parts_of_a_run}
    setattr(places[owner], step, _die)
    main(options)


@ON_REAL_SERVERS
@pytest.mark.parametrize(
    ("owner", "step"),
    [("archive", "store_snapshot"), ("spool", "remove"), ("outbox", "unmark"), ("registry", "register")],
)
def test_killed_while_it_stores_what_was_spooled(  # noqa: PLR0913, PLR0917 - the parts of the whole
    site: Site,
    owner: str,
    step: str,
    kafka_topic: str,
    redis: redis_client.Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed before the put, the removal, the end of its mark or the registration: archived once, announced."""
    options = [*site.options, "--kafka-connection-string", kafka_topic]
    site.proxy.mode = "refuse"
    site.collect(capsys)
    site.proxy.mode = "pass"
    site.feed.advance()
    assert exit_code(collect_and_die, owner, step, options) == -signal.SIGKILL
    assert main(options) == 0
    assert len(site.bucket.keys("sourcing/")) == 2
    assert (site.waiting(), site.bucket.keys("unannounced/")) == ([], [])
    broker, topic = kafka_topic.split("/")
    messages = [json.loads(message.value() or b"")["key"] for message in read_messages(broker, topic, expected=2)]
    assert set(messages) == set(site.bucket.keys("sourcing/"))
    assert redis.keys()


class TestSpool:
    RESPONSE: Final = Response(b"\x00\n\xff", FIRST, "http://feed.test/\n", "text/plain")

    @pytest.fixture
    def kept(self, tmp_path: Path) -> Spool:
        """A spool in a folder that is not there yet."""
        return Spool(tmp_path / "new" / "spool", "s3://a/b at http://c", RESERVE, "dev")

    def test_a_body_comes_back_as_it_was_fetched(self, kept: Spool) -> None:
        """Whatever bytes a body has, it comes back with its fetch, to the microsecond."""
        assert kept.read(kept.keep(self.RESPONSE)) == self.RESPONSE

    def test_oldest_first(self, kept: Spool) -> None:
        """Bodies come in the order of their fetches."""
        later = replace(self.RESPONSE, body=b"later", fetched_at=FIRST + timedelta(microseconds=1))
        paths = [kept.keep(later), kept.keep(self.RESPONSE)]
        assert kept.waiting() == paths[::-1]
        assert kept.oldest() == FIRST

    def test_a_folder_names_what_it_waits_for(self, kept: Spool) -> None:
        """A person sees dataset, environment and archive in the folder's name."""
        assert kept.folder is not None
        assert kept.folder.name.startswith(f"{RESERVE.dataset}_dev_s3_a_b_at_http_c_")
        alike = Spool(kept.folder.parent, "s3://a_b at http://c", RESERVE, "dev")
        assert alike.folder != kept.folder

    def test_the_default_is_below_the_users_state(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """XDG_STATE_HOME when it is a whole path, else ~/.local/state."""
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("XDG_STATE_HOME", "/state")
        assert spool.default_folder() == Path("/state/miso-reserve/spool")
        for unusable in ("", "state"):
            monkeypatch.setenv("XDG_STATE_HOME", unusable)
            assert spool.default_folder() == Path("/home/me/.local/state/miso-reserve/spool")

        monkeypatch.setenv("XDG_STATE_HOME", "/state\r\n")
        assert spool.default_folder() == Path("/state/miso-reserve/spool")

    def test_a_link_to_what_is_not_there_yet_is_followed(self, tmp_path: Path) -> None:
        """Where the spool is a link whose end is still to be made, the body is kept there."""
        (tmp_path / "link").symlink_to(tmp_path / "later")
        linked = Spool(tmp_path / "link", "s3://a", RESERVE, "dev")
        assert linked.read(linked.keep(self.RESPONSE)) == self.RESPONSE
        assert (tmp_path / "later").is_dir()

    def test_a_user_without_a_home_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a home and without --spool, nothing waits, and keeping says what to set."""
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)  # nobody's
        homeless = Spool(None, "s3://a", RESERVE, "dev")
        assert homeless.waiting() == []
        with pytest.raises(SpoolError, match="set --spool"):
            homeless.keep(self.RESPONSE)

    def test_what_another_run_stores_meanwhile_loses_nothing(
        self, kept: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A file that goes while the folder is looked through is no reason not to keep a body, and nobody's mistake."""
        going = kept.keep(self.RESPONSE)
        lstat = Path.lstat

        def stored_meanwhile(path: Path) -> os.stat_result:
            going.unlink(missing_ok=True)
            return lstat(path)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "lstat", stored_meanwhile)
            later = kept.keep(replace(self.RESPONSE, body=b"later"))
        assert not going.exists()
        monkeypatch.setattr(Path, "iterdir", lambda _: iter([going, later]))
        assert kept.waiting() == [later]
        assert caplog.text == ""

    def test_the_time_is_told_in_est(self, kept: Spool) -> None:
        """A fetch after midnight UTC belongs to the EST day before."""
        kept.keep(replace(self.RESPONSE, fetched_at=datetime(2001, 1, 3, 4, 59, tzinfo=UTC)))
        assert kept.oldest() == datetime(2001, 1, 2, 23, 59, tzinfo=EST)
