"""Rows for others: as CSV, with times that carry their offset. Pure but for the file."""

import codecs
import os
from pathlib import Path
from typing import Final

import polars as pl

from miso_archive.analysis.observation import Frame, refuse_no_frame
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


def csv_text(rows: pl.DataFrame, *, times: str = _WITH_OFFSET) -> str:
    """Return rows as the text of a CSV file."""
    lists = pl.selectors.list().cast(pl.List(pl.String)).list.join(_JOINED_BY)
    return with_times_as_text(rows, times).with_columns(lists).write_csv()


def with_times_as_text(rows: pl.DataFrame, times: str = _WITH_OFFSET) -> pl.DataFrame:
    """Return rows whose times are text: EST, whatever zone they came in."""
    return rows.with_columns(
        pl.selectors.datetime(time_zone="*").dt.convert_time_zone(EST_NAME).dt.strftime(times),
        pl.selectors.datetime(time_zone=None).dt.strftime(_ON_THE_WALL),
    )
