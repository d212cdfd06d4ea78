"""A run that kills its own process before or after one of its steps."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from miso_archive.collecting.pace import Pace, SystemClock
from miso_archive.collecting.run import collect, generate_candidates, open_parts, plain_steps
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def killing(step: Callable[..., Any], moment: str) -> Callable[..., Any]:
    """Wrap a step so that the process dies at once, as by kill -9, before or after it."""

    def dying(*arguments: object) -> None:
        if moment == "after":
            step(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


def run_and_die(step: str, moment: str, given: Mapping[str, str]) -> None:
    """Run once, with the settings given by name, and die at the step."""
    settings = Settings.resolve(given, os.environ)
    clock = SystemClock()
    pace = Pace(clock.now(), settings.polls, settings.poll_gap)
    with open_parts(settings, RESERVE) as parts:
        steps = plain_steps(parts, pace, clock)
        deadly: dict[str, Any] = {step: killing(getattr(steps, step), moment)}
        fatal = replace(steps, **deadly)
        collect(generate_candidates(settings), RESERVE, fatal, pace)
