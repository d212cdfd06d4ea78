"""Past market days by `backfill`: of the daily feeds, and what they heal of the live ones."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson
import polars as pl
import pytest

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.collecting.pace import SystemClock
from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.market_days import ONE_DAY, day_begins
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.keyed import page_body
from miso_archive.simulate.sisters import asm_body, lmp_body
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response
from tests.feeds.pages import ASM, LMP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from miso_archive.feeds.feed import Feed

pytestmark = pytest.mark.slow("collects whole days")

SEED: Final = 11
FIRST: Final = date(2001, 1, 3)
LIVE_LMP, LIVE_ASM = FEEDS["rt_exante_lmp"], FEEDS["asm_mcp"]
OUTAGE: Final = (day_begins(FIRST) + timedelta(hours=10), day_begins(FIRST) + timedelta(hours=16))
"""Six hours of which no live interval was collected: those that end after the first, up to the second."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedFeed]:
    """MISO's keyed API on loopback at noon of the third market day after the first; no run waits."""
    with SimulatedFeed(seed=SEED, key="key", ahead=timedelta(days=4)) as serving:
        monkeypatch.setenv("MISO_KEYED_API_BASE", serving.keyed_base_url)
        monkeypatch.setenv("MISO_API_KEY", "key")
        now = day_begins(FIRST + 3 * ONE_DAY) + timedelta(hours=12)
        monkeypatch.setattr(SystemClock, "now", lambda _clock: now)
        monkeypatch.setattr(SystemClock, "sleep", lambda _clock, _seconds: None)
        yield serving


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of both live feeds with an outage of six hours."""
    root = tmp_path_factory.mktemp("collected")
    live(root)
    return root


def backfilled(
    capsys: pytest.CaptureFixture[str], folder: Path, feed: str, *words: str, code: int = 0
) -> list[dict[str, Any]]:
    """Backfill, and return what became of each day."""
    assert main(["backfill", "--feed", feed, "--local", str(folder), "--format", "json", *words]) == code
    days = json.loads(capsys.readouterr().out)
    assert isinstance(days, list)
    return days


def outcomes(days: list[dict[str, Any]]) -> dict[str, str]:
    """Return the outcomes by market day."""
    return {day["market_day"]: day["outcome"] for day in days}


def live(folder: Path) -> None:
    """Collect two days of both live feeds, but for the outage."""
    for number in range(1, 2 * 288 + 1):
        end = day_begins(FIRST) + number * INTERVAL
        if OUTAGE[0] < end <= OUTAGE[1]:
            continue
        for feed, body in ((LIVE_LMP, lmp_body(end, seed=SEED)), (LIVE_ASM, asm_body(end, seed=SEED))):
            snapshot = feed.examine(body).snapshot
            assert snapshot is not None
            response = Response(body, end.astimezone(UTC), "http://127.0.0.1/", "application/json")
            store_snapshot(Folder(folder), feed, snapshot, response)


def host_page(node: str) -> bytes:
    """Return a day of prices of a node, as of one of MISO's hubs."""
    page = orjson.loads(page_body(LMP, FIRST, node="MINN.HUB", seed=SEED) or b"")
    for row in page["data"]:
        row["node"] = node
    return orjson.dumps(page)


class TestTheDaysThemselves:
    @pytest.mark.parametrize(("feed", "rows"), [(ASM.name, 1152), (LMP.name, 8 * 288)])
    @pytest.mark.usefixtures("host")
    def test_a_new_archive_begins_with_the_past(
        self, feed: str, rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Into a folder that is not there yet each day from a first one on is fetched, newest first, and only once."""
        days = backfilled(capsys, tmp_path / "new", feed, "--start", str(FIRST))
        newest = date(2001, 1, 6) if feed == ASM.name else date(2001, 1, 5)
        expected = [str(newest - number * ONE_DAY) for number in range((newest - FIRST).days + 1)]
        assert [(day["market_day"], day["outcome"], day["rows"]) for day in days] == [
            (day, "fetched", rows) for day in expected
        ]
        assert backfilled(capsys, tmp_path / "new", feed) == []
        assert len(mr.scan(tmp_path / "new", feed).collect()) == rows * len(expected)

    def test_an_end_is_exclusive_and_a_gap_is_filled(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of days between others the one that lacks is asked for alone, from the page on that it lacks."""
        backfilled(capsys, tmp_path, ASM.name, "--start", str(FIRST), "--end", str(FIRST + 2 * ONE_DAY))
        gone = tmp_path / "sourcing" / ASM.dataset / str(FIRST) / "da_exante_asm_mcp_20010103.p3.json.gz"
        gone.unlink()
        before = len(host.requests_for(ASM))
        days = backfilled(capsys, tmp_path, ASM.name, "--end", str(FIRST + 2 * ONE_DAY))
        assert outcomes(days) == {str(FIRST): "fetched"}
        assert [one.address.rpartition("=")[2] for one in host.requests_for(ASM)[before:]] == ["3"]

    def test_a_day_that_fails_holds_no_other(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A refused page fails its day, with exit code 1; the others are fetched, and the next backfill mends it."""
        host.script(Reply(body=b"<html>"), feed=ASM)
        days = backfilled(capsys, tmp_path, ASM.name, "--start", str(FIRST), code=1)
        assert [day["outcome"] for day in days] == ["refused", "fetched", "fetched", "fetched"]
        assert days[0]["code"] == "html_page"
        assert outcomes(backfilled(capsys, tmp_path, ASM.name)) == {days[0]["market_day"]: "fetched"}

    @pytest.mark.parametrize("status", [401, 403])
    def test_what_all_days_would_be_answered_ends_it(
        self, host: SimulatedFeed, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A key that is refused and a quota that is used up cost one request, and are told once."""
        host.script(Reply(status), feed=ASM)
        days = backfilled(capsys, tmp_path, ASM.name, "--start", str(FIRST), code=1)
        assert [day["outcome"] for day in days] == ["failed"]
        assert len(host.requests_for(ASM)) == 1

    @pytest.mark.usefixtures("host")
    def test_a_quota_that_is_used_up_ends_it_and_the_next_goes_on(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What stands by then stands, in the midst of a day too; with a new one the rest is asked for, once."""
        asked = []
        for quota, code in ((4, 1), (8, 0)):
            with SimulatedFeed(seed=SEED, key="key", quota=quota, ahead=timedelta(days=4)) as host:
                monkeypatch.setenv("MISO_KEYED_API_BASE", host.keyed_base_url)
                backfilled(capsys, tmp_path, ASM.name, "--start", "2001-01-04", code=code)
                asked.append([request.status for request in host.requests_for(ASM)])
        assert asked == [[200] * 4 + [403], [200] * 5]
        assert len(mr.scan(tmp_path, ASM).collect()) == 3 * 1152

    def test_a_past_that_is_not_published_ends_it_in_a_sentence(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """After fourteen days in a row that MISO has nothing of no older one is asked for."""
        host.script(Reply(), Reply(), Reply(), *[Reply(404)] * 30, feed=ASM)
        words = ["--local", str(tmp_path), "--format", "json", "--start", "2000-01-01"]
        assert main(["backfill", "--feed", ASM.name, *words]) == 0
        said = capsys.readouterr()
        assert [day["outcome"] for day in json.loads(said.out)] == ["fetched", *["not_published"] * 14]
        assert len(host.requests_for(ASM)) == 3 + 14
        assert "nothing is published of the 14 market days back to 2000-12-23: no older one is asked for" in said.err

    def test_it_needs_a_key(
        self, host: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without one nothing is asked, and it is said where one belongs."""
        monkeypatch.delenv("MISO_API_KEY")
        assert main(["backfill", "--feed", ASM.name, "--local", str(tmp_path)]) == 2
        assert "with a key: MISO_API_KEY" in capsys.readouterr().err
        assert host.requests_for(ASM) == []


@pytest.mark.usefixtures("host")
class TestWhatIsHealed:
    @pytest.fixture
    def folder(self, collected: Path, tmp_path: Path) -> Path:
        """The same, for one test."""
        return shutil.copytree(collected, tmp_path / "data")

    @pytest.mark.parametrize(("feed", "healer"), [("rt_exante_lmp", LMP), ("asm_mcp", ASM)])
    def test_coverage_before_and_after(
        self,
        feed: str,
        healer: Feed,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """72 intervals are missing, and stay so; all are healed once their day is fetched, and no other day is."""
        before = mr.coverage(folder, feed=feed).select("market_day", "missing", "healed").rows()
        assert before == [(FIRST, 72, 0), (FIRST + ONE_DAY, 0, 0)]
        days = backfilled(capsys, folder, feed, "--end", str(FIRST + 2 * ONE_DAY))
        assert [(day["market_day"], day["outcome"], day["covered"]) for day in days] == [(str(FIRST), "fetched", 288)]
        after = mr.coverage(folder, feed=feed).select("market_day", "missing", "healed").rows()
        assert after == [(FIRST, 72, 72), (FIRST + ONE_DAY, 0, 0)]
        assert mr.missing_intervals(folder, feed=feed)["healed"].all()
        assert backfilled(capsys, folder, feed, "--end", str(FIRST + 2 * ONE_DAY)) == []
        assert {path.name for path in (folder / "sourcing").iterdir()} == {
            LIVE_LMP.dataset,
            LIVE_ASM.dataset,
            healer.dataset,
        }

    @pytest.mark.parametrize("compacts", [False, True])
    def test_prices_are_filled_and_none_is_doubled(
        self,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        compacts: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        """Live rows stay as they are; intervals without any get the history's, which are what MISO would have shown."""
        backfilled(capsys, folder, "rt_exante_lmp", "--end", str(FIRST + 2 * ONE_DAY))
        alone = mr.scan(folder, "rt_exante_lmp").collect()
        if compacts:
            for feed in (LIVE_LMP, LMP):
                mr.compact_month(folder, FIRST, feed=feed, now=datetime(2001, 1, 6, 12, tzinfo=EST))
        filled = mr.scan(folder, "rt_exante_lmp", sources=("live", "keyed_api")).collect()
        assert filled.filter(pl.col("source") == "live").equals(alone)
        told = filled.filter(pl.col("source") == "keyed_api")
        assert (len(told), told["interval_end"].n_unique()) == (8 * 72, 72)
        assert (told["interval_end"].min(), told["interval_end"].max()) == (OUTAGE[0] + INTERVAL, OUTAGE[1])
        assert not filled.select("interval_end", "location").is_duplicated().any()
        assert filled["interval_end"].is_sorted()
        expected = LIVE_LMP.examine(lmp_body(OUTAGE[1], seed=SEED)).snapshot
        assert expected is not None
        prices = {row.location: (row.lmp, row.congestion, row.loss) for row in expected.rows if row.location != "SWPP"}
        last = told.filter(pl.col("interval_end") == told["interval_end"].max())
        assert {row["location"]: (row["lmp"], row["congestion"], row["loss"]) for row in last.to_dicts()} == prices

    def test_hours_ahead_are_filled(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Hours of which no live body came are there, with eight zones each, and the products' prices in columns."""
        backfilled(capsys, folder, "asm_mcp", "--end", str(FIRST + 2 * ONE_DAY))
        filled = mr.scan(folder, "asm_mcp", "day_ahead", sources=("live", "keyed_api")).collect()
        by_source = filled.group_by("market_day", "source").agg(pl.col("hour_ending").n_unique(), pl.len())
        assert sorted(by_source.rows()) == [
            (FIRST, "keyed_api", 6, 48),
            (FIRST, "live", 18, 144),
            (FIRST + ONE_DAY, "live", 24, 192),
        ]
        told = filled.filter(pl.col("source") == "keyed_api")
        assert sorted(told["hour_ending"].unique()) == [11, 12, 13, 14, 15, 16]
        expected = LIVE_ASM.examine(asm_body(OUTAGE[1], seed=SEED)).snapshot
        assert expected is not None
        last = told.filter(pl.col("hour_ending") == 16)
        for name in ("regulation", "spin", "supplemental", "short_term_reserve", "ramp_up", "ramp_down"):
            prices = {row.zone: getattr(row, name) for row in expected.tables["day_ahead"]}
            assert dict(last.select("zone", name).rows()) == prices
        assert told["demand_regulation"].is_null().all()

    def test_the_history_alone_and_its_snapshots(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """`keyed_api` alone gives all that it has; a snapshot is told where all its prices are."""
        backfilled(capsys, folder, "rt_exante_lmp", "--end", str(FIRST + 2 * ONE_DAY))
        rows = mr.scan(folder, "rt_exante_lmp", sources=("keyed_api",)).collect()
        assert (len(rows), rows["energy"].null_count(), rows["ref_id"].null_count()) == (8 * 288, 0, 8 * 288)
        snapshots = mr.scan_snapshots(folder, feed="rt_exante_lmp", sources=("live", "keyed_api")).collect()
        assert len(snapshots) == 2 * 288
        assert dict(snapshots.group_by("source").agg(pl.col("prices").max()).rows()) == {"live": 9, "keyed_api": 8}

    def test_other_nodes_heal_nothing(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A node that the live feed never shows is read where it is archived, and is no price of that feed."""
        body = host_page("ALTW.WELLS1")
        snapshot = LMP.examine(body).snapshot
        assert snapshot is not None
        store_snapshot(Folder(folder), LMP, snapshot, Response(body, datetime.now(UTC), "http://127.0.0.1/", ""))
        assert len(mr.scan(folder, LMP).collect()) == 288
        assert mr.coverage(folder, feed="rt_exante_lmp")["healed"].to_list() == [0, 0]
        backfilled(capsys, folder, "rt_exante_lmp", "--end", str(FIRST + 2 * ONE_DAY))
        filled = mr.scan(folder, "rt_exante_lmp", sources=("live", "keyed_api")).collect()
        assert "ALTW.WELLS1" not in filled["location"].to_list()
        assert mr.coverage(folder, feed="rt_exante_lmp")["healed"].to_list() == [72, 0]

    def test_an_interval_that_is_told_in_part_is_not_healed(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Where one of the hubs lacks an interval that the others have it is missing still, and gets no row."""
        backfilled(capsys, folder, "rt_exante_lmp", "--end", str(FIRST + 2 * ONE_DAY))
        path = folder / "sourcing" / LMP.dataset / str(FIRST) / "rt_exante_lmp_5min_20010103_MINN.HUB.json.gz"
        page = json.loads(gzip.decompress(path.read_bytes()))
        page["data"] = [row for row in page["data"] if row["interval"] != "12:00"]
        page["page"]["totalElements"] = len(page["data"])
        path.unlink()
        body = json.dumps(page).encode()
        snapshot = LMP.examine(body).snapshot
        assert snapshot is not None
        store_snapshot(Folder(folder), LMP, snapshot, Response(body, datetime.now(UTC), "http://127.0.0.1/", ""))
        assert mr.coverage(folder, feed="rt_exante_lmp")["healed"].to_list() == [71, 0]
        filled = mr.scan(folder, "rt_exante_lmp", sources=("live", "keyed_api")).collect()
        assert filled["interval_end"].n_unique() == 2 * 288 - 1


@pytest.mark.parametrize(
    ("feed", "table", "told"),
    [
        ("snapshot", "figures", "keyed_api says nothing of snapshot: live is its only source"),
        ("fuel_mix", "fuels", "keyed_api says nothing of fuel_mix: its sources are live, rolling_days"),
        (
            "reserve",
            "constraints",
            "keyed_api says nothing of reserve: its sources are live, next_day_report, day_ahead_report",
        ),
        ("asm_mcp", "real_time", "keyed_api says nothing of real_time: of day_ahead alone"),
        ("asm_mcp", "snapshots", "keyed_api says nothing of snapshots: of day_ahead alone"),
        (ASM.name, "prices", "keyed_api says nothing of da_exante_asm_mcp"),
    ],
)
def test_a_source_that_says_nothing_of_a_table_is_told(feed: str, table: str, told: str, tmp_path: Path) -> None:
    """What a source cannot fill is wrong usage, and names which are known."""
    (tmp_path / "sourcing" / LIVE_ASM.dataset / "2026-10-02").mkdir(parents=True)
    with pytest.raises(ValueError, match=told):
        mr.scan(tmp_path, feed, table, sources=("live", "keyed_api"))
