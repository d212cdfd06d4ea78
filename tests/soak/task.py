"""A run as it is handed to its process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from miso_archive.feeds.reserve import RESERVE
from tests.soak.plan import ALL, RESERVE_ALONE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.soak.plan import Point, Run

POLL_GAP: Final = 0.2
"""Seconds between the polls of a run of several; only a feed on this machine may be asked that often."""

HELD: Final = b"held at "
"""What a run says at the point of a fault, with the fault's number; it goes on when it is answered."""

DISK_FULL: Final = "disk-full"
"""What a run says when the disk has refused it a write."""


@dataclass(frozen=True)
class Task:
    """A run as the plan has it, with all it needs to know.

    `base` is the address below which the feeds are. `patient` runs have the library's own delays; the others try as
    often, in a shorter time, and wait less for the servers that are `disturbed`: "kafka", "redis", "disk". At each
    point of `holds` the run waits for a fault to begin. `largest_file` is in bytes: where no small disk can be made, a
    file that may not grow stands for one that is full. By `line` the run tells which faults struck it, as they strike.
    """

    run: Run
    base: str
    environment: Mapping[str, str]
    output: Path
    log: Path
    patient: bool
    disturbed: frozenset[str]
    holds: tuple[tuple[int, Point], ...] = ()
    largest_file: int | None = None
    line: Connection | None = None

    def options(self) -> list[str]:
        """The arguments of the command line."""
        options = ["collect", "--log-level", "DEBUG", *self._feeds()]
        return (
            options if self.run.polls == 1 else [*options, "--polls", str(self.run.polls), "--poll-gap", str(POLL_GAP)]
        )

    def _feeds(self) -> list[str]:
        """Reserve alone is not named, and asked for by its own address."""
        if self.run.feeds == RESERVE_ALONE:
            return ["--api-url", f"{self.base}/{RESERVE.path}"]
        return ["--api-base", self.base, "--feed", "all" if self.run.feeds == ALL else ",".join(self.run.feeds)]


def work(task: Task) -> None:
    """Collect once, in the process that this is called in."""
    from tests.soak.run import collect_once  # noqa: PLC0415 - loaded where runs are forked from, and nowhere else

    collect_once(task)
