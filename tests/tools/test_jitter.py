"""No interval skipped, on a virtual clock: what ``make jitter`` shows of a month, held for three days."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from miso_archive.intervals.polite import MOST_POLLS
from tests.tools import jitter
from tests.tools.jitter import LAGS, Collector, Publications, Tally


@pytest.fixture(autouse=True)
def _no_word_of_each_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "miso_archive")


def collected(name: str, phase: int, polls: int = MOST_POLLS, *, unavailable: float = 0.0) -> Tally:
    """Three days of one lag model, one of them with a collector that is down for two hours."""
    publications = Publications(LAGS[name], 3, seed=11)
    return Collector(publications, phase, polls, 3, unavailable, outages=((1.3, 2.0),)).month()


@pytest.mark.parametrize("phase", [0, 75, 160, 240, 299])
@pytest.mark.parametrize("name", LAGS)
def test_no_interval_is_skipped(name: str, phase: int) -> None:
    """Whatever the lag and the phase, all but those published as the collector went down are archived."""
    tally = collected(name, phase)
    assert tally.published > 820
    assert tally.published - tally.captured <= 2


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
    assert (tally.captured, tally.shortest_gap) == (0, 60)


def test_requests_too_close_together_are_seen() -> None:
    """The shortest gap is that of a run that asks twice a minute, and each request that it made counts."""
    collector = Collector(Publications(LAGS["uniform 3 to 7 min"], 1, seed=11), 0, MOST_POLLS, 1, 0.0, outages=())
    collector.settings = collector.settings.model_copy(update={"poll_gap": 30.0})
    tally = collector.month()
    assert tally.shortest_gap == 30
    assert tally.requests == len(collector.asked) > 1000


@pytest.mark.parametrize(
    ("spoilt", "code"), [({}, 0), ({"captured": 900}, 1), ({"shortest_gap": 59.9}, 1)], ids=["well", "lost", "rude"]
)
def test_a_month_that_is_not_as_promised_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spoilt: dict[str, Any], code: int
) -> None:
    """One phase in which an interval in a thousand is lost, or a minute is not kept, makes ``make jitter`` fail."""
    well = Tally(published=1000, captured=1000, requests=2000, minutes=5000.0, shortest_gap=60.0)
    tallies = [well, well._replace(**spoilt), well]
    monkeypatch.setattr(jitter, "compared", lambda *_: (("a lag", 0, tally, well) for tally in tallies))
    assert jitter.main() == code
    assert capsys.readouterr().out.splitlines()[-1].startswith("jitter: published=1000 captured=")


def test_polling_ends_with_what_can_be_seen() -> None:
    """Where the lag is a minute, a run on the grid asks twice, not five times."""
    assert collected("1 min, tail to 12 min", 0).rate < 0.55
