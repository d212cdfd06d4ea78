"""MISO's ex-ante real-time prices at its hubs (seen 2026-07-27 and 2026-10-02), at times a label ahead of the clock.

A price is energy, congestion and loss; the feed does not send the energy, which is the same everywhere, to 0.02
**[computed]**. Locations are hubs and an interface; none is enumerated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from typing import Final

from miso_archive.contract.findings import RefusalCode, WarningCode
from miso_archive.contract.kinds import AMOUNT, CLOCK, NAME, optional
from miso_archive.contract.rows import Computed, Contract, Doubt, Made, Row, Table, published
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.feed import Feed, History
from miso_archive.feeds.rt_exante_lmp_history import HUBS, RT_EXANTE_LMP_HISTORY
from miso_archive.intervals.labels import INTERVAL, is_clock_of

_MOST_SPREAD: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Price(Row):
    """The price of a location in one interval, and its parts, in $/MWh; a part that is absent is None."""

    location: str = published("name", NAME, "The hub or interface as published: `MINN.HUB`, `SWPP`.")
    lmp: float = published("LMP", AMOUNT, "The locational marginal price.", unit="$/MWh", bad=RefusalCode.BAD_PRICE)
    congestion: float | None = published(
        "congestion", optional(AMOUNT), "Its congestion component.", unit="$/MWh", bad=RefusalCode.BAD_PRICE
    )
    loss: float | None = published(
        "loss", optional(AMOUNT), "Its loss component.", unit="$/MWh", bad=RefusalCode.BAD_PRICE
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(Row):
    """The interval's time of day again."""

    clock: time | None = published(
        "LMPData.ExAnteLMP.HourAndMin", optional(CLOCK), agrees=is_clock_of, required=False, kept=False
    )


def energy_of(lmp: float, congestion: float, loss: float) -> float:
    """Return the energy component of a price in $/MWh: what congestion and loss leave of it."""
    return lmp - congestion - loss


_ENERGY: Final = Made("energy", float, "Its energy component: what congestion and loss leave of it.", "$/MWh")


def _energy_differs(snapshot: Snapshot) -> Iterator[Doubt]:
    parts = [(row.lmp, row.congestion, row.loss) for row in snapshot.rows]
    found = [energy_of(*part) for part in parts if None not in part]
    if found and max(found) - min(found) > _MOST_SPREAD + 1e-9:
        message = f"the energy component is {min(found):.2f} to {max(found):.2f} $/MWh, not one"
        yield Doubt(WarningCode.ENERGY_DIFFERS, "LMPData.ExAnteLMP.Hub", message)


RT_EXANTE_LMP: Final = Feed(
    name="rt_exante_lmp",
    dataset="miso_rt_exante_lmp",
    file_stem="rt_exante_lmp",
    path="MarketPricing/GetExAnteLmp",
    title="Real-time ex-ante LMP",
    lead=INTERVAL,
    # The nodes of both captures: of others the history may have any.
    history=History(feed=RT_EXANTE_LMP_HISTORY, table="prices", only={"location": (*HUBS, "SWPP")}),
    contract=Contract(
        label="LMPData.RefId",
        tables=(
            Table(
                name="prices",
                at="LMPData.ExAnteLMP.Hub",
                row=Price,
                fewest=1,
                computed=(Computed(of=("lmp", "congestion", "loss"), compute=energy_of, column=_ENERGY),),
                order=("location", "lmp", "energy", "congestion", "loss"),
            ),
        ),
        figures=Clock,
        checks=(_energy_differs,),
    ),
)
