"""A report's check in a process of its own: the library that reads legacy Excel ends the process on some damaged files.

A flipped bit can make it ask for 17 GB, or 687 GB, and then it aborts: no exception is raised. So bytes from elsewhere
are read here first, with bounded memory and time; only what passes is archived, and read wherever the archive is.
"""

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from typing import Final

import orjson

from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.reports.workbook import DAY_AHEAD, REAL_TIME, RefusedReportError, Report, covered, read_report

MOST_MEMORY: Final = 1024**3
"""Bytes of address space, not all of it used: a sheet of 60,000 rows passes, and takes 200 MB of memory."""

MOST_SECONDS: Final = 60
"""For the whole check; half a second is usual."""

_CODES: Final = {code.value: code for code in RefusalCode}
REPORTS: Final = {report.name: report for report in (REAL_TIME, DAY_AHEAD)}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a report that may be archived holds: its rows, and for how many intervals of its day it speaks."""

    rows: int
    covered: int


def check_report(report: Report, data: bytes, market_day: date) -> Checked | tuple[Finding, ...]:
    """Read a report in a process of its own; return what it holds, or the reasons for refusing it."""
    command = [sys.executable, "-P", "-m", "miso_archive.reports.check", report.name, market_day.isoformat()]
    try:
        done = subprocess.run(  # noqa: S603 - its own
            command,
            input=data,
            capture_output=True,
            # Threads take address space, by the number of processors.
            env={**os.environ, "POLARS_MAX_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            timeout=MOST_SECONDS,
            check=True,
        )
        answer = orjson.loads(done.stdout)
    except (subprocess.SubprocessError, orjson.JSONDecodeError) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        message = f"cannot be read within {MOST_SECONDS} s" if late else "ends the process that reads it: it is damaged"
        return (Finding(RefusalCode.NOT_A_WORKBOOK, "file", message),)
    if "reasons" in answer:
        return tuple(Finding(_CODES[found["code"]], found["where"], found["message"]) for found in answer["reasons"])
    return Checked(**answer)


def main(name: str, day: str) -> None:
    """Check the report on standard input; print what it holds, or the reasons against it, as JSON."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    report, market_day = REPORTS[name], date.fromisoformat(day)
    answer: dict[str, object]
    try:
        rows = read_report(report, sys.stdin.buffer.read(), market_day)
        answer = {"rows": len(rows), "covered": len(covered(report, rows, market_day))}
    except RefusedReportError as error:
        answer = {"reasons": [reason.as_dict() for reason in error.reasons]}
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
