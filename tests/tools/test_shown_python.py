"""The lines of Python that the documentation shows run, on an archive of all feeds."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.store.folder import Folder
from tests.feeds.archived import put_simulated
from tests.tools.documentation import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

FROM = datetime(2001, 1, 2, 6, 45, tzinfo=EST)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty minutes of each feed about the end of an hour, in ./data."""
    folder = tmp_path / "data"
    for feed in FEEDS.values():
        put_simulated(Folder(folder), feed, *(FROM + number * INTERVAL for number in range(9)))
    monkeypatch.chdir(tmp_path)
    return folder


def blocks(page: str) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall("```python\n(.*?)```", (PROJECT / page).read_text(), re.DOTALL)


@pytest.mark.usefixtures("data")
def test_each_way_to_read_is_one(tmp_path: Path) -> None:
    """Every line of the first block that reads a folder gives rows, or a file with such."""
    importing, *lines = [line for line in blocks("docs/read.md")[0].splitlines() if line]
    of_a_folder = [line for line in lines if '"data"' in line]
    assert len(of_a_folder) > 6
    names: dict[str, Any] = {}
    exec(importing, names)  # noqa: S102 - our own lines
    for line in of_a_folder:
        made = eval(line, names)  # noqa: S307 - likewise
        frame = made.lazy().collect() if made is not None else None
        assert frame is None or len(frame) > 0
    assert {path.name for path in tmp_path.glob("*.csv")} == {"prices.csv", "coverage.csv"}


@pytest.mark.usefixtures("data")
def test_feeds_are_joined(capsys: pytest.CaptureFixture[str]) -> None:
    """Wind stands beside the prices of its interval, and each zone beside the day-ahead price of its hour."""
    joining = next(block for block in blocks("docs/read.md") if "prices.join(" in block)
    names: dict[str, Any] = {}
    exec(f"import miso_archive as mr\n{joining}", names)  # noqa: S102 - our own lines
    printed = capsys.readouterr().out
    # Eight intervals of nine have both feeds: the prices are a label ahead of the clock.
    assert re.findall(r"shape: \((\d+),", printed) == [str(8 * 9), str(9 * 8)]
    markets = names["markets"].collect()
    assert {f"{end:%H:%M}": hour.hour for end, hour in markets.select("interval_end", "hour").rows()} == {
        **dict.fromkeys(("06:45", "06:50", "06:55", "07:00"), 7),
        **dict.fromkeys(("07:05", "07:10", "07:15", "07:20", "07:25"), 8),
    }
