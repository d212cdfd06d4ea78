"""A simulated hour, end to end: the real flow, an embedded Valkey and a simulated host on loopback, nothing else.

Reserve is collected by the flow, the other feeds by the library's own run, which takes a fraction of the time.

Everything it prints and stores is simulated: its intervals are dated 2001, so that they cannot be taken for MISO's.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import MINYEAR, UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from flows.folder_lock import FolderInUseError, folder_lock
from miso_archive.collecting.embedded_valkey import embedded_valkey
from miso_archive.collecting.plain import run_all
from miso_archive.failures import CollectionError
from miso_archive.feeds import FEEDS
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.market_days import market_day
from miso_archive.pages.kept import keep_page
from miso_archive.pages.notebook_run import OF_A_DAY, NotebookRun
from miso_archive.pages.page import make_page
from miso_archive.settings.options import ArchiveSettings, Settings, environment_variable
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.store.folder import Folder
from miso_archive.store.layout import is_refused_body, page_key, quarantine_folder, sourcing_folder
from miso_archive.text import counted

SEED: Final = 307
"""A market that is quiet at first and at the end of the hour, and binds between."""

INTERVALS: Final = 12
MARK: Final = "[simulated]"


@dataclass(frozen=True, slots=True)
class Poll:
    """One run of the demo: what happens to the feed before it, in words, and whether the run is to fail."""

    happening: str
    prepare: Callable[[SimulatedFeed], None] = lambda _feed: None
    fails: bool = False


FIRST: Final = Poll("a new interval")
POLLS: Final[Mapping[int, tuple[Poll, ...]]] = {
    3: (FIRST, Poll("the same body again")),
    5: (FIRST, Poll("the interval revised", lambda feed: feed.revise())),
    7: (Poll("503, then a new interval", lambda feed: feed.script(Reply(status=503))),),
    9: (
        Poll("an error, status 200", lambda feed: feed.script(Reply(body=b'{"error":"no data"}')), fails=True),
        FIRST,
    ),
}
"""The polls of an interval by its number, where they are not one plain poll."""


class SimulatedClock:
    """The clock of the demo's runs: what they fetch and what they refuse belongs to the simulated hour."""

    def __init__(self) -> None:
        self._time = datetime(MINYEAR, 1, 1, tzinfo=UTC)

    def turn(self, interval_end: datetime) -> None:
        """Turn it to the next poll: 80 seconds after the interval's end, or a minute after the poll before."""
        self._time = max(self._time + timedelta(minutes=1), interval_end + timedelta(seconds=80))

    def now(self) -> datetime:
        """Return the simulated time."""
        return self._time

    def sleep(self, seconds: float) -> None:
        """Wait, really."""
        time.sleep(seconds)


def main(folder: Path) -> int:
    """Run the hour and return the exit code: 0 when every run ended as it should."""
    try:
        with folder_lock(folder):
            return _collect_an_hour(folder)
    except (FolderInUseError, CollectionError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _collect_an_hour(folder: Path) -> int:
    _stand_alone(folder)
    from flows import collect as collecting  # noqa: PLC0415 - Prefect reads its settings when it is imported

    clock = SimulatedClock()
    collecting.clock_of_a_run = lambda: clock
    as_planned = True
    with ExitStack() as stack:
        redis = urlsplit(stack.enter_context(embedded_valkey(folder / ".valkey")))
        feed = stack.enter_context(SimulatedFeed(seed=SEED))
        say("an embedded Valkey and a simulated feed run on loopback; Prefect's temporary server is starting")
        others = _Others(feed, clock, folder, redis.geturl())
        for poll in _polls(feed):
            poll.prepare(feed)
            interval, hits = feed.interval_end, feed.hits
            clock.turn(interval)
            state = collecting.collect(
                local=folder, api_url=feed.url, redis_host=redis.hostname, redis_port=redis.port, return_state=True
            )
            result = cast("dict[str, Any]", state.result(raise_on_failure=False))
            as_planned &= bool(result["failed"]) == poll.fails
            requests = "1 request " if feed.hits == hits + 1 else f"{feed.hits - hits} requests"
            outcome = _outcome(result, feed.requests[-1].body)
            say(f"interval ending {interval:%H:%M} EST: {poll.happening:24}  {requests}  {outcome}")
            as_planned &= others.collect(interval)
    _describe(folder, market_day(interval))
    return 0 if as_planned else 1


class _Others:
    """The feeds beside reserve, collected once an interval, all at the same time."""

    def __init__(self, host: SimulatedFeed, clock: SimulatedClock, folder: Path, redis_url: str) -> None:
        self._host, self._clock = host, clock
        self._feeds = [feed for feed in FEEDS.values() if feed is not RESERVE]
        given = {"local": folder, "redis_url": redis_url, "api_base": host.base_url}
        self._settings = Settings.resolve(given, {})
        self._collected: datetime | None = None

    def collect(self, interval: datetime) -> bool:
        """Collect the present interval, unless that is done, in a line; return whether nothing failed."""
        if interval == self._collected:
            return True
        self._collected = interval
        result = run_all(self._settings, self._feeds, self._clock)
        stored = [feed for feed in self._feeds if result.feeds[feed.name].collected]
        told = (
            f"stored, in rows: {', '.join(map(self._rows, stored))}" if stored else "nothing new, the archive has them"
        )
        if failed := [name for name, of_feed in result.feeds.items() if of_feed.failed]:
            told = f"failed: {', '.join(failed)}"
        requests = sum(of_feed.total_candidates for of_feed in result.feeds.values())
        say(f"{'':27}{f'the other {len(self._feeds)} feeds':24}  {requests} requests  {told}")
        return not failed

    def _rows(self, feed: Feed) -> str:
        snapshot = feed.examine(self._host.requests_for(feed)[-1].body).snapshot
        rows = 0 if snapshot is None else sum(map(len, snapshot.tables.values()))
        return f"{feed.name} {rows or 'quiet'}"


def say(text: str) -> None:
    """Print a line that says it is simulated."""
    sys.stdout.write(f"{MARK} {text}\n")
    sys.stdout.flush()


def _stand_alone(folder: Path) -> None:
    """Keep simulated runs out of the user's own Prefect, Kafka and the rest, and a server's talk out of the output."""
    for field in Settings.model_fields:
        os.environ.pop(environment_variable(field) or "", None)
    home = folder.absolute() / ".prefect"
    home.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(
        PREFECT_HOME=str(home),
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true",
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_LOGGING_LEVEL="CRITICAL",
        DO_NOT_TRACK="1",
    )
    # Its lines would not say that they are simulated; the demo's own say what happened.
    logging.getLogger("miso_archive").setLevel(logging.CRITICAL)


def _polls(feed: SimulatedFeed) -> Iterator[Poll]:
    for number in range(1, INTERVALS + 1):
        yield from POLLS.get(number, (FIRST,))
        feed.advance()


def _outcome(result: Mapping[str, Any], body: bytes) -> str:
    if result["failed"]:
        return f"refused and quarantined: {result['errors'][0]['code']}"
    if not result["collected"]:
        return "nothing new, the archive has it"
    snapshot = RESERVE.examine(body).snapshot
    state = "quiet" if snapshot is None or snapshot.quiet else f"{len(snapshot.rows)} binding"
    return f"stored ({state}) {Path(result['objects'][0]).name}"


def _describe(folder: Path, day: date) -> None:
    """Say what the folder holds of the simulated day: real ones may lie beside it."""
    of_day = {feed.name: sorted((folder / sourcing_folder(feed, day)).glob("*.json.gz")) for feed in FEEDS.values()}
    own = of_day.pop(RESERVE.name)
    refused = sum(is_refused_body(path.name) for path in (folder / quarantine_folder(RESERVE, day)).rglob("*"))
    others = f"{sum(map(len, of_day.values()))} of {counted(len(of_day), 'other feed')}"
    say(f"{folder} holds {len(own)} simulated snapshots and {refused} refused, and {others}")
    say(f"look at one:       zcat {own[-1]}")
    say(f"check them all:    .venv/bin/miso-archive validate {own[0].parent}/*.json.gz")
    say("run it again:      make demo   (stores nothing new)")
    say("the live feed:     make collect DATA=live   (this one is not simulated)")
    say(f"the day as a page: {_page_of(folder, day)}   (open it in a browser: it needs no network)")


def _page_of(folder: Path, day: date) -> Path:
    """Keep a page of the simulated market day, as the flow ``report`` does of a closed one, and return its file."""
    run = NotebookRun(OF_A_DAY, day=day)
    keep_page(Folder(folder), run, make_page(run, ArchiveSettings(local=folder)), day=day)
    return folder / page_key(day, run.name, "html")


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "data")))
