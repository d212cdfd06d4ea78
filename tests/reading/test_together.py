"""What bodies say of an hour is parsed once each time it is said, and means what each body means alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from miso_archive.feeds import FEEDS
from miso_archive.reading.together import Together
from tests.feeds.recorded import payload_of, spelled
from tests.reading.held import held

if TYPE_CHECKING:
    from collections.abc import Callable

ASM_MCP = FEEDS["asm_mcp"]
AROUND = 20
NAME = b'"DayAheadMCP":'


def said_otherwise(price: str) -> bytes:
    """Spell the recorded body with another price of the day ahead."""
    payload = payload_of(ASM_MCP)
    payload["MCPData"]["DayAheadMCP"]["Zone"][0]["GenRegMCP"] = price
    return spelled(payload)


USUAL = said_otherwise("1.25")
LABEL = ASM_MCP.examine(USUAL).interval_end
BEFORE, _, AFTER = USUAL.partition(NAME)


def reordered(payload: dict[str, Any], last: str) -> bytes:
    """Spell a body with one of its objects last."""
    inner = payload["MCPData"]
    inner[last] = inner.pop(last)
    return spelled(payload)


def nested(inner: dict[str, Any]) -> None:
    """Put the day-ahead object into the real-time one."""
    inner["RealTimeMCP"]["DayAheadMCP"] = inner.pop("DayAheadMCP")


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Spell the recorded body after a change of its one object."""
    payload = payload_of(ASM_MCP)
    change(payload["MCPData"])
    return spelled(payload)


def first(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Put a field before all others."""

    def change(inner: dict[str, Any]) -> None:
        others = dict(inner)
        inner.clear()
        inner.update({name: value} | others)

    return change


ODD = {
    "the object first": reordered(payload_of(ASM_MCP), "RealTimeMCP"),
    "a field after it": reordered(payload_of(ASM_MCP), "MktDay"),
    "an unknown field after it": changed(lambda inner: inner.update(New={"x": 1})),
    "the real-time object again after it": USUAL[:-2] + b',"RealTimeMCP":null}}',
    "the object twice": BEFORE + NAME + AFTER[:-2] + b"," + NAME + AFTER,
    "the object twice, once null": BEFORE + NAME + b"null," + NAME + AFTER,
    "null": changed(lambda inner: inner.update(DayAheadMCP=None)),
    "a list": changed(lambda inner: inner.update(DayAheadMCP=[])),
    "a text": changed(lambda inner: inner.update(DayAheadMCP="x")),
    "in the other object": changed(nested),
    "beside the outer object": BEFORE[:-1] + b"}," + NAME + AFTER[:-1],
    "an escape in its name": USUAL.replace(NAME, b'"DayAhead\\u004dCP":'),
    "its name in a text": changed(lambda inner: inner.update(MktDay='x"DayAheadMCP":')),
    "its name in an unknown field's": changed(first('x"DayAheadMCP":', 1)),
    "a text that does not end": BEFORE + b'"' + NAME + AFTER,
    "no comma before it": BEFORE[:-1] + NAME + AFTER,
    "a name before its own": BEFORE + b'"x":' + NAME + AFTER,
    "no beginning": NAME + AFTER,
    "another beginning": b'{"MCPData":{' + NAME + AFTER,
    "nothing after it": BEFORE + NAME,
    "one bracket too few": USUAL[:-1],
    "one bracket too many": USUAL + b"}",
    "two objects": USUAL + USUAL,
    "an empty object after it": USUAL + b" {}",
    "its own beginning again": USUAL + b' {"MCPData":{' + NAME + AFTER,
    "line breaks": json.dumps(json.loads(USUAL), indent=1).encode(),
    "line breaks and its name as usual": USUAL.replace(b",", b",\r\n"),
    "a line break in a text": USUAL.replace(b"1.25", b"1.\n25"),
    "what is not UTF-8": USUAL.replace(b"1.25", b"\xff"),
    "in another case": USUAL.replace(NAME, NAME.lower()),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_body_is_parted_only_where_that_changes_nothing(odd: str) -> None:
    """Wherever the object of the hour stands, and whatever is around it, bodies mean together what each means alone."""
    body = ODD[odd]
    held(ASM_MCP, [body] * AROUND, LABEL)
    held(ASM_MCP, [*[USUAL] * AROUND, body, *[USUAL] * AROUND], LABEL)


def test_what_is_said_again_is_parsed_once() -> None:
    """Of bodies of which several in turn say the same of an hour it is parsed each time it changes, and not more."""
    prices = ["1.25"] * 9 + ["2.5"] * 9 + ["1.25"] * 9
    bodies = [said_otherwise(price) for price in prices]
    [(numbers, parsed)] = Together(ASM_MCP.contract).parse(bodies)
    assert list(numbers) == list(range(len(bodies)))
    assert parsed.of_hours is not None
    assert parsed.of_hours.texts.num_rows == 3
    frame = held(ASM_MCP, bodies, LABEL).frames["day_ahead"]
    first = frame.filter(pl.col("zone") == "1")["regulation"]
    assert first.to_list() == [float(price) for price in prices]
