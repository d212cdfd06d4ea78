"""The bench ends with what it found: a target that is not met is seen without reading the table."""

from __future__ import annotations

import gzip
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import requests

from miso_archive.feeds import FEEDS
from miso_archive.simulate import SimulatedFeed
from tests.bench import notebooks
from tests.bench import read as bench_read
from tests.bench import start as bench_start
from tests.bench.earlier import NOW, BenchError
from tests.bench.read_table import (
    ROWS,
    STAGES,
    Result,
    as_record,
    documented,
    table,
    targets_are_met,
)
from tests.bench.start_runs import Cost, Side, after_which_it_stands, in_folder

pytestmark = pytest.mark.slow("measures starts and readings")


@pytest.mark.parametrize(
    ("reader", "peak", "scan", "before", "met"),
    [
        ([1.4], 200.0, [40.0], [1.4], True),
        ([1.6], 200.0, [40.0], [1.6], False),
        ([1.4], 200.0, [40.0], [1.3], False),
        ([1.4], 200.0, [40.0], [], True),
        ([1.4], 400.0, [40.0], [1.4], False),
        ([1.4], 200.0, [4.0], [1.4], False),
        ([1.4], 200.0, [], [1.4], True),
        ([], 0.0, [40.0], [1.4], False),
    ],
    ids=[
        "all met",
        "too slow",
        "slower than before",
        "a reader of before that never ended",
        "too much memory",
        "a rival as fast",
        "a rival that never ended",
        "a reader that did not",
    ],
)
def test_a_target_that_is_not_met_counts(
    reader: list[float], peak: float, scan: list[float], before: list[float], *, met: bool
) -> None:
    """One ratio, one time or one peak that misses its target makes the bench end with 1, as the table says no."""
    results = {
        "floor": Result(365, [1.0]),
        "reader": Result(365, reader, peak=peak),
        "reader, f41ecfa": Result(365, before),
        "reader, 30 days": Result(30, [0.2]),
    }
    if reader:
        results["polars scan"] = Result(365, scan)
    assert targets_are_met(results) is met
    if reader:
        assert ("**no**" in table(results)) is not met


def test_readers_are_measured_in_turn(tmp_path: Path) -> None:
    """A tiny round reads raw and compacted days on both sides, finds the same, and is shown as it was recorded."""
    bench_read.write(tmp_path, 2, NOW)
    asked = {**STAGES["raw"], **STAGES["compacted"]}
    names = ("reader", "reader, f41ecfa", "compacted", "compacted, f41ecfa")
    entries = {name: replace(asked[name], days=2) for name in ("floor", "reader, 30 days", "bare polars", *names)}
    results = bench_read.measured(entries, tmp_path, 1, before=NOW)
    bench_read.check_same(entries, results)
    assert {name: len(result.seconds) for name, result in results.items()} == {
        name: entry.repeats for name, entry in entries.items()
    }
    assert len({result.read for name, result in results.items() if name in names}) == 1
    assert (tmp_path / "year-compacted-f41ecfa" / "curated").is_dir()
    lines = documented(as_record("A machine.", results)).splitlines()
    assert [cell for line in lines[4:] if (cell := line.split(" | ")[4])] == [
        f"{results[name].median / results[f'{name}, f41ecfa'].median:.2f}" for name in ("reader", "compacted")
    ]


def test_a_sister_is_measured_beside_its_own_floor(tmp_path: Path) -> None:
    """A tiny round reads a sister feed, raw and compacted, and finds what its references and rivals find."""
    bench_read.write_sisters(tmp_path, 2)
    entries = {name: replace(found, days=2) for name, found in STAGES["feeds"].items() if found.feed == "fuel_mix"}
    results = bench_read.measured(entries, tmp_path, 1, before=NOW)
    bench_read.check_same(entries, results)
    read = {name: result.read for name, result in results.items()}
    objects = len(list((tmp_path / "feeds" / "sourcing" / FEEDS["fuel_mix"].dataset).rglob("*.json.gz")))
    assert read["floor, fuel_mix fuels"] == (objects, 0.0)
    assert len({read[f"{by}fuel_mix fuels"] for by in ("", "polars_scan, ", "duckdb_json, ", "bare polars, ")}) == 1
    lines = table(results).splitlines()[2:]
    assert len(lines) == len(entries)


def test_every_table_of_a_sister_is_measured() -> None:
    """None is left out, and each line of the table has its contestant."""
    tables = {(feed.name, of.name) for feed in FEEDS.values() if not feed.is_first for of in feed.contract.tables}
    assert {(entry.feed, entry.table) for entry in STAGES["feeds"].values()} == tables
    assert {row.entry for row in ROWS if row.entry in STAGES["feeds"]} == set(STAGES["feeds"])


@pytest.mark.parametrize("stage", ["raw", "compacted", "s3"])
def test_every_reader_has_one_of_before_beside_it(stage: str) -> None:
    """None is left out of the comparison, and who reads compacted months reads those of its own side."""
    entries = STAGES[stage]
    ours = {name: entry for name, entry in entries.items() if "reader" in entry.contestant and not entry.is_earlier}
    assert ours
    for name, entry in ours.items():
        before = entries[f"{name}, f41ecfa"]
        assert before.is_earlier
        assert (before.archive == entry.archive) is ("compacted" not in entry.archive)
        assert [row.before for row in ROWS if row.entry == name and not row.per_day] == [f"{name}, f41ecfa"]


def test_a_reader_that_finds_other_rows_is_not_compared() -> None:
    """Rows or prices that differ from those of before end the bench, and name both."""
    entries = {name: STAGES["raw"][name] for name in ("reader", "reader, f41ecfa")}
    results = {name: Result(365, [1.0], read=(9, price)) for name, price in zip(entries, (1.5, 1.6), strict=True)}
    with pytest.raises(RuntimeError, match=r"rows of the year: reader, f41ecfa finds \(9, 1.6\), reader finds"):
        bench_read.check_same(entries, results)


def test_a_stage_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is no stage ends the bench before anything is written, and those that there are are named."""
    with patch("sys.argv", ["read", "--only", "raw,s4"]), pytest.raises(SystemExit):
        bench_read.main()
    assert "no stage is s4: there are raw, compacted, s3, feeds" in capsys.readouterr().err


@pytest.fixture
def sides(tmp_path: Path) -> list[Side]:
    """This checkout, twice."""
    return [Side(name, Path.cwd(), Path(sys.executable), tmp_path / name) for name in ("before", "now")]


def test_starts_are_measured_in_turn(sides: list[Side]) -> None:
    """A tiny round runs what it names on both sides: the processors' time is at least an empty Python's."""
    costs = bench_start.measured(sides, ["floor", "help", "validate", "collect-local", "collect-all"], 1)
    assert list(costs.pop("collect-all")) == ["now"]
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


@pytest.mark.parametrize(("all_feeds", "met"), [(0.45, True), (0.46, False)])
def test_all_feeds_are_compared_with_one_of_the_same_side(*, all_feeds: float, met: bool) -> None:
    """What the earlier commit does not have stands empty in its columns, and its goal is of this commit's own time."""
    costs = {
        "collect-local": {"before": [Cost(9, 3)], "now": [Cost(1, 0.3)]},
        "collect-all": {"now": [Cost(1, all_feeds)]},
    }
    assert bench_start.goals_are_met(costs) is met
    assert f"|  | 1.00 |  | {all_feeds:.2f} | {all_feeds / 0.3:.2f} |" in bench_start.table(costs)


@pytest.mark.parametrize(("now", "met"), [(0.3, True), (0.36, False)])
def test_a_goal_that_is_missed_counts(*, now: float, met: bool) -> None:
    """The ratio is of the medians of processors' time, and a missed one makes the bench end with 1."""
    costs = {"collect-local": {"before": [Cost(9, 1), Cost(9, 1), Cost(9, 50)], "now": [Cost(9, now)] * 3}}
    assert bench_start.goals_are_met(costs) is met
    assert ("**no**" in bench_start.table(costs)) is not met


@pytest.mark.parametrize(
    ("cost", "met"),
    [
        (notebooks.Cost(11.0, 9.9, 900.0), True),
        (notebooks.Cost(11.0, 10.1, 900.0), False),
        (notebooks.Cost(9.0, 8.0, 1001.0), False),
    ],
)
def test_a_notebook_that_misses_a_goal_is_told(cost: notebooks.Cost, *, met: bool) -> None:
    """Seconds and megabytes both count, and the table says which notebook it was."""
    within = notebooks.Cost(1.0, 1.0, 1.0)
    assert cost.meets_the_goals is met
    told = notebooks.told({"market_day": within, "shadow_prices": cost}, 365, 3)
    assert [line.split(" | ")[-1] for line in told.splitlines() if "`" in line] == ["yes |", "yes |" if met else "no |"]


@pytest.mark.notebooks
def test_a_notebook_is_measured_as_it_runs(tmp_path: Path) -> None:
    """In a process of its own, whose memory is its own: more than nothing, and cells take less than the whole."""
    measured = notebooks.cost("archive_health", tmp_path)
    assert 0 < measured.in_cells < measured.seconds
    assert measured.megabytes > 100
