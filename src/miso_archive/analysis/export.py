"""Rows for others: as CSV, with times that carry their offset, or as an Excel workbook. Pure but for the file."""

import codecs
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from miso_archive.analysis.observation import Frame, refuse_no_frame
from miso_archive.extras import needs
from miso_archive.intervals.labels import EST_NAME

_JOINED_BY: Final = "+"
_WITH_OFFSET: Final = "%Y-%m-%dT%H:%M:%S%:z"
_ON_THE_WALL: Final = "%Y-%m-%d %H:%M:%S"


def write_csv(rows: Frame, file: str | os.PathLike[str], *, excel: bool = False) -> None:
    """Write rows to a CSV file in UTF-8: of the reader, of ``coverage``, of the analysis.

    Lists (``terms``) are joined by ``+``, as the feed spells them. Times are EST (UTC-5 all year) with their offset,
    ``2026-07-27T08:10:00-05:00``: a reader in another zone need not guess.

    Args:
        rows: The frame; a lazy one is collected.
        file: The file to write; one that is there is written anew.
        excel: As Excel opens it by a double click: times are ``2026-07-27 08:10:00``, EST without saying so, which it
            takes for times, and a mark at the beginning says that the file is UTF-8.

    Raises:
        ValueError: The rows are no polars frame.
        OSError: The file cannot be written.
    """
    refuse_no_frame(rows, "rows")
    text = csv_text(rows.lazy().collect(), times=_ON_THE_WALL if excel else _WITH_OFFSET)
    Path(file).write_bytes((codecs.BOM_UTF8 if excel else b"") + text.encode())


def write_excel(rows: Frame, file: str | os.PathLike[str]) -> None:
    """Write rows to an Excel workbook, ``.xlsx``; it takes the extra ``notebooks``.

    Lists are joined by ``+``. Times are EST without saying so: Excel knows no zones.

    Args:
        rows: The frame; a lazy one is collected.
        file: The file to write; one that is there is written anew.

    Raises:
        ValueError: The rows are no polars frame.
        MissingExtraError: The extra is not installed.
        OSError: The file cannot be written.
    """
    refuse_no_frame(rows, "rows")
    on_the_wall = pl.selectors.datetime(time_zone="*").dt.convert_time_zone(EST_NAME).dt.replace_time_zone(None)
    plain = rows.lazy().collect().with_columns(on_the_wall, _joined())
    with needs("notebooks", "An Excel workbook"):
        plain.write_excel(os.fspath(file), autofit=True)


def export_rows(frames: Mapping[str, Frame], folder: str | os.PathLike[str]) -> list[Path]:
    """Write frames into a folder, each as CSV, Parquet and Excel, by its name; return the files.

    Args:
        frames: The frames by the names that their files are to have.
        folder: The folder; made where it is not there.

    Raises:
        ValueError: A frame is no polars frame.
        MissingExtraError: The extra ``notebooks`` is not installed.
        OSError: A file cannot be written.
    """
    into = Path(folder)
    into.mkdir(parents=True, exist_ok=True)
    for name, rows in frames.items():
        write_csv(rows, into / f"{name}.csv")
        rows.lazy().collect().write_parquet(into / f"{name}.parquet")
        write_excel(rows, into / f"{name}.xlsx")
    return [into / f"{name}.{ending}" for name in frames for ending in ("csv", "parquet", "xlsx")]


def _joined() -> pl.Expr:
    return pl.selectors.list().cast(pl.List(pl.String)).list.join(_JOINED_BY)


def csv_text(rows: pl.DataFrame, *, times: str = _WITH_OFFSET) -> str:
    """Return rows as the text of a CSV file."""
    return with_times_as_text(rows, times).with_columns(_joined()).write_csv()


def with_times_as_text(rows: pl.DataFrame, times: str = _WITH_OFFSET) -> pl.DataFrame:
    """Return rows whose times are text: EST, whatever zone they came in."""
    return rows.with_columns(
        pl.selectors.datetime(time_zone="*").dt.convert_time_zone(EST_NAME).dt.strftime(times),
        pl.selectors.datetime(time_zone=None).dt.strftime(_ON_THE_WALL),
    )
