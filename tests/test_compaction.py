"""Compaction: the same rows from Parquet as from the raw objects, whatever happens beside it or in its midst."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import polars as pl
import pytest

from miso_reserve.archive import store_snapshot
from miso_reserve.columns import CONSTRAINTS, SNAPSHOTS
from miso_reserve.compaction import CompactedMonth, compact_month, months_to_compact
from miso_reserve.curated import Compacted, Table
from miso_reserve.dataset import RESERVE
from miso_reserve.days import Days
from miso_reserve.interval import EST
from miso_reserve.local_archive import open_folder
from miso_reserve.local_objects import LocalObjects
from miso_reserve.objects import ArchiveError, UnreadableObjectError
from miso_reserve.reader import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_reserve.reading import Reading
from miso_reserve.response import Response
from miso_reserve.simulate.market import documented_body, snapshot_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from miso_reserve.archive import Archive

SEED = 307
JULY, AUGUST = date(2026, 7, 1), date(2026, 8, 1)
CURATED = "curated/miso_binding_constraints_reserve"
RAW = "sourcing/miso_binding_constraints_reserve"
AFTER_JULY = datetime(2026, 8, 1, 12, 0, tzinfo=EST)
TABLES: tuple[Table, Table] = ("constraints", "snapshots")


def at(text: str) -> datetime:
    """The interval end ``07-27 08:10`` of 2026, EST."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=EST)


def store(archive: Archive, interval_end: datetime, body: bytes, minutes: int = 2) -> str:
    """Put a body as the collector does, fetched so many minutes after its label; return its key."""
    snapshot = RESERVE.examine(body).snapshot
    assert snapshot is not None
    response = Response(body, interval_end + timedelta(minutes=minutes), "http://127.0.0.1/", "application/json")
    return store_snapshot(archive, RESERVE, snapshot, response).key


def binds(interval_end: datetime, revision: int = 1) -> bytes:
    """A body in which something binds: a revision of the simulated market always has a row."""
    return snapshot_body(interval_end, seed=SEED, revision=revision)


def fill(archive: Archive, first: date, days: int) -> None:
    """Three snapshots a market day, the last of them labelled 00:00; every other day in the documented shape."""
    for number in range(days):
        midnight = datetime.combine(first + timedelta(days=number), datetime.min.time(), EST)
        body = documented_body if number % 2 else snapshot_body
        for minutes, revision in ((5, 1), (490, 0), (1440, 2)):
            interval_end = midnight + timedelta(minutes=minutes)
            store(archive, interval_end, body(interval_end, seed=SEED, revision=revision))


def frame(folder: Path, table: Table = "constraints", **options: Any) -> pl.DataFrame:  # noqa: ANN401 - the reader's
    """All rows of a table, superseded ones too."""
    scan = scan_constraints if table == "constraints" else scan_snapshots
    return scan(folder, latest_only=False, **options).collect()


def frames(folder: Path) -> list[pl.DataFrame]:
    """All rows of both tables."""
    return [frame(folder, table) for table in TABLES]


def same(left: Sequence[pl.DataFrame], right: Sequence[pl.DataFrame]) -> bool:
    """Whether both are the same, rows and types."""
    return all(a.schema == b.schema and a.equals(b) for a, b in zip(left, right, strict=True))


def from_raw(folder: Path, elsewhere: Path) -> list[pl.DataFrame]:
    """What the raw objects of an archive say, read where nothing is compacted."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    for part in ("sourcing", "provenance"):
        shutil.copytree(folder / part, elsewhere / part)
    return frames(elsewhere)


def compacted_file(folder: Path, table: Table = "constraints", month: str = "2026-07") -> Path:
    """Where a compacted month stands."""
    return folder / CURATED / table / f"{month}.parquet"


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below ``curated``, its bytes and when it was written."""
    paths = [path for path in (folder / "curated").rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def compacted(folder: Path, month: date = JULY, now: datetime = AFTER_JULY) -> CompactedMonth:
    """Compact a month that has something to compact."""
    result = compact_month(folder, month, now=now)
    assert result is not None
    return result


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 2026-06-29 to 2026-08-03, three snapshots a day, one of them revised; not to be changed."""
    folder = tmp_path_factory.mktemp("filled")
    archive = open_folder(folder)
    fill(archive, date(2026, 6, 29), 36)
    store(archive, at("07-10 08:10"), binds(at("07-10 08:10"), 3), 9)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """A copy of that archive."""
    return Path(shutil.copytree(filled, tmp_path / "archive"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """An archive of 2026-07-01 to 2026-07-03, three snapshots a day."""
    folder = tmp_path / "small"
    fill(open_folder(folder), JULY, 3)
    return folder


class TestSameRows:
    def test_a_compacted_archive_reads_as_its_raw_objects(self, folder: Path, filled: Path) -> None:
        """Both tables are the same, rows and types, before and after compaction, with a month compacted in part."""
        for month in months_to_compact(folder, now=at("08-03 12:00")):
            compact_month(folder, month, now=at("08-03 12:00"))
        stand = sorted(path.relative_to(folder / CURATED).as_posix() for path in (folder / CURATED).rglob("*.parquet"))
        assert stand == [f"{table}/2026-{month}.parquet" for table in TABLES for month in ("06", "07", "08")]
        assert same(frames(folder), frames(filled))

    def test_every_raw_row_is_in_the_compacted_month_once(self, folder: Path) -> None:
        """The Parquet file alone holds what plain Python finds in the raw objects of the month, 00:00 included."""
        compacted(folder)
        expected = []
        for path in (folder / RAW).rglob("*.json.gz"):
            month, day, hour = path.name[32:34], path.name[34:36], path.name[37:41]
            if (month == "07" and (day, hour) != ("01", "0000")) or (month, day, hour) == ("08", "01", "0000"):
                body = json.loads(gzip.decompress(path.read_bytes()))
                rows = [row for row in body["Constraint"] if not row["Name"].startswith("None")]
                expected += [(path.name, row["Name"], float(row["Price"])) for row in rows]
        standing = pl.read_parquet(compacted_file(folder))
        found = standing.select(pl.col("object_key").str.split("/").list.last(), "constraint_name", "shadow_price")
        assert len(expected) > 60
        assert sorted(found.rows()) == sorted(expected)

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-06-30", "2026-07-02"),
            ("2026-07-05", "2026-07-06"),
            ("2026-07-30", "2026-08-02"),
            (None, "2026-07-02"),
        ],
    )
    def test_a_period_is_the_same_from_compacted_and_raw(
        self, folder: Path, filled: Path, start: str | None, end: str
    ) -> None:
        """A period that cuts through a compacted month holds its days' rows and no others."""
        compacted(folder)
        asked = frame(folder, "snapshots", start=start, end=end)
        assert asked.equals(frame(filled, "snapshots", start=start, end=end))
        assert asked["market_day"].min() == date.fromisoformat(start or "2026-06-29")
        assert asked["market_day"].max() == date.fromisoformat(end) - timedelta(days=1)

    def test_raw_objects_are_kept(self, folder: Path) -> None:
        """Compaction adds to an archive and takes nothing away."""
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        compacted(folder)
        assert {path: path.read_bytes() for path in before} == before

    def test_a_damaged_day_beside_a_compacted_one_is_not_read(self, folder: Path) -> None:
        """Compacted days come from Parquet alone: their raw objects are not looked at."""
        compacted(folder)
        before = frames(folder)
        for path in (folder / RAW / "2026-07-10").iterdir():
            path.write_bytes(b"")
        assert same(frames(folder), before)


class TestClosedDays:
    @pytest.mark.parametrize(
        ("now", "through"),
        [("07-20 00:59", date(2026, 7, 18)), ("07-20 01:00", date(2026, 7, 19)), ("09-01 00:00", date(2026, 7, 31))],
    )
    def test_a_day_is_closed_an_hour_after_its_last_interval(self, folder: Path, now: str, through: date) -> None:
        """Through which day a month is compacted turns over at 01:00 EST, and ends with the month."""
        result = compacted(folder, now=at(now))
        days = (through - JULY).days + 1
        assert (result.month, result.through, result.written) == (JULY, through, True)
        assert result.snapshots == 3 * days + (through >= date(2026, 7, 10))
        assert pl.read_parquet(compacted_file(folder, "snapshots"))["market_day"].max() == through

    @pytest.mark.parametrize(("now", "day"), [("05:59", 18), ("06:00", 19)])
    def test_the_hour_is_the_same_in_any_time_zone(self, folder: Path, now: str, day: int) -> None:
        """The time is an instant: given in UTC, days close at 06:00."""
        result = compacted(folder, now=datetime.fromisoformat(f"2026-07-20T{now}:00+00:00"))
        assert result.through == date(2026, 7, day)

    def test_a_time_without_zone_is_refused(self, folder: Path) -> None:
        """A naive time may be anywhere, and closes nothing."""
        naive = datetime(2026, 7, 20)  # noqa: DTZ001 - the point
        with pytest.raises(ValueError, match="time zone"):
            months_to_compact(folder, now=naive)
        with pytest.raises(ValueError, match="time zone"):
            compact_month(folder, JULY, now=naive)
        assert not (folder / "curated").exists()

    def test_the_months_of_a_period_are_told(self, folder: Path) -> None:
        """Months are those with closed market days: the first folder's day before, and none that is still open."""
        june = date(2026, 6, 1)
        assert months_to_compact(folder, now=at("09-01 12:00")) == [june, JULY, AUGUST]
        assert months_to_compact(folder, now=at("08-02 00:59")) == [june, JULY]
        assert months_to_compact(folder, now=at("08-02 01:00")) == [june, JULY, AUGUST]
        assert months_to_compact(folder, start="2026-07-01", end=AUGUST, now=at("09-01 12:00")) == [JULY]
        assert months_to_compact(folder, now=at("01-01 12:00")) == []

    def test_without_a_time_the_present_counts(self, tmp_path: Path) -> None:
        """Today is not closed, and the day before yesterday is."""
        today = datetime.now(EST).replace(hour=0, minute=5, second=0, microsecond=0)
        archive = open_folder(tmp_path)
        for interval_end in (today, today - timedelta(days=2)):
            store(archive, interval_end, binds(interval_end))
        for month in months_to_compact(tmp_path):
            compact_month(tmp_path, month)
        days = pl.read_parquet(tmp_path / CURATED / "snapshots" / "*.parquet")["market_day"].to_list()
        assert days == [today.date() - timedelta(days=2)]

    def test_a_month_without_a_closed_snapshot_leaves_no_file(self, folder: Path) -> None:
        """A month that is not over its first day, or has nothing, is None and writes nothing."""
        assert compact_month(folder, AUGUST, now=at("08-02 00:59")) is None
        assert compact_month(folder, date(2026, 1, 1), now=at("08-02 00:59")) is None
        assert not (folder / "curated").exists()

    def test_any_day_names_its_month(self, folder: Path) -> None:
        """A month may be given by any of its days."""
        assert compacted(folder, date(2026, 7, 17)).month == JULY

    def test_a_clock_that_goes_back_takes_no_day_out(self, folder: Path) -> None:
        """With an earlier time than the last run's, the days that stand compacted stay so."""
        compacted(folder)
        before = state(folder)
        result = compacted(folder, now=at("07-05 12:00"))
        assert (result.through, result.written) == (date(2026, 7, 31), False)
        assert state(folder) == before

    def test_days_that_close_later_are_added(self, folder: Path, filled: Path) -> None:
        """A run a day later covers a day more, and what is read stays the same."""
        compacted(folder, now=at("07-20 12:00"))
        assert same(frames(folder), frames(filled))
        assert compacted(folder, now=at("07-21 12:00")).through == date(2026, 7, 20)
        assert same(frames(folder), frames(filled))


class TestRepetition:
    def test_a_second_run_writes_nothing(self, folder: Path) -> None:
        """Repeated, compaction tells the same and leaves every file as it is, to the time of writing."""
        first = compacted(folder)
        before = state(folder)
        second = compacted(folder)
        assert (first.written, second.written) == (True, False)
        assert {**first.as_dict(), "written": None} == {**second.as_dict(), "written": None}
        assert state(folder) == before
        assert len(before) == 2

    def test_what_became_of_a_month_is_counted(self, folder: Path) -> None:
        """The result counts the rows of both files, and what could not be read."""
        (folder / RAW / "2026-07-03" / "notes.txt").write_text("mine")
        result = compacted(folder)
        rows = [len(pl.read_parquet(compacted_file(folder, table))) for table in TABLES]
        assert [result.constraints, result.snapshots] == rows
        assert (result.snapshots, result.unreadable) == (31 * 3 + 1, 1)
        assert result.as_dict()["month"] == "2026-07"

    @pytest.mark.parametrize(
        "interval_end", ["07-12 08:10", "07-12 09:00", "08-01 00:00"], ids=["revised", "late", "00:00"]
    )
    def test_what_arrives_later_is_seen_after_the_next_run(
        self, folder: Path, tmp_path: Path, interval_end: str
    ) -> None:
        """A revision or a late first body of a compacted day is not there until the next compaction, and is then."""
        compacted(folder)
        before = frames(folder)
        key = store(open_folder(folder), at(interval_end), binds(at(interval_end), 5), 60 * 24 * 30)
        assert same(frames(folder), before)
        assert compacted(folder).written
        after = frames(folder)
        assert key in after[0]["object_key"]
        assert same(after, from_raw(folder, tmp_path / "raw"))
        labels = [row["is_latest"] for row in after[1].iter_rows(named=True) if row["interval_end"] == at(interval_end)]
        assert labels == [False] * (len(labels) - 1) + [True]
        assert not compacted(folder).written

    def test_a_foreign_file_that_comes_later_is_told_of(self, folder: Path) -> None:
        """What is laid among the snapshots after a compaction is unreadable in the next."""
        compacted(folder)
        (folder / RAW / "2026-07-03" / "notes.txt").write_text("mine")
        result = compacted(folder)
        assert (result.written, result.unreadable) == (True, 1)

    def test_a_closed_day_with_nothing_is_covered(self, small: Path) -> None:
        """A day that closes without a snapshot is compacted too, so that it is not looked for again."""
        assert compacted(small, now=at("07-05 12:00")).through == date(2026, 7, 4)
        assert compacted(small, now=at("07-10 12:00")).through == date(2026, 7, 9)
        standing = [Compacted.of(compacted_file(small, table).read_bytes()) for table in TABLES]
        assert [one and one.through for one in standing] == [date(2026, 7, 9)] * 2

    def test_one_table_gone_is_written_again(self, folder: Path) -> None:
        """Where one of the two files is missing it is made anew, and the other is left alone."""
        compacted(folder)
        before = state(folder)
        compacted_file(folder, "snapshots").unlink()
        assert compacted(folder).written
        after = state(folder)
        assert {name: data for name, (data, _) in after.items()} == {name: data for name, (data, _) in before.items()}
        kept = str(compacted_file(folder))
        assert after[kept] == before[kept]

    def test_progress_counts_the_days(self, folder: Path) -> None:
        """Whoever watches is told how many market days are read, to the last."""
        told: list[tuple[int, int]] = []
        compact_month(folder, JULY, now=AFTER_JULY, progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (31, 31)


class TestDamage:
    DAMAGE = (("truncated", "07-05 08:10"), ("empty", "07-06 00:05"), ("not gzip", "07-07 00:00"))

    @pytest.fixture
    def damaged(self, folder: Path) -> dict[str, bytes]:
        """The archive with three damaged objects in July; their keys, and what they held."""
        held = {}
        for kind, label in self.DAMAGE:
            end = at(label)
            key = f"{RAW}/{end:%Y-%m-%d}/binding_constraints_reserve_{end:%Y%m%d_%H%M}.json.gz"
            held[key] = (folder / key).read_bytes()
            (folder / key).write_bytes({"truncated": held[key][:-9], "empty": b"", "not gzip": b"{}"}[kind])
        return held

    @staticmethod
    def warned(folder: Path, **options: str) -> tuple[pl.DataFrame, list[str]]:
        """The rows, and the warnings of the reading."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = frame(folder, "snapshots", **options)
        return found, [str(warning.message) for warning in caught if warning.category is SkippedObjectsWarning]

    def test_damaged_objects_are_told_of_from_compacted_as_from_raw(
        self, folder: Path, damaged: dict[str, bytes]
    ) -> None:
        """The warning from a compacted month is the one from raw: the same count, keys and reasons."""
        rows, told = self.warned(folder)
        assert compacted(folder).unreadable == 3
        assert compacted_file(folder).exists()
        after, told_after = self.warned(folder)
        assert after.equals(rows)
        [message], [message_after] = told, told_after
        assert message.startswith("3 of the objects in ")
        assert all(key in message for key in damaged)
        assert sorted(message_after.partition(": ")[2].split("; ")) == sorted(message.partition(": ")[2].split("; "))

    @pytest.mark.parametrize("table", TABLES)
    def test_strict_raises_from_compacted_too(self, folder: Path, damaged: dict[str, bytes], table: Table) -> None:
        """With strict, an object that could not be read when the month was compacted still raises."""
        compacted(folder)
        with pytest.raises((UnreadableObjectError, pl.exceptions.ComputeError)) as caught:
            frame(folder, table, strict=True)
        assert any(key in str(caught.value) for key in damaged)

    def test_a_day_without_damage_warns_of_nothing(self, folder: Path, damaged: dict[str, bytes]) -> None:
        """Of a compacted month only the days asked for are warned of."""
        compacted(folder)
        assert self.warned(folder, start="2026-07-08", end="2026-08-01")[1] == []
        [message] = self.warned(folder, start="2026-07-06", end="2026-07-07")[1]
        assert message.startswith("2 of the objects")
        assert sum(key in message for key in damaged) == 2

    def test_a_mended_object_is_seen_after_the_next_run(
        self, folder: Path, filled: Path, damaged: dict[str, bytes]
    ) -> None:
        """What was damaged and is mended under the same key is in the month after the next compaction."""
        compacted(folder)
        before = state(folder)
        assert not compacted(folder).written
        assert state(folder) == before
        for key, data in damaged.items():
            (folder / key).write_bytes(data)
        result = compacted(folder)
        assert (result.written, result.unreadable) == (True, 0)
        assert same(frames(folder), frames(filled))

    def test_raw_objects_that_are_gone_are_not_taken_out(self, folder: Path) -> None:
        """A month holding what its raw objects no longer do is an error that names one, and stays as it is."""
        compacted(folder)
        before = state(folder)
        gone = folder / RAW / "2026-07-05"
        names = sorted(path.name for path in gone.iterdir())
        shutil.rmtree(gone)
        with pytest.raises(ArchiveError, match=rf"holds {len(names)} snapshots .* {RAW}/2026-07-05/{names[0]}"):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before

    @pytest.mark.parametrize("absent", ["constraints", "snapshots"])
    def test_either_table_is_enough_to_miss_raw_objects(self, folder: Path, absent: Table) -> None:
        """Where one of the two files is gone as well, the other still is not made less."""
        compacted(folder)
        compacted_file(folder, absent).unlink()
        before = state(folder)
        shutil.rmtree(folder / RAW / "2026-07-05")
        with pytest.raises(ArchiveError, match="2026-07-05"):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before

    def test_a_month_whose_raw_objects_are_all_gone_is_an_error(self, folder: Path) -> None:
        """A compacted month that has lost all its raw objects is kept, and not passed over in silence."""
        compacted(folder)
        before = state(folder)
        shutil.rmtree(folder / "sourcing")
        with pytest.raises(ArchiveError, match="gone"):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before

    def test_an_object_damaged_after_compaction_is_not_taken_out(self, folder: Path) -> None:
        """What a month holds and its raw object no longer gives stays in the month, also when new objects arrive."""
        compacted(folder)
        before = state(folder)
        [rotten, *_] = sorted((folder / RAW / "2026-07-05").iterdir())
        rotten.write_bytes(rotten.read_bytes()[:-9])
        store(open_folder(folder), at("07-20 12:00"), binds(at("07-20 12:00")))
        with pytest.raises(ArchiveError, match=rotten.name):
            compact_month(folder, JULY, now=AFTER_JULY)
        assert state(folder) == before


class TestForeignParquet:
    @staticmethod
    def _spoil(path: Path, kind: str) -> None:
        data = path.read_bytes()
        if kind == "foreign":
            pl.DataFrame({"a": [1]}).write_parquet(path)
        elif kind == "other version":
            standing = Compacted.of(data)
            assert standing is not None
            other = standing.model_copy(update={"version": 2}).as_metadata("constraints")
            pl.read_parquet(path).clear().write_parquet(path, metadata=other)
        elif kind == "unreadable metadata":
            pl.read_parquet(path).clear().write_parquet(path, metadata={"miso_reserve": '{"version": 1}'})
        else:
            # Turning the marks of the footer's structure over is what makes Parquet readers fail in odd ways.
            footer = data[:-60] + bytes(255 - byte for byte in data[-60:-8]) + data[-8:]
            spoilt = {"empty": b"", "cut": data[:-20], "text": b"hello" * 99, "marks": b"PAR1PAR1", "footer": footer}
            path.write_bytes(spoilt[kind])

    @pytest.mark.parametrize(
        "kind", ["foreign", "other version", "unreadable metadata", "empty", "cut", "text", "marks", "footer"]
    )
    def test_what_is_no_compacted_month_is_passed_over(self, folder: Path, filled: Path, kind: str) -> None:
        """A damaged, foreign or other-version file makes the raw objects be read, and the next run replace it."""
        compacted(folder)
        for table in TABLES:
            self._spoil(compacted_file(folder, table), kind)
        assert same(frames(folder), frames(filled))
        assert compacted(folder).written
        assert same([pl.read_parquet(compacted_file(folder, table)) for table in TABLES], july(filled))

    def test_a_damaged_footer_never_stops_the_reader(self, folder: Path) -> None:
        """Whichever byte of the footer is turned over, a file says what it did, or counts as none."""
        compacted(folder)
        data = compacted_file(folder).read_bytes()
        standing = Compacted.of(data)
        length = int.from_bytes(data[-8:-4], "little")
        answers = [
            Compacted.of(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
            for place in range(len(data) - length - 8, len(data), 7)
        ]
        assert standing is not None
        assert None in answers

    def test_files_of_other_names_are_passed_over(self, folder: Path, filled: Path) -> None:
        """What is not named by a month is not read, nor is a month that no calendar has."""
        compacted(folder)
        for name in (
            "2026-07 copy.parquet",
            "2026-13.parquet",
            "2026-00.parquet",
            "0000-01.parquet",
            ".2026-08.parquet",
        ):
            shutil.copy(compacted_file(folder), folder / CURATED / "constraints" / name)
        assert same(frames(folder), frames(filled))


def july(folder: Path) -> list[pl.DataFrame]:
    """The rows of July, of both tables."""
    return [frame(folder, table, start="2026-07-01", end="2026-08-01") for table in TABLES]


_COMPACT_AND_DIE = """
import os, signal, sys
from datetime import date, datetime
from pathlib import Path
from miso_reserve.compaction import compact_month
from miso_reserve.local_objects import LocalObjects

folder, table, moment, now = sys.argv[1:]
replace, rename = LocalObjects.replace, Path.replace

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def replacing(self, key, data):
    dies = f"/{table}/" in key
    if dies and moment == "before":
        die()
    replace(self, key, data[: len(data) // 2] if dies and moment == "torn" else data)
    if dies:
        die()

def renaming(self, target):
    if moment in {"torn", "whole"} and f"/{table}/" in str(target):
        die()
    return rename(self, target)

LocalObjects.replace, Path.replace = replacing, renaming
compact_month(folder, date(2026, 7, 1), now=datetime.fromisoformat(now))
"""
"""A compaction that ends as by kill -9 before a table's file is written, half written, unnamed yet, or after."""


@pytest.mark.parametrize(
    ("earlier", "table", "moment"),
    [
        *(("07-20 12:00", table, moment) for table in TABLES for moment in ("before", "torn", "whole", "after")),
        ("", "snapshots", "before"),
        ("", "constraints", "torn"),
    ],
)
def test_killed_anywhere_the_reader_answers_right(
    folder: Path, tmp_path: Path, earlier: str, table: Table, moment: str
) -> None:
    """Killed before, in or after the writing of a table: right rows at once, and no rubbish after the next run."""
    if earlier:
        compacted(folder, now=at(earlier))
    expected = frames(folder)
    command = [sys.executable, "-c", _COMPACT_AND_DIE, str(folder), table, moment, AFTER_JULY.isoformat()]
    process = subprocess.run(command, check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert bool(list((folder / "curated").rglob("*.partial"))) == (moment in {"torn", "whole"})
    assert same(frames(folder), expected)
    assert compacted(folder).written == ((table, moment) != ("snapshots", "after"))
    assert same(frames(folder), expected)
    assert not compacted(folder).written
    assert not list((folder / "curated").rglob("*.partial"))
    assert same(frames(folder), from_raw(folder, tmp_path / "raw"))


def _keep_collecting(folder: Path) -> None:
    archive = open_folder(folder)
    for number in range(30):
        for label in (at("07-02 10:00"), at("07-20 10:00")):
            interval_end = label + timedelta(minutes=5 * (number // 2))
            store(archive, interval_end, binds(interval_end, 1 + number % 2), 2 + number % 2)


def _keep_compacting(folder: Path, first_day: int) -> None:
    for number in range(9):
        compact_month(folder, JULY, now=at(f"07-{first_day + number % 3:02} 12:00"))


def test_beside_a_collector_and_another_compaction_every_read_is_right(small: Path, tmp_path: Path) -> None:
    """While a collector stores and two compactions run, each read has every old row, no row twice and no false one."""
    fill(open_folder(small), date(2026, 7, 19), 2)
    before = set(frame(small, "snapshots")["object_key"])
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_keep_collecting, args=(small,)),
        context.Process(target=_keep_compacting, args=(small, 3)),
        context.Process(target=_keep_compacting, args=(small, 20)),
    ]
    for process in processes:
        process.start()
    reads = []
    while any(process.is_alive() for process in processes):
        reads.append(frames(small))
    assert [process.exitcode for process in processes] == [0, 0, 0]
    [constraints, snapshots] = from_raw(small, tmp_path / "raw")
    assert len(snapshots) == len(before) + 60
    assert len(reads) > 3
    known = [set(constraints.drop("is_latest").drop("terms").iter_rows()), set(snapshots.drop("is_latest").iter_rows())]
    for read in reads:
        keys = read[1]["object_key"].to_list()
        assert before <= set(keys)
        assert len(keys) == len(set(keys))
        assert not read[0].select("object_key", "constraint_name").is_duplicated().any()
        for table, rows in zip(read, known, strict=True):
            assert set(table.drop("is_latest").drop("terms", strict=False).iter_rows()) <= rows
        latest = read[1].filter("is_latest")["interval_end"]
        assert latest.is_sorted()
        assert latest.n_unique() == len(latest) == read[1]["interval_end"].n_unique()
    compacted(small)
    assert same(frames(small), [constraints, snapshots])
    assert not list(small.rglob("*.partial"))


class Interrupted(LocalObjects):
    """A folder in which a compaction finishes just before a given call."""

    def __init__(self, folder: Path, call: int) -> None:
        super().__init__(folder)
        self._folder = folder
        self.calls = iter(range(call, -1, -1))

    def _called(self) -> None:
        if next(self.calls, None) == 0:
            compact_month(self._folder, JULY, now=AFTER_JULY)

    def folders(self, under: str) -> list[str]:
        self._called()
        return super().folders(under)

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        self._called()
        return super().names(folders)

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        self._called()
        return super().read(keys)


@pytest.mark.parametrize("call", range(6))
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("days", [Days(), Days.of("2026-06-30", "2026-08-02")], ids=["all", "period"])
def test_a_compaction_that_finishes_between_changes_nothing(folder: Path, call: int, table: Table, days: Days) -> None:
    """Whichever step of a reading a compaction finishes before, no row is lost or there twice."""
    compacted(folder, now=at("07-15 12:00"))
    options = {} if days == Days() else {"start": "2026-06-30", "end": "2026-08-02"}
    expected = frame(folder, table, **options)
    objects = Interrupted(folder, call)
    found = pl.concat(pl.collect_all(list(Reading(objects, table).frames(days))))
    with suppress(StopIteration):
        next(objects.calls)
    assert compacted(folder).written == (call > 4 and days != Days() and not compacted_through_july(folder))
    assert found.equals(expected)


def compacted_through_july(folder: Path) -> bool:
    """Whether both tables stand for the whole month."""
    standing = [Compacted.of(compacted_file(folder, table).read_bytes()) for table in TABLES]
    return all(one is not None and one.through == date(2026, 7, 31) for one in standing)


class TestPlainParquet:
    @pytest.fixture
    def plain(self, folder: Path) -> str:
        """The address by which other tools take the compacted constraints of three months."""
        for month in months_to_compact(folder, now=at("08-04 12:00")):
            compact_month(folder, month, now=at("08-04 12:00"))
        return str(folder / CURATED / "constraints" / "*.parquet")

    def test_duckdb_counts_the_same(self, folder: Path, plain: str) -> None:
        """Rows and totals per market day and per constraint are those of the reader."""
        reader = scan_constraints(folder)
        for column in ("market_day", "constraint_name"):
            totals = pl.col("shadow_price").sum().round(6).alias("total")
            ours = reader.group_by(column).agg(pl.len().alias("rows"), totals).sort(column).collect().rows()
            with duckdb.connect() as connection:
                theirs = connection.execute(
                    f"select {column}, count(*), round(sum(shadow_price), 6) from read_parquet(?)"  # noqa: S608 - ours
                    " where is_latest group by all order by 1",
                    [plain],
                ).fetchall()
            assert len(ours) > 10
            assert theirs == ours

    def test_duckdb_shows_hours_in_est(self, folder: Path, plain: str) -> None:
        """With its time zone set to Etc/GMT+5, DuckDB counts the labels by the EST hour they show."""
        expected: dict[int, int] = {}
        for interval_end in frame(folder)["object_key"]:
            hour = int(interval_end.split("_")[-1][:2])
            expected[hour] = expected.get(hour, 0) + 1
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'Etc/GMT+5'")
            found = connection.execute(
                "select hour(interval_end), count(*) from read_parquet(?) group by all", [plain]
            ).fetchall()
            [stored] = connection.execute(
                "select distinct typeof(interval_end) from read_parquet(?)", [plain]
            ).fetchall()
        assert set(expected) == {0, 8}
        assert dict(found) == expected
        assert stored == ("TIMESTAMP WITH TIME ZONE",)

    def test_duckdb_knows_lists_and_nulls(self, folder: Path, plain: str) -> None:
        """Terms are a list, and what the live feed does not carry is null."""
        with duckdb.connect() as connection:
            found = connection.execute(
                "select count(*) filter (terms[1] = 'STR'), count(quantity), count(*) from read_parquet(?)", [plain]
            ).fetchone()
        ours = frame(folder)
        assert found == (
            sum("STR" in terms for terms in ours["terms"]),
            sum(quantity is not None for quantity in ours["quantity"]),
            len(ours),
        )
        assert found[1] < found[2]

    def test_pandas_reads_it(self, folder: Path, plain: str) -> None:
        """Pandas finds EST times, numbers as numbers, and the reader's prices in their order."""
        parts = [pd.read_parquet(path) for path in sorted(Path(plain).parent.glob("*.parquet"))]
        found = pd.concat([part for part in parts if len(part)])
        ours = frame(folder)
        assert list(found.columns) == list(CONSTRAINTS)
        assert found["shadow_price"].dtype == "float64"
        assert found["shadow_price"].tolist() == ours["shadow_price"].to_list()
        assert found["is_latest"].dtype == "bool"
        assert found["interval_end"].tolist() == ours["interval_end"].to_list()
        assert {time.utcoffset() for time in found["interval_end"]} == {timedelta(hours=-5)}

    def test_the_file_says_what_its_columns_mean(self, plain: str) -> None:
        """Each file's own metadata tells unit and meaning of every column, and what it was made from."""
        with duckdb.connect() as connection:
            rows = connection.execute("select key, value from parquet_kv_metadata(?)", [plain]).fetchall()
        told = {key.decode(): value.decode() for key, value in rows if "2026-07" in value.decode() or key == b"columns"}
        columns = json.loads(told["columns"])
        assert list(columns) == list(CONSTRAINTS)
        assert columns["shadow_price"].startswith("$/MW: ")
        assert columns["interval_end"].startswith("EST: ")
        assert not columns["market_day"].startswith(":")
        assert all(len(meaning) > 10 for meaning in columns.values())
        snapshots = pl.read_parquet_metadata(str(compacted_file(Path(plain).parents[3], "snapshots")))
        assert list(json.loads(snapshots["columns"])) == list(SNAPSHOTS)
        standing = json.loads(snapshots["miso_reserve"])
        assert (standing["version"], standing["first"], standing["through"]) == (1, "2026-07-01", "2026-07-31")

    def test_rows_stand_in_time_order(self, plain: str) -> None:
        """Within each file labels never go back, and neither do files beside each other."""
        labels = [pl.read_parquet(path)["interval_end"] for path in sorted(Path(plain).parent.glob("*.parquet"))]
        assert all(one.is_sorted() for one in labels)
        whole = [one for one in labels if len(one)]
        assert all(before[-1] < after[0] for before, after in pairwise(whole))
