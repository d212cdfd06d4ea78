"""The flow that deletes old results of runs: Prefect keeps what it persists for ever."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import get_current_settings

from flows.described import in_sentences
from flows.failures import failed, tell_in_one_line
from miso_archive.settings.options import UsageError

tell_in_one_line()

# Prefect names a result by a UUID or a hash; whatever else lies in the folder is not ours.
_RESULT: Final = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")


@task(name="delete old results", cache_policy=NO_CACHE)
def delete_old_results(folder: Path, before: datetime) -> int:
    """Delete the results directly in a folder that were last written before a time, aware; return how many."""
    deleted = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if _RESULT.fullmatch(path.name) and path.stat().st_mtime < before.timestamp():
                path.unlink()
                deleted += 1
        except FileNotFoundError:  # another sweep was faster
            continue
    return deleted


@in_sentences
@flow(name="sweep", flow_run_name="sweep results older than {days} days")
def sweep(*, days: int = 14) -> int:
    """Delete results of runs from the local result storage of the worker that runs this; return how many.

    A failed run can be retried without asking the feed again as long as its results are there. What Prefect's database
    keeps is deleted by its server: see flows/server.env.

    Args:
        days: How old a result is to be, in days, at least one.
    """
    if days < 1:
        reason = UsageError(f"days is at least 1, so that no run loses what it works with: {days}")
        return failed(reason)  # type: ignore[no-any-return]
    folder = get_current_settings().results.local_storage_path
    deleted = delete_old_results(folder, datetime.now(UTC) - timedelta(days=days))
    get_run_logger().info("%d files deleted from %s", deleted, folder)
    return deleted
