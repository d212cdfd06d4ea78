"""The flow that compacts: one task a month, mapped over Prefect's task runner."""

import os
from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow, runtime, task, unmapped
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed

from flows.described import in_sentences
from flows.failures import FORESEEN, failed, results_of, tell_in_one_line
from flows.harmless import harmless
from flows.task_runner import task_runner, task_runner_or_threads
from miso_archive.feeds import KNOWN
from miso_archive.reading.compaction import compact_month, months_to_compact
from miso_archive.settings.options import ArchiveSettings
from miso_archive.store.address import standing, store_of
from miso_archive.store.store import Store

tell_in_one_line()


def _task_run_name() -> str:
    feed, month = (runtime.task_run.parameters[name] for name in ("feed", "month"))
    return f"compact {month:%Y-%m}" if KNOWN[feed].is_first else f"compact {feed} {month:%Y-%m}"


# The archive is opened anew in each task: a runner may carry tasks into other processes.
@task(
    name="compact month",
    task_run_name=_task_run_name,
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[10, 60],
)
def compact_one(settings: ArchiveSettings, feed: str, month: date) -> dict[str, Any] | None:
    """Compact the closed market days of one month of a feed, if what stands compacted is not the same."""
    compacted = compact_month(standing(store_of(settings)), month, feed=feed)
    if compacted is None:
        return None
    return compacted.as_dict() if KNOWN[feed].is_first else {"feed": feed, **compacted.as_dict()}


def _months(store: Store, start: date | None, end: date | None) -> list[tuple[str, date]]:
    """Return the months to compact of every feed that the archive holds."""
    return [(feed, month) for feed in KNOWN for month in months_to_compact(store, start=start, end=end, feed=feed)]


@in_sentences
@flow(
    name="compact",
    flow_run_name="compact closed market days",
    task_runner=task_runner_or_threads(os.environ),
    persist_result=True,
)
def compact(  # noqa: PLR0913 - one parameter an option, as people set them in the UI
    *,
    s3_block: str | None = None,
    s3_bucket: str | None = None,
    local: Path | None = None,
    aws_profile: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> list[dict[str, Any]]:
    """Compact closed market days to monthly Parquet beside the raw objects, which stay for ever.

    What is left empty comes from the worker's environment. Safe to repeat, and beside running collectors. Returns
    what became of each month.

    Args:
        s3_block: The name of a saved Prefect S3Bucket block.
        s3_bucket: The S3 bucket, instead.
        local: A folder, instead.
        aws_profile: The AWS profile whose credentials and endpoint are used.
        start: A market day of the first month to compact; the archive's first when empty.
        end: The market day after the last; the one after the last closed one when empty.
    """
    given = {"s3_block": s3_block, "s3_bucket": s3_bucket, "local": local, "aws_profile": aws_profile}
    try:
        task_runner(os.environ)
        settings = ArchiveSettings.resolve(given, os.environ)
        months = _months(standing(store_of(settings)), start, end)
    except FORESEEN as error:
        return failed(error)  # type: ignore[no-any-return]
    feeds, firsts = [feed for feed, _ in months], [month for _, month in months]
    futures = compact_one.map(unmapped(settings), feeds, firsts)
    _show_progress(futures)
    done, errors = results_of(futures)
    # A month that failed fails the run, after all others are done; the state names it.
    return failed(*errors) if errors else [month for month in done if month is not None]


def _show_progress(futures: Any) -> None:  # noqa: ANN401 - Prefect's list of futures
    """Publish how many months are done, as they are."""
    with harmless("progress"):
        artifact: Any = create_progress_artifact(0.0, key="compaction", description="Months compacted")
        for done, _ in enumerate(as_completed(list(futures)), start=1):
            update_progress_artifact(artifact, progress=100 * done / len(futures))
