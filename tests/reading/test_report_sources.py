"""Reports beside the live feed: told apart, filling gaps and nothing else, in the reader and in coverage."""

from __future__ import annotations

import gzip
import shutil
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from miso_archive.cli.app import main
from miso_archive.feeds.columns import CONSTRAINTS, SNAPSHOTS, TIME
from miso_archive.feeds.reserve import DA_RPE, RESERVE, RT_RPE
from miso_archive.reading.compaction import compact_month
from miso_archive.reading.coverage import coverage, missing_intervals
from miso_archive.reading.scan import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_archive.reports.archived import store_report
from miso_archive.settings.options import Settings
from miso_archive.store.address import store_of
from miso_archive.store.folder import Folder
from miso_archive.store.layout import report_key, snapshot_key
from miso_archive.store.response import Response
from miso_archive.store.store import UnreadableObjectError
from tests.counted_archive import at, ends_of, odd_minute, store
from tests.report_files import DEADLY, bound, day_ahead, real_time
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from miso_archive.feeds.report import Report
    from miso_archive.store.store import Store
    from tests.conftest import Bucket

BOTH = ("live", "next_day_report")
REPORT = ("next_day_report",)
FIRST, SECOND, THIRD = (date(2026, 7, number) for number in (25, 26, 27))
NOW = at("2026-07-28 12:00")
LIVE_LABELS = ("2026-07-26 08:05", "2026-07-26 08:10", "2026-07-27 00:00", "2026-07-27 12:00")
HELD, MISSING, ODD, LAST = "07-26-2026 08:10:00", "07-26-2026 08:20:00", "07-26-2026 09:02:00", "07-26-2026 00:05:00"


def put(archive: Store, report: Report, day: date, data: bytes, minutes: int = 0) -> str:
    """Archive a report as the backfill does, fetched so many minutes after noon of the day after; return its key."""
    fetched = datetime.combine(day, at("2026-07-26 12:00").timetz()) + timedelta(days=1, minutes=minutes)
    return store_report(archive, RESERVE, report, day, Response(data, fetched, "http://127.0.0.1/", "")).key


def fill(archive: Store) -> None:
    """Live: four intervals of the second day and the third. Reports: the first day, quiet, and the second."""
    for label in LIVE_LABELS:
        store(archive, at(label), odd_minute(at(label)))
    put(archive, RT_RPE, FIRST, real_time(FIRST))
    rows = [bound(HELD), bound(MISSING, -1.0), bound(MISSING, -2.0, "X - Y Zone_1"), bound(ODD), bound(LAST)]
    put(archive, RT_RPE, SECOND, real_time(SECOND, *rows))
    put(archive, DA_RPE, SECOND, day_ahead(SECOND, bound(1), bound(1, name="B"), bound(24)))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive in a folder; not to be changed."""
    folder = tmp_path_factory.mktemp("archive")
    fill(Folder(folder))
    return folder


@pytest.fixture
def own(archive: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(archive, tmp_path / "own")


def labels(frame: pl.DataFrame) -> list[str]:
    """The labels of a frame's rows, in its order, as ``26 08:10``."""
    return frame["interval_end"].dt.strftime("%d %H:%M").to_list()


def ending(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """The rows of the interval with this end."""
    return frame.filter(pl.col("interval_end") == pl.lit(at(label), TIME))


class TestConstraints:
    def test_live_alone_unless_asked(self, archive: Path) -> None:
        """Without ``sources`` nothing of a report is given."""
        frame = scan_constraints(archive).collect()
        assert labels(frame) == ["26 08:05", "26 08:10", "27 00:00", "27 12:00"]
        assert set(frame["source"]) == {"live"}
        assert_frame_equal(scan_constraints(archive, sources=("live",)).collect(), frame)

    def test_a_report_fills_what_is_missing_and_nothing_else(self, archive: Path) -> None:
        """Its rows stand in time order among the live ones, of intervals without a live snapshot only."""
        frame = scan_constraints(archive, sources=BOTH).collect()
        assert frame.schema == CONSTRAINTS
        assert list(zip(labels(frame), frame["source"], frame["shadow_price"], strict=True)) == [
            ("26 00:05", "next_day_report", -8.32),
            ("26 08:05", "live", -1.0),
            ("26 08:10", "live", -1.0),
            ("26 08:20", "next_day_report", -1.0),
            ("26 08:20", "next_day_report", -2.0),
            ("27 00:00", "live", -1.0),
            ("27 12:00", "live", -1.0),
        ]
        live = frame.filter(pl.col("source") == "live")
        assert_frame_equal(live, scan_constraints(archive).collect())

    def test_reports_alone_give_all_their_rows(self, archive: Path) -> None:
        """Also those of intervals that the live feed has, and of times off the grid."""
        frame = scan_constraints(archive, sources=REPORT).collect()
        assert labels(frame) == ["26 00:05", "26 08:10", "26 08:20", "26 08:20", "26 09:02"]
        assert set(frame["object_key"]) == {f"reports/{RESERVE.dataset}/rt_rpe/2026-07-26/20260727_rt_rpe.xls.gz"}

    def test_day_ahead_rows_are_hours(self, archive: Path) -> None:
        """The day-ahead source gives hours, and quiet hours among its snapshots."""
        frame = scan_constraints(archive, sources=("day_ahead_report",)).collect()
        assert labels(frame) == ["26 01:00", "26 01:00", "27 00:00"]
        assert (frame["interval_end"] - frame["interval_start"]).to_list() == [timedelta(hours=1)] * 3
        hours = scan_snapshots(archive, sources=("day_ahead_report",)).collect()
        assert hours["constraints"].to_list() == [2, *[0] * 22, 1]

    @pytest.mark.parametrize("sources", [(), ("",), ("live", "report"), ("live", "day_ahead_report"), "lively"])
    def test_sources_that_cannot_be_are_refused(self, archive: Path, sources: Sequence[str]) -> None:
        """Unknown sources, none, and the day-ahead market beside real time are a ValueError, at once."""
        with pytest.raises(ValueError, match=r"sources are|scan it alone"):
            scan_constraints(archive, sources=sources)


class TestSnapshots:
    def test_every_interval_has_one_row(self, archive: Path) -> None:
        """Live where there is a live one, else the report's; quiet where the report has no row."""
        frame = scan_snapshots(archive, sources=BOTH).collect()
        assert frame.schema == SNAPSHOTS
        assert frame["interval_end"].is_sorted()
        assert frame["interval_end"].n_unique() == len(frame) == 288 + 287 + 1
        binding = frame.filter(~pl.col("quiet") & (pl.col("source") == "next_day_report"))
        assert list(zip(labels(binding), binding["constraints"], strict=True)) == [("26 00:05", 1), ("26 08:20", 2)]
        assert frame.filter(pl.col("source") == "live").height == 4
        assert (frame["quiet"] == (frame["constraints"] == 0)).all()

    def test_a_time_off_the_grid_fills_nothing(self, archive: Path) -> None:
        """The interval that 09:02 falls into stays without a row."""
        frame = scan_snapshots(archive, sources=BOTH, start=SECOND, end=THIRD).collect()
        assert set(ends_of(SECOND)) - set(frame["interval_end"]) == {at("2026-07-26 09:05")}

    def test_reports_alone_cover_their_days(self, archive: Path) -> None:
        """All of the first day, quiet; all of the second but for the interval of 09:02."""
        frame = scan_snapshots(archive, sources=REPORT).collect()
        assert frame.group_by("market_day", maintain_order=True).len().rows() == [(FIRST, 288), (SECOND, 287)]
        assert set(frame["source"]) == {"next_day_report"}

    def test_where_the_live_snapshot_is_damaged_the_report_fills(self, own: Path) -> None:
        """A snapshot that cannot be read is as good as none: the warning tells, and the report's row stands in."""
        (own / snapshot_key(RESERVE, at("2026-07-26 08:10"))).write_bytes(b"")
        with pytest.warns(SkippedObjectsWarning, match=r"^1 of"):
            frame = scan_constraints(own, sources=BOTH, start=SECOND, end=THIRD).collect()
        [row] = ending(frame, "2026-07-26 08:10").to_dicts()
        assert row["source"] == "next_day_report"


class Counting(Folder):
    """A folder that remembers which keys were read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.keys: list[str] = []

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        self.keys += keys
        return super().read(keys)


class TestScan:
    def test_a_filter_on_market_day_spares_other_reports(self, archive: Path) -> None:
        """Days that are not asked for are not read, by ``start`` and ``end`` or by a filter; live alone reads none."""
        for period in (True, False):
            counted = Counting(archive)
            if period:
                scan = scan_snapshots(counted, sources=BOTH, start=FIRST, end=SECOND)
            else:
                scan = scan_snapshots(counted, sources=BOTH).filter(pl.col("market_day") == FIRST)
            assert scan.collect().height == 288
            assert [key for key in counted.keys if key.startswith("reports/")] == [
                f"reports/{RESERVE.dataset}/rt_rpe/2026-07-25/20260726_rt_rpe.xls.gz"
            ]
        live = Counting(archive)
        scan_snapshots(live).collect()
        assert not [key for key in live.keys if key.startswith("reports/")]

    @pytest.mark.parametrize("rows", [1, 3, 290, 1000])
    def test_the_first_rows_are_the_first(self, archive: Path, rows: int) -> None:
        """``head`` and a selection of columns give what they give of the whole frame."""
        scan = scan_snapshots(archive, sources=BOTH).select("interval_end", "source")
        assert_frame_equal(scan.head(rows).collect(), scan.collect().head(rows))

    def test_compacted_it_is_the_same(self, own: Path) -> None:
        """Compaction takes no row of a report, and beside compacted months reports fill as before."""
        before = [scan(own, sources=BOTH).collect() for scan in (scan_constraints, scan_snapshots)]
        compact_month(own, SECOND, now=NOW)
        for path in (
            path for table in ("constraints", "snapshots") for path in own.glob(f"curated/*/{table}/*.parquet")
        ):
            assert set(pl.read_parquet(path)["source"]) == {"live"}
        for scan, frame in zip((scan_constraints, scan_snapshots), before, strict=True):
            assert_frame_equal(scan(own, sources=BOTH).collect(), frame)

    @ON_REAL_SERVERS
    def test_a_bucket_gives_the_same(self, archive: Path, bucket: Bucket) -> None:
        """The same rows and the same coverage from S3."""
        fill(store_of(Settings(s3_bucket=bucket.name)))
        address = f"s3://{bucket.name}"
        for scan in (scan_constraints, scan_snapshots):
            assert_frame_equal(scan(address, sources=BOTH).collect(), scan(archive, sources=BOTH).collect())
        assert_frame_equal(coverage(address, now=NOW), coverage(archive, now=NOW))


class TestCommand:
    def test_read_takes_the_sources(self, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """``read --sources`` gives the frame of the same sources, and its table says of each row where it is from."""
        file = tmp_path / "both.parquet"
        read = ["read", "--local", str(archive), "--sources", *BOTH]
        assert main([*read, "--format", "parquet", "--output", str(file)]) == 0
        assert_frame_equal(pl.read_parquet(file), scan_constraints(archive, sources=BOTH).collect())
        assert main(read) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [lines[row].split()[-1] for row in (1, 2)] == ["next_day_report", "live"]

    @pytest.mark.parametrize(
        ("sources", "told"), [(("live", "day_ahead_report"), "scan it alone"), (("report",), "for --sources")]
    )
    def test_wrong_sources_are_wrong_usage(
        self, archive: Path, sources: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Sources that are not known, or do not go together, end with exit code 2 and a sentence."""
        assert main(["read", "--local", str(archive), "--sources", *sources]) == 2
        assert told in capsys.readouterr().err


class TestRevisions:
    def test_the_last_one_fetched_counts(self, own: Path) -> None:
        """Of several reports of a day the last readable one stands; with all revisions each has its rows."""
        for minutes, price in ((30, -3.0), (10, -2.0)):
            put(Folder(own), RT_RPE, SECOND, real_time(SECOND, bound(MISSING, price)), minutes)
        frame = scan_constraints(own, sources=REPORT).collect()
        assert frame["shadow_price"].to_list() == [-3.0]
        every = scan_constraints(own, sources=REPORT, latest_only=False).collect()
        at_label = ending(every, "2026-07-26 08:20")
        assert at_label.select("revision", "is_latest", "shadow_price").rows() == [
            *((0, False, -1.0), (0, False, -2.0), (1, False, -2.0), (2, True, -3.0))
        ]
        # The last report has no time off the grid.
        assert ending(scan_snapshots(own, sources=BOTH).collect(), "2026-07-26 09:05")["quiet"].to_list() == [True]

    def test_a_damaged_one_leaves_the_one_before(self, own: Path) -> None:
        """What cannot be read is told in the warning, or raised with ``strict``, and no gap is healed by it."""
        last = own / put(Folder(own), RT_RPE, SECOND, real_time(SECOND), 10)
        last.write_bytes(last.read_bytes()[:-5])
        with pytest.warns(SkippedObjectsWarning, match=last.name):
            assert len(scan_constraints(own, sources=REPORT).collect()) == 5
        with pytest.raises(UnreadableObjectError, match=last.name):
            scan_constraints(own, sources=BOTH, strict=True).collect()
        (own / report_key(RESERVE, "rt_rpe", SECOND, RT_RPE.file_name(SECOND))).write_bytes(gzip.compress(b"<html>"))
        with pytest.warns(SkippedObjectsWarning, match="html_page"):
            assert scan_constraints(own, sources=REPORT).collect().is_empty()
        assert coverage(own, now=NOW)["healed"].to_list() == [288, 0, 0]

    def test_one_that_would_end_the_process_is_left_out(self, own: Path) -> None:
        """A workbook on which the library aborts costs its own rows, and neither the process nor the others'."""
        put(Folder(own), RT_RPE, SECOND, DEADLY, 10)
        with pytest.warns(SkippedObjectsWarning, match="it is damaged"):
            assert len(scan_constraints(own, sources=REPORT).collect()) == 5
        put(Folder(own), RT_RPE, THIRD, DEADLY)
        assert coverage(own, now=NOW)["healed"].to_list() == [288, 284, 0]

    def test_what_is_no_report_is_told(self, own: Path) -> None:
        """A foreign file among the reports is left out with a warning; one being written is not."""
        folder = (own / report_key(RESERVE, "rt_rpe", SECOND, RT_RPE.file_name(SECOND))).parent
        (folder / "notes.txt").write_text("mine")
        (folder / ".partial").write_text("half")
        with pytest.warns(SkippedObjectsWarning, match=r"^1 of .*notes\.txt"):
            assert len(scan_constraints(own, sources=REPORT).collect()) == 5


class TestCoverage:
    def test_healed_is_what_is_missing_and_reported(self, archive: Path) -> None:
        """The first day whole; of the second all but the three collected and that of 09:02; of the third nothing."""
        frame = coverage(archive, now=NOW)
        assert frame.select("market_day", "collected", "missing", "healed").rows() == [
            (FIRST, 0, 288, 288),
            (SECOND, 3, 285, 284),
            (THIRD, 1, 287, 0),
        ]

    def test_every_missing_interval_tells(self, archive: Path) -> None:
        """The list of missing intervals says of each whether it is healed, as ``coverage`` counts them."""
        frame = missing_intervals(archive, now=NOW)
        assert frame.group_by("market_day", maintain_order=True).agg(pl.len(), pl.col("healed").sum()).rows() == [
            (FIRST, 288, 288),
            (SECOND, 285, 284),
            (THIRD, 287, 0),
        ]
        unhealed = frame.filter(~pl.col("healed"), market_day=SECOND)
        assert labels(unhealed) == ["26 09:05"]

    def test_a_day_that_is_not_over_is_healed_as_far_as_it_is_expected(self, archive: Path) -> None:
        """Healed is never more than missing, whatever the time."""
        for now in ("2026-07-25 12:00", "2026-07-26 08:15", "2026-07-26 09:05"):
            frame = coverage(archive, start=FIRST, end=THIRD, now=at(now))
            assert (frame["healed"] <= frame["missing"]).all()

    def test_day_ahead_reports_heal_nothing(self, tmp_path: Path) -> None:
        """Another market's report is no observation of this one."""
        put(Folder(tmp_path), DA_RPE, FIRST, day_ahead(FIRST))
        assert coverage(tmp_path, start=FIRST, end=SECOND, now=NOW)["healed"].to_list() == [0]
