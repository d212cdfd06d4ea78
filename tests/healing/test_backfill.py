"""Backfill: each missing day's report is fetched once, checked, and archived as it was sent."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.cli.app import main
from miso_archive.collecting.pace import SystemClock
from miso_archive.contract.body import MOST_BYTES
from miso_archive.feeds import FEEDS
from miso_archive.feeds.reserve import RESERVE, RT_RPE
from miso_archive.healing.backfill import backfill, days_to_backfill
from miso_archive.healing.backfilled import BackfillResult
from miso_archive.intervals.market_days import ONE_DAY
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import scan_constraints, scan_snapshots
from miso_archive.settings.options import BackfillSettings, UsageError
from miso_archive.simulate import Reply
from miso_archive.simulate.wire import ReplyServer
from miso_archive.store.folder import Folder
from miso_archive.store.layout import report_key
from miso_archive.version import __version__
from tests.counted_archive import at, odd_minute, put_whole_day, store
from tests.report_files import bound, day_ahead, real_time
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.conftest import Bucket

pytestmark = pytest.mark.slow("reads each report in a process of its own")

ROOT = f"reports/{RESERVE.dataset}/rt_rpe"
DAYS = {number: date(2026, 7, number) for number in range(21, 29)}
NOW = at("2026-07-28 10:00")
PAGE = b"<html>Down for maintenance</html>"
BOUND = real_time(DAYS[27], bound("07-27-2026 08:10:00"), bound("07-28-2026 00:00:00", -1.5))
QUIET = real_time(DAYS[22])


class VirtualClock:
    """Stands still but for sleeping."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Site:
    """MISO's reports on loopback: what it answers for each file, 404 for others, and what it was asked, and when."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    files: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, _headers: Mapping[str, str]) -> Reply:
        name = path.removeprefix("/marketreports/")
        self.asked.append((name, self.clock.now()))
        return self.files.get(name, Reply(404, b"<html>Not found</html>"))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@contextmanager
def serving(site: Site | None = None) -> Iterator[Site]:
    """A site that answers."""
    site = site or Site()
    server = ReplyServer("127.0.0.1", 0, site.answer)
    server.start()
    site.url = f"http://127.0.0.1:{server.server_port}/marketreports/"
    try:
        yield site
    finally:
        server.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    """A site without a report."""
    with serving() as running:
        yield running


def heal(site: Site, archive: Path | str, **arguments: Any) -> BackfillResult:  # noqa: ANN401 - backfill's
    """Backfill a folder, or a bucket by its name, from the site, at the site's time."""
    place = {"s3_bucket" if isinstance(archive, str) else "local": archive}
    settings = BackfillSettings.resolve(place, {"MISO_REPORTS_URL": site.url})
    return backfill(settings, clock=site.clock, **arguments)


def outcomes(result: BackfillResult) -> dict[int, str]:
    """The outcome of each day, by its number, in the result's order."""
    return {day.market_day.day: day.outcome for day in result.days}


def files_in(folder: Path) -> list[str]:
    """The keys of all files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Ran:
    """Two backfills of one archive, one after the other."""

    folder: Path
    site: Site
    first: BackfillResult
    asked_first: list[tuple[str, datetime]]
    stood: dict[str, int]
    second: BackfillResult


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Days 22 to 27, one of each outcome; day 24 is collected whole, of the 27th one interval, of the others none."""
    folder = tmp_path_factory.mktemp("archive")
    put_whole_day(folder, DAYS[24])
    store(Folder(folder), at("2026-07-27 08:10"), odd_minute(at("2026-07-27 08:10")))
    with serving() as site:
        site.files = {
            "20260728_rt_rpe.xls": Reply(200, BOUND, {"Content-Type": "application/vnd.ms-excel"}),
            "20260726_rt_rpe.xls": Reply(200, PAGE, {"Content-Type": "text/html"}),
            "20260724_rt_rpe.xls": Reply(503),
            "20260723_rt_rpe.xls": Reply(200, QUIET),
        }
        first = heal(site, folder, start="2026-07-22")
        asked, stood = list(site.asked), {key: (folder / key).stat().st_mtime_ns for key in files_in(folder)}
        site.asked.clear()
        site.files["20260724_rt_rpe.xls"] = Reply(404)
        yield Ran(folder, site, first, asked, stood, heal(site, folder, start="2026-07-22"))


class TestOutcomes:
    def test_each_day_with_a_gap_is_asked_for_newest_first(self, ran: Ran) -> None:
        """The day collected whole is left alone, the others are asked for from the newest on; none stops the others."""
        assert list(outcomes(ran.first).items()) == [
            (27, "fetched"),
            (26, "not_published"),
            (25, "refused"),
            (23, "failed"),
            (22, "fetched"),
        ]
        assert list(dict.fromkeys(name for name, _ in ran.asked_first)) == [
            f"202607{number}_rt_rpe.xls" for number in (28, 27, 26, 24, 23)
        ]

    def test_the_result_counts_them(self, ran: Ran) -> None:
        """Every day is counted once, with the rows fetched and a code and message for each that failed."""
        counts = ran.first.as_dict()
        errors = counts.pop("errors")
        assert counts == {
            "asked": 5,
            "fetched": 2,
            "not_published": 1,
            "already": 0,
            "refused": 1,
            "failed": 1,
            "rows": 2,
            "objects": [
                f"{ROOT}/2026-07-27/20260728_rt_rpe.xls.gz",
                f"{ROOT}/2026-07-22/20260723_rt_rpe.xls.gz",
            ],
        }
        assert isinstance(errors, list)
        assert [(error["market_day"], error["code"]) for error in errors] == [
            ("2026-07-25", "html_page"),
            ("2026-07-23", "feed_unavailable"),
        ]
        assert all(error["message"] for error in errors)
        assert ran.first.frame()["covered"].to_list() == [288, 0, 0, 0, 288]

    def test_what_is_not_published_is_no_failure(self, ran: Ran) -> None:
        """A 404 alone fails nothing; a refused report or a failed day does."""
        assert ran.first.failed
        assert ran.second.failed
        assert not BackfillResult(tuple(day for day in ran.first.days if day.code is None)).failed

    def test_what_stands_is_not_fetched_again(self, ran: Ran) -> None:
        """A second run asks only for what the archive has not, and changes no file that stood."""
        assert list(outcomes(ran.second).values()) == [
            *("already", "not_published", "refused", "not_published", "already")
        ]
        assert ran.site.names == [f"202607{number}_rt_rpe.xls" for number in (27, 26, 24)]
        assert {key: (ran.folder / key).stat().st_mtime_ns for key in files_in(ran.folder)} == ran.stood

    def test_requests_are_five_seconds_apart(self, ran: Ran) -> None:
        """Any two requests, those tried again included, are no closer than the pause; a 503 is tried five times."""
        times = [time for _, time in ran.asked_first]
        assert len(times) == 9
        assert min(after - before for before, after in itertools.pairwise(times)) >= timedelta(seconds=5)


class TestObjects:
    def test_the_report_is_kept_as_it_was_sent(self, ran: Ran) -> None:
        """Unzipped it is byte for byte what came, under its market day and its own name, with where it came from."""
        key = f"{ROOT}/2026-07-27/20260728_rt_rpe.xls.gz"
        assert gzip.decompress((ran.folder / key).read_bytes()) == BOUND
        provenance = json.loads((ran.folder / f"provenance{key.removeprefix('reports')}.json").read_bytes())
        assert provenance.pop("fetched-at")
        assert provenance == {
            "sha256": hashlib.sha256(BOUND).hexdigest(),
            "source-url": f"{ran.site.url}20260728_rt_rpe.xls",
            "collector-version": __version__,
        }

    def test_a_refused_report_is_kept_with_its_reasons(self, ran: Ran) -> None:
        """It lies in quarantine apart from the feed's refused bodies, and coverage counts it among none of them."""
        [body] = (ran.folder / "quarantine").rglob("*.body.gz")
        assert body.parent.parent == ran.folder / "quarantine" / RESERVE.dataset / "rt_rpe"
        assert gzip.decompress(body.read_bytes()) == PAGE
        reasons = json.loads(body.with_name(body.name.replace(".body.gz", ".reasons.json")).read_bytes())
        assert [reason["code"] for reason in reasons["reasons"]] == ["html_page"]
        assert coverage(ran.folder, start="2026-07-20", end="2026-12-31", now=NOW)["refused"].sum() == 0

    def test_coverage_shows_what_is_healed(self, ran: Ran) -> None:
        """Days with a report are healed but for what was collected; missing stays what it was."""
        frame = coverage(ran.folder, start="2026-07-22", end="2026-07-28", now=NOW)
        assert frame["healed"].to_list() == [288, 0, 0, 0, 0, 287]
        assert frame["missing"].to_list() == [288, 288, 0, 288, 288, 287]

    def test_other_bytes_are_kept_beside(self, site: Site, tmp_path: Path) -> None:
        """A report that stands damaged is fetched again, and kept under 12 digits of its SHA-256; then it is read."""
        key = tmp_path / report_key(RESERVE, "rt_rpe", DAYS[22], "20260723_rt_rpe.xls")
        key.parent.mkdir(parents=True)
        key.write_bytes(gzip.compress(QUIET)[:-9])
        site.files["20260723_rt_rpe.xls"] = Reply(200, QUIET)
        period = {"start": "2026-07-22", "end": "2026-07-23"}
        [day] = heal(site, tmp_path, **period).days
        digits = hashlib.sha256(QUIET).hexdigest()[:12]
        assert day.object_key == f"{ROOT}/2026-07-22/20260723_rt_rpe.{digits}.xls.gz"
        assert gzip.decompress((tmp_path / day.object_key).read_bytes()) == QUIET
        assert outcomes(heal(site, tmp_path, **period)) == {22: "already"}
        assert coverage(tmp_path, now=NOW)["healed"].to_list() == [288]

    def test_in_a_bucket_it_is_the_same(self, site: Site, bucket: Bucket) -> None:
        """Keys and bytes are those of a folder; where it came from stands in the object's metadata."""
        site.files["20260728_rt_rpe.xls"] = Reply(200, BOUND)
        period = {"start": "2026-07-27", "end": "2026-07-28"}
        assert heal(site, bucket.name, **period).as_dict()["rows"] == 2
        assert outcomes(heal(site, bucket.name, **period)) == {27: "already"}
        [key] = bucket.keys()
        assert key == f"{ROOT}/2026-07-27/20260728_rt_rpe.xls.gz"
        assert gzip.decompress(bucket.body(key)) == BOUND
        assert bucket.metadata(key)["source-url"] == f"{site.url}20260728_rt_rpe.xls"
        assert coverage(f"s3://{bucket.name}", now=NOW)["healed"].to_list() == [288]


class TestRefused:
    def test_a_report_of_another_day(self, site: Site, tmp_path: Path) -> None:
        """A file with another market day than its name stands for is refused, and heals nothing."""
        site.files["20260727_rt_rpe.xls"] = Reply(200, BOUND)
        [day] = heal(site, tmp_path, start="2026-07-26", end="2026-07-27").days
        assert (day.outcome, day.code) == ("refused", "report_market_day")
        assert not (tmp_path / "reports").exists()

    def test_a_report_too_large(self, site: Site, tmp_path: Path) -> None:
        """More than 5 MiB is refused; what was read of it is kept."""
        site.files["20260727_rt_rpe.xls"] = Reply(200, BOUND + bytes(MOST_BYTES))
        [day] = heal(site, tmp_path, start="2026-07-26", end="2026-07-27").days
        assert (day.outcome, day.code) == ("refused", "body_too_large")


class TestDays:
    @pytest.mark.parametrize(("now", "last"), [("2026-07-28 00:59", 26), ("2026-07-28 01:00", 27)])
    def test_only_closed_days_are_asked_for(self, tmp_path: Path, now: str, last: int) -> None:
        """A market day is asked for from an hour after its end on, whatever the end that is given."""
        store(Folder(tmp_path), at("2026-07-26 08:10"), odd_minute(at("2026-07-26 08:10")))
        for end in (None, "2026-08-15"):
            days = days_to_backfill(Folder(tmp_path), RESERVE, RT_RPE, start=None, end=end, now=at(now))
            assert days == [DAYS[number] for number in range(last, 25, -1)]

    def test_days_after_the_last_collected_are_asked_for(self, tmp_path: Path) -> None:
        """A collector that has stopped leaves days of which the archive knows nothing: they are missing too."""
        store(Folder(tmp_path), at("2026-07-22 08:10"), odd_minute(at("2026-07-22 08:10")))
        assert len(days_to_backfill(Folder(tmp_path), RESERVE, RT_RPE, start=None, end=None, now=NOW)) == 6

    def test_nothing_known_and_nothing_closed_ask_for_nothing(self, site: Site, tmp_path: Path) -> None:
        """An empty archive without a start, and a period still to come, ask for nothing and fail nothing."""
        for period in ({}, {"start": "2026-07-28"}, {"start": "2027-01-01", "end": "2027-02-01"}):
            assert heal(site, tmp_path, **period) == BackfillResult(())
        assert site.asked == []


def test_it_begins_before_anything_was_collected(site: Site, tmp_path: Path) -> None:
    """With a first day it needs no archive yet: each day's report is fetched, and stands for a reader."""
    site.files = {RT_RPE.file_name(day): Reply(200, real_time(day)) for day in DAYS.values()}
    archive = tmp_path / "new"
    assert outcomes(heal(site, archive, start="2026-07-25")) == {27: "fetched", 26: "fetched", 25: "fetched"}
    assert len(scan_snapshots(archive, sources=("next_day_report",)).collect()) == 3 * 288


def test_how_far_many_days_are_is_told_at_once(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal: days done of how many, rows, and when it ends, likely; of a few days nothing is said."""
    monkeypatch.setattr(SystemClock, "now", lambda _clock: NOW)
    monkeypatch.setattr(SystemClock, "sleep", lambda _clock, _seconds: None)
    site.files = {RT_RPE.file_name(DAYS[27]): Reply(200, BOUND)}
    place = ["--local", str(tmp_path / "new"), "--reports-url", site.url]
    assert main(["backfill", *place, "--start", "2026-07-26"]) == 0
    assert "market days, " not in capsys.readouterr().err
    assert main(["backfill", *place, "--start", "2026-06-01"]) == 0
    told = capsys.readouterr().err
    assert "miso-archive: 1 of 57 market days, 0 rows, ends about 20" in told


def test_days_of_which_nothing_is_published_end_it(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After fourteen in a row no older one is asked for, with a sentence; one that is there begins the count anew."""
    there = date(2026, 7, 20)
    site.files[RT_RPE.file_name(there)] = Reply(200, real_time(there))
    days = heal(site, tmp_path / "new", start="2026-01-01").days
    assert (days[0].market_day, days[-1].market_day) == (date(2026, 7, 27), date(2026, 7, 6))
    assert [day.market_day for day in days if day.outcome == "fetched"] == [there]
    assert len(site.asked) == 22
    assert "nothing is published of the 14 market days back to 2026-07-06: no older one is asked for" in caplog.text


def test_a_killed_one_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    """What was archived before kill -9 is not asked for again; the day that was under way is."""
    days = [date(2026, 7, 22) + number * ONE_DAY for number in range(3)]
    site.files = {RT_RPE.file_name(day): Reply(200, real_time(day)) for day in days}
    site.files[RT_RPE.file_name(days[1])] = Reply(200, real_time(days[1]), delay=60)
    place = ("--local", str(tmp_path / "new"), "--start", "2026-07-22", "--end", "2026-07-25", "--pause", "1")
    command = [sys.executable, "-m", "miso_archive", "backfill", *place, "--reports-url", site.url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        assert until(lambda: len(site.asked) == 2)
        process.kill()
    site.asked.clear()
    site.files[RT_RPE.file_name(days[1])] = Reply(200, real_time(days[1]))
    assert main(["backfill", *place, "--reports-url", site.url]) == 0
    assert site.names == [RT_RPE.file_name(day) for day in (days[1], days[0])]


def test_progress_counts_the_days(site: Site, tmp_path: Path) -> None:
    """Whoever watches is told of each day that is done, of how many are to be, and of the rows that were fetched."""
    told: list[tuple[int, int, int]] = []
    site.files["20260727_rt_rpe.xls"] = Reply(200, real_time(DAYS[26], bound("07-26-2026 08:10:00")))
    heal(site, tmp_path, start="2026-07-25", end="2026-07-28", progress=lambda *counts: told.append(counts))
    assert told == [(1, 3, 0), (2, 3, 1), (3, 3, 1)]


def test_day_ahead_reports_are_fetched_alike(site: Site, tmp_path: Path) -> None:
    """Every closed day that has none is asked for, collected whole or not, and read by its own source."""
    put_whole_day(tmp_path, DAYS[24])
    site.files["20260723_da_rpe.xls"] = Reply(200, day_ahead(DAYS[24], bound(7), bound(24)))
    period = {"start": "2026-07-24", "end": "2026-07-25"}
    assert outcomes(heal(site, tmp_path, source="day_ahead_report", **period)) == {24: "fetched"}
    assert outcomes(heal(site, tmp_path, source="day_ahead_report", **period)) == {24: "already"}
    frame = scan_constraints(tmp_path, sources=("day_ahead_report",)).collect()
    assert frame["interval_end"].to_list() == [at("2026-07-24 07:00"), at("2026-07-25 00:00")]
    assert coverage(tmp_path, now=NOW)["healed"].sum() == 0


class TestCommand:
    DAY = date(2001, 7, 26)
    PERIOD = ("--start", "2001-07-26", "--end", "2001-07-27")

    def test_it_prints_what_became_of_each_day(
        self, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As JSON a row a day, exit code 0; the address comes from the environment or the option; then a table."""
        site.files["20010727_rt_rpe.xls"] = Reply(200, real_time(self.DAY, bound("07-26-2001 08:10:00")))
        command = ["backfill", "--local", str(tmp_path), *self.PERIOD]
        monkeypatch.setenv("MISO_REPORTS_URL", site.url)
        assert main([*command, "--format", "json"]) == 0
        [row] = json.loads(capsys.readouterr().out)
        assert (row["market_day"], row["outcome"], row["rows"], row["covered"]) == ("2001-07-26", "fetched", 1, 288)
        monkeypatch.setenv("MISO_REPORTS_URL", "http://127.0.0.1:1/")
        assert main([*command, "--reports-url", site.url]) == 0
        assert "already" in capsys.readouterr().out

    def test_what_is_not_published_exits_with_0_and_what_fails_with_1(
        self, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """404 is no failure; 403 is one, told on stderr with its code."""
        command = ["backfill", "--local", str(tmp_path), *self.PERIOD, "--reports-url", site.url]
        assert main(command) == 0
        assert "not_published" in capsys.readouterr().out
        site.files["20010727_rt_rpe.xls"] = Reply(403)
        assert main(command) == 1
        assert capsys.readouterr().err.startswith("miso-archive: 2001-07-26 failed: feed_status: ")
        site.files["20010725_da_rpe.xls"] = Reply(403)
        assert main([*command, "--day-ahead"]) == 1
        assert "20010725_da_rpe.xls answers 403" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "options", [("--reports-url", "ftp://x"), ("--pause", "0"), ("--start", "yesterday"), ("--timeout", "0")]
    )
    def test_wrong_usage(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]) -> None:
        """Values that cannot be are named, exit code 2."""
        assert main(["backfill", "--local", str(tmp_path), *options]) == 2
        assert options[0].strip("-") in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            *((name, ()) for name, feed in FEEDS.items() if feed.rolling is None),
            *((name, ("--day-ahead",)) for name in FEEDS),
        ],
    )
    def test_who_asks_it_of_a_feed_without_reports_is_told(
        self, name: str, options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is wrong usage, with the feeds that have one; of these nothing is asked where nothing is missing.

        Where a daily feed heals it, a key is asked for.
        """
        Folder(tmp_path).put_if_absent("sourcing/x", b"", {})
        nobody = ("--reports-url", "http://127.0.0.1:9/")
        code = main(["backfill", "--local", str(tmp_path), "--feed", name, *nobody, *options])
        reports = {report.name for report in FEEDS[name].reports}
        assert code == (0 if reports.intersection({"da_rpe"} if options else {"rt_rpe", "rt_bc", "rt_pbc"}) else 2)
        having = "reserve" if options else "reserve, transmission, subregional"
        told = f"--feed: no report is known that heals {name}: its gaps stay. Of {having} there is one"
        if FEEDS[name].history is not None and not options:
            told = f"{name} is backfilled with a key: MISO_API_KEY"
        assert (told in capsys.readouterr().err) is (code == 2)


def test_settings_come_from_options_environment_and_defaults() -> None:
    """An option wins over the environment, an empty variable counts as not set, and the default is MISO's address."""
    place = {"local": "place"}
    default = BackfillSettings.resolve(place, {"MISO_REPORTS_URL": ""})
    assert (default.reports_url, default.pause) == ("https://docs.misoenergy.org/marketreports/", 5.0)
    environ = {"MISO_REPORTS_URL": "http://127.0.0.1:1/", "MISO_TIMEOUT": "7"}
    assert BackfillSettings.resolve(place, environ).timeout == 7
    given = BackfillSettings.resolve({**place, "reports_url": "http://127.0.0.1:2/", "pause": None}, environ)
    assert (given.reports_url, given.pause) == ("http://127.0.0.1:2/", 5.0)
    with pytest.raises(UsageError, match="MISO_REPORTS_URL: "):
        BackfillSettings.resolve(place, {"MISO_REPORTS_URL": "nowhere"})
