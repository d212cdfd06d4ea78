"""No interval skipped, on a virtual clock: what ``make jitter`` shows of a month, held for three days."""

from __future__ import annotations

import logging
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.feeds import FEEDS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.polite import MOST_POLLS
from tests.tools import jitter
from tests.tools.jitter import LAGS, RECORD, Collector, Month, Publications, Tally, moves

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.feeds.feed import Feed

pytestmark = pytest.mark.slow("collects a month")

WELL = Tally(published=1000, captured=1000, bodies=1000, requests=2000, minutes=5000.0, shortest_gap=60.0)


@pytest.fixture(autouse=True)
def _no_word_of_each_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "miso_archive")


def collector_of(
    name: str, phase: int, polls: int = MOST_POLLS, *, unavailable: float = 0.0, feed: Feed = RESERVE
) -> Collector:
    """Three days of one lag model, one of them with a collector that is down for two hours."""
    publications = Publications(feed, LAGS[name], 3, seed=11)
    return Collector(feed, publications, phase, polls, 3, unavailable, outages=((1.3, 2.0),))


def collected(name: str, phase: int, polls: int = MOST_POLLS, *, unavailable: float = 0.0) -> Tally:
    """What is kept of reserve."""
    return collector_of(name, phase, polls, unavailable=unavailable).month()


@pytest.mark.parametrize("phase", [0, 75, 160, 240, 299])
@pytest.mark.parametrize("name", LAGS)
def test_no_interval_is_skipped(name: str, phase: int) -> None:
    """Whatever the lag and the phase, all but those published as the collector went down are archived."""
    tally = collected(name, phase)
    assert tally.published > 820
    assert tally.published - tally.captured <= 2


@pytest.mark.slow("a month for each")
@pytest.mark.parametrize(
    ("feed", "name"),
    [
        pytest.param(feed, name, id=f"{feed.name}-{name}")
        for feed in FEEDS.values()
        if feed is not RESERVE
        for name in (LAGS if feed.lead or moves(feed) else [*LAGS][:1])
    ],
)
def test_no_interval_of_any_feed_is_skipped(feed: Feed, name: str) -> None:
    """Also of feeds that are labelled ahead of the clock, or whose bodies move; a minute is between two requests."""
    tally = collector_of(name, 0, feed=feed).month()
    assert tally.published > 820
    assert tally.published - tally.captured <= 2
    assert tally.shortest_gap >= 60
    # More than one body an interval, where there is one a minute.
    assert (tally.bodies > 1.5 * tally.captured) is moves(feed)


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_what_has_a_lead_is_published_ahead_of_its_label(feed: Feed) -> None:
    """A lag of no more than four minutes puts a body out before its interval's end, where the lead is five."""
    publications = Publications(feed, LAGS["uniform 0 to 4 min"], 1, seed=11)
    ahead = [time < end for time, end in zip(publications.times, publications.ends, strict=True)]
    assert set(ahead) == {bool(feed.lead)}


@pytest.mark.parametrize("name", LAGS)
def test_no_two_requests_are_less_than_a_minute_apart(name: str) -> None:
    """Also with a tenth of the requests failing, within a run and from one run to the next."""
    tally = collected(name, 0, unavailable=0.1)
    assert tally.shortest_gap >= 60
    assert 0.2 < tally.rate <= 1


def test_a_plain_poll_skips_what_the_pace_does_not() -> None:
    """The comparison is a real one: one poll every five minutes loses a tenth of the same publications and more."""
    name = "uniform 0 to 4 min"
    assert collected(name, 90, polls=1).share < 0.9
    assert collected(name, 90).share > 0.99


def test_requests_that_fail_do_fail() -> None:
    """Where each is answered by 503 nothing is archived, and none is made more often for that."""
    tally = collected("uniform 3 to 7 min", 0, unavailable=1.0)
    assert (tally.captured, tally.bodies, tally.shortest_gap) == (0, 0, 60)


def test_requests_too_close_together_are_seen() -> None:
    """The shortest gap is that of a run that asks twice a minute, and each request that it made counts."""
    publications = Publications(RESERVE, LAGS["uniform 3 to 7 min"], 1, seed=11)
    collector = Collector(RESERVE, publications, 0, MOST_POLLS, 1, 0.0, outages=())
    collector.settings = collector.settings.model_copy(update={"poll_gap": 30.0})
    tally = collector.month()
    assert tally.shortest_gap == 30
    assert tally.requests == len(collector.asked) > 1000


@pytest.mark.parametrize(
    ("spoilt", "code"), [({}, 0), ({"captured": 900}, 1), ({"shortest_gap": 59.9}, 1)], ids=["well", "lost", "rude"]
)
def test_a_month_that_is_not_as_promised_ends_with_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    spoilt: dict[str, Any],
    code: int,
) -> None:
    """One phase of one feed in which an interval is lost, or a minute is not kept, makes ``make jitter`` fail."""
    bad = Month("snapshot", "a lag", (WELL, WELL._replace(**spoilt), WELL), (WELL,))
    monkeypatch.setattr(jitter, "months", lambda: iter([Month("reserve", "a lag", (WELL,), (WELL,)), bad]))
    monkeypatch.setattr(jitter, "RECORD", tmp_path / "record")
    assert jitter.main(["--record"]) == code
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith(f"jitter: feed={'snapshot' if 'captured' in spoilt else 'reserve'} ")
    # What is not as promised is not kept for the documentation.
    assert [path.read_text() for path in tmp_path.iterdir()] == [printed] * (code == 0)


def test_the_documentation_tells_of_every_feed() -> None:
    """The recorded table has each feed with each lag, and what is kept of each."""
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    for (feed, name), line in zip(product(FEEDS, LAGS), lines[3:-1], strict=True):
        assert line.startswith(f"{feed} ")
        assert name in line
        (share,) = (float(found) for found in re.findall(r"(\d+\.\d{3})%", line))
        assert share >= 99.9


def test_polling_ends_with_what_can_be_seen() -> None:
    """Where the lag is a minute, a run on the grid asks twice, not five times."""
    assert collected("1 min, tail to 12 min", 0).rate < 0.55
