"""The deployment that ships, on a real Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule


def test_the_deployments_collect_every_300_seconds_and_compact_daily(prefect_server: dict[str, str]) -> None:
    """``prefect deploy --all`` makes both: collecting every 300 s on the feed's grid, compacting at 01:30 EST."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="miso-reserve", type="process"))
        subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            env={**os.environ, **prefect_server},
            check=True,
            capture_output=True,
            timeout=120,
        )
        deployment = client.read_deployment_by_name("collect/reserve")
        daily = client.read_deployment_by_name("compact/daily")
    (schedule,) = deployment.schedules
    assert schedule.active
    assert isinstance(schedule.schedule, IntervalSchedule)
    assert schedule.schedule.interval == timedelta(seconds=300)
    assert schedule.schedule.anchor_date.timestamp() % 300 == 0
    assert deployment.entrypoint == "flows/collect.py:collect"
    assert deployment.parameters == {"environment": "dev", "polls": 5}
    (at_night,) = daily.schedules
    assert at_night.active
    assert isinstance(at_night.schedule, CronSchedule)
    assert (at_night.schedule.cron, at_night.schedule.timezone) == ("30 1 * * *", "Etc/GMT+5")
    assert daily.entrypoint == "flows/compact.py:compact"
