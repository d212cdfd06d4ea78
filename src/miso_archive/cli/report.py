"""The command ``miso-archive report``: a notebook run on an archive, as one page."""

import os
from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from miso_archive.cli.on_archive import Where
from miso_archive.cli.output import put_file, refuse_no_place_for_a_file
from miso_archive.intervals.market_days import read_day
from miso_archive.pages import NotebookName
from miso_archive.pages.notebook_run import OF_A_DAY, NotebookRun
from miso_archive.settings.options import ArchiveSettings, UsageError, given_in
from miso_archive.store.address import refuse_no_archive, standing, store_of


def report(
    *,
    settings: Where = None,
    output: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    day: str | None = None,
    notebook: NotebookName = OF_A_DAY,
) -> int:
    """Carry out ``report``.

    Args:
        settings: Where the archive is.
        output: The file to write: a page that opens without a network. Written whole, or left as it was.
        day: The market day, YYYY-MM-DD, of `market_day`; the last one in the archive unless given.
        notebook: Which notebook.
    """
    from miso_archive.pages.page import make_page  # noqa: PLC0415 - its help needs nothing of it

    market_day = _market_day(day, notebook)
    refuse_no_place_for_a_file(output)
    resolved = ArchiveSettings.resolve(given_in(settings), os.environ)
    refuse_no_archive(standing(store_of(resolved)))
    put_file(output, make_page(NotebookRun(notebook, day=market_day), resolved).html)
    return 0


def _market_day(day: str | None, notebook: str) -> date | None:
    if day is None:
        return None
    found = read_day(day)
    if found is None:
        raise UsageError(f"--day is a market day, YYYY-MM-DD, not {day!r}")
    if notebook != OF_A_DAY:
        raise UsageError(f"--day: {notebook} is of the whole archive: leave it out")
    return found
