"""Collector and archive of MISO's real-time feeds, every five minutes; where none is named, reserve's is meant.

Read any table of an archive with ``scan``, reserve's with ``scan_constraints`` and ``scan_snapshots``, count what is
missing with ``coverage``, and look closer at constraints with the modules ``analysis``, ``profiles`` and ``episodes``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from miso_archive.version import __version__

if TYPE_CHECKING:
    from miso_archive import analysis
    from miso_archive.analysis import episodes, profiles
    from miso_archive.analysis.export import write_csv
    from miso_archive.reading.compaction import compact_month, months_to_compact
    from miso_archive.reading.coverage import coverage, missing_intervals
    from miso_archive.reading.fetch_times import fetch_times
    from miso_archive.reading.scan import scan, scan_constraints, scan_snapshots

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
    "scan",
    "scan_constraints",
    "scan_snapshots",
    "write_csv",
]

_MODULES = {"analysis": "analysis", "episodes": "analysis.episodes", "profiles": "analysis.profiles"}
_ROOMS = {
    "compact_month": "reading.compaction",
    "coverage": "reading.coverage",
    "fetch_times": "reading.fetch_times",
    "missing_intervals": "reading.coverage",
    "months_to_compact": "reading.compaction",
    "scan": "reading.scan",
    "scan_constraints": "reading.scan",
    "scan_snapshots": "reading.scan",
    "write_csv": "analysis.export",
}


def __getattr__(name: str) -> object:
    """Import a room when something of it is first used: a collector needs no polars, nor `validate`."""
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, also of what is not imported yet, and nothing that this module itself imports."""
    return __all__
