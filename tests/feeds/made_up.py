"""A feed that MISO does not have, as whoever adds one writes it: this file and ``regional_demand.json`` beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from miso_archive.contract.findings import WarningCode
from miso_archive.contract.kinds import AMOUNT, MARKET_DAY, MONEY, NAME, TEXT, optional
from miso_archive.contract.rows import Contract, Doubt, Row, Table, published
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import is_market_day_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Row):
    """What one region takes in one interval, ``demand`` in MW, and at which cost."""

    region: str = published("NAME", NAME, "The region as published.")
    demand: float = published("MW", AMOUNT, "Its demand.", unit="MW")
    cost: float | None = published("COST", optional(MONEY), "The marginal cost there.", unit="$/MWh")
    note: str | None = published("NOTE", optional(TEXT), "MISO's remark, free text.", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Row):
    """What a body says beside its rows."""

    total: float = published("TotalMW", AMOUNT, "The regions' demand as published.", unit="MW")
    day: date | None = published("MktDay", optional(MARKET_DAY), agrees=is_market_day_of, required=False, kept=False)


def _total_differs(snapshot: Snapshot) -> Iterator[Doubt]:
    regions = sum(row.demand for row in snapshot.rows)
    if abs(snapshot.figures.total - regions) > 1:
        yield Doubt(WarningCode.SUM_DIFFERS, "TotalMW", f"the regions are {regions:g} MW")


REGIONAL_DEMAND = Feed(
    name="regional_demand",
    dataset="miso_regional_demand",
    file_stem="regional_demand",
    path="RegionalDemand",
    title="Regional demand",
    contract=Contract(
        label="RefId",
        tables=(Table(name="regions", at="Demand.Region", row=Region, fewest=1),),
        figures=Whole,
        checks=(_total_differs,),
    ),
    examples=Path(__file__).parent,
)
