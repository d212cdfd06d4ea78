"""Bodies in the neighbourhood of the recorded ones, drawn by hypothesis."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.feeds.recorded import payload_of, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from miso_archive.feeds.feed import Feed

VALUES = (
    *("", "None", "none", " ", "0", "1", "82,913", "1,23", "$36.32", "$-1.20", "-$1.20", "($1.20)", ".71", "-.3"),
    *("1e5", "NaN", "inf", "-", "16:45", "24:00", "9:5", "10-02-2026", "2026-10-02 4:45:00 PM", "12:00:00 AM"),
    *("10/02/2026 4:45:00 PM EST", "2026-10-02T16:45:00", "2026-10-02T16:40:00", "2026-10-02 4:40:00 PM", "17", "25"),
    *("-1,321", "$1,321.50", "1,234,567.", "$1,2", "10/02/2026  4:45:00 PM", "10/02/2026 AM", "13/02/2026 4:45:00 PM"),
    *("02-Oct-2026 - Interval 16:45 EST", "Current Demand (MW)", "Coal", "true", "\u0661", "1\n", "\x1c"),
)
values: st.SearchStrategy[Any] = (
    st.sampled_from(VALUES) | st.none() | st.booleans() | st.integers(-3, 9) | st.floats(-2, 2) | st.builds(list)
)


def bodies(feed: Feed) -> st.SearchStrategy[bytes]:
    """Make a body in the neighbourhood of a recorded one, binding or quiet: anything in it is other, gone, or twice."""
    payloads = [payload_of(feed)]
    quiet = feed.recorded.with_suffix(".quiet.json")
    if quiet.exists():  # of the same interval
        [row] = json.loads(quiet.read_bytes())["Constraint"]
        row["Period"] = payloads[0]["Constraint"][0]["Period"]
        payloads.append(payloads[0] | {"Constraint": [row]})

    @st.composite
    def draw_one(draw: st.DrawFn) -> bytes:
        payload = deepcopy(draw(st.sampled_from(payloads)))
        for _ in range(draw(st.integers(1, 3))):
            change(draw, draw(st.sampled_from(list(within(payload)))))
        return spelled(payload)

    return draw_one()


def within(payload: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    """Yield every object and list of a body, itself first."""
    if isinstance(payload, (dict, list)):
        yield payload
        for value in payload.values() if isinstance(payload, dict) else payload:
            yield from within(value)


def change(draw: st.DrawFn, found: Any) -> None:  # noqa: ANN401 - JSON
    """Change something in an object or a list."""
    if isinstance(found, dict):
        key = draw(st.sampled_from([*found, "New"]))
        how = draw(st.sampled_from(["value", "drop", "case"]))
        if how == "value":
            found[key] = draw(values)
        elif how == "drop":
            found.pop(key, None)
        elif key in found:
            found[key.lower()] = found.pop(key)
        return
    number = draw(st.integers(0, len(found)))
    how = draw(st.sampled_from(["value", "fewer", "twice"]))
    if how == "value":
        found[number : number + 1] = [draw(values)]
    elif how == "fewer":
        del found[number:]
    else:
        found += deepcopy(found[number : number + 1])
