"""Measure the reader beside its references and rivals, on a simulated archive: ``python -m tests.bench.read``.

Prints one Markdown table, by default of a year. Each contestant (``tests.bench.read_contestants``) reads in a process
of its own, so that its peak memory is its own; its imports and a small reading come before its time runs. Contestants
take turns, and medians count; slow rivals take fewer turns. This reader reads beside that of ``tests.bench.earlier``,
each what it has compacted itself. Who reads the same must find the same rows and the same sum of prices, or the bench
fails. S3 is ``tests.bench.read_s3``, 20 ms away.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import select
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.bench.earlier import EARLIER, KEPT, NOW, Installed, earlier_installed
from tests.bench.read_table import (
    MONTH_DAYS,
    RECORD,
    STAGES,
    YEAR_DAYS,
    Entry,
    Result,
    as_record,
    documented,
    targets_are_met,
)
from tests.services.process import free_port, listening, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST: Final = 600.0  # seconds that a reading may take
ROUNDS: Final = 5
# In a process of its own: what this one weighs, Linux counts to each contestant that it starts.
WRITE: Final = """
import sys
from pathlib import Path
from miso_archive.simulate.archive import write_archive
base, days, month = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for name, length in (("year", days), ("month", month), ("warm-up", 1)):
    print(write_archive(base / name, days=length, seed=1))
"""
WRITE_SISTERS: Final = """
import sys
from pathlib import Path
import miso_archive as mr
from miso_archive.feeds import FEEDS
from miso_archive.simulate.archive import write_archive
base, days = Path(sys.argv[1]), int(sys.argv[2])
sisters = [feed for feed in FEEDS.values() if not feed.is_first]
for name, length in (("feeds", days), ("feeds-warm-up", 1)):
    write_archive(base / name, days=length, seed=1, feeds=sisters)
    compacted = base / f"{name}-compacted"
    compacted.mkdir()
    for part in ("sourcing", "provenance"):
        (compacted / part).symlink_to(base / name / part)
    for feed in sisters:
        for month in mr.months_to_compact(compacted, feed=feed):
            mr.compact_month(compacted, month, feed=feed)
"""
COMPACT: Final = """
import sys
from importlib import import_module
from pathlib import Path
base, mr, ending = Path(sys.argv[1]), import_module(sys.argv[2]), sys.argv[3]
for name in ("year", "warm-up"):
    compacted = base / f"{name}-{ending}"
    compacted.mkdir()
    for part in ("sourcing", "provenance"):
        (compacted / part).symlink_to(base / name / part)
    for month in mr.months_to_compact(compacted):
        mr.compact_month(compacted, month)
"""


class Contestant:
    """An entry's process, which reads when it is told to."""

    def __init__(self, entry: Entry, base: Path, installed: Installed) -> None:
        self.entry = entry
        _, compacted, whose = entry.archive.partition("-compacted")
        warm_up = f"{'feeds-' if entry.feed else ''}warm-up{compacted}{whose}"
        roots = [
            f"s3://{warm_up}" if entry.archive.startswith("s3://") else f"{base}/{warm_up}",
            entry.archive if entry.archive.startswith("s3://") else f"{base}/{entry.archive}",
        ]
        of_feed = (entry.feed, entry.table) if entry.feed else (installed.package,)
        module = "tests.bench.read_feeds" if entry.feed else "tests.bench.read_contestants"
        told = [entry.contestant, *of_feed, *roots, str(entry.days)]
        command = [str(installed.python), "-m", module, *told]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def wait(self) -> None:
        """Wait until it is ready to read."""
        self._answer()

    def read(self, result: Result, requests: RequestCount | None) -> None:
        """Let it read once more, and note what it took."""
        before = requests.so_far() if requests else 0
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        line = self._answer()
        if line is None:
            return
        answer = json.loads(line)
        result.seconds.append(answer["seconds"])
        result.peak = answer["peak"]
        result.read = (answer["rows"], answer["total"])
        if requests:
            result.requests.append(requests.so_far() - before)

    def end(self) -> None:
        """End the process, done or not."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> bytes | None:
        """Wait for a line; None when it takes too long."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], LONGEST)[0]:
            self.end()
            return None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.entry} died")
        return line


class RequestCount:
    """How many requests the S3 server has answered."""

    def __init__(self, port: int) -> None:
        self._port = port

    def so_far(self) -> int:
        """Ask the server."""
        connection = HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", "/-/requests")
        answer = connection.getresponse().read()
        connection.close()
        return int(answer)


def write(base: Path, days: int, before: Installed) -> None:
    """Write the archives that are not there yet: the raw ones, and what each side compacts of them."""
    if not (base / "year").exists():
        month = min(MONTH_DAYS, days)
        subprocess.run([sys.executable, "-c", WRITE, base, str(days), str(month)], check=True, stdout=2)
    for side, ending in ((NOW, "compacted"), (before, f"compacted-{EARLIER}")):
        if not (base / f"year-{ending}").exists():
            subprocess.run([side.python, "-c", COMPACT, base, side.package, ending], check=True, stdout=2)


def write_sisters(base: Path, days: int) -> None:
    """Write the archive of the sister feeds, raw and compacted, if it is not there yet."""
    if not (base / "feeds").exists():
        subprocess.run([sys.executable, "-c", WRITE_SISTERS, base, str(days)], check=True, stdout=2)


def measured(
    entries: Mapping[str, Entry], base: Path, rounds: int, before: Installed, requests: RequestCount | None = None
) -> dict[str, Result]:
    """Let the entries read in turn, round after round, every other turn backwards: no one is always the first."""
    results = {name: Result(entry.days) for name, entry in entries.items()}
    with ExitStack() as stack:
        contestants = {}
        for name, entry in entries.items():
            contestants[name] = Contestant(entry, base, before if entry.is_earlier else NOW)
            stack.callback(contestants[name].end)
        for contestant in contestants.values():
            contestant.wait()
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1} of {rounds}: {', '.join(entries)}\n")
            for archive in {entry.archive.partition("-")[0] for entry in entries.values()} & {"year", "feeds"}:
                warm_files(base / archive / "sourcing")
            turn = [(name, entry) for name, entry in entries.items() if number < entry.most_rounds]
            for repeat in range(max(entry.repeats for entry in entries.values())):
                for name, entry in turn[:: -1 if (number + repeat) % 2 else 1]:
                    if repeat < entry.repeats:
                        contestants[name].read(results[name], requests)
    return results


def warm_files(folder: Path) -> None:
    """Read all files once: no contestant pays for files that the system holds in memory no more."""
    for parent, _, names in os.walk(folder):
        for name in names:
            Path(parent, name).read_bytes()


def check_same(entries: Mapping[str, Entry], results: Mapping[str, Result]) -> None:
    """Fail unless all who read the same found the same."""
    found: dict[str, tuple[str, tuple[int, float]]] = {}
    for name, entry in entries.items():
        read = results[name].read
        if not entry.same or read is None:
            continue
        first, expected = found.setdefault(entry.same, (name, read))
        if read[0] != expected[0] or not math.isclose(read[1], expected[1], rel_tol=1e-9):
            raise RuntimeError(f"{entry.same}: {name} finds {read}, {first} finds {expected}")


@contextmanager
def s3_server(base: Path) -> Iterator[RequestCount]:
    """Serve the archives as buckets, and name the server to all that reads S3."""
    port = free_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, "-m", "tests.bench.read_s3", str(base), str(port)]
    with running(command, ready=lambda: listening(port), log=base / "s3.log", timeout=120):
        yield RequestCount(port)


def machine() -> str:
    """Name the machine, the versions that matter, and the date."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    packages = ", ".join(f"{name} {version(name)}" for name in ("polars", "pyarrow", "obstore", "duckdb", "pandas"))
    model = cpus[0].partition(": ")[2] if cpus else platform.machine()
    python = platform.python_version()
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{model}, {os.cpu_count()} cores, {load}; Python {python}, {packages}; {datetime.now(UTC):%F}"


def stages(given: str) -> list[str]:
    """Take the stages that are asked for."""
    asked = given.split(",")
    if unknown := set(asked) - set(STAGES):
        raise argparse.ArgumentTypeError(f"no stage is {', '.join(sorted(unknown))}: there are {', '.join(STAGES)}")
    return asked


def main() -> int:
    """Write the archive, measure, print the table; return 1 when a target is not met."""
    parser = argparse.ArgumentParser(description="Measure the reader beside its references and rivals.")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", str(ROUNDS))))
    parser.add_argument("--days", type=int, default=YEAR_DAYS, help="fewer, to try the bench itself")
    parser.add_argument("--only", type=stages, default=list(STAGES), help=",".join(STAGES))
    parser.add_argument("--folder", type=Path, help="where the archives are, or are to be written and kept")
    parser.add_argument(
        "--record", action="store_true", help="keep the figures for the documentation; then make readme"
    )
    given = parser.parse_args()
    with TemporaryDirectory(prefix="bench-read-") as temporary:
        base = given.folder or Path(temporary)
        before = earlier_installed(KEPT)
        write(base, given.days, before)
        if "feeds" in given.only:
            write_sisters(base, given.days)
        entries: dict[str, Entry] = {}
        results: dict[str, Result] = {}
        for stage in given.only:
            with ExitStack() as stack:
                requests = stack.enter_context(s3_server(base)) if stage == "s3" else None
                fitting = {
                    name: replace(entry, days=min(entry.days, given.days)) for name, entry in STAGES[stage].items()
                }
                entries |= fitting
                results |= measured(fitting, base, given.rounds, before, requests)
        check_same(entries, results)
        objects = sum(len(names) for _, _, names in os.walk(base / "year" / "sourcing"))
    told = f"{machine()}; {objects:,} objects in {given.days} days; medians of {given.rounds} rounds in turn."
    record = as_record(told, results)
    sys.stdout.write(documented(record))
    if given.record:
        RECORD.write_text(f"{record}\n", encoding="utf-8")
    return 0 if targets_are_met(results) else 1


if __name__ == "__main__":
    sys.exit(main())
