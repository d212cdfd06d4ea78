"""The bench ends with what it found: a target that is not met is seen without reading the table."""

from __future__ import annotations

import gzip
import sys
from functools import partial
from pathlib import Path

import pytest
import requests

from miso_archive.simulate import SimulatedFeed
from tests.bench import start as bench_start
from tests.bench.read_table import Result, table, targets_are_met
from tests.bench.start_runs import BenchError, Cost, Side, after_which_it_stands, in_folder

pytestmark = pytest.mark.slow("measures starts")


@pytest.mark.parametrize(
    ("reader", "peak", "scan", "met"),
    [
        ([1.1], 200.0, [20.0], True),
        ([1.3], 200.0, [20.0], False),
        ([1.1], 400.0, [20.0], False),
        ([1.1], 200.0, [2.0], False),
        ([1.1], 200.0, [], True),
        ([], 0.0, [20.0], False),
    ],
    ids=[
        "all met",
        "too slow",
        "too much memory",
        "a rival as fast",
        "a rival that never ended",
        "a reader that did not",
    ],
)
def test_a_target_that_is_not_met_counts(reader: list[float], peak: float, scan: list[float], *, met: bool) -> None:
    """One ratio, one time or one peak that misses its target makes the bench end with 1, as the table says no."""
    results = {
        "floor": Result(365, [1.0]),
        "reader": Result(365, reader, peak=peak),
        "reader, 30 days": Result(30, [0.11]),
    }
    if reader:
        results["polars scan"] = Result(365, scan)
    assert targets_are_met(results) is met
    if reader:
        assert ("**no**" in table(results)) is not met


@pytest.fixture
def sides(tmp_path: Path) -> list[Side]:
    """This checkout, twice."""
    return [Side(name, Path.cwd(), Path(sys.executable), tmp_path / name) for name in ("before", "now")]


def test_starts_are_measured_in_turn(sides: list[Side]) -> None:
    """A tiny round runs what it names on both sides: the processors' time is at least an empty Python's."""
    costs = bench_start.measured(sides, ["floor", "help", "validate", "collect-local"], 1)
    assert all(list(of_sides) == ["before", "now"] for of_sides in costs.values())
    for line in ("help", "validate", "collect-local"):
        for side in ("before", "now"):
            (cost,), (floor,) = costs[line][side], costs["floor"][side]
            assert cost.cpu > floor.cpu > 0
            assert cost.wall > floor.wall > 0
    rows = bench_start.table(costs).splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {bench_start.LINES[line]}" for line in costs]


def test_a_command_that_fails_is_not_measured(sides: list[Side]) -> None:
    """What ends with another code than 0 gives no figure, and what it said is told."""
    with pytest.raises(BenchError, match=r"ended with 2; its log ends:\n.*Unknown command"):
        sides[0].cost([sides[0].command, "colect"])


def test_a_run_counts_only_if_its_snapshot_stands(tmp_path: Path) -> None:
    """A run that stores nothing, or something else than what was served, gives no figure."""
    written = tmp_path / "sourcing" / "body.json.gz"
    with SimulatedFeed(seed=1) as feed:

        def stores(body: bytes | None) -> Cost:
            requests.get(feed.url, timeout=10)
            if body is not None:
                written.parent.mkdir(exist_ok=True)
                written.write_bytes(gzip.compress(body))
            return Cost(1.0, 1.0)

        for body in (None, b"something else"):
            with pytest.raises(BenchError, match=f"put {int(body is not None)} snapshots"):
                after_which_it_stands(partial(stores, body), partial(in_folder, tmp_path), feed)()


@pytest.mark.parametrize(("now", "met"), [(0.3, True), (0.36, False)])
def test_a_goal_that_is_missed_counts(*, now: float, met: bool) -> None:
    """The ratio is of the medians of processors' time, and a missed one makes the bench end with 1."""
    costs = {"collect-local": {"before": [Cost(9, 1), Cost(9, 1), Cost(9, 50)], "now": [Cost(9, now)] * 3}}
    assert bench_start.goals_are_met(costs) is met
    assert ("**no**" in bench_start.table(costs)) is not met
