"""The command line: ``miso-archive collect``, ``validate``, ``simulate``, and those on an archive."""

import io
import os
import re
import signal
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Final, TextIO

import orjson
from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from pydantic import ValidationError

from miso_archive.cli import archive as cli_archive
from miso_archive.cli import backfill as cli_backfill
from miso_archive.cli import replay as cli_replay
from miso_archive.cli import status as cli_status
from miso_archive.cli import validate as cli_validate
from miso_archive.cli.logs import log_to_stderr, own_stderr
from miso_archive.cli.output import OutputError, put
from miso_archive.cli.streams import fill_closed_streams, tell
from miso_archive.extras import MissingExtraError
from miso_archive.failures import CollectionError
from miso_archive.settings.options import BackfillSettings, Settings, UsageError, explained, given_in
from miso_archive.settings.third_party import leave_out_unusable, quiet_prefect
from miso_archive.store.store import UnreadableObjectError
from miso_archive.text import counted, stripped
from miso_archive.version import __version__

OK: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
_HELP: Final = frozenset({"--help", "-h", "--version"})
_TERMINATED: Final = 128 + signal.SIGTERM

app = App(
    name="miso-archive",
    help="Collect and archive MISO's reserve binding constraints: shadow prices, every five minutes.",
    version=__version__,
)


@app.command
def collect(*, settings: Annotated[Settings | None, Parameter(name="*")] = None) -> int:
    """Fetch the present snapshot, archive it unless it is there, announce it; print the result as JSON.

    Exit code 0 when nothing failed, 1 when something did, 2 for wrong usage. Logs go to stderr.
    """
    resolved = Settings.resolve(given_in(settings), os.environ)
    log_to_stderr(resolved)
    # Only this command needs the network's and Redis' libraries; validate starts without them.
    from miso_archive.collecting.plain import run  # noqa: PLC0415 - as said

    # A stop by systemd or a container must close what the run opened, an embedded Valkey above all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    result = run(resolved)
    put(orjson.dumps(result.as_dict()).decode() + "\n")
    return FAILED if result.failed else OK


@app.command
def simulate(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    port: int | None = None,
    speed: float | None = None,
    faults: str | None = None,
    seed: int = 0,
    archive: Path | None = None,
    days: int | None = None,
    start: date | None = None,
) -> int:
    """Serve a simulated feed on loopback until interrupted, or write a simulated archive: for trials, never for data.

    Args:
        port: The port to listen on, 8000 unless given; 0 takes a free one.
        speed: Simulated seconds a real second, 1 unless given; 0 stands still.
        faults: Faults and how often each is served, as 503=0.1,no-data=0.02.
        seed: Another seed is another market; the same one repeats it.
        archive: A folder without an archive: write simulated days into it, and serve nothing.
        days: How many market days to write with --archive, 30 unless given.
        start: The first market day to write with --archive, as YYYY-MM-DD; 2001-01-01 unless given.
    """
    serving = {"--port": port, "--speed": speed, "--faults": faults}
    writing = {"--days": days, "--start": start}
    for option, value in (writing if archive is None else serving).items():
        if value is not None:
            raise UsageError(f"{option} {'needs' if archive is None else 'does not go with'} --archive")
    try:
        if archive is not None:
            return _write_simulated(archive, 30 if days is None else days, seed, start)
        from miso_archive.simulate import run  # noqa: PLC0415 - only this command needs a server

        return run(
            port=8000 if port is None else port,
            speed=1.0 if speed is None else speed,
            faults=faults or "",
            seed=seed,
        )
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(str(error)) from error


_OTHER_COMMANDS = (
    cli_validate.validate,
    cli_archive.read,
    cli_archive.coverage,
    cli_archive.compact,
    cli_status.status,
    cli_backfill.backfill,
    cli_replay.replay,
)
for command in _OTHER_COMMANDS:
    app.command(command)


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


def _write_simulated(folder: Path, days: int, seed: int, start: date | None) -> int:
    from miso_archive.simulate.archive import FIRST_DAY, write_archive  # noqa: PLC0415 - as for the server

    summary = write_archive(folder, days=days, seed=seed, start=start or FIRST_DAY)
    name = str(folder) if str(folder).isprintable() else ascii(str(folder))
    put(
        f"{counted(summary.snapshots, 'snapshot')} ({summary.quiet:,} quiet), "
        f"{counted(summary.revisions, 'revision')}, {counted(summary.gaps, 'gap')}, "
        f"{summary.refused} refused in {name}: simulated data, not MISO's\n"
    )
    return OK
