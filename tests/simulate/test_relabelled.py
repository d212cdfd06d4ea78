"""A feed of which the simulator knows nothing but its contract: its recorded body, moved."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from miso_archive.contract.rows import fields_of
from miso_archive.feeds.asm_mcp import ASM_MCP
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST, INTERVAL, as_ref_id
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.bodies import body_of
from miso_archive.simulate.relabelled import relabelled_body
from tests.feeds.recorded import each_feed, that_agree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed

END = datetime(2001, 1, 2, 0, 0, tzinfo=EST)
UNKNOWN = replace(FUEL_MIX, name="unknown", dataset="miso_unknown", path="Un/Known", lead=INTERVAL)
ends = st.integers(-(10**5), 10**6).map(lambda number: END + number * INTERVAL)
AGREEING = dict(that_agree())


def read(feed: Feed, body: bytes) -> Snapshot:
    """Read a body that is taken without a warning."""
    verdict = feed.examine(body)
    assert (verdict.reasons, verdict.warnings) == ((), ())
    assert verdict.snapshot is not None
    return verdict.snapshot


def recorded_as(folder: Path, change: Callable[[Any], None], feed: Feed) -> Feed:
    """Return a feed of another name whose recorded body is changed."""
    payload = json.loads(feed.recorded.read_bytes())
    change(payload)
    (folder / feed.recorded.name).write_text(json.dumps(payload))
    return replace(feed, name="unknown", examples=folder)


@pytest.mark.parametrize("name", AGREEING)
@settings(max_examples=25)
@given(end=ends)
def test_what_says_the_interval_again_can_be_written(name: str, end: datetime) -> None:
    """A time that a kind spells is read as the same interval."""
    field = AGREEING[name]
    assert field.kind.spell is not None
    assert field.agrees is not None
    assert field.agrees(field.kind.read(field.kind.spell(end)), end)


@each_feed
@settings(max_examples=25)
@given(end=ends, seed=st.integers(0, 2**31), revision=st.integers(0, 9))
def test_a_recorded_body_is_moved_to_any_interval(feed: Feed, end: datetime, seed: int, revision: int) -> None:
    """It is taken without a warning, under the label asked for, with as many rows; its times have moved with it."""
    moved = read(feed, relabelled_body(feed, end, seed=seed, revision=revision))
    recorded = feed.examine(feed.recorded.read_bytes()).snapshot
    assert recorded is not None
    assert moved.interval_end == end
    by = end - recorded.interval_end
    for table in feed.contract.tables:
        before, after = recorded.tables[table.name], moved.tables[table.name]
        assert len(before) == len(after)
        for name in (name for name, field in fields_of(table.row).items() if field.kind.holds is datetime):
            assert [getattr(row, name) for row in after] == [getattr(row, name) + by for row in before]


@each_feed
def test_numbers_move_with_seed_interval_and_revision(feed: Feed) -> None:
    """The same arguments give the same bytes; another revision is another body wherever there is a number but 0."""
    first = relabelled_body(feed, END, seed=1)
    assert first == relabelled_body(feed, END, seed=1)
    others = {relabelled_body(feed, END, seed=1, revision=number) for number in range(1, 100)}
    recorded = feed.examine(feed.recorded.read_bytes()).snapshot
    assert recorded is not None
    assert len(others - {first}) == (0 if recorded.quiet else 99)


def test_numbers_keep_their_spelling_and_their_sum(tmp_path: Path) -> None:
    """Thousands, signs and JSON's own numbers are multiplied alike, to the last digit; what is absent stays."""

    def change(payload: Any) -> None:  # noqa: ANN401 - JSON
        for row, output in zip(
            payload["Fuel"]["Type"], (1000, -20.5, "-1,234.50", ".5", "0", "+7", "2.", 0), strict=True
        ):
            row["ACT"] = output
        payload["TotalMW"] = None

    feed = recorded_as(tmp_path, change, FUEL_MIX)
    payload = json.loads(relabelled_body(feed, END, seed=2))
    outputs = [row["ACT"] for row in payload["Fuel"]["Type"]]
    factor = outputs[0] / 1000
    assert 0.5 <= factor < 1.5
    assert outputs[1] == pytest.approx(-20.5 * factor)
    assert outputs[2] == f"-{1234.5 * factor:,.4f}".rstrip("0")
    assert [float(output) for output in outputs[3:]] == pytest.approx([0.5 * factor, 0, 7 * factor, 2 * factor, 0])
    assert payload["TotalMW"] is None


def test_several_intervals_in_a_body_stay_apart(tmp_path: Path) -> None:
    """Rows of the interval before are, in the body of another interval, of the one before that."""

    def change(payload: Any) -> None:  # noqa: ANN401 - JSON
        payload["Fuel"]["Type"] += [row | {"INTERVALEST": "2026-10-02 4:40:00 PM"} for row in payload["Fuel"]["Type"]]

    feed = recorded_as(tmp_path, change, FUEL_MIX)
    snapshot = feed.examine(relabelled_body(feed, END, seed=2)).snapshot
    assert snapshot is not None
    assert [row.interval for row in snapshot.rows] == [END] * 8 + [END - INTERVAL] * 8


def test_keys_in_another_case_are_found(tmp_path: Path) -> None:
    """Where a contract takes keys in whatever case, they are moved as they are spelled."""

    def change(payload: Any) -> None:  # noqa: ANN401 - JSON
        payload["mcpdata"] = {name.upper(): value for name, value in payload.pop("MCPData").items()}

    feed = recorded_as(tmp_path, change, ASM_MCP)
    payload = json.loads(relabelled_body(feed, END, seed=2))["mcpdata"]
    assert (payload["REFID"], payload["MKTDAY"]) == (as_ref_id(END), "01-01-2001")
    assert (payload["REALTIMEMCP"]["HourAndMin"], payload["DAYAHEADMCP"]["HourEnding"]) == ("00:00", "24")


def test_a_recorded_body_that_is_refused_is_told(tmp_path: Path) -> None:
    """The host does not start on it, and names the file and what is wrong."""
    feed = recorded_as(tmp_path, lambda payload: payload.pop("RefId"), FUEL_MIX)
    with pytest.raises(
        ValueError, match=rf"{feed.recorded.name}, the recorded body of unknown, is refused: RefId is absent"
    ):
        SimulatedFeed(feeds=[feed])


def test_a_mistaken_interval_or_revision_is_refused() -> None:
    """As the market's own bodies do, it takes intervals on the grid and revisions from 0."""
    with pytest.raises(ValueError, match="five minutes"):
        relabelled_body(UNKNOWN, END + timedelta(minutes=1), seed=0)
    with pytest.raises(ValueError, match="revision"):
        relabelled_body(UNKNOWN, END, seed=0, revision=-1)


def test_the_host_serves_a_feed_that_nobody_knows() -> None:
    """It stands at its path, ahead by its lead, with faults and revisions of its own beside those of reserve."""
    with SimulatedFeed(start=END, seed=3, feeds=[RESERVE, UNKNOWN]) as host:
        host.script(Reply(status=503), feed=UNKNOWN)
        host.revise(UNKNOWN)
        answers = [requests.get(host.url_of(UNKNOWN), timeout=5) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 200]
        assert answers[1].content == relabelled_body(UNKNOWN, END + INTERVAL, seed=3, revision=1)
        assert requests.get(host.url, timeout=5).content == body_of(RESERVE, END, seed=3)
        assert requests.get(f"{host.base_url}/{FUEL_MIX.path}", timeout=5).status_code == 404
        assert requests.get(host.status_url, timeout=5).json()["hits_by_feed"] == {"reserve": 1, "unknown": 2}
