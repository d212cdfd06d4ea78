"""The command ``miso-archive collect``: one run."""

import os
import signal
import sys
from typing import Annotated, Final

import orjson
from cyclopts import Parameter

from miso_archive.cli.logs import log_to_stderr
from miso_archive.cli.on_feeds import Feeds, named
from miso_archive.cli.streams import put
from miso_archive.settings.options import Settings, given_in

_TERMINATED: Final = 128 + signal.SIGTERM


def collect(*, feed: Feeds = ("reserve",), settings: Annotated[Settings | None, Parameter(name="*")] = None) -> int:
    """Carry out ``collect``.

    Args:
        feed: Which feed to collect, or several, each once and all at the same time; `all` is every one.
        settings: What a run needs to know.
    """
    resolved = Settings.resolve(given_in(settings), os.environ)
    feeds = named(feed)
    from miso_archive.collecting.plain import run, run_all  # noqa: PLC0415 - its help does not need what fetches
    from miso_archive.collecting.steps import refuse_wrong_address  # noqa: PLC0415 - likewise

    refuse_wrong_address(resolved, feeds)
    log_to_stderr(resolved, feed if len(feed) > 1 else ())
    # A stop by systemd or a container must close what the run opened, an embedded Valkey above all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    result = run(resolved, feeds[0]) if len(feeds) == 1 else run_all(resolved, feeds)
    put(orjson.dumps(result.as_dict()).decode() + "\n")
    return 1 if result.failed else 0
