"""One run of the command line in a process of its own, which dies or whose clock steps where the plan says so."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
import time_machine

# What the command line imports late is imported here: this module is loaded once, and every run forked from it.
import miso_archive.collecting.plain  # noqa: F401 - as said
from miso_archive.cli import app as cli_app
from miso_archive.collecting import embedded_valkey, plain
from miso_archive.collecting import fetch as fetching
from miso_archive.collecting import parts as parts_of_a_run
from miso_archive.collecting import registry as registering
from miso_archive.collecting.announce import Announcer
from miso_archive.collecting.outbox import Outbox
from miso_archive.collecting.parts import Parts
from miso_archive.collecting.registry import Registry
from miso_archive.failures import CollectionError
from miso_archive.store.bucket import Bucket
from miso_archive.store.folder import Folder
from tests.soak.task import DISK_FULL, HELD

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from tests.soak.plan import ClockStep, Point
    from tests.soak.task import Task

# botocore imports half of itself with its first client; this one is not used.
boto3.client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106

_holding = Lock()

_OWNERS: dict[str, tuple[tuple[Any, str], ...]] = {
    "connect": ((Registry, "connect"),),
    "fetch": ((fetching, "fetch"),),
    "look up": ((Registry, "holds"),),
    "mark": ((Outbox, "mark"),),
    "put": ((Folder, "put_if_absent"), (Bucket, "put_if_absent")),
    "store": ((parts_of_a_run, "store_snapshot"),),
    "quarantine": ((parts_of_a_run, "store_refused"),),
    "announce": ((Announcer, "announce"),),
    "unmark": ((Outbox, "unmark"),),
    "register": ((Registry, "register"),),
    "catch up": ((Parts, "catch_up"),),
}


def collect_once(task: Task) -> None:
    """Collect once, as the command line does, then leave with its exit code."""
    # What the run says must not fail with the archive's files, so it is not kept where these may not grow.
    limited = task.largest_file is not None
    _redirect(Path(os.devnull) if limited else task.output, sys.stdout.fileno())
    _redirect(Path(os.devnull) if limited else task.log, sys.stderr.fileno())
    os.environ.update(task.environment)
    if task.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task.largest_file, resource.RLIM_INFINITY))
    if not task.patient:
        _hurry(task.disturbed)
    assert task.line is not None
    _tell_of_a_full_disk(task.line)
    for number, point in task.holds:
        _hook(point, partial(_hold, task.line, number))
    if task.run.killed_at is not None:
        _hook(task.run.killed_at, partial(_die, task.line, task.run.killed_at.killing()))
    if task.run.clock is not None:
        _step_clock(task.run.clock, task.line)
    sys.exit(cli_app.main(task.options()))


def _hold(line: Connection, number: int) -> None:
    """Say that a point is reached, and wait until the fault is on: one feed's thread after the other."""
    with _holding:
        line.send_bytes(HELD + str(number).encode())
        line.recv_bytes()


def _die(line: Connection, kind: str) -> None:
    line.send_bytes(kind.encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _tell_of_a_full_disk(line: Connection) -> None:
    """Tell of each write that the disk refuses, to the archive or to what the embedded Valkey needs."""
    init = CollectionError.__init__

    def told(error: CollectionError, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as the real one
        cause = sys.exc_info()[1]
        if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EFBIG}:
            line.send_bytes(DISK_FULL.encode())
        init(error, *arguments, **options)

    CollectionError.__init__ = told  # type: ignore[method-assign, assignment]


def _redirect(path: Path, descriptor: int) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, descriptor)
    os.close(target)


def _hurry(disturbed: frozenset[str]) -> None:
    """Let no delay be long, and no wait for a server that is to be away."""
    for name, factor in (("FEED_RETRIES", 100), ("ARCHIVE_RETRIES", 20)):
        policy = getattr(plain, name)
        faster = replace(policy, first_delay=policy.first_delay / factor, longest_delay=policy.longest_delay / factor)
        setattr(plain, name, faster)
    for server, module, name, seconds in (
        ("kafka", parts_of_a_run, "DELIVERY_SECONDS", 0.5),
        ("redis", registering, "_CONNECT_SECONDS", 0.5),
        ("redis", registering, "_ANSWER_SECONDS", 0.5),
        ("disk", embedded_valkey, "_START_SECONDS", 3.0),
    ):
        getattr(module, name)  # a name that is gone must not be set in vain
        if server in disturbed:
            setattr(module, name, seconds)


def _step_clock(step: ClockStep, line: Connection) -> None:
    """Let the process' wall clock jump; its monotonic one goes on."""
    traveller = time_machine.travel(datetime.now(UTC), tick=True).start()

    def jump() -> None:
        behind = time.time() - time.monotonic()
        traveller.shift(timedelta(seconds=step.seconds))
        if abs(time.time() - time.monotonic() - behind - step.seconds) < 1:
            line.send_bytes(step.kind().encode())

    if step.at is None:
        jump()
    else:
        _hook(step.at, jump)


def _hook(point: Point, act: Callable[[], None]) -> None:
    """Do something before or after the nth call that a point names, whichever feed's it is."""
    calls = count(1)  # which no two threads are given the same number by

    def hooked_on(real: Callable[..., Any]) -> Callable[..., Any]:
        def hooked(*arguments: object, **options: object) -> Any:  # noqa: ANN401 - as the call it stands for
            strikes = next(calls) == point.nth
            if strikes and point.moment == "before":
                act()
            result = real(*arguments, **options)
            if strikes and point.moment == "after":
                act()
            return result

        return hooked

    for owner, name in _OWNERS[point.call]:
        setattr(owner, name, hooked_on(getattr(owner, name)))
