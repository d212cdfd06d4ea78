"""A run as it is handed to its process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.soak.plan import Run

STEPPED: Final = b"soak: the clock steps\n"
"""What a run logs when its clock does."""


@dataclass(frozen=True)
class Task:
    """A run as the plan has it, with all it needs to know.

    `patient` runs have the library's own delays; the others try as often, in a shorter time. `largest_file` is in
    bytes: where no small disk can be made, a file that may not grow stands for one that is full.
    """

    run: Run
    environment: Mapping[str, str]
    output: Path
    log: Path
    patient: bool
    largest_file: int | None = None


def work(task: Task) -> None:
    """Collect once, in the process that this is called in."""
    from tests.soak.run import collect_once  # noqa: PLC0415 - loaded where runs are forked from, and nowhere else

    collect_once(task)
