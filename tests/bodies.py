"""Bodies of the feed, row by row and whole, as tests spell them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from miso_archive.intervals.labels import EST

END = datetime(2026, 7, 27, 8, 10, tzinfo=EST)
REF_ID = "27-Jul-2026 - Interval 08:10 EST"
LIVE_ROW: dict[str, Any] = {
    "Name": "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3",
    "Period": "2026-07-27T08:10:00",
    "Price": "-8.32",
    "Description": "STR+Lost_Gen Zone_3",
}
DOCUMENTED_ROW: dict[str, Any] = {
    "Name": "SPIN Zone_1",
    "Period": "2026-07-27T13:10:00Z",
    "Price": 12.5,
    "ReserveType": "SPIN",
    "Direction": "UP",
    "Quantity": 150.25,
    "OVERRIDE": False,
    "BP1": 100.0,
    "PC1": 200,
    "BP2": None,
    "PC2": None,
}
PLACEHOLDER: dict[str, Any] = {"Name": "None", "Period": "2026-07-27T08:10:00", "Price": "None", "Description": "None"}


def body(*rows: object, ref_id: object = REF_ID, **more: object) -> bytes:
    """Spell a body of the feed with these rows."""
    return json.dumps({"RefId": ref_id, "Constraint": list(rows), **more}).encode()


def without(row: dict[str, Any], field: str) -> dict[str, Any]:
    """Leave one field out of a row."""
    return {name: value for name, value in row.items() if name != field}


def live_body(end: datetime, *prices: str, name: str = "A - B") -> bytes:
    """A live body of an interval, a row a price; without any the placeholder, which says that nothing binds."""
    period = f"{end:%Y-%m-%dT%H:%M:%S}"
    description = name.partition(" - ")[2]
    rows = [{"Name": name, "Period": period, "Price": price, "Description": description} for price in prices]
    return body(*rows or [{"Name": "None", "Period": period, "Price": "None"}], ref_id=ref_id(end))


def ref_id(end: datetime) -> str:
    """The label of an interval as the live feed spells it."""
    return f"{end:%d-%b-%Y - Interval %H:%M EST}"
