"""What a lane of the soak finds wrong with a run that has ended."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.soak.host import SoakHost
from tests.soak.lane import Lane
from tests.soak.plan import ALL, BRIEF, KILLED_BY_TIME, ClockStep, Interval, Point, Run, ServiceFault, Step
from tests.soak.soak import wrong_polls
from tests.soak.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.plan import Collector

pytestmark = pytest.mark.slow("waits for servers that fail")

WELL = b'{"failed": 0}'
FAILED = b'{"failed": 1}'
HEALTHY = Run("a")
PUT = Run("a", killed_at=Point("put", "after"))
LATER = Run("a", killed_after=0.1)
PATIENT = Run("a", polls=5)
BOTH = Step((Run("a", ALL[:2]),), ("html",), ALL[1:2], closing=True)
CLOSING = Step((HEALTHY,), closing=True)
BRIEFLY = Step((PATIENT,), services=(ServiceFault("s3-500", 0.0, BRIEF),))


def failed(*counts: int) -> bytes:
    """What a run of the first feeds prints, when so many polls of each failed."""
    feeds = {feed: {"failed": count} for feed, count in zip(ALL, counts, strict=False)}
    return json.dumps({"failed": sum(counts), "feeds": feeds}).encode()


class Ended:
    """A process that has ended, as a lane looks at it."""

    def __init__(self, task: Task, told: list[str], *, was_killed: bool) -> None:
        self.task, self.told, self.was_killed = task, told, was_killed


def noted(  # noqa: PLR0913 - all that a process may leave
    folder: Path,
    step: Step,
    code: int,
    *,
    printed: bytes = WELL,
    logged: bytes = b"",
    told: str = "",
    was_killed: bool = False,
) -> Lane:
    """A lane that has looked at the end of a step's only run."""
    output, log = folder / "0001-a.out", folder / "0001-a.log"
    output.write_bytes(printed)
    log.write_bytes(logged)
    task = Task(step.runs[0], "", {}, output, log, patient=True, disturbed=frozenset())
    lane = Lane(cast("Any", None), cast("Any", None), folder, own_disk=False, disturbing=True)
    lane.note(step, cast("Any", Ended(task, [told], was_killed=was_killed)), code)
    return lane


@pytest.mark.parametrize(
    ("step", "code", "printed", "logged", "problem"),
    [
        (CLOSING, 0, WELL, b"", None),
        (CLOSING, 1, FAILED, b"", "was healthy and printed"),
        (CLOSING, 0, b"", b"", "was healthy and printed"),
        (Step((HEALTHY,), replies=("html",), closing=True), 1, FAILED, b"", None),
        (Step((HEALTHY,), replies=("html",), closing=True), 0, WELL, b"", "was served a body to refuse"),
        (BOTH, 1, failed(0, 1), b"", None),
        (BOTH, 1, failed(1, 1), b"", "was served a body to refuse"),
        (BOTH, 1, failed(1, 0), b"", "was served a body to refuse"),
        (BOTH, 1, FAILED, b"", "was served a body to refuse"),
        (Step((HEALTHY,)), 1, FAILED, b"", None),
        (Step((HEALTHY,)), 2, b"", b"", "ended with 2"),
        (Step((HEALTHY,)), -signal.SIGSEGV, b"", b"", "ended with -11"),
        (Step((HEALTHY,)), -signal.SIGKILL, b"", b"", "ended with -9"),
        (Step((HEALTHY,)), 1, FAILED, b"Traceback (most recent call last):\n", "logged a traceback"),
        (BRIEFLY, 0, WELL, b"", None),
        (BRIEFLY, 1, FAILED, b"", "for a second and printed"),
    ],
)
def test_a_run_that_ended_as_it_may_not_is_told(  # noqa: PLR0913, PLR0917 - the parts of the whole
    tmp_path: Path, step: Step, code: int, printed: bytes, logged: bytes, problem: str | None
) -> None:
    """An exit code of no run's, a traceback, a healthy run that failed, retries that did not outlast a second."""
    problems = noted(tmp_path, step, code, printed=printed, logged=logged).problems
    assert [told for told in problems if problem is None or problem not in told] == []
    assert len(problems) == (problem is not None)


@pytest.mark.parametrize(("run", "kind"), [(PUT, "kill -9 after put"), (LATER, KILLED_BY_TIME)])
def test_a_kill_counts_where_it_struck(tmp_path: Path, run: Run, kind: str) -> None:
    """A process that died at its point, or was killed alive, has been struck; one that ended before it has not."""
    struck = noted(tmp_path, Step((run,)), -signal.SIGKILL, told=kind, was_killed=run is LATER)
    assert (struck.struck[kind], struck.problems) == (1, [])
    missed = noted(tmp_path, Step((run,)), 0)
    assert (missed.struck[kind], missed.problems) == (0, [])


def test_a_clock_counts_when_it_was_set(tmp_path: Path) -> None:
    """A run of which the clock was to step counts by its own word alone."""
    step = Step((Run("a", clock=ClockStep(30, Point("fetch", "before"))),))
    assert noted(tmp_path, step, 0).struck["clock step"] == 0
    assert noted(tmp_path, step, 0, told="clock step").struck["clock step"] == 1


@pytest.mark.parametrize(("asked", "right"), [([], True), ([2, 5], True), ([2, 6], False), ([1, 1], False)])
def test_how_often_runs_of_five_polls_ask_is_judged(asked: list[int], *, right: bool) -> None:
    """None asks more often than five times, and one asks again at least."""
    assert (wrong_polls(asked) == []) is right


class Onlooker:
    """A site that is told to disturb a server, and does not: something else has, or nothing has."""

    def __init__(self, folder: Path, seen: Counter[str]) -> None:
        self.told: list[str] = []
        self._folder = folder
        self._seen = seen

    def environment(self, collector: Collector, *, denied: bool) -> dict[str, str]:
        """Name folders for a run."""
        assert not denied
        return {"MISO_LOCAL": str(self._folder / collector), "MISO_SPOOL": str(self._folder / "spool")}

    def strike(self, fault: ServiceFault, _collector: Collector) -> None:
        """Do nothing."""
        self.told.append(fault.kind)

    def heal(self) -> None:
        """Do nothing."""

    def struck(self) -> Counter[str]:
        """Say what was seen since."""
        return Counter(self._seen) if self.told else Counter()


@pytest.mark.parametrize("seen", [{}, {"redis-reset": 2}, {"s3-500": 2}])
def test_a_fault_of_a_server_counts_as_seen_and_not_as_planned(tmp_path: Path, seen: dict[str, int]) -> None:
    """What a lane was to do to a server counts once the server's side has seen it, and nothing else does."""
    step = Step((Run("folder", own_interpreter=True),), services=(ServiceFault("s3-500", 0.0, 60.0),))
    site = Onlooker(tmp_path, Counter(seen))
    with SoakHost(seed=1) as host:
        lane = Lane(cast("Any", site), host, tmp_path, own_disk=False, disturbing=True)
        lane.carry_out([Interval(documented=False, outage=False, steps=(step,))], [])
    assert site.told == ["s3-500"]
    assert (lane.planned, lane.problems, lane.runs) == ({"s3-500"}, [], 1)
    assert dict(+lane.struck) == ({"s3-500": 1} if "s3-500" in seen else {})
