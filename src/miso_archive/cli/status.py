"""The command that tells how the collection stands: ``miso-archive status``."""

import os
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from miso_archive.cli.on_feeds import OneFeed
from miso_archive.cli.streams import put
from miso_archive.feeds import FEEDS
from miso_archive.health.status import status as look
from miso_archive.health.status import told
from miso_archive.settings.options import PartsSettings, given_in

_LONGEST = 100 * 366 * 24 * 60.0  # minutes: what is longer is no time that Python can hold


def status(
    *,
    settings: Annotated[PartsSettings | None, Parameter(name="*")] = None,
    feed: OneFeed = "reserve",
    stale_after: Annotated[float, Parameter(validator=Number(gt=0, lte=_LONGEST))] = 15.0,
    json: bool = False,
) -> int:
    """Carry out ``status``.

    Args:
        settings: Where the archive is, and the parts around it.
        feed: Which feed's collection.
        stale_after: Minutes after its end at which the last interval is too old.
        json: Print one JSON object instead, for monitors.
    """
    resolved = PartsSettings.resolve(given_in(settings), os.environ)
    found = look(resolved, FEEDS[feed], stale_after=timedelta(minutes=stale_after))
    put(found.model_dump_json() + "\n" if json else told(found))
    return 0 if found.healthy else 1
