"""The contract's answer on a body: what the feed showed, or why the body is refused. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from miso_archive.contract.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which page of a market day a body is.

    ``number`` counts from 1; ``node`` is the one that all its rows are of, empty where they are of several or of none;
    ``rows_of_day`` is how many rows all pages have together, as the page says, None where it does not.
    """

    number: int
    is_last: bool
    node: str = ""
    rows_of_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a feed showed for one interval, or a page of what it says of a market day.

    ``ref_id`` is the label as published, ``interval_end`` what it names in EST; ``tables`` are the rows by table, and
    ``figures`` what the body says beside them, None for a feed that says nothing more. ``page`` is that of a market
    day, whose end ``interval_end`` then is; None of an interval's body.
    """

    ref_id: str
    interval_end: datetime
    tables: Mapping[str, tuple[Any, ...]]
    figures: Any = None
    page: Page | None = None

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows of the feed's first table, each a Row of the feed's own."""
        return next(iter(self.tables.values()))

    @property
    def quiet(self) -> bool:
        """Whether there is no row: an observation, not a gap."""
        return not self.rows


@dataclass(frozen=True, slots=True)
class Verdict:
    """The contract's answer on one body.

    ``snapshot`` is None when the body is refused, and then ``reasons`` says why. ``interval_end`` is what a readable
    label names, also in a refused body.
    """

    snapshot: Snapshot | None
    reasons: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    interval_end: datetime | None
