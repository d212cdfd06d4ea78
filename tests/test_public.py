"""What a user of Python meets: the public names, arguments of every kind, and rows for others."""

from __future__ import annotations

import csv
import pydoc
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

import miso_archive as mr
from miso_archive.feeds import FEEDS, KNOWN
from miso_archive.feeds.columns import WrongTableError, schema_of, table_given, tables_of
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.simulate.archive import write_archive
from miso_archive.store.folder import Folder
from miso_archive.store.store import ArchiveError
from tests.feeds.archived import put_recorded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow("a process for each way to import")

OF_DAYS: dict[str, Callable[..., Any]] = {
    "coverage": mr.coverage,
    "missing_intervals": mr.missing_intervals,
    "fetch_times": mr.fetch_times,
    "months_to_compact": mr.months_to_compact,
    "scan_constraints": mr.scan_constraints,
    "scan_snapshots": mr.scan_snapshots,
}
OF_ARCHIVES: dict[str, Callable[[Any], Any]] = {
    **OF_DAYS,
    "compact_month": lambda archive: mr.compact_month(archive, date(2001, 1, 1)),
}
NO_DAYS = [
    20260701,
    2026.5,
    "1 July 2026",
    "2026-07",
    b"2026-07-01",
    datetime(2026, 7, 1, tzinfo=UTC),
    datetime(2026, 7, 1),  # noqa: DTZ001 - the case
    np.datetime64("2026-07-01"),
    pd.Timestamp("2026-07-01"),
    pd.Timestamp("2026-07-01", tz="UTC"),
    pd.NaT,
    pd.Period("2026-07", "M"),
    pl.Series([date(2026, 7, 1)]),
    [date(2026, 7, 1)],
    {"start": "2026-07-01"},
]


class ADate(date):
    """A date of somebody's own."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated day."""
    folder = tmp_path_factory.mktemp("day") / "archive"
    write_archive(folder, days=1, seed=1)
    return folder


class TestNames:
    def test_the_public_names_are_shown_before_anything_is_imported(self) -> None:
        """Completion and help() find every public name, with its docstring, in a fresh interpreter."""
        code = (
            "import miso_archive as mr, pydoc; print(sorted(set(dir(mr)) & set(mr.__all__))); "
            "print(pydoc.render_doc(mr))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        names, _, helped = done.stdout.partition("\n")
        assert names == str(sorted(mr.__all__))
        helped = pydoc.plain(helped)
        for name in OF_ARCHIVES:
            assert f" {name}(archive" in helped
        assert "Scan an archive's binding constraints" in helped

    def test_the_modules_are_there(self) -> None:
        """mr.analysis, mr.profiles and mr.episodes need no import of their own."""
        code = "import miso_archive as mr; mr.analysis.drift, mr.profiles.hourly_profile, mr.episodes.episodes"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_importing_is_light(self) -> None:
        """Neither polars nor anything of the network comes with the package, nor by looking at its names."""
        code = (
            "import sys, miso_archive as mr; dir(mr); "
            "sys.exit(' '.join({'polars', 'prefect', 'requests', 'pyarrow', 'pydantic'} & set(sys.modules)) or None)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_nothing_else_is_completed(self) -> None:
        """mr.<TAB> offers the public names, and nothing that the package imports for itself, before and after use."""
        code = "import miso_archive as mr; print(dir(mr)); mr.coverage, mr.analysis; print(dir(mr))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == f"{sorted(mr.__all__)}\n" * 2

    def test_another_name_is_none(self) -> None:
        """What is not there is an AttributeError that names it."""
        with pytest.raises(AttributeError, match="has no attribute 'scan_prices'"):
            mr.scan_prices  # noqa: B018 - the case


class TestDays:
    @pytest.mark.parametrize("given", NO_DAYS, ids=lambda given: f"{type(given).__name__} {given}"[:30])
    @pytest.mark.parametrize("name", OF_DAYS)
    def test_what_is_no_market_day_is_told_when_it_is_given(self, name: str, given: object, archive: Path) -> None:
        """start= and end= of another type or spelling raise at the call, by the argument's name, with what to give."""
        for argument in ("start", "end"):
            with pytest.raises(ValueError, match=rf"^{argument}= is a market day, a date or YYYY-MM-DD, not "):
                OF_DAYS[name](archive, **{argument: given})

    @pytest.mark.parametrize("given", NO_DAYS, ids=lambda given: f"{type(given).__name__} {given}"[:30])
    def test_nor_is_it_a_month(self, given: object, archive: Path) -> None:
        """A month to compact is a day of it."""
        month: Any = given
        with pytest.raises(ValueError, match=r"^month= is a market day"):
            mr.compact_month(archive, month)

    def test_a_date_by_any_name_is_one(self, archive: Path) -> None:
        """A date, a subclass of it and its ISO spelling are the same day."""
        whole = mr.scan_snapshots(archive).collect()
        for start in (date(2001, 1, 1), ADate(2001, 1, 1), "2001-01-01"):
            for end in (date(2001, 1, 2), ADate(2001, 1, 2), "2001-01-02"):
                assert mr.scan_snapshots(archive, start=start, end=end).collect().equals(whole)

    @pytest.mark.parametrize("given", ["now", 1, date(2026, 7, 1), datetime(2026, 7, 1)])  # noqa: DTZ001 - a case
    def test_a_moment_without_zone_or_none_is_told(self, given: object, archive: Path) -> None:
        """now= is an aware datetime."""
        now: Any = given
        for ask in (mr.coverage, mr.missing_intervals, mr.months_to_compact):
            with pytest.raises(ValueError, match=r"^now= "):
                ask(archive, now=now)

    @pytest.mark.parametrize("given", [None, 5, (), "nope", ["live", 5], b"live"])
    def test_sources_are_told_too(self, given: object, archive: Path) -> None:
        """What is no list of sources is answered with those that are."""
        sources: Any = given
        with pytest.raises(
            ValueError,
            match=r"^sources are some of live, next_day_report, day_ahead_report, keyed_api, rolling_days, not ",
        ):
            mr.scan_constraints(archive, sources=sources)


class TestFeeds:
    @pytest.mark.parametrize("given", ["nope", "FuelMix", "all", "", 5, None, ["fuel_mix"], ("reserve",), b"reserve"])
    @pytest.mark.parametrize("name", [*OF_ARCHIVES, "scan"])
    def test_what_is_no_feed_is_told(self, name: str, given: object, archive: Path) -> None:
        """feed= of another name or type raises at the call, with the names that there are."""
        arguments = {"compact_month": [date(2001, 1, 1)]}.get(name, [])
        with pytest.raises(ValueError, match=rf"^feed= is one of {', '.join(KNOWN)}, not ") as caught:
            getattr(mr, name)(archive, *arguments, feed=given)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("given", ["nope", "constraints ", "", 5, ["fuels"]])
    def test_what_is_no_table_is_told(self, given: object, archive: Path) -> None:
        """A table is one of the feed's, or its snapshots."""
        table: Any = given
        with pytest.raises(WrongTableError, match=r"^the tables of fuel_mix are fuels, snapshots, not "):
            mr.scan(archive, "fuel_mix", table)
        with pytest.raises(WrongTableError, match=r"^the tables of fuel_mix are fuels, not "):
            table_given(FUEL_MIX, table)

    @pytest.mark.parametrize("name", FEEDS)
    def test_its_name_and_itself_are_one(self, name: str, tmp_path: Path) -> None:
        """Everything public takes a feed by name, and reads the rows of its own body from an archive of all."""
        put_recorded(Folder(tmp_path))
        feed = FEEDS[name]
        for table in tables_of(feed):
            rows = mr.scan(tmp_path, name, table).collect()
            assert rows.schema == schema_of(feed, table)
            assert rows["object_key"].n_unique() == 1
        first = feed.contract.tables[0].name
        assert mr.scan(tmp_path, name).collect().equals(mr.scan(tmp_path, feed, first).collect())
        snapshots = mr.scan_snapshots(tmp_path, feed=name, latest_only=False).collect()
        assert snapshots["object_key"].str.starts_with(f"sourcing/{feed.dataset}/").to_list() == [True]
        assert len(mr.fetch_times(tmp_path, feed=name)) == 1
        assert mr.coverage(tmp_path, feed=name)["collected"].to_list() == [1]

    @pytest.mark.parametrize("name", [name for name in KNOWN if name != "reserve"])
    def test_of_a_feed_that_it_does_not_hold_there_are_no_rows(self, name: str, archive: Path) -> None:
        """An archive of another feed alone is read like any: nothing of this one, in the columns that it has."""
        for table in tables_of(KNOWN[name]):
            assert mr.scan(archive, name, table).collect().equals(pl.DataFrame(schema=schema_of(KNOWN[name], table)))
        assert (len(mr.fetch_times(archive, feed=name)), len(mr.coverage(archive, feed=name))) == (0, 0)


@pytest.mark.parametrize("name", OF_ARCHIVES)
class TestArchives:
    @pytest.mark.parametrize(
        "given",
        [None, "", b"data", ["data"], 5, {"a": 1}, object(), pl.DataFrame({"a": 1})],
        ids=lambda given: type(given).__name__,
    )
    def test_what_is_no_address_is_told(self, name: str, given: object) -> None:
        """Nothing, bytes, a list and the like raise at the call, with what an archive is."""
        with pytest.raises(
            ValueError, match=r"^archive= is a folder, s3://bucket\[/folder\] or an S3Bucket block, not .*$"
        ) as caught:
            OF_ARCHIVES[name](given)
        assert "\n" not in str(caught.value)
        assert not isinstance(given, dict) or str(caught.value).endswith(", not a dict")

    def test_a_folder_that_is_no_archive_is_told(self, name: str, tmp_path: Path) -> None:
        """A missing folder, an empty one and one of other things raise at the call, by name."""
        with pytest.raises(ArchiveError, match=r"there is no folder .*/nowhere"):
            OF_ARCHIVES[name](tmp_path / "nowhere")
        for _ in ("empty", "of other things"):
            with pytest.raises(ArchiveError, match=f"{tmp_path} is no archive: nothing was collected into it"):
                OF_ARCHIVES[name](tmp_path)
            (tmp_path / "sourcing").mkdir(exist_ok=True)


class TestCsv:
    def test_rows_go_to_csv_by_one_call(self, archive: Path, tmp_path: Path) -> None:
        """Rows of the reader come back from CSV by another's reader: every price, terms joined, times with offset."""
        rows = mr.scan_constraints(archive)
        mr.write_csv(rows, tmp_path / "rows.csv")
        found = pd.read_csv(tmp_path / "rows.csv", parse_dates=["interval_end"])
        collected = rows.collect()
        assert len(found) == len(collected) > 0
        assert found["shadow_price"].to_list() == collected["shadow_price"].to_list()
        assert found["terms"].to_list() == collected["terms"].list.join("+").to_list()
        assert found["interval_end"].dt.tz_convert("UTC").to_list() == collected["interval_end"].to_list()

    def test_times_of_another_zone_are_written_in_est(self, tmp_path: Path) -> None:
        """A frame that somebody has put into UTC says the same moments."""
        ends = pl.Series("interval_end", [datetime(2026, 7, 27, 13, 10, tzinfo=UTC)])
        mr.write_csv(pl.DataFrame([ends, ends.dt.replace_time_zone(None).alias("naive")]), tmp_path / "rows.csv")
        lines = (tmp_path / "rows.csv").read_text().splitlines()
        assert lines == ["interval_end,naive", "2026-07-27T08:10:00-05:00,2026-07-27 13:10:00"]

    def test_a_spreadsheet_takes_times_for_times(self, archive: Path, tmp_path: Path) -> None:
        """With excel= a mark tells UTF-8, and times are as a spreadsheet reads them, EST on the wall."""
        mr.write_csv(mr.scan_snapshots(archive), tmp_path / "rows.csv", excel=True)
        assert (tmp_path / "rows.csv").read_bytes().startswith(b"\xef\xbb\xbfmarket_day,")
        with (tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows[0]["interval_end"] == "2001-01-01 00:05:00"

    def test_every_public_frame_can_be_written(self, archive: Path, tmp_path: Path) -> None:
        """Counts, missing intervals, fetch times, analysis and episodes have no column that CSV cannot hold."""
        constraints, snapshots = mr.scan_constraints(archive), mr.scan_snapshots(archive)
        for rows in (
            mr.coverage(archive),
            mr.missing_intervals(archive),
            mr.fetch_times(archive),
            mr.analysis.binding_summary(constraints, snapshots, by="term"),
            mr.analysis.to_gridstatus(constraints),
            mr.episodes.episodes(constraints, snapshots),
            mr.profiles.hourly_profile(constraints, snapshots),
        ):
            mr.write_csv(rows, tmp_path / "rows.csv")
            assert len(pl.read_csv(tmp_path / "rows.csv")) == len(rows)

    def test_what_are_no_rows_is_told(self, tmp_path: Path) -> None:
        """Another library's frame is refused by name."""
        rows: Any = pd.DataFrame()
        with pytest.raises(ValueError, match=r"^rows= is a polars frame, not DataFrame of pandas"):
            mr.write_csv(rows, tmp_path / "rows.csv")
