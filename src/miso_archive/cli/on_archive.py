"""What the commands on an archive that is there share: which one, which days, and a bar while they work."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from miso_archive.cli.streams import tell
from miso_archive.feeds.columns import WrongTableError
from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import WrongDaysError
from miso_archive.reading.scan import WrongSourcesError
from miso_archive.settings.options import ArchiveSettings, UsageError, given_in
from miso_archive.store.address import refuse_no_archive, standing, store_of
from miso_archive.store.store import Store

_SECONDS_BETWEEN_LINES: Final = 60
_MANY_DAYS: Final = 14

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
    with _bar(TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def backfill_progress(what: str) -> Iterator[Callable[[int, int, int], None]]:
    """Show a bar on a terminal, with the rows fetched and when it ends, likely; elsewhere say so once a minute.

    Of many days it is said as soon as the first one is done.
    """
    begun = said = monotonic()

    with _bar(TextColumn("{task.fields[rest]}")) as bar:
        task = bar.add_task(what, total=None, rest="")

        def show(done: int, total: int, rows: int) -> None:
            nonlocal said
            now = monotonic()
            ends = datetime.now().astimezone() + timedelta(seconds=(now - begun) / done * (total - done))
            rest = f"{rows:,} rows, ends about {ends:%Y-%m-%d %H:%M %Z}"
            bar.update(task, completed=done, total=total, rest=rest)
            is_due = now - said >= _SECONDS_BETWEEN_LINES or (done == 1 and total >= _MANY_DAYS)
            if bar.disable and is_due:
                said = now
                tell(f"{done} of {total} market days, {rest}")

        yield show


def _bar(column: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    # Where FORCE_COLOR is set, as CI does, rich takes a pipe for a terminal.
    is_shown = sys.stderr.isatty() and not console.is_dumb_terminal
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), column)
    return Progress(*columns, console=console, transient=True, disable=not is_shown)
