"""Rows that name an interval of their own: each stands under it, once, in whatever body and on whatever day it came."""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import miso_archive as mr
from miso_archive.feeds.asm_mcp import ASM_MCP
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.intervals.labels import EST, EST_NAME
from miso_archive.reading import one_pass
from miso_archive.store.folder import Folder
from tests.feeds.archived import put
from tests.reading.compaction.archives import state

if TYPE_CHECKING:
    from pathlib import Path

DAYS = [date(2026, 7, 30) + timedelta(days=number) for number in range(5)]
"""30 July to 3 August: a month ends within them."""

NOW = datetime(2026, 8, 3, 12, tzinfo=EST)


def at(text: str) -> datetime:
    """The interval end ``07-31 08:10`` of 2026, EST."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(EST_NAME))


def row(end: str, fuel: str, output: float) -> dict[str, str]:
    """A row of the feed."""
    clock = f"{at(end):%Y-%m-%d %I:%M:00 %p}"
    return {"INTERVALEST": clock, "CATEGORY": fuel, "ACT": str(output), "FUEL_CATEGORY": fuel}


def body(end: str, *rows: dict[str, str]) -> bytes:
    """A body of the feed: its own two fuels, 100 MW of coal and 10 of wind, and further rows."""
    own = [row(end, "Coal", 100), row(end, "Wind", 10)]
    ref_id = f"{at(end):%d-%b-%Y - Interval %H:%M EST}"
    return json.dumps({"RefId": ref_id, "TotalMW": "110", "Fuel": {"Type": [*rows, *own]}}).encode()


def fill(folder: Path) -> None:
    """Bodies around every midnight; some have rows of intervals before and after, over midnights and a month's end."""
    archive = Folder(folder)
    for day in ("07-30", "07-31", "08-01", "08-02"):
        for clock in ("00:05", "12:00", "23:55"):
            put(archive, FUEL_MIX, body(f"{day} {clock}"))
    for end, *rows in (
        ("07-31 00:00", row("07-30 12:00", "Solar", 5)),
        ("08-01 00:00", row("07-31 23:55", "Wind", 11)),
        ("08-01 00:10", row("07-31 23:55", "Wind", 12), row("08-01 00:05", "Wind", 13)),
        ("08-02 00:00", row("08-02 00:05", "Coal", 99), row("08-03 00:05", "Coal", 98)),
        ("08-03 00:05", row("08-01 12:00", "Coal", 1), row("08-03 00:00", "Wind", 14)),
    ):
        put(archive, FUEL_MIX, body(end, *rows))
    put(archive, FUEL_MIX, body("08-01 00:10", row("08-01 00:05", "Wind", 15)), minutes=4)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive; not to be changed."""
    folder = tmp_path_factory.mktemp("raw")
    fill(folder)
    return folder


def fuels(folder: Path, **options: object) -> pl.DataFrame:
    """The rows of an archive."""
    return mr.scan(folder, "fuel_mix", strict=True, **options).collect()  # type: ignore[arg-type] # each is the reader's


def outputs(frame: pl.DataFrame, end: str) -> list[tuple[str, float, bool]]:
    """What an interval's rows say, and whether each is the latest."""
    of_end = frame.filter(pl.col("interval_end") == at(end))
    return of_end.select("fuel", "output", "is_latest").rows()


def test_the_last_body_that_has_a_row_counts(raw: Path) -> None:
    """Of an interval and fuel the last body's row counts, what a body leaves out stays, and a revision supersedes."""
    frame = fuels(raw, latest_only=False)
    own = [("Coal", 100.0, True), ("Wind", 10.0, True)]
    assert outputs(frame, "07-30 12:00") == [*own, ("Solar", 5.0, True)]
    assert outputs(frame, "07-31 23:55") == [
        ("Coal", 100.0, True),
        ("Wind", 10.0, False),
        ("Wind", 11.0, True),
        ("Wind", 12.0, False),
    ]
    assert outputs(frame, "08-01 00:05") == [
        ("Coal", 100.0, True),
        ("Wind", 10.0, False),
        ("Wind", 13.0, False),
        ("Wind", 15.0, True),
    ]
    assert outputs(frame, "08-02 00:05") == [("Coal", 99.0, False), *own]
    assert outputs(frame, "08-03 00:00") == [("Wind", 14.0, True)]
    latest = fuels(raw)
    assert latest.equals(frame.filter("is_latest"))
    assert latest.select("interval_end", "fuel").is_unique().all()


def test_each_row_is_of_its_own_interval(raw: Path) -> None:
    """Times and market day are those that the row names, in time order; the label is that of its body."""
    frame = fuels(raw, latest_only=False)
    assert frame["interval_end"].is_sorted()
    [stray] = frame.filter(pl.col("output") == 14).to_dicts()
    assert (stray["market_day"], stray["interval_start"]) == (date(2026, 8, 2), at("08-02 23:55"))
    assert stray["ref_id"] == "03-Aug-2026 - Interval 00:05 EST"
    snapshots = mr.scan_snapshots(raw, feed="fuel_mix", latest_only=False).collect()
    assert snapshots["fuels"].sum() == 2 * 18 + 9


def test_what_is_more_than_a_day_away_is_left_out(raw: Path) -> None:
    """A row of two market days before or after its body's is in no frame, however wide the reading."""
    frame = fuels(raw, latest_only=False)
    assert not set(frame["output"]) & {1.0, 98.0}
    assert len(frame) == 2 * 18 + 9 - 2


@pytest.mark.parametrize("most_bodies", [1, 3, 16384])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_days_add_up_to_the_whole(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bodies: int, *, is_compacted: bool
) -> None:
    """Day by day, in whatever batches, compacted or not: no row is lost, none is doubled, each says the same."""
    expected = fuels(raw, latest_only=False)
    monkeypatch.setattr(one_pass, "_MOST_BODIES", most_bodies)
    monkeypatch.setattr(one_pass, "_UNZIPPED_TOGETHER", min(most_bodies, 64))
    folder = raw
    if is_compacted:
        folder = tmp_path
        fill(folder)
        for month in (DAYS[0], DAYS[2]):
            assert mr.compact_month(folder, month, now=NOW, feed="fuel_mix") is not None
        july = pl.read_parquet(folder / "curated" / FUEL_MIX.dataset / "fuels" / "2026-07.parquet")
        assert set(july["market_day"]) == set(DAYS[:2])
    by_bounds = [fuels(folder, start=day, end=day + timedelta(days=1), latest_only=False) for day in DAYS]
    by_filter = [
        mr.scan(folder, "fuel_mix", latest_only=False).filter(pl.col("market_day") == day).collect() for day in DAYS
    ]
    for frames in (by_bounds, by_filter, [fuels(folder, latest_only=False)]):
        assert_frame_equal(pl.concat(frames), expected)
    some = pl.col("market_day").is_in([DAYS[0], DAYS[3]])
    assert_frame_equal(mr.scan(folder, "fuel_mix", latest_only=False).filter(some).collect(), expected.filter(some))


def test_a_month_knows_of_rows_that_come_later(tmp_path: Path) -> None:
    """What a body of the day after a month has of it is in the month once that day is closed; till then none writes."""
    fill(tmp_path)
    before = fuels(tmp_path)
    became = [mr.compact_month(tmp_path, DAYS[0], now=at("08-01 02:00"), feed="fuel_mix")]
    assert_frame_equal(fuels(tmp_path), before)
    put(Folder(tmp_path), FUEL_MIX, body("08-01 15:00", row("07-31 23:55", "Gas", 7)))
    became += [
        mr.compact_month(tmp_path, DAYS[0], now=at(now), feed="fuel_mix") for now in ("08-01 16:00", "08-02 00:59")
    ]
    assert ("Gas", 7.0, True) not in outputs(fuels(tmp_path), "07-31 23:55")
    became += [
        mr.compact_month(tmp_path, DAYS[0], now=at(now), feed="fuel_mix") for now in ("08-02 01:00", "08-03 02:00")
    ]
    assert ("Gas", 7.0, True) in outputs(fuels(tmp_path), "07-31 23:55")
    assert [one and one.written for one in became] == [True, False, False, True, False]


def test_the_open_day_does_not_write_the_month_anew(tmp_path: Path) -> None:
    """A body of the day that is not over leaves the files of its month as they are, to the time of writing."""
    fill(tmp_path)
    assert mr.compact_month(tmp_path, DAYS[2], now=at("08-02 02:00"), feed="fuel_mix") is not None
    before = state(tmp_path)
    put(Folder(tmp_path), FUEL_MIX, body("08-02 02:05", row("08-01 23:55", "Gas", 7)))
    again = mr.compact_month(tmp_path, DAYS[2], now=at("08-02 02:10"), feed="fuel_mix")
    assert again is not None
    assert not again.written
    assert state(tmp_path) == before
    assert mr.compact_month(tmp_path, DAYS[2], now=at("08-03 02:00"), feed="fuel_mix") is not None
    assert ("Gas", 7.0, True) in outputs(fuels(tmp_path), "08-01 23:55")


@pytest.mark.parametrize(
    ("label", "hour", "end"),
    [
        *(("10-02 16:00", 5, "10-02 05:00"), ("10-02 16:00", 4, None)),
        *(("10-02 05:00", 16, "10-02 16:00"), ("10-02 05:00", 17, None)),
        *(("10-02 00:00", 24, "10-02 00:00"), ("10-02 00:00", 1, None)),
    ],
)
def test_an_hour_half_a_day_off_is_none_of_the_day(tmp_path: Path, label: str, hour: int, end: str | None) -> None:
    """Less than twelve hours from a body's label its hour is that of the market day; from twelve on it has no rows."""
    said = ASM_MCP.recorded.read_text().replace('"HourEnding":"17"', f'"HourEnding":"{hour}"')
    put(Folder(tmp_path), ASM_MCP, said.replace("Interval 16:45", f"Interval {at(label):%H:%M}").encode())
    rows = mr.scan(tmp_path, "asm_mcp", "day_ahead", strict=True).collect()
    assert rows.select("interval_end", "hour_ending").unique().rows() == ([] if end is None else [(at(end), hour)])
    assert len(mr.scan(tmp_path, "asm_mcp", "real_time", strict=True).collect()) == 8


def test_a_month_may_have_rows_and_no_snapshot(tmp_path: Path) -> None:
    """Rows of a month's last day in a body of the day after are compacted, and no body is read for that day again."""
    put(Folder(tmp_path), FUEL_MIX, body("08-01 00:05", row("07-31 23:55", "Wind", 11)))
    raw = fuels(tmp_path)
    became = mr.compact_month(tmp_path, DAYS[0], now=NOW, feed="fuel_mix")
    assert became is not None
    assert (became.snapshots, became.rows) == (0, {"fuels": 1})
    assert mr.compact_month(tmp_path, DAYS[2], now=NOW, feed="fuel_mix") is not None
    assert_frame_equal(fuels(tmp_path), raw)
    shutil.rmtree(tmp_path / "sourcing" / FUEL_MIX.dataset / "2026-08-01")
    assert outputs(fuels(tmp_path, start=DAYS[1], end=DAYS[2]), "07-31 23:55") == [("Wind", 11.0, True)]


def test_what_cannot_be_read_beside_a_day_is_not_told(raw: Path, tmp_path: Path) -> None:
    """A damaged body of the day before does not spoil the reading of a day, strict or not."""
    fill(tmp_path)
    folder = tmp_path / "sourcing" / FUEL_MIX.dataset / "2026-07-30"
    next(folder.glob("*_1200.json.gz")).write_bytes(b"damaged")
    day = {"start": DAYS[1], "end": DAYS[2]}
    assert_frame_equal(fuels(tmp_path, **day), fuels(raw, **day))


def test_coverage_counts_bodies_by_their_labels(raw: Path) -> None:
    """A row of another interval makes no snapshot of it."""
    counted = mr.coverage(raw, now=NOW, feed="fuel_mix")
    assert dict(counted.select("market_day", "collected").iter_rows())[DAYS[3]] == 3
    missing = mr.missing_intervals(raw, now=NOW, feed="fuel_mix")["interval_end"]
    assert at("08-03 00:00") in missing.to_list()
