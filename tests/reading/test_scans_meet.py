"""Several scans in one query: polars runs them in few threads, and each must not wait for the others'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from miso_archive.reading.scan import scan_constraints, scan_snapshots
from miso_archive.simulate.archive import write_archive

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = """
import json, sys
import polars as pl
import miso_archive as mr

constraints, snapshots = mr.scan_constraints(sys.argv[1]), mr.scan_snapshots(sys.argv[1])
rows = []
for engine in ("in-memory", "streaming"):
    rows += [
        constraints.join(snapshots, on="interval_end").collect(engine=engine).height,
        pl.concat([constraints] * 9).collect(engine=engine).height,
        [frame.height for frame in pl.collect_all([constraints, snapshots] * 5, engine=engine)],
    ]
print(json.dumps(rows))
"""


def test_scans_that_meet_in_a_query_end(tmp_path: Path) -> None:
    """Joined, concatenated and collected together, scans end and give their rows, with a single thread of polars too.

    In a process of its own, with a deadline: two that wait for each other would never end.
    """
    write_archive(tmp_path, days=2, seed=1)
    constraints, snapshots = (scan(tmp_path).collect().height for scan in (scan_constraints, scan_snapshots))
    child = subprocess.run(
        [sys.executable, "-c", QUERIES, str(tmp_path)],
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert constraints > 0
    expected = [constraints, 9 * constraints, [constraints, snapshots] * 5]
    assert json.loads(child.stdout) == [*expected, *expected]
