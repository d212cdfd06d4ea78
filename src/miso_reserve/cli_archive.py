"""The commands on an archive that is there: ``miso-reserve read``, ``coverage`` and ``compact``."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from miso_reserve.objects import ArchiveError
from miso_reserve.settings import ArchiveSettings, UsageError, given_in

if TYPE_CHECKING:
    import polars as pl

    from miso_reserve.compaction import CompactedMonth
    from miso_reserve.objects import Objects

Format = Literal["table", "csv", "parquet", "json"]
Source = Literal["live", "next_day_report", "day_ahead_report"]
Where = Annotated[ArchiveSettings | None, Parameter(name="*")]

_SHOWN = {
    "constraints": ("interval_end", "constraint_name", "zone", "shadow_price", "revision"),
    "snapshots": ("interval_end", "constraints", "quiet", "revision", "ref_id"),
}
_MOST_ROWS_SHOWN = 60


def read(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    snapshots: bool = False,
    all_revisions: bool = False,
    strict: bool = False,
    sources: Annotated[tuple[Source, ...], Parameter(consume_multiple=True, negative=())] = ("live",),
    format: Format = "table",  # noqa: A002 - the option's name
    output: Path | None = None,
) -> int:
    """Print an archive's binding constraints: shadow prices in $/MW, times in EST.

    Args:
        settings: Where the archive is.
        start: The first market day, YYYY-MM-DD.
        end: The market day after the last.
        snapshots: One row a snapshot instead, quiet ones included.
        all_revisions: Also what a later body of the same interval supersedes.
        strict: Fail on an object that cannot be read, instead of leaving it out with a warning.
        sources: `live next_day_report` fills intervals without a live snapshot from MISO's reports; `next_day_report`
            alone gives the reports' own rows, `day_ahead_report` those of another market, by the hour.
        format: A table of the main columns, or all columns as CSV, Parquet or a JSON array.
        output: A file to write instead of standard output.
    """
    from miso_reserve.reader import scan_constraints, scan_snapshots  # noqa: PLC0415 - polars takes a while

    shown = _SHOWN["snapshots" if snapshots else "constraints"] + (("source",) if sources != ("live",) else ())
    scan = scan_snapshots if snapshots else scan_constraints
    with told_wrong_bounds(), progress_bar("days read") as progress, _told_warnings():
        frame = scan(
            _opened(settings),
            start=start,
            end=end,
            latest_only=not all_revisions,
            strict=strict,
            sources=sources,
            progress=progress,
        ).collect()
    write_frame(frame.select(shown) if format == "table" else frame, format, output)
    return 0


def coverage(  # noqa: PLR0913 - likewise
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    missing: bool = False,
    format: Format = "table",  # noqa: A002 - the option's name
    output: Path | None = None,
) -> int:
    """Print what an archive holds of each market day, and what is missing: 288 intervals are expected.

    Args:
        settings: Where the archive is.
        start: The first market day, YYYY-MM-DD.
        end: The market day after the last.
        missing: List the missing intervals instead, one row each.
        format: A table, or CSV, Parquet or a JSON array.
        output: A file to write instead of standard output.
    """
    from miso_reserve import completeness  # noqa: PLC0415 - polars takes a while

    count = completeness.missing_intervals if missing else completeness.coverage
    with told_wrong_bounds(), progress_bar("days read") as progress:
        frame = count(_opened(settings), start=start, end=end, progress=progress)
    write_frame(frame, format, output)
    return 0


def compact(
    *,
    settings: Where = None,
    start: str | None = None,
    end: str | None = None,
    format: Format = "table",  # noqa: A002 - the option's name
    output: Path | None = None,
) -> int:
    """Compact closed market days to monthly Parquet beside the raw objects, which stay. Safe to repeat.

    Args:
        settings: Where the archive is.
        start: A market day of the first month to compact, YYYY-MM-DD.
        end: The market day after the last; its month is compacted as far as its days are closed.
        format: What became of each month, as a table, CSV, Parquet or a JSON array.
        output: A file to write instead of standard output.
    """
    import polars as pl  # noqa: PLC0415 - it takes a while

    from miso_reserve.compaction import RESULTS, compact_month, months_to_compact  # noqa: PLC0415 - likewise

    objects = _opened(settings)
    with told_wrong_bounds():
        months = months_to_compact(objects, start=start, end=end)
    compacted: list[CompactedMonth | None] = []
    failed: list[ArchiveError] = []
    with progress_bar("months compacted") as progress:
        for number, month in enumerate(months):
            try:
                compacted.append(compact_month(objects, month))
            except ArchiveError as error:  # the other months are not to wait for this one
                failed.append(error)
            progress(number + 1, len(months))
    write_frame(pl.DataFrame([month.as_dict() for month in compacted if month is not None], RESULTS), format, output)
    sys.stderr.writelines(f"miso-reserve: {reason}\n" for reason in failed)
    return 1 if failed else 0


def _opened(settings: ArchiveSettings | None) -> "Objects":
    from miso_reserve.archive_address import objects_of  # noqa: PLC0415 - polars takes a while

    return objects_of(ArchiveSettings.resolve(given_in(settings), os.environ))


@contextmanager
def told_wrong_bounds() -> Iterator[None]:
    """Say of wrong market days or sources that they are wrong usage."""
    from miso_reserve.days import WrongDaysError  # noqa: PLC0415 - polars takes a while
    from miso_reserve.reader import WrongSourcesError  # noqa: PLC0415 - likewise

    try:
        yield
    except (WrongDaysError, WrongSourcesError) as error:
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
        sys.stderr.write(f"miso-reserve: warning: {warning.message}\n")


def write_frame(frame: "pl.DataFrame", form: Format, output: Path | None) -> None:
    """Write a frame in a format, to a file or to standard output."""
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal: give --output FILE, or pipe it")
    data = _formatted(frame, form)
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise UsageError(f"--output: {output} cannot be written: {error.strerror}") from error


def _formatted(frame: "pl.DataFrame", form: Format) -> bytes:
    import polars as pl  # noqa: PLC0415 - it takes a while

    if form == "parquet":
        from io import BytesIO  # noqa: PLC0415 - only here

        data = BytesIO()
        frame.write_parquet(data)
        return data.getvalue()
    # Times as they are in EST, with their offset: a reader in another zone must not guess.
    text = frame.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S-05:00"))
    if form == "json":
        return text.write_json().encode() + b"\n"
    if form == "csv":
        return text.with_columns(pl.selectors.list().list.join("+")).write_csv().encode()
    return _table(frame)


def _table(frame: "pl.DataFrame") -> bytes:
    import polars as pl  # noqa: PLC0415 - it takes a while

    readable = frame.with_columns(
        pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M"),
        pl.selectors.string().str.replace_all(r"\p{Cc}", "\N{REPLACEMENT CHARACTER}"),  # a terminal would obey them
    )
    with pl.Config(
        tbl_formatting="NOTHING",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_cell_numeric_alignment="RIGHT",
        tbl_rows=_MOST_ROWS_SHOWN,
        tbl_cols=-1,
        tbl_width_chars=200,
        fmt_str_lengths=100,
        float_precision=2,
    ):
        return f"{readable}\n{len(frame)} rows, times in EST\n".encode()
