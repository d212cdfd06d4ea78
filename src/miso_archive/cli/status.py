"""The command that tells how the collection stands: ``miso-archive status``."""

import os
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from pydantic import BaseModel

from miso_archive.cli.on_feeds import Feeds, named
from miso_archive.cli.streams import put
from miso_archive.health.status import Status, statuses, told, told_together
from miso_archive.settings.options import PartsSettings, given_in

_LONGEST = 100 * 366 * 24 * 60.0  # minutes: what is longer is no time that Python can hold


class _Together(BaseModel):
    feeds: dict[str, Status]


def status(
    *,
    settings: Annotated[PartsSettings | None, Parameter(name="*")] = None,
    feed: Feeds = ("reserve",),
    stale_after: Annotated[float, Parameter(validator=Number(gt=0, lte=_LONGEST))] = 15.0,
    json: bool = False,
) -> int:
    """Carry out ``status``.

    Args:
        settings: Where the archive is, and the parts around it.
        feed: Which feed's collection, or those of several, together; `all` is every live one.
        stale_after: Minutes after its end at which the last interval is too old.
        json: Print one JSON object instead, for monitors; of several feeds each's, by its name, below `feeds`.
    """
    resolved = PartsSettings.resolve(given_in(settings), os.environ)
    found = statuses(resolved, named(feed), stale_after=timedelta(minutes=stale_after))
    if len(found) > 1:
        put(_Together(feeds=found).model_dump_json() + "\n" if json else told_together(found))
    else:
        put("".join(each.model_dump_json() + "\n" if json else told(each) for each in found.values()))
    return 0 if all(each.healthy for each in found.values()) else 1
