"""What of an archive is left out of a reading, and why. Pure."""

from datetime import date
from typing import NamedTuple


class Unreadable(NamedTuple):
    """An object that cannot be read as a snapshot, the market day it would belong to, and why."""

    object_key: str
    market_day: date
    reason: str
