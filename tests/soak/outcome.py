"""How a soak ended: as text for who ran it, as JSON for the record, as Markdown for the documentation. Pure."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field

RECORD: Final = Path(__file__).with_name("recorded.json")
"""What the last `make soak` that ended well has left, for the documentation."""

_GROUPS: Final = ("kill -9 before", "kill -9 after", "feed", "kafka", "redis", "s3")


class Outcome(BaseModel):
    """What struck, what came of it, and what is wrong."""

    runs: int
    of_five_polls: int
    struck: dict[str, int]
    missed: list[str] = Field(default_factory=list, exclude=True)
    lost: int
    doubled: int
    unannounced: int
    quarantined: int
    announced_again: int
    own_disk: bool
    seconds: int
    problems: list[str] = Field(default_factory=list, exclude=True)

    @property
    def is_good(self) -> bool:
        """Whether every promise is kept, and everything was tried that was to be tried."""
        return not (self.lost or self.doubled or self.unannounced or self.problems or self.missed)

    def as_text(self) -> str:
        """A line for each kind, for each thing that is wrong, and one that sums up."""
        rows = [f"{kind:28} {times:5}{self._note(kind)}" for kind, times in self.struck.items() if times]
        wrong = [f"wrong: {problem}" for problem in self.problems]
        if self.missed:
            wrong.append(f"wrong: planned, and never struck: {', '.join(self.missed)}")
        beside = (
            f"{self.of_five_polls} runs of five polls; announced more than once: {self.announced_again}; "
            f"{self.seconds} s"
        )
        return "\n".join([*rows, beside, *wrong, self.line(), ""])

    def line(self) -> str:
        """The last line."""
        return (
            f"soak: runs={self.runs} faults={sum(self.struck.values())} lost={self.lost} doubled={self.doubled} "
            f"unannounced={self.unannounced} quarantined={self.quarantined}"
        )

    def as_markdown(self) -> str:
        """The documentation's table, the last line, and the figures beside them."""
        rows = [f"| {name} | {times} |\n" for name, times in self._rows()]
        return (
            f"| Fault | Struck |\n| --- | ---: |\n{''.join(rows)}\n"
            f"```console\n$ make soak\n...\n{self.line()}\n```\n\n"
            f"{self.of_five_polls} of the runs had five polls. {self.announced_again} announcements were made more "
            f"than once, which is allowed:\ntell them apart by `sha256`. It took {self.seconds} s.\n"
        )

    def _rows(self) -> list[tuple[str, str]]:
        """One row for the kinds of one group, in the order of their names."""
        rows = []
        for group, kinds in groupby((kind for kind in self.struck if self.struck[kind]), _group):
            names = list(kinds)
            members = " / ".join(name.removeprefix(group).lstrip(" -") for name in names)
            name = f"{group}: {members}" if members else group
            rows.append((name + self._note(group), " / ".join(str(self.struck[kind]) for kind in names)))
        return rows

    def _note(self, kind: str) -> str:
        return "" if kind != "disk-full" else " (a small disk)" if self.own_disk else " (files that may not grow)"


def _group(kind: str) -> str:
    return next((group for group in _GROUPS if kind.startswith(group)), kind)
