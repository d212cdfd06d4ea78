"""Daily feeds through the command line: pages, a key, what MISO answers instead, and what a run takes up."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from redis import Redis

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.collecting.keyed import GAP
from miso_archive.collecting.pace import SystemClock
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.keyed import page_body
from tests.collecting.recorded_host import as_json
from tests.feeds.pages import ASM, LMP, page, price
from tests.services.kafka import read_messages
from tests.services.process import free_port
from tests.services.real import ON_REAL_SERVERS
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Bucket

pytestmark = pytest.mark.slow("starts a Valkey for each run")

KEY: Final = "an0ther-s3cret-of-thirty-two-signs"
SEED: Final = 11
DAY: Final = date(2001, 1, 3)
STEM: Final = "sourcing/miso_da_exante_asm_mcp/2001-01-03/da_exante_asm_mcp_20010103"
PAGES: Final = [f"{STEM}.json.gz", f"{STEM}.p2.json.gz", f"{STEM}.p3.json.gz"]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedFeed]:
    """MISO's keyed API on loopback, three days in, with pages of 500 rows."""
    with SimulatedFeed(seed=SEED, key=KEY, ahead=timedelta(days=3)) as serving:
        monkeypatch.setenv("MISO_KEYED_API_BASE", serving.keyed_base_url)
        monkeypatch.setenv("MISO_API_KEY", KEY)
        yield serving


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that runs wait, which pass at once."""
    waited: list[float] = []
    now = SystemClock.now

    def sleep(_clock: SystemClock, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    monkeypatch.setattr(SystemClock, "now", lambda clock: now(clock) + timedelta(seconds=sum(waited)))
    return waited


def collected(
    folder: Path, capsys: pytest.CaptureFixture[str], *words: str, feed: str = ASM.name, code: int = 0
) -> dict[str, Any]:
    """Collect a market day into a folder, and return the result."""
    assert main(["collect", "--feed", feed, "--local", str(folder), "--market-day", str(DAY), *words]) == code
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    return result


def asked(host: SimulatedFeed) -> list[tuple[str, int]]:
    """Return what was asked of the ancillary prices, by page, and the answers."""
    requests = host.requests_for(ASM)
    assert all(request.address.startswith(f"/pricing/v1/day-ahead/{DAY}/asm-exante?") for request in requests)
    return [(request.address.partition("?")[2], request.status) for request in requests]


def codes(result: dict[str, Any]) -> list[str]:
    """Return the codes of a result's errors."""
    return [error["code"] for error in result["errors"]]


def rows_of(folder: Path, feed: str = ASM.name) -> int:
    """Return how many rows an archive has of a feed."""
    return len(mr.scan(folder, feed).collect())


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    """Return a result's counts: pages asked for, stored, known, failed, days not published."""
    names = ("total_candidates", "collected", "skipped_duplicate", "failed", "not_published")
    return tuple(result[name] for name in names)


def no_page(number: int) -> Reply:
    """A page without `lastPage`."""
    body = json.loads(page_body(ASM, DAY, page=number, seed=SEED) or b"")
    del body["page"]["lastPage"]
    return Reply(body=json.dumps(body).encode())


@pytest.mark.usefixtures("waits")
class TestADay:
    def test_each_page_is_archived_as_it_came(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Three pages are three objects, byte for byte, with where each is from; together they are the day."""
        result = collected(tmp_path, capsys)
        assert counts(result) == (3, 3, 0, 0, 0)
        assert result["objects"] == PAGES
        for number, key in enumerate(PAGES, 1):
            assert gzip.decompress((tmp_path / key).read_bytes()) == page_body(ASM, DAY, page=number, seed=SEED)
            path = tmp_path / key.replace("sourcing", "provenance").replace(".json.gz", ".json")
            said = json.loads(path.read_text())
            assert said["source-url"].endswith(f"/day-ahead/2001-01-03/asm-exante?pageNumber={number}")
            assert said["ref-id"] == ("2001-01-03" if number == 1 else f"2001-01-03, page {number}")
        assert rows_of(tmp_path) == 1152
        assert [request.headers.get("Ocp-Apim-Subscription-Key") for request in host.requests_for(ASM)] == [KEY] * 3

    def test_a_day_that_is_there_is_asked_for_anew(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What has not changed is not stored again; a page that has is stored beside the one before, and counts."""
        collected(tmp_path, capsys)
        assert counts(collected(tmp_path, capsys)) == (3, 0, 3, 0, 0)
        host.revise(ASM)
        revised = collected(tmp_path, capsys)
        assert counts(revised) == (3, 3, 0, 0, 0)
        assert not {*revised["objects"]} & {*PAGES}
        rows = mr.scan(tmp_path, ASM.name).collect()
        assert len(rows) == 1152
        assert set(rows["revision"]) == {1}
        assert len(mr.scan(tmp_path, ASM.name, latest_only=False).collect()) == 2 * 1152

    def test_the_newest_day_is_asked_for_unless_another_is_named(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At 07:05 EST the day-ahead prices of that day are the newest, and of real time those of the day before."""
        now = host.interval_end
        monkeypatch.setattr(SystemClock, "now", lambda _clock: now)
        for feed, day in ((ASM, now.date()), (LMP, now.date() - timedelta(days=1))):
            assert main(["collect", "--feed", feed.name, "--local", str(tmp_path)]) == 0
            assert {str(day) in key for key in json.loads(capsys.readouterr().out)["objects"]} == {True}

    def test_hubs_are_asked_for_one_by_one(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of past prices each hub is a request, and so is each node that is named instead."""
        assert counts(collected(tmp_path, capsys, feed=LMP.name)) == (8, 8, 0, 0, 0)
        assert rows_of(tmp_path, LMP.name) == 8 * 288
        named = collected(tmp_path, capsys, "--node", "SWPP", "--node", "NO.SUCH", feed=LMP.name)
        assert counts(named) == (2, 1, 0, 0, 1)
        assert [key.rpartition("_")[2] for key in named["objects"]] == ["SWPP.json.gz"]
        assert {request.address.partition("?")[2] for request in host.requests_for(LMP)} >= {
            "pageNumber=1&node=MINN.HUB",
            "pageNumber=1&node=SWPP",
        }

    def test_two_daily_feeds_and_a_live_one_are_collected_together(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One process collects all of them; of the keyed API it has no two requests at a time."""
        host.script(*[Reply(delay=0.1)] * 3, feed=ASM)
        host.script(*[Reply(delay=0.1)] * 8, feed=LMP)
        words = ["--feed", f"{ASM.name},{LMP.name},fuel_mix", "--api-base", host.base_url, "--market-day", str(DAY)]
        assert main(["collect", "--local", str(tmp_path), *words]) == 0
        result = json.loads(capsys.readouterr().out)
        assert {name: one["collected"] for name, one in result["feeds"].items()} == {
            "fuel_mix": 1,
            ASM.name: 3,
            LMP.name: 8,
        }
        taken = sorted(request.at for feed in (ASM, LMP) for request in host.requests_for(feed))
        assert min(later - earlier for earlier, later in pairwise(taken)) > 0.1


class TestTrouble:
    def test_a_failing_host_and_a_kill_cost_no_request_too_many(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], waits: list[float]
    ) -> None:
        """After a 500, a 429 and a kill between two pages the next run takes the day up where it stopped."""
        host.script(Reply(500), Reply(), Reply(429, headers={"Retry-After": "7"}), Reply(), Reply(delay=60), feed=ASM)
        environ = os.environ | {"MISO_API_KEY": KEY, "MISO_KEYED_API_BASE": host.keyed_base_url}
        words = ["collect", "--feed", ASM.name, "--local", str(tmp_path), "--market-day", str(DAY)]
        program = (
            "import sys; from miso_archive.collecting.pace import SystemClock as C; C.sleep = print; "
            "from miso_archive.cli.app import main; sys.exit(main())"
        )
        with subprocess.Popen([sys.executable, "-c", program, *words], env=environ, stdout=subprocess.PIPE) as killed:
            assert until(lambda: len(host.requests_for(ASM)) == 5)
            assert (tmp_path / PAGES[1]).exists()
            killed.send_signal(signal.SIGKILL)
        assert rows_of(tmp_path) == 0
        assert mr.coverage(tmp_path, feed=ASM.name)["pages"].to_list() == [2]
        result = collected(tmp_path, capsys)
        assert counts(result) == (1, 1, 0, 0, 0)
        assert result["objects"] == [PAGES[2]]
        numbers = [("pageNumber=1", 500), ("pageNumber=1", 200), ("pageNumber=2", 429), ("pageNumber=2", 200)]
        assert asked(host) == [*numbers, ("pageNumber=3", 200), ("pageNumber=3", 200)]
        assert rows_of(tmp_path) == 1152
        assert waits == []

    def test_the_host_s_own_wait_is_kept(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], waits: list[float]
    ) -> None:
        """429 with Retry-After is tried again no sooner; and any two requests are as far apart as MISO asks."""
        host.script(Reply(429, headers={"Retry-After": "77"}), feed=ASM)
        assert counts(collected(tmp_path, capsys)) == (3, 3, 0, 0, 0)
        assert max(waits) == 77
        assert all(0 < seconds <= GAP for seconds in waits if seconds != 77)
        assert len(waits) == 3

    def test_a_host_that_fails_on_is_told(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], waits: list[float]
    ) -> None:
        """A page that is never answered fails the run after seven tries, and what came before it stands."""
        host.script(Reply(), *[Reply(503)] * 7, feed=ASM)
        result = collected(tmp_path, capsys, code=1)
        assert (counts(result), codes(result)) == ((2, 1, 0, 1, 0), ["feed_unavailable"])
        assert len(asked(host)) == 8
        assert sum(waits) > 60

    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            (Reply(401), "api_key_refused"),
            (Reply(403), "api_quota"),
            (Reply(400), "feed_status"),
            (Reply(302, headers={"Location": "/pricing/v1/elsewhere"}), "feed_redirect"),
            (Reply(301, headers={"Location": "http://127.0.0.1:9/"}), "feed_redirect"),
        ],
    )
    @pytest.mark.usefixtures("waits")
    def test_what_trying_again_cannot_mend_is_told_at_once(
        self, host: SimulatedFeed, reply: Reply, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A key that is refused, a quota that is used up, a redirect: one request, one reason, exit code 1."""
        host.script(reply, feed=ASM)
        result = collected(tmp_path, capsys, code=1)
        assert (counts(result), codes(result)) == ((1, 0, 0, 1, 0), [code])
        assert len(asked(host)) == 1

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.usefixtures("waits")
    def test_what_all_hubs_would_be_answered_is_asked_once(
        self, host: SimulatedFeed, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Where the key is refused or its calls are used up the other hubs are left to a later run."""
        host.script(Reply(), Reply(status), feed=LMP)
        assert counts(collected(tmp_path, capsys, feed=LMP.name, code=1)) == (2, 1, 0, 1, 0)
        assert counts(collected(tmp_path, capsys, feed=LMP.name)) == (8, 7, 1, 0, 0)

    @pytest.mark.usefixtures("waits")
    def test_one_hub_that_fails_holds_none_of_the_others(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A refused page of one node is told, and the other nodes are collected."""
        host.script(Reply(body=b"<html>"), feed=LMP)
        result = collected(tmp_path, capsys, feed=LMP.name, code=1)
        assert (counts(result), codes(result)) == ((8, 7, 0, 1, 0), ["html_page"])

    @pytest.mark.usefixtures("waits")
    def test_a_day_that_is_not_out_is_no_failure(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """404 says that nothing is published: exit code 0, and nothing is kept."""
        host.script(Reply(404, b'{"status":404,"reason":"Empty data returned for date"}'), feed=ASM)
        assert counts(collected(tmp_path, capsys)) == (1, 0, 0, 0, 1)
        assert not (tmp_path / "quarantine").exists()

    @pytest.mark.usefixtures("waits")
    def test_an_address_with_nothing_of_a_day_long_out_is_doubted(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A 404 for a day that should be out for a week is a warning to check the address."""
        host.script(Reply(404), feed=ASM)
        assert main(["collect", "--feed", ASM.name, "--local", str(tmp_path), "--market-day", str(DAY)]) == 0
        assert "long since due: check --keyed-api-base" in capsys.readouterr().err


@pytest.mark.usefixtures("waits")
class TestWrongPages:
    @pytest.mark.parametrize(
        ("replies", "code", "stored"),
        [
            ([no_page(1)], "missing_field", 0),
            ([Reply(), Reply(body=page_body(ASM, DAY, page=1, seed=SEED))], "wrong_page", 1),
            ([Reply(body=page_body(ASM, DAY, page=2, seed=SEED))], "wrong_page", 0),
            ([Reply(body=page_body(ASM, DAY + timedelta(days=1), seed=SEED))], "wrong_page", 0),
            ([Reply(body=page([]))], "too_few_rows", 0),
            ([Reply(body=page([price(day=DAY)], last=False, total=0))], "wrong_page", 0),
            ([Reply(body=page([price(day=DAY)], last=False, total=2)), Reply(404)], "pages_unfinished", 1),
            ([Reply(body=b"{}")], "missing_field", 0),
        ],
        ids=["no lastPage", "repeated", "another page", "another day", "empty", "without end", "no next", "nothing"],
    )
    def test_what_is_not_the_page_is_refused_and_kept(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        host: SimulatedFeed,
        replies: list[Reply],
        code: str,
        stored: int,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Each is a failure with its code, and kept where it is a body; the day does not count until a run mends it."""
        host.script(*replies, feed=ASM)
        result = collected(tmp_path, capsys, code=1)
        assert counts(result) == (len(replies), stored, 0, 1, 0)
        assert code in codes(result)
        bodies = [*(tmp_path / "quarantine").rglob("*.body.gz")]
        assert len(bodies) == (0 if code == "pages_unfinished" else 1)
        assert rows_of(tmp_path) == 0
        if code != "pages_unfinished":
            collected(tmp_path, capsys)
            assert rows_of(tmp_path) == 1152

    def test_a_page_that_repeats_under_the_next_number_is_refused(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The same rows under another number are not a page more."""
        first = json.loads(page_body(ASM, DAY, page=1, seed=SEED) or b"")
        first["page"]["pageNumber"] = 2
        host.script(Reply(), Reply(body=json.dumps(first).encode()), feed=ASM)
        result = collected(tmp_path, capsys, code=1)
        assert codes(result) == ["wrong_page"]
        assert "repeats page 1" in result["errors"][0]["message"]

    def test_pages_without_end_end(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A host that never says which page is the last is asked a hundred times, and not for ever."""
        endless = [
            page([price(mcp=number, day=DAY)], number, last=False, also={"totalElements": None})
            for number in range(1, 200)
        ]
        host.script(*(Reply(body=body) for body in endless), feed=ASM)
        result = collected(tmp_path, capsys, code=1)
        assert (counts(result), codes(result)) == ((100, 99, 0, 1, 0), ["wrong_page"])

    def test_totals_that_do_not_agree_are_told_and_asked_for_anew(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A day with fewer rows than its pages say is no day: the next run asks for each page of it."""
        host.script(Reply(body=page([price(day=DAY)], total=3)), feed=ASM)
        result = collected(tmp_path, capsys, code=1)
        assert (counts(result), codes(result)) == ((1, 0, 0, 1, 0), ["pages_unfinished"])
        assert rows_of(tmp_path) == 0
        assert counts(collected(tmp_path, capsys)) == (3, 3, 0, 0, 0)
        assert rows_of(tmp_path) == 1152

    def test_a_price_as_text_and_an_unknown_product_are_archived(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What MISO may change without a word is no reason to refuse a day; coverage tells how many rows it lacks."""
        host.script(Reply(body=page([price(mcp="6.48", product="Flexiramp", day=DAY)])), feed=ASM)
        assert counts(collected(tmp_path, capsys)) == (1, 1, 0, 0, 0)
        (row,) = mr.scan(tmp_path, ASM.name).collect().to_dicts()
        assert (row["product"], row["mcp"], row["hour_ending"]) == ("Flexiramp", 6.48, 1)
        assert mr.coverage(tmp_path, feed=ASM.name).select("collected", "missing").row(0) == (1, 1151)


@pytest.mark.usefixtures("waits")
class TestAround:
    def test_a_day_goes_to_s3_redis_and_kafka(
        self, host: SimulatedFeed, bucket: Bucket, redis_url: str, kafka_topic: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Pages in a bucket read as those in a folder do; each is announced once, with its number, and registered."""
        words = ["--s3-bucket", bucket.name, "--redis-url", redis_url, "--kafka-connection-string", kafka_topic]
        for expected in ((3, 3, 0, 0, 0), (3, 0, 3, 0, 0)):
            assert main(["collect", "--feed", ASM.name, "--market-day", str(DAY), *words]) == 0
            assert counts(json.loads(capsys.readouterr().out)) == expected
        assert bucket.keys("sourcing/") == PAGES
        assert len(mr.scan(f"s3://{bucket.name}", ASM.name).collect()) == 1152
        messages = [as_json(one.value()) for one in read_messages(*kafka_topic.split("/"), expected=3)]
        assert {(message["key"], message["page"]) for message in messages} == {*zip(PAGES, (1, 2, 3), strict=True)}
        rows = {message["page"]: message["rows"] for message in messages}  # of partitions in no order
        assert rows == {1: {"prices": 500}, 2: {"prices": 500}, 3: {"prices": 152}}
        with Redis.from_url(redis_url) as client:
            assert len(client.keys("hash:dev:miso_da_exante_asm_mcp:*")) == 3
        assert len(host.requests_for(ASM)) == 6

    @ON_REAL_SERVERS
    def test_what_kafka_missed_is_announced_by_the_next_run(
        self, host: SimulatedFeed, tmp_path: Path, kafka_topic: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """While Kafka is away a day is stored whole, at the cost of its announcements, which the next run makes."""
        away = ["--kafka-connection-string", f"127.0.0.1:{free_port()}/topic"]
        result = collected(tmp_path, capsys, *away, feed=LMP.name, code=1)
        assert counts(result) == (8, 0, 0, 8, 0)
        assert {*codes(result)} == {"kafka_undelivered"}
        assert rows_of(tmp_path, LMP.name) == 8 * 288
        marks = tmp_path / "unannounced" / LMP.dataset / "dev"
        assert len([*marks.iterdir()]) == 8
        collected(tmp_path, capsys, "--kafka-connection-string", kafka_topic, feed=LMP.name)
        messages = [as_json(one.value()) for one in read_messages(*kafka_topic.split("/"), expected=8)]
        assert {message["node"] for message in messages} == {*(LMP.daily.nodes if LMP.daily else ())}
        assert not [*marks.iterdir()]
        assert len(host.requests_for(LMP)) == 16

    def test_a_page_that_the_archive_does_not_take_waits_in_the_spool(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the folder cannot be written the page waits, the day is left there, and a later run ends it."""
        spool = tmp_path / "spool"
        monkeypatch.setenv("MISO_SPOOL", str(spool))
        folder = tmp_path / "data"
        collected(folder, capsys, feed=LMP.name)
        (folder / "sourcing" / ASM.dataset).write_bytes(b"in the way")
        result = collected(folder, capsys, code=1)
        assert (counts(result), codes(result)) == ((1, 0, 0, 1, 0), ["archive_refused"])
        assert len([*spool.rglob("*.body")]) == 1
        (folder / "sourcing" / ASM.dataset).unlink()
        result = collected(folder, capsys)
        assert counts(result) == (2, 2, 0, 0, 0)
        assert result["objects"] == PAGES
        assert rows_of(folder) == 1152
        assert len(host.requests_for(ASM)) == 3


class TestTheKey:
    @pytest.mark.usefixtures("waits")
    def test_it_stands_nowhere(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither a log at its loudest, nor the result, nor anything in the archive or the spool has the key."""
        monkeypatch.setenv("MISO_SPOOL", str(tmp_path / "spool"))
        host.script(Reply(401), Reply(302, headers={"Location": "/x"}), Reply(body=b"<html>"), Reply(500), feed=ASM)
        said = ""
        for _ in range(4):
            main(
                [
                    "collect",
                    "--feed",
                    ASM.name,
                    "--local",
                    str(tmp_path),
                    "--market-day",
                    str(DAY),
                    "--log-level",
                    "DEBUG",
                ]
            )
            said += "".join(capsys.readouterr())
        assert rows_of(tmp_path) == 1152
        assert KEY not in said
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        bodies = [path.read_bytes() for path in files]
        bodies += [gzip.decompress(body) for body in bodies if body.startswith(b"\x1f\x8b")]
        assert len(files) > 10
        assert not [body for body in bodies if KEY.encode() in body]

    @pytest.mark.usefixtures("host")
    def test_a_day_without_a_key_is_wrong_usage(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a key nothing is asked, and it is said where one belongs."""
        monkeypatch.delenv("MISO_API_KEY")
        assert main(["collect", "--feed", ASM.name, "--local", str(tmp_path / "none")]) == 2
        assert "needs a key: MISO_API_KEY" in capsys.readouterr().err
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("key", ["two words", "k\u00e9y", "a\nb"])
    def test_what_no_header_takes_is_no_key(
        self, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key with a blank or a line break is told before anything is sent, and not repeated."""
        monkeypatch.setenv("MISO_API_KEY", key)
        assert main(["collect", "--feed", ASM.name, "--local", str(tmp_path / "none")]) == 2
        err = capsys.readouterr().err
        assert "MISO_API_KEY: " in err
        assert key not in err

    @pytest.mark.usefixtures("host")
    def test_it_goes_over_tls_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """To another machine the key is sent encrypted, or not at all."""
        words = ("--feed", ASM.name, "--local", str(tmp_path / "none"), "--keyed-api-base", "http://keys.example/v1")
        assert main(["collect", *words]) == 2
        assert "give an https:// address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--market-day", "2026-10-02"], "are of daily feeds"),
        (["--feed", "all", "--node", "MINN.HUB"], "are of daily feeds"),
        (["--feed", ASM.name, "--node", "MINN.HUB"], "has no nodes"),
        (["--feed", LMP.name, "--node", "minn/hub"], "a node is given as MISO spells it"),
        (["--feed", ASM.name, "--market-day", "20261002"], "--market-day is a market day, YYYY-MM-DD"),
    ],
)
@pytest.mark.usefixtures("host")
def test_what_goes_with_no_daily_feed_is_wrong_usage(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Days and nodes are those of daily feeds, spelled as MISO does."""
    assert main(["collect", "--local", str(tmp_path / "none"), *words]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
