"""Both archives among faults at once, and what is told of it."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from typing import TYPE_CHECKING

from miso_archive.feeds import FEEDS
from tests.soak.host import SoakHost
from tests.soak.lane import Lane
from tests.soak.outcome import OfFeed, Outcome
from tests.soak.plan import ALL, BUCKET, FOLDER, MOST_POLLS, of_feed
from tests.soak.roll_call import plan
from tests.soak.sites import SECRET, BucketSite, FolderSite, small_disk
from tests.soak.verdict import judge, left_over, told

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
        hosts = [stack.enter_context(SoakHost(seed)) for _ in (BUCKET, FOLDER)]
        bucket = stack.enter_context(BucketSite("bucket", work / "spool"))
        folder = stack.enter_context(FolderSite("folder", work / "folders-spool", disk, own_disk=own_disk))
        lanes = [
            Lane(site, host, logs, own_disk=own_disk, disturbing=disturbing)
            for site, host in zip((bucket, folder), hosts, strict=True)
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
        problems = [f"process {process} is left" for process in folder.processes()]
        of_feeds = dict.fromkeys(FEEDS, OfFeed())
        for site, host, lane in zip((bucket, folder), hosts, lanes, strict=True):
            for name, part in _judged(site, host, lane, problems).items():
                of_feeds[name] += part
    problems += wrong_polls(
        [
            host.ledgers[feed].asked[run]
            for host, lane in zip(hosts, lanes, strict=True)
            for run in lane.of_five_polls
            for feed in lane.feeds[run]
        ]
    )
    problems += [
        f"a password stands in the log {name}"
        for name in told(SECRET, {path.name: path.read_bytes() for path in logs.iterdir()})
    ]
    struck = sum((lane.struck for lane in lanes), Counter[str]())
    seen = {*struck, *(of_feed(reply, name) for name, part in of_feeds.items() for reply in part.struck)}
    feeds_of_runs = [feeds for lane in lanes for feeds in lane.feeds.values()]
    outcome = Outcome(
        runs=len(feeds_of_runs),
        of_five_polls=sum(len(lane.of_five_polls) for lane in lanes),
        of_several_feeds=sum(1 < len(feeds) < len(ALL) for feeds in feeds_of_runs),
        of_all_feeds=sum(feeds == ALL for feeds in feeds_of_runs),
        struck=dict(sorted(struck.items())),
        missed=sorted(set().union(*(lane.planned for lane in lanes)) - seen),
        feeds=of_feeds,
        own_disk=own_disk,
        seconds=round(time.monotonic() - began),
        problems=problems,
    )
    sys.stdout.write(outcome.as_text())
    return outcome


def _judged(site: Site, host: SoakHost, lane: Lane, problems: list[str]) -> dict[str, OfFeed]:
    """Tell what each feed has met and left in one archive, and add to the problems what else is wrong there."""
    bodies = sum(len(ledger.good) for ledger in host.ledgers.values())
    found, messages = site.found(), site.messages(expected=bodies)
    problems += lane.problems
    problems += left_over(found, messages)
    problems += [f"{name} is left in the spool" for name in site.spooled()]
    places = {**found.objects, "topic": b"\n".join(messages), "metadata": str(found.provenance).encode()}
    problems += [f"a password stands in {place}" for place in told(SECRET, places)]
    parts = {}
    for name, ledger in host.ledgers.items():
        verdict = judge(FEEDS[name], ledger, lane.clocks, found, messages)
        problems += verdict.problems
        problems += [f"run {run} asked for {name}" for run in sorted(ledger.asked) if name not in lane.feeds[run]]
        parts[name] = OfFeed(
            runs=len(ledger.asked),
            bodies=len(ledger.good),
            struck=dict(sorted(ledger.struck.items())),
            lost=verdict.lost,
            doubled=verdict.doubled,
            unannounced=verdict.unannounced,
            quarantined=verdict.quarantined,
            announced_again=verdict.announced_again,
        )
    return parts


def wrong_polls(asked: list[int]) -> list[str]:
    """Say what is wrong with how often the runs of five polls have asked: one that is slow misses some of its times."""
    too_often = [f"a run of five polls asked {times} times" for times in asked if times > MOST_POLLS]
    return too_often if not asked or max(asked) > 1 else ["no run of five polls asked twice"]
