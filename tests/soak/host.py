"""The host of the soak: it serves each feed as the plan says, and keeps a ledger of what, when and to whom."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

from miso_archive.contract.body import MOST_BYTES
from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import INTERVAL
from miso_archive.simulate import Reply
from miso_archive.simulate.bodies import DOCUMENTED_BODIES, body_of
from miso_archive.simulate.faults import fault_reply
from miso_archive.simulate.server import DEFAULT_START
from miso_archive.simulate.wire import ReplyServer
from tests.feeds.recorded import rows_in
from tests.soak.plan import REFUSED, WAITED_FOR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from miso_archive.feeds.feed import Feed

JSON: Final = "application/json; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

_API: Final = "/api"
_BOMB: Final = b"0" * (MOST_BYTES + 1)
_USER: Final = "soak-"


@dataclass(frozen=True)
class Serving:
    """A body was served to a run, counted from 1, at a time of the machine's own clock."""

    run: int
    at: datetime


@dataclass
class Good:
    """A body that is to be archived, for the interval that ends then, with the label that it has."""

    end: datetime
    ref_id: str
    body: bytes
    servings: list[Serving] = field(default_factory=list)


@dataclass
class Refused:
    """A body that is to be refused, as far as a collector keeps it."""

    kind: str
    body: bytes
    content_type: str = JSON
    servings: list[Serving] = field(default_factory=list)


@dataclass
class Ledger:
    """Every body that was served of one feed, by its SHA-256; how often each fault struck, and each run asked.

    ``slow`` are servings of good bodies that come too late for a run, unless the machine holds it up as long.
    """

    source_url: str
    good: dict[str, Good] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    asked: Counter[int] = field(default_factory=Counter)
    slow: defaultdict[str, list[Serving]] = field(default_factory=lambda: defaultdict(list))


class SoakHost:
    """A host of all feeds whose present bodies and next replies are set from outside.

    Attributes:
        ledgers: each feed's, by its name.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = Lock()
        self._number = self._revision = 0
        self._documented = False
        self._replies: dict[str, deque[str]] = {}
        self._server = ReplyServer("127.0.0.1", 0, self._respond)
        self._base = f"http://127.0.0.1:{self._server.server_port}{_API}"
        self._feeds = {f"{_API}/{feed.path}": feed for feed in FEEDS.values()}
        self.ledgers = {feed.name: Ledger(f"{self._base}/{feed.path}") for feed in FEEDS.values()}

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()

    def base(self, run: int, password: str) -> str:
        """The address below which one run, whom its login tells from others, finds all feeds."""
        return self._base.replace("://", f"://{_USER}{run}:{password}@")

    def show(
        self, interval: int, revision: int, replies: Sequence[str], struck: Collection[str], *, documented: bool
    ) -> None:
        """Serve an interval, counted from 0, in one of its revisions; the struck feeds first use up these replies."""
        with self._lock:
            self._number, self._revision, self._documented = interval, revision, documented
            self._replies = {name: deque(replies) for name in struck}

    def _respond(self, path: str, headers: Mapping[str, str]) -> Reply:
        if path not in self._feeds:
            return Reply(404)
        feed = self._feeds[path]
        with self._lock:
            ledger = self.ledgers[feed.name]
            serving = Serving(_run_of(headers), datetime.now(UTC))
            ledger.asked[serving.run] += 1
            healthy = Reply(body=self._body(feed))
            replies = self._replies.get(feed.name)
            kind = replies.popleft() if replies else ""
            reply = self._reply(kind, feed, healthy) if kind else healthy
            if reply == healthy:
                self._good(feed, healthy.body or b"").servings.append(serving)
                return reply
            ledger.struck[kind] += 1
            if kind in WAITED_FOR:
                ledger.slow[_sha256(healthy.body or b"")].append(serving)
            if kind in REFUSED:
                kept = _BOMB if kind == "gzip-bomb" else (reply.body or b"")[: MOST_BYTES + 1]
                refused = Refused(kind, kept, reply.headers.get("Content-Type", JSON))
                ledger.refused.setdefault(_sha256(kept), refused).servings.append(serving)
            return reply

    def _good(self, feed: Feed, body: bytes) -> Good:
        known, sha256 = self.ledgers[feed.name].good, _sha256(body)
        if sha256 not in known:
            snapshot = feed.examine(body).snapshot
            assert snapshot is not None
            known[sha256] = Good(self._present() + feed.lead, snapshot.ref_id, body)
        return known[sha256]

    def _reply(self, kind: str, feed: Feed, healthy: Reply) -> Reply:
        if kind in REFUSED:
            return self._refused_reply(kind, feed)
        reply = fault_reply(kind, port=self._server.server_port)
        return reply if reply.body is not None else Reply(**{**vars(reply), "body": healthy.body})

    def _present(self) -> datetime:
        return DEFAULT_START + self._number * INTERVAL

    def _body(self, feed: Feed) -> bytes:
        documented = self._documented and feed.name in DOCUMENTED_BODIES
        return body_of(feed, self._present(), seed=self._seed, revision=self._revision, documented=documented)

    def _refused_reply(self, kind: str, feed: Feed) -> Reply:
        """Make each interval's refused bodies its own, so that each must be kept."""
        if kind == "gzip-bomb":
            return fault_reply(kind, port=self._server.server_port)
        number = str(self._number).encode()
        if kind == "bad-row":
            payload = json.loads(body_of(feed, self._present(), seed=self._seed))
            rows: list[Any] = rows_in(payload, feed.contract.tables[0])
            rows[:1] = ["no row"]
            return Reply(body=json.dumps(payload).encode())
        return Reply(
            headers={"Content-Type": HTML} if kind == "html" else {},
            body={
                "garbage": b"\x00\xff\xfe garbage " + number,
                "html": b"<!DOCTYPE html><html><body>Back soon, visitor " + number + b"</body></html>",
                "no-data": b'{"error":"no data","number":' + number + b"}",
                "huge": b'{"number":' + number + b',"padding":"' + b"x" * (MOST_BYTES + 1024) + b'"}',
            }[kind],
        )


def _run_of(headers: Mapping[str, str]) -> int:
    login = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    return int(login.partition(":")[0].removeprefix(_USER))


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
