"""A run of a daily feed: a market day, page after page, taken up where a run before it stopped."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from miso_archive.collecting.result import RunResult
from miso_archive.collecting.run import Run
from miso_archive.collecting.steps import Candidate, DailySteps, Do, Observer
from miso_archive.contract.findings import FailureCode, Finding, RefusalCode
from miso_archive.contract.pages import is_node, is_whole, page_of
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import market_day
from miso_archive.settings.options import KeyedSettings, UsageError

logger = logging.getLogger(__name__)

MOST_PAGES: Final = 100
"""How many pages of a day and node are asked for at most: a thousand rows each were seen, and a day has fewer."""

_OUT_SINCE: Final = timedelta(days=7)
_OF_ALL_NODES: Final = frozenset({FailureCode.API_KEY_REFUSED, FailureCode.API_QUOTA})
"""What other nodes would be answered too."""


@dataclass(frozen=True, slots=True)
class AskedDay:
    """Which market day of a daily feed: the newest that can be there unless given; and which nodes, if not its own."""

    market_day: date | None = None
    nodes: tuple[str, ...] = ()


def refuse_wrong_asking(settings: KeyedSettings, feeds: Sequence[Feed], asked: AskedDay) -> None:
    """Refuse to ask live feeds for a market day, or a daily one without its key.

    Raises:
        UsageError: As said, or a node is none.
    """
    daily = [feed for feed in feeds if feed.daily is not None]
    if not daily and asked != AskedDay():
        raise UsageError("market days and nodes are of daily feeds: a live one shows the present alone")
    if asked.nodes and not any(feed.daily is not None and feed.daily.nodes for feed in daily):
        raise UsageError(f"{daily[0].name} has no nodes")
    for node in asked.nodes:
        if not is_node(node):
            raise UsageError("a node is given as MISO spells it: MINN.HUB")
    if daily and not settings.has_key:
        raise UsageError(f"{daily[0].name} needs a key: MISO_API_KEY, or a Secret block (--api-key-block)")


def collect_day(  # noqa: PLR0913, PLR0917 - what a run consists of, and when it is
    settings: KeyedSettings,
    asked: AskedDay,
    feed: Feed,
    steps: DailySteps,
    do: Do,
    now: datetime,
    observer: Observer | None = None,
) -> RunResult:
    """Take the pages of a market day through the steps; failures are counted, not raised.

    A day that stands whole is asked for anew: a page that has changed is stored beside the one before. One that is
    unfinished is taken up behind the pages that stand.
    """
    if feed.daily is None:
        raise TypeError(f"{feed.name} is no daily feed")
    day = asked.market_day or feed.daily.newest(now)
    run = Run(feed, steps, do, observer)
    run.result.not_published = 0
    run.begin()
    stood = _standing(steps, do, day)
    for node in (asked.nodes or feed.daily.nodes) if feed.daily.nodes else ("",):
        pages = _Pages(settings, run, day, node)
        if pages.collect(stood.get(node, [])) in _OF_ALL_NODES:
            break
    return run.end()


def doubt_the_address(settings: KeyedSettings, feed: Feed, asked: AskedDay, now: datetime) -> None:
    """Say so where nothing is published of a market day that should be out long since."""
    day = asked.market_day
    if feed.daily is not None and day is not None and feed.daily.can_be_there(day, now - _OUT_SINCE):
        logger.warning("%s has nothing of %s, long since due: check --keyed-api-base", settings.keyed_api_base, day)


def _standing(steps: DailySteps, do: Do, day: date) -> dict[str, list[Snapshot]]:
    try:
        return do(steps.pages_of, day)
    except CollectionError as error:
        # The puts are conditional: what stands is found to stand.
        logger.warning("%s; the day is asked for from its first page", error)
        return {}


@dataclass(frozen=True, slots=True)
class _Pages:
    """The pages of one node, or of all that a feed without nodes has."""

    settings: KeyedSettings
    run: Run
    day: date
    node: str

    def collect(self, stood: list[Snapshot]) -> FailureCode | None:
        """Ask for the pages that are to come, and return the code of a request that failed."""
        is_ended = bool(stood) and page_of(stood[-1]).is_last
        pages = [] if is_ended else list(stood)
        while not pages or not page_of(pages[-1]).is_last:
            taken = self.run.take(self._candidate(len(pages) + 1), lambda verdict: self._judged(verdict, pages))
            if taken is None:
                self._not_there(pages)
                return None
            if taken.snapshot is None:
                self.run.count("failed")
                return taken.code
            pages.append(taken.snapshot)
            if page_of(taken.snapshot).is_last and not is_whole(pages):
                rows = sum(len(page.rows) for page in pages)
                said = page_of(taken.snapshot).rows_of_day
                message = f"{self._told()} has {rows} rows in {len(pages)} pages, and says {said}: to be asked for anew"
                self.run.fail(CollectionError(FailureCode.PAGES_UNFINISHED, message))
                self.run.count("failed")
            else:
                self.run.count(taken.outcome)
        return None

    def _candidate(self, number: int) -> Candidate:
        feed = self.run.feed
        query = urlencode({"pageNumber": number} | ({"node": self.node} if self.node else {}))
        address = self.settings.address(feed).replace("{market_day}", self.day.isoformat())
        return Candidate(f"{address}?{query}", self.settings.timeout_of(feed), number, self._told())

    def _not_there(self, pages: list[Snapshot]) -> None:
        if not pages:
            logger.info("%s is not published", self._told())
            self.run.result.total_candidates += 1
            self.run.result.not_published = (self.run.result.not_published or 0) + 1
            return
        message = f"{self._told()} has no page {len(pages) + 1} (404), and page {len(pages)} is not said to be its last"
        self.run.fail(CollectionError(FailureCode.PAGES_UNFINISHED, message))
        self.run.count("failed")

    def _judged(self, verdict: Verdict, pages: list[Snapshot]) -> Verdict:
        """Refuse a page that is not the one that was asked for."""
        snapshot = verdict.snapshot
        if snapshot is None:
            return verdict
        wrong = self._wrong(snapshot, pages)
        if wrong is None:
            return verdict
        where, message = wrong
        reason = Finding(RefusalCode.WRONG_PAGE, where, message)
        return replace(verdict, snapshot=None, reasons=(reason,))

    def _wrong(self, snapshot: Snapshot, pages: list[Snapshot]) -> tuple[str, str] | None:
        page, number = page_of(snapshot), len(pages) + 1
        day = market_day(snapshot.interval_end)
        if page.number != number:
            return "page.pageNumber", f"is {page.number}, and {number} was asked for"
        if (day, page.node) != (self.day, self.node):
            return "data", f"is of {day} {page.node}, and {self._told()} was asked for".replace(" ,", ",")
        if pages and snapshot.rows == pages[-1].rows:
            return "data", f"repeats page {number - 1}"
        said, rows = page.rows_of_day, sum(len(one.rows) for one in (*pages, snapshot))
        if number == MOST_PAGES and not page.is_last:
            return "page.lastPage", f"is not true on page {number}: pages without end"
        if not page.is_last and said is not None and rows > said:
            return "page.lastPage", f"is not true, and {rows} rows are there of {said}: pages without end"
        return None

    def _told(self) -> str:
        return f"{self.day} {self.node}".rstrip()
