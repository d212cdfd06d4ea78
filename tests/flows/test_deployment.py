"""The deployments that ship, on a real Prefect server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent, Resource
from prefect.server.schemas.schedules import CronSchedule as ServersSchedule
from prefect.settings import Settings
from prefect.types._datetime import now

from flows.serve import app as serving
from flows.serve import deployments as served_deployments
from flows.sweep import sweep
from flows.up import server_settings
from miso_archive.collecting.told import DRIFTED, PAGE_STORED, STORED, drift_label, event_name, events_of, stored_event
from miso_archive.contract.findings import Finding, WarningCode
from miso_archive.feeds import ALL, DAILY, FEEDS, KNOWN
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.intervals.polite import POLITE_GAP
from miso_archive.settings.options import Settings as MisoSettings
from miso_archive.store.put_once import Stored

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.deployments.runner import RunnerDeployment

FLOWS = Path("flows")
COLLECT = "flows/collect.py:collect"
COLLECTING = {ALL, *(feed.tag for feed in KNOWN.values())}
"""The deployments that collect: one a feed, and one of all live ones."""


@pytest.fixture(scope="module")
def deployments(prefect_server: dict[str, str]) -> dict[str, DeploymentResponse]:
    """What ``prefect deploy --all`` makes, by name."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="miso-reserve", type="process"))
        subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            env={**os.environ, **prefect_server},
            check=True,
            capture_output=True,
            timeout=120,
        )
        return {deployment.name: deployment for deployment in client.read_deployments()}


@pytest.mark.parametrize(("name", "environment"), [("", "dev"), ("-staging", "staging"), ("-prod", "prod")])
def test_each_environment_collects_every_300_seconds(
    deployments: dict[str, DeploymentResponse], name: str, environment: str
) -> None:
    """The deployment of an environment collects every 300 s on the feed's grid, and polls five times at most."""
    deployment = deployments[f"reserve{name}"]
    (schedule,) = deployment.schedules
    assert isinstance(schedule.schedule, IntervalSchedule)
    assert schedule.schedule.interval == timedelta(seconds=300)
    assert schedule.schedule.anchor_date.timestamp() % 300 == 0
    assert deployment.entrypoint == "flows/collect.py:collect"
    assert deployment.parameters == {"environment": environment, "polls": 5}


def test_one_deployment_alone_collects_unasked(deployments: dict[str, DeploymentResponse]) -> None:
    """Of all that collect one schedule is active: deploying all asks MISO no more than once a minute."""
    collecting = {name: one for name, one in deployments.items() if one.entrypoint == "flows/collect.py:collect"}
    assert {name for name, one in collecting.items() if one.schedules[0].active} == {"reserve"}
    assert collecting.keys() == {*COLLECTING, "reserve-staging", "reserve-prod"}


def test_each_feed_has_a_deployment_of_its_own(deployments: dict[str, DeploymentResponse]) -> None:
    """Its runs are found by its tag, begin some seconds apart from the others', and poll as reserve's do."""
    begun = set()
    for name, feed in FEEDS.items():
        deployment = deployments[feed.tag]
        assert deployment.tags == ["miso", feed.tag]
        assert {"feed": "reserve"} | deployment.parameters == {"environment": "dev", "polls": 5, "feed": name}
        (schedule,) = deployment.schedules
        assert isinstance(schedule.schedule, IntervalSchedule)
        assert schedule.schedule.interval == timedelta(seconds=300)
        begun.add(schedule.schedule.anchor_date.timestamp() % 300)
    assert len(begun) == len(FEEDS)
    # Each is there before the first poll, at twenty seconds past the minute.
    assert max(begun) < POLITE_GAP / 3


@pytest.mark.parametrize(
    ("feed", "cron"), [("da_exante_asm_mcp", "30 14 * * *"), ("rt_exante_lmp_history", "30 7 * * *")]
)
def test_a_daily_feed_is_collected_half_an_hour_after_its_day_is_out(
    deployments: dict[str, DeploymentResponse], feed: str, cron: str
) -> None:
    """Once a day, EST all year, and not unasked: it needs a key."""
    deployment = deployments[DAILY[feed].tag]
    assert deployment.parameters == {"environment": "dev", "feed": feed}
    (schedule,) = deployment.schedules
    assert isinstance(schedule.schedule, CronSchedule)
    assert (schedule.schedule.cron, schedule.schedule.timezone, schedule.active) == (cron, "Etc/GMT+5", False)
    out = DAILY[feed].daily
    assert out is not None
    hour, minute = divmod(int((out.out + timedelta(minutes=30)) / timedelta(minutes=1)) % (24 * 60), 60)
    assert cron.startswith(f"{minute} {hour} ")


def test_a_daily_feed_is_served_where_its_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """`flows.serve` switches the daily deployments on where the environment has a key, and off where it has none."""
    for variable, expected in (("MISO_API_KEY", True), ("MISO_API_KEY_BLOCK", True), ("HOME_OF_NOTHING", False)):
        with monkeypatch.context() as environment:
            environment.setenv(variable, "a-key")
            served: list[Any] = served_deployments(300, 60, "dev")
        daily = [one for one in served if one.name in {feed.tag for feed in DAILY.values()}]
        assert [one.schedules[0].active for one in daily] == [expected] * len(DAILY)


def test_one_deployment_collects_all_feeds_in_one_run(deployments: dict[str, DeploymentResponse]) -> None:
    """It takes every feed's place: on the grid, with their polls, and it waits until somebody asks for it."""
    deployment = deployments["all"]
    assert deployment.parameters == {"environment": "dev", "polls": 5, "feed": "all"}
    assert deployment.tags == ["miso", "all"]
    (schedule,) = deployment.schedules
    assert isinstance(schedule.schedule, IntervalSchedule)
    assert (schedule.schedule.interval, schedule.active) == (timedelta(seconds=300), False)
    assert schedule.schedule.anchor_date.timestamp() % 300 == 0


def test_gaps_of_the_fuel_mix_are_healed_four_times_a_day(deployments: dict[str, DeploymentResponse]) -> None:
    """The host shows two days, and the links are asked where somebody wants that feed."""
    deployment = deployments["gaps-fuel-mix"]
    assert (deployment.entrypoint, deployment.parameters) == ("flows/gaps.py:gaps", {"feed": "fuel_mix"})
    (schedule,) = deployment.schedules
    assert isinstance(schedule.schedule, CronSchedule)
    times = (schedule.schedule.cron, schedule.schedule.timezone, schedule.active)
    assert times == ("50 5,11,17,23 * * *", "Etc/GMT+5", False)
    for feed, expected in (("fuel_mix", True), ("all", True), ("reserve", False)):
        served: list[Any] = served_deployments(300, 60, "dev", feed)
        assert [one.schedules[0].active for one in served if one.name == "gaps-fuel-mix"] == [expected]


@pytest.mark.parametrize(
    ("name", "cron", "entrypoint"),
    [
        ("compact", "30 1 * * *", "flows/compact.py:compact"),
        ("report", "0 2 * * *", "flows/report.py:report"),
        ("sweep", "30 2 * * *", "flows/sweep.py:sweep"),
        ("gaps", "0 13 * * *", "flows/gaps.py:gaps"),
    ],
)
def test_what_runs_once_a_day(
    deployments: dict[str, DeploymentResponse], name: str, cron: str, entrypoint: str
) -> None:
    """Compacting runs at 01:30 EST, once the market day is closed, its page at 02:00, healing gaps at 13:00."""
    (schedule,) = deployments[name].schedules
    assert schedule.active
    assert isinstance(schedule.schedule, CronSchedule)
    assert (schedule.schedule.cron, schedule.schedule.timezone) == (cron, "Etc/GMT+5")
    assert deployments[name].entrypoint == entrypoint
    # As the server's scheduler reckons: where that ends in an error, as in Prefect 3.9.1, nothing is ever run.
    first, second = asyncio.run(ServersSchedule.model_validate(schedule.schedule.model_dump()).get_dates(2))
    assert f"{first.astimezone(EST):%-M %-H} * * *" == cron
    assert second - first == timedelta(days=1)


@pytest.mark.parametrize(("environment", "name"), [("dev", ""), ("staging", "-staging"), ("prod", "-prod")])
def test_what_is_served_is_what_is_deployed(
    deployments: dict[str, DeploymentResponse], monkeypatch: pytest.MonkeyPatch, environment: str, name: str
) -> None:
    """Without a work pool the same deployments have the same times, parameters and tags, for one environment."""
    served: list[RunnerDeployment] = []
    monkeypatch.setattr("flows.serve.serve", lambda *made: served.extend(made))
    serving(["--environment", environment], result_action="return_value")
    collecting = {f"{called}{name}": deployments[called] for called in COLLECTING}
    # Of other environments reserve's alone is deployed: a sister's is dev's under another name.
    expected = {
        called: deployments.get(called)
        or of_dev.model_copy(update={"name": called, "parameters": of_dev.parameters | {"environment": environment}})
        for called, of_dev in collecting.items()
    } | {called: one for called, one in deployments.items() if one.entrypoint != COLLECT}
    assert sorted(map(promised, served)) == sorted(map(promised, expected.values()))
    active = {str(one.name): [schedule.active for schedule in one.schedules or ()] for one in served}
    asleep = {*collecting, "gaps-fuel-mix"} - {f"reserve{name}"}
    assert active == {called: [called not in asleep] for called in expected}


def test_deployments_are_described_in_sentences(deployments: dict[str, DeploymentResponse]) -> None:
    """Each says what it does in whole sentences, deployed and served, without its parameters, which the form shows."""
    served: list[Any] = served_deployments(300, 60, "dev")
    for one in (*deployments.values(), *served):
        assert one.description.endswith(".")
        assert len(one.description.split()) > 10
        assert "Args" not in one.description
        assert "s3_bucket" not in one.description


@pytest.mark.parametrize("feed", ["fuel_mix", "all"])
def test_a_simulated_feed_may_be_served_faster(monkeypatch: pytest.MonkeyPatch, feed: str) -> None:
    """The seconds between runs and between polls, and the feed that is active, are those asked for."""
    served: list[RunnerDeployment] = []
    monkeypatch.setattr("flows.serve.serve", lambda *made: served.extend(made))
    serving(["--every", "30", "--poll-gap", "6", "--feed", feed], result_action="return_value")
    (collecting,) = [one for one in served if one.entrypoint == COLLECT and (one.schedules or [])[0].active]
    assert collecting.parameters == {"environment": "dev", "polls": 5, "poll_gap": 6.0, "feed": feed}
    (schedule,) = [created.schedule for created in collecting.schedules or ()]
    assert isinstance(schedule, IntervalSchedule)
    assert schedule.interval == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("base", "simulated"), [("http://127.0.0.1:8000/api", True), (None, False), ("https://mirror.example/api", False)]
)
def test_a_simulated_day_is_compacted_and_shown_by_hand(
    monkeypatch: pytest.MonkeyPatch, base: str | None, *, simulated: bool
) -> None:
    """Days of 2001 all count as closed: a compaction by night would hide what is collected of this one after it."""
    if base is not None:
        monkeypatch.setenv("MISO_API_BASE", base)
    served: list[Any] = served_deployments(300, 60, "dev", "all")
    active = {one.name: one.schedules[0].active for one in served}
    assert (active["compact"], active["report"]) == (not simulated, not simulated)
    assert (active["all"], active["sweep"]) == (True, True)


def promised(deployment: DeploymentResponse | RunnerDeployment) -> tuple[str, ...]:
    """What a deployment runs, when, under which tags, and with which settings, defaults included."""
    entrypoint, parameters = str(deployment.entrypoint), dict(deployment.parameters)
    if entrypoint == COLLECT:
        feed = parameters.pop("feed", "reserve")
        settled = f"{feed} {MisoSettings.resolve({**parameters, 'local': 'place'}, {})!r}"
    else:
        path, _, function = entrypoint.partition(":")
        flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), function)
        settled = repr({name: value.default for name, value in signature(flow).parameters.items()} | parameters)
    schedules = [schedule.schedule for schedule in deployment.schedules or ()]
    times = sorted(schedule.model_dump_json() for schedule in schedules if schedule is not None)
    return str(deployment.name), entrypoint, *times, *sorted(deployment.tags or ()), settled


def test_old_results_are_swept(prefect_server: dict[str, str]) -> None:
    """Sweeping deletes results older than its days, no younger ones, nothing else that lies there, and never all."""
    storage = Path(prefect_server["PREFECT_LOCAL_STORAGE_PATH"])
    storage.mkdir(exist_ok=True)
    for name, days in (("a" * 32, 15), ("b" * 64, 15), ("c" * 32, 13), ("notes.txt", 15)):
        (storage / name).write_bytes(b"{}")
        written = (storage / name).stat().st_mtime - days * 86400
        os.utime(storage / name, (written, written))
    before = set(storage.iterdir())
    assert sweep(days=16) == 0
    assert sweep() == 2
    assert before - set(storage.iterdir()) == {storage / ("a" * 32), storage / ("b" * 64)}
    refused: Any = sweep(days=0, return_state=True)
    assert refused.is_failed()
    assert refused.message.startswith("wrong_parameters: days is at least 1")


def test_the_servers_settings_bound_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """What flows/server.env sets is read by Prefect: runs go after as long as their results, and events go too.

    Some runs of all feeds at once, a thread a feed, leave it connections.
    """
    for name, value in server_settings().items():
        monkeypatch.setenv(name, value)
    server = Settings().server
    assert {"flow_runs", "orphans", "events"} <= server.services.db_vacuum.enabled_vacuum_types
    assert server.services.db_vacuum.retention_period == timedelta(days=14)
    assert server.events.retention_period == timedelta(days=3)
    assert (server.database.sqlalchemy.pool_size or 0) > 5 * len(FEEDS)


def test_the_automations_wait_for_the_events_that_are_sent() -> None:
    """Reserve's automations are such as Prefect takes, watch each environment apart, and name events that runs send."""
    stopped, drifted, *_ = (made for made in triggers(AutomationCore) if isinstance(made, EventTrigger))
    assert (stopped.posture.value, stopped.within) == ("Proactive", timedelta(minutes=15))
    assert stopped.after == stopped.expect == {event_name(RESERVE, STORED)}
    assert (drifted.posture.value, drifted.within, drifted.expect) == (
        "Reactive",
        timedelta(days=1),
        {event_name(RESERVE, DRIFTED)},
    )
    label = drift_label(RESERVE)
    assert drifted.for_each == stopped.for_each | {label} == {"prefect.resource.id", label}


def triggers(kind: Any) -> list[Any]:  # noqa: ANN401 - the client's automation, or the server's
    """The triggers of the automations, in the file's order, as the client or the server reads them."""
    automations = yaml.safe_load((FLOWS / "automations.yaml").read_text())["automations"]
    return [kind.model_validate(automation).trigger for automation in automations]


def test_each_feed_is_watched_by_itself() -> None:
    """By the server's own reckoning each event is one automation's, counted by feed, environment and kind of drift."""
    counted: dict[str, set[tuple[str, ...]]] = {}
    for feed in KNOWN.values():
        body = feed.recorded.read_bytes()
        verdict = feed.examine(body)
        assert verdict.snapshot is not None
        drifting = replace(verdict, warnings=(Finding(WarningCode.UNKNOWN_FIELD, "New", "is new"),))
        for environment in ("dev", "prod"):
            stored = stored_event(feed, environment, verdict.snapshot, Stored("key", written=True))
            [drift, *_] = events_of(feed, environment, drifting)
            for event in (stored, drift):
                received = ReceivedEvent(
                    event=event.name,
                    resource=Resource(event.resource),
                    payload=event.payload,
                    occurred=now("UTC"),
                    received=now("UTC"),
                    id=uuid4(),
                )
                what = event.name.split(".", 1)[1]
                [watching] = [
                    made for made in triggers(Automation) if made.covers(received) and made.expects(event.name)
                ]
                assert watching.starts_after(event.name) is (event is stored)
                counted.setdefault(what, set()).add(watching.bucketing_key(received))
    assert {what: len(buckets) for what, buckets in counted.items()} == {
        STORED: 2 * len(FEEDS),
        PAGE_STORED: 2 * len(DAILY),
        DRIFTED: 2 * len(KNOWN),
    }
    assert {kind for _, kind in map(sorted, counted[DRIFTED])} == {"unknown_field"}
