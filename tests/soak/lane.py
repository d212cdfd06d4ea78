"""One archive's share of the soak: its plan, carried out step by step."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

from tests.soak.plan import AT_ONCE, Run, Step
from tests.soak.sites import SECRET, USER
from tests.soak.task import STEPPED, Task, work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from tests.soak.feed import SoakFeed
    from tests.soak.plan import Collector, Interval, ServiceFault
    from tests.soak.sites import Site

FORKING: Final = multiprocessing.get_context("forkserver")

_HUNG_SECONDS: Final = 120.0
_SHORT_TIMEOUT, _TIMEOUT = "0.5", "20"
_starting = threading.Lock()  # multiprocessing's list of its children is no business of two threads at once


class Started:
    """A run's process: forked from one that has loaded everything, or with an interpreter of its own."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._forked: ForkServerProcess | None = None
        self._own: subprocess.Popen[bytes] | None = None
        for path in (task.output, task.log):
            path.touch()  # a run may die before it has opened them
        if task.run.own_interpreter:
            command = [sys.executable, "-m", "miso_reserve", "collect", "--log-level", "DEBUG"]
            with task.output.open("ab") as output, task.log.open("ab") as log:
                environment = {**os.environ, **task.environment}
                self._own = subprocess.Popen(command, stdout=output, stderr=log, env=environment)
            self.pid = self._own.pid
            self.ended = os.pidfd_open(self.pid)
        else:
            with _starting:
                self._forked = FORKING.Process(target=work, args=(task,))
                self._forked.start()
            self.pid = self._forked.pid or 0
            self.ended = self._forked.sentinel

    def kill(self) -> None:
        """As by kill -9."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def exit_code(self) -> int:
        """The exit code of a process that has ended; negative for a signal."""
        if self._own is not None:
            os.close(self.ended)
            return self._own.wait()
        assert self._forked is not None
        with _starting:
            self._forked.join()
            code = self._forked.exitcode
            self._forked.close()
        assert code is not None
        return code


class Lane:
    """Carries out the plan of one archive.

    Attributes:
        runs: how many runs were made.
        faults: how often each kind of fault struck, the feed's aside.
        problems: what no run may do, and what a healthy one must.
    """

    def __init__(self, site: Site, feed: SoakFeed, logs: Path, *, own_disk: bool) -> None:
        self.runs = 0
        self.faults: Counter[str] = Counter()
        self.problems: list[str] = []
        self._site = site
        self._feed = feed
        self._logs = logs
        self._own_disk = own_disk
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Take no further step."""
        self._stopped.set()

    def carry_out(self, intervals: Sequence[Interval], collectors: Sequence[Collector]) -> None:
        """Take every step, then a healthy run of each collector, which announces what is left to be announced."""
        for number, interval in enumerate(intervals):
            for step in interval.steps:
                if self._stopped.is_set():
                    return
                self._feed.show(number, step.revision, step.replies, documented=interval.documented)
                self._take(step)
        last = intervals[-1]
        for collector in collectors:
            self._feed.show(len(intervals), 0, (), documented=last.documented)
            self._take(Step((Run(collector),), closing=True))

    def _take(self, step: Step) -> None:
        try:
            started = [Started(self._task(run, step)) for run in step.runs]
            self._wait(started, self._events(step, started))
        finally:
            self._site.heal()
        self.faults["eight runs at once"] += len(started) == AT_ONCE
        for process in started:
            self._note(step, process)

    def _task(self, run: Run, step: Step) -> Task:
        self.runs += 1
        kinds = {fault.kind: fault for fault in step.services}
        full = kinds.get("disk-full")
        environment = {
            **self._site.environment(run.collector, denied="kafka-denied" in kinds),
            "MISO_API_URL": self._feed.url(f"{USER}:{SECRET}"),
            "MISO_TIMEOUT": _SHORT_TIMEOUT if step.waits else _TIMEOUT,
        }
        name = f"{self.runs:04}-{run.collector}"
        return Task(
            run,
            environment,
            output=self._logs / f"{name}.out",
            log=self._logs / f"{name}.log",
            patient=step.closing and not step.services,
            largest_file=full.room * 100 if full is not None and not self._own_disk else None,
        )

    def _events(self, step: Step, started: list[Started]) -> list[tuple[float, Callable[[], None]]]:
        """What happens while the runs are under way: seconds from their start, and what."""
        events: list[tuple[float, Callable[[], None]]] = []
        collector = step.runs[0].collector
        for fault in step.services:
            if fault.kind == "kafka-denied":
                self.faults[fault.kind] += 1
                continue
            events += [
                (fault.after, lambda fault=fault: self._strike(fault, collector)),  # type: ignore[misc]
                (fault.after + fault.lasts, self._site.heal),
            ]
        for process in started:
            after = process.task.run.killed_after
            if after is not None:
                events.append((after, process.kill))
        return sorted(events, key=lambda event: event[0])

    def _strike(self, fault: ServiceFault, collector: Collector) -> None:
        self.faults[fault.kind] += 1
        self._site.strike(fault, collector)

    def _wait(self, started: list[Started], events: list[tuple[float, Callable[[], None]]]) -> None:
        """Let the events happen until every process has ended."""
        began = time.monotonic()
        under_way = {process.ended for process in started}
        for at, happen in (*events, (_HUNG_SECONDS, lambda: self._end_hung(started))):
            while under_way and (left := began + at - time.monotonic()) > 0:
                under_way.difference_update(wait(under_way, left))
            if not under_way:
                return
            happen()

    def _end_hung(self, started: list[Started]) -> None:
        for process in started:
            if not wait([process.ended], 0):
                self.problems.append(f"run {process.task.log.stem} did not end in {_HUNG_SECONDS:g} s")
                process.kill()

    def _note(self, step: Step, process: Started) -> None:
        """Count what struck the process itself, and see whether it ended as it may."""
        run, name, code = process.task.run, process.task.log.stem, process.exit_code()
        killed = code == -signal.SIGKILL
        if killed:
            self.faults["kill -9 by time" if run.killed_after is not None else "kill -9 at a step"] += 1
        logged = process.task.log.read_bytes()
        self.faults["clock step"] += STEPPED in logged
        if code not in {0, 1} and not (killed and (run.killed_at or run.killed_after is not None)):
            self.problems.append(f"run {name} ended with {code}")
        if b"Traceback" in logged:
            self.problems.append(f"run {name} logged a traceback")
        if step.closing and not step.services:
            self._note_closing(step, name, process.task.output.read_bytes())

    def _note_closing(self, step: Step, name: str, printed: bytes) -> None:
        result = json.loads(printed or b"{}")
        if step.replies:
            if result.get("failed") != 1:
                self.problems.append(f"run {name} was served a body to refuse and printed {printed!r}")
        elif result.get("failed") != 0:
            self.problems.append(f"run {name} was healthy and printed {printed!r}")
