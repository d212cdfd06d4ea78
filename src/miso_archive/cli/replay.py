"""The command on what was refused: ``miso-archive replay``."""

import os
from typing import Annotated

import orjson
from cyclopts import Parameter

from miso_archive.cli.on_feeds import OneFeed
from miso_archive.cli.streams import put
from miso_archive.feeds import KNOWN
from miso_archive.healing.replay import replay as replay_refused
from miso_archive.intervals.market_days import WrongDaysError
from miso_archive.settings.options import ArchiveSettings, UsageError, given_in
from miso_archive.store.address import standing, store_of


def replay(
    *,
    settings: Annotated[ArchiveSettings | None, Parameter(name="*")] = None,
    feed: OneFeed = "reserve",
    start: str | None = None,
    end: str | None = None,
    dry_run: bool = False,
) -> int:
    """Carry out ``replay``.

    Args:
        settings: Where the archive is.
        feed: Whose refused bodies.
        start: The first day of the fetch (EST), YYYY-MM-DD.
        end: The day after the last.
        dry_run: Write nothing; print what would be archived.
    """
    resolved = ArchiveSettings.resolve(given_in(settings), os.environ)
    try:
        store = standing(store_of(resolved))
        result = replay_refused(store, KNOWN[feed], dry_run=dry_run, start=start, end=end)
    except WrongDaysError as error:
        raise UsageError(error.as_option) from error
    put(orjson.dumps(result.model_dump()).decode() + "\n")
    return 1 if result.unreadable else 0
