"""Coverage: quiet, binding, refused, damaged and never collected are told apart, day by day."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.feeds.columns import COVERAGE, TIME
from miso_archive.feeds.reserve import RESERVE
from miso_archive.reading.compaction import compact_month, months_to_compact
from miso_archive.reading.coverage import coverage, missing_intervals
from miso_archive.settings.options import Settings
from miso_archive.simulate.market import is_quiet, snapshot_body
from miso_archive.store.address import store_of
from miso_archive.store.folder import Folder
from miso_archive.store.store import ArchiveError
from tests.counted_archive import (
    DAMAGED,
    DAYS,
    FIVE_MINUTES,
    SEED,
    at,
    by_day,
    count_in_plain_python,
    damaged_keys,
    ends_of,
    fill,
    label_of,
    odd_minute,
    put_whole_day,
    quiet_label,
    refuse,
    row,
    store,
)
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket

SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
"""The days on which US clocks change."""
MISSING = {"market_day": pl.Date(), "interval_start": TIME, "interval_end": TIME, "healed": pl.Boolean()}


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of seven days in a folder; not to be changed."""
    folder = tmp_path_factory.mktemp("archive")
    fill(Folder(folder))
    for key in damaged_keys():
        (folder / key).write_bytes((folder / key).read_bytes()[:-5])
    return folder


@pytest.fixture(scope="module")
def changeover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both days on which US clocks change, whole."""
    folder = tmp_path_factory.mktemp("changeover")
    for day in (SPRING, AUTUMN):
        put_whole_day(folder, day)
    return folder


class TestCounts:
    def test_every_day_is_counted_as_plain_python_does(self, archived: Path) -> None:
        """Each column of each day is what an independent count of the files gives, days without anything included."""
        frame = coverage(archived, now=at("2027-01-01 00:00"))
        assert frame.schema == COVERAGE
        assert frame["market_day"].to_list() == DAYS
        assert by_day(frame) == count_in_plain_python(archived, DAYS)

    def test_the_figures_are_those_counted_by_hand(self, archived: Path) -> None:
        """The same archive against figures worked out from how it was filled: 26 labels a day."""
        found = by_day(coverage(archived, now=at("2027-01-01 00:00")))
        wanted = {
            "2026-07-01": {"collected": 25, "missing": 263, "refused": 1, "revised": 0, "unreadable": 1},
            "2026-07-02": {"collected": 26, "missing": 262, "refused": 0, "revised": 2, "unreadable": 1},
            "2026-07-03": {"collected": 26, "missing": 262, "refused": 0, "off_grid": 1, "unreadable": 0},
            "2026-07-04": row(),
            "2026-07-05": row(refused=2),
            "2026-07-06": row(),
            "2026-07-07": {"collected": 25, "missing": 263, "refused": 0, "revised": 1, "unreadable": 1},
        }
        for day, counts in wanted.items():
            assert {name: found[day][name] for name in counts} == counts

    def test_quiet_and_binding_are_by_the_latest_body(self, tmp_path: Path) -> None:
        """A quiet interval that a revision makes binding counts once, as binding; quiet again, as quiet."""
        archive = Folder(tmp_path)
        end = quiet_label(DAYS[0])
        store(archive, end, snapshot_body(end, seed=SEED))
        assert by_day(coverage(tmp_path))["2026-07-01"] == row(collected=1, quiet=1)
        store(archive, end, snapshot_body(end, seed=SEED, revision=1))
        assert by_day(coverage(tmp_path))["2026-07-01"] == row(collected=1, binding=1, revised=1)

    def test_a_damaged_revision_leaves_the_body_before_it(self, tmp_path: Path) -> None:
        """Where the latest body cannot be read the one before counts, and the damage is told."""
        archive = Folder(tmp_path)
        end = quiet_label(DAYS[0])
        store(archive, end, snapshot_body(end, seed=SEED))
        store(archive, end, snapshot_body(end, seed=SEED, revision=1))
        [revision] = (path for path in (tmp_path / "sourcing").rglob("*.json.gz") if path.name.count(".") == 3)
        revision.write_bytes(b"")
        assert by_day(coverage(tmp_path))["2026-07-01"] == row(collected=1, quiet=1, unreadable=1)

    @pytest.mark.parametrize("day", [SPRING, AUTUMN])
    def test_a_day_of_changing_clocks_has_288_intervals(self, changeover: Path, day: date) -> None:
        """On both US changeover days 288 intervals are expected, and a whole day misses none."""
        found = by_day(coverage(changeover, start=day, end=day + timedelta(days=1)))
        quiet = sum(is_quiet(end, seed=SEED) for end in ends_of(day))
        assert found == {str(day): row(collected=288, quiet=quiet, binding=288 - quiet, missing=0)}
        assert missing_intervals(changeover, start=day, end=day + timedelta(days=1)).is_empty()

    def test_days_between_are_there_with_nothing(self, changeover: Path) -> None:
        """Of 239 days from the first changeover to the second, 237 were not collected, and say so."""
        frame = coverage(changeover)
        assert len(frame) == 239
        assert (frame["expected"] == 288).all()
        assert frame.filter(pl.col("missing") == 288).height == 237
        assert len(missing_intervals(changeover)) == 237 * 288

    def test_expected_is_collected_and_missing(self, archived: Path) -> None:
        """On every day, at any time, the three add up, and collected is quiet and binding."""
        for now in ("2026-07-02 12:00", "2026-07-06 00:00", "2027-01-01 00:00"):
            frame = coverage(archived, now=at(now))
            assert frame["collected"].sum() > 0
            assert (frame["expected"] == frame["collected"] + frame["missing"]).all()
            assert (frame["collected"] == frame["quiet"] + frame["binding"]).all()

    def test_a_foreign_file_is_unreadable_and_no_gap_filled(self, tmp_path: Path) -> None:
        """A file that is no snapshot counts as unreadable on the day of its folder."""
        store(Folder(tmp_path), at("2026-07-01 08:10"), odd_minute(at("2026-07-01 08:10")))
        [path] = (tmp_path / "sourcing").rglob("*.json.gz")
        path.with_name("notes.txt").write_text("mine")
        assert by_day(coverage(tmp_path))["2026-07-01"] == row(collected=1, binding=1, unreadable=1)

    def test_a_day_with_nothing_but_damage_has_its_row(self, tmp_path: Path) -> None:
        """An archive whose only object cannot be read knows of that day."""
        store(Folder(tmp_path), at("2026-07-02 00:00"), odd_minute(at("2026-07-02 00:00")))
        [path] = (tmp_path / "sourcing").rglob("*.json.gz")
        path.write_bytes(b"")
        assert by_day(coverage(tmp_path)) == {"2026-07-01": row(unreadable=1)}

    def test_reasons_beside_refused_bodies_are_not_counted(self, tmp_path: Path) -> None:
        """A refused body is one, though two objects keep it; its day is the EST day of the fetch."""
        refuse(Folder(tmp_path), datetime(2026, 7, 2, 4, 59, tzinfo=UTC), b"{}")
        assert by_day(coverage(tmp_path)) == {"2026-07-01": row(refused=1)}

    def test_what_else_lies_in_the_quarantine_is_not_counted(self, tmp_path: Path) -> None:
        """Only what has the name of a refused body is one, as for a replay."""
        refuse(Folder(tmp_path), at("2026-07-01 09:00"), b"{}")
        [refused] = (tmp_path / "quarantine").rglob("*.body.gz")
        (refused.parent / "notes.body.gz").write_text("")
        assert by_day(coverage(tmp_path)) == {"2026-07-01": row(refused=1)}


class TestMissing:
    def test_every_missing_interval_has_its_row(self, archived: Path) -> None:
        """The list is what is left of all labels when those of readable files are taken away, in time order."""
        held = set()
        for path in (archived / "sourcing").rglob("*.json.gz"):
            if str(path.relative_to(archived)) not in damaged_keys():
                held.add(label_of(path))
        expected = [(day, end - FIVE_MINUTES, end, False) for day in DAYS for end in ends_of(day) if end not in held]
        frame = missing_intervals(archived, now=at("2027-01-01 00:00"))
        assert dict(frame.schema) == MISSING
        assert frame.rows() == expected
        assert len(frame) == coverage(archived, now=at("2027-01-01 00:00"))["missing"].sum()

    def test_a_refused_body_fills_no_gap(self, archived: Path) -> None:
        """On a day with nothing but refused bodies every interval is missing."""
        assert len(missing_intervals(archived, start=DAYS[4], end=DAYS[5])) == 288

    def test_an_interval_with_only_a_damaged_body_is_missing(self, archived: Path) -> None:
        """What cannot be read is not collected: its label is listed, unless a revision of it can be read."""
        listed = set(missing_intervals(archived)["interval_end"])
        assert [end in listed for end in DAMAGED] == [True, False, True]


class TestNow:
    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            ("00:04", 1),
            ("00:10", 2),
            ("12:00", 144),
            ("12:04", 144),
            ("12:05", 145),
            ("23:59", 287),
        ],
    )
    def test_on_the_day_that_is_not_over_what_has_ended_is_expected(
        self, tmp_path: Path, now: str, expected: int
    ) -> None:
        """An interval is expected from its end on, to the minute; what is collected is expected in any case."""
        store(Folder(tmp_path), at("2026-07-01 00:05"), odd_minute(at("2026-07-01 00:05")))
        moment = at(f"2026-07-01 {now}")
        found = by_day(coverage(tmp_path, now=moment))["2026-07-01"]
        assert found == row(expected=expected, collected=1, binding=1, missing=expected - 1)
        gaps = missing_intervals(tmp_path, now=moment)["interval_end"].to_list()
        assert gaps == ends_of(DAYS[0])[1:expected]

    def test_days_to_come_are_expected_to_have_nothing(self, tmp_path: Path) -> None:
        """A period that reaches beyond the present has its rows, with nothing expected and nothing missing."""
        store(Folder(tmp_path), at("2026-07-01 08:10"), odd_minute(at("2026-07-01 08:10")))
        now = at("2026-07-02 00:00")
        frame = coverage(tmp_path, start="2026-06-30", end="2026-07-04", now=now)
        assert frame["expected"].to_list() == [288, 288, 0, 0]
        assert frame["missing"].to_list() == [288, 287, 0, 0]
        assert len(missing_intervals(tmp_path, start="2026-06-30", end="2026-07-04", now=now)) == 288 + 287

    def test_an_archive_in_the_future_is_expected_as_far_as_it_goes(self, tmp_path: Path) -> None:
        """Where labels lie ahead of the clock, the last of them is how far intervals are expected."""
        store(Folder(tmp_path), at("2100-07-01 12:00"), odd_minute(at("2100-07-01 12:00")))
        assert by_day(coverage(tmp_path))["2100-07-01"] == row(expected=144, collected=1, binding=1, missing=143)

    def test_an_archive_of_the_past_is_closed(self, tmp_path: Path) -> None:
        """Without a time the present counts: a day of 2001 has all its intervals expected."""
        store(Folder(tmp_path), at("2001-07-01 12:00"), odd_minute(at("2001-07-01 12:00")))
        assert by_day(coverage(tmp_path))["2001-07-01"] == row(collected=1, binding=1)

    def test_the_present_in_any_time_zone_is_the_same(self, tmp_path: Path) -> None:
        """The time is an instant: 17:00 UTC is noon in EST."""
        store(Folder(tmp_path), at("2026-07-01 00:05"), odd_minute(at("2026-07-01 00:05")))
        found = by_day(coverage(tmp_path, now=datetime(2026, 7, 1, 17, 0, tzinfo=UTC)))
        assert found["2026-07-01"]["expected"] == 144

    def test_a_time_without_zone_is_refused(self, tmp_path: Path) -> None:
        """A naive time may be anywhere."""
        with pytest.raises(ValueError, match="time zone"):
            coverage(tmp_path, now=datetime(2026, 7, 1))  # noqa: DTZ001 - the point


class TestPeriods:
    @pytest.mark.parametrize(
        ("start", "end", "first", "count"),
        [
            (None, None, "2026-07-01", 7),
            ("2026-06-28", None, "2026-06-28", 10),
            (None, "2026-07-10", "2026-07-01", 9),
            ("2026-07-02", "2026-07-04", "2026-07-02", 2),
            ("2026-07-04", "2026-07-05", "2026-07-04", 1),
            ("2027-01-01", "2027-01-03", "2027-01-01", 2),
            ("2027-01-01", None, "", 0),
            (None, "2026-06-01", "", 0),
            ("2026-07-03", "2026-07-03", "", 0),
        ],
    )
    def test_each_day_asked_for_has_a_row(
        self, archived: Path, start: str | None, end: str | None, first: str, count: int
    ) -> None:
        """Days run from start to end, exclusive; without a bound from the archive's first or to its last."""
        frame = coverage(archived, start=start, end=end, now=at("2028-01-01 00:00"))
        days = [date.fromisoformat(first) + timedelta(days=number) for number in range(count)]
        assert frame["market_day"].to_list() == days
        inside = [day for day in days if day in DAYS]
        whole = by_day(coverage(archived, now=at("2028-01-01 00:00")))
        found = by_day(frame)
        assert [found[str(day)] for day in inside] == [whole[str(day)] for day in inside]
        assert [found[str(day)] for day in days if day not in DAYS] == [row()] * (count - len(inside))

    def test_an_empty_archive_has_no_day(self, tmp_path: Path) -> None:
        """An archive without anything of a day gives empty, typed frames, or the days asked for."""
        (tmp_path / "sourcing" / RESERVE.dataset / "2026-07-27").mkdir(parents=True)
        assert coverage(tmp_path).schema == COVERAGE
        assert coverage(tmp_path).is_empty()
        assert dict(missing_intervals(tmp_path).schema) == MISSING
        assert missing_intervals(tmp_path).is_empty()
        assert by_day(coverage(tmp_path, start="2026-07-01", end="2026-07-02")) == {"2026-07-01": row()}
        assert len(missing_intervals(tmp_path, start="2026-07-01", end="2026-07-02")) == 288

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        """A wrong folder is not an empty archive."""
        with pytest.raises(ArchiveError, match="there is no folder"):
            coverage(tmp_path / "none")

    def test_progress_counts_the_days_read(self, archived: Path) -> None:
        """Whoever watches is told of the days read from raw objects, to the last."""
        told: list[tuple[int, int]] = []
        coverage(archived, start=DAYS[0], end=DAYS[6], progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (6, 6)


class TestEverywhereTheSame:
    NOW = at("2026-07-08 12:00")

    def test_from_a_compacted_archive(self, archived: Path, tmp_path: Path) -> None:
        """Counts and gaps are the same when the days are compacted, and when half of them are."""
        for number, now in enumerate(("2026-07-05 12:00", "2026-07-20 12:00")):
            folder = shutil.copytree(archived, tmp_path / str(number))
            for month in months_to_compact(folder, now=at(now)):
                compact_month(folder, month, now=at(now))
            assert list((folder / "curated").rglob("2026-07.parquet"))
            assert coverage(folder, now=self.NOW).equals(coverage(archived, now=self.NOW))
            assert missing_intervals(folder, now=self.NOW).equals(missing_intervals(archived, now=self.NOW))

    @ON_REAL_SERVERS
    def test_from_a_bucket(self, archived: Path, bucket: Bucket) -> None:
        """Counts and gaps are the same from S3, raw and compacted."""
        fill(store_of(Settings(s3_bucket=bucket.name)))
        for key in damaged_keys():
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=(archived / key).read_bytes())
        address = f"s3://{bucket.name}"
        for _ in ("raw", "compacted"):
            assert coverage(address, now=self.NOW).equals(coverage(archived, now=self.NOW))
            assert missing_intervals(address, now=self.NOW).equals(missing_intervals(archived, now=self.NOW))
            compact_month(address, DAYS[0], now=self.NOW + timedelta(days=9))
        assert [key.rpartition("/")[2] for key in bucket.keys("curated/")] == ["2026-07.parquet"] * 3
