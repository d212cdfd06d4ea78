"""Whose turn it is to ask the keyed API: one request at a time, and no more than a hundred a minute."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from pydantic import SecretStr

from miso_archive.collecting.pace import Clock

GAP: Final = 0.6
"""Seconds from one request to the next: MISO takes a hundred a minute **[said]**."""


class Turn:
    """Lets one request after the other go, whichever feed of a run it is of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._asked_at = -math.inf

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and have it."""
        with self._lock:
            passed = self._clock.now().timestamp() - self._asked_at
            if passed < GAP:
                self._clock.sleep(GAP - passed)
            self._asked_at = self._clock.now().timestamp()
            yield


@dataclass(frozen=True, slots=True)
class Keyed:
    """How a daily feed is asked: with which key, and when."""

    key: SecretStr
    turn: Turn
