"""The alerts that ship, on a real server."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.market import snapshot_body
from tests.waiting import until

if TYPE_CHECKING:
    from tests.ui.system import PrefectSystem

# A whole Prefect, and the ten seconds and more that a proactive trigger takes.
pytestmark = pytest.mark.services

_RUN = "import sys; from flows.collect import collect; collect(local=sys.argv[1], api_url=sys.argv[2])"


def fired(system: PrefectSystem) -> list[str | None]:
    """The names of the automations that fired, in order."""
    return [event.resource.name for event in reversed(system.events("prefect.automation.triggered"))]


def test_drift_and_silence_are_told(system: PrefectSystem, tmp_path: Path) -> None:
    """Made from the file, one automation fires on drifted bodies, once, and the other when nothing more is stored."""
    shortened = tmp_path / "automations.yaml"
    shortened.write_text(Path("flows/automations.yaml").read_text().replace("within: 900", "within: 10"))
    system.command("automation", "create", "--from-file", str(shortened))
    with SimulatedFeed(seed=307) as feed:
        for _ in range(2):
            body = snapshot_body(feed.interval_end, seed=307)
            feed.script(Reply(body=body.replace(b'"Price"', b'"Zone":"3","Price"')))
            command = [sys.executable, "-c", _RUN, str(tmp_path / "archive"), feed.url]
            subprocess.run(command, env=system.environment, check=True, capture_output=True, timeout=120)
            feed.advance()
    assert until(lambda: "miso-reserve nothing stored" in fired(system), timeout=60)
    drifts = [event for event in system.events("miso-reserve.feed.drifted") if event.resource.id == "miso-reserve.dev"]
    assert len(drifts) == 2
    assert fired(system).count("miso-reserve feed drifts") == 1
    silence = system.events("prefect.automation.triggered")[0]
    assert silence.resource.name == "miso-reserve nothing stored"
    stored = [event.occurred for event in system.events("miso-reserve.snapshot.stored")]
    assert silence.occurred - max(time for time in stored if time < silence.occurred) >= timedelta(seconds=10)
