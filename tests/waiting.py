"""Waiting for what another process or thread brings about."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def until(done: Callable[[], bool], *, timeout: float = 120.0, pause: float = 0.1) -> bool:
    """Ask again and again, `pause` seconds apart, until it is done; return whether it was within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    between = Event()
    while not done():
        if time.monotonic() > deadline:
            return False
        between.wait(pause)
    return True
