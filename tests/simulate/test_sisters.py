"""The sister feeds of the simulated host are one market, in bodies that the contracts take without a warning."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.simulate import SimulatedFeed
from miso_archive.simulate import server as server_module
from miso_archive.simulate.bodies import body_of
from miso_archive.simulate.market import interval_number, zone_cents
from miso_archive.simulate.sisters import HUBS
from tests.feeds.recorded import each_feed

if TYPE_CHECKING:
    import pytest

    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed

START = datetime(2001, 1, 2, 7, 5, tzinfo=EST)
ends = st.integers(-(10**5), 10**6).map(lambda number: START + number * INTERVAL)
seeds = st.integers(0, 2**31)


def shown(name: str, end: datetime, seed: int) -> Snapshot:
    """Read what a feed shows of an interval."""
    feed = FEEDS[name]
    snapshot = feed.examine(body_of(feed, end - feed.lead, seed=seed)).snapshot
    assert snapshot is not None
    assert snapshot.interval_end == end
    return snapshot


def figures(end: datetime, seed: int) -> dict[str, float]:
    """Return the four figures of an interval."""
    return {row.figure: row.value for row in shown("snapshot", end, seed).rows}


@each_feed
@settings(max_examples=25)
@given(end=ends, seed=seeds, revision=st.integers(0, 9))
def test_every_body_is_accepted(feed: Feed, end: datetime, seed: int, revision: int) -> None:
    """No body has a reason or a warning, and its label is that of the interval, ahead by the feed's lead."""
    verdict = feed.examine(body_of(feed, end, seed=seed, revision=revision))
    assert (verdict.reasons, verdict.warnings) == ((), ())
    assert verdict.interval_end == end + feed.lead


@each_feed
@settings(max_examples=10)
@given(end=ends, seed=seeds)
def test_the_same_seed_gives_the_same_bytes(feed: Feed, end: datetime, seed: int) -> None:
    """A body depends on its interval, the seed and the revision alone; each revision is another body."""
    first = body_of(feed, end, seed=seed)
    assert first == body_of(feed, end, seed=seed)
    if feed.name != "subregional" and (feed.name != "transmission" or feed.examine(first).snapshot.rows):  # type: ignore[union-attr]
        assert first != body_of(feed, end, seed=seed, revision=1)


@given(end=ends, seed=seeds)
def test_the_fuels_add_up_to_the_demand(end: datetime, seed: int) -> None:
    """TotalMW is the sum of the fuels, imports included, and the snapshot's demand; its interchange is the imports."""
    mix, snapshot = shown("fuel_mix", end, seed), figures(end, seed)
    outputs = {row.fuel: row.output for row in mix.rows}
    assert sum(outputs.values()) == mix.figures.total == snapshot["current_demand"]
    assert snapshot["net_scheduled_interchange"] == -outputs["Imports"]


@given(end=ends, seed=seeds)
def test_all_prices_have_one_energy_component(end: datetime, seed: int) -> None:
    """What congestion and loss leave is the same at every hub: the marginal energy cost at the same label."""
    prices = shown("rt_exante_lmp", end, seed).rows
    energy = {round(row.lmp - row.congestion - row.loss, 2) for row in prices}
    assert energy == {figures(end, seed)["marginal_energy_cost"]}


@given(end=ends, seed=seeds)
def test_hubs_part_where_a_constraint_binds(end: datetime, seed: int) -> None:
    """Congestion is other at other hubs if a transmission constraint binds, and nothing anywhere if none does."""
    binding = shown("transmission", end, seed).rows
    congestion = {row.congestion for row in shown("rt_exante_lmp", end, seed).rows}
    hardest = max((-row.shadow_price for row in binding), default=0)
    if not binding:
        assert congestion == {0}
    elif hardest > 1:
        assert len(congestion) > 1


@given(end=ends, seed=seeds)
def test_short_term_reserve_is_dear_where_reserve_binds(end: datetime, seed: int) -> None:
    """In a zone whose reserve constraint binds its price rises by the shadow price; elsewhere it is nothing."""
    binding = zone_cents(interval_number(end), seed)
    prices = {int(row.zone): row.short_term_reserve for row in shown("asm_mcp", end, seed).rows}
    assert prices == {zone: binding.get(zone, 0) / 100 for zone in range(1, 9)}


@given(end=ends, seed=seeds)
def test_an_hour_s_day_ahead_prices_are_the_same_all_hour(end: datetime, seed: int) -> None:
    """The twelve bodies of an hour show the same day-ahead prices."""
    begin = (end - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)
    shows = [shown("asm_mcp", begin + number * INTERVAL, seed) for number in (1, 6, 12)]
    assert len({one.tables["day_ahead"] for one in shows}) == 1
    assert len({one.figures.hour_ending for one in shows}) == 1


def test_the_host_serves_every_feed_by_its_path() -> None:
    """Each feed is at its path below the base address, labelled as it is in the same minute; faults strike each."""
    with SimulatedFeed(seed=4, faults={"503": 0.3}) as host:
        answers: dict[str, list[Any]] = {}
        for feed in FEEDS.values():
            found = [requests.get(f"{host.base_url}/{feed.path}", timeout=5) for _ in range(20)]
            answers[feed.name] = found
            good = [answer for answer in found if answer.status_code == 200]
            assert 0 < len(good) < len(found)
            assert {answer.content for answer in good} == {body_of(feed, host.interval_end, seed=4)}
            assert [request.number for request in host.requests_for(feed)] == list(range(1, 21))
    struck = [[answer.status_code for answer in found] for found in answers.values()]
    assert len({tuple(codes) for codes in struck}) > 1


def test_labels_are_skewed_between_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one minute feeds show different labels, ExAnteLmp one ahead; two minutes on, and where time stands, all do."""
    now = [100.0]
    monkeypatch.setattr(server_module, "monotonic", lambda: now[0])

    def labels(host: SimulatedFeed) -> dict[str, datetime | None]:
        return {
            feed.name: feed.examine(requests.get(host.url_of(feed), timeout=5).content).interval_end
            for feed in FEEDS.values()
        }

    together = {name: START + feed.lead for name, feed in FEEDS.items()}
    with SimulatedFeed(start=START, speed=1) as host:
        now[0] += 50
        late = dict.fromkeys(("fuel_mix", "snapshot"), START - INTERVAL)
        assert labels(host) == together | late
        now[0] += 70
        assert labels(host) == together
    with SimulatedFeed(start=START) as host:
        assert labels(host) == together


def test_every_hub_has_a_price() -> None:
    """The nine locations of the recorded bodies have prices."""
    assert [row.location for row in shown("rt_exante_lmp", START, 1).rows] == list(HUBS)
