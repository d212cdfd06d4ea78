"""MISO's binding subregional constraints, real time (quiet bodies seen 2026-10-02; a binding one is unseen).

What a binding row holds is **[inferred]** from MISO's reports of these constraints. Reserve may bind on the same
element where this feed says that nothing binds: they are different constraints. Of the row that says so no more is
asked than name, period and price, whatever else the seen ones have.
"""

from dataclasses import dataclass
from typing import Final

from miso_archive.contract.kinds import TEXT, optional
from miso_archive.contract.rows import Contract, Parsed, Table, published
from miso_archive.feeds.constraint_name import ELEMENT_PARTS, parse_element
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.nothing_binds import nothing_binds
from miso_archive.feeds.report import NEXT_DAY_REPORT, Report, curve
from miso_archive.feeds.transmission import TransmissionConstraint, break_point
from miso_archive.intervals.market_days import ONE_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class SubregionalConstraint(TransmissionConstraint):
    """One binding constraint, its curve of up to four break points, and the operator's reason, free text."""

    bp3: float | None = break_point("BP3", "The third break point, likewise.")
    pc3: float | None = break_point("PC3", "Its price.", "$/MWh")
    bp4: float | None = break_point("BP4", "The fourth break point, likewise.")
    pc4: float | None = break_point("PC4", "Its price.", "$/MWh")
    reason: str | None = published("REASON", optional(TEXT), "Why it is overridden, free text.")


RT_PBC: Final = Report(
    name="rt_pbc",
    source=NEXT_DAY_REPORT,
    dated=ONE_DAY,
    ending="csv",
    headings=("market_hour_est",),
    times="dated",
    columns={
        "constraint_name": "constraint_name",
        "preliminary_shadow_price": "shadow_price",
        "curvetype": "curve_type",
        **curve(4),
        "override": "override",
        "reason": "reason",
    },
    from_midnight=True,
)
"""Real time, five minutes a row; the file's date is the day after the market day, of which it has the dates."""

SUBREGIONAL: Final = Feed(
    name="subregional",
    dataset="miso_binding_constraints_subregional",
    file_stem="binding_constraints_subregional",
    path="BindingConstraints/SubRegional",
    title="Subregional binding constraints",
    contract=Contract(
        label="RefId",
        tables=(
            Table(
                name="constraints",
                at="Constraint",
                row=SubregionalConstraint,
                parsed=(Parsed(of="constraint_name", parse=parse_element, columns=ELEMENT_PARTS),),
            ),
        ),
        quiet=nothing_binds(SubregionalConstraint),
    ),
    reports=(RT_PBC,),
)
