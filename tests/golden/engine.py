"""What runs show of themselves in Prefect: names, states, tasks, artifacts, events. On a real server."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from flows.collect import collect
from flows.compact import compact
from flows.gaps import gaps
from tests.flows.test_collect import events_of, flow_run_of, published, task_runs_of
from tests.golden.steady import steady
from tests.golden.story import DAY, DRIFTED, REFUSED, Host, one_day_of_reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prefect.client.schemas.objects import Artifact, State


def runs(folder: Path, redis_url: str) -> str:
    """A run that stores and meets drift, one that is refused, and one of each other flow but the sweep."""
    host = Host()
    told: list[str] = []
    host.reports = one_day_of_reports()
    with host.serving() as url:
        for body, events in ((DRIFTED, 2), (REFUSED, 1)):
            host.body = body
            state = collect(local=folder, api_url=f"{url}/feed", environment="prod", return_state=True)
            told += [*_told(state), *_events(state, events)]
        told += _told(compact(local=folder, start=DAY, end=date(2026, 8, 1), return_state=True))
        to = {"local": folder, "reports_url": f"{url}/reports"}
        told += _told(gaps(**to, days=1, end=date(2026, 7, 28), return_state=True))
    return steady("".join(told), {str(folder): "FOLDER", redis_url: "REDIS"})


def _told(state: State[Any]) -> Iterator[str]:
    yield f"{flow_run_of(state).name}\n  {state.type.value} {state.name}: {state.message}\n"
    yield f"  result {json.dumps(state.result(raise_on_failure=False), default=str)}\n"
    yield from (f"  task {name}\n" for name in sorted(task_runs_of(state)))
    for artifact in _artifacts(state):
        yield f"  artifact {artifact.key}, {artifact.type}: {artifact.description}\n"
        yield "".join(f"    {line}\n" for line in str(artifact.data).splitlines())
    yield "\n"


def _artifacts(state: State[Any]) -> list[Artifact]:
    """Return what a run published, of the same key in its order; a persisted result has no key."""
    return sorted((one for one in published(state) if one.key), key=lambda one: str(one.key))


def _events(state: State[Any], expected: int) -> Iterator[str]:
    for event in sorted(events_of(state, expected), key=lambda event: event.event):
        yield f"event {event.event}\n  {json.dumps(event.resource.root)}\n  {json.dumps(event.payload)}\n"
    yield "\n"
