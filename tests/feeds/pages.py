"""Pages of a market day as the keyed API spells them, made for tests."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from miso_archive.feeds import DAILY
from miso_archive.intervals.labels import as_clock, as_period
from miso_archive.intervals.market_days import ONE_DAY, day_begins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

ASM: Final = DAILY["da_exante_asm_mcp"]
LMP: Final = DAILY["rt_exante_lmp_history"]
DAY: Final = date(2026, 10, 2)
AN_HOUR: Final = timedelta(hours=1)
FIVE_MINUTES: Final = timedelta(minutes=5)


def time_interval(start: datetime, length: timedelta, **also: str) -> dict[str, str]:
    """Return a timeInterval as MISO spells it."""
    return {"start": as_period(start), "end": as_period(start + length), "value": as_period(start), **also}


def whole_day(day: date = DAY) -> dict[str, str]:
    """Return the timeInterval of a day, as it was seen in 2023."""
    spelled = {"start": f"{day} 00:00:00.000", "end": f"{day + ONE_DAY} 00:00:00.000", "value": f"{day + ONE_DAY}"}
    return {"resolution": "daily", **spelled}


def price(
    hour: int = 1, *, product: str = "Regulation", zone: str = "Zone 1", day: date = DAY, **also: object
) -> dict[str, Any]:
    """Return a row of ancillary prices, of an hour by its end."""
    span = time_interval(day_begins(day) + (hour - 1) * AN_HOUR, AN_HOUR, resolution="hourly")
    return {"interval": str(hour), "timeInterval": span, "product": product, "zone": zone, "mcp": 6.48} | also


def lmp(number: int = 1, *, node: str = "MINN.HUB", day: date = DAY, **also: object) -> dict[str, Any]:
    """Return a row of prices at a node, of the interval with this number in its day."""
    start = day_begins(day) + (number - 1) * FIVE_MINUTES
    parts = {"lmp": 22.1, "mcc": 0.03, "mec": 21.34, "mlc": 0.73}
    return {
        "node": node,
        **parts,
        "interval": as_clock(start),
        "timeInterval": time_interval(start, FIVE_MINUTES),
    } | also


def page(
    rows: Sequence[object],
    number: int = 1,
    *,
    last: object = True,
    total: int | None = None,
    also: Mapping[str, object] | None = None,
) -> bytes:
    """Return a page."""
    said = {"pageNumber": number, "totalElements": len(rows) if total is None else total, "lastPage": last}
    return orjson.dumps({"data": rows, "page": {**said, "pageSize": 500, "totalPages": 1, **(also or {})}})
