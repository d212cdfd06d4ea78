"""The command ``miso-archive coverage``: what an archive holds, and what is missing."""

from typing import Final

import polars as pl

from miso_archive.cli.on_archive import Where, opened, progress_bar, told_wrong_bounds
from miso_archive.cli.on_feeds import Feeds, together
from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.reading import coverage as counting
from miso_archive.store.environments import writers

_MOST_EMPTY_DAYS: Final = 7


def coverage(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    feed: Feeds = ("reserve",),
    missing: bool = False,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Carry out ``coverage``.

    Args:
        settings: Where the archive is.
        start: The first market day, YYYY-MM-DD.
        end: The market day after the last.
        feed: Of which feed, or of several: then a row a feed and day; `all` is every live one.
        missing: List the missing intervals instead, one row each.
        format: A table, or CSV, Parquet or a JSON array; as the file of --output is named, else a table, in which more
            than seven days on end without anything are one row.
        output: A file to write instead of standard output, which is -.
    """
    to = Output.of(format, output)
    count = counting.missing_intervals if missing else counting.coverage
    with told_wrong_bounds(), progress_bar("days read") as progress:
        store = opened(settings, start, end)
        frames = {name: count(store, start=start, end=end, progress=progress, feed=name) for name in feed}
    if to.form == "table" and not missing:
        frames = {name: _without_empty_runs(frame) for name, frame in frames.items()}
    to.write(together(frames))
    if several := writers(store):
        tell(f"warning: {', '.join(several)} write into one archive: the days count all of them together")
    return 0


def _without_empty_runs(days: pl.DataFrame) -> pl.DataFrame:
    """Return the days for people: a long run of days without anything is one row, with the sums of its days."""
    empty = pl.sum_horizontal(pl.exclude("market_day", "expected", "missing")) == 0
    long = empty & (pl.len().over(empty.rle_id()) > _MOST_EMPTY_DAYS)
    row = pl.when(long).then(pl.lit(-1, pl.Int64)).otherwise(pl.int_range(pl.len())).rle_id()
    first, last = pl.col("market_day").first(), pl.col("market_day").last()
    return (
        days.with_columns(row=row)
        .group_by("row", maintain_order=True)
        .agg(
            pl.when(first == last).then(first.cast(pl.String)).otherwise(pl.format("{} to {}", first, last)),
            pl.exclude("market_day").sum(),
        )
        .drop("row")
    )
