"""The command ``miso-archive read``: an archive's rows."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final, Literal, get_args

from cyclopts import Parameter, Token

from miso_archive.cli.on_archive import Where, opened, progress_bar, told_wrong_bounds
from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.reading.scan import scan_constraints, scan_snapshots
from miso_archive.text import shown

Source = Literal["live", "next_day_report", "day_ahead_report"]

_SHOWN: Final = {
    "constraints": ("interval_end", "constraint_name", "zone", "shadow_price", "revision"),
    "snapshots": ("interval_end", "constraints", "quiet", "revision", "ref_id"),
}


def _sources_named(_kind: object, tokens: Sequence[Token]) -> tuple[Source, ...]:
    """Read sources that are listed with commas, with blanks, or one by one."""
    known = get_args(Source)
    names = [name for token in tokens for part in token.value.split(",") if (name := part.strip())]
    if not names:
        raise ValueError(f"it names none of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ValueError(f"{shown(name)} is none of {', '.join(known)}")
    return tuple(name for name in known if name in names)


def read(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    snapshots: bool = False,
    all_revisions: bool = False,
    strict: bool = False,
    sources: Annotated[tuple[Source, ...], Parameter(consume_multiple=True, negative=(), converter=_sources_named)] = (
        "live",
    ),
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Carry out ``read``.

    Args:
        settings: Where the archive is.
        start: The first market day, YYYY-MM-DD.
        end: The market day after the last.
        snapshots: One row a snapshot instead, quiet ones included.
        all_revisions: Also what a later body of the same interval supersedes.
        strict: Fail on an object that cannot be read, instead of leaving it out with a warning.
        sources: `live,next_day_report` fills intervals without a live snapshot from MISO's reports; `next_day_report`
            alone gives the reports' own rows, `day_ahead_report` those of another market, by the hour.
        format: A table of the main columns, or all columns as CSV, Parquet or a JSON array; as the file of --output is
            named, else a table.
        output: A file to write instead of standard output, which is -.
    """
    to = Output.of(format, output)
    shown = _SHOWN["snapshots" if snapshots else "constraints"] + (("source",) if sources != ("live",) else ())
    scan = scan_snapshots if snapshots else scan_constraints
    with told_wrong_bounds(), progress_bar("days read") as progress, _told_warnings():
        frame = scan(
            opened(settings, start, end),
            start=start,
            end=end,
            latest_only=not all_revisions,
            strict=strict,
            sources=sources,
            progress=progress,
        ).collect()
    to.write(frame.select(shown) if to.form == "table" else frame)
    return 0


@contextmanager
def _told_warnings() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        tell(f"warning: {warning.message}")
