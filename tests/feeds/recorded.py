"""A body of each feed as the host sent it, and what can be done to it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

import pytest

from miso_archive.contract.rows import Published, Table, fields_of
from miso_archive.feeds import FEEDS
from miso_archive.feeds.feed import Feed

each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))

# A binding body of this feed was never seen: its rows are those of the report of a day, in the feed's spelling.
_BINDING_SUBREGIONAL: Final = {
    "REASON": "System conditions require override",
    "BP3": "200",
    "PC3": "500",
    "BP4": "",
    "PC4": "",
    "Name": "RDT_SO_MW (South_North)",
    "Period": "2026-10-02T16:30:00",
    "Price": "-7.56",
    "OVERRIDE": "1",
    "CURVETYPE": "PERCENT",
    "BP1": "100",
    "PC1": "40",
    "BP2": "102",
    "PC2": "500",
}

QUIET_SUBREGIONAL: Final[dict[str, Any]] = json.loads(FEEDS["subregional"].recorded.read_bytes())
"""What this feed nearly always says: nothing binds."""


def payload_of(feed: Feed) -> Any:  # noqa: ANN401 - JSON
    """Return a body of a feed that has rows, as JSON."""
    payload = json.loads(feed.recorded.read_bytes())
    if feed.name == "subregional":
        payload["Constraint"] = [dict(_BINDING_SUBREGIONAL)]
    return payload


def text_of(feed: Feed) -> str:
    """Return the same as the host spells it."""
    return spelled(payload_of(feed)).decode() if feed.name == "subregional" else feed.recorded.read_text()


def spelled(payload: object) -> bytes:
    """Spell JSON as the host does."""
    return json.dumps(payload, separators=(",", ":")).encode()


def rows_in(payload: Any, table: Table) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the list of a table's rows within a body."""
    for name in table.at.split(".") if table.at else []:
        payload = payload[name]
    rows: list[dict[str, Any]] = payload
    return rows


def with_row(feed: Feed, table: Table, number: int, row: object) -> Any:  # noqa: ANN401 - JSON
    """Return the recorded body with one row replaced."""
    payload = deepcopy(payload_of(feed))
    rows: list[Any] = rows_in(payload, table)
    rows[number] = row
    return payload


def tables() -> Iterator[tuple[Feed, Table]]:
    """Yield every table of every feed."""
    for feed in FEEDS.values():
        for table in feed.contract.tables:
            yield feed, table


def that_agree() -> Iterator[tuple[str, Published]]:
    """Yield the fields of all feeds that say the interval again."""
    for feed in FEEDS.values():
        rows = [table.row for table in feed.contract.tables]
        rows += [row for row in (feed.contract.figures, feed.contract.quiet and feed.contract.quiet.row) if row]
        for row in rows:
            for field in fields_of(row).values():
                if field.agrees:
                    yield f"{feed.name} {row.__name__}.{field.key}", field
