"""Both archives among faults at once, and what is told of it."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.soak.feed import SoakFeed
from tests.soak.lane import Lane
from tests.soak.plan import BUCKET, FOLDER, plan
from tests.soak.sites import SECRET, BucketSite, FolderSite, small_disk
from tests.soak.verdict import Verdict, judge, told

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.sites import Site


def soak(work: Path, runs: int, seed: int, *, mounts: bool) -> int:
    """Soak both archives, print what struck and how it ended; 1 when a promise is broken.

    Args:
        work: an empty folder.
        runs: how many runs at least.
        seed: names the plan.
        mounts: a disk may be mounted in the folder.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    began = time.monotonic()
    disk, logs = work / "disk", work / "logs"
    disk.mkdir()
    logs.mkdir()
    with ExitStack() as stack:
        own_disk = stack.enter_context(small_disk(disk, permitted=mounts))
        feeds = [stack.enter_context(SoakFeed(seed)) for _ in (BUCKET, FOLDER)]
        bucket = stack.enter_context(BucketSite("bucket"))
        folder = stack.enter_context(FolderSite("folder", disk, own_disk=own_disk))
        lanes = [Lane(site, feed, logs, own_disk=own_disk) for site, feed in zip((bucket, folder), feeds, strict=True)]
        with ThreadPoolExecutor() as pool:
            ends = [
                pool.submit(lane.carry_out, plan(collectors, share, seed), collectors)
                for lane, collectors, share in zip(lanes, (BUCKET, FOLDER), (runs // 2, runs - runs // 2), strict=True)
            ]
            try:
                for end in as_completed(ends):
                    end.result()
            finally:
                for lane in lanes:
                    lane.stop()
        verdicts = [
            _verdict(site, feed, lane.problems) for site, feed, lane in zip((bucket, folder), feeds, lanes, strict=True)
        ]
        left = [f"process {process} is left" for process in folder.processes()]
    secrets = told(SECRET, {path.name: path.read_bytes() for path in logs.iterdir()})
    problems = [*left, *(f"a password stands in the log {name}" for name in secrets)]
    faults = sum((*(lane.faults for lane in lanes), *(feed.ledger.faults for feed in feeds)), Counter[str]())
    _print_table(faults, verdicts, own_disk=own_disk, seconds=time.monotonic() - began)
    return _conclude(sum(lane.runs for lane in lanes), faults.total(), verdicts, problems)


def _verdict(site: Site, feed: SoakFeed, problems: list[str]) -> Verdict:
    found, messages = site.found(), site.messages(expected=len(feed.ledger.good))
    verdict = judge(feed.ledger, found, messages)
    places = {**found.objects, "topic": b"\n".join(messages), "metadata": "\n".join(found.beside).encode()}
    verdict.problems += problems
    verdict.problems += [f"a password stands in {place}" for place in told(SECRET, places)]
    return verdict


def _print_table(faults: Counter[str], verdicts: list[Verdict], *, own_disk: bool, seconds: float) -> None:
    for kind, count in sorted(faults.items()):
        note = "" if kind != "disk-full" else "  (a small disk)" if own_disk else "  (files that may not grow)"
        sys.stdout.write(f"{kind:22} {count:5}{note}\n")
    again = sum(verdict.announced_again for verdict in verdicts)
    sys.stdout.write(f"announced more than once: {again}; {seconds:.0f} s\n")


def _conclude(runs: int, faults: int, verdicts: list[Verdict], problems: list[str]) -> int:
    problems = [*problems, *(problem for verdict in verdicts for problem in verdict.problems)]
    for problem in problems:
        sys.stdout.write(f"wrong: {problem}\n")
    lost, doubled, unannounced, quarantined = (
        sum(getattr(verdict, name) for verdict in verdicts)
        for name in ("lost", "doubled", "unannounced", "quarantined")
    )
    counts = f"lost={lost} doubled={doubled} unannounced={unannounced} quarantined={quarantined}"
    sys.stdout.write(f"soak: runs={runs} faults={faults} {counts}\n")
    return int(bool(lost or doubled or unannounced or problems))
