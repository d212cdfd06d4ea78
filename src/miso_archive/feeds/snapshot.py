"""MISO's snapshot: demand, its peak, the cost of energy, interchange (seen 2026-07-27 and 2026-10-02).

A bare list of figures, each with a clock of its own and known by how its text begins, before its unit; interchange only
where the text says that imports are negative. A body has no label: ours is the time of the current demand. Within one
label bodies differ as the minute of the interchange moves: revisions are the rule. How a negative cost is spelled is
unseen; ``-$1.20``, ``$-1.20`` and ``($1.20)`` are read **[inferred]**.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from miso_archive.contract.findings import RefusalCode
from miso_archive.contract.kinds import ANY_TEXT, EST_CLOCK, MONEY, NAME, Kind
from miso_archive.contract.rows import Contract, Row, RowLabel, Table, published
from miso_archive.feeds.feed import Feed

# Imports are negative where the text says so, and there alone.
_FIGURES: Final = {
    "forecastedpeakdemand": "forecast_peak_demand",
    "currentdemand": "current_demand",
    "marginalenergycost": "marginal_energy_cost",
    "scheduledimports(-)": "net_scheduled_interchange",
}

# Behind the beginning stands a unit; a further word, as in "Current Demand Response", makes another figure.
_UNIT: Final = re.compile(r"(?:mwh?)?(?![^\W\d_])")


def _figure(value: object) -> object:
    text = NAME.read(value)
    letters = "".join(str(text).split()).lower()
    known = (
        name
        for begins, name in _FIGURES.items()
        if letters.startswith(begins) and _UNIT.match(letters, len(begins)) is not None
    )
    return next(known, text)


FIGURE: Final = Kind("figure", str, _figure, RefusalCode.NOT_TEXT)
"""What a figure is called: one of four names, known by how its text begins; any other text as published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Row):
    """One figure: ``value`` in MW, the marginal energy cost in $/MWh; ``as_of`` its own time, in EST."""

    figure: str = published("t", FIGURE, "Which one; a text that is not known as published.")
    value: float = published("v", MONEY, "Its value; a negative interchange imports.", unit="MW or $/MWh")
    as_of: datetime = published("d", EST_CLOCK, "Its own time (EST).")
    number: str | None = published("id", ANY_TEXT, required=False, kept=False)


SNAPSHOT: Final = Feed(
    name="snapshot",
    dataset="miso_snapshot",
    file_stem="snapshot",
    path="Snapshot",
    title="Snapshot",
    contract=Contract(
        label=RowLabel(
            table="figures",
            named_by="figure",
            name="current_demand",
            time="as_of",
        ),
        tables=(Table(name="figures", at="", row=Figure, fewest=1),),
    ),
)
