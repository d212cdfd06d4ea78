"""Where the tasks of a flow are carried out: in threads, or by Dask, as an environment variable says."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from prefect.task_runners import ThreadPoolTaskRunner

from miso_archive.extras import MissingExtraError, needs
from miso_archive.settings.options import UsageError
from miso_archive.text import stripped

VARIABLE: Final = "MISO_TASK_RUNNER"

# A month holds its bodies in memory while it is compacted; more at once than this gain nothing.
_THREADS: Final = 4
_PROCESSES: Final = 2


def task_runner(environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - its type names a future, and Dask's is optional
    """Return the task runner that MISO_TASK_RUNNER names.

    ``threads``, also when it is empty or not set: four threads of the run's own process. ``dask``: a Dask cluster of
    two processes on this machine, made for the run. ``dask:tcp://host:port``: the workers of the scheduler there.

    Raises:
        UsageError: The value is none of these, or it asks for Dask, which is not installed.
    """
    value = stripped(environ.get(VARIABLE, "")) or "threads"
    if value == "threads":
        return ThreadPoolTaskRunner(max_workers=_THREADS)
    name, separator, address = value.partition(":")
    if name != "dask" or (separator and not _is_scheduler(address)):
        raise UsageError(f"{VARIABLE}: threads, dask or dask:tcp://host:port, not {value!r}")
    try:
        with needs("dask", "Dask"):
            from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an optional extra, slow to import
    except MissingExtraError as error:
        raise UsageError(f"{VARIABLE}: {error}, or set it to threads") from error
    if address:
        return DaskTaskRunner(address=address)
    # On loopback alone: whoever reaches a Dask scheduler can run code in its workers. Its web page takes any free port:
    # two runs may be at work at once.
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    return DaskTaskRunner(cluster_kwargs={"n_workers": _PROCESSES, "threads_per_worker": 1, **here})


def task_runner_or_threads(environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
    """Return that task runner, or threads: a flow has to be imported before its run can say what is wrong."""
    try:
        return task_runner(environ)
    except UsageError:
        return ThreadPoolTaskRunner(max_workers=_THREADS)


def _is_scheduler(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "tcp" and bool(parts.hostname and parts.port) and address == f"tcp://{parts.netloc}"
    except ValueError:  # a port that is no number, or too large
        return False
