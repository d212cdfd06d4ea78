"""The keyed API: one request at a time, no more than a hundred a minute, with a key that goes nowhere else."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from threading import Lock
from typing import Final

from pydantic import SecretStr

from miso_archive.collecting import fetch as fetching
from miso_archive.collecting.pace import Clock
from miso_archive.collecting.steps import Candidate
from miso_archive.contract.findings import FailureCode
from miso_archive.contract.pages import standing
from miso_archive.contract.verdict import Snapshot
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.settings.options import KeyedSettings, UsageError, is_key
from miso_archive.store.block import saved_secret
from miso_archive.store.gzipped import unzipped
from miso_archive.store.listing import find_snapshots
from miso_archive.store.response import Response
from miso_archive.store.store import Store
from miso_archive.text import shown

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

    def fetch(self, candidate: Candidate, clock: Clock) -> Response | None:
        """Wait for the turn, then ask for a page; None when it is not there (404).

        Raises:
            CollectionError: As ``fetch.fetch`` does.
        """
        try:
            with self.turn.taken():
                return fetched(candidate, clock, self.key.get_secret_value())
        except fetching.NotFoundError:
            return None


def fetched(candidate: Candidate, clock: Clock, key: str | None = None) -> Response:
    """Ask for a candidate's body, as fetched by the run's clock.

    A step of the machine's does not reach that one, and a simulated hour is in that hour.
    """
    try:
        return replace(fetching.fetch(candidate.url, candidate.timeout, key=key), fetched_at=clock.now())
    except fetching.UndecodedError as error:
        if error.response is not None:
            error.response = replace(error.response, fetched_at=clock.now())
        raise


def pages_in(store: Store, feed: Feed, day: date) -> dict[str, list[Snapshot]]:
    """Return by node the first pages that stand of a market day, without a hole.

    Raises:
        ArchiveError: The archive fails.
    """
    snapshots, _ = find_snapshots(store, feed, [day])
    found: list[Snapshot] = []
    for data in store.read(snapshots.keys):
        with suppress(OSError, zlib.error):  # one that cannot be read is asked for anew
            snapshot = feed.examine(unzipped(data)).snapshot
            found += [] if snapshot is None else [snapshot]
    return standing(found)


def key_of(settings: KeyedSettings) -> SecretStr:
    """Return the key of the daily feeds, which the settings hold or a block.

    Raises:
        CollectionError: The block cannot be loaded, or holds no key.
        UsageError: There is neither.
    """
    if settings.api_key is not None:
        return settings.api_key
    if settings.api_key_block is None:
        raise UsageError("a daily feed needs a key: MISO_API_KEY, or a Secret block (--api-key-block)")
    held = saved_secret(settings.api_key_block)
    if not is_key(held):
        message = f"the Secret block {shown(settings.api_key_block)} holds no key: letters, digits and signs of ASCII"
        raise CollectionError(FailureCode.BLOCK_NOT_FOUND, message)
    return SecretStr(held)
