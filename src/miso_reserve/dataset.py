"""What sets one feed apart from its siblings: adding a feed means adding one small file that makes a Dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from miso_reserve.contract import Verdict, examine


@dataclass(frozen=True, slots=True)
class Dataset:
    """One feed: its name in keys, Redis and Kafka, the stem of its files, its address and its contract."""

    name: str
    file_stem: str
    url: str
    examine: Callable[[bytes], Verdict]


RESERVE: Final = Dataset(
    name="miso_binding_constraints_reserve",
    file_stem="binding_constraints_reserve",
    url="https://public-api.misoenergy.org/api/BindingConstraints/Reserve",
    examine=examine,
)
"""MISO's reserve binding constraints, replaced every five minutes (address seen 2026-07-27; URLs move)."""
