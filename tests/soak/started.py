"""One run's process, from its start to its end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

from tests.soak.task import HELD, Task, work

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

FORKING: Final = multiprocessing.get_context("forkserver")

_starting = threading.Lock()  # multiprocessing's list of its children is no business of two threads at once


class Started:
    """A run's process: forked from one that has loaded everything, or with an interpreter of its own.

    Attributes:
        task: what it was started with.
        told: the faults that have struck it, in its own words.
        was_killed: by `kill`, when it was alive.
        line: by which it tells; an interpreter of its own has none.
        ended: readable when it has.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.told: list[str] = []
        self.was_killed = False
        self._forked: ForkServerProcess | None = None
        self._own: subprocess.Popen[bytes] | None = None
        for path in (task.output, task.log):
            path.touch()  # a run may die before it has opened them
        self.line, theirs = FORKING.Pipe()
        if task.run.own_interpreter:
            command = [sys.executable, "-m", "miso_archive", *task.options()]
            with task.output.open("ab") as output, task.log.open("ab") as log:
                environment = {**os.environ, **task.environment}
                self._own = subprocess.Popen(command, stdout=output, stderr=log, env=environment)
            self._pid = self._own.pid
            self.ended = os.pidfd_open(self._pid)
        else:
            with _starting:
                self._forked = FORKING.Process(target=work, args=(replace(task, line=theirs),))
                self._forked.start()
            self._pid = self._forked.pid or 0
            self.ended = self._forked.sentinel
        theirs.close()  # so that the line ends with the process

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return not wait([self.ended], 0)

    def kill(self) -> None:
        """As by kill -9."""
        alive = self.is_alive()
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
            self.was_killed |= alive

    def listen(self) -> int | None:
        """Read what it says: the number of the fault that it waits for, if it does."""
        try:
            said = self.line.recv_bytes()
        except (EOFError, OSError):
            self.line.close()
            return None
        if said.startswith(HELD):
            return int(said.removeprefix(HELD))
        self.told.append(said.decode())
        return None

    def go_on(self) -> None:
        """Let it go on; it may have been killed meanwhile."""
        with suppress(OSError):
            self.line.send_bytes(b"")

    def exit_code(self) -> int:
        """The exit code, once it has ended; negative for a signal."""
        while not self.line.closed:
            self.listen()
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
