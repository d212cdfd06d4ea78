"""The command line ``miso-archive``: its commands, and what becomes of their errors."""

import io
import os
import re
import sys
from typing import Final, TextIO

from cyclopts import App, CycloptsError, UnusedCliTokensError
from pydantic import ValidationError

from miso_archive.cli.logs import own_stderr
from miso_archive.cli.streams import OutputError, fill_closed_streams, tell
from miso_archive.extras import MissingExtraError
from miso_archive.failures import CollectionError
from miso_archive.settings.options import BackfillSettings, Settings, UsageError, explained
from miso_archive.settings.third_party import leave_out_unusable, quiet_prefect
from miso_archive.store.store import UnreadableObjectError
from miso_archive.text import stripped
from miso_archive.version import __version__

OK: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
_HELP: Final = frozenset({"--help", "-h", "--version"})

app = App(
    name="miso-archive",
    help=(
        "Collect and archive MISO's real-time feeds, every five minutes: reserve binding constraints where --feed names"
        " no others."
    ),
    version=__version__,
)


_COMMANDS: Final = {
    "feeds": "List the feeds: what --feed takes, and what each is.",
    "collect": (
        "Fetch the present snapshot of a feed, or of several, archive it unless it is there, announce it; print the"
        " result as JSON.\n\n"
        "Exit code 0 when nothing failed, 1 when something did, 2 for wrong usage. Logs go to stderr."
    ),
    "simulate": (
        "Serve a simulated feed on loopback until interrupted, or write a simulated archive: for trials, never for"
        " data."
    ),
    "validate": (
        "Check payloads of a feed against its contract; print each reason for a refusal.\n\n"
        "Exit code 0 when all are valid, 1 when not."
    ),
    "read": (
        "Print an archive's rows of a feed: of reserve binding constraints, shadow prices in $/MW, unless --feed names"
        " another; times in EST."
    ),
    "coverage": "Print what an archive holds of each market day, and what is missing: 288 intervals are expected.",
    "compact": "Compact closed market days to monthly Parquet beside the raw objects, which stay. Safe to repeat.",
    "status": (
        "Tell the last archived interval and its age, the day's coverage, refusals, drift, and whether all parts "
        "answer.\n\n"
        "Exit code 0 when the archive is fresh and every configured part answers, 1 when not. The feed is not "
        "asked."
    ),
    "backfill": (
        "Fetch MISO's next-day reports of market days with missing intervals of reserve, newest first, and archive"
        " them.\n\n"
        "Exit code 0 when nothing failed, 1 when something did. A report that is not published yet is no failure."
    ),
    "report": (
        "Run a notebook on an archive, a market day at a glance unless another is named, and write it as one page that"
        " opens without a network.\n\n"
        "Exit code 0 when the page is written, 1 when a cell failed: then the page of before stays."
    ),
    "replay": (
        "Judge refused bodies anew by today's rules, archive those that pass; print the result as JSON. Safe to "
        "repeat.\n\n"
        "They keep the time of their first fetch, and stay in the quarantine too. They are old data: none is "
        "announced in Kafka. Exit code 0 when every body could be judged, 1 when one could not or the archive "
        "fails, 2 for wrong usage."
    ),
}
"""What each command does, as its help begins. A command's file is imported when it runs, or explains its options."""

for _name, _what in _COMMANDS.items():
    app.command(f"miso_archive.cli.{_name}:{_name}", help=_what)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    fill_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A folder's name need not be in the letters of the terminal.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = _without_white_space(sys.argv[1:] if arguments is None else arguments)
    code = FAILED  # of an error that own_stderr logs
    with own_stderr(words, until_exit=arguments is None):
        quiet_prefect()
        tell(*(f"warning: {sentence}" for sentence in leave_out_unusable(os.environ)))
        code = _run(words)
    if sys.__stderr__ is not None:
        _drop(sys.__stderr__)  # the exit code is the result's, also where nobody reads the logs
    return code


def _without_white_space(arguments: list[str]) -> list[str]:
    """Return what is asked for; a script with CRLF puts a line break behind it. A file to validate has its own name."""
    return arguments if arguments[:1] == ["validate"] else [stripped(argument) for argument in arguments]


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _wrong_usage(_without_values(error), arguments)
    except UsageError as error:
        return _wrong_usage(str(error), arguments)
    except (CollectionError, UnreadableObjectError, OutputError, MissingExtraError) as error:
        tell(error.message if isinstance(error, CollectionError) else str(error))
        _drop(sys.stdout)
        return FAILED
    except BrokenPipeError:
        _drop(sys.stdout)
        return FAILED
    except OSError as error:
        if arguments and not _HELP & set(arguments):
            raise
        tell(f"standard output cannot be written: {error.strerror}")
        _drop(sys.stdout)
        return FAILED
    return code if isinstance(code, int) else OK


def _drop(stream: TextIO) -> None:
    """Whoever read a stream has had enough, or the disk is full; what is left must not fail again at exit."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _without_values(error: CycloptsError) -> str:
    """Say what is wrong without repeating what was given, which may be a password."""
    if isinstance(error.__cause__, ValidationError):
        return explained(error.__cause__, {*Settings.model_fields, *BackfillSettings.model_fields})
    if isinstance(error, UnusedCliTokensError):
        return "there are arguments too many: an option takes one value, quoted if it has blanks"
    return re.sub(r"=\S+", "=...", str(error))


def _wrong_usage(message: str, arguments: list[str]) -> int:
    command = " ".join(("miso-archive", *app.parse_commands(arguments)[0]))
    tell(f"{message}\nTry {command} --help.")
    return WRONG_USAGE
