"""Rows of every feed under the names that gridstatus has for the same data."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import miso_archive as mr
from miso_archive.analysis import to_gridstatus
from miso_archive.intervals.labels import EST_NAME, INTERVAL
from miso_archive.store.folder import Folder
from tests.feeds.archived import put_recorded
from tests.feeds.recorded import tables

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.contract.rows import Table
    from miso_archive.feeds.feed import Feed

_ASM = ["Zone", "Regulation", "Spin", "Supplemental", "STR", "Ramp Up", "Ramp Down"]
_ASM += ["Demand Regulation", "Demand Spin", "Demand Supplemental"]
_CURVE = ["Constraint Name", "Shadow Price", "Override", "Curve Type", "BP1", "PC1", "BP2", "PC2"]
COLUMNS = {
    "reserve-constraints": ["Constraint Name", "Shadow Price", "Constraint Description"],
    "transmission-constraints": _CURVE,
    "subregional-constraints": [*_CURVE, "BP3", "PC3", "BP4", "PC4", "Reason"],
    "rt_exante_lmp-prices": ["Location", "LMP", "Energy", "Congestion", "Loss"],
    "asm_mcp-real_time": _ASM,
    "asm_mcp-day_ahead": _ASM,
    "fuel_mix-fuels": [
        *("Coal", "Natural Gas", "Nuclear", "Wind", "Solar", "Battery Storage", "Other", "Imports"),
    ],
    "snapshot-figures": ["Figure", "Value", "As Of"],
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the recorded bodies; not to be changed."""
    folder = tmp_path_factory.mktemp("recorded")
    put_recorded(Folder(folder))
    return folder


@pytest.mark.parametrize(
    ("feed", "table"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1].name}") for pair in tables()]
)
def test_each_table_has_gridstatus_names(archive: Path, feed: Feed, table: Table) -> None:
    """The recorded rows stand under gridstatus' columns, times first, none lost and their figures as read."""
    rows = mr.scan(archive, feed, table.name)
    frame = to_gridstatus(rows, feed, table.name)
    named = COLUMNS[f"{feed.name}-{table.name}"]
    assert frame.columns[:2] == ["Interval Start", "Interval End"]
    assert sorted(frame.columns[2:]) == sorted(named)
    read = rows.collect()
    assert frame["Interval End"].unique().to_list() == read["interval_end"].unique().to_list()
    numbers = read.select(pl.selectors.float()).drop("energy", strict=False).sum().sum_horizontal().item()
    ours = frame.select(pl.selectors.float()).drop("Energy", strict=False).sum().sum_horizontal().item()
    assert ours == pytest.approx(numbers)
    if feed.name != "fuel_mix":
        assert frame.columns[2:] == named
        assert len(frame) == len(read) > 0


def test_prices_and_fuels(archive: Path) -> None:
    """Energy is what congestion and loss leave of a price; fuels stand beside each other, and add up."""
    prices = to_gridstatus(mr.scan(archive, "rt_exante_lmp"), "rt_exante_lmp")
    assert prices["Energy"].to_list() == [32.74] * 9
    [fuels] = to_gridstatus(mr.scan(archive, "fuel_mix"), "fuel_mix").drop("Interval Start", "Interval End").rows()
    assert sum(fuels) == 82084


def test_a_fuel_that_is_absent_is_no_zero() -> None:
    """A fuel without a row in an interval is null there; of one there twice it is the sum; superseded rows are out."""
    end = datetime(2026, 7, 27, 8, 10, tzinfo=ZoneInfo(EST_NAME))
    said = [(end, "Coal", 5.0, True), (end, "Other", 1.0, True), (end, "Other", 2.0, True), (end, "Wind", 9.0, False)]
    said.append((end + INTERVAL, "Wind", 7.0, True))
    rows = pl.DataFrame(said, ["interval_end", "fuel", "output", "is_latest"], orient="row").with_columns(
        pl.col("interval_end").dt.convert_time_zone(EST_NAME)
    )
    frame = to_gridstatus(rows.with_columns(interval_start=pl.col("interval_end") - INTERVAL), "fuel_mix", "fuels")
    assert frame.drop("Interval Start", "Interval End").rows(named=True) == [
        {"Coal": 5.0, "Other": 3.0, "Wind": None},
        {"Coal": None, "Other": None, "Wind": 7.0},
    ]


def test_what_is_no_table_is_told(archive: Path) -> None:
    """Another table's rows, and a table that is not there, are refused by name."""
    with pytest.raises(ValueError, match=r"^prices lacks location, lmp, energy, congestion, loss: "):
        to_gridstatus(mr.scan(archive, "fuel_mix"), "rt_exante_lmp")
    with pytest.raises(ValueError, match=r"^the tables of asm_mcp are real_time, day_ahead, not 'prices'$"):
        to_gridstatus(mr.scan(archive, "asm_mcp"), "asm_mcp", "prices")
