"""What is known of the recorded bodies, as it stands in an archive's frames."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import miso_archive as mr
from miso_archive.feeds.columns import SNAPSHOTS_TABLE
from miso_archive.intervals.labels import EST_NAME

if TYPE_CHECKING:
    import polars as pl

    from miso_archive.store.address import ArchiveAddress

_ZONES: Final = [str(zone) for zone in range(1, 9)]
_HOURS: Final = tuple(datetime(2026, 10, 2, hour, tzinfo=ZoneInfo(EST_NAME)) for hour in (16, 17))

FIGURES: Final[dict[str, Any]] = {
    "zones": [_ZONES, _ZONES],
    "hours": [(17, *_HOURS)],
    "fuels": (82084.0, [82084.0]),
    "energy": [32.74] * 9,
    "curves": (10, 7),
    "figures": {
        "forecast_peak_demand": 82913.0,
        "current_demand": 83808.0,
        "marginal_energy_cost": 36.32,
        "net_scheduled_interchange": -656.0,
    },
    "reserve": [-0.16, -8.32],
    "subregional": [],
}
"""As the host sent them: SubRegional was quiet."""


def figures(archive: ArchiveAddress) -> dict[str, Any]:
    """Read the same from an archive."""

    def of(feed: str, table: str | None = None) -> pl.DataFrame:
        return mr.scan(archive, feed, table, strict=True).collect()

    curves = of("transmission")["curve_type"]
    return {
        "zones": [of("asm_mcp", table)["zone"].to_list() for table in ("real_time", "day_ahead")],
        "hours": of("asm_mcp", "day_ahead").select("hour_ending", "interval_start", "interval_end").unique().rows(),
        "fuels": (of("fuel_mix")["output"].sum(), of("fuel_mix", SNAPSHOTS_TABLE)["total"].to_list()),
        "energy": of("rt_exante_lmp")["energy"].to_list(),
        "curves": (len(curves), curves.null_count()),
        "figures": dict(of("snapshot").select("figure", "value").iter_rows()),
        "reserve": of("reserve")["shadow_price"].to_list(),
        "subregional": of("subregional").select("shadow_price", "reason").rows(),
    }
