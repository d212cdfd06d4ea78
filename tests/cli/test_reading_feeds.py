"""Reading, counting and compacting by feed and table in the terminal."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import miso_archive as mr
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import FETCH_TIMES_TABLE, SNAPSHOTS_TABLE, coverage_of, schema_of, tables_of
from miso_archive.intervals.market_days import market_day
from miso_archive.store.folder import Folder
from tests.cli.small_archive import printed
from tests.cli.test_app import wrong_usage
from tests.feeds.archived import put_recorded
from tests.feeds.recorded import payload_of, spelled

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow("reads an archive of all feeds")

DAYS = {name: str(market_day(feed.examine(spelled(payload_of(feed))).interval_end)) for name, feed in FEEDS.items()}  # type: ignore[arg-type] # recorded bodies have a label


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the recorded bodies, one a feed; not to be changed."""
    folder = tmp_path_factory.mktemp("recorded")
    put_recorded(Folder(folder))
    return folder


class TestCoverage:
    def test_all_feeds_have_a_row_a_feed_and_day(self, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With several feeds each row names its own; what a feed that is never quiet does not count is null."""
        rows = json.loads(printed(capsys, "coverage", "--local", str(recorded), "--feed", "all", "--format", "json"))
        assert [(row["feed"], row["market_day"], row["collected"], row["missing"]) for row in rows] == [
            (name, day, 1, 287) for name, day in DAYS.items()
        ]
        for row in rows:
            has_quiet = FEEDS[row["feed"]].contract.quiet is not None
            assert (row["quiet"] is None, row["binding"]) == ((False, 1) if has_quiet else (True, None))

    def test_days_are_those_asked_for_of_each(self, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Bounds hold for every feed alike, in time order within each; a feed without anything has its days too."""
        days = ("--start", "2026-10-01", "--end", "2026-10-03")
        arguments = ("--local", str(recorded), "--feed", "fuel_mix", "reserve", *days, "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(printed(capsys, "coverage", *arguments))))
        assert [(row["feed"], row["market_day"], row["collected"]) for row in rows] == [
            ("reserve", "2026-10-01", "0"),
            ("reserve", "2026-10-02", "0"),
            ("fuel_mix", "2026-10-01", "0"),
            ("fuel_mix", "2026-10-02", "1"),
        ]

    def test_a_single_feed_has_no_column_of_feeds(self, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One feed's days have its own columns alone; its missing intervals are listed like any."""
        of_one = ("--local", str(recorded), "--feed", "fuel_mix", "--format", "json")
        [row] = json.loads(printed(capsys, "coverage", *of_one))
        assert list(row) == list(coverage_of(FEEDS["fuel_mix"]))
        assert len(json.loads(printed(capsys, "coverage", "--missing", *of_one))) == 287

    def test_missing_intervals_of_all(self, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Each missing interval of each feed is a row that names the feed."""
        text = printed(capsys, "coverage", "--local", str(recorded), "--feed", "all", "--missing", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == 287 * len(FEEDS)
        assert {row["feed"] for row in rows} == set(FEEDS)

    def test_a_table_shows_each_feed(self, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The table has a line a feed and day, the feed first."""
        lines = printed(capsys, "coverage", "--local", str(recorded), "--feed", "all").splitlines()
        assert [tuple(line.split()[:2]) for line in lines[1:-1]] == list(DAYS.items())


class TestRead:
    @pytest.mark.parametrize(
        ("name", "table"), [(name, table) for name, feed in FEEDS.items() for table in tables_of(feed)]
    )
    def test_each_table_is_read(
        self, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, table: str
    ) -> None:
        """--table names one of the feed's tables, with all its columns; in a terminal those that the rows are about."""
        asked = ("read", "--local", str(recorded), "--feed", name, "--table", table)
        rows = list(csv.DictReader(io.StringIO(printed(capsys, *asked, "--format", "csv"))))
        assert list(rows[0]) == list(schema_of(FEEDS[name], table))
        snapshot = FEEDS[name].examine(spelled(payload_of(FEEDS[name]))).snapshot
        assert snapshot is not None
        assert len(rows) == len(snapshot.tables.get(table, ["of the body itself"])) > 0
        printed(capsys, *asked, "--output", str(tmp_path / "rows.parquet"))
        assert_frame_equal(pl.read_parquet(tmp_path / "rows.parquet"), mr.scan(recorded, name, table).collect())
        lines = printed(capsys, *asked).splitlines()
        assert lines[0].split()[0] == "interval_end"
        assert lines[-1] == f"{len(rows)} row{'s' if len(rows) > 1 else ''}, times in EST"
        first = tables_of(FEEDS[name])[0]
        if table in {first, SNAPSHOTS_TABLE}:
            short = () if table == first else ("--snapshots",)
            assert printed(capsys, "read", "--local", str(recorded), "--feed", name, *short).splitlines() == lines

    def test_a_table_that_is_not_there_is_wrong_usage(self, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The tables that the feed has are named."""
        told = wrong_usage(capsys, "read", "--local", str(recorded), "--feed", "asm_mcp", "--table", "fuels")
        assert "the tables of asm_mcp are real_time, day_ahead, snapshots, not 'fuels'" in told


def test_compacting_all_feeds_tells_of_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a feed and month, with the counts of its own tables, each a file; the second time nothing is written."""
    put_recorded(Folder(tmp_path))
    for written in (True, False):
        rows = json.loads(printed(capsys, "compact", "--local", str(tmp_path), "--feed", "all", "--format", "json"))
        assert [(row["feed"], row["month"], row["snapshots"], row["written"]) for row in rows] == [
            (name, day[:7], 1, written) for name, day in DAYS.items()
        ]
        assert list(rows[0])[:4] == ["feed", "month", "through", "snapshots"]
        assert list(rows[0])[-2:] == ["unreadable", "written"]
    for feed in FEEDS.values():
        files = {path.parent.name for path in (tmp_path / "curated" / feed.dataset).rglob("*.parquet")}
        assert files == {*tables_of(feed), FETCH_TIMES_TABLE}
    of_asm = next(row for row in rows if row["feed"] == "asm_mcp")
    assert (of_asm["real_time"], of_asm["day_ahead"], of_asm["fuels"]) == (8, 8, None)
