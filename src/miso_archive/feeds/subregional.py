"""MISO's binding subregional constraints, real time (quiet bodies seen 2026-10-02; a binding one is unseen).

What a binding row holds is **[inferred]** from MISO's reports of these constraints. Reserve may bind on the same
element where this feed says that nothing binds: they are different constraints.
"""

from dataclasses import dataclass
from typing import Final

from miso_archive.contract.findings import RefusalCode
from miso_archive.contract.kinds import AMOUNT, TEXT, optional
from miso_archive.contract.rows import Contract, Parsed, Table, published
from miso_archive.feeds.constraint_name import ELEMENT_PARTS, parse_element
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.nothing_binds import NOTHING_BINDS
from miso_archive.feeds.transmission import TransmissionConstraint


@dataclass(frozen=True, slots=True, kw_only=True)
class SubregionalConstraint(TransmissionConstraint):
    """One binding constraint, its curve of up to four break points, and the operator's reason, free text."""

    bp3: float | None = published(
        "BP3", optional(AMOUNT), "The third break point, likewise.", bad=RefusalCode.BAD_BREAK_POINT
    )
    pc3: float | None = published("PC3", optional(AMOUNT), "Its price.", unit="$/MWh", bad=RefusalCode.BAD_BREAK_POINT)
    bp4: float | None = published(
        "BP4", optional(AMOUNT), "The fourth break point, likewise.", bad=RefusalCode.BAD_BREAK_POINT
    )
    pc4: float | None = published("PC4", optional(AMOUNT), "Its price.", unit="$/MWh", bad=RefusalCode.BAD_BREAK_POINT)
    reason: str | None = published("REASON", optional(TEXT), "Why it is overridden, free text.")


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
        quiet=NOTHING_BINDS,
    ),
)
