"""Collector and archive of MISO's reserve binding constraints: shadow prices in $/MW, every five minutes.

Read an archive with ``scan_constraints`` and ``scan_snapshots``, count what is missing with ``coverage``, and look
closer with the modules ``analysis``, ``profiles`` and ``episodes``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from miso_reserve.version import __version__

if TYPE_CHECKING:
    from miso_reserve import analysis, episodes, profiles
    from miso_reserve.compaction import compact_month, months_to_compact
    from miso_reserve.completeness import coverage, missing_intervals
    from miso_reserve.export import write_csv
    from miso_reserve.provenance import fetch_times
    from miso_reserve.reader import scan_constraints, scan_snapshots

__all__ = [
    "__version__",
    "analysis",
    "compact_month",
    "coverage",
    "episodes",
    "fetch_times",
    "missing_intervals",
    "months_to_compact",
    "profiles",
    "scan_constraints",
    "scan_snapshots",
    "write_csv",
]

_MODULES = ("analysis", "episodes", "profiles")
_ROOMS = {
    "compact_month": "compaction",
    "coverage": "completeness",
    "fetch_times": "provenance",
    "missing_intervals": "completeness",
    "months_to_compact": "compaction",
    "scan_constraints": "reader",
    "scan_snapshots": "reader",
    "write_csv": "export",
}


def __getattr__(name: str) -> object:
    """Import a room when something of it is first used: a collector needs no polars, nor `validate`."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, also of what is not imported yet, and nothing that this module itself imports."""
    return __all__
