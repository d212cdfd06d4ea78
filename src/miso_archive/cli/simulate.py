"""The command ``miso-archive simulate``: a simulated feed, or a simulated archive."""

from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from miso_archive.cli.on_feeds import LiveFeeds, named
from miso_archive.cli.streams import put
from miso_archive.settings.options import UsageError
from miso_archive.simulate import run
from miso_archive.simulate.archive import FIRST_DAY, write_archive
from miso_archive.text import counted


def simulate(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65535))] = None,
    speed: float | None = None,
    faults: str | None = None,
    seed: int = 0,
    archive: Path | None = None,
    days: int | None = None,
    start: date | None = None,
    feed: LiveFeeds | None = None,
) -> int:
    """Carry out ``simulate``.

    Args:
        port: The port to listen on, 8000 unless given; 0 takes a free one.
        speed: Simulated seconds a real second, 1 unless given; 0 stands still.
        faults: Faults and how often each is served, as 503=0.1,no-data=0.02.
        seed: Another seed is another market; the same one repeats it.
        archive: A folder without an archive: write simulated days into it, and serve nothing.
        days: How many market days to write with --archive, 30 unless given.
        start: The first market day to write with --archive, as YYYY-MM-DD; 2001-01-01 unless given.
        feed: Which feed to write with --archive, or several, reserve unless given; `all` is every one.
    """
    serving = {"--port": port, "--speed": speed, "--faults": faults}
    writing = {"--days": days, "--start": start, "--feed": feed}
    for option, value in (writing if archive is None else serving).items():
        if value is not None:
            raise UsageError(f"{option} {'needs' if archive is None else 'does not go with'} --archive")
    listened_on = 8000 if port is None else port
    try:
        if archive is None:
            return run(port=listened_on, speed=1.0 if speed is None else speed, faults=faults or "", seed=seed)
        feeds = named(feed or ("reserve",))
        summary = write_archive(
            archive, days=30 if days is None else days, seed=seed, start=start or FIRST_DAY, feeds=feeds
        )
    except OSError as error:
        place = f"--port: port {listened_on} of 127.0.0.1" if archive is None else f"--archive: {_named(archive)}"
        raise UsageError(f"{place} cannot be used: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error
    put(
        f"{counted(summary.snapshots, 'snapshot')} ({summary.quiet:,} quiet), "
        f"{counted(summary.revisions, 'revision')}, {counted(summary.gaps, 'gap')}, "
        f"{summary.refused} refused{f' of {len(feeds)} feeds' if len(feeds) > 1 else ''} in {_named(archive)}: "
        "simulated data, not MISO's\n"
    )
    return 0


def _named(folder: Path) -> str:
    return str(folder) if str(folder).isprintable() else ascii(str(folder))
