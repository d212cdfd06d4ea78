"""An archive of four objects, and a command on it."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.store.layout import snapshot_key
from tests.bodies import live_body

if TYPE_CHECKING:
    import pytest


NAME = "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3"
NOON = datetime(2026, 7, 27, 12, 0, tzinfo=EST)


def body(end: datetime, *prices: str) -> bytes:
    """A live body of one interval with these prices."""
    return live_body(end, *prices, name=NAME)


def objects() -> dict[str, bytes]:
    """Two binding intervals, the first revised, and a quiet one, by key."""
    first, second, third = (NOON + timedelta(minutes=5 * number) for number in range(3))
    revision = "aaaaaaaaaaaa"
    return {
        snapshot_key(RESERVE, first): gzip.compress(body(first, "-1.5")),
        snapshot_key(RESERVE, first, revision_of=revision): gzip.compress(body(first, "-2.5")),
        snapshot_key(RESERVE, second): gzip.compress(body(second, "-8.32")),
        snapshot_key(RESERVE, third): gzip.compress(body(third)),
    }


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that does well, silent on stderr; give what it prints."""
    assert main(list(arguments)) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out
