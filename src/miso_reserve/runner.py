"""A whole run without Prefect's engine, for the command line and for cron."""

import logging

from miso_reserve.collection import (
    RunResult,
    collect,
    failed_before_start,
    generate_candidates,
    open_parts,
    plain_steps,
)
from miso_reserve.failure import CollectionError
from miso_reserve.pace import Pace, SystemClock
from miso_reserve.reserve import RESERVE
from miso_reserve.settings import Settings

logger = logging.getLogger(__name__)


def run(settings: Settings) -> RunResult:
    """Collect as the settings say, now; what fails is in the result."""
    clock = SystemClock()
    pace = Pace(clock.now(), settings.polls, settings.poll_gap)
    try:
        with open_parts(settings, RESERVE) as parts:
            return collect(generate_candidates(settings), RESERVE, plain_steps(parts, pace, clock), pace)
    except CollectionError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would not help
        return failed_before_start(error)
