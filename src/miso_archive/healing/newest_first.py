"""Market days healed one after the other, the newest first: how far it has come, and when going back further ends."""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from miso_archive.healing.backfilled import BackfilledDay

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, int], None]
"""Called with how many market days are done, how many are to be, and how many rows were fetched."""

MOST_NOT_PUBLISHED: Final = 14
"""How many days in a row that MISO has nothing of end a backfill: it goes back no further."""


def newest_first(
    days: Sequence[date],
    heal: Callable[[date], BackfilledDay],
    progress: Progress | None,
    is_last: Callable[[BackfilledDay], bool] = lambda _: False,
) -> list[BackfilledDay]:
    """Heal days in their order; end after one that is said to be the last, and where nothing is published any more."""
    done: list[BackfilledDay] = []
    for day in days:
        done.append(heal(day))
        if progress is not None:
            progress(len(done), len(days), sum(each.rows for each in done if each.outcome == "fetched"))
        if is_last(done[-1]) or is_nothing_published(done):
            break
    return done


def is_nothing_published(done: Sequence[BackfilledDay]) -> bool:
    """Tell, aloud, whether MISO has nothing of too many days in a row."""
    latest = done[-MOST_NOT_PUBLISHED:]
    if len(latest) < MOST_NOT_PUBLISHED or any(day.outcome != "not_published" for day in latest):
        return False
    message = "nothing is published of the %d market days back to %s: no older one is asked for"
    logger.warning(message, len(latest), latest[-1].market_day)
    return True
