"""The command ``miso-archive compact``: closed market days to monthly Parquet."""

import polars as pl

from miso_archive.cli.on_archive import Where, opened, progress_bar, told_wrong_bounds
from miso_archive.cli.on_feeds import StoredFeeds, together
from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.feeds import KNOWN
from miso_archive.reading.compaction import compact_month, months_to_compact, results_of
from miso_archive.store.store import ArchiveError


def compact(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    settings: Where = None,
    feed: StoredFeeds = ("reserve",),
    start: str | None = None,
    end: str | None = None,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Carry out ``compact``.

    Args:
        settings: Where the archive is.
        feed: Of which feed, or of several; `all` is every one.
        start: A market day of the first month to compact, YYYY-MM-DD.
        end: The market day after the last; its month is compacted as far as its days are closed.
        format: What became of each month, as a table, CSV, Parquet or a JSON array; as the file of --output is named,
            else a table.
        output: A file to write instead of standard output, which is -.
    """
    to = Output.of(format, output)
    with told_wrong_bounds():
        store = opened(settings, start, end)
        months = [(name, month) for name in feed for month in months_to_compact(store, start=start, end=end, feed=name)]
    compacted: dict[str, list[dict[str, object]]] = {name: [] for name in feed}
    failed: list[ArchiveError] = []
    with progress_bar("months compacted") as progress:
        for number, (name, month) in enumerate(months):
            try:
                became = compact_month(store, month, feed=name)
            except ArchiveError as error:  # the other months are not to wait for this one
                failed.append(error)
            else:
                compacted[name] += [] if became is None else [became.as_dict()]
            progress(number + 1, len(months))
    to.write(together({name: pl.DataFrame(rows, results_of(KNOWN[name])) for name, rows in compacted.items()}))
    tell(*(error.message for error in failed))
    return 1 if failed else 0
