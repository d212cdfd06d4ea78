"""Hostile input that nobody thought of: bodies and header lines put together by chance from dangerous pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miso_archive.contract.findings import RefusalCode
from miso_archive.feeds.columns import OBJECTS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.reading.decode import Decoder
from miso_archive.store.layout import snapshot_key
from tests.bodies import DOCUMENTED_ROW, LIVE_ROW, PLACEHOLDER
from tests.contract.test_properties import check
from tests.hostile.exchanges import GOOD, RETRY_AFTER, Scripted, answer
from tests.hostile.payloads import literal
from tests.hostile.test_bodies import KEY, rows_in, rows_of
from tests.hostile.test_headers import outcome_of
from tests.hostile.texts import NAMES, PERIODS, PRICES, REF_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow("tries many bodies")

any_text = st.sampled_from([text for texts in (PRICES, PERIODS, REF_IDS, NAMES) for text in texts])
harmless_values = st.sampled_from(
    [json.dumps(value) for row in (LIVE_ROW, DOCUMENTED_ROW, PLACEHOLDER) for value in row.values()]
)
fields = st.sampled_from([*LIVE_ROW, *DOCUMENTED_ROW, "Zone", "\\u0050rice"])
accepted_texts = {
    "Name": [text for text, expected in NAMES.items() if not expected],
    "Period": [text for text, expected in PERIODS.items() if not expected],
    "Price": [text for text, expected in PRICES.items() if not expected],
    "Description": ["null", '"None"', *(text for text, expected in NAMES.items() if not expected)],
}


def spelled(members: list[tuple[str, str]]) -> str:
    """Spell an object, members in order, also those that recur."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"


def body_of(ref_id: str, rows: list[list[tuple[str, str]]]) -> bytes:
    """Spell a body of rows that are spelled already."""
    text = f'{{"RefId":{ref_id},"Constraint":[{",".join(map(spelled, rows))}]}}'
    return text.encode("utf-8", "surrogatepass")


hostile_rows = st.lists(st.lists(st.tuples(fields, any_text | harmless_values), max_size=14), max_size=4)
acceptable_rows = st.lists(
    st.tuples(*(st.tuples(st.just(name), st.sampled_from(texts)) for name, texts in accepted_texts.items())).flatmap(
        lambda members: st.permutations([*members, members[0]])  # a name that recurs, and any order
    ),
    max_size=4,
)


def read_back(content: bytes) -> None:
    """What the contract accepts gets a plain key, and the reader reads the same of it, alone and among others."""
    snapshot = RESERVE.examine(content).snapshot
    if snapshot is None:
        return
    assert KEY.fullmatch(snapshot_key(RESERVE, snapshot.interval_end))
    for copies in (1, 16):
        columns = {"object_key": ["k"], "interval_end": [snapshot.interval_end], "revision": [0]}
        objects = pl.concat([pl.DataFrame(columns).cast(OBJECTS)] * copies)
        decoded = Decoder(RESERVE).decode(objects, [content] * copies)
        assert decoded.skipped == []
        assert len(decoded.frames["snapshots"]) == copies
        assert rows_in(decoded.frames["constraints"]) == rows_of(snapshot) * copies


@given(any_text, hostile_rows)
def test_rows_of_dangerous_pieces_get_a_verdict(ref_id: str, rows: list[list[tuple[str, str]]]) -> None:
    """Any mixture of the hand list's texts in any fields is refused with plain reasons or read as accepted."""
    content = body_of(ref_id, rows)
    check(RESERVE.examine(content))
    read_back(content)


@given(st.sampled_from([text for text, expected in REF_IDS.items() if not expected]), acceptable_rows)
def test_rows_of_odd_pieces_are_accepted_and_read(ref_id: str, rows: list[list[tuple[str, str]]]) -> None:
    """Any mixture of texts that are accepted alone is accepted, and the reader reads what the contract does."""
    content = body_of(ref_id, rows)
    verdict = RESERVE.examine(content)
    check(verdict)
    assert verdict.snapshot is not None
    read_back(content)


@given(st.sampled_from(["Name", "Period", "Price", "Description"]), st.text(st.characters(codec="utf-8")))
def test_any_text_in_any_field_gets_a_verdict(field: str, text: str) -> None:
    """Any text, control characters and all of Unicode, is refused with plain reasons or read as accepted."""
    content = literal(field, json.dumps(text))
    check(RESERVE.examine(content))
    read_back(content)


@given(
    st.recursive(
        st.just("1"), lambda inner: inner.map(lambda text: f"[{text}]") | inner.map(lambda text: f'{{"a":{text}}}')
    )
)
@settings(max_examples=30)
def test_any_nesting_gets_a_verdict(text: str) -> None:
    """Whatever is nested in a field that is not known, or in one that is, is refused or left unread."""
    for content in (literal("Price", text), literal("Name", text), GOOD[:-1] + b',"X":' + text.encode() + b"}"):
        check(RESERVE.examine(content))
        read_back(content)


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    """One server for all answers."""
    with Scripted() as started:
        yield started


names = st.sampled_from(
    [
        *(b"Content-Length", b"Content-Encoding", b"Content-Type", b"Transfer-Encoding", b"Set-Cookie", b"Retry-After"),
        *(b"Location", b"Connection", b"Date", b"Trailer", b"X"),
    ]
)
values: st.SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=20).filter(lambda value: b"\n" not in value),
    st.sampled_from(
        [*RETRY_AFTER, b"chunked", b"gzip", b"identity", b"close", b"keep-alive", b"/feed", b"//127.0.0.2/"]
    ),
)
statuses = st.sampled_from([b"200 OK", b"302 Found", b"308 x", b"429 x", b"503 x", b"404 x", b"100 x", b"0 x"])
OUTCOMES = {"feed_unreachable", "feed_encoding", "feed_status", "feed_redirect", "feed_unavailable", "feed_timeout"}
VERDICTS = {"accepted", *RefusalCode}


@given(statuses, st.lists(st.tuples(names, values), max_size=5), st.binary(max_size=30) | st.just(GOOD))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_header_lines_have_an_outcome(
    server: Scripted, status: bytes, headers: list[tuple[bytes, Any]], content: bytes
) -> None:
    """Any mixture of header lines gives a body or a code of a failed fetch, in plain words."""
    sent = answer(*(name + b": " + value for name, value in headers), status=status, content=content)
    outcome = outcome_of(server, *[sent] * 5)
    with_a_body = sent.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 100 "))
    assert outcome in (OUTCOMES | VERDICTS if with_a_body else OUTCOMES)
