"""The reports of the simulated host: in the layouts of MISO's, of the market that its feeds show."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
import requests

from miso_archive.feeds import FEEDS
from miso_archive.intervals.market_days import day_begins
from miso_archive.reports.read import read_report
from miso_archive.simulate import SimulatedFeed
from miso_archive.simulate.bodies import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from miso_archive.feeds.feed import Feed
    from miso_archive.feeds.report import Report

pytestmark = pytest.mark.slow("makes whole days")

SEED = 0
DAY = date(2001, 1, 5)
REPORTS = [(feed, report) for feed in FEEDS.values() for report in feed.reports]


@pytest.fixture(scope="module")
def host() -> Iterator[SimulatedFeed]:
    """The host at noon of the day after."""
    with SimulatedFeed(seed=SEED, ahead=timedelta(days=4, hours=5)) as serving:
        yield serving


def answer(host: SimulatedFeed, name: str) -> requests.Response:
    """What the host answers for a file."""
    return requests.get(f"{host.reports_url}{name}", timeout=10)


@pytest.mark.parametrize(("feed", "report"), REPORTS, ids=[report.name for _, report in REPORTS])
def test_a_report_tells_what_the_feed_showed(feed: Feed, report: Report, host: SimulatedFeed) -> None:
    """The reader reads it, and its rows are those of the live bodies of its times, each once."""
    found = read_report(feed, report, answer(host, report.file_name(DAY)).content, DAY)
    shown = []
    end = day_begins(DAY) + report.length
    while end <= day_begins(DAY + timedelta(days=1)):
        snapshot = feed.examine(body_of(feed, end, seed=SEED)).snapshot
        assert snapshot is not None
        shown += [(end, row.constraint_name, row.shadow_price) for row in snapshot.rows if not snapshot.quiet]
        end += report.length
    if report.from_midnight:
        shown = [row for row in shown if row[0] < day_begins(DAY + timedelta(days=1))]
    assert sorted(found.select("interval_end", "constraint_name", "shadow_price").rows()) == sorted(shown)
    assert shown or feed.name == "subregional"


def test_subregional_constraints_bind_on_some_day(host: SimulatedFeed) -> None:
    """They do seldom: of the days before one has rows, and its file has each twice."""
    feed = FEEDS["subregional"]
    [report] = feed.reports
    days = [DAY - timedelta(days=number) for number in range(7)]
    files = {day: answer(host, report.file_name(day)).content for day in days}
    rows = {day: len(read_report(feed, report, data, day)) for day, data in files.items()}
    day, most = max(rows.items(), key=lambda item: item[1])
    assert most > 0
    assert files[day].count(b"RDT_") in {2 * most, 2 * (most + 1)}


@pytest.mark.parametrize(
    "name", ["20010107_rt_bc.xls", "20010107_rt_rpe.xls", "20010106_rt_bc.csv", "2001016_rt_bc.xls", "x", ""]
)
def test_what_is_not_published_is_not_found(name: str, host: SimulatedFeed) -> None:
    """Nor is what is no report: a day that is not over has none in real time."""
    assert answer(host, name).status_code == 404


def test_day_ahead_reports_are_out_before_their_day(host: SimulatedFeed) -> None:
    """They bear the date of the day before."""
    assert answer(host, "20010106_da_rpe.xls").status_code == 200


def test_a_request_for_one_is_a_request_for_its_feed(host: SimulatedFeed) -> None:
    """It is counted and kept with those for the feed, by its own address."""
    answer(host, "20010106_rt_bc.xls")
    assert host.requests_for(FEEDS["transmission"])[-1].address == "/marketreports/20010106_rt_bc.xls"
