"""The feeds: one file a feed, and the object that it makes; the columns of their rows. Pure."""

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from miso_archive.feeds.asm_mcp import ASM_MCP
from miso_archive.feeds.da_exante_asm_mcp import DA_EXANTE_ASM_MCP
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.feeds.reserve import RESERVE
from miso_archive.feeds.rt_exante_lmp import RT_EXANTE_LMP
from miso_archive.feeds.rt_exante_lmp_history import RT_EXANTE_LMP_HISTORY
from miso_archive.feeds.snapshot import SNAPSHOT
from miso_archive.feeds.subregional import SUBREGIONAL
from miso_archive.feeds.transmission import TRANSMISSION
from miso_archive.text import shown

FEEDS: Final = {
    feed.name: feed
    for feed in (
        RESERVE,
        TRANSMISSION,
        SUBREGIONAL,
        RT_EXANTE_LMP,
        ASM_MCP,
        FUEL_MIX,
        SNAPSHOT,
    )
}
"""The live feeds, by what people type."""

DAILY: Final = {feed.name: feed for feed in (DA_EXANTE_ASM_MCP, RT_EXANTE_LMP_HISTORY)}
"""The feeds of another cadence, which bring a market day at a time, from behind a key."""

KNOWN: Final = FEEDS | DAILY
"""All feeds."""

ALL: Final = "all"
"""What people type for every live one."""

if TYPE_CHECKING:
    FeedChoice: TypeAlias = str
else:
    FeedChoice = Literal[(*KNOWN, ALL)]
    """One of their names, or all: a choice in a form."""


class WrongFeedError(ValueError):
    """There is no feed of this name."""


def feed_given(feed: str | Feed) -> Feed:
    """Return the feed of a name; a Feed is itself.

    Raises:
        WrongFeedError: There is none of this name.
    """
    if isinstance(feed, Feed):
        return feed
    found = KNOWN.get(feed) if isinstance(feed, str) else None
    if found is None:
        raise WrongFeedError(f"feed= is one of {', '.join(KNOWN)}, not {shown(feed)}")
    return found
