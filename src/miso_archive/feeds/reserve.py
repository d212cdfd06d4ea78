"""MISO's reserve binding constraints."""

from typing import Final

from miso_archive.contract.examine import examine
from miso_archive.feeds.feed import Dataset

RESERVE: Final = Dataset(
    name="miso_binding_constraints_reserve",
    file_stem="binding_constraints_reserve",
    url="https://public-api.misoenergy.org/api/BindingConstraints/Reserve",
    examine=examine,
)
"""MISO's reserve binding constraints, replaced every five minutes (address seen 2026-07-27; URLs move)."""
