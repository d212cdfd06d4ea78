"""The flow that heals gaps: coverage of the last market days, and one task for each day to backfill."""

import os
from dataclasses import asdict
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from flows.described import in_sentences
from flows.failures import FORESEEN, failed, tell_in_one_line
from flows.harmless import harmless
from flows.task_runner import task_runner, task_runner_or_threads
from miso_archive.collecting.pace import SystemClock
from miso_archive.feeds import KNOWN
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.healing.backfill import backfill
from miso_archive.healing.backfilled import BackfilledDay, BackfillResult
from miso_archive.healing.market_days import backfill_market_days, require_key
from miso_archive.healing.newest_first import MOST_NOT_PUBLISHED, is_nothing_published
from miso_archive.healing.rolling import backfill_rolling
from miso_archive.intervals.market_days import ONE_DAY, market_day, open_day
from miso_archive.reading.coverage import coverage
from miso_archive.settings.options import BackfillSettings, UsageError, with_fields_named
from miso_archive.store.address import standing, store_of
from miso_archive.store.store import Store

tell_in_one_line()

if TYPE_CHECKING:
    HealedFeed: TypeAlias = str
else:
    HealedFeed = Literal[tuple(name for name, feed in KNOWN.items() if feed.next_day_report or feed.is_filled)]
    """Whose gaps can be healed: a choice in a form."""


# No retries: the library tries again by itself, and tomorrow's run asks for what is left.
@task(name="backfill day", task_run_name="backfill {market_day}", cache_policy=NO_CACHE)
def backfill_one(settings: BackfillSettings, market_day: date, feed: str = RESERVE.name) -> BackfilledDay:
    """Fetch, check and archive what heals one market day. A day that failed fails the task, and is its result."""
    known, after = KNOWN[feed], market_day + ONE_DAY
    heal = backfill_market_days if known.is_filled else backfill
    result = heal(settings, known, start=market_day, end=after)
    # Without a day in it nothing is missing any more.
    (day,) = result.days or (BackfilledDay(market_day, "already"),)
    if result.failed:
        return Failed(message=_told(day), data=day)  # type: ignore[return-value]
    return day


@task(name="backfill links", task_run_name="backfill links of {feed}", cache_policy=NO_CACHE)
def backfill_links(settings: BackfillSettings, feed: str) -> BackfillResult:
    """Fetch, check and archive what links of today and yesterday show. A link that failed fails the task."""
    result = backfill_rolling(settings, KNOWN[feed])
    if result.failed:
        message = "; ".join(map(_told, result.failures))
        return Failed(message=message, data=result)  # type: ignore[return-value]
    return result


@in_sentences
@flow(name="gaps", flow_run_name="heal gaps", task_runner=task_runner_or_threads(os.environ), persist_result=True)
def gaps(  # noqa: PLR0913 - one parameter an option, as people set them in the UI
    *,
    feed: HealedFeed = "reserve",
    s3_block: str | None = None,
    s3_bucket: str | None = None,
    local: Path | None = None,
    aws_profile: str | None = None,
    reports_url: str | None = None,
    keyed_api_base: str | None = None,
    api_key_block: str | None = None,
    days: int = 30,
    end: date | None = None,
    pause: float | None = None,
) -> dict[str, dict[str, Any]]:
    """Heal the gaps of closed market days from MISO's next-day reports or daily feeds, and publish the coverage.

    Newest first. What is left empty comes from the worker's environment, where the key of the daily feeds may stand
    (MISO_API_KEY). Safe to repeat, and beside running collectors. Returns what became of each market day that had
    unhealed gaps. A day that failed, or whose report was refused, fails the run after all others are done; a report
    that is not published yet does not.

    Args:
        feed: Whose gaps; a daily feed's are the market days that it lacks.
        s3_block: The name of a saved Prefect S3Bucket block.
        s3_bucket: The S3 bucket, instead.
        local: A folder, instead.
        aws_profile: The AWS profile whose credentials and endpoint are used.
        reports_url: Where the reports are, instead of MISO_REPORTS_URL or MISO's own address.
        keyed_api_base: Where the daily feeds are, instead of MISO_KEYED_API_BASE or MISO's own address.
        api_key_block: The name of a saved Prefect Secret block with the key of the daily feeds.
        days: How many closed market days to look at, also where the archive begins later.
        end: The market day after the last; the one after the last closed one when empty.
        pause: Seconds from the start of one day's task to the next, and of one task's requests; 5 when empty.
    """
    given: dict[str, Any] = {"s3_block": s3_block, "s3_bucket": s3_bucket, "local": local, "aws_profile": aws_profile}
    clock, known = SystemClock(), KNOWN[feed]
    last = open_day(clock.now()) if end is None else min(end, open_day(clock.now()))
    try:
        if days < 1:
            raise UsageError(f"days is at least 1: {days}")
        task_runner(os.environ)
        given |= {"keyed_api_base": keyed_api_base, "api_key_block": api_key_block}
        settings = BackfillSettings.resolve({**given, "reports_url": reports_url, "pause": pause}, os.environ)
        if known.is_filled and known.rolling is None:
            require_key(settings, known)
        store = standing(store_of(settings))
        look = partial(_coverage, store, known, start=last - timedelta(days=days), end=last)
        before = look()
    except FORESEEN as error:
        return failed(error)  # type: ignore[no-any-return]
    _publish(known, store.location, before, before, BackfillResult(()))
    if known.rolling is not None:
        result = _links(backfill_links.submit(settings, feed))
    else:
        unhealed = before.filter(pl.col("missing") > pl.col("healed"))["market_day"].sort(descending=True)
        result = _one_after_another(settings, known, unhealed.to_list(), clock)
    done = {str(day.market_day): asdict(day) | {"market_day": str(day.market_day)} for day in result.days}
    if done:
        _publish(known, store.location, before, look(), result)
    if result.failed:
        message = with_fields_named("; ".join(map(_told, result.failures)))
        # Prefect takes the state a flow returns as the run's own, and keeps the result in it.
        return Failed(message=message, data=done)  # type: ignore[return-value]
    return done


def _one_after_another(settings: BackfillSettings, feed: Feed, days: list[date], clock: SystemClock) -> BackfillResult:
    """Backfill days in a task each, some seconds apart; end where nothing is published any more."""
    futures: dict[date, Any] = {}
    for day in days:
        if futures:
            clock.sleep(settings.pause)
        if is_nothing_published(_latest(futures)):
            break
        futures[day] = backfill_one.submit(settings, day, feed.name)
        if feed.is_filled:  # MISO's keyed API is asked for one thing at a time
            futures[day].wait()
    return BackfillResult(tuple(_became(day, future) for day, future in futures.items()))


def _latest(futures: dict[date, Any]) -> list[BackfilledDay]:
    """Return what became of the latest days, as many as tell whether there is anything more; the last may be under way.

    Where MISO takes longer to answer than the pause is long, one always is.
    """
    known = list(futures.items())
    while known and not known[-1][1].state.is_final():
        known.pop()
    return [_became(day, future) for day, future in known[-MOST_NOT_PUBLISHED:] if future.state.is_final()]


def _links(future: Any) -> BackfillResult:  # noqa: ANN401 - the future of any task runner
    """Wait for the task of the links. One that did not come to its result is a failed day, today's."""
    became = _result_of(future)
    if isinstance(became, BackfillResult):
        return became
    return BackfillResult((_broken_off(market_day(SystemClock().now()), became),))


def _became(day: date, future: Any) -> BackfilledDay:  # noqa: ANN401 - the future of any task runner
    """Wait for a day's task. One that did not come to its result is a failed day as well."""
    became = _result_of(future)
    return became if isinstance(became, BackfilledDay) else _broken_off(day, became)


def _result_of(future: Any) -> object:  # noqa: ANN401 - the future of any task runner
    """Wait for a task, and return its result; else what it raised, or what ended its process."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as error:  # noqa: BLE001 - Dask raises what it likes when a worker is lost
        return error


def _broken_off(day: date, became: object) -> BackfilledDay:
    return BackfilledDay(day, "failed", message=f"{type(became).__name__}: {became}")


def _told(day: BackfilledDay) -> str:
    return f"{day.code or 'no code'}: {day.market_day} {day.outcome}: {day.message}"


def _coverage(store: Store, feed: Feed, *, start: date, end: date) -> pl.DataFrame:
    """Count days; what a daily feed lacks nothing heals but itself."""
    counted = coverage(store, feed=feed, start=start, end=end)
    return counted if "healed" in counted.columns else counted.with_columns(healed=pl.lit(0, pl.Int32))


def _publish(feed: Feed, location: str, before: pl.DataFrame, after: pl.DataFrame, result: BackfillResult) -> None:
    """Publish the days' coverage as a table: what is missing, what of it was and is healed, and what became of it."""
    table = (
        before.select("market_day", "expected", "collected", "missing", healed_before="healed")
        .join(after.select("market_day", "healed"), on="market_day", how="left", maintain_order="left")
        .join(result.frame().select("market_day", "outcome"), on="market_day", how="left", maintain_order="left")
        .with_columns(pl.col("market_day").cast(pl.String))
    )
    missing, healed_before, healed = table.select(pl.col("missing", "healed_before", "healed").sum()).row(0)
    what = "intervals" if feed.daily is None else "rows"
    description = f"{location}: {missing} {what} missing, {healed} of them healed, {healed_before} before this run"
    with harmless("coverage"):
        key = "coverage" if feed.is_first else f"coverage-{feed.tag}"
        create_table_artifact(key=key, table=table.to_dicts(), description=description)
