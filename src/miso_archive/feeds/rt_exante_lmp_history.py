"""MISO's ex-ante real-time prices by node, a market day at a time, behind a key: what ``rt_exante_lmp`` once showed.

A day is out from 07:00 EST of the day after **[said]**, and one node is asked for at a time: the hubs that the live
feed showed, unless others are named. Since 2026-05-06 MISO spells an interval by its START, also of days before
**[said]**; ``timeInterval.end`` is then its end, and that is the label here. What was fetched before that day has
times five minutes late **[said]**: they are kept as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from miso_archive.contract.findings import RefusalCode, WarningCode
from miso_archive.contract.kinds import AMOUNT, optional
from miso_archive.contract.pages import NODE, OfADay, PageFigures
from miso_archive.contract.rows import Contract, Doubt, PageLabel, Table, published
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.feed import Daily, Feed
from miso_archive.intervals.labels import INTERVAL

HUBS: Final = (
    *("ARKANSAS.HUB", "ILLINOIS.HUB", "INDIANA.HUB", "LOUISIANA.HUB"),
    *("MICHIGAN.HUB", "MINN.HUB", "MS.HUB", "TEXAS.HUB"),
)

_MOST_APART: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePrice(OfADay):
    """The price of a node in one interval, and its parts, in $/MWh; a part that is absent is None."""

    length: ClassVar[timedelta] = INTERVAL

    location: str = published("node", NODE, "The commercial pricing node: `MINN.HUB`.")
    lmp: float = published("lmp", AMOUNT, "The locational marginal price.", unit="$/MWh", bad=RefusalCode.BAD_PRICE)
    energy: float | None = published(
        "mec", optional(AMOUNT), "Its energy component.", unit="$/MWh", bad=RefusalCode.BAD_PRICE
    )
    congestion: float | None = published(
        "mcc", optional(AMOUNT), "Its congestion component.", unit="$/MWh", bad=RefusalCode.BAD_PRICE
    )
    loss: float | None = published(
        "mlc", optional(AMOUNT), "Its loss component.", unit="$/MWh", bad=RefusalCode.BAD_PRICE
    )


def _parts_differ(snapshot: Snapshot) -> Iterator[Doubt]:
    for row in snapshot.rows:
        parts = (row.energy, row.congestion, row.loss)
        if None not in parts and abs(row.lmp - sum(parts)) > _MOST_APART + 1e-9:
            message = f"{row.lmp:g} $/MWh of {row.location} is not its parts together, {sum(parts):.2f}"
            yield Doubt(WarningCode.PARTS_DIFFER, "data", message)


RT_EXANTE_LMP_HISTORY: Final = Feed(
    name="rt_exante_lmp_history",
    dataset="miso_rt_exante_lmp_history",
    file_stem="rt_exante_lmp_5min",
    path="real-time/{market_day}/lmp-exante",
    title="Real-time ex-ante LMP, past days",
    daily=Daily(out=timedelta(hours=31), rows=288, nodes=HUBS),
    contract=Contract(
        label=PageLabel(table="prices", named_by=("location",), node="location"),
        tables=(Table(name="prices", at="data", row=NodePrice, fewest=1),),
        figures=PageFigures,
        checks=(_parts_differ,),
    ),
)
