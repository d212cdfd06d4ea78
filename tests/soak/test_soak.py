"""A soak in each tier; that its plan meets everything, and that both what struck and what came of it can be bad."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from miso_archive.feeds import FEEDS
from tests.soak.outcome import RECORD, OfFeed, Outcome
from tests.soak.plan import (
    ALL,
    AT_ONCE,
    BUCKET,
    CLOCK_STEPS,
    FOLDER,
    KILLED_BY_TIME,
    MOMENTS,
    MOST_POLLS,
    POINTS,
    REFUSED,
    RESERVE_ALONE,
    SERVICE_FAULTS,
    UNSERVED,
    Point,
    draw,
    of_feed,
)
from tests.soak.roll_call import plan, roll_call

if TYPE_CHECKING:
    from tests.soak.plan import Collector, Run

pytestmark = pytest.mark.slow("makes many runs")

SMALL = 40
"""Fewer runs than it takes to meet each kind of fault once: no more than that is done."""

OF_RESERVE = OfFeed(runs=5, bodies=4, struck={"503": 2}, quarantined=1)
GOOD = Outcome(
    runs=1,
    of_five_polls=0,
    of_several_feeds=0,
    of_all_feeds=0,
    struck={"s3-500": 2},
    feeds={"reserve": OF_RESERVE, "snapshot": OfFeed()},
    own_disk=True,
    seconds=1,
)

ARCHIVES = [pytest.param(BUCKET, id="bucket"), pytest.param(FOLDER, id="folder")]
OF_RUNS = {
    *(Point(call, moment).killing() for call in POINTS for moment in MOMENTS),
    *(fault for faults in SERVICE_FAULTS.values() for fault in faults),
    KILLED_BY_TIME,
    "clock wrong",
    "clock step",
    "eight runs at once",
}
OF_FEEDS = {of_feed(reply, feed) for reply in REFUSED + UNSERVED for feed in FEEDS}
KINDS = OF_RUNS | {f"feed {reply}" for reply in REFUSED + UNSERVED}


def test_every_kind_that_was_promised_is_there() -> None:
    """What the documentation counts is what a soak meets: no kind, and no call to be killed at, has been dropped."""
    recorded = Outcome.model_validate_json(RECORD.read_bytes())
    assert recorded.runs >= 1000
    assert {kind for kind, times in recorded.struck.items() if times} == OF_RUNS
    assert {of_feed(reply, name) for name, part in recorded.feeds.items() for reply in part.struck} == OF_FEEDS
    assert all(part.bodies for part in recorded.feeds.values())
    assert recorded.of_several_feeds
    assert recorded.of_all_feeds


@pytest.mark.services
def test_nothing_is_lost_among_faults() -> None:
    """On Ceph's S3, among faults, each kind of which strikes, nothing is lost, doubled or left unannounced."""
    assert soaked(runs=SMALL, faults=len(KINDS), quarantined=6) == KINDS


def test_a_soak_in_which_nothing_strikes_fails() -> None:
    """Where every fault is kept from striking a soak ends with 1, and names each kind; all else is well."""
    completed = run_soak("--runs", str(SMALL), "--undisturbed")
    assert completed.returncode == 1
    lines = completed.stdout.splitlines()
    assert [line for line in lines if line.startswith("wrong: ")] == [
        f"wrong: planned, and never struck: {', '.join(sorted(OF_RUNS | OF_FEEDS))}"
    ]
    assert re.fullmatch(r"soak: runs=\d+ faults=0 lost=0 doubled=0 unannounced=0 quarantined=0", lines[-1])


def soaked(*, runs: int, faults: int, quarantined: int, seed: int = 1) -> set[str]:
    """Soak, hold the last line to what it must say, and return the kinds of fault that struck."""
    completed = run_soak("--runs", str(runs), "--seed", str(seed))
    assert completed.returncode == 0, completed.stdout + completed.stderr
    lines = completed.stdout.splitlines()
    table, feeds, line = lines[: -2 - len(FEEDS)], lines[-2 - len(FEEDS) : -2], lines[-1]
    counts = re.fullmatch(r"soak: runs=(\d+) faults=(\d+) lost=0 doubled=0 unannounced=0 quarantined=(\d+)", line)
    assert counts is not None, line
    assert all(
        found >= least for found, least in zip(map(int, counts.groups()), (runs, faults, quarantined), strict=True)
    )
    assert sum(int(row[28:34]) for row in table) == int(counts[2])
    told = r"(\w+): runs=[1-9]\d* bodies=[1-9]\d* faults=[1-9]\d* lost=0 doubled=0 unannounced=0 quarantined=[1-9]\d*"
    assert [feed[1] for row in feeds if (feed := re.fullmatch(told, row))] == list(FEEDS)
    return {row[:28].strip() for row in table}


def run_soak(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "tests.soak", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)


@pytest.mark.parametrize("collectors", ARCHIVES)
def test_a_seed_is_a_plan(collectors: tuple[Collector, ...]) -> None:
    """The same seed draws the same plan, another seed another one."""
    assert plan(collectors, 100, seed=1) == plan(collectors, 100, seed=1)
    assert plan(collectors, 100, seed=1) != plan(collectors, 100, seed=2)


def test_each_kind_is_planned_however_short_the_soak() -> None:
    """What every plan begins with has each kind of fault, for one of the two archives at least."""
    steps = [step for archive in (BUCKET, FOLDER) for interval in roll_call(archive) for step in interval.steps]
    assert set().union(*(step.kinds() for step in steps)) == OF_RUNS | OF_FEEDS


@pytest.mark.parametrize("collectors", ARCHIVES)
def test_what_is_drawn_meets_everything(collectors: tuple[Collector, ...]) -> None:
    """In five hundred runs there is every fault, feed, step of the clock and collector; a tenth has five polls."""
    steps = [step for interval in draw(collectors, 500, seed=1) for step in interval.steps]
    runs = [run for step in steps for run in step.runs]
    assert len(runs) >= 500
    assert {reply for step in steps for reply in step.replies} == {*REFUSED, *UNSERVED}
    assert {fault.kind for step in steps for fault in step.services} == {*SERVICE_FAULTS[collectors]}
    assert {run.clock.seconds for run in runs if run.clock} == {*CLOCK_STEPS}
    assert {run.collector for run in runs} == {*collectors}
    assert {feed for step in steps if step.replies for feed in step.struck} == {*FEEDS}
    assert len(runs) / 2 < sum(run.feeds == RESERVE_ALONE for run in runs) < len(runs) * 0.8
    assert {run.feeds for run in runs if len(run.feeds) == 1} == {(feed,) for feed in FEEDS}
    assert {len(run.feeds) for run in runs} == {1, 2, 3, len(ALL)}
    assert {len(step.runs) for step in steps} == {1, AT_ONCE}
    assert any(run.own_interpreter for run in runs)
    assert sum(run.polls == MOST_POLLS for run in runs) >= len(runs) / 10


def test_a_thousand_runs_are_killed_everywhere() -> None:
    """By chance too, runs are killed before and after each of the calls they may be killed at."""
    intervals = [*draw(BUCKET, 500, seed=1), *draw(FOLDER, 500, seed=1)]
    points = [run.killed_at for interval in intervals for step in interval.steps for run in step.runs if run.killed_at]
    everywhere = {(call, moment) for call in POINTS for moment in MOMENTS}
    assert {(point.call, point.moment) for point in points} == everywhere


@pytest.mark.parametrize("collectors", ARCHIVES)
def test_what_is_served_is_served_to_a_healthy_run(collectors: tuple[Collector, ...]) -> None:
    """An interval and each of its revisions stays up until a healthy run has seen it, or one that lacks but S3."""
    intervals = plan(collectors, 500, seed=1)
    for interval in intervals:
        steps = interval.steps
        if interval.away:
            assert all(is_healthy(run) and run.polls == 1 for step in steps for run in step.runs)
            assert {kind for step in steps for kind in step.kinds()} == {"s3-away"}
            continue
        if interval.outage:
            assert not {reply for step in steps for reply in step.replies} & {*REFUSED}
            continue
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if following is None or following.revision != step.revision:
                assert step.closing
                assert not step.replies
                assert {*step.runs[0].feeds} >= {feed for other in steps for run in other.runs for feed in run.feeds}
    closing = [step for interval in intervals for step in interval.steps if step.closing]
    assert all(is_healthy(run) for step in closing for run in step.runs)
    assert {fault.kind for step in closing for fault in step.services} == {"kafka-down"}


def is_healthy(run: Run) -> bool:
    """Whether nothing befalls a run's own process."""
    return run.killed_at is None and run.killed_after is None and run.clock is None


def test_an_outcome_in_which_a_kind_missed_is_none() -> None:
    """A planned kind that never struck makes a good outcome a bad one, and is named."""
    bad = GOOD.model_copy(update={"missed": ["kafka-down", "s3-slow"]})
    assert not bad.is_good
    assert "wrong: planned, and never struck: kafka-down, s3-slow" in bad.as_text().splitlines()


@pytest.mark.parametrize("broken", ["lost", "doubled", "unannounced"])
def test_an_outcome_in_which_one_feed_comes_off_badly_is_a_bad_one(broken: str) -> None:
    """What one feed has lost, doubled or left unannounced is in its own line, and in the last one."""
    assert GOOD.is_good
    bad = GOOD.model_copy(update={"feeds": {**GOOD.feeds, "snapshot": OfFeed(**{broken: 3})}})
    assert not bad.is_good
    *_, of_reserve, of_snapshot, _, last = bad.as_text().splitlines()
    assert f"{broken}=3" in of_snapshot
    assert f"{broken}=3" in last
    assert of_reserve == "reserve: runs=5 bodies=4 faults=2 lost=0 doubled=0 unannounced=0 quarantined=1"


def test_the_kinds_of_all_feeds_are_counted_together() -> None:
    """A kind of fault has one count, whichever feed it befell; the last line has the sum of all."""
    both = GOOD.model_copy(update={"feeds": {"reserve": OF_RESERVE, "snapshot": OF_RESERVE}})
    assert both.kinds() == {"feed 503": 4, "s3-500": 2}
    assert both.line() == "soak: runs=1 faults=6 lost=0 doubled=0 unannounced=0 quarantined=2"
