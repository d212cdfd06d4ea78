"""`report`: a notebook run on an archive, as one page; and what becomes of it where a cell fails."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import nbformat
import pytest

from miso_archive.cli.app import main
from miso_archive.feeds import FEEDS
from miso_archive.pages import page as pages
from miso_archive.simulate.archive import write_archive
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated days of every feed."""
    root = tmp_path_factory.mktemp("report") / "data"
    write_archive(root, days=2, seed=11, feeds=tuple(FEEDS.values()))
    return root


def broken(folder: Path, source: str) -> None:
    """Put a notebook whose second cell has this source in place of the market day's."""
    cells = [nbformat.v4.new_code_cell("1 + 1"), nbformat.v4.new_code_cell(source)]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    nbformat.write(notebook, folder / "market_day.ipynb")  # type: ignore[no-untyped-call]


def test_a_market_day_is_one_page(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the day that is asked for, with every chart and no code, and with no address that a browser would ask."""
    page = tmp_path / "page.html"
    assert main(["report", "--local", str(archive), "--day", "2001-01-01", "--output", str(page)]) == 0
    html = page.read_text()
    assert "<title>market day 2001-01-01</title>" in html
    assert "SIMULATED data, market day 2001-01-01 (EST), " in html
    assert "SIMULATED data" in html
    assert html.count("<iframe") == 6
    assert html.count("vegaEmbed=") == 1
    assert "import miso_archive" not in html
    assert re.findall(r"(?:src|href)=[\"']https?:", unescape(html)) == []
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_another_notebook_of_the_whole_archive(archive: Path, tmp_path: Path) -> None:
    """Any of the notebooks can be made a page of."""
    page = tmp_path / "prices.html"
    words = ["--local", str(archive), "--notebook", "reserve_and_prices", "--output", str(page)]
    assert main(["report", *words]) == 0
    assert "Reserve constraints and prices" in page.read_text()


@ON_REAL_SERVERS
def test_a_bucket_is_read_by_its_name(archive: Path, bucket: Bucket, tmp_path: Path) -> None:
    """The process that runs the notebook has the bucket's keys from the environment."""
    for path in archive.rglob("*20010102_10*.json.gz"):
        bucket.client.put_object(Bucket=bucket.name, Key=str(path.relative_to(archive)), Body=path.read_bytes())
    page = tmp_path / "page.html"
    assert main(["report", "--s3-bucket", bucket.name, "--output", str(page)]) == 0
    assert "market day 2001-01-02 (EST), " in page.read_text()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("1 / 0", "market_day: cell 2 failed: ZeroDivisionError: 'division by zero'"),
        ("while True: pass", "market_day: cell 2 did not end within 2 s"),
        ("import os; os._exit(1)", "market_day: cell 2 ended the process that ran it"),
    ],
    ids=["error", "endless", "death"],
)
def test_a_cell_that_fails_leaves_the_page_of_before(  # noqa: PLR0913, PLR0917 - the cell, and where
    source: str,
    told: str,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The cell is named by its number, with its error; exit code 1."""
    broken(tmp_path, source)
    monkeypatch.setattr(pages, "PLACES", (tmp_path, tmp_path))
    monkeypatch.setattr(pages, "MOST_SECONDS", 2)
    page = tmp_path / "page.html"
    page.write_text("of before")
    assert main(["report", "--local", str(archive), "--output", str(page)]) == 1
    assert told in capsys.readouterr().err
    assert page.read_text() == "of before"


def test_a_process_that_does_not_start_is_told(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a Python that finds no library of its own no cell is blamed, and the page of before stays; exit code 1."""
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    page = tmp_path / "page.html"
    page.write_text("of before")
    assert main(["report", "--local", str(archive), "--output", str(page)]) == 1
    told = capsys.readouterr().err
    assert "market_day: the process that runs its cells did not start: 'Kernel died before" in told
    assert "Traceback" not in told
    assert page.read_text() == "of before"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--day", "yesterday"], "--day is a market day, YYYY-MM-DD, not 'yesterday'"),
        (["--day", "2001-01-01", "--notebook", "shadow_prices"], "--day: shadow_prices is of the whole archive"),
        (["--output", "."], "--output: . is a folder"),
        (["--output", "no/such/page.html"], "there is no folder no/such"),
        (["--notebook", "mine"], "--notebook"),
    ],
)
def test_wrong_usage(words: list[str], told: str, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be is told before anything runs, exit code 2."""
    given = [] if "--output" in words else ["--output", "page.html"]
    assert main(["report", "--local", str(archive), *given, *words]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_is_no_archive_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no market day without data."""
    (tmp_path / "letters").mkdir()
    assert main(["report", "--local", str(tmp_path), "--output", str(tmp_path / "page.html")]) == 1
    assert "is no archive" in capsys.readouterr().err
