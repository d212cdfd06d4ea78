"""The simulated keyed API: the market days of the same made-up market, in pages, as MISO's has them.

The prices are those that the simulated live feeds show: of a zone and hour day ahead, of a hub and interval.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import orjson

from miso_archive.feeds.da_exante_asm_mcp import DA_EXANTE_ASM_MCP
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.rt_exante_lmp_history import RT_EXANTE_LMP_HISTORY
from miso_archive.intervals.labels import INTERVAL, as_clock, as_period
from miso_archive.intervals.market_days import INTERVALS_A_DAY, day_begins
from miso_archive.simulate.sisters import prices_ahead, prices_at_hubs

PAGE_SIZE: Final = 500
"""Rows a page unless asked otherwise: MISO's has a thousand, and a day of ancillary prices is then seldom parted."""

_PRODUCTS: Final = {
    "Regulation": "GenRegMCP",
    "Spin": "GenSpinMCP",
    "Supplemental": "GenSuppMCP",
    "STR": "StrMcp",
    "Ramp-up": "RcpUpMcp",
    "Ramp-down": "RcpDownMcp",
}


def page_body(  # noqa: PLR0913 - all but the feed and the day by keyword, with a default
    feed: Feed, day: date, *, page: int = 1, node: str = "", seed: int = 0, revision: int = 0, size: int = PAGE_SIZE
) -> bytes | None:
    """Give a page of a market day; None where there is none: no such page, or no such node.

    Args:
        feed: A daily feed.
        day: The market day.
        page: Its number, from 1.
        node: Of which node the rows are to be; empty of all.
        seed: Names the simulated market.
        revision: Another one changes a price of each page.
        size: Rows a page.
    """
    rows = _ROWS[feed.name](day, seed, revision)
    rows = [row for row in rows if not node or row["node"] == node]
    pages = -(-len(rows) // size)
    if not 1 <= page <= pages:
        return None
    said = {"pageNumber": page, "pageSize": size, "totalElements": len(rows), "totalPages": pages}
    part = rows[(page - 1) * size : page * size]
    return orjson.dumps({"data": part, "page": said | {"lastPage": page == pages}})


def _day_ahead(day: date, seed: int, revision: int) -> list[dict[str, Any]]:
    begins = day_begins(day)
    rows = []
    for hour in range(1, 25):
        start = begins + timedelta(hours=hour - 1)
        zones = prices_ahead(start + timedelta(hours=1), seed)
        rows += [
            {
                "interval": str(hour),
                "timeInterval": _time_interval(start, timedelta(hours=1), "hourly", str(hour)),
                "product": product,
                "zone": f"Zone {zone['number']}",
                "mcp": _price(zone[name], revision),
            }
            for product, name in _PRODUCTS.items()
            for zone in zones
        ]
    return rows


def _real_time(day: date, seed: int, revision: int) -> list[dict[str, Any]]:
    begins = day_begins(day)
    rows = []
    for number in range(INTERVALS_A_DAY):
        start = begins + number * INTERVAL
        # By its START since 2026-05-06, as all that this API has of five minutes.
        spelled = {
            "interval": as_clock(start),
            "timeInterval": _time_interval(start, INTERVAL, "5min", as_period(start)),
        }
        for hub in prices_at_hubs(start + INTERVAL, seed):
            lmp, congestion, loss = (round(float(hub[name]), 2) for name in ("LMP", "congestion", "loss"))
            energy = round(lmp - congestion - loss, 2)
            price = {"lmp": _price(str(lmp), revision), "mcc": congestion, "mec": _price(str(energy), revision)}
            rows.append({"node": hub["name"], **price, "mlc": loss, **spelled})
    return rows


def _price(price: str, revision: int) -> float:
    return round(float(price) + revision / 100, 2)


def _time_interval(start: Any, length: timedelta, resolution: str, value: str) -> dict[str, str]:  # noqa: ANN401
    return {"resolution": resolution, "start": as_period(start), "end": as_period(start + length), "value": value}


_ROWS: Final[Mapping[str, Callable[[date, int, int], Sequence[dict[str, Any]]]]] = {
    DA_EXANTE_ASM_MCP.name: _day_ahead,
    RT_EXANTE_LMP_HISTORY.name: _real_time,
}
