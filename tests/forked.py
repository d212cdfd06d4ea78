"""Processes of their own that begin at once: each is forked from one that has loaded what a run needs.

An interpreter that loads Prefect's blocks itself takes seconds to begin.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

# What a run imports late is imported here: this module is loaded once, and every process forked from it.
from miso_archive.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Barrier

FORKING: Final = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload([__name__])

_SECONDS: Final = 120


def exit_code(target: Callable[..., None], *arguments: object) -> int | None:
    """Call a function in a process of its own, with this environment; negative when a signal ended it."""
    process = FORKING.Process(target=_in_environment, args=(dict(os.environ), target, arguments))
    process.start()
    process.join(_SECONDS)
    return process.exitcode


def collect_at_once(arguments: list[str], processes: int) -> list[dict[str, Any]]:
    """Run the command line that often at the same moment, each in a process of its own; return the results."""
    barrier = FORKING.Barrier(processes)
    environment = dict(os.environ)
    with ProcessPoolExecutor(processes, FORKING, _wait_for, (barrier,)) as pool:
        asked = [pool.submit(_in_environment, environment, _collect, (arguments,)) for _ in range(processes)]
        return [run.result(_SECONDS) for run in asked]


def _wait_for(barrier: Barrier) -> None:
    barrier.wait(_SECONDS)


def _in_environment(environment: Mapping[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever it returns
    os.environ.update(environment)
    return function(*arguments)


def _collect(arguments: list[str]) -> dict[str, Any]:
    with redirect_stdout(io.StringIO()) as printed:
        main(arguments)
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result
