"""The fuel mix of today and yesterday, from the host's own links: what they heal, and what they cannot."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
import polars as pl
import pytest

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.healing.rolling import backfill_rolling
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.market_days import ONE_DAY, day_begins
from miso_archive.settings.options import BackfillSettings
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.server import DEFAULT_START
from miso_archive.simulate.sisters import fuel_body, fuels_of_days
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow("collects whole days")

SEED: Final = 4
DAY: Final = date(2001, 1, 2)
NOW: Final = DEFAULT_START + ONE_DAY + timedelta(hours=5)
"""12:05 EST of the market day after."""

OUTAGE: Final = (day_begins(DAY) + timedelta(hours=10), day_begins(DAY) + timedelta(hours=16))
"""Six hours without a live interval: those that end after the first, up to the second."""

SOURCES: Final = ("live", "rolling_days")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedFeed]:
    """The host of the feeds, at noon of the day after the outage."""
    with SimulatedFeed(seed=SEED, ahead=NOW - DEFAULT_START) as serving:
        assert serving.interval_end_of(FUEL_MIX) == NOW
        monkeypatch.setenv("MISO_API_BASE", serving.base_url)
        yield serving


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The live fuel mix of the day of the outage, and of the next as far as it is over."""
    root = tmp_path_factory.mktemp("collected")
    end = day_begins(DAY) + INTERVAL
    while end <= NOW:
        if not OUTAGE[0] < end <= OUTAGE[1]:
            put(root, fuel_body(end, seed=SEED), end)
        end += INTERVAL
    return root


@pytest.fixture
def folder(collected: Path, tmp_path: Path) -> Path:
    """The same, for one test."""
    return shutil.copytree(collected, tmp_path / "data")


def put(root: Path, body: bytes, fetched_at: datetime) -> None:
    """Archive a live body."""
    snapshot = FUEL_MIX.examine(body).snapshot
    assert snapshot is not None
    store_snapshot(
        Folder(root), FUEL_MIX, snapshot, Response(body, fetched_at.astimezone(UTC), "http://127.0.0.1/", "")
    )


def backfilled(capsys: pytest.CaptureFixture[str], root: Path, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """Backfill, and return what became of each link's day."""
    command = ["backfill", "--feed", "fuel_mix", "--local", str(root), "--format", "json", *words]
    assert main(command) == code
    days = json.loads(capsys.readouterr().out)
    assert isinstance(days, list)
    return days


def told(root: Path) -> pl.DataFrame:
    """Return the rows that the links told."""
    return mr.scan(root, "fuel_mix", sources=SOURCES).collect().filter(pl.col("source") == "rolling_days")


def healed(root: Path) -> list[int]:
    """Return how many intervals of each day are healed."""
    return mr.coverage(root, feed="fuel_mix", now=NOW)["healed"].to_list()


def shown(name: str, keep: Callable[[dict[str, str]], bool]) -> Reply:
    """A link's body with some of its rows."""
    body = orjson.loads(fuels_of_days(name, NOW, seed=SEED))
    body["Fuel"]["Type"] = [row for row in body["Fuel"]["Type"] if keep(row)]
    return Reply(body=orjson.dumps(body))


class TestHealing:
    @pytest.mark.usefixtures("host")
    def test_coverage_before_and_after(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """72 intervals are missing and stay so; all are healed by yesterday's link, and none of the live rows moves."""
        alone = mr.scan(folder, "fuel_mix").collect()
        assert healed(folder) == [0, 0]
        days = backfilled(capsys, folder)
        assert [(day["market_day"], day["outcome"], day["covered"]) for day in days] == [
            ("2001-01-03", "fetched", 145),
            ("2001-01-02", "fetched", 288),
        ]
        counted = mr.coverage(folder, feed="fuel_mix", now=NOW)
        assert counted.select("market_day", "missing", "healed").rows() == [(DAY, 72, 72), (DAY + ONE_DAY, 0, 0)]
        filled = mr.scan(folder, "fuel_mix", sources=SOURCES).collect()
        assert filled.filter(pl.col("source") == "live").equals(alone)
        assert not filled.select("interval_end", "fuel").is_duplicated().any()
        rows = told(folder)
        assert (len(rows), rows["interval_end"].n_unique()) == (72 * 8, 72)
        expected = FUEL_MIX.examine(fuel_body(OUTAGE[1], seed=SEED)).snapshot
        assert expected is not None
        last = rows.filter(pl.col("interval_end") == rows["interval_end"].max())
        assert dict(last.select("fuel", "output").rows()) == {row.fuel: row.output for row in expected.rows}

    @pytest.mark.usefixtures("host")
    def test_snapshots_are_filled_too(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Each healed interval has a snapshot that counts its fuels; the link's total is none of its own."""
        backfilled(capsys, folder)
        snapshots = mr.scan_snapshots(folder, feed="fuel_mix", sources=SOURCES).collect()
        of_links = snapshots.filter(pl.col("source") == "rolling_days")
        assert (len(of_links), set(of_links["fuels"]), of_links["total"].null_count()) == (72, {8}, 72)

    def test_what_is_shown_again_is_archived_once(
        self, host: SimulatedFeed, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The same bodies are known; as the day goes on each later one is an object of its own, byte for byte."""
        backfilled(capsys, folder)
        assert [day["outcome"] for day in backfilled(capsys, folder)] == ["already", "already"]
        host.advance(12)
        keys = [day["object_key"] for day in backfilled(capsys, folder)]
        assert keys == [
            "reports/miso_fuel_mix/today/2001-01-03/fuel_mix_today_20010103_1305.json.gz",
            "reports/miso_fuel_mix/yesterday/2001-01-03/fuel_mix_yesterday_20010103_1305.json.gz",
        ]
        assert len([*(folder / "reports").rglob("*.json.gz")]) == 4

    def test_an_absence_overwrites_nothing(
        self, host: SimulatedFeed, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Yesterday's link with nothing but imports, as it was seen, takes away nothing that an earlier body told."""
        backfilled(capsys, folder)
        of_the_day = pl.col("market_day") == DAY
        before = told(folder).filter(of_the_day).drop("object_key")
        host.advance()
        host.script(Reply(), shown("yesterday", lambda row: row["CATEGORY"] == "Imports"), feed=FUEL_MIX)
        backfilled(capsys, folder)
        assert told(folder).filter(of_the_day).drop("object_key").equals(before)
        assert healed(folder) == [72, 0]

    def test_an_interval_in_part_is_not_healed(
        self, host: SimulatedFeed, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Imports alone are no fuel mix: nothing is healed, and no row of it gets into a frame.

        The one interval of that day that is told whole is its last, with which today's link begins.
        """
        host.script(Reply(), shown("yesterday", lambda row: row["CATEGORY"] == "Imports"), feed=FUEL_MIX)
        days = backfilled(capsys, folder)
        assert [(day["outcome"], day["covered"]) for day in days] == [("fetched", 145), ("fetched", 1)]
        assert healed(folder) == [0, 0]
        assert told(folder).is_empty()

    def test_parts_of_two_bodies_make_a_whole(
        self, host: SimulatedFeed, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What one body has of an interval and what another has are merged, by interval and fuel."""
        for first, count in (("ABCDEFGHIJKLM", 0), ("NOPQRSTUVWXYZ", 72)):
            part = partial(lambda letters, row: row["CATEGORY"][0] in letters, first)
            host.script(Reply(), shown("yesterday", part), feed=FUEL_MIX)
            backfilled(capsys, folder)
            assert healed(folder)[0] == count
        assert len(told(folder)) == 72 * 8

    @pytest.mark.usefixtures("host")
    def test_a_day_without_any_live_interval_is_whole_where_it_is_fullest(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Where nothing was collected those intervals are whole that have as many fuels as any other of the day."""
        put(tmp_path, fuel_body(NOW, seed=SEED), NOW)
        backfilled(capsys, tmp_path)
        assert healed(tmp_path) == [288, 144]


class TestTrouble:
    def test_an_empty_day_tells_of_nothing(
        self, host: SimulatedFeed, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Today's link was empty in December 2025: that is no failure, and yesterday's is fetched all the same."""
        host.script(shown("today", lambda _row: False), feed=FUEL_MIX)
        assert [day["outcome"] for day in backfilled(capsys, folder)] == ["not_published", "fetched"]

    @pytest.mark.parametrize(
        ("reply", "outcome", "code"),
        [
            (Reply(body=b"<html>"), "refused", "html_page"),
            (Reply(body=b'{"RefId":"None"}'), "refused", "missing_field"),
            (Reply(403), "failed", "feed_status"),
            (Reply(404), "not_published", None),
        ],
    )
    def test_a_link_that_fails_holds_the_other_not(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        host: SimulatedFeed,
        reply: Reply,
        outcome: str,
        code: str | None,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """What is no fuel mix is kept with its reasons, apart from refused live bodies; the other link is archived."""
        host.script(reply, feed=FUEL_MIX)
        today, yesterday = backfilled(capsys, folder, code=0 if code is None else 1)
        assert (today["outcome"], today["code"], yesterday["outcome"]) == (outcome, code, "fetched")
        kept = [*(folder / "quarantine" / f"{FUEL_MIX.dataset}" / "today").rglob("*.body.gz")]
        assert len(kept) == (outcome == "refused")
        assert mr.coverage(folder, feed="fuel_mix", now=NOW)["refused"].sum() == 0

    @pytest.mark.usefixtures("host")
    def test_a_damaged_body_is_left_out_and_named(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One that cannot be read any more heals nothing, and is named where it is asked for."""
        damaged = folder / backfilled(capsys, folder)[1]["object_key"]
        damaged.write_bytes(b"damaged")
        with pytest.warns(UserWarning, match="fuel_mix_yesterday_20010103_1205.json.gz"):
            assert told(folder).is_empty()

    @pytest.mark.usefixtures("host")
    def test_a_period_cannot_be_asked_for(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The links show two days, and a period is wrong usage."""
        assert main(["backfill", "--feed", "fuel_mix", "--local", str(folder), "--start", "2001-01-01"]) == 2
        assert "from links of today and yesterday: leave them out" in capsys.readouterr().err

    def test_a_host_that_fails_for_a_moment_is_asked_again(self, host: SimulatedFeed, folder: Path) -> None:
        """A 503 is tried again, by the clock that is given."""

        class Clock:
            def __init__(self) -> None:
                self.slept: list[float] = []

            def now(self) -> datetime:
                return datetime(2001, 1, 3, 12, 5, tzinfo=EST)

            def sleep(self, seconds: float) -> None:
                self.slept.append(seconds)

        clock = Clock()
        host.script(Reply(503), feed=FUEL_MIX)
        settings = BackfillSettings.resolve({"local": folder, "api_base": host.base_url}, {})
        assert not backfill_rolling(settings, FUEL_MIX, clock).failed
        assert len(clock.slept) == 1
