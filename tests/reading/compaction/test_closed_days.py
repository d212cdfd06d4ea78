"""Which market days and months are compacted, and when."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import compact_month, months_to_compact
from miso_archive.store.folder import Folder
from tests.reading.compaction.archives import (
    AUGUST,
    CURATED,
    JULY,
    at,
    binds,
    compacted,
    compacted_file,
    frames,
    same,
    state,
    store,
)

if TYPE_CHECKING:
    from pathlib import Path


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
        archive = Folder(tmp_path)
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
