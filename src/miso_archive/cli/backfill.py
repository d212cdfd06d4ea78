"""The command ``miso-archive backfill``: gaps healed from MISO's reports."""

import os
from typing import Annotated

from cyclopts import Parameter

from miso_archive.cli.on_archive import backfill_progress, told_wrong_bounds
from miso_archive.cli.on_feeds import OneFeed
from miso_archive.cli.output import File, Format, Output
from miso_archive.cli.streams import tell
from miso_archive.feeds import KNOWN
from miso_archive.feeds.report import DAY_AHEAD_REPORT, NEXT_DAY_REPORT
from miso_archive.settings.options import BackfillSettings, UsageError, given_in
from miso_archive.text import counted


def backfill(  # noqa: PLR0913 - all by keyword, all with a default
    *,
    settings: Annotated[BackfillSettings | None, Parameter(name="*")] = None,
    feed: OneFeed = "reserve",
    start: str | None = None,
    end: str | None = None,
    day_ahead: bool = False,
    format: Format | None = None,  # noqa: A002 - the option's name
    output: File = None,
) -> int:
    """Carry out ``backfill``.

    Args:
        settings: Where the archive is, and where the reports are.
        feed: Whose gaps. Those of binding constraints are healed from reports, of `rt_exante_lmp` and of what `asm_mcp`
            has day ahead from the daily feeds, of `fuel_mix` from its links of today and yesterday; of a daily feed
            they are its own days.
        start: The first market day, YYYY-MM-DD; the archive's first unless given.
        end: The market day after the last; today unless given.
        day_ahead: The day-ahead reports of reserve instead, of every day that has none.
        format: What became of each day, as a table, CSV, Parquet or a JSON array; as the file of --output is named,
            else a table.
        output: A file to write instead of standard output, which is -.
    """
    from miso_archive.healing.backfill import backfill as from_reports  # noqa: PLC0415 - its help needs nothing of it
    from miso_archive.healing.market_days import backfill_market_days, require_key  # noqa: PLC0415 - likewise
    from miso_archive.healing.rolling import backfill_rolling  # noqa: PLC0415 - likewise

    to = Output.of(format, output)
    resolved = BackfillSettings.resolve(given_in(settings), os.environ)
    source = DAY_AHEAD_REPORT if day_ahead else NEXT_DAY_REPORT
    known = KNOWN[feed]
    if known.rolling is not None and (start is not None or end is not None):
        raise UsageError(f"--start, --end: {feed} is backfilled from links of today and yesterday: leave them out")
    is_of_days = known.daily is not None or known.history is not None
    if known.report_of(source) is None and (day_ahead or not known.is_filled):
        having = ", ".join(name for name, each in KNOWN.items() if each.report_of(source))
        raise UsageError(f"--feed: no report is known that heals {feed}: its gaps stay. Of {having} there is one")
    if is_of_days:
        require_key(resolved, known)
    with told_wrong_bounds(), backfill_progress("days backfilled") as progress:
        if known.rolling is not None:
            result = backfill_rolling(resolved, known)
        elif is_of_days:
            result = backfill_market_days(resolved, known, start=start, end=end, progress=progress)
        else:
            result = from_reports(resolved, known, start=start, end=end, source=source, progress=progress)
    frame = result.frame()
    to.write(frame.drop("object_key", "message") if to.form == "table" else frame)
    tell(*(f"{day.market_day} {day.outcome}: {day.code}: {day.message}" for day in result.days if day.code is not None))
    if noted := [day for day in result.days if day.code is None and day.message is not None]:
        more = f"; so in {counted(len(noted) - 1, 'more report')}" if len(noted) > 1 else ""
        tell(f"{noted[0].market_day}: {noted[0].message}{more}")
    return 1 if result.failed else 0
