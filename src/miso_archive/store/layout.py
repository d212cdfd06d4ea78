"""The layout of an archive: the keys of all that stands there, made and recognised in this file alone. Pure."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from miso_archive.contract.pages import is_node
from miso_archive.contract.verdict import Page
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST
from miso_archive.intervals.market_days import day_named, market_day
from miso_archive.store.response import Response

ROOMS: Final = ("sourcing", "curated", "quarantine", "reports")
"""The folders of an archive that have one of each dataset in it; one is there as soon as anything is kept."""

ENVIRONMENTS: Final = "environments"
"""The folder of the marks of who writes into an archive."""

_DIGITS: Final = 12
_SNAPSHOT: Final = {f"{minute // 60:02}{minute % 60:02}.json.gz": minute for minute in range(24 * 60)}
_REVISION: Final = re.compile(rf"([01]\d|2[0-3])([0-5]\d)\.[0-9a-f]{{{_DIGITS}}}\.json\.gz", re.ASCII)
_PAGE: Final = re.compile(
    rf"(?:_(?P<node>.+?))?(?:\.p(?P<number>[1-9]\d{{0,5}}))?(?P<revision>\.[0-9a-f]{{{_DIGITS}}})?\.json\.gz", re.ASCII
)
_MONTH: Final = re.compile(r"(\d{4}-\d{2})\.parquet", re.ASCII)
_REFUSED: Final = re.compile(r"(refused_[0-9a-f]{64})\.(?:body\.gz|reasons\.json)", re.ASCII)


class Keys(NamedTuple):
    """Where a body goes: under its own key, or, when other bytes stand there, under that of a revision."""

    own: str
    revision: str


def sourcing_folder(feed: Feed, day: date | None = None) -> str:
    """Return the folder of the snapshots whose labels have this date in EST, or that of all such folders."""
    folder = f"sourcing/{feed.dataset}"
    return folder if day is None else f"{folder}/{day}"


class PageName(NamedTuple):
    """What the name of a page's object says: of which node it is, its number, and whether it is a revision."""

    node: str
    number: int
    is_revision: bool


def snapshot_key(
    feed: Feed, interval_end: datetime, revision_of: str | None = None, *, page: Page | None = None
) -> str:
    """Return the key of a snapshot, from its own label in EST and nothing else.

    With the SHA-256 of a body, the key of that body as a revision: another body for an interval that is taken. That of
    a page is named by its market day, which the label then ends, by its node and, behind the first, by its number.
    """
    suffix = f".{revision_of[:_DIGITS]}" if revision_of else ""
    if page is not None:
        day = market_day(interval_end)
        node = f"_{page.node}" if page.node else ""
        number = f".p{page.number}" if page.number > 1 else ""
        return f"{sourcing_folder(feed, day)}/{feed.file_stem}_{day:%Y%m%d}{node}{number}{suffix}.json.gz"
    label = interval_end.astimezone(EST)
    day = label.date()
    return f"{sourcing_folder(feed, day)}/{snapshot_stem(feed, day)}{label:%H%M}{suffix}.json.gz"


def snapshot_keys(feed: Feed, interval_end: datetime, sha256: str, *, page: Page | None = None) -> Keys:
    """Return both keys of a snapshot whose body has this SHA-256."""
    return Keys(snapshot_key(feed, interval_end, page=page), snapshot_key(feed, interval_end, sha256, page=page))


def page_named(feed: Feed, day: date, name: str) -> PageName | None:
    """Return what the name of an object in a market day's folder says of a page; None of any other name."""
    stem = f"{feed.file_stem}_{day:%Y%m%d}"
    found = _PAGE.fullmatch(name, len(stem)) if name.startswith(stem) else None
    if found is None or not (found["node"] is None or is_node(found["node"])) or found["number"] == "1":
        return None
    return PageName(found["node"] or "", int(found["number"] or 1), found["revision"] is not None)


def snapshot_stem(feed: Feed, day: date) -> str:
    """Return what the names of a folder's snapshots begin with; the label's time follows."""
    return f"{feed.file_stem}_{day:%Y%m%d}_"


def snapshot_minutes(endings: Sequence[str]) -> list[int | None]:
    """Return the minute of the day that each snapshot's name ends with; None where it is no snapshot's."""
    minutes = [*map(_SNAPSHOT.get, endings)]
    if None not in minutes:
        return minutes
    return [_revision_minute(one) if minute is None else minute for one, minute in zip(endings, minutes, strict=True)]


def _revision_minute(ending: str) -> int | None:
    revision = _REVISION.fullmatch(ending)
    return int(revision[1]) * 60 + int(revision[2]) if revision else None


def is_revision(ending: str) -> bool:
    """Tell the ending of a revision from that of the body that was put first."""
    return ending not in _SNAPSHOT


def provenance_key(key: str) -> str:
    """Return where a folder keeps an object's provenance: files have no metadata of their own."""
    return f"provenance/{key.partition('/')[2]}".removesuffix(".json.gz") + ".json"


def quarantine_folder(feed: Feed, day: date | None = None) -> str:
    """Return the folder of the refused bodies that were fetched on a day (EST), or that of all such folders."""
    folder = f"quarantine/{feed.dataset}"
    return folder if day is None else f"{folder}/{day}"


def quarantine_key(feed: Feed, response: Response) -> str:
    """Return the key of a refused body, without its ending: the day it was fetched (EST), and its own SHA-256.

    The same body refused again on that day is kept once.
    """
    day = response.fetched_at.astimezone(EST).date()
    return f"{quarantine_folder(feed, day)}/refused_{response.sha256}"


def refused_name(name: str) -> str | None:
    """Return the name of a refused body, without its ending, from that of either of its two objects, or None."""
    found = _REFUSED.fullmatch(name)
    return None if found is None else found[1]


def is_refused_body(name: str) -> bool:
    """Tell the name of a refused body's bytes from that of its reasons, and of whatever else lies there."""
    return refused_name(name) is not None and name.endswith(".body.gz")


def reports_folder(feed: Feed, report: str, market_day: date | None = None) -> str:
    """Return the folder of a market day's reports of a kind (``rt_rpe``), or that of all such folders."""
    folder = f"reports/{feed.dataset}/{report}"
    return folder if market_day is None else f"{folder}/{market_day}"


def report_key(feed: Feed, report: str, market_day: date, file_name: str, revision_of: str | None = None) -> str:
    """Return the key of a report (``rt_rpe``): in the folder of its market day, under the file's own name.

    With the SHA-256 of a report, the key of that report as a revision.
    """
    stem, _, ending = file_name.rpartition(".")
    suffix = f".{revision_of[:_DIGITS]}" if revision_of else ""
    return f"{reports_folder(feed, report, market_day)}/{stem}{suffix}.{ending}.gz"


def is_report_revision(name: str, file_name: str) -> bool:
    """Tell whether this is the name of a revision of the report with this file name."""
    stem, _, ending = file_name.rpartition(".")
    pattern = rf"{re.escape(stem)}\.[0-9a-f]{{{_DIGITS}}}\.{re.escape(ending)}\.gz"
    return re.fullmatch(pattern, name, re.ASCII) is not None


def rolling_folder(feed: Feed, name: str, market_day: date | None = None) -> str:
    """Return the folder of the bodies of a rolling link (``today``) that were fetched on a market day, or of all."""
    return reports_folder(feed, name, market_day)


def rolling_keys(feed: Feed, name: str, interval_end: datetime, sha256: str) -> Keys:
    """Return both keys of such a body, from the label that it had when it was fetched."""
    label = interval_end.astimezone(EST)
    stem = f"{rolling_folder(feed, name, market_day(interval_end))}/{feed.file_stem}_{name}_{label:%Y%m%d_%H%M}"
    return Keys(f"{stem}.json.gz", f"{stem}.{sha256[:_DIGITS]}.json.gz")


def curated_folder(feed: Feed, table: str) -> str:
    """Return the folder of a table's compacted months."""
    return f"curated/{feed.dataset}/{table}"


def curated_key(feed: Feed, table: str, month: date) -> str:
    """Return the key of a compacted month."""
    return f"{curated_folder(feed, table)}/{month:%Y-%m}.parquet"


def month_named(name: str) -> date | None:
    """Return the first day of the month that a compacted month's name gives; None of any other name."""
    found = _MONTH.fullmatch(name)
    return None if found is None else day_named(f"{found[1]}-01")


def page_key(day: date, name: str, ending: str) -> str:
    """Return the key of a notebook that was run on a market day, or of the page of it: by its ending, without a dot."""
    return f"pages/{day}/{name}.{ending}"


def unannounced_folder(feed: Feed, environment: str) -> str:
    """Return the folder of the marks of what an environment has stored and not announced."""
    return f"unannounced/{feed.dataset}/{environment}"


def environment_key(name: str) -> str:
    """Return the key of the mark of an environment that writes into an archive; ``began`` is that of the first."""
    return f"{ENVIRONMENTS}/{name}.json"


def environment_named(name: str) -> str | None:
    """Return the environment whose mark has this name; None of any other name."""
    return name.removesuffix(".json") if name.endswith(".json") else None
