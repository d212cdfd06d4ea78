"""The feed of the soak: it serves what the plan says, and keeps a ledger of its own of what it served."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Self

from miso_reserve.contract import MOST_BYTES
from miso_reserve.simulate import Reply, documented_body, snapshot_body
from miso_reserve.simulate.faults import fault_reply
from miso_reserve.simulate.server import DEFAULT_START
from miso_reserve.simulate.wire import ReplyServer
from tests.soak.plan import REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_BOMB = b"0" * (MOST_BYTES + 1)


@dataclass
class Ledger:
    """Every body that was served, by its SHA-256; bodies are kept as far as a collector keeps them."""

    good: dict[str, tuple[datetime, bytes]]
    refused: dict[str, bytes]
    faults: Counter[str]


class SoakFeed:
    """A feed whose present body and next replies are set from outside."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger({}, {}, Counter())
        self._seed = seed
        self._lock = Lock()
        self._end = DEFAULT_START
        self._documented = False
        self._revision = 0
        self._replies: deque[str] = deque()
        self._number = 0
        self._server = ReplyServer("127.0.0.1", 0, self._respond)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()

    def url(self, login: str) -> str:
        """The address, with the user and password that a reader gives."""
        return f"http://{login}@127.0.0.1:{self._server.server_port}/api/BindingConstraints/Reserve"

    def show(self, interval: int, revision: int, replies: Sequence[str], *, documented: bool) -> None:
        """Serve an interval, counted from 0, in one of its revisions, once these replies are used up."""
        with self._lock:
            self._end = DEFAULT_START + interval * timedelta(minutes=5)
            self._documented, self._revision = documented, revision
            self._replies = deque(replies)
            self._number = interval

    def _respond(self, _path: str, _headers: Mapping[str, str]) -> Reply:
        with self._lock:
            if not self._replies:
                body = self._body()
                self.ledger.good[hashlib.sha256(body).hexdigest()] = (self._end, body)
                return Reply(body=body)
            kind = self._replies.popleft()
            self.ledger.faults[f"feed {kind}"] += 1
            reply = self._refused_reply(kind) if kind in REFUSED else self._fault(kind)
            if kind in REFUSED:
                kept = _BOMB if kind == "gzip-bomb" else (reply.body or b"")[: MOST_BYTES + 1]
                self.ledger.refused[hashlib.sha256(kept).hexdigest()] = kept
            return reply

    def _fault(self, kind: str) -> Reply:
        reply = fault_reply(kind, port=self._server.server_port)
        return reply if reply.body is not None else Reply(**{**vars(reply), "body": self._body()})

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
            body={
                "garbage": b"\x00\xff\xfe garbage " + number,
                "html": b"<!DOCTYPE html><html><body>Back soon, visitor " + number + b"</body></html>",
                "no-data": b'{"error":"no data","number":' + number + b"}",
                "huge": b'{"number":' + number + b',"padding":"' + b"x" * (MOST_BYTES + 1024) + b'"}',
            }[kind]
        )
