"""What an archive holds of some market days, as a frame: one row an object."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from miso_archive.feeds.columns import OBJECTS
from miso_archive.feeds.feed import Feed
from miso_archive.store.fetched import Fetched
from miso_archive.store.listing import find_snapshots
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable


class Listing(NamedTuple):
    """The snapshots of some market days, as ``columns.OBJECTS``, in time order, and what else lies among them."""

    snapshots: pl.DataFrame
    foreign: list[Unreadable]


def list_snapshots(
    store: Store, feed: Feed, days: Sequence[date], *, ordered: bool = True, fetched: Fetched | None = None
) -> Listing:
    """List the snapshots of these market days, as ``store.listing.find_snapshots`` finds them."""
    found, foreign = find_snapshots(store, feed, days, ordered=ordered, fetched=fetched)
    # A series is cast at once, a frame through the query engine: a millisecond a listing.
    labels = pl.Series("interval_end", found.labels, pl.Int64).cast(OBJECTS["interval_end"])
    columns = {"object_key": found.keys, "interval_end": labels, "revision": found.revisions}
    return Listing(pl.DataFrame(columns, OBJECTS), foreign)
