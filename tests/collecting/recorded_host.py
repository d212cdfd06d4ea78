"""The host of all feeds on loopback: each path answers with the body that was recorded of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from miso_archive.feeds import FEEDS
from miso_archive.simulate import Reply
from miso_archive.simulate.wire import ReplyServer

if TYPE_CHECKING:
    from collections.abc import Mapping


class Recorded(NamedTuple):
    """What the recorded body of a feed is to come to.

    Its object's key; how many rows its tables have; and in Prefect, in prod, the names of the run that stores it and of
    the artifact with its rows.
    """

    key: str
    rows: dict[str, int]
    run: str
    table: str


def _key(dataset: str, stem: str, day: str, time: str) -> str:
    return f"sourcing/{dataset}/{day}/{stem}_{day.replace('-', '')}_{time}.json.gz"


_DAY: Final = "2026-10-02"
_CONSTRAINTS: Final = "binding_constraints"

RECORDED: Final = {
    "reserve": Recorded(
        _key(f"miso_{_CONSTRAINTS}_reserve", f"{_CONSTRAINTS}_reserve", "2026-07-27", "0810"),
        {"constraints": 2},
        "collect prod 2026-07-27 08:10 EST: stored, 2 binding",
        "binding-constraints-prod",
    ),
    "transmission": Recorded(
        _key(f"miso_{_CONSTRAINTS}_realtime", f"{_CONSTRAINTS}_realtime", _DAY, "1645"),
        {"constraints": 10},
        "collect transmission-prod 2026-10-02 16:45 EST: stored, 10 binding",
        "binding-constraints-transmission-prod",
    ),
    "subregional": Recorded(
        _key(f"miso_{_CONSTRAINTS}_subregional", f"{_CONSTRAINTS}_subregional", _DAY, "1630"),
        {"constraints": 0},
        "collect subregional-prod 2026-10-02 16:30 EST: stored, quiet",
        "binding-constraints-subregional-prod",
    ),
    "rt_exante_lmp": Recorded(
        _key("miso_rt_exante_lmp", "rt_exante_lmp", _DAY, "1650"),
        {"prices": 9},
        "collect rt-exante-lmp-prod 2026-10-02 16:50 EST: stored, 9 prices",
        "prices-rt-exante-lmp-prod",
    ),
    "asm_mcp": Recorded(
        _key("miso_asm_mcp", "asm_mcp", _DAY, "1645"),
        {"real_time": 8, "day_ahead": 8},
        "collect asm-mcp-prod 2026-10-02 16:45 EST: stored, 8 real time, 8 day ahead",
        "real-time-asm-mcp-prod",
    ),
    "fuel_mix": Recorded(
        _key("miso_fuel_mix", "fuel_mix", _DAY, "1645"),
        {"fuels": 8},
        "collect fuel-mix-prod 2026-10-02 16:45 EST: stored, 8 fuels",
        "fuels-fuel-mix-prod",
    ),
    "snapshot": Recorded(
        _key("miso_snapshot", "snapshot", _DAY, "1645"),
        {"figures": 4},
        "collect snapshot-prod 2026-10-02 16:45 EST: stored, 4 figures",
        "figures-snapshot-prod",
    ),
}
"""By feed. Written out: what stands in archives is to stay what it is."""


class RecordedHost:
    """Serves the recorded bodies between enter and exit; ``replies`` stand in for them, by the feed's name."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: Counter[str] = Counter()
        self._server = ReplyServer("127.0.0.1", 0, self._answer)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()

    @property
    def base_url(self) -> str:
        """The address below which the feeds are."""
        return f"http://127.0.0.1:{self._server.server_port}/api"

    def _answer(self, path: str, _headers: Mapping[str, str]) -> Reply:
        (feed,) = (feed for feed in FEEDS.values() if path == f"/api/{feed.path}")
        self.asked[feed.name] += 1
        return self.replies.get(feed.name) or Reply(body=feed.recorded.read_bytes())


def result_of_one(name: str) -> dict[str, object]:
    """The result of a run that stores the recorded body of a feed."""
    counts = {"total_candidates": 1, "collected": 1, "skipped_duplicate": 0, "failed": 0}
    return {**counts, "errors": [], "objects": [RECORDED[name].key]}


def as_json(data: bytes | str | None) -> dict[str, object]:
    """Read one JSON object."""
    read = json.loads(data or "")
    assert isinstance(read, dict)
    return read
