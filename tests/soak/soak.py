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
from tests.soak.outcome import Outcome
from tests.soak.plan import BUCKET, FOLDER, MOST_POLLS
from tests.soak.roll_call import plan
from tests.soak.sites import SECRET, BucketSite, FolderSite, small_disk
from tests.soak.verdict import Verdict, judge, told

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.sites import Site


def soak(work: Path, runs: int, seed: int, *, mounts: bool, disturbing: bool) -> Outcome:
    """Soak both archives, print what struck and how it ended.

    Args:
        work: an empty folder.
        runs: how many runs at least.
        seed: names the plan.
        mounts: a disk may be mounted in the folder.
        disturbing: False lets no fault strike.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    began = time.monotonic()
    disk, logs = work / "disk", work / "logs"
    disk.mkdir()
    logs.mkdir()
    with ExitStack() as stack:
        own_disk = stack.enter_context(small_disk(disk, permitted=mounts))
        feeds = [stack.enter_context(SoakFeed(seed)) for _ in (BUCKET, FOLDER)]
        bucket = stack.enter_context(BucketSite("bucket", work / "spool"))
        folder = stack.enter_context(FolderSite("folder", work / "folders-spool", disk, own_disk=own_disk))
        lanes = [
            Lane(site, feed, logs, own_disk=own_disk, disturbing=disturbing)
            for site, feed in zip((bucket, folder), feeds, strict=True)
        ]
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
        verdicts = [_verdict(*parts) for parts in zip((bucket, folder), feeds, lanes, strict=True)]
        left = [f"process {process} is left" for process in folder.processes()]
    secrets = told(SECRET, {path.name: path.read_bytes() for path in logs.iterdir()})
    problems = [*left, *(f"a password stands in the log {name}" for name in secrets)]
    struck = sum((*(lane.struck for lane in lanes), *(feed.ledger.struck for feed in feeds)), Counter[str]())
    outcome = Outcome(
        runs=sum(lane.runs for lane in lanes),
        of_five_polls=sum(len(lane.of_five_polls) for lane in lanes),
        struck=dict(sorted(struck.items())),
        missed=sorted(set().union(*(lane.planned for lane in lanes)) - struck.keys()),
        lost=sum(verdict.lost for verdict in verdicts),
        doubled=sum(verdict.doubled for verdict in verdicts),
        unannounced=sum(verdict.unannounced for verdict in verdicts),
        quarantined=sum(verdict.quarantined for verdict in verdicts),
        announced_again=sum(verdict.announced_again for verdict in verdicts),
        own_disk=own_disk,
        seconds=round(time.monotonic() - began),
        problems=[*problems, *(problem for verdict in verdicts for problem in verdict.problems)],
    )
    sys.stdout.write(outcome.as_text())
    return outcome


def _verdict(site: Site, feed: SoakFeed, lane: Lane) -> Verdict:
    found, messages = site.found(), site.messages(expected=len(feed.ledger.good))
    verdict = judge(feed.ledger, lane.clocks, found, messages)
    places = {**found.objects, "topic": b"\n".join(messages), "metadata": str(found.provenance).encode()}
    verdict.problems += [f"{name} is left in the spool" for name in site.spooled()]
    verdict.problems += lane.problems
    verdict.problems += [f"a password stands in {place}" for place in told(SECRET, places)]
    verdict.problems += wrong_polls([feed.ledger.asked[run] for run in lane.of_five_polls])
    return verdict


def wrong_polls(asked: list[int]) -> list[str]:
    """Say what is wrong with how often the runs of five polls have asked: one that is slow misses some of its times."""
    too_often = [f"a run of five polls asked {times} times" for times in asked if times > MOST_POLLS]
    return too_often if not asked or max(asked) > 1 else ["no run of five polls asked twice"]
