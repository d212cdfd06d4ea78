"""Which snapshots an archive holds, and how many refused bodies, from the names of its objects alone."""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from operator import eq
from typing import Final, NamedTuple

from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST
from miso_archive.intervals.market_days import ONE_DAY, day_named
from miso_archive.store.fetched import Fetched
from miso_archive.store.layout import (
    PageName,
    is_refused_body,
    is_revision,
    page_named,
    quarantine_folder,
    snapshot_minutes,
    snapshot_stem,
    sourcing_folder,
)
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable

_MICROSECONDS_A_MINUTE: Final = 60_000_000
_RUN: Final = re.compile(rb"\x01+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Folder(NamedTuple):
    """The snapshots of a folder in the order of their names, whose keys all begin with the stem.

    Of each the minute of its label's day, and what its name ends with; and where the bodies of each interval stand that
    has several.
    """

    day: date
    stem: str
    minutes: list[int]
    endings: list[str]
    several: list[slice]


def days_in(store: Store, folder: str) -> list[date]:
    """Return the days by which a folder's own folders are named: one listing.

    Raises:
        ArchiveError: The archive fails.
    """
    return [day for name in store.folders(folder) if (day := day_named(name))]


def market_days(store: Store, feed: Feed) -> list[date]:
    """Return every market day that may have a snapshot, by the archive's folders: one listing."""
    folders = days_in(store, sourcing_folder(feed))
    if feed.daily is not None:
        return folders
    # A folder is named by the labels' date, and its label 00:00 belongs to the day before.
    return sorted({*folders, *(day - ONE_DAY for day in folders)})


def count_refused(store: Store, feed: Feed, days: Sequence[date]) -> list[int]:
    """Return how many refused bodies are kept of each day of fetch (EST).

    Raises:
        ArchiveError: The archive fails.
    """
    folders = store.names([quarantine_folder(feed, day) for day in days])
    return [sum(map(is_refused_body, names)) for names in folders]


def find_snapshots(
    store: Store, feed: Feed, days: Sequence[date], *, ordered: bool = True, fetched: Fetched | None = None
) -> "tuple[Snapshots, list[Unreadable]]":
    """Find the snapshots of these market days: in their own folders, and the 00:00 of the folders after.

    When each body was fetched is asked of the archive, or of what ``fetched`` knows, where an interval has several; not
    unless ``ordered``, which leaves them, and their revisions, in the order of their names. What else lies there is
    returned beside them.
    """
    if feed.daily is not None:
        return _find_pages(store, feed, days, ordered=ordered, fetched=fetched or Fetched(store))
    wanted = set(days)
    folders = sorted(wanted | {day + ONE_DAY for day in days})
    paths = [sourcing_folder(feed, day) for day in folders]
    listed: list[_Folder] = []
    foreign: list[Unreadable] = []
    for day, path, names in zip(folders, paths, store.names(paths), strict=True):
        prefix = snapshot_stem(feed, day)
        minutes, endings, others = _recognised(prefix, names)
        if day in wanted:
            reason = "its name is not that of a snapshot there"
            foreign += [Unreadable(f"{path}/{_printable(name)}", day, reason) for name in others]
        # The label 00:00 is of the day before, and comes first.
        later = bisect_right(minutes, 0)
        asked = slice(0 if day - ONE_DAY in wanted else later, None if day in wanted else later)
        minutes = minutes[asked]
        listed.append(_Folder(day, f"{path}/{prefix}", minutes, endings[asked], _several(minutes)))
    came = _came(fetched or Fetched(store), listed) if ordered else {}
    snapshots = Snapshots()
    for folder in listed:
        snapshots.add(folder, came)
    return snapshots, foreign


def _find_pages(
    store: Store, feed: Feed, days: Sequence[date], *, ordered: bool, fetched: Fetched
) -> "tuple[Snapshots, list[Unreadable]]":
    """Find the pages of market days, each in its day's own folder; a revision is one of its page."""
    days = sorted(set(days))
    paths = [sourcing_folder(feed, day) for day in days]
    snapshots = Snapshots()
    foreign: list[Unreadable] = []
    for day, path, names in zip(days, paths, store.names(paths), strict=True):
        pages: dict[str, PageName] = {}
        for name in names:
            if (page := page_named(feed, day, name)) is not None:
                pages[f"{path}/{name}"] = page
            else:
                reason = "its name is not that of a page there"
                foreign.append(Unreadable(f"{path}/{_printable(name)}", day, reason))
        came = dict(zip(pages, fetched.at(list(pages)), strict=True)) if ordered else {}
        snapshots.add_pages(day, pages, came)
    return snapshots, foreign


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)[1:-1]


@dataclass
class Snapshots:
    """Archived snapshots in time order: their keys, their labels in microseconds since 1970, their revisions."""

    keys: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)

    def add(self, folder: _Folder, came: Mapping[str, str]) -> None:
        """Add those of a folder."""
        midnight = (datetime.combine(folder.day, time(), EST) - _EPOCH) // timedelta(microseconds=1)
        numbers = [0] * len(folder.minutes)
        for several in folder.several:
            numbers[several] = range(several.stop - several.start)
        self.revisions += numbers
        self.keys += [folder.stem + ending for ending in _in_order(folder, came)]
        self.labels += [midnight + minute * _MICROSECONDS_A_MINUTE for minute in folder.minutes]

    def add_pages(self, day: date, pages: Mapping[str, PageName], came: Mapping[str, str]) -> None:
        """Add the pages of a market day, by their keys: those of a node together, each page in order of the fetch."""
        bodies: dict[tuple[str, int], list[str]] = {}
        for key, page in pages.items():
            bodies.setdefault((page.node, page.number), []).append(key)
        for _, keys in sorted(bodies.items()):
            self.keys += _by_fetch({key: came.get(key) for key in keys}, lambda key: pages[key].is_revision)
            self.revisions += range(len(keys))
        ends = (datetime.combine(day + ONE_DAY, time(), EST) - _EPOCH) // timedelta(microseconds=1)
        self.labels += [ends] * len(pages)

    @property
    def ends(self) -> list[datetime]:
        """The end of each interval, in EST."""
        return [(_EPOCH + timedelta(microseconds=label)).astimezone(EST) for label in self.labels]


def _recognised(prefix: str, names: list[str]) -> tuple[list[int], list[str], list[str]]:
    """Tell the snapshots of a folder, by their minutes and endings, from whatever else lies there."""
    endings = [name[len(prefix) :] for name in names]
    minutes = snapshot_minutes(endings)
    # Of names in order all begin as the first and the last do.
    if None not in minutes and all(name.startswith(prefix) for name in (*names[:1], *names[-1:])):
        return minutes, endings, []  # type: ignore[return-value] # None is not among them
    found: list[tuple[int, str]] = []
    others: list[str] = []
    for name, minute, ending in zip(names, minutes, endings, strict=True):
        if minute is not None and name.startswith(prefix):
            found.append((minute, ending))
        else:
            others.append(name)
    return [minute for minute, _ in found], [ending for _, ending in found], others


def _several(minutes: list[int]) -> list[slice]:
    """Return where in sorted minutes each stands that is there several times."""
    is_again = bytes(map(eq, minutes, minutes[1:]))
    return [slice(run.start(), run.end() + 1) for run in _RUN.finditer(is_again)]


def _came(fetched: Fetched, listed: list[_Folder]) -> dict[str, str]:
    """Return when each body was fetched of the intervals that have several: all asked for at once."""
    keys = [
        folder.stem + ending for folder in listed for several in folder.several for ending in folder.endings[several]
    ]
    return dict(zip(keys, fetched.at(keys), strict=True))


def _in_order(folder: _Folder, came: Mapping[str, str]) -> list[str]:
    """Order the bodies of each interval by when each was fetched: a replayed one comes late and was fetched before."""
    endings = folder.endings.copy()
    for several in folder.several:
        endings[several] = _by_fetch(
            {ending: came.get(folder.stem + ending) for ending in endings[several]}, is_revision
        )
    return endings


def _by_fetch(fetched: Mapping[str, str | None], is_revision: Callable[[str], bool]) -> list[str]:
    """Order the bodies of one interval or page; where no provenance tells, the one without a suffix was put first."""
    is_untold = "" in fetched.values()

    def order(name: str) -> tuple[bool, str, bool, str]:
        is_later = is_revision(name)
        return is_untold and is_later, fetched[name] or "", is_later, name

    return sorted(fetched, key=order)
