"""The promise: a feed is one small file, and the machinery does the rest untouched."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pytest

from miso_archive.feeds import ALL, FEEDS, KNOWN
from miso_archive.feeds.columns import schema_of
from miso_archive.intervals.labels import EST
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import scan
from miso_archive.simulate import Reply, SimulatedFeed
from tests.feeds import made_up
from tests.feeds.made_up import REGIONAL_DEMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LINES = 60
START = datetime(2001, 1, 2, 23, 50, tzinfo=EST)
STEMS = (
    "2001-01-02/regional_demand_20010102_2350",
    "2001-01-02/regional_demand_20010102_2355",
    "2001-01-03/regional_demand_20010103_0000",
)
REFUSED = b'{"RefId":"","TotalMW":"1"}'
FEED = ("--feed", REGIONAL_DEMAND.name)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The feed is among those that there are: the one line in the registry."""
    for registry in (FEEDS, KNOWN):
        monkeypatch.setitem(registry, REGIONAL_DEMAND.name, REGIONAL_DEMAND)
    # What there is to choose stands as it is imported, as the command line does: both are as in a process that starts.
    monkeypatch.setattr("miso_archive.feeds.FeedChoice", Literal[(*KNOWN, ALL)])
    for name in commands():
        monkeypatch.delitem(sys.modules, name)
    yield
    # What was imported here knows the feed; what was there before comes back.
    for name in commands():
        del sys.modules[name]


def commands() -> list[str]:
    """Return the modules of the command line that are imported."""
    return [name for name in sys.modules if name.startswith("miso_archive.cli")]


@pytest.fixture
def host(known: None) -> Iterator[SimulatedFeed]:  # noqa: ARG001 - the host asks the registry
    """The simulated host, as it serves whatever feeds there are."""
    with SimulatedFeed(seed=12, start=START) as simulated:
        yield simulated


@pytest.fixture
def command(known: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:  # noqa: ARG001 - likewise
    """The command line; it gives what is printed."""
    main = import_module("miso_archive.cli.app").main

    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*arguments, *FEED]) == code
        return capsys.readouterr().out

    return run


def test_a_feed_is_a_small_file() -> None:
    """All that there is to say of it stands in at most sixty lines, the sentences that explain it among them."""
    assert len(Path(made_up.__file__).read_text().splitlines()) <= MOST_LINES


def test_it_is_read_and_refused_as_its_contract_says() -> None:
    """The recorded body gives its rows, and a wrong one the reasons, from what the fields say alone."""
    body = REGIONAL_DEMAND.recorded.read_bytes()
    verdict = REGIONAL_DEMAND.examine(body)
    assert verdict.snapshot is not None
    assert (verdict.warnings, verdict.snapshot.figures.total) == ((), 83808)
    assert [(row.region, row.demand, row.cost, row.note) for row in verdict.snapshot.rows] == [
        ("North", 20104, 31.2, None),
        ("Central", 38550, -0.45, "Peak"),
        ("South", 25154, None, None),
    ]
    wrong = REGIONAL_DEMAND.examine(body.replace(b"20,104", b"1,23").replace(b'"South"', b'""'))
    assert [(reason.code.value, reason.where) for reason in wrong.reasons] == [
        ("bad_number", "Demand.Region[0].MW"),
        ("empty_value", "Demand.Region[2].NAME"),
    ]
    assert [found.code.value for found in REGIONAL_DEMAND.examine(body.replace(b"20,104", b"1")).warnings] == [
        "sum_differs"
    ]


def test_it_goes_the_whole_way(host: SimulatedFeed, command: Callable[..., str], tmp_path: Path) -> None:
    """It is served, collected, archived, refused, validated, read, counted, compacted and replayed like any other."""
    where = ("--local", str(tmp_path))

    def said(*arguments: str, code: int = 0) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(command(*arguments, *where, code=code))
        return result

    def table(*arguments: str) -> pl.DataFrame:
        file = tmp_path.with_suffix(".parquet")
        command(*arguments, *where, "--output", str(file))
        return pl.read_parquet(file)

    def collected(code: int = 0) -> list[str]:
        result = said("collect", "--api-base", host.base_url, code=code)
        assert result["total_candidates"] == 1
        return list(result["objects"])

    keys = [f"sourcing/miso_regional_demand/{stem}.json.gz" for stem in STEMS]
    found = [collected(), collected()]
    host.advance()
    host.script(Reply(body=REFUSED), feed=REGIONAL_DEMAND)
    found.append(collected(code=1))
    for _ in range(2):
        found.append(collected())
        host.advance()
    assert found == [keys[:1], [], [], keys[1:2], keys[2:]]

    assert command("validate", str(tmp_path), code=1).count(": valid, interval end 2001-01-0") == len(keys)
    rows, snapshots = table("read"), table("read", "--snapshots")
    assert rows.schema == schema_of(REGIONAL_DEMAND, "regions")
    assert rows["region"].to_list() == ["North", "Central", "South"] * len(keys)
    assert snapshots["object_key"].to_list() == keys
    assert (
        snapshots["total"].to_list()
        == rows.group_by("interval_end", maintain_order=True).agg("demand")["demand"].list.sum().to_list()
    )
    days = table("coverage", "--start", "2001-01-02", "--end", "2001-01-03")
    assert days.select("market_day", "expected", "collected", "missing", "revised").rows() == [
        (date(2001, 1, 2), 288, len(keys), 288 - len(keys), 0)
    ]

    assert table("compact").select("snapshots", "regions", "written").rows() == [(len(keys), len(rows), True)]
    compacted = {path.name for path in (tmp_path / "curated/miso_regional_demand").iterdir()}
    assert compacted == {"regions", "snapshots", "fetch_times"}
    assert (table("read").equals(rows), table("read", "--snapshots").equals(snapshots)) == (True, True)

    assert said("replay")["reasons"] == {"empty_ref_id": 1, "missing_field": 1}
    assert said("status", "--json", code=1)["refused_today"] == 1


def test_an_archive_of_it_is_simulated(command: Callable[..., str], tmp_path: Path) -> None:
    """Days of it are written at once from the recorded body, and read back interval by interval."""
    archive = tmp_path / "simulated"
    command("simulate", "--archive", str(archive), "--days", "2")
    found = coverage(archive, feed=REGIONAL_DEMAND)
    assert found["market_day"].to_list() == [date(2001, 1, 1), date(2001, 1, 2)]
    assert found["collected"].sum() > 500
    rows = scan(archive, REGIONAL_DEMAND, strict=True).collect()
    assert rows["interval_end"].n_unique() == found["collected"].sum()
    assert rows.filter(pl.col("region") == "Central")["cost"].lt(0).all()
