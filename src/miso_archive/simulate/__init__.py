"""A simulated host of MISO's feeds: made-up content in the shape of MISO's, over real HTTP, with faults on demand.

Use it to develop, test and demonstrate without calling MISO. Everything it serves is simulated and says so.
"""

from miso_archive.simulate.faults import FAULTS, Reply, parse_faults
from miso_archive.simulate.market import documented_body, is_quiet, snapshot_body
from miso_archive.simulate.serve import run
from miso_archive.simulate.server import ServedRequest, SimulatedFeed

__all__ = [
    "FAULTS",
    "Reply",
    "ServedRequest",
    "SimulatedFeed",
    "documented_body",
    "is_quiet",
    "parse_faults",
    "run",
    "snapshot_body",
]
