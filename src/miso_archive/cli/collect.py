"""The command ``miso-archive collect``: one run."""

import os
import signal
import sys
from typing import Annotated, Final

import orjson
from cyclopts import Parameter

from miso_archive.cli.logs import log_to_stderr
from miso_archive.cli.streams import put
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings, given_in

_TERMINATED: Final = 128 + signal.SIGTERM


def collect(*, settings: Annotated[Settings | None, Parameter(name="*")] = None) -> int:
    """Carry out ``collect``."""
    resolved = Settings.resolve(given_in(settings), os.environ)
    log_to_stderr(resolved)
    from miso_archive.collecting.plain import run  # noqa: PLC0415 - its help does not need what fetches

    # A stop by systemd or a container must close what the run opened, an embedded Valkey above all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    result = run(resolved, RESERVE)
    put(orjson.dumps(result.as_dict()).decode() + "\n")
    return 1 if result.failed else 0
