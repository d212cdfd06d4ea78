"""Reports read in a process of their own: the library that reads legacy Excel ends the process on some damaged files.

A flipped bit can make it ask for 17 GB, or 687 GB, and then it aborts: no exception is raised. So bytes from elsewhere,
those of an archive too, are read here with bounded memory and time, one report after the other.
"""

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from threading import Timer
from typing import IO, Final, Self

import orjson
import polars as pl

from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds import FEEDS
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.reports.cells import RefusedReportError, refuse
from miso_archive.reports.read import covered, read_report

MOST_MEMORY: Final = 1024**3
"""Bytes of address space, not all of it used: a sheet of 60,000 rows passes, and takes 200 MB of memory."""

MOST_SECONDS: Final = 60
"""For one report; half a second is usual."""

_CODES: Final = {code.value: code for code in RefusalCode}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a report that may be archived holds: its rows, and the ends of the intervals that it speaks for."""

    rows: pl.DataFrame
    covered: pl.Series


class Apart:
    """A process that reads reports, begun with the first; another takes its place where one ended it.

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
        """Read a report as ``read_report`` does.

        Raises:
            RefusedReportError: It is no such report of that day, or the process that reads it ends.
        """
        request = {"feed": feed.name, "report": report.name, "day": market_day, "key": object_key, "size": len(data)}
        message = orjson.dumps(request) + b"\n" + data
        is_first, self._is_late = self._process is None, False
        answer = self._answer(message)
        if answer is None and not is_first and not self._is_late:
            answer = self._answer(message)  # what the reports before left behind may have ended it
        if answer is None:
            late = f"cannot be read within {MOST_SECONDS} s"
            what = late if self._is_late else "ends the process that reads it: it is damaged"
            refuse(RefusalCode.NOT_A_WORKBOOK, "file", what)
        return answer

    def check(self, feed: Feed, report: Report, data: bytes, market_day: date) -> Checked | tuple[Finding, ...]:
        """Read a report that is to be archived; return what it holds, or the reasons for refusing it."""
        try:
            rows = self.read(feed, report, data, market_day)
        except RefusedReportError as error:
            return error.reasons
        return Checked(rows, covered(report, rows, market_day))

    def _answer(self, message: bytes) -> pl.DataFrame | None:
        """Ask the process; None where it has ended instead of answering."""
        process = self._process = self._process or _begin()
        timer = Timer(MOST_SECONDS, self._kill)
        timer.start()
        try:
            return _asked(process, message)
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
        [sys.executable, "-P", "-m", "miso_archive.reports.apart"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Threads take address space, by the number of processors.
        env={**os.environ, "POLARS_MAX_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
    )


def _asked(process: subprocess.Popen[bytes], message: bytes) -> pl.DataFrame:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(message)
    process.stdin.flush()
    answer, frame = _taken(process.stdout)
    if "reasons" in answer:
        raise RefusedReportError(
            tuple(Finding(_CODES[found["code"]], found["where"], found["message"]) for found in answer["reasons"])
        )
    return pl.read_ipc_stream(frame)


def _taken(stream: IO[bytes]) -> tuple[dict, bytes]:  # type: ignore[type-arg] # as JSON has it
    """Take a line of JSON from a stream, and as many bytes after it as it says.

    Raises:
        EOFError: The stream ends before that.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    said = orjson.loads(line)
    data = stream.read(said["size"])
    if len(data) < said["size"]:
        raise EOFError
    return said, data


def main() -> None:
    """Read the reports that come on standard input until it ends; answer each on standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    while True:
        try:
            asked, data = _taken(sys.stdin.buffer)
        except EOFError:
            return
        feed = FEEDS[asked["feed"]]
        [report] = [each for each in feed.reports if each.name == asked["report"]]
        frame = BytesIO()
        answer: dict[str, object] = {}
        try:
            rows = read_report(feed, report, data, date.fromisoformat(asked["day"]), asked["key"])
            rows.write_ipc_stream(frame)
        except RefusedReportError as error:
            answer["reasons"] = [reason.as_dict() for reason in error.reasons]
        answer["size"] = len(frame.getvalue())
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n" + frame.getvalue())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
