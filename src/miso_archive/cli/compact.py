"""The command ``miso-archive compact``: closed market days to monthly Parquet."""

import polars as pl

from miso_archive.cli.on_archive import Where, opened, progress_bar, told_wrong_bounds
from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.reading.compaction import RESULTS, CompactedMonth, compact_month, months_to_compact
from miso_archive.store.store import ArchiveError


def compact(
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Carry out ``compact``.

    Args:
        settings: Where the archive is.
        start: A market day of the first month to compact, YYYY-MM-DD.
        end: The market day after the last; its month is compacted as far as its days are closed.
        format: What became of each month, as a table, CSV, Parquet or a JSON array; as the file of --output is named,
            else a table.
        output: A file to write instead of standard output, which is -.
    """
    to = Output.of(format, output)
    with told_wrong_bounds():
        store = opened(settings, start, end)
        months = months_to_compact(store, start=start, end=end)
    compacted: list[CompactedMonth | None] = []
    failed: list[ArchiveError] = []
    with progress_bar("months compacted") as progress:
        for number, month in enumerate(months):
            try:
                compacted.append(compact_month(store, month))
            except ArchiveError as error:  # the other months are not to wait for this one
                failed.append(error)
            progress(number + 1, len(months))
    to.write(pl.DataFrame([month.as_dict() for month in compacted if month is not None], RESULTS))
    tell(*(error.message for error in failed))
    return 1 if failed else 0
