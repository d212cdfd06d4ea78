"""A folder that is collected into, and its status."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from miso_archive.feeds.reserve import RESERVE
from miso_archive.health.status import Status, status
from miso_archive.intervals.labels import EST
from miso_archive.settings.options import Settings
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 7, 27, 8, 14, tzinfo=EST)
MINUTE = timedelta(minutes=1)


def keep(folder: Path, body: bytes, fetched_at: datetime = NOW) -> Response:
    """Store or refuse a body in a folder, as a run does."""
    response = Response(body, fetched_at, "http://feed.test/", "application/json")
    verdict = RESERVE.examine(body)
    archive = Folder(folder)
    if verdict.snapshot is None:
        store_refused(archive, RESERVE, response, verdict.reasons)
    else:
        store_snapshot(archive, RESERVE, verdict.snapshot, response)
    return response


def looked_at(folder: Path, *, now: datetime = NOW, **given: Any) -> Status:  # noqa: ANN401 - the settings' own
    """The status of a folder, stale after 15 minutes."""
    return status(Settings(local=folder, **given), RESERVE, stale_after=15 * MINUTE, now=now)


def ends(*clock: str) -> list[datetime]:
    """Interval ends of the day, by the clock."""
    return [datetime.combine(NOW.date(), datetime.strptime(time, "%H:%M").time(), EST) for time in clock]  # noqa: DTZ007 - a time of day
