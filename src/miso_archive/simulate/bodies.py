"""What the simulated host answers for each feed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from miso_archive.feeds.feed import Feed
from miso_archive.simulate.market import documented_body, snapshot_body
from miso_archive.simulate.relabelled import relabelled_body
from miso_archive.simulate.sisters import (
    asm_body,
    figures_body,
    fuel_body,
    lmp_body,
    subregional_body,
    transmission_body,
)

_BODIES: Final[dict[str, Callable[..., bytes]]] = {
    "reserve": snapshot_body,
    "transmission": transmission_body,
    "subregional": subregional_body,
    "rt_exante_lmp": lmp_body,
    "asm_mcp": asm_body,
    "fuel_mix": fuel_body,
    "snapshot": figures_body,
}
"""The feeds that the made-up market knows; any other's body is its recorded one, relabelled."""

DOCUMENTED_BODIES: Final[dict[str, Callable[..., bytes]]] = {"reserve": documented_body}
"""Those of which MISO documents another shape than it sends."""

PUBLISHED_AFTER: Final = {
    "transmission": timedelta(seconds=45),
    "subregional": timedelta(seconds=45),
    "fuel_mix": timedelta(seconds=60),
    "snapshot": timedelta(seconds=75),
}
"""How long after reserve and the ancillary prices a feed comes to an interval: in one minute MISO's show different
labels; by how much is made up."""


def body_of(feed: Feed, present: datetime, *, seed: int, revision: int = 0, documented: bool = False) -> bytes:
    """Give what a feed shows while an interval is the present one: a feed with a lead is labelled ahead by it.

    Args:
        feed: The feed.
        present: The END of the present interval, an aware time on the five-minute grid.
        seed: Names the simulated market.
        revision: 0 is the first publication.
        documented: In the documented shape, of a feed that has one.

    Raises:
        ValueError: ``present`` is naive or off the grid, ``revision`` is negative, or the recorded body is refused.
        OSError: The recorded body cannot be read.
    """
    interval_end = present + feed.lead
    known = DOCUMENTED_BODIES if documented else _BODIES
    if feed.name in known:
        return known[feed.name](interval_end, seed=seed, revision=revision)
    return relabelled_body(feed, interval_end, seed=seed, revision=revision)
