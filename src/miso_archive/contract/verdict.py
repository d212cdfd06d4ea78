"""The contract's answer on a body: what the feed showed, or why the body is refused. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from miso_archive.contract.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a feed showed for one interval.

    ``ref_id`` is the label as published, ``interval_end`` what it names in EST; ``tables`` are the rows by table, and
    ``figures`` what the body says beside them, None for a feed that says nothing more.
    """

    ref_id: str
    interval_end: datetime
    tables: Mapping[str, tuple[Any, ...]]
    figures: Any = None

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
