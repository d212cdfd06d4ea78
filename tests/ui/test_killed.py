"""A run whose process is killed, and its retry."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from prefect.states import Scheduled

from miso_archive.simulate import SimulatedFeed
from tests.services.kafka import mock_cluster, read_messages
from tests.services.proxy import FaultProxy
from tests.ui.system import PATIENCE
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.ui.system import PrefectSystem

# A whole Prefect and a worker, which starts a run twice.
pytestmark = pytest.mark.services


def test_a_killed_run_is_retried_with_its_body(system: PrefectSystem, tmp_path: Path) -> None:
    """Killed with -9 between archive and Kafka, a run is Crashed; retried it announces, and asks the feed nothing."""
    archive = tmp_path / "archive"
    with SimulatedFeed(seed=307) as feed, mock_cluster() as broker:
        host, _, port = broker.rpartition(":")
        # The client asks the broker named at first who leads the topic: behind this it never learns.
        with FaultProxy(host, int(port)) as kafka:
            kafka.mode = "blackhole"
            environment = {"KAFKA_CONNECTION_STRING": f"127.0.0.1:{kafka.port}/killed"}
            working = replace(system, environment=system.environment | environment)
            with working.worker(tmp_path / "worker.log"):
                run = system.schedule(local=str(archive), api_url=feed.url)
                assert until(lambda: len(objects(archive)) == 1, timeout=PATIENCE)
                kill(run)
                system.ended(run)
                assert (system.run(run).state_name, feed.hits) == ("Crashed", 1)
                feed.advance()
                kafka.mode = "pass"
                with system.client() as client:
                    client.set_flow_run_state(run, Scheduled(name="AwaitingRetry"), force=True)
                assert until(lambda: system.run(run).state_name == "Completed", timeout=PATIENCE, pause=0.5)
        [message] = read_messages(broker, "killed", expected=1)
        assert [json.loads(message.value() or b"")["key"]] == objects(archive)
        assert (system.run(run).run_count, feed.hits) == (2, 1)
        assert not list(archive.glob("unannounced/**/*.json"))


def objects(archive: Path) -> list[str]:
    """The keys of the snapshots that stand in an archive."""
    return [str(path.relative_to(archive)) for path in archive.glob("sourcing/*/*/*.json.gz")]


def kill(run: UUID) -> None:
    """Kill the process of a run, as by kill -9."""
    killed = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run):
                process.kill()
                killed += 1
    assert killed
