"""One archive's share of the soak: its plan, carried out step by step."""

from __future__ import annotations

import heapq
import json
import signal
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import count
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

from tests.soak.plan import ALL, AT_ONCE, KILLED_BY_TIME, Run, Step
from tests.soak.sites import SECRET
from tests.soak.started import Started
from tests.soak.task import DISK_FULL, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.soak.host import SoakHost
    from tests.soak.plan import Collector, Feeds, Interval, ServiceFault
    from tests.soak.sites import Site

_HUNG_SECONDS: Final = 120.0
_SHORT_TIMEOUT, _TIMEOUT = "0.5", "20"


class Lane:
    """Carries out the plan of one archive.

    Args:
        site: the archive, and what befalls it.
        host: what the runs ask.
        logs: a folder for what they log and print.
        own_disk: the site's folder is a disk that can be filled.
        disturbing: False lets no fault strike, and all else go as planned.

    Attributes:
        runs: how many runs were made.
        feeds: which feeds each of them was to ask.
        of_five_polls: which of them had five polls, with the retries and time-outs that ship.
        clocks: by how many seconds a run's clock was wrong, at least at its end.
        planned: the kinds of fault that were to strike.
        struck: how often each kind did, the feeds' aside; what befalls a server counts once for all runs at once.
        problems: what no run may do, and what a healthy one must.
    """

    def __init__(self, site: Site, host: SoakHost, logs: Path, *, own_disk: bool, disturbing: bool) -> None:
        self.runs = 0
        self.feeds: dict[int, Feeds] = {}
        self.of_five_polls: list[int] = []
        self.clocks: dict[int, int] = {}
        self.planned: set[str] = set()
        self.struck: Counter[str] = Counter()
        self.problems: list[str] = []
        self._site = site
        self._host = host
        self._logs = logs
        self._own_disk = own_disk
        self._disturbing = disturbing
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Take no further step."""
        self._stopped.set()

    def carry_out(self, intervals: Sequence[Interval], collectors: Sequence[Collector]) -> None:
        """Take every step, then a healthy run of each collector: of all feeds it announces what is left to be."""
        for number, interval in enumerate(intervals):
            for step in interval.steps:
                if self._stopped.is_set():
                    return
                self.planned |= step.kinds()
                taken = step if self._disturbing else _undisturbed(step)
                self._show(number, taken, interval)
                self._take(taken)
        seen = tuple(feed for feed in ALL if any(feed in feeds for feeds in self.feeds.values()))
        for collector in collectors:
            last = Step((Run(collector, seen),), closing=True)
            self._show(len(intervals), last, intervals[-1])
            self._take(last)

    def _show(self, number: int, step: Step, interval: Interval) -> None:
        self._host.show(number, step.revision, step.replies, step.struck, documented=interval.documented)

    def _take(self, step: Step) -> None:
        before = self._site.struck()
        try:
            started = [Started(self._task(run, step, leads=not number)) for number, run in enumerate(step.runs)]
            at_once = sum(process.is_alive() for process in started)
            self._wait(started, step)
        finally:
            self._site.heal()
        codes = [process.exit_code() for process in started]
        told = {said for process in started for said in process.told}
        self.struck.update(((self._site.struck() - before).keys() | (told & {DISK_FULL})) & step.kinds())
        self.struck["eight runs at once"] += at_once == AT_ONCE
        for process, code in zip(started, codes, strict=True):
            self.note(step, process, code)

    def _task(self, run: Run, step: Step, *, leads: bool) -> Task:
        self.runs += 1
        self.feeds[self.runs] = run.feeds
        if run.polls > 1:
            self.of_five_polls.append(self.runs)
        if run.clock is not None:
            self.clocks[self.runs] = run.clock.seconds
        kinds = {fault.kind: fault for fault in step.services}
        full = kinds.get(DISK_FULL)
        environment = self._site.environment(run.collector, denied="kafka-denied" in kinds)
        if run.polls == 1:
            environment["MISO_TIMEOUT"] = _SHORT_TIMEOUT if step.waits else _TIMEOUT
        name = f"{self.runs:04}-{run.collector}"
        return Task(
            run,
            self._host.base(self.runs, SECRET),
            environment,
            output=self._logs / f"{name}.out",
            log=self._logs / f"{name}.log",
            patient=run.polls > 1 or (step.closing and not step.services),
            disturbed=frozenset(kind.partition("-")[0] for kind in kinds),
            holds=tuple((n, fault.at) for n, fault in enumerate(step.services) if fault.at is not None and leads),
            largest_file=full.room * 100 if full is not None and not self._own_disk else None,
        )

    def _wait(self, started: list[Started], step: Step) -> None:
        """Let what is planned happen until every process has ended."""
        agenda = _Agenda()
        collector = step.runs[0].collector
        for fault in step.services:
            if fault.at is None:
                self._plan(agenda, fault.after, fault, collector)
        for process in started:
            if process.task.run.killed_after is not None:
                agenda.add(process.task.run.killed_after, process.kill)
        agenda.add(_HUNG_SECONDS, lambda: self._end_hung(started))
        under_way = {process.ended for process in started}
        lines: dict[object, Started] = {process.line: process for process in started}
        while under_way:
            listening = [process.line for process in lines.values()]
            for ready in wait([*under_way, *listening], agenda.proceed()):
                if isinstance(ready, int):
                    under_way.remove(ready)
                    continue
                process = lines[ready]
                number = process.listen()
                if process.line.closed:
                    del lines[ready]
                if number is not None:
                    fault = step.services[number]
                    self._plan(agenda, agenda.passed(), fault, collector)
                    agenda.proceed()
                    process.go_on()

    def _plan(self, agenda: _Agenda, after: float, fault: ServiceFault, collector: Collector) -> None:
        if fault.kind != "kafka-denied":  # that is in the run's own settings
            agenda.add(after, lambda: self._site.strike(fault, collector))
            agenda.add(after + fault.lasts, self._site.heal)

    def _end_hung(self, started: list[Started]) -> None:
        for process in started:
            if process.is_alive():
                self.problems.append(f"run {process.task.log.stem} did not end in {_HUNG_SECONDS:g} s")
                process.kill()

    def note(self, step: Step, process: Started, code: int) -> None:
        """Count what struck the process itself, and see whether it ended as it may."""
        run, name = process.task.run, process.task.log.stem
        killed = code == -signal.SIGKILL
        died_there = killed and run.killed_at is not None and run.killed_at.killing() in process.told
        died_then = killed and run.killed_after is not None and process.was_killed
        if run.killed_at is not None:
            self.struck[run.killed_at.killing()] += died_there
        self.struck[KILLED_BY_TIME] += died_then
        if run.clock is not None:
            self.struck[run.clock.kind()] += run.clock.kind() in process.told
        if code not in {0, 1} and not (died_there or died_then):
            self.problems.append(f"run {name} ended with {code}")
        logged = process.task.log.read_bytes()
        if b"Traceback" in logged:
            self.problems.append(f"run {name} logged a traceback")
        if code < 0:
            return
        printed = process.task.output.read_bytes()
        failed = _failed(run, printed)
        due = {feed: len(step.replies) if feed in step.struck else 0 for feed in run.feeds}
        if step.closing and not step.services and failed != due:
            met = "was served a body to refuse" if step.replies else "was healthy"
            self.problems.append(f"run {name} {met} and printed {printed!r}")
        # A wrong clock is refused by some S3 for good.
        if step.passes and run.polls > 1 and run.clock is None and failed != dict.fromkeys(run.feeds, 0):
            self.problems.append(f"run {name} met {sorted(step.kinds())} for a second and printed {printed!r}")


class _Agenda:
    """What is to happen, at so many seconds from now on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._order = count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []

    def passed(self) -> float:
        """How many seconds have passed."""
        return time.monotonic() - self._began

    def add(self, after: float, happen: Callable[[], None]) -> None:
        """Plan something."""
        heapq.heappush(self._planned, (after, next(self._order), happen))

    def proceed(self) -> float | None:
        """Let happen what is due; return the seconds until more is."""
        while self._planned and self._planned[0][0] <= self.passed():
            heapq.heappop(self._planned)[2]()
        return max(self._planned[0][0] - self.passed(), 0.0) if self._planned else None


def _failed(run: Run, printed: bytes) -> dict[str, int]:
    """How many of its polls failed, by feed, as a run has printed it."""
    result = json.loads(printed or b"{}")
    results = result.get("feeds", {}) if len(run.feeds) > 1 else {run.feeds[0]: result}
    return {feed: one["failed"] for feed, one in results.items() if "failed" in one}


def _undisturbed(step: Step) -> Step:
    """Take every fault out of a step, others at the same time among them."""
    first = step.runs[0]
    return replace(step, replies=(), services=(), runs=(Run(first.collector, first.feeds, first.polls),))
