"""The command ``miso-archive feeds``: what can be collected."""

import polars as pl

from miso_archive.cli.output import File, Format, Output
from miso_archive.feeds import KNOWN


def feeds(
    *,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Carry out ``feeds``.

    Args:
        format: A table, or CSV, Parquet or a JSON array; as the file of --output is named, else a table.
        output: A file to write instead of standard output, which is -.
    """
    rows = [
        (feed.name, feed.title, ", ".join(table.name for table in feed.contract.tables), feed.dataset, feed.url)
        for feed in KNOWN.values()
    ]
    listed = pl.DataFrame(rows, ["feed", "title", "tables", "dataset", "address"], orient="row")
    Output.of(format, output).write(listed, has_times=False)
    return 0
