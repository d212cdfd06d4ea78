"""A report is held against the live rows of its day: one whose times are the starts of intervals is not used."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from miso_archive.feeds.reserve import DA_RPE, RESERVE, RT_RPE
from miso_archive.feeds.transmission import RT_BC, TRANSMISSION
from miso_archive.healing.compared import contradiction
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import day_begins
from miso_archive.reports.read import read_report
from miso_archive.simulate.sisters import transmission_body
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response
from tests.report_files import binding_constraints

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from miso_archive.contract.findings import Finding
    from miso_archive.feeds.feed import Feed
    from miso_archive.feeds.report import Report

DAY: Final = date(2001, 1, 5)
SEED: Final = 0
BINDING: Final = range(13, 37)
"""The intervals of the day that are collected: from 01:05 to 03:00."""


def collect(root: Path) -> Folder:
    """Archive two hours of transmission constraints."""
    folder = Folder(root)
    for number in BINDING:
        end = day_begins(DAY) + number * INTERVAL
        body = transmission_body(end, seed=SEED)
        snapshot = TRANSMISSION.examine(body).snapshot
        assert snapshot is not None
        store_snapshot(folder, TRANSMISSION, snapshot, Response(body, end.astimezone(UTC), "http://127.0.0.1/", ""))
    return folder


def told_by(shift: timedelta, digits: int = 2) -> pl.DataFrame:
    """What a report tells of the day's first four hours whose times are the ends of intervals and a shift."""
    rows = []
    for number in range(2, 49):
        end = day_begins(DAY) + number * INTERVAL
        snapshot = TRANSMISSION.examine(transmission_body(end, seed=SEED)).snapshot
        assert snapshot is not None
        rows += [
            (f"{end + shift:%H:%M}", row.constraint_name, row.shadow_price + 10**-digits / 1000)
            for row in ([] if snapshot.quiet else snapshot.rows)
        ]
    assert len(rows) > 24
    return read_report(TRANSMISSION, RT_BC, binding_constraints(DAY, *rows), DAY)


def a_contradiction(root: Path) -> Finding | None:
    """What is said of a report whose times are starts."""
    return contradiction(collect(root), TRANSMISSION, RT_BC, told_by(-INTERVAL), DAY)


def test_times_that_are_starts_are_told(tmp_path: Path) -> None:
    """With the rows that agree either way."""
    found = a_contradiction(tmp_path)
    assert found is not None
    assert found.code.value == "report_times"
    assert found.message.startswith("33 of its rows are live ones if its times are the starts of intervals, 0 if")


@pytest.mark.parametrize("digits", [2, 6])
def test_times_that_are_ends_are_not(tmp_path: Path, digits: int) -> None:
    """Nor are prices that a sheet holds inexactly."""
    assert contradiction(collect(tmp_path), TRANSMISSION, RT_BC, told_by(timedelta(), digits), DAY) is None


@pytest.mark.parametrize("shift", [timedelta(), -INTERVAL])
def test_without_live_rows_nothing_can_be_told(tmp_path: Path, shift: timedelta) -> None:
    """Of a day before the first live interval no report is refused for its times."""
    assert contradiction(Folder(tmp_path), TRANSMISSION, RT_BC, told_by(shift), DAY) is None


@pytest.mark.parametrize(("feed", "report"), [(RESERVE, RT_RPE), (RESERVE, DA_RPE)])
def test_a_report_without_rows_says_nothing_of_it(feed: Feed, report: Report, tmp_path: Path) -> None:
    """Nor does one of another market."""
    rows = told_by(timedelta()).clear()
    assert contradiction(Folder(tmp_path), feed, report, rows, DAY) is None
