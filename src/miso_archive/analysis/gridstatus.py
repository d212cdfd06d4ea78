"""Rows under the names that gridstatus has for the same data. Pure."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from miso_archive.analysis.observation import Frame, latest
from miso_archive.contract.rows import Table, fields_of
from miso_archive.feeds import feed_given
from miso_archive.feeds.columns import table_given
from miso_archive.feeds.feed import Feed

_TIMES: Final = ("interval_start", "interval_end")


def to_gridstatus(constraints: Frame, feed: str | Feed = "reserve", table: str | None = None) -> pl.DataFrame:
    """Return the rows of a feed's table under the column names gridstatus uses for the same data, times still in EST.

    Args:
        constraints: The rows as the reader gives them: of constraints, unless ``feed`` and ``table`` say of what.
        feed: The feed's name.
        table: The table's name; the feed's first when not given.

    Returns:
        ``Interval Start``, ``Interval End`` and what the rows say, of reserve ``Constraint Name``, ``Shadow Price``
        ($/MW), ``Constraint Description``: the latest revision of each row, in the order given. Where a row is a name
        and a number, as a fuel's is, there is a row an interval and a column a name, null where it is absent, the sum
        where it is there twice.

    Raises:
        ValueError: The frame lacks a column; there is no such feed or table.
    """
    found = table_given(feed_given(feed), table)
    names = dict(_names(found))
    rows = latest(constraints, found.name, tuple(names)).rename(names).collect()
    return _wide(rows) if _is_wide(found) else rows


def _names(table: Table) -> Iterator[tuple[str, str]]:
    """Yield a table's columns as the feed usually fills them, each with gridstatus' name."""
    yield from ((name, _spelled(name)) for name in _TIMES)
    computed = {made.of[0]: made.column.name for made in table.computed}
    for name, field in fields_of(table.row).items():
        if field.kept and field.key in table.usual_keys:
            yield name, field.gridstatus or _spelled(name)
            if name in computed:
                yield computed[name], _spelled(computed[name])


def _spelled(name: str) -> str:
    """Spell a column's name as gridstatus does; a word without a vowel is an abbreviation."""
    words = name.split("_")
    return " ".join(word.capitalize() if set(word) & set("aeiou") else word.upper() for word in words)


def _is_wide(table: Table) -> bool:
    kept = [field.kind.holds for field in fields_of(table.row).values() if field.kept]
    return kept == [str, float] and not table.computed


def _wide(rows: pl.DataFrame) -> pl.DataFrame:
    """Make a column of each name, in the order in which they come."""
    *times, name, value = rows.columns
    summed = rows.group_by(*times, name, maintain_order=True).agg(pl.col(value).sum())
    return summed.pivot(on=name, index=times, values=value, maintain_order=True)
