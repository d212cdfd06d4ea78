"""MISO's market clearing prices of ancillary services, real time and day ahead (seen 2026-07-27 and 2026-10-02).

Two markets on two time grids in one body: the interval of five minutes that the label names, and the hour that
``HourEnding`` names; that the label 17:00 lies in hour 17 is **[inferred]**. Whether the day-ahead prices are ex ante
or ex post is not said. Where that market lists no zone the real-time prices count all the same: such a body is unseen.
An hour half a day from the label is of another market day, whose own bodies speak of it: such rows are left out
**[inferred]**. The prices of demand were those of generation in every body seen; they are kept all the same.
"""

from dataclasses import dataclass
from datetime import date, time
from typing import Any, Final

from miso_archive.contract.findings import RefusalCode
from miso_archive.contract.kinds import AMOUNT, CLOCK, HOUR_ENDING, MARKET_DAY, NUMBER_OR_NAME, optional
from miso_archive.contract.rows import Contract, Row, Table, published
from miso_archive.feeds.da_exante_asm_mcp import DA_EXANTE_ASM_MCP
from miso_archive.feeds.feed import Feed, History, Spread
from miso_archive.intervals.labels import is_clock_of
from miso_archive.intervals.market_days import is_hour_of, is_market_day_of


def _price(key: str, meaning: str, gridstatus: str = "") -> Any:  # noqa: ANN401 - stands where the field's own type is declared
    kind, unit = optional(AMOUNT), "$/MW per hour"
    return published(key, kind, meaning, unit=unit, bad=RefusalCode.BAD_PRICE, gridstatus=gridstatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePrices(Row):
    """The prices of one reserve zone, in $/MW per hour; one that is absent is None."""

    zone: str = published("number", NUMBER_OR_NAME, "The reserve zone's number as published: `1`.")
    regulation: float | None = _price("GenRegMCP", "Regulation.")
    spin: float | None = _price("GenSpinMCP", "Spinning reserve.")
    supplemental: float | None = _price("GenSuppMCP", "Supplemental reserve.")
    short_term_reserve: float | None = _price("StrMcp", "Short-term reserve, of 30 minutes.", "STR")
    ramp_up: float | None = _price("RcpUpMcp", "Ramp capability, up.")
    ramp_down: float | None = _price("RcpDownMcp", "Ramp capability, down.")
    demand_regulation: float | None = _price("DemandRegMcp", "Regulation by demand.")
    demand_spin: float | None = _price("DemandSpinMcp", "Spinning reserve by demand.")
    demand_supplemental: float | None = _price("DemandSuppMcp", "Supplemental reserve by demand.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times(Row):
    """The market day and the times of day that a body names beside its label."""

    market_day_as_published: date | None = published(
        "MCPData.MktDay", optional(MARKET_DAY), agrees=is_market_day_of, required=False, kept=False
    )
    clock: time | None = published(
        "MCPData.RealTimeMCP.HourAndMin", optional(CLOCK), agrees=is_clock_of, required=False, kept=False
    )
    hour_ending: int = published(
        "MCPData.DayAheadMCP.HourEnding", HOUR_ENDING, "The hour of the day-ahead prices, 1 to 24.", agrees=is_hour_of
    )


ASM_MCP: Final = Feed(
    name="asm_mcp",
    dataset="miso_asm_mcp",
    file_stem="asm_mcp",
    path="MarketPricing/GetAncillaryServicesMcp",
    title="Ancillary services' clearing prices",
    history=History(
        feed=DA_EXANTE_ASM_MCP,
        table="day_ahead",
        spread=Spread(
            names="product",
            value="mcp",
            columns={
                "Regulation": "regulation",
                "Spin": "spin",
                "Supplemental": "supplemental",
                "STR": "short_term_reserve",
                "Ramp-up": "ramp_up",
                "Ramp-down": "ramp_down",
            },
        ),
        without={"zone": "Zone "},
    ),
    contract=Contract(
        label="MCPData.RefId",
        tables=(
            Table(name="real_time", at="MCPData.RealTimeMCP.Zone", row=ZonePrices, fewest=1),
            Table(name="day_ahead", at="MCPData.DayAheadMCP.Zone", row=ZonePrices, hour="hour_ending"),
        ),
        figures=Times,
        any_case=True,
    ),
)
