"""The deployments without a work pool: one process that serves them, and starts one for each run."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cyclopts import App
from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule

from flows.collect import collect
from flows.compact import compact
from flows.gaps import gaps
from flows.report import report
from flows.sweep import sweep
from miso_archive.feeds import ALL, DAILY, FEEDS, FeedChoice
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.intervals.labels import EST, EST_NAME, INTERVAL
from miso_archive.intervals.polite import MOST_POLLS, POLITE_GAP
from miso_archive.settings.options import is_simulated
from miso_archive.text import stripped

ON_THE_GRID = datetime(2026, 1, 1, tzinfo=EST)
_APART = timedelta(seconds=3)
_AFTER = timedelta(minutes=30)

app = App(help="Serve the deployments until interrupted. What runs need comes from the environment, as for a worker.")


def deployments(
    every: float, poll_gap: float, environment: str, feed: FeedChoice = "reserve"
) -> list[RunnerDeployment]:
    """Return what prefect.yaml deploys, with the seconds between runs and between polls.

    Each feed has a deployment, a few seconds after the one before, and all of them have one together; that of ``feed``
    is active, and those of the daily feeds are where a key is set. A feed on this machine is simulated: its days are
    not compacted, nor made pages of, but by hand; and MISO's reports say nothing of its intervals: without reports of
    its own, named by MISO_REPORTS_URL, its gaps stay.
    """
    interval = Interval(timedelta(seconds=every), anchor_date=ON_THE_GRID, timezone=EST_NAME)
    pace: dict[str, Any] = {"environment": environment, "polls": MOST_POLLS, "poll_gap": poll_gap}
    made: list[Any] = []
    for number, (name, each) in enumerate(FEEDS.items()):
        schedule = replace(interval, anchor_date=ON_THE_GRID + number * _APART, active=name == feed)
        # The first runs with what it ran with before there was another.
        parameters = pace if each.is_first else pace | {"feed": name}
        made.append(_collecting(each.tag, environment, schedule, parameters))
    has_key = _set("MISO_API_KEY") or _set("MISO_API_KEY_BLOCK")
    for name, each in DAILY.items():
        schedule = replace(_daily(each), active=bool(has_key))
        made.append(_collecting(each.tag, environment, schedule, {"environment": environment, "feed": name}))
    simulated = is_simulated(_set("MISO_API_URL") or _set("MISO_API_BASE"))
    # The days of a simulated host are of 2001: all count as closed, also the one that is being collected, whose later
    # intervals a compacted month would hide until the next compaction; and the one that closed last has no page.
    compacting = Cron("30 1 * * *", timezone=EST_NAME, active=not simulated)
    reporting = Cron("0 2 * * *", timezone=EST_NAME, active=not simulated)
    made += [
        _collecting(ALL, environment, replace(interval, active=feed == ALL), pace | {"feed": ALL}),
        compact.to_deployment("compact", schedule=compacting, tags=["miso", "reserve"]),
        sweep.to_deployment("sweep", schedule=Cron("30 2 * * *", timezone=EST_NAME), tags=["miso", "reserve"]),
        report.to_deployment("report", schedule=reporting, tags=["miso"]),
    ]
    if _set("MISO_REPORTS_URL") or not simulated:
        # A day's report is out on the next day; the hour of 13:00 is inferred, not known.
        daily = Cron("0 13 * * *", timezone=EST_NAME)
        made.append(gaps.to_deployment("gaps", schedule=daily, tags=["miso", "reserve"]))
    # The host shows the fuels of today and yesterday.
    often = Cron("50 5,11,17,23 * * *", timezone=EST_NAME, active=feed in {FUEL_MIX.name, ALL})
    of_fuels: Any = gaps.to_deployment(
        "gaps-fuel-mix", schedule=often, parameters={"feed": FUEL_MIX.name}, tags=["miso", FUEL_MIX.tag]
    )
    made.append(of_fuels)
    return made


def _daily(feed: Feed) -> Schedule:
    """Return the schedule of a daily feed: half an hour after a market day can be there."""
    if feed.daily is None:
        raise TypeError(f"{feed.name} is no daily feed")
    time = ON_THE_GRID + feed.daily.out + _AFTER
    return Cron(f"{time.minute} {time.hour} * * *", timezone=EST_NAME)


def _collecting(tag: str, environment: str, schedule: Schedule, parameters: dict[str, Any]) -> RunnerDeployment:
    called = tag if environment == "dev" else f"{tag}-{environment}"
    made: Any = collect.to_deployment(called, schedule=schedule, parameters=parameters, tags=["miso", tag])
    return made  # type: ignore[no-any-return]


def _set(variable: str) -> str:
    return stripped(os.environ.get(variable, ""))


@app.default
def main(
    *,
    every: float = INTERVAL.total_seconds(),
    poll_gap: float = POLITE_GAP,
    environment: str = "dev",
    feed: FeedChoice = "reserve",
) -> None:
    """Serve until interrupted.

    Args:
        every: Seconds from one run to the next.
        poll_gap: Seconds between the polls of a run.
        environment: The namespace: dev, staging or prod.
        feed: Which deployment is active: a feed's, or all, which collects every feed in one run.
    """
    serve(*deployments(every, poll_gap, stripped(environment), feed))


if __name__ == "__main__":
    app()
