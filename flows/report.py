"""The flow that runs notebooks on the last closed market day, a task each, and keeps what they show as pages."""

import os
from base64 import b64encode
from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow, runtime, task, unmapped
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.described import in_sentences
from flows.failures import FORESEEN, failed, results_of, tell_in_one_line
from flows.harmless import harmless
from flows.show import endpoint_of
from flows.task_runner import task_runner, task_runner_or_threads
from miso_archive.collecting.pace import SystemClock
from miso_archive.failures import CollectionError
from miso_archive.intervals.market_days import ONE_DAY, open_day
from miso_archive.pages.kept import KeptPage, keep_page, page_markdown
from miso_archive.pages.notebook_run import NotebookRun, runs_of
from miso_archive.pages.page import Page, make_page
from miso_archive.settings.options import ArchiveSettings, UsageError
from miso_archive.store.address import refuse_no_archive, standing, store_of
from miso_archive.store.store import Store

tell_in_one_line()


def last_closed_day() -> date:
    """Return the market day (EST) that closed last."""
    return open_day(SystemClock().now()) - ONE_DAY


def _run_name() -> str:
    return f"report {runtime.flow_run.parameters.get('day') or last_closed_day()}"


def _is_passing(_task: object, _run: object, state: Any) -> bool:  # noqa: ANN401 - a state of any result
    """Tell whether trying again may help: an archive that is away comes back, a cell that fails fails again."""
    return isinstance(state.data, CollectionError) and state.data.transient


@task(
    name="run notebook",
    task_run_name="{run.title}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=_is_passing,
)
def run_one(settings: ArchiveSettings, run: NotebookRun, day: date) -> dict[str, str]:
    """Run a notebook on the archive, and put the page of it, and the notebook, below the market day's pages."""
    page = make_page(run, settings)
    # Opened after the notebook has run: a runner may carry the task into another process.
    store = standing(store_of(settings))
    kept = keep_page(store, run, page, day=day)
    _publish(store, settings, run, page, kept)
    return {"notebook": run.name, "page": kept.page, "executed": kept.notebook}


@in_sentences
@flow(name="report", flow_run_name=_run_name, task_runner=task_runner_or_threads(os.environ), persist_result=True)
def report(
    *,
    s3_block: str | None = None,
    s3_bucket: str | None = None,
    local: Path | None = None,
    aws_profile: str | None = None,
    day: date | None = None,
) -> list[dict[str, str]]:
    """Run the notebook of a market day, and keep it and a page of it, which opens without a network, in the archive.

    After the last day of a month that month's shadow prices too. What is left empty comes from the worker's
    environment. Pages of before are replaced whole; a cell that fails fails the run and leaves them. Returns where
    each page lies.

    Args:
        s3_block: The name of a saved Prefect S3Bucket block.
        s3_bucket: The S3 bucket, instead.
        local: A folder, instead.
        aws_profile: The AWS profile whose credentials and endpoint are used.
        day: The market day (EST); the last closed one when empty.
    """
    given = {"s3_block": s3_block, "s3_bucket": s3_bucket, "local": local, "aws_profile": aws_profile}
    last = last_closed_day()
    try:
        task_runner(os.environ)
        settings = ArchiveSettings.resolve(given, os.environ)
        if day is not None and day > last:
            raise UsageError(f"day is a closed market day, {last} or before, not {day}")
        refuse_no_archive(standing(store_of(settings)))
    except FORESEEN as error:
        return failed(error)  # type: ignore[no-any-return]
    about = day or last
    futures = run_one.map(unmapped(settings), runs_of(about), unmapped(about))
    done, errors = results_of(futures)
    # One that failed fails the run, after all others are done; the state names it.
    return failed(*errors) if errors else done


def _publish(store: Store, settings: ArchiveSettings, run: NotebookRun, page: Page, kept: KeptPage) -> None:
    """Publish where the page lies, and the chart that stands for it."""
    tag = run.name.replace("_", "-")
    with harmless("address of the page"):
        markdown = page_markdown(run, kept, endpoint=endpoint_of(store), profile=settings.aws_profile)
        create_markdown_artifact(key=f"{tag}-page", markdown=markdown, description=run.title.capitalize())
    if page.picture is not None:
        with harmless("picture of the page"):
            picture = f"data:image/png;base64,{b64encode(page.picture).decode()}"
            create_image_artifact(key=f"{tag}-picture", image_url=picture, description=run.title.capitalize())
