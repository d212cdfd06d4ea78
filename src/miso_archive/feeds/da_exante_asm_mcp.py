"""MISO's day-ahead ex-ante market clearing prices of ancillary services, a market day at a time, behind a key.

Nothing of it is live: a day is out from 14:00 EST of the day before **[said]**. 24 hours, six products and eight zones
were seen, 1,152 rows; products and zones are kept as published, and none is enumerated. Prices are numbers, and are
read as text too. ``interval`` numbers the hour by its END, 1 to 24; MISO's change of 2026-05-06 left hours as they were
**[said]**.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from miso_archive.contract.findings import RefusalCode
from miso_archive.contract.kinds import AMOUNT, NAME
from miso_archive.contract.pages import OfADay, PageFigures
from miso_archive.contract.rows import Contract, PageLabel, Table, published
from miso_archive.feeds.feed import Daily, Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPrice(OfADay):
    """The price of a product in a zone and hour, in $/MW per hour."""

    length: ClassVar[timedelta] = timedelta(hours=1)

    product: str = published("product", NAME, "The product as published: `Regulation`, `STR`, `Ramp-up`.")
    zone: str = published("zone", NAME, "The reserve zone as published: `Zone 1`.")
    mcp: float = published("mcp", AMOUNT, "Its market clearing price.", unit="$/MW per hour", bad=RefusalCode.BAD_PRICE)


DA_EXANTE_ASM_MCP: Final = Feed(
    name="da_exante_asm_mcp",
    dataset="miso_da_exante_asm_mcp",
    file_stem="da_exante_asm_mcp",
    path="day-ahead/{market_day}/asm-exante",
    title="Day-ahead ancillary services' prices",
    daily=Daily(out=timedelta(hours=-10), rows=24 * 6 * 8),
    contract=Contract(
        label=PageLabel(table="prices", named_by=("product", "zone")),
        tables=(Table(name="prices", at="data", row=ProductPrice, fewest=1),),
        figures=PageFigures,
    ),
)
