"""MISO's reserve binding constraints, replaced every five minutes (seen 2026-07-27)."""

from typing import Final

from miso_archive.contract.examine import examine
from miso_archive.feeds.feed import Feed

RESERVE: Final = Feed(
    name="reserve",
    dataset="miso_binding_constraints_reserve",
    file_stem="binding_constraints_reserve",
    path="BindingConstraints/Reserve",
    title="Reserve binding constraints",
    examine=examine,
    is_first=True,
)
