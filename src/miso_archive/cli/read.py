"""The command ``miso-archive read``: an archive's rows."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final, Literal, get_args

import polars as pl
from cyclopts import Parameter, Token

from miso_archive.cli.on_archive import Where, opened, progress_bar, told_wrong_bounds
from miso_archive.cli.on_feeds import OneFeed, listed
from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.feeds.columns import SNAPSHOTS_TABLE
from miso_archive.reading.scan import scan
from miso_archive.settings.options import UsageError

Source = Literal["live", "next_day_report", "day_ahead_report", "keyed_api", "rolling_days"]

_SHOWN: Final = ("interval_end", "constraint_name", "zone", "shadow_price", "revision")
"""The columns of reserve's constraints that stand in a table."""

_NOT_SHOWN: Final = frozenset(
    {"market_day", "interval_start", "interval_end", "ref_id", "revision", "is_latest", "source", "object_key"}
)


def _sources_named(_kind: object, tokens: Sequence[Token]) -> tuple[Source, ...]:
    known = get_args(Source)
    names = listed(tokens, known, f"is none of {', '.join(known)}")
    if not names:
        raise ValueError(f"it names none of {', '.join(known)}")
    return tuple(name for name in known if name in names)


def read(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    feed: OneFeed = "reserve",
    table: str | None = None,
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
        feed: Whose rows.
        table: Which of its tables, as `miso-archive feeds` lists them; the first unless given.
        snapshots: One row a snapshot instead, quiet ones included.
        all_revisions: Also what a later body of the same interval supersedes.
        strict: Fail on an object that cannot be read, instead of leaving it out with a warning.
        sources: `live,next_day_report` fills intervals without a live snapshot from MISO's reports; `next_day_report`
            alone gives the reports' own rows, `day_ahead_report` those of another market, by the hour. `live,keyed_api`
            fills from the daily feeds, `live,rolling_days` fuel_mix from its links of today and yesterday.
        format: A table of the main columns, or all columns as CSV, Parquet or a JSON array; as the file of --output is
            named, else a table.
        output: A file to write instead of standard output, which is -.
    """
    to = Output.of(format, output)
    if snapshots and table is not None:
        raise UsageError("--snapshots is a table of its own: leave out --table")
    asked = SNAPSHOTS_TABLE if snapshots else table
    with told_wrong_bounds(), progress_bar("days read") as progress, _told_warnings():
        frame = scan(
            opened(settings, start, end),
            feed,
            asked,
            start=start,
            end=end,
            latest_only=not all_revisions,
            strict=strict,
            sources=sources,
            progress=progress,
        ).collect()
    to.write(frame.select(_shown(frame, has_sources=sources != ("live",))) if to.form == "table" else frame)
    return 0


def _shown(frame: pl.DataFrame, *, has_sources: bool) -> list[str]:
    """Return the main columns of a frame: those that fit a terminal."""
    if set(_SHOWN) <= set(frame.columns):
        columns = list(_SHOWN)
    else:
        said = [name for name in frame.columns if name not in _NOT_SHOWN]
        columns = ["interval_end", *said, "revision", *(["ref_id"] if "constraints" in said else [])]
    return [*columns, *(["source"] if has_sources else [])]


@contextmanager
def _told_warnings() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        tell(f"warning: {warning.message}")
