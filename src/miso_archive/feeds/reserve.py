"""MISO's reserve binding constraints, replaced every five minutes (seen 2026-07-27).

What they limit is not said; they appear to be those that keep reserve deliverable between the grid's regions
**[inferred]** from their names, of which none is enumerated: element, direction, terms and zone are parsed from them.

Two row shapes are accepted, row by row, and nothing between them: the four-field row that the live feed sends (seen
2026-07-27, all strings) and the eleven-field row of the documented contract. When nothing binds the feed sends a
placeholder row named ``None``; such a snapshot is *quiet*, and so is one with an empty list.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from miso_archive.contract.findings import RefusalCode, WarningCode
from miso_archive.contract.kinds import ANY_TEXT, FLAG, NUMBER, NUMBER_OR_NULL, TEXT, TEXT_OR_NULL
from miso_archive.contract.rows import Contract, Parsed, Row, Table, published
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.constraint_name import NAME_PARTS, parse_constraint_name
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.nothing_binds import NOTHING_BINDS, period
from miso_archive.feeds.report import DAY_AHEAD_REPORT, NEXT_DAY_REPORT, Report
from miso_archive.intervals.market_days import ONE_DAY

LIVE_FIELDS: Final = ("Name", "Period", "Price", "Description")
"""The four fields of a row as the live feed sends it."""

DOCUMENTED_FIELDS: Final = (
    *("Name", "Period", "Price", "ReserveType", "Direction", "Quantity"),
    *("OVERRIDE", "BP1", "PC1", "BP2", "PC2"),
)
"""The eleven fields of a row as the contract documents it."""

RESERVE_TYPES: Final = frozenset({"SPIN", "NSPIN", "REG_UP", "REG_DOWN", "SUPPL"})
DIRECTIONS: Final = frozenset({"UP", "DOWN", "BOTH"})


def _break_point(key: str, meaning: str) -> Any:  # noqa: ANN401 - stands where the field's own type is declared
    return published(key, NUMBER_OR_NULL, meaning, bad=RefusalCode.BAD_BREAK_POINT, required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingConstraint(Row):
    """One binding constraint of a snapshot.

    ``shadow_price`` is in $/MW with the sign as published (negative where a constraint binds, as far as seen),
    ``quantity`` in MW, ``period`` the interval's end in EST. What a live row does not carry is None.
    """

    constraint_name: str = published("Name", TEXT, "The constraint as published, `Name`.", bad=RefusalCode.EMPTY_NAME)
    period: datetime = period()
    shadow_price: float = published(
        "Price",
        NUMBER,
        "`Price`, the sign as published: negative where it binds, as far as seen.",
        unit="$/MW",
        bad=RefusalCode.BAD_PRICE,
    )
    description: str | None = published(
        "Description",
        TEXT_OR_NULL,
        "`Description` as published; null in documented rows without one.",
        required=False,
        gridstatus="Constraint Description",
    )
    reserve_type: str | None = published(
        "ReserveType",
        ANY_TEXT,
        "`ReserveType` of a documented row.",
        known=RESERVE_TYPES,
        unknown=WarningCode.UNKNOWN_RESERVE_TYPE,
        required=False,
    )
    direction: str | None = published(
        "Direction",
        ANY_TEXT,
        "`Direction` of a documented row.",
        known=DIRECTIONS,
        unknown=WarningCode.UNKNOWN_DIRECTION,
        required=False,
    )
    quantity: float | None = published(
        "Quantity", NUMBER, "`Quantity` of a documented row.", unit="MW", bad=RefusalCode.BAD_QUANTITY, required=False
    )
    override: bool | None = published(
        "OVERRIDE", FLAG, "`OVERRIDE` of a documented row.", bad=RefusalCode.BAD_OVERRIDE, required=False
    )
    bp1: float | None = _break_point("BP1", "`BP1` of a documented row, as published; its unit is not documented.")
    pc1: float | None = _break_point("PC1", "`PC1` of a documented row, likewise.")
    bp2: float | None = _break_point("BP2", "`BP2` of a documented row, likewise.")
    pc2: float | None = _break_point("PC2", "`PC2` of a documented row, likewise.")


def ranked(snapshot: Snapshot) -> list[BindingConstraint]:
    """Return a snapshot's constraints by the magnitude of their shadow price, the hardest first."""
    return sorted(snapshot.rows, key=lambda constraint: -abs(constraint.shadow_price))


_OF_REPORTS: Final = {
    "constraint name": "constraint_name",
    "shadow price": "shadow_price",
    "constraint description": "description",
}

RT_RPE: Final = Report(
    name="rt_rpe",
    source=NEXT_DAY_REPORT,
    dated=ONE_DAY,
    headings=("time of occurence", "time of occurrence"),
    times="dated",
    columns=_OF_REPORTS,
)
"""Real time, five minutes a row; the file's date is the day after the market day."""

DA_RPE: Final = Report(
    name="da_rpe",
    source=DAY_AHEAD_REPORT,
    dated=-ONE_DAY,
    length=timedelta(hours=1),
    headings=("hour of occurence", "hour of occurrence"),
    times="hour",
    columns=_OF_REPORTS,
)
"""Day ahead, an hour a row; the file's date is the day before the market day."""

RESERVE: Final = Feed(
    name="reserve",
    dataset="miso_binding_constraints_reserve",
    file_stem="binding_constraints_reserve",
    path="BindingConstraints/Reserve",
    title="Reserve binding constraints",
    contract=Contract(
        label="RefId",
        tables=(
            Table(
                name="constraints",
                at="Constraint",
                row=BindingConstraint,
                shapes=(LIVE_FIELDS, DOCUMENTED_FIELDS),
                not_a_list=RefusalCode.CONSTRAINT_NOT_A_LIST,
                parsed=(Parsed(of="constraint_name", parse=parse_constraint_name, columns=NAME_PARTS),),
                order=("constraint_name", "description", *(part.name for part in NAME_PARTS), "shadow_price"),
            ),
        ),
        quiet=NOTHING_BINDS,
    ),
    reports=(RT_RPE, DA_RPE),
    is_first=True,
)
