"""The feed of the soak: it serves what the plan says, and keeps a ledger of what it served, when and to whom."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from miso_archive.contract.body import MOST_BYTES
from miso_archive.simulate import Reply, documented_body, snapshot_body
from miso_archive.simulate.faults import fault_reply
from miso_archive.simulate.server import DEFAULT_START
from miso_archive.simulate.wire import ReplyServer
from tests.soak.plan import REFUSED, WAITED_FOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEED_PATH: Final = "/api/BindingConstraints/Reserve"
JSON: Final = "application/json; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

_BOMB = b"0" * (MOST_BYTES + 1)
_USER: Final = "soak-"


@dataclass(frozen=True)
class Serving:
    """A body was served to a run, counted from 1, at a time of the machine's own clock."""

    run: int
    at: datetime


@dataclass
class Good:
    """A body that is to be archived, for the interval that ends then."""

    end: datetime
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
    """Every body that was served, by its SHA-256; how often each fault struck; how often each run asked.

    ``slow`` are servings of good bodies that come too late for a run, unless the machine holds it up as long.
    """

    source_url: str
    good: dict[str, Good] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    asked: Counter[int] = field(default_factory=Counter)
    slow: defaultdict[str, list[Serving]] = field(default_factory=lambda: defaultdict(list))


class SoakFeed:
    """A feed whose present body and next replies are set from outside."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = Lock()
        self._end = DEFAULT_START
        self._documented = False
        self._revision = 0
        self._replies: deque[str] = deque()
        self._number = 0
        self._server = ReplyServer("127.0.0.1", 0, self._respond)
        self.ledger = Ledger(f"http://127.0.0.1:{self._server.server_port}{FEED_PATH}")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()

    def url(self, run: int, password: str) -> str:
        """The address for one run, whom its login tells from others."""
        return self.ledger.source_url.replace("://", f"://{_USER}{run}:{password}@")

    def show(self, interval: int, revision: int, replies: Sequence[str], *, documented: bool) -> None:
        """Serve an interval, counted from 0, in one of its revisions, once these replies are used up."""
        with self._lock:
            self._end = DEFAULT_START + interval * timedelta(minutes=5)
            self._documented, self._revision = documented, revision
            self._replies = deque(replies)
            self._number = interval

    def _respond(self, _path: str, headers: Mapping[str, str]) -> Reply:
        with self._lock:
            serving = Serving(_run_of(headers), datetime.now(UTC))
            self.ledger.asked[serving.run] += 1
            healthy = Reply(body=self._body())
            kind = self._replies.popleft() if self._replies else ""
            reply = self._reply(kind, healthy) if kind else healthy
            if reply == healthy:
                good = Good(self._end, healthy.body or b"")
                self.ledger.good.setdefault(_sha256(good.body), good).servings.append(serving)
                return reply
            self.ledger.struck[f"feed {kind}"] += 1
            if kind in WAITED_FOR:
                self.ledger.slow[_sha256(healthy.body or b"")].append(serving)
            if kind in REFUSED:
                kept = _BOMB if kind == "gzip-bomb" else (reply.body or b"")[: MOST_BYTES + 1]
                refused = Refused(kind, kept, reply.headers.get("Content-Type", JSON))
                self.ledger.refused.setdefault(_sha256(kept), refused).servings.append(serving)
            return reply

    def _reply(self, kind: str, healthy: Reply) -> Reply:
        if kind in REFUSED:
            return self._refused_reply(kind)
        reply = fault_reply(kind, port=self._server.server_port)
        return reply if reply.body is not None else Reply(**{**vars(reply), "body": healthy.body})

    def _body(self) -> bytes:
        make = documented_body if self._documented else snapshot_body
        return make(self._end, seed=self._seed, revision=self._revision)

    def _refused_reply(self, kind: str) -> Reply:
        """Make each interval's refused bodies its own, so that each must be kept."""
        if kind == "gzip-bomb":
            return fault_reply(kind, port=self._server.server_port)
        number = str(self._number).encode()
        if kind == "bad-row":
            body = json.loads(snapshot_body(self._end, seed=self._seed, revision=1))
            body["Constraint"][0]["Price"] = "high"
            return Reply(body=json.dumps(body).encode())
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
