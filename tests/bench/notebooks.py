"""Measure the notebooks on a year of all feeds, compacted: ``python -m tests.bench.notebooks``.

Prints one Markdown table: the seconds from the start of a notebook's process to its end, those of its cells alone, and
the most memory that it took. Each is run several times, in turn, and medians count. It ends with 1 where a goal is
missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import nbformat
from nbclient import NotebookClient

from miso_archive.pages import NOTEBOOKS
from tests.tools.markdown import table
from tests.tools.notebooks import committed

RECORD: Final = Path(__file__).with_name("notebooks.md")
MOST_SECONDS: Final = 10.0
MOST_MEGABYTES: Final = 1000.0

_FORMAT: Final[Any] = nbformat
_PEAK: Final = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
# In a process of its own, as each notebook: what this one weighs must not count.
_WRITE: Final = """
import sys
from pathlib import Path
import miso_archive as mr
from miso_archive.feeds import FEEDS
from miso_archive.simulate.archive import write_archive
archive, feeds = Path(sys.argv[1]), tuple(FEEDS.values())
print(write_archive(archive, days=int(sys.argv[2]), seed=11, feeds=feeds))
for feed in feeds:
    for month in mr.months_to_compact(archive, feed=feed):
        mr.compact_month(archive, month, feed=feed)
"""


class Cost(NamedTuple):
    """What one run of a notebook took: seconds in all, seconds of its cells, and megabytes."""

    seconds: float
    in_cells: float
    megabytes: float

    @property
    def meets_the_goals(self) -> bool:
        """Whether it is within both. Jupyter starts the process when a notebook is opened: its cells count."""
        return self.in_cells <= MOST_SECONDS and self.megabytes <= MOST_MEGABYTES


def cost(name: str, archive: Path) -> Cost:
    """Run a notebook as Jupyter does, with interactive charts, and return what it took."""
    notebook = committed(name)
    notebook.cells.append(_FORMAT.v4.new_code_cell(_PEAK))
    in_cells: list[float] = []

    def begin(**_of_the_hook: object) -> None:
        in_cells.append(-time.perf_counter())

    def end(**_of_the_hook: object) -> None:
        in_cells.append(time.perf_counter())

    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", on_cell_execute=begin, on_cell_executed=end, record_timing=False
    )
    begun = time.perf_counter()
    client.execute(env={**os.environ, "MISO_ARCHIVE": str(archive), "MISO_CHARTS": "html"})
    seconds = time.perf_counter() - begun
    kilobytes = int(notebook.cells[-1].outputs[0].text)
    return Cost(seconds, sum(in_cells), kilobytes / 1024)


def of_rounds(costs: list[Cost]) -> Cost:
    """Return the medians of several runs."""
    return Cost(*(median(figures) for figures in zip(*costs, strict=True)))


def told(costs: dict[str, Cost], days: int, rounds: int) -> str:
    """Return the table, below a line that says what it was measured on."""
    machine = f"{os.cpu_count()} cores; Python {platform.python_version()}, polars {version('polars')}"
    goals = f"Goals: {MOST_SECONDS:.0f} s of its cells and {MOST_MEGABYTES:.0f} MB"
    measured = f"{datetime.now(UTC):%Y-%m-%d}; {days} days; medians of {rounds} rounds"
    head = f"{machine}, altair {version('altair')}; {measured}. {goals}."
    rows = [
        (
            f"`{name}`",
            f"{one.seconds:.1f}",
            f"{one.in_cells:.1f}",
            f"{one.megabytes:.0f}",
            "yes" if one.meets_the_goals else "no",
        )
        for name, one in costs.items()
    ]
    columns = ("Notebook", "Seconds, with the start of its process", "of its cells", "MB at most", "within the goals")
    return f"{head}\n\n{table(columns, rows)}"


def main() -> int:
    """Print the table, and write it down if asked; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--archive", type=Path, help="an archive that is there, in place of a simulated one")
    parser.add_argument("--record", action="store_true", help="write the table down for the documentation")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        archive = asked.archive or Path(folder, "archive")
        if asked.archive is None:
            subprocess.run([sys.executable, "-c", _WRITE, str(archive), str(asked.days)], check=True)
        runs: dict[str, list[Cost]] = {name: [] for name in NOTEBOOKS}
        for _ in range(asked.rounds):
            for name, costs in runs.items():
                costs.append(cost(name, archive))
    medians = {name: of_rounds(costs) for name, costs in runs.items()}
    printed = told(medians, asked.days, asked.rounds)
    sys.stdout.write(printed)
    if asked.record:
        RECORD.write_text(printed, encoding="utf-8")
    return 0 if all(one.meets_the_goals for one in medians.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
