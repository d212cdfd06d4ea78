"""Standard error of a command: lines for people, or, with ``--log-format json``, a JSON object a line, whoever writes.

Libraries write there beside our logs: Prefect warns of a home that it cannot write, Python of what is deprecated.
"""

import atexit
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, TextIO

from miso_archive.cli.streams import tell
from miso_archive.settings.options import Settings

_OURS: Final = "miso_archive"


@contextmanager
def own_stderr(arguments: Sequence[str], *, until_exit: bool) -> Iterator[None]:
    """Let a command have standard error as its arguments say; afterwards, or at exit, all is as it was.

    Where JSON is asked for, an error that nobody foresaw is logged as the others are, and not raised.
    """
    restore = _remembered()
    if until_exit:
        atexit.register(restore)
    try:
        if sys.stderr is not None:  # closed, it is None
            if _asks_for_json(arguments):
                _take_over(sys.stderr)
            else:
                _speak_as_a_command()
        yield
    except Exception:
        if not isinstance(sys.stderr, _LoggedLines):
            raise
        logging.getLogger(_OURS).exception("an error that nobody foresaw")
    finally:
        if not until_exit:
            restore()


def log_to_stderr(settings: Settings, feeds: Sequence[str] = ()) -> None:
    """Log what we have to say as the settings want it.

    Of several feeds that are collected at once, each in a thread of its name, a line says whose it is.
    """
    logger = logging.getLogger(_OURS)
    if settings.log_format == "json":
        handler = logging.StreamHandler(_beneath(sys.stderr))
        handler.setFormatter(_JsonLines({"environment": settings.environment, "process": os.getpid()}, feeds))
        # The libraries' too, and what is written past all logs.
        logging.getLogger().handlers = [handler]
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_TextLines(feeds))
    logger.handlers = [handler]
    logger.setLevel(settings.log_level)
    logger.propagate = False


class _TextLines(logging.Formatter):
    """Lines for people; of several feeds each begins its message with the feed's name."""

    def __init__(self, feeds: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._feeds = feeds

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Put the feed before the message."""
        if record.threadName in self._feeds:
            record.message = f"{record.threadName}: {record.message}"
        return super().formatMessage(record)


class _JsonLines(logging.Formatter):
    """One JSON object a line: ``time`` in UTC, ``level``, ``logger``, ``message``, and what tells runs apart.

    Of several feeds also ``feed``.
    """

    def __init__(self, run: dict[str, object], feeds: Sequence[str] = ()) -> None:
        super().__init__()
        self._run, self._feeds = run, feeds

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().rstrip("\n"),
            **self._run,
        }
        if record.threadName in self._feeds:
            line["feed"] = record.threadName
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _LoggedLines(io.TextIOBase):
    """Stands in for standard error, and logs each line that is written to it."""

    def __init__(self, beneath: TextIO) -> None:
        self.beneath = beneath
        self._begun = ""
        self._is_logging = False

    def write(self, text: str, /) -> int:
        """Log the lines that are whole now."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def end(self) -> None:
        """Log a last line without a line break."""
        self._log(self._begun)
        self._begun = ""

    def fileno(self) -> int:
        """Return the descriptor beneath, for those who write to that."""
        return self.beneath.fileno()

    def _log(self, line: str) -> None:
        # What cannot be logged is not logged again: logging tells of it on standard error.
        if not line.strip() or self._is_logging:
            return
        self._is_logging = True
        try:
            logging.getLogger("stderr").warning("%s", line.rstrip())
        finally:
            self._is_logging = False


def _take_over(stream: TextIO) -> None:
    handler = logging.StreamHandler(_beneath(stream))
    handler.setFormatter(_JsonLines({"process": os.getpid()}))
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    sys.stderr = _LoggedLines(_beneath(stream))


class _Told(logging.Handler):
    """Has the command tell what its parts log: on standard error as it is then, which puts lines above a bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a warning; what fails is told by the command, once."""
        if record.levelno < logging.ERROR:
            tell(f"warning: {self.format(record)}")


def _speak_as_a_command() -> None:
    """Let what a command's parts log look like what it says itself; ``collect`` has its own logs."""
    logger = logging.getLogger(_OURS)
    logger.handlers = [_Told()]
    logger.propagate = False  # Prefect, which a block brings, tells on its own what reaches the root


def _remembered() -> Callable[[], None]:
    """Return how to bring back the logs and standard error as they are now."""
    root, ours, stream = logging.getLogger(), logging.getLogger(_OURS), sys.stderr
    before = root.handlers, ours.handlers, ours.level, ours.propagate

    def restore() -> None:
        if isinstance(sys.stderr, _LoggedLines):
            sys.stderr.end()
            logging.captureWarnings(capture=False)
        sys.stderr = stream
        root.handlers, ours.handlers, level, ours.propagate = before
        ours.setLevel(level)

    return restore


def _beneath(stream: TextIO) -> TextIO:
    return stream.beneath if isinstance(stream, _LoggedLines) else stream


def _asks_for_json(arguments: Sequence[str]) -> bool:
    asked = "--log-format=json" in arguments or ("--log-format", "json") in pairwise(arguments)
    return asked and arguments[0] == "collect"
