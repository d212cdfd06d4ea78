"""A whole run without Prefect's engine, for the command line and for cron."""

import logging

from miso_archive.collecting.pace import Pace, SystemClock
from miso_archive.collecting.run import (
    RunResult,
    collect,
    failed_before_start,
    generate_candidates,
    open_parts,
    plain_steps,
)
from miso_archive.failures import CollectionError
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings

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
