"""Which environments write into an archive: a mark of the one that began it, and one of each other that wrote too."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.intervals.labels import as_utc
from miso_archive.store.layout import ENVIRONMENTS, environment_key, environment_named
from miso_archive.store.store import ArchiveError, Store, UnusableArchiveError
from miso_archive.text import shown

T = TypeVar("T")

_FIRST: Final = "began"
_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class Writer(BaseModel):
    """A mark: an environment, whether its feed was simulated, and when (UTC) it first wrote here."""

    model_config = ConfigDict(frozen=True)

    environment: str
    simulated: bool
    since: str

    @property
    def name(self) -> str:
        """What tells it from other writers: ``prod``, ``dev-simulated``."""
        return f"{self.environment}-simulated" if self.simulated else self.environment

    def as_json(self) -> bytes:
        """Return the mark as it stands in the archive."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_INDENT_2)


def enter(archive: Store, environment: str, *, simulated: bool) -> bool:
    """Ask an archive, once and for 5 s at most, before anything is fetched for it: can it be used, and who began it.

    A new archive gets the mark of this environment. One that another began is written to all the same, with a warning
    and a mark beside. An archive that is merely away, or may not be read, stops nothing.

    Returns:
        Whether it answered.

    Raises:
        UnusableArchiveError: There is no such bucket, or nobody is let in with these credentials, or without any.
    """
    own = Writer(environment=environment, simulated=simulated, since=as_utc(datetime.now(UTC)))
    try:
        began = _within_seconds(partial(_entered, archive, own))
    except UnusableArchiveError as error:
        raise UnusableArchiveError(error.code, f"{error.message}; nothing was fetched") from error
    except CollectionError as error:
        # Only where it is away: who may not read marks, or put them, collects as ever.
        logger.log(logging.WARNING if error.transient else logging.INFO, "%s", error)
        return not error.transient
    if began is not None and began.name != own.name:
        logger.warning(
            "%s was begun by %s, and %s writes into it too: an interval's bodies are taken for revisions of each other."
            " Give each environment, and each simulated feed, a bucket or a folder of its own",
            *(archive.location, shown(began.name)[1:-1], own.name),
        )
    return True


def begin(put_if_absent: Callable[[str, bytes, dict[str, str]], bool], writer: Writer) -> bool:
    """Put the mark of who begins an archive where none stands; return whether it was put."""
    return put_if_absent(environment_key(_FIRST), writer.as_json(), {})


def writers(store: Store) -> list[str]:
    """Return who writes into an archive when there are several, first who began it; nothing of one alone or unknown.

    Raises:
        ArchiveError: The archive cannot be read.
    """
    [files] = store.names([ENVIRONMENTS])
    others = [name for file in files if (name := environment_named(file)) and name != _FIRST]
    if not others:
        return []
    [data] = store.read([environment_key(_FIRST)])
    began = None if isinstance(data, OSError) else _mark(data)
    # One that began anew has a mark from before beside.
    names = dict.fromkeys(["unknown" if began is None else began.name, *others])
    return [shown(name)[1:-1] for name in names] if len(names) > 1 else []


def _entered(archive: Store, own: Writer) -> Writer | None:
    try:
        data = archive.get(environment_key(_FIRST))
    except CollectionError as error:
        if error.transient or isinstance(error, UnusableArchiveError):
            raise
        begin(archive.put_if_absent, own)  # by one that may put and not read: whoever may read is told
        return None
    if data is None:
        if begin(archive.put_if_absent, own):
            return own
        data = archive.get(environment_key(_FIRST))
    began = None if data is None else _mark(data)
    if began is not None and began.name != own.name:
        archive.put_if_absent(environment_key(own.name), own.as_json(), {})
    return began


def _mark(data: bytes) -> Writer | None:
    try:
        return Writer.model_validate_json(data)
    except ValidationError:
        logger.warning(
            "%s is no mark that can be read: remove it, and the next run begins anew", environment_key(_FIRST)
        )
        return None


def _within_seconds(ask: Callable[[], T]) -> T:
    # The archive's own time-outs are those of a body that is worth patience; this is asked while the feed waits.
    outcome: list[T | Exception] = []

    def work() -> None:
        try:
            outcome.append(ask())
        except Exception as error:  # noqa: BLE001 - carried over to the caller's thread and raised there
            outcome.append(error)

    thread = Thread(target=work, name="enter archive", daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if not outcome:
        message = f"the archive has not answered within {_SECONDS:g} s"
        raise ArchiveError(FailureCode.ARCHIVE_UNAVAILABLE, message, transient=True)
    result = outcome[0]
    if isinstance(result, Exception):
        raise result
    return result
