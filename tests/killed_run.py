"""A run that kills its own process before or after one of its steps."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, TypeVar, cast

from miso_archive.collecting.parts import open_parts
from miso_archive.collecting.plain import Patient
from miso_archive.collecting.run import collect
from miso_archive.collecting.steps import generate_candidates
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings

T = TypeVar("T")

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
    with open_parts(settings, RESERVE) as parts:
        patient, deadly = Patient(parts), killing(getattr(parts, step), moment)

        def fatally(taken: Callable[..., T], /, *arguments: Any, **named: Any) -> T:  # noqa: ANN401 - the step's own
            step_or_death = cast("Callable[..., T]", deadly) if taken == getattr(parts, step) else taken
            return patient(step_or_death, *arguments, **named)

        collect(generate_candidates(settings, RESERVE), RESERVE, parts, fatally, parts.pace)
