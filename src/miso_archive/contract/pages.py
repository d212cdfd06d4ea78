"""Bodies that are pages of a market day: what a page says of itself, of which day and node it is, when all stand. Pure.

MISO's keyed API answers a day in pages, counted from 1, and says on each whether it is the last. Since 2026-05-06 it
spells a five-minute interval by its START **[said]**: ``interval`` and ``timeInterval.value``, and ``timeInterval`` is
then that interval, from start to end. An hour is spelled by its number, 1 to 24, which is its END. Both become the end
of the interval here, as everywhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple

from miso_archive.contract.findings import Findings, RefusalCode, WarningCode
from miso_archive.contract.kinds import FLAG, NUMBER_OR_NAME, PERIOD, Kind, Trouble, WrongValueError, optional
from miso_archive.contract.rows import PageLabel, Row, published
from miso_archive.contract.verdict import Page, Snapshot
from miso_archive.intervals.market_days import ONE_DAY, day_begins, market_day
from miso_archive.text import shown

_CLOCK: Final = re.compile(r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::00)?", re.ASCII)
_NODE: Final = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}", re.ASCII)
_DIGITS_AT_THE_END: Final = re.compile(r"\.\d{12}", re.ASCII)


class Span(NamedTuple):
    """From when until when something is, aware."""

    start: datetime
    end: datetime


def is_node(name: str) -> bool:
    """Tell whether a commercial pricing node may be called so: objects are named by it."""
    return _NODE.fullmatch(name) is not None and _DIGITS_AT_THE_END.search(name[-13:]) is None


def _span(value: object) -> Span:
    if not isinstance(value, dict):
        raise WrongValueError(Trouble.UNREADABLE, f"{shown(value)} is not an object")
    times = []
    for name in Span._fields:
        if name not in value:
            raise WrongValueError(Trouble.UNREADABLE, f"has no {name}")
        times.append(PERIOD.read(value[name]))
    return Span(*times)  # type: ignore[arg-type] # PERIOD gives times


def _count(value: object) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole or (isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII)):
        number = int(value)  # type: ignore[call-overload] # narrowed above, beyond what mypy follows
        if number >= 0:
            return number  # type: ignore[no-any-return] # likewise
    raise WrongValueError(Trouble.UNREADABLE, f"{shown(value)} is not a whole number of 0 or more")


def _node(value: object) -> str:
    if isinstance(value, str) and is_node(value):
        return value
    raise WrongValueError(Trouble.UNREADABLE, f"{shown(value)} is no name of a node: capitals, digits, . _ and -")


SPAN: Final = Kind("time interval", Span, _span, RefusalCode.UNREADABLE_TIME)
"""An object with a ``start`` and an ``end``, in EST where no offset is given; what else it says is not read."""

COUNT: Final = Kind("count", int, _count, RefusalCode.BAD_NUMBER)
"""A whole number of 0 or more, as a number or as text."""

NODE: Final = Kind("node", str, _node, RefusalCode.NOT_TEXT)
"""The name of a commercial pricing node: capitals, digits, points, hyphens and underscores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures(Row):
    """What a page says of itself beside its rows."""

    page: int = published("page.pageNumber", COUNT, "The page's number, from 1.")
    is_last_page: bool = published("page.lastPage", FLAG, "Whether no further page follows.")
    rows_of_day: int | None = published(
        "page.totalElements",
        optional(COUNT),
        "How many rows all pages have together, as the page says.",
        required=False,
    )
    pages_of_day: int | None = published(
        "page.totalPages", optional(COUNT), "How many pages there are, as the page says.", required=False
    )
    page_size: int | None = published("page.pageSize", optional(COUNT), required=False, kept=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfADay(Row):
    """A row of a page, of an interval of ``length``."""

    length: ClassVar[timedelta]

    time_interval: Span = published(
        "timeInterval", SPAN, "From when until when: the row's interval, or the whole day.", kept=False
    )
    interval: str = published(
        "interval",
        NUMBER_OR_NAME,
        "The interval: its number in the day, which names its END, or the time of its START.",
        kept=False,
    )

    @property
    def interval_end(self) -> datetime | None:
        """The end of the row's interval; None where nothing tells it."""
        start, end = self.time_interval
        if end - start == self.length:
            return end
        since = self.spelled_end
        return start + since if end - start == ONE_DAY and since is not None else None

    @property
    def spelled_end(self) -> timedelta | None:
        """How long after the day's beginning the interval ends by its number or by its time; None by neither."""
        if clock := _CLOCK.fullmatch(self.interval):
            return timedelta(hours=int(clock["hour"]), minutes=int(clock["minute"])) + self.length
        is_number = self.interval.isdecimal() and self.interval.isascii()
        since = int(self.interval[:4]) * self.length if is_number else timedelta(0)
        return since if timedelta(0) < since <= ONE_DAY else None


class Labelled(NamedTuple):
    """What a page is: of which market day, by its end, and which page."""

    interval_end: datetime
    page: Page


def label_of_page(
    rows: Sequence[Any],
    label: PageLabel,
    figures: Any,  # noqa: ANN401 - PageFigures, as the contract has it
    at: str,
    findings: Findings,
) -> Labelled | None:
    """Tell of which market day a page is; None after saying why that cannot be told."""
    days: dict[date, str] = {}
    for number, row in enumerate(rows):
        end = row.interval_end
        if end is None:
            message = f"{shown(row.interval)} and timeInterval name no interval of {row.length}"
            findings.refuse(RefusalCode.UNREADABLE_TIME, f"{at}[{number}].interval", message)
            return None
        days.setdefault(market_day(end), f"{at}[{number}]")
        spelled = row.spelled_end
        if spelled is not None and spelled != end - day_begins(market_day(end)):
            message = f"{shown(row.interval)} is another interval than timeInterval's"
            findings.warn(WarningCode.PERIOD_DIFFERS, "interval", f"{at}[{number}].interval", message)
    if len(days) != 1:
        first, *others = days.items()
        message = f"is of another market day than {first[0]}"
        findings.refuse(RefusalCode.WRONG_PAGE, others[0][1], message)
        return None
    if figures.page < 1:
        findings.refuse(RefusalCode.WRONG_PAGE, "page.pageNumber", "is 0: pages are counted from 1")
        return None
    nodes = {getattr(row, label.node) for row in rows} if label.node else set()
    page = Page(
        number=figures.page,
        node=nodes.pop() if len(nodes) == 1 else "",
        is_last=figures.is_last_page,
        rows_of_day=figures.rows_of_day,
    )
    return Labelled(day_begins(next(iter(days))) + ONE_DAY, page)


def in_words(day_end: datetime, page: Page) -> str:
    """Say which page it is: ``2026-10-02``, ``2026-10-02 MINN.HUB, page 2``."""
    of = f" {page.node}" if page.node else ""
    return f"{market_day(day_end)}{of}" + (f", page {page.number}" if page.number > 1 else "")


def page_of(snapshot: Snapshot) -> Page:
    """Return which page a snapshot of a daily feed is.

    Raises:
        TypeError: It is of a live feed.
    """
    if snapshot.page is None:
        raise TypeError(f"{snapshot.ref_id} is no page")
    return snapshot.page


def standing(pages: Sequence[Snapshot]) -> dict[str, list[Snapshot]]:
    """Return by node the first pages that stand of a market day, without a hole, up to the last page.

    Args:
        pages: What was fetched of one market day, in the order of the fetches: of each page the last one counts.
    """
    latest: dict[tuple[str, int], Snapshot] = {}
    for one in pages:
        latest[page_of(one).node, page_of(one).number] = one
    found: dict[str, list[Snapshot]] = {node: [] for node, _ in latest}
    for node, one_after_another in found.items():
        while (following := latest.get((node, len(one_after_another) + 1))) is not None:
            one_after_another.append(following)
            if page_of(following).is_last:
                break
    return found


def is_whole(pages: Sequence[Snapshot]) -> bool:
    """Tell whether pages, the first of a day without a hole, are all of it: up to the last, and with all its rows."""
    if not pages or not (last := page_of(pages[-1])).is_last:
        return False
    return last.rows_of_day is None or last.rows_of_day == sum(len(one.rows) for one in pages)
