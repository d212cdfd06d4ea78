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
from miso_archive.intervals.market_days import read_day
from miso_archive.settings.options import Settings, UsageError, given_in
from miso_archive.text import shown

_TERMINATED: Final = 128 + signal.SIGTERM


def collect(
    *,
    feed: Feeds = ("reserve",),
    market_day: str | None = None,
    node: Annotated[tuple[str, ...] | None, Parameter(negative=())] = None,
    settings: Annotated[Settings | None, Parameter(name="*")] = None,
) -> int:
    """Carry out ``collect``.

    Args:
        feed: Which feed to collect, or several, each once and all at the same time; `all` is every live one.
        market_day: Of a daily feed: which day, YYYY-MM-DD; the newest that can be there unless given.
        node: Of `rt_exante_lmp_history`: a commercial pricing node, or several; MISO's hubs unless given.
        settings: What a run needs to know.
    """
    resolved = Settings.resolve(given_in(settings), os.environ)
    feeds = named(feed)
    day = None if market_day is None else read_day(market_day)
    if market_day is not None and day is None:
        raise UsageError(f"--market-day is a market day, YYYY-MM-DD, not {shown(market_day)}")
    from miso_archive.collecting.market_day import (  # noqa: PLC0415 - its help does not need what fetches
        AskedDay,
        refuse_wrong_asking,
    )
    from miso_archive.collecting.plain import run, run_all  # noqa: PLC0415 - likewise
    from miso_archive.collecting.steps import refuse_wrong_address  # noqa: PLC0415 - likewise

    asked = AskedDay(day, node or ())
    refuse_wrong_address(resolved, feeds)
    refuse_wrong_asking(resolved, feeds, asked)
    log_to_stderr(resolved, feed if len(feed) > 1 else ())
    # A stop by systemd or a container must close what the run opened, an embedded Valkey above all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    result = run(resolved, feeds[0], asked=asked) if len(feeds) == 1 else run_all(resolved, feeds, asked=asked)
    put(orjson.dumps(result.as_dict()).decode() + "\n")
    return 1 if result.failed else 0
