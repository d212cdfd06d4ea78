"""The spool: a folder of this machine where a body waits that the archive did not take.

The feed has no history, and an archive may be away for hours. Each body is one file, whole or not at all, with all that
is known of its fetch; a later run that reaches the archive stores it and removes the file.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST
from miso_archive.store.response import Response
from miso_archive.store.whole_file import publish
from miso_archive.store.whole_file import replace as replace_file
from miso_archive.text import shown, stripped

MOST_SPOOLED_BYTES: Final = 256 * 1024 * 1024
"""How large all that waits may become, whatever archive it waits for. Nothing old is given up for something new."""

_TIME: Final = "%Y%m%d_%H%M%S_%f"
_NAME: Final = re.compile(r"(?P<time>\d{8}_\d{6}_\d{6})_(?P<sha256>[0-9a-f]{64})\.body", re.ASCII)
_NOT_FOR_NAMES: Final = re.compile(r"[^A-Za-z0-9.-]+", re.ASCII)
_FETCH: Final = TypeAdapter(Response)

logger = logging.getLogger(__name__)


class SpoolError(Exception):
    """A body cannot be kept in the spool: the message says why, and what to do."""


def default_folder() -> Path | None:
    """Return where the spool is unless it is set: below the user's state folder. None for a user without a home."""
    state = stripped(os.environ.get("XDG_STATE_HOME", ""))
    try:
        # A relative one counts as not set: so says the rule of these folders.
        return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "miso-reserve" / "spool"
    except RuntimeError:
        return None


class Spool:
    """What waits for one archive, environment and dataset, in a folder of its own: ``YYYYMMDD_HHMMSS_..._SHA256.body``.

    A file is three parts, each but the last ended by a line break: the SHA-256 of what follows, the fetch as JSON
    (``Response`` without its body), the body. Names begin with the time of the fetch (EST).
    """

    def __init__(self, root: Path | None, identity: str, feed: Feed, environment: str) -> None:
        root = default_folder() if root is None else root
        # Where a link leads, also to what is not there yet: a link itself cannot be made a folder.
        self._root = None if root is None else Path(os.path.realpath(root))
        # What a person recognizes, and what tells apart those that look alike.
        place, digest = _NOT_FOR_NAMES.sub("_", identity)[-60:], hashlib.sha256(identity.encode()).hexdigest()
        self._name = f"{feed.dataset}_{environment}_{place}_{digest[:16]}"
        self._told: set[Path] = set()

    @property
    def folder(self) -> Path | None:
        """Where these bodies wait; None for a user without a home."""
        return None if self._root is None else self._root / self._name

    @contextmanager
    def keeping(self, response: Response) -> Iterator[Response]:
        """Keep a body while what is done with it here fails, and let it go when that succeeds.

        Yields the first of the day's fetches of this body that waits, or the one given.

        Raises:
            CollectionError: As raised within; its message then says where the body waits, or why it does not.
        """
        path, first = self._first_of(response) or (None, response)
        try:
            yield first
        except CollectionError as error:
            message = f"{error.message}; {self._kept(response)}"
            raise CollectionError(
                error.code, message, transient=error.transient, retry_after=error.retry_after
            ) from error
        if path is not None:
            self.remove(path)

    def keep(self, response: Response) -> Path:
        """Keep a body, once a day (EST) however often it is fetched; return its file.

        Raises:
            SpoolError: The spool is full or cannot be written, or there is no folder for it.
        """
        if self._root is None or self.folder is None:
            raise SpoolError("there is no home folder for the spool: set --spool (MISO_SPOOL)")
        try:
            if (first := self._first_of(response)) is not None:
                return first[0]
            data = _spelled(response)
            if _size(self._root) + len(data) > MOST_SPOOLED_BYTES:
                most = MOST_SPOOLED_BYTES // 1024**2
                raise SpoolError(f"the spool {self._root} is full ({most} MiB): mend the archive, then run again")
            path = self.folder / f"{response.fetched_at.astimezone(EST):{_TIME}}_{response.sha256}.body"
            if not publish(path, data):
                replace_file(path, data)  # a retry of this fetch, whose file was just found to be damaged
        except OSError as error:
            reason = error.strerror or error
            raise SpoolError(f"the spool {self._root} cannot be written: {reason}; set --spool (MISO_SPOOL)") from error
        return path

    def waiting(self) -> list[Path]:
        """Return the files of the bodies that wait, oldest first."""
        return [path for path in self._files() if self._is_ours(path)]

    def count(self) -> int | None:
        """Return how many bodies wait; None where that cannot be looked at."""
        files = self._listed()
        return None if files is None else sum(map(self._is_ours, files))

    def oldest(self) -> datetime | None:
        """Return when the oldest body that waits was fetched, in EST; None when none does."""
        first = next(iter(self.waiting()), None)
        return None if first is None else _time_of(first)

    def read(self, path: Path) -> Response | None:
        """Return a body that waits; None when another run has stored it since, or when the file is damaged."""
        try:
            digest, _, fetched = path.read_bytes().partition(b"\n")
            fetch, _, body = fetched.partition(b"\n")
            if hashlib.sha256(fetched).hexdigest().encode() == digest:
                response = replace(_FETCH.validate_json(fetch), body=body)
                return replace(response, fetched_at=response.fetched_at.astimezone(UTC))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            logger.debug("%s: %s", path, error)
        self._warn_once(path, "is damaged")
        return None

    def remove(self, path: Path) -> None:
        """Remove a file; there need not be one. One that stays is found to be stored by the next run."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s is stored and cannot be removed: %s", path, error.strerror or error)

    def _kept(self, response: Response) -> str:
        try:
            return f"kept in {self.keep(response)} until a run reaches the archive"
        except SpoolError as error:
            return f"the body is lost with this run: {error}"

    def _first_of(self, response: Response) -> tuple[Path, Response] | None:
        """Return the day's first fetch of a body with its file, if one waits; a damaged one keeps nothing."""
        day, ending = f"{response.fetched_at.astimezone(EST):%Y%m%d}", f"_{response.sha256}.body"
        for path in self._files():
            if path.name.startswith(day) and path.name.endswith(ending) and (first := self.read(path)) is not None:
                return path, first
        return None

    def _files(self) -> list[Path]:
        return self._listed() or []

    def _listed(self) -> list[Path] | None:
        try:
            # Names that begin with a dot are being written.
            return sorted(path for path in self.folder.iterdir() if path.name[0] != ".") if self.folder else []
        except FileNotFoundError:
            return []
        except OSError as error:
            logger.warning("the spool %s cannot be read: %s", self.folder, error.strerror or error)
            return None

    def _is_ours(self, path: Path) -> bool:
        if _time_of(path) is not None and os.path.isfile(path):  # noqa: PTH113 - Path's raises in a folder without rights
            return True
        if os.path.lexists(path):  # or another run has stored it since
            self._warn_once(path, "is no body that waits")
        return False

    def _warn_once(self, path: Path, what: str) -> None:
        if path not in self._told:
            self._told.add(path)
            logger.warning("%s %s: look at it, then remove it", shown(str(path), 500)[1:-1], what)


def _spelled(response: Response) -> bytes:
    fetched = _FETCH.dump_json(replace(response, body=b"")) + b"\n" + response.body
    return hashlib.sha256(fetched).hexdigest().encode() + b"\n" + fetched


def _time_of(path: Path) -> datetime | None:
    """Return when a body that waits was fetched, in EST, as its file's name says; None of any other name."""
    name = _NAME.fullmatch(path.name)
    try:
        return None if name is None else datetime.strptime(name["time"], _TIME).replace(tzinfo=EST)
    except ValueError:
        return None


def _size(root: Path) -> int:
    size = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):  # another run has stored it since
                size += Path(folder, name).lstat().st_size
    return size
