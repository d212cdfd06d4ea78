"""What sets one feed apart from its siblings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from miso_archive.contract.examine import examine
from miso_archive.contract.rows import Contract
from miso_archive.contract.verdict import Verdict
from miso_archive.feeds.report import NEXT_DAY_REPORT, Report
from miso_archive.host import API_BASE, KEYED_API_BASE
from miso_archive.intervals.labels import EST
from miso_archive.intervals.market_days import day_begins

_EXAMPLES: Final = Path(__file__).with_name("examples")

OF_MISO: Final = "miso_"
"""What every dataset begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """What sets a feed apart that is not live: a market day at a time, in pages, behind a key.

    ``out`` is how long after its market day's beginning a day can be there, ``rows`` how many it is to have, of each
    node where ``nodes`` are those asked for unless others are named.
    """

    out: timedelta
    rows: int
    nodes: tuple[str, ...] = ()

    def newest(self, now: datetime) -> date:
        """Return the newest market day that can be there at a time, aware."""
        return (now - self.out).astimezone(EST).date()

    def can_be_there(self, day: date, now: datetime) -> bool:
        """Tell whether a market day can be there at a time, aware."""
        return day_begins(day) + self.out <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Columns that stand one below the other: which column ``names`` them, and which holds the ``value``.

    ``columns`` are ours by those names; of others there is none.
    """

    names: str
    value: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a daily feed tells of the intervals that a live one lacks.

    ``feed`` is the daily one, ``table`` the live one's table that it speaks for. ``spread`` is how its rows become
    those of the table, where a row of it is one column; ``without`` are the beginnings that names have there and not
    here, by column; ``only`` which names count, where the daily one may have others that the live one never shows.
    """

    feed: "Feed"
    table: str
    spread: Spread | None = None
    without: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """Links of the same host with bodies like a live feed's, of the market day so far and of the one before.

    ``paths`` are those links below the base address, by what their bodies are called in an archive; ``table`` is the
    feed's table that they have rows of, each named by the attribute ``named_by``.
    """

    paths: Mapping[str, str]
    table: str
    named_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed.

    ``name`` is what people type; ``dataset`` what stands in keys, Redis and Kafka; ``file_stem`` what its files begin
    with; ``path`` where it is below the base address; ``title`` what it is called; ``contract`` what its bodies are to
    be; ``lead`` how long before its interval's end a body may be published; ``daily`` what sets one apart that is not
    live; ``reports`` are those that MISO publishes of it, ``history`` is the daily feed that speaks for its gaps,
    ``rolling`` the links that do; ``examples`` is the folder of its recorded body, ``{file_stem}.json``; ``is_first``
    marks the one whose runs and artifacts had their names before there was another.
    """

    name: str
    dataset: str
    file_stem: str
    path: str
    title: str
    contract: Contract
    lead: timedelta = timedelta(0)
    daily: Daily | None = None
    reports: tuple[Report, ...] = ()
    history: History | None = None
    rolling: Rolling | None = None
    examples: Path = _EXAMPLES
    is_first: bool = False

    @property
    def recorded(self) -> Path:
        """Where a body lies as MISO sent it: it serves tests, documentation and the simulated host."""
        return self.examples / f"{self.file_stem}.json"

    @property
    def url(self) -> str:
        """The feed's address; that of a market day has ``{market_day}`` for it."""
        return f"{API_BASE if self.daily is None else KEYED_API_BASE}/{self.path}"

    @property
    def tag(self) -> str:
        """Its name as runs, artifacts and events bear it: ``fuel-mix``."""
        return self.name.replace("_", "-")

    @property
    def next_day_report(self) -> Report | None:
        """The report that speaks for its gaps; None where none is known."""
        return self.report_of(NEXT_DAY_REPORT)

    def report_of(self, source: str) -> Report | None:
        """Return the report that rows of a source are from; None where none is known."""
        return next((report for report in self.reports if report.source == source), None)

    @property
    def is_filled(self) -> bool:
        """Whether past market days are fetched otherwise than from reports: by days, or from links of two."""
        return (self.daily or self.history or self.rolling) is not None

    def examine(self, body: bytes) -> Verdict:
        """Read one response body, and say what it is or why it is refused."""
        return examine(self.contract, body)

    def scope(self, environment: str) -> str:
        """Return what tells its runs and artifacts from those of other feeds and environments: ``fuel-mix-prod``."""
        return environment if self.is_first else f"{self.tag}-{environment}"
