"""The simulated feed: a market, a clock and faults behind a real HTTP server on this machine."""

import json
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import Self
from urllib.parse import parse_qs, urlsplit

from miso_archive.feeds import DAILY, FEEDS
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.feeds.reserve import RESERVE
from miso_archive.host import API_BASE, KEYED_API_BASE
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.market_days import open_day, read_day
from miso_archive.simulate.bodies import PUBLISHED_AFTER, body_of
from miso_archive.simulate.faults import Reply, check_faults, fault_reply, pick_fault
from miso_archive.simulate.keyed import PAGE_SIZE, page_body
from miso_archive.simulate.reports import report_file
from miso_archive.simulate.sisters import fuels_of_days
from miso_archive.simulate.wire import ReplyServer, compressed

BASE_PATH = urlsplit(API_BASE).path
KEYED_BASE_PATH = urlsplit(KEYED_API_BASE).path
REPORTS_PATH = "/marketreports"
STATUS_PATH = "/simulated/status"
KEY_HEADER = "Ocp-Apim-Subscription-Key"
MISSING_KEY = "Access denied due to missing subscription key."

# Long before the feed began, so that nobody takes a simulated archive for a real one.
DEFAULT_START = datetime(2001, 1, 2, 7, 5, tzinfo=EST)

_REQUESTS_KEPT = 10_000
_OUT_OF_QUOTA = "Out of call volume quota. Quota will be replenished in 11:59:59."
_NO_REPORT = Reply(404, b"<html><body>Not found</body></html>")


@dataclass(frozen=True)
class ServedRequest:
    """What one request for the feed was answered with.

    Attributes:
        feed: the feed's name.
        number: 1 for the first request for the feed's path.
        status: the HTTP status; meaningless when the connection was reset.
        fault: the drawn fault's name, or None for a normal or scripted reply.
        headers: the request's headers, as received.
        body: the body that was to be sent: before the feed's own gzip encoding, after cutting it short, and empty for
            a reset.
        at: seconds on this machine's monotonic clock when the request was taken.
        address: what was asked for, with its query.
    """

    feed: str
    number: int
    status: int
    fault: str | None
    headers: Mapping[str, str]
    body: bytes
    at: float
    address: str


class SimulatedFeed:
    """A feed like MISO's with made-up content, as a context manager: it answers between enter and exit.

    Args:
        host: the IPv4 address or name to listen on; the default is reachable from this machine alone.
        port: the port to listen on; 0 takes a free one.
        seed: names the simulated market and the sequence of faults.
        start: the END of the first interval served, aware, on the 5-minute grid.
        speed: simulated seconds per real second, counted from construction; 0 stands still until `advance`.
        ahead: simulated time that has passed at construction already.
        revision_rate: the chance, 0 to 1, that a request for an interval already served finds it revised.
        faults: the share of requests, 0 to 1, that each fault befalls.
        compress: gzip the body for clients that accept it.
        feeds: which live feeds to serve, and their reports; all unless given. The keyed API is served besides.
        key: the key that it asks for; any will do unless given.
        quota: how many pages it gives before it answers 403; all unless given.
        page_size: rows a page of it.

    Raises:
        ValueError: an argument is outside its range, or a feed's recorded body is refused.
        OSError: the address cannot be listened on, or a feed's recorded body cannot be read.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, all with a default
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        start: datetime = DEFAULT_START,
        speed: float = 0.0,
        ahead: timedelta = timedelta(),
        revision_rate: float = 0.0,
        faults: Mapping[str, float] | None = None,
        compress: bool = False,
        feeds: Iterable[Feed] | None = None,
        key: str | None = None,
        quota: int | None = None,
        page_size: int = PAGE_SIZE,
    ) -> None:
        if not 0 <= speed < math.inf:
            raise ValueError(f"speed is 0 or more simulated seconds a second: {speed}")
        if not 0 <= revision_rate <= 1:
            raise ValueError(f"revision_rate is within 0 and 1: {revision_rate}")
        self._feeds = {feed.name: feed for feed in (FEEDS.values() if feeds is None else feeds)}
        for feed in self._feeds.values():
            body_of(feed, start, seed=seed)  # refuses a start that is no interval's end
        self._by_path = {f"{BASE_PATH}/{feed.path}": feed for feed in self._feeds.values()}
        self._rolling = {
            f"{BASE_PATH}/{path}": (feed, name)
            for feed in self._feeds.values()
            if feed.rolling is not None
            for name, path in feed.rolling.paths.items()
        }
        self._faults = dict(faults or {})
        check_faults(self._faults)
        self._seed = seed
        self._start = start.astimezone(EST)
        self._speed = speed
        self._ahead = ahead
        self._revision_rate = revision_rate
        self._compress = compress
        self._key = key
        self._quota = quota
        self._page_size = page_size

        self._lock = Lock()
        self._advanced = 0
        self._revised: dict[str, tuple[datetime, int]] = {}
        self._last_served: dict[str, datetime] = {}
        self._scripts: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._hits: Counter[str] = Counter()
        self._requests: deque[ServedRequest] = deque(maxlen=_REQUESTS_KEPT)
        self._faults_served: Counter[str] = Counter()
        self._server = ReplyServer(host, port, self._respond, with_query=True)
        self._began = monotonic()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break off every reply in progress, end all threads and free the port."""
        self._server.stop()

    @property
    def url(self) -> str:
        """The address of reserve."""
        return self.url_of(RESERVE)

    def url_of(self, feed: Feed) -> str:
        """Return the address of a feed."""
        return f"{self.base_url}/{feed.path}"

    @property
    def base_url(self) -> str:
        """The address below which all feeds are."""
        return f"{self._address}{BASE_PATH}"

    @property
    def keyed_base_url(self) -> str:
        """The address below which the daily feeds are."""
        return f"{self._address}{KEYED_BASE_PATH}"

    @property
    def reports_url(self) -> str:
        """The address below which the reports are."""
        return f"{self._address}{REPORTS_PATH}/"

    @property
    def _address(self) -> str:
        return f"http://{self._server.server_name}:{self._server.server_port}"

    @property
    def status_url(self) -> str:
        """The address of a JSON summary: hits, the present interval's end, the faults served."""
        return f"{self._address}{STATUS_PATH}"

    @property
    def hits(self) -> int:
        """How many requests came for the path of reserve."""
        return self._hits[RESERVE.name]

    @property
    def requests(self) -> list[ServedRequest]:
        """The latest requests for the path of reserve, at most 10,000 of all feeds, oldest first."""
        return self.requests_for(RESERVE)

    def requests_for(self, feed: Feed) -> list[ServedRequest]:
        """Return the latest requests for a feed's path, at most 10,000 of all feeds, oldest first."""
        with self._lock:
            return [request for request in self._requests if request.feed == feed.name]

    @property
    def interval_end(self) -> datetime:
        """The END of the interval that reserve shows at present, in EST (fixed UTC-5)."""
        return self.interval_end_of(RESERVE)

    def interval_end_of(self, feed: Feed) -> datetime:
        """Return the END of the interval that a feed shows, less its lead; all the same one while the clock stands."""
        moved = self._ahead + timedelta(seconds=(monotonic() - self._began) * self._speed)
        if self._speed:
            moved -= PUBLISHED_AFTER.get(feed.name, timedelta())
        return self._start + (self._advanced + moved // INTERVAL) * INTERVAL

    def advance(self, intervals: int = 1) -> None:
        """Move the simulated clock on by that many 5-minute intervals."""
        with self._lock:
            self._advanced += intervals

    def revise(self, feed: Feed = RESERVE) -> None:
        """Serve the present interval's next revision from now on, until the clock moves to another interval.

        Of a daily feed that of every day, for good.
        """
        with self._lock:
            self._revise(feed, self._start if feed.daily is not None else self.interval_end_of(feed))

    def script(self, *replies: Reply, feed: Feed = RESERVE) -> None:
        """Answer the next requests for a feed with these replies, one each, before going on as usual."""
        with self._lock:
            self._scripts[feed.name].extend(replies)

    def _respond(self, address: str, headers: Mapping[str, str]) -> Reply:
        path, _, query = address.partition("?")
        if path in self._by_path:
            reply = self._serve(self._by_path[path], address, headers)
            return compressed(reply) if self._compress and _accepts_gzip(headers) else reply
        if path in self._rolling:
            feed, name = self._rolling[path]
            return self._serve(feed, address, headers, partial(self._days, feed, name))
        if path == STATUS_PATH:
            return Reply(body=json.dumps(self._status()).encode())
        if path.startswith(f"{REPORTS_PATH}/"):
            return self._answer_for_report(path.removeprefix(f"{REPORTS_PATH}/"), address, headers)
        for feed in DAILY.values():
            if (day := _day_asked(feed, path)) is not None:
                return self._serve(feed, address, headers, partial(self._page, feed, day, query, headers))
        return Reply(404, b'{"error":"not found"}')

    def _days(self, feed: Feed, name: str) -> Reply:
        """Answer for a link of today or yesterday."""
        return Reply(body=fuels_of_days(name, self.interval_end_of(feed), seed=self._seed))

    def _answer_for_report(self, name: str, address: str, headers: Mapping[str, str]) -> Reply:
        dated = read_day(f"{name[:4]}-{name[4:6]}-{name[6:8]}")
        for feed in self._feeds.values():
            for report in feed.reports:
                day = None if dated is None else dated - report.dated
                if day is not None and name == report.file_name(day):
                    return self._serve(feed, address, headers, partial(self._report, feed, report, day))
        return _NO_REPORT

    def _report(self, feed: Feed, report: Report, market_day: date) -> Reply:
        """Answer for a report: of real time once its market day is over, day ahead all the time."""
        if report is feed.next_day_report and market_day >= open_day(self.interval_end):
            return _NO_REPORT
        return Reply(body=report_file(feed, report, market_day, seed=self._seed))

    def _page(self, feed: Feed, day: date, query: str, headers: Mapping[str, str]) -> Reply:
        """Answer for a page of a market day, as MISO's keyed API does."""
        given = next((value for name, value in headers.items() if name.lower() == KEY_HEADER.lower()), "")
        if not given or (self._key is not None and given != self._key):
            message = "Access denied due to invalid subscription key." if given else MISSING_KEY
            return Reply(401, json.dumps({"statusCode": 401, "message": message}).encode())
        if self._quota is not None and sum(self._hits[name] for name in DAILY) > self._quota:
            return Reply(403, json.dumps({"statusCode": 403, "message": _OUT_OF_QUOTA}).encode())
        said = parse_qs(query)
        number, node = (said.get(name, [default])[0] for name, default in (("pageNumber", "1"), ("node", "")))
        now = self.interval_end
        is_out = feed.daily is not None and feed.daily.can_be_there(day, now) and number.isdecimal()
        revision = self._revision_of(feed, self._start)
        body = (
            page_body(
                *(feed, day),
                page=int(number),
                node=node,
                seed=self._seed,
                revision=revision,
                size=self._page_size,
            )
            if is_out
            else None
        )
        nothing = b'{"status":404,"reason":"Empty data returned for date"}'
        return Reply(404, nothing) if body is None else Reply(body=body)

    def _status(self) -> dict[str, object]:
        with self._lock:
            return {
                "simulated": True,
                "hits": self.hits,
                "hits_by_feed": {name: self._hits[name] for name in self._feeds},
                "interval_end": self.interval_end.isoformat(),
                "seed": self._seed,
                "faults_served": dict(self._faults_served),
            }

    def _serve(
        self, feed: Feed, address: str, headers: Mapping[str, str], usual: Callable[[], Reply] | None = None
    ) -> Reply:
        with self._lock:
            self._hits[feed.name] += 1
            hits = self._hits[feed.name]
            fault, reply = self._next_reply(feed, hits)
            if reply.body is not None:
                body = reply.body
            elif usual is None:
                body = self._normal_body(feed, hits)
            elif reply.status == HTTPStatus.OK:
                made = usual()
                body, reply = made.body or b"", replace(reply, status=made.status)
            else:
                body = b""
            reply = replace(reply, body=body)
            sent = b"" if reply.reset else body[: reply.truncate_to]
            self._requests.append(
                ServedRequest(feed.name, hits, reply.status, fault, headers, sent, monotonic(), address)
            )
            return reply

    def _next_reply(self, feed: Feed, hits: int) -> tuple[str | None, Reply]:
        if script := self._scripts[feed.name]:
            return None, script.popleft()
        fault = pick_fault(self._faults, seed=self._seed_of(feed), number=hits)
        if fault is None:
            return None, Reply()
        self._faults_served[fault] += 1
        return fault, fault_reply(fault, port=self._server.server_port)

    def _normal_body(self, feed: Feed, hits: int) -> bytes:
        interval_end = self.interval_end_of(feed)
        if interval_end == self._last_served.get(feed.name) and self._revision_rate > self._draw(feed, hits):
            self._revise(feed, interval_end)
        self._last_served[feed.name] = interval_end
        return body_of(feed, interval_end, seed=self._seed, revision=self._revision_of(feed, interval_end))

    def _draw(self, feed: Feed, hits: int) -> float:
        return random.Random(f"revision {self._seed_of(feed)} {hits}").random()  # noqa: S311 - a simulation keeps no secrets

    def _seed_of(self, feed: Feed) -> int:
        """Return what draws a feed's faults and revisions, apart from those of the others; the first's is the seed."""
        return self._seed + list(self._feeds | DAILY).index(feed.name)

    def _revise(self, feed: Feed, interval_end: datetime) -> None:
        self._revised[feed.name] = (interval_end, self._revision_of(feed, interval_end) + 1)

    def _revision_of(self, feed: Feed, interval_end: datetime) -> int:
        revised, revision = self._revised.get(feed.name, (interval_end, 0))
        return revision if revised == interval_end else 0


def _day_asked(feed: Feed, path: str) -> date | None:
    """Return the market day of which a path asks for a daily feed; None where it does not."""
    before, after = f"{KEYED_BASE_PATH}/{feed.path}".split("{market_day}")
    is_asked = path.startswith(before) and path.endswith(after)
    return read_day(path[len(before) : len(path) - len(after)]) if is_asked else None


def _accepts_gzip(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "accept-encoding" and "gzip" in value for name, value in headers.items())
