"""A worker that comes back after half an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from miso_reserve.simulate import SimulatedFeed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ui.system import PrefectSystem

# A whole Prefect and a worker, which starts seven runs at once.
pytestmark = pytest.mark.services


def test_a_backlog_is_skipped_and_the_next_run_collects(system: PrefectSystem, tmp_path: Path) -> None:
    """Six late runs end Skipped within seconds and without a request, and the run that is due collects."""
    with SimulatedFeed(seed=307) as feed:
        given: dict[str, Any] = {"local": str(tmp_path / "archive"), "api_url": feed.url}
        now = datetime.now(UTC)
        late = [system.schedule(due=now - timedelta(minutes=minutes), **given) for minutes in range(10, 40, 5)]
        with system.worker(tmp_path / "worker.log"):
            on_time = system.schedule(**given)
            skipped, (collected,) = system.ended(*late, timeout=180), system.ended(on_time)
        assert [run.state_name for run in skipped] == ["Skipped"] * 6
        assert {run.name.rpartition(": ")[2] for run in skipped} == {"skipped, too late"}
        assert max(run.total_run_time for run in skipped) < timedelta(seconds=20)
        assert (collected.state_name, feed.hits) == ("Completed", 1)
        assert collected.name.endswith(": stored, quiet")
