"""MISO's fuel mix: what each fuel produces (seen 2026-07-27 and 2026-10-02).

The figures look like readings at the label **[inferred]**. Fuels come and go and change their spelling: they are kept
as published, and none is enumerated. A body may hold rows of several intervals: each is of the one it names, up to a
market day from the label; a row of further off is counted with its body, and no frame has it.
"""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from miso_archive.contract.findings import WarningCode
from miso_archive.contract.kinds import AMOUNT, ANY_TEXT, EST_CLOCK, NAME, optional
from miso_archive.contract.rows import Contract, Doubt, Row, Table, published
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.feed import Feed, Rolling

# All figures are whole megawatts.
_LEAST_DIFFERENCE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuel(Row):
    """One fuel in one interval: ``output`` in MW, negative where it charges or exports, ``interval`` in EST."""

    fuel: str = published("CATEGORY", NAME, "The fuel as published: `Coal`, `Natural Gas`, `Imports`.")
    output: float = published(
        "ACT",
        AMOUNT,
        "What it produces; negative where it charges, or, of `Imports`, where MISO exports **[inferred]**.",
        unit="MW",
    )
    interval: datetime = published("INTERVALEST", EST_CLOCK, "The interval.", agrees=operator.eq, kept=False)
    caption: str | None = published("FUEL_CATEGORY", ANY_TEXT, "MISO's caption.", required=False, kept=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total(Row):
    """What a body says beside its rows: ``total`` in MW, imports included."""

    total: float | None = published(
        "TotalMW", optional(AMOUNT), "The sum of the fuels as published, imports included.", unit="MW", required=False
    )


def _total_differs(snapshot: Snapshot) -> Iterator[Doubt]:
    fuels = sum(row.output for row in snapshot.rows if row.interval == snapshot.interval_end)
    total = snapshot.figures.total
    if total is not None and abs(total - fuels) > _LEAST_DIFFERENCE:
        yield Doubt(WarningCode.SUM_DIFFERS, "TotalMW", f"{total:g} MW is not the sum of the fuels, {fuels:g} MW")


FUEL_MIX: Final = Feed(
    name="fuel_mix",
    dataset="miso_fuel_mix",
    file_stem="fuel_mix",
    path="FuelMix",
    title="Fuel mix",
    rolling=Rolling(paths={"today": "FuelMix/Today", "yesterday": "FuelMix/Yesterday"}, table="fuels", named_by="fuel"),
    contract=Contract(
        label="RefId",
        tables=(Table(name="fuels", at="Fuel.Type", row=Fuel, fewest=1, label="interval", named_by="fuel"),),
        figures=Total,
        checks=(_total_differs,),
    ),
)
