"""Tables of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from miso_archive.feeds.columns import Column


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def columns(described: tuple[Column, ...]) -> str:
    """Return the table of a frame's columns."""
    rows = ((f"`{name}`", f"`{dtype}`", unit, meaning) for name, dtype, unit, meaning in described)
    return table(("Column", "Type", "Unit", "Meaning"), rows)
