"""What the commands on an archive that is there share: which one, which days, and a bar while they work."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from miso_archive.feeds.columns import WrongTableError
from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import WrongDaysError
from miso_archive.reading.scan import WrongSourcesError
from miso_archive.settings.options import ArchiveSettings, UsageError, given_in
from miso_archive.store.address import refuse_no_archive, standing, store_of
from miso_archive.store.store import Store

Where = Annotated[ArchiveSettings | None, Parameter(name="*")]


def opened(settings: ArchiveSettings | None, start: str | None, end: str | None) -> Store:
    """Return the archive that settings name, once the days that are asked for are known to be days."""
    Days.of(start, end)  # wrong usage is told before anything is looked for
    store = standing(store_of(ArchiveSettings.resolve(given_in(settings), os.environ)))
    refuse_no_archive(store)
    return store


@contextmanager
def told_wrong_bounds() -> Iterator[None]:
    """Say of wrong market days, sources or tables that they are wrong usage."""
    try:
        yield
    except WrongDaysError as error:
        raise UsageError(error.as_option) from error
    except (WrongSourcesError, WrongTableError) as error:
        raise UsageError(str(error)) from error


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Where FORCE_COLOR is set, as CI does, rich takes a pipe for a terminal.
    is_shown = sys.stderr.isatty() and not console.is_dumb_terminal
    with Progress(*columns, console=console, transient=True, disable=not is_shown) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
