"""How a soak ended: as text for who ran it, as JSON for the record, as Markdown for the documentation. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field

RECORD: Final = Path(__file__).with_name("recorded.json")
"""What the last `make soak` that ended well has left, for the documentation."""

_GROUPS: Final = ("kill -9 before", "kill -9 after", "feed", "kafka", "redis", "s3")


class OfFeed(BaseModel):
    """What one feed served and to how many runs, what struck instead, and what came of it."""

    runs: int = 0
    bodies: int = 0
    struck: dict[str, int] = Field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    unannounced: int = 0
    quarantined: int = 0
    announced_again: int = 0

    def __add__(self, other: OfFeed) -> OfFeed:
        """What the feed met in two archives."""
        numbers = {name: getattr(self, name) + getattr(other, name) for name in OfFeed.model_fields if name != "struck"}
        struck = Counter(self.struck) + Counter(other.struck)
        return OfFeed(**numbers, struck=dict(sorted(struck.items())))

    @property
    def is_good(self) -> bool:
        """Whether what was promised of it is kept."""
        return not (self.lost or self.doubled or self.unannounced)

    def counts(self) -> str:
        """What there is to count of it, each with its name."""
        return (
            f"faults={sum(self.struck.values())} lost={self.lost} doubled={self.doubled} "
            f"unannounced={self.unannounced} quarantined={self.quarantined}"
        )


class Outcome(BaseModel):
    """What struck, what came of it, and what is wrong; what struck in place of a feed's bodies is by feed."""

    runs: int
    of_five_polls: int
    of_several_feeds: int
    of_all_feeds: int
    struck: dict[str, int]
    missed: list[str] = Field(default_factory=list, exclude=True)
    feeds: dict[str, OfFeed]
    own_disk: bool
    seconds: int
    problems: list[str] = Field(default_factory=list, exclude=True)

    @property
    def is_good(self) -> bool:
        """Whether every promise is kept, and everything was tried that was to be tried."""
        return all(part.is_good for part in self.feeds.values()) and not (self.problems or self.missed)

    @property
    def together(self) -> OfFeed:
        """All feeds in one."""
        return sum(self.feeds.values(), OfFeed())

    def kinds(self) -> dict[str, int]:
        """How often each kind of fault struck, whichever feed it befell."""
        of_feeds = {f"feed {reply}": times for reply, times in self.together.struck.items()}
        return dict(sorted({**self.struck, **of_feeds}.items()))

    def as_text(self) -> str:
        """A line for each kind, for each feed, for each thing that is wrong, and one that sums up."""
        rows = [f"{kind:28} {times:5}{self._note(kind)}" for kind, times in self.kinds().items() if times]
        feeds = [f"{name}: runs={part.runs} bodies={part.bodies} {part.counts()}" for name, part in self.feeds.items()]
        wrong = [f"wrong: {problem}" for problem in self.problems]
        if self.missed:
            wrong.append(f"wrong: planned, and never struck: {', '.join(self.missed)}")
        beside = (
            f"{self.of_five_polls} runs of five polls, {self.of_several_feeds} of several feeds, {self.of_all_feeds} "
            f"of all; announced more than once: {self.together.announced_again}; {self.seconds} s"
        )
        return "\n".join([*rows, *feeds, beside, *wrong, self.line(), ""])

    def line(self) -> str:
        """The last line."""
        faults = sum(self.kinds().values())
        counts = self.together.counts().partition(" ")[2]
        return f"soak: runs={self.runs} faults={faults} {counts}"

    def as_markdown(self) -> str:
        """The documentation's tables, the last line, and the figures beside them."""
        rows = [f"| {name} | {times} |\n" for name, times in self._rows()]
        feeds = [
            f"| `{name}` | {part.runs} | {sum(part.struck.values())} | {part.bodies} | {part.lost} | {part.doubled} "
            f"| {part.unannounced} | {part.quarantined} |\n"
            for name, part in self.feeds.items()
        ]
        return (
            f"| Fault | Struck |\n| --- | ---: |\n{''.join(rows)}\n"
            "| Feed | Runs that asked for it | Faults of its own | Bodies to archive | Lost | Doubled | Unannounced "
            "| Refused and kept |\n"
            f"| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{''.join(feeds)}\n"
            f"```console\n$ make soak\n...\n{self.line()}\n```\n\n"
            f"{self.of_five_polls} of the runs had five polls; {self.of_several_feeds} collected several feeds, "
            f"{self.of_all_feeds} all of them.\n{self.together.announced_again} announcements were made more than "
            f"once, which is allowed: tell them apart by `sha256`. It took {self.seconds} s.\n"
        )

    def _rows(self) -> list[tuple[str, str]]:
        """One row for the kinds of one group, in the order of their names."""
        rows = []
        struck = {kind: times for kind, times in self.kinds().items() if times}
        for group, kinds in groupby(struck, _group):
            names = list(kinds)
            members = " / ".join(name.removeprefix(group).lstrip(" -") for name in names)
            name = f"{group}: {members}" if members else group
            rows.append((name + self._note(group), " / ".join(str(struck[kind]) for kind in names)))
        return rows

    def _note(self, kind: str) -> str:
        return "" if kind != "disk-full" else " (a small disk)" if self.own_disk else " (files that may not grow)"


def _group(kind: str) -> str:
    return next((group for group in _GROUPS if kind.startswith(group)), kind)
