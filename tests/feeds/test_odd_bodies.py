"""Hostile and odd bodies of every feed, each with its verdict, and with what is read of it where it is accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from miso_archive.contract.findings import MOST_FINDINGS
from miso_archive.feeds import FEEDS
from tests.feeds.odd import (
    of_asm_mcp,
    of_every_feed,
    of_fuel_mix,
    of_rt_exante_lmp,
    of_snapshot,
    of_subregional,
    of_transmission,
)
from tests.feeds.recorded import text_of
from tests.reading.held import decoded, held, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from miso_archive.contract.findings import Finding
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed
    from tests.feeds.odd.body import Odd

BODIES = {
    "transmission": of_transmission.BODIES,
    "subregional": of_subregional.BODIES,
    "rt_exante_lmp": of_rt_exante_lmp.BODIES,
    "asm_mcp": of_asm_mcp.BODIES,
    "fuel_mix": of_fuel_mix.BODIES,
    "snapshot": of_snapshot.BODIES,
}
CASES = [(FEEDS[name], odd) for name, bodies in BODIES.items() for odd in bodies]
CASES += [(feed, odd) for feed in FEEDS.values() for odd in of_every_feed.BODIES]
FEWEST = 20
MANY = 17  # more than the fewest that are parsed together
VALUE = re.compile(r"(?P<table>\w+)\[(?P<row>\d+)\]\.(?P<column>\w+)")


def of(cases: Iterable[tuple[Feed, Odd]]) -> pytest.MarkDecorator:
    """Name each body by its feed and its own name."""
    return pytest.mark.parametrize(
        ("feed", "odd"), [pytest.param(feed, odd, id=f"{feed.name}: {odd.name}") for feed, odd in cases]
    )


def body_of(feed: Feed, odd: Odd) -> bytes:
    """Make a body."""
    body = odd.change(text_of(feed))
    return body if isinstance(body, bytes) else body.encode()


def told(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Spell findings as the tables do."""
    return tuple(f"{found.code.value} {found.where}" for found in findings)


def of_the_contract(snapshot: Snapshot, table: str, row: int, column: str) -> tuple[object, ...]:
    """Return a value as the contract has it, or nothing: what is computed or parsed is the reader's alone."""
    holder = snapshot.figures if table == "snapshots" else snapshot.tables[table][row]
    return (getattr(holder, column),) if hasattr(holder, column) else ()


@pytest.mark.parametrize("name", [name for name in FEEDS if name != "reserve"])
def test_there_are_enough(name: str) -> None:
    """Of each feed twenty bodies at least are made by hand, each under its own name; reserve's are in tests/hostile."""
    names = {odd.name for odd in BODIES[name]}
    assert len(names) == len(BODIES[name]) >= FEWEST
    assert any(odd.refused for odd in BODIES[name])
    assert any(odd.gives for odd in BODIES[name])


@of(CASES)
def test_each_body_has_its_verdict(feed: Feed, odd: Odd) -> None:
    """It is refused for what the table lists, code and place, or accepted with what it lists, in plain words."""
    verdict = feed.examine(body_of(feed, odd))
    assert (told(verdict.reasons), told(verdict.warnings)) == (odd.refused, odd.warned)
    assert (verdict.snapshot is None) == bool(odd.refused)
    for finding in (*verdict.reasons, *verdict.warnings):
        assert (finding.where + finding.message).isascii()
        assert (finding.where + finding.message).isprintable()
    assert len(verdict.reasons) <= MOST_FINDINGS + 1


@of((feed, odd) for feed, odd in CASES if not odd.refused)
def test_what_is_accepted_is_read_so(feed: Feed, odd: Odd) -> None:
    """The values of the table come out of the contract, and of the reader, from one body and from many together."""
    body = body_of(feed, odd)
    snapshot = feed.examine(body).snapshot
    assert snapshot is not None
    many = [body] * (1 if len(body) > len(text_of(feed)) * MANY else MANY)
    alone = [decoded(feed, [body], snapshot.interval_end)] if len(many) > 1 else []
    for frames in (found.frames for found in (*alone, held(feed, many, snapshot.interval_end))):
        for spelled, value in odd.gives.items():
            if spelled in frames:
                assert len(frames[spelled]) == value * (len(frames["snapshots"])), spelled
                continue
            where = VALUE.fullmatch(spelled)
            assert where is not None, spelled
            table, row, column = where["table"], int(where["row"]), where["column"]
            assert frames[table][column][row] == value, spelled
            for said in of_the_contract(snapshot, table, row, column):
                assert shown(said) == shown(value), spelled


@of((feed, odd) for feed, odd in CASES if odd.refused)
def test_what_is_refused_is_not_read(feed: Feed, odd: Odd) -> None:
    """Were it in the archive, the reader would leave it out, alone and where many are read together."""
    body = body_of(feed, odd)
    label = feed.examine(text_of(feed).encode()).interval_end
    for many in ([body], [body] * MANY):
        assert len(held(feed, many, label).skipped) == len(many)
