"""The commands on an archive that is there: ``miso-archive read``, ``coverage`` and ``compact``."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from cyclopts import Parameter, Token

from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.intervals.market_days import WrongDaysError
from miso_archive.settings.options import ArchiveSettings, UsageError, given_in
from miso_archive.store.store import ArchiveError, Store
from miso_archive.text import shown

if TYPE_CHECKING:
    import polars as pl

    from miso_archive.reading.compaction import CompactedMonth

Source = Literal["live", "next_day_report", "day_ahead_report"]
Where = Annotated[ArchiveSettings | None, Parameter(name="*")]

_SHOWN = {
    "constraints": ("interval_end", "constraint_name", "zone", "shadow_price", "revision"),
    "snapshots": ("interval_end", "constraints", "quiet", "revision", "ref_id"),
}
_MOST_EMPTY_DAYS = 7


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
    """Print an archive's binding constraints: shadow prices in $/MW, times in EST.

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
    from miso_archive.reading.scan import scan_constraints, scan_snapshots  # noqa: PLC0415 - polars takes a while

    to = Output.of(format, output)
    shown = _SHOWN["snapshots" if snapshots else "constraints"] + (("source",) if sources != ("live",) else ())
    scan = scan_snapshots if snapshots else scan_constraints
    with told_wrong_bounds(), progress_bar("days read") as progress, _told_warnings():
        frame = scan(
            _opened(settings, start, end),
            start=start,
            end=end,
            latest_only=not all_revisions,
            strict=strict,
            sources=sources,
            progress=progress,
        ).collect()
    to.write(frame.select(shown) if to.form == "table" else frame)
    return 0


def coverage(  # noqa: PLR0913 - likewise
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    missing: bool = False,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Print what an archive holds of each market day, and what is missing: 288 intervals are expected.

    Args:
        settings: Where the archive is.
        start: The first market day, YYYY-MM-DD.
        end: The market day after the last.
        missing: List the missing intervals instead, one row each.
        format: A table, or CSV, Parquet or a JSON array; as the file of --output is named, else a table, in which more
            than seven days on end without anything are one row.
        output: A file to write instead of standard output, which is -.
    """
    from miso_archive.reading import coverage as counting  # noqa: PLC0415 - polars takes a while
    from miso_archive.store.environments import writers  # noqa: PLC0415 - likewise

    to = Output.of(format, output)
    count = counting.missing_intervals if missing else counting.coverage
    with told_wrong_bounds(), progress_bar("days read") as progress:
        store = _opened(settings, start, end)
        frame = count(store, start=start, end=end, progress=progress)
    to.write(_without_empty_runs(frame) if to.form == "table" and not missing else frame)
    if several := writers(store):
        tell(f"warning: {', '.join(several)} write into one archive: the days count all of them together")
    return 0


def compact(
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Compact closed market days to monthly Parquet beside the raw objects, which stay. Safe to repeat.

    Args:
        settings: Where the archive is.
        start: A market day of the first month to compact, YYYY-MM-DD.
        end: The market day after the last; its month is compacted as far as its days are closed.
        format: What became of each month, as a table, CSV, Parquet or a JSON array; as the file of --output is named,
            else a table.
        output: A file to write instead of standard output, which is -.
    """
    import polars as pl  # noqa: PLC0415 - it takes a while

    from miso_archive.reading.compaction import RESULTS, compact_month, months_to_compact  # noqa: PLC0415 - likewise

    to = Output.of(format, output)
    with told_wrong_bounds():
        store = _opened(settings, start, end)
        months = months_to_compact(store, start=start, end=end)
    compacted: list[CompactedMonth | None] = []
    failed: list[ArchiveError] = []
    with progress_bar("months compacted") as progress:
        for number, month in enumerate(months):
            try:
                compacted.append(compact_month(store, month))
            except ArchiveError as error:  # the other months are not to wait for this one
                failed.append(error)
            progress(number + 1, len(months))
    to.write(pl.DataFrame([month.as_dict() for month in compacted if month is not None], RESULTS))
    tell(*(error.message for error in failed))
    return 1 if failed else 0


def _opened(settings: ArchiveSettings | None, start: str | None, end: str | None) -> Store:
    from miso_archive.intervals.days import Days  # noqa: PLC0415 - likewise
    from miso_archive.store.address import refuse_no_archive, standing, store_of  # noqa: PLC0415 - polars takes a while

    Days.of(start, end)  # wrong usage is told before anything is looked for
    store = standing(store_of(ArchiveSettings.resolve(given_in(settings), os.environ)))
    refuse_no_archive(store)
    return store


@contextmanager
def told_wrong_bounds() -> Iterator[None]:
    """Say of wrong market days or sources that they are wrong usage."""
    from miso_archive.reading.scan import WrongSourcesError  # noqa: PLC0415 - polars takes a while

    try:
        yield
    except WrongDaysError as error:
        raise UsageError(error.as_option) from error
    except WrongSourcesError as error:
        raise UsageError(str(error)) from error


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - only long work needs it
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415 - likewise

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _told_warnings() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        tell(f"warning: {warning.message}")


def _without_empty_runs(days: "pl.DataFrame") -> "pl.DataFrame":
    """Return the days for people: a long run of days without anything is one row, with the sums of its days."""
    import polars as pl  # noqa: PLC0415 - it takes a while

    empty = pl.sum_horizontal(pl.exclude("market_day", "expected", "missing")) == 0
    long = empty & (pl.len().over(empty.rle_id()) > _MOST_EMPTY_DAYS)
    row = pl.when(long).then(pl.lit(-1, pl.Int64)).otherwise(pl.int_range(pl.len())).rle_id()
    first, last = pl.col("market_day").first(), pl.col("market_day").last()
    return (
        days.with_columns(row=row)
        .group_by("row", maintain_order=True)
        .agg(
            pl.when(first == last).then(first.cast(pl.String)).otherwise(pl.format("{} to {}", first, last)),
            pl.exclude("market_day").sum(),
        )
        .drop("row")
    )
