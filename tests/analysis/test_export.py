"""Rows for others: as a workbook, and all three forms in a folder."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.analysis.export import export_rows, write_excel
from tests.frames import binding, bound, label

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.notebooks

ROWS = binding(
    bound(label("2026-07-27 08:10"), -8.32, "RDT_SO_MW", terms=["STR", "Lost_Gen"], zone=3),
    bound(label("2026-07-28 00:00"), -1.5, "=1+1", terms=None),
)


def test_a_workbook_holds_the_rows(tmp_path: Path) -> None:
    """Times stand as EST on the wall, lists joined by +, numbers as numbers, text as text, whatever it begins with."""
    write_excel(ROWS.lazy(), tmp_path / "rows.xlsx")
    read = pl.read_excel(tmp_path / "rows.xlsx", engine="calamine")
    assert read["interval_end"].to_list() == [datetime(2026, 7, 27, 8, 10), datetime(2026, 7, 28)]  # noqa: DTZ001
    assert read["terms"].to_list() == ["STR+Lost_Gen", None]
    assert read["shadow_price"].to_list() == [-8.32, -1.5]
    assert read["constraint_name"].to_list() == ["RDT_SO_MW", "=1+1"]


def test_what_is_no_frame_is_told(tmp_path: Path) -> None:
    """It is a ValueError, and no file is written."""
    with pytest.raises(ValueError, match="rows= is a polars frame, not dict"):
        write_excel({}, tmp_path / "rows.xlsx")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_each_frame_is_written_three_times(tmp_path: Path) -> None:
    """By its name, into a folder that is made; Parquet reads back as what was written."""
    files = export_rows({"constraints": ROWS, "summary": ROWS.head(1)}, tmp_path / "new")
    assert [file.name for file in files] == [
        f"{name}.{ending}" for name in ("constraints", "summary") for ending in ("csv", "parquet", "xlsx")
    ]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(file.name for file in files)
    assert pl.read_parquet(files[1]).equals(ROWS)
    assert "2026-07-27T08:10:00-05:00" in files[0].read_text()
