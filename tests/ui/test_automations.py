"""The alerts that ship, on a real server."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import requests

from miso_archive.collecting.told import stored_event
from miso_archive.feeds import FEEDS
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.market import snapshot_body
from miso_archive.store.put_once import Stored
from tests.ui.system import PATIENCE
from tests.waiting import until

if TYPE_CHECKING:
    from miso_archive.feeds.feed import Feed
    from tests.ui.system import PrefectSystem

# A whole Prefect, and the ten seconds and more that a proactive trigger takes.
pytestmark = pytest.mark.services

_RUN = "import sys; from flows.collect import collect; collect(local=sys.argv[1], api_url=sys.argv[2])"


def fired(system: PrefectSystem) -> list[str | None]:
    """The names of the automations that fired, in order."""
    return [event.resource.name for event in reversed(system.events("prefect.automation.triggered"))]


@pytest.fixture(scope="module", autouse=True)
def _automations(system: PrefectSystem, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Those of the file, which take ten seconds for fifteen minutes."""
    shortened = tmp_path_factory.mktemp("automations") / "automations.yaml"
    shortened.write_text(Path("flows/automations.yaml").read_text().replace("within: 900", "within: 10"))
    system.command("automation", "create", "--from-file", str(shortened))


def store(system: PrefectSystem, feed: Feed) -> None:
    """Tell the server what a run tells that has stored the recorded body of a feed."""
    snapshot = feed.examine(feed.recorded.read_bytes()).snapshot
    assert snapshot is not None
    event = stored_event(feed, "dev", snapshot, Stored("key", written=True))
    made = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": event.name}
    told = [{**made, "resource": event.resource, "payload": event.payload}]
    requests.post(f"{system.url}/api/events", json=told, timeout=10).raise_for_status()


def test_a_silent_feed_is_told_though_the_others_speak(system: PrefectSystem) -> None:
    """While one sister stores again and again, another is told: the automation names whose event was the last."""
    store(system, FEEDS["fuel_mix"])

    def is_told() -> bool:
        store(system, FEEDS["transmission"])
        return "miso sister feeds nothing stored" in fired(system)

    assert until(is_told, timeout=PATIENCE, pause=2)
    told = [event for event in system.events("prefect.automation.triggered") if "sister" in (event.resource.name or "")]
    triggering = {related.id.removeprefix("prefect.event.") for event in told for related in event.related}
    assert triggering & {str(event.id) for event in system.events("miso-fuel-mix.snapshot.stored")}
    assert not triggering & {str(event.id) for event in system.events("miso-transmission.snapshot.stored")}


def test_drift_and_silence_are_told(system: PrefectSystem, tmp_path: Path) -> None:
    """Made from the file, one automation fires on drifted bodies, once, and the other when nothing more is stored."""
    with SimulatedFeed(seed=307) as feed:
        for _ in range(2):
            body = snapshot_body(feed.interval_end, seed=307)
            feed.script(Reply(body=body.replace(b'"Price"', b'"Zone":"3","Price"')))
            command = [sys.executable, "-c", _RUN, str(tmp_path / "archive"), feed.url]
            subprocess.run(command, env=system.environment, check=True, timeout=PATIENCE)
            feed.advance()

    def stored() -> list[datetime]:
        told = system.events("miso-reserve.snapshot.stored")
        return [event.occurred for event in told if event.resource.id == "miso-reserve.dev"]

    assert until(lambda: len(stored()) == 2, timeout=PATIENCE)
    last = max(stored())

    def is_told() -> bool:
        # On a busy machine ten seconds may pass between the two runs, too: that silence is told of by itself.
        firings = system.events("prefect.automation.triggered")
        silences = [one.occurred for one in firings if one.resource.name == "miso-reserve nothing stored"]
        return any(silence >= last + timedelta(seconds=10) for silence in silences)

    assert until(is_told, timeout=PATIENCE)
    drifts = [event for event in system.events("miso-reserve.feed.drifted") if event.resource.id == "miso-reserve.dev"]
    assert len(drifts) == 2
    assert fired(system).count("miso-reserve feed drifts") == 1
