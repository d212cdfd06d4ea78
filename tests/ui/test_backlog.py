"""A worker that comes back after a quarter of an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.simulate import SimulatedFeed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ui.system import PrefectSystem

# A whole Prefect and a worker, which starts five runs at once.
pytestmark = pytest.mark.services


def test_a_backlog_is_skipped_and_what_a_person_starts_is_not(system: PrefectSystem, tmp_path: Path) -> None:
    """Late runs of the schedule end Skipped and ask for nothing; the one due and one started by hand collect."""
    with SimulatedFeed(seed=307) as feed:
        given: dict[str, Any] = {"local": str(tmp_path / "archive"), "api_url": feed.url}
        now = datetime.now(UTC)
        with system.schedule_since(now - timedelta(minutes=15), now, **given) as (*late, on_time):
            by_hand = system.schedule(due=now - timedelta(hours=1), **given)
            with system.worker(tmp_path / "worker.log"):
                skipped, collected = system.ended(*late), system.ended(on_time, by_hand)
        assert [run.state_name for run in skipped] == ["Skipped"] * 3
        assert {run.name.rpartition(": ")[2] for run in skipped} == {"skipped, too late"}
        assert [run.auto_scheduled for run in collected] == [True, False]
        assert ([run.state_name for run in collected], feed.hits) == (["Completed"] * 2, 2)
        assert {run.name.rpartition(": ")[2] for run in collected} == {"stored, quiet", "nothing new"}
