"""MISO's binding transmission constraints, real time (seen 2026-10-02).

Names are cut at 48 characters **[computed]**: MISO's reports have longer ones, join them by what they begin with. What
a constraint without a curve of its own leaves empty is absent. That nothing binds is said by the row by which the other
feeds of constraints say it **[inferred]**: such a body is unseen here, so no more is asked of it than name, period and
price.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from miso_archive.contract.findings import RefusalCode
from miso_archive.contract.kinds import AMOUNT, FLAG, TEXT, optional
from miso_archive.contract.rows import Contract, Row, Table, published
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.nothing_binds import nothing_binds, period
from miso_archive.feeds.report import NEXT_DAY_REPORT, Report, curve
from miso_archive.intervals.market_days import ONE_DAY


def break_point(key: str, meaning: str, unit: str = "") -> Any:  # noqa: ANN401 - stands where the field's own type is declared
    """Declare a break point of a constraint's curve, or its price."""
    return published(key, optional(AMOUNT), meaning, unit=unit, bad=RefusalCode.BAD_BREAK_POINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmissionConstraint(Row):
    """One binding constraint: ``shadow_price`` in $/MWh with the sign as published, ``period`` in EST."""

    constraint_name: str = published("Name", TEXT, "The constraint as published.", bad=RefusalCode.EMPTY_NAME)
    period: datetime = period()
    shadow_price: float = published(
        "Price", AMOUNT, "The sign as published: negative where it binds.", unit="$/MWh", bad=RefusalCode.BAD_PRICE
    )
    override: bool | None = published("OVERRIDE", optional(FLAG), "`OVERRIDE`, 0 or 1.", bad=RefusalCode.BAD_OVERRIDE)
    curve_type: str | None = published("CURVETYPE", optional(TEXT), "`MW` or `PERCENT`, as published.")
    bp1: float | None = break_point("BP1", "The first break point, in MW or percent by `curve_type`.")
    pc1: float | None = break_point("PC1", "Its price.", "$/MWh")
    bp2: float | None = break_point("BP2", "The second break point, likewise.")
    pc2: float | None = break_point("PC2", "Its price.", "$/MWh")


RT_BC: Final = Report(
    name="rt_bc",
    source=NEXT_DAY_REPORT,
    dated=ONE_DAY,
    headings=("hour of occurrence", "hour of occurence"),
    times="clock",
    columns={
        "constraint name": "constraint_name",
        "preliminary shadow price": "shadow_price",
        "override": "override",
        "curve type": "curve_type",
        **curve(2),
    },
    from_midnight=True,
    cut_at=48,
)
"""Real time, five minutes a row; the file's date is the day after the market day.

A day's times go from 00:00 to 23:55, rows in their order, and names are cut as the live feed's are (seen in a public
copy of the rows of eight days of December 2024). Which end of the five minutes they name is not told by that.
"""

TRANSMISSION: Final = Feed(
    name="transmission",
    dataset="miso_binding_constraints_realtime",
    file_stem="binding_constraints_realtime",
    path="BindingConstraints/RealTime",
    title="Transmission binding constraints",
    contract=Contract(
        label="RefId",
        tables=(Table(name="constraints", at="Constraint", row=TransmissionConstraint),),
        quiet=nothing_binds(TransmissionConstraint),
    ),
    reports=(RT_BC,),
)
