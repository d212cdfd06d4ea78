"""Workbooks read in a process of their own: the library that reads legacy Excel ends the process on some damaged ones.

A flipped bit can make it ask for 17 GB, or 687 GB, and then it aborts: no exception is raised. So bytes from elsewhere,
those of an archive too, are read there with bounded memory and time, one workbook after the other.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from threading import Timer
from typing import Final, Self

import polars as pl

from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.reports.cells import RefusedReportError, refuse, refuse_no_sheet
from miso_archive.reports.read import covered, read_report
from miso_archive.reports.sheet import FOUND

MOST_SECONDS: Final = 60
"""For one workbook; a tenth of a second is usual."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a report that may be archived holds: its rows, and the ends of the intervals that it speaks for."""

    rows: pl.DataFrame
    covered: pl.Series


class Apart:
    """A process that reads workbooks, begun with the first; another takes its place where one ended it.

    A context manager: the process ends with it.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_late = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, feed: Feed, report: Report, data: bytes, market_day: date, object_key: str = "") -> pl.DataFrame:
        """Read a report as ``read_report`` does; what would end the process is refused.

        Raises:
            RefusedReportError: It is no such report of that day.
        """
        return read_report(feed, report, data, market_day, object_key, sheet=self._sheet)

    def check(self, feed: Feed, report: Report, data: bytes, market_day: date) -> Checked | tuple[Finding, ...]:
        """Read a report that is to be archived; return what it holds, or the reasons for refusing it."""
        try:
            rows = self.read(feed, report, data, market_day)
        except RefusedReportError as error:
            return error.reasons
        return Checked(rows, covered(report, rows, market_day))

    def _sheet(self, data: bytes) -> pl.DataFrame:
        is_first, self._is_late = self._process is None, False
        answer = self._answer(data)
        if answer is None and not is_first and not self._is_late:
            answer = self._answer(data)  # what the workbooks before left behind may have ended it
        if answer is None:
            late = f"cannot be read within {MOST_SECONDS} s"
            what = late if self._is_late else "ends the process that reads it: it is damaged"
            refuse(RefusalCode.NOT_A_WORKBOOK, "file", what)
        word, said = answer
        if word != FOUND:
            refuse_no_sheet(said.decode())
        return pl.read_ipc_stream(said)

    def _answer(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Ask the process; None where it has ended instead of answering."""
        process = self._process = self._process or _begin()
        timer = Timer(MOST_SECONDS, self._kill)
        timer.start()
        try:
            return _asked(process, data)
        except (OSError, EOFError):
            self._end()
            return None
        finally:
            timer.cancel()

    def _kill(self) -> None:
        self._is_late = True
        if self._process is not None:
            self._process.kill()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _begin() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "miso_archive.reports.sheet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Arenas take address space, by the number of processors.
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )


def _asked(process: subprocess.Popen[bytes], data: bytes) -> tuple[bytes, bytes]:
    """Send a workbook to a process, and take its answer.

    Raises:
        EOFError: It has ended.
        OSError: Likewise.
    """
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(b"%d\n%s" % (len(data), data))
    process.stdin.flush()
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    word, size = line.split()
    answer = process.stdout.read(int(size))
    if len(answer) < int(size):
        raise EOFError
    return word, answer
