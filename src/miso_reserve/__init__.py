"""Collector and archive of MISO's reserve binding constraints: shadow prices in $/MW, every five minutes."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from miso_reserve.compaction import compact_month, months_to_compact
    from miso_reserve.completeness import coverage, missing_intervals
    from miso_reserve.provenance import fetch_times
    from miso_reserve.reader import scan_constraints, scan_snapshots

__version__ = version("miso-reserve")
__all__ = [
    "__version__",
    "compact_month",
    "coverage",
    "fetch_times",
    "missing_intervals",
    "months_to_compact",
    "scan_constraints",
    "scan_snapshots",
]

_ROOMS = {
    "compact_month": "compaction",
    "coverage": "completeness",
    "fetch_times": "provenance",
    "missing_intervals": "completeness",
    "months_to_compact": "compaction",
    "scan_constraints": "reader",
    "scan_snapshots": "reader",
}


def __getattr__(name: str) -> object:
    """Import a room when something of it is first used: a collector needs no polars, nor `validate`."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
