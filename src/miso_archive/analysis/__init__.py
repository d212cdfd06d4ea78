"""Analysis: what was observed of binding constraints. Frames in, frames out. Pure."""

from miso_archive.analysis.gridstatus import to_gridstatus
from miso_archive.analysis.shadow_prices import (
    RPE_DEMAND_VALUE,
    binding_summary,
    compare_periods,
    drift,
    price_duration_curve,
    severity,
)

__all__ = [
    "RPE_DEMAND_VALUE",
    "binding_summary",
    "compare_periods",
    "drift",
    "price_duration_curve",
    "severity",
    "to_gridstatus",
]
