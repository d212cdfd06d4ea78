"""What a run does to the world, step by step, as the order of a run knows it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from miso_archive.contract.findings import Finding
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.failures import CollectionError
from miso_archive.feeds import FEEDS
from miso_archive.feeds.feed import Feed
from miso_archive.settings.options import Settings, UsageError
from miso_archive.store.put_once import Stored
from miso_archive.store.response import Response

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One poll of the feed within a run, counted from 1; of a daily feed one page, ``of`` a market day and node."""

    url: str
    timeout: float
    poll: int
    of: str = ""


def refuse_wrong_address(settings: Settings, feeds: Sequence[Feed]) -> None:
    """Refuse to ask several feeds, or one, under the address of another: two feeds that are quiet look alike.

    Raises:
        UsageError: An address is named, and it is not that of the one feed of a run.
    """
    live = [feed for feed in feeds if feed.daily is None]
    if settings.api_url is None or not live:
        return
    if len(live) > 1:
        raise UsageError("--api-url (MISO_API_URL) is the address of one feed: for several give --api-base")
    path = urlsplit(settings.api_url).path.rstrip("/")
    for other in FEEDS.values():
        if path.endswith(f"/{other.path}") and other is not live[0]:
            message = f"is the address of {other.name}, not of {live[0].name}: give that, or --api-base"
            raise UsageError(f"--api-url (MISO_API_URL) {message}")


def generate_candidates(settings: Settings, feed: Feed) -> list[Candidate]:
    """Return the polls that a run is to make of a feed, at most."""
    return [Candidate(settings.address(feed), settings.timeout, poll) for poll in range(1, settings.polls + 1)]


class Steps(Protocol):
    """The steps of a run. Each raises CollectionError when it fails."""

    @property
    def announces(self) -> bool:
        """Whether snapshots are announced in Kafka."""
        ...

    @property
    def archive_is_away(self) -> bool:
        """Whether the archive did not answer as the run began."""
        ...

    @property
    def has_spooled(self) -> bool:
        """Whether bodies wait in the spool."""
        ...

    def fetch(self, candidate: Candidate) -> Response | None:
        """Ask the feed, in the run's next slot; None when the run's time is over, or a page is not there."""
        ...

    def is_registered(self, response: Response) -> bool:
        """Ask Redis whether the body is archived and announced."""
        ...

    def store(self, snapshot: Snapshot, response: Response) -> Stored:
        """Put the snapshot into the archive unless it stands there."""
        ...

    def quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> str:
        """Keep a refused body with its reasons; return its key."""
        ...

    def announce(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Tell Kafka of the snapshot."""
        ...

    def register(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Remember the body in Redis, as archived and announced."""
        ...

    def catch_up(self) -> None:
        """Announce what runs before this one stored and could not announce."""
        ...

    def store_spooled(self) -> list[tuple[Verdict, Stored]]:
        """Archive what waits in the spool; return what stands in the archive now, each snapshot with where."""
        ...


class DailySteps(Steps, Protocol):
    """The steps of a run of a daily feed."""

    def pages_of(self, day: date) -> dict[str, list[Snapshot]]:
        """Return by node the first pages that stand of a market day, without a hole."""
        ...


class Do(Protocol):
    """How a run takes a step: as it is, tried again where that helps, or as a task of Prefect."""

    def __call__(self, step: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """Take the step."""
        ...


class Observer(Protocol):
    """Who is told what a run sees. Nothing of it may fail the run."""

    def seen(self, verdict: Verdict) -> None:
        """Take note of what a fetched body was found to be."""
        ...

    def shown(self, verdict: Verdict, stored: Stored) -> None:
        """Take note of a snapshot that stands in the archive."""
        ...


def is_known(is_registered: Callable[[Response], bool], response: Response) -> bool:
    """Ask whether a body is archived and announced; without an answer it counts as new."""
    try:
        return is_registered(response)
    except CollectionError as error:
        # The body is here, and the put is conditional: archive it now, and let the registration say what Redis is.
        logger.warning("%s; archived all the same", error)
        return False
