from __future__ import annotations

import base64
import gzip
import json
import re
from typing import TYPE_CHECKING

import pytest

from miso_archive.feeds import FEEDS
from miso_archive.pages import NOTEBOOKS as NAMES
from miso_archive.pages.page import OF_THE_REPOSITORY, PICTURE
from miso_archive.simulate.archive import write_archive
from tests.tools.notebooks import NOTEBOOKS, PICTURED, PLOT, committed, deflated, executed, images

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

pytestmark = pytest.mark.notebooks

CHARTS = {"shadow_prices": 10, "archive_health": 4, "reserve_and_prices": 6, "market_day": 6}


@pytest.fixture(scope="module")
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with gaps, revisions, a refused body and both shapes."""
    folder = tmp_path_factory.mktemp("ten_days") / "archive"
    written = write_archive(folder, days=10, seed=11)
    assert min(written.gaps, written.revisions, written.refused, written.documented) > 0
    return folder


@pytest.fixture(scope="module")
def all_feeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three days of every feed, with gaps."""
    folder = tmp_path_factory.mktemp("all_feeds") / "archive"
    assert write_archive(folder, days=3, seed=11, feeds=tuple(FEEDS.values())).gaps > 0
    return folder


@pytest.fixture(scope="module")
def quiet_hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one hour in which nothing binds, without provenance."""
    folder = tmp_path_factory.mktemp("quiet_hour")
    day = folder / "sourcing" / "miso_binding_constraints_reserve" / "2001-01-02"
    day.mkdir(parents=True)
    for minute in range(0, 60, 5):
        body = {"RefId": f"02-Jan-2001 - Interval 07:{minute:02} EST", "Constraint": []}
        name = f"binding_constraints_reserve_20010102_07{minute:02}.json.gz"
        (day / name).write_bytes(gzip.compress(json.dumps(body).encode()))
    return folder


@pytest.fixture(scope="module")
def refused_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one refused body."""
    folder = tmp_path_factory.mktemp("refused_alone")
    day = folder / "quarantine" / "miso_binding_constraints_reserve" / "2001-01-02"
    day.mkdir(parents=True)
    (day / f"refused_{64 * '0'}.body.gz").write_bytes(gzip.compress(b"{}"))
    return folder


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """Return all outputs of all cells."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        *((name, "ten_days") for name in NAMES if name != "market_day"),
        *((name, "quiet_hour") for name in NAMES if name != "reserve_and_prices"),
        *((name, "all_feeds") for name in ("reserve_and_prices", "market_day")),
    ],
)
def test_a_notebook_runs_to_its_end(name: str, archive: str, request: pytest.FixtureRequest) -> None:
    """Every cell runs, on all feeds, on one alone and on a quiet hour of it; nothing warns, every chart is drawn."""
    notebook = executed(name, request.getfixturevalue(archive))
    assert {output.output_type for output in outputs(notebook)} == {"execute_result"}
    assert len(images(notebook)) == CHARTS[name]
    said = [output.data["text/markdown"] for output in outputs(notebook) if "text/markdown" in output.data]
    assert said[0].startswith("**SIMULATED data, market day")


@pytest.mark.parametrize(
    ("name", "archive"),
    [("archive_health", "refused_alone"), *((name, "nothing") for name in NAMES if name != "archive_health")],
)
def test_an_archive_without_snapshots_is_told(name: str, archive: str, tmp_path: Path, refused_alone: Path) -> None:
    """On a folder with nothing in it, or with a refused body alone, every cell runs, and the first says what to do."""
    notebook = executed(name, refused_alone if archive == "refused_alone" else tmp_path)
    assert {output.output_type for output in outputs(notebook)} == {"execute_result"}
    said, *_ = [output.data["text/markdown"] for output in outputs(notebook) if "text/markdown" in output.data]
    assert said.startswith("**The archive holds no snapshots of this: collect some, or make demo for simulated ones.**")


def test_a_day_of_one_feed_is_told_of_that_feed(tmp_path: Path) -> None:
    """Where nothing but fuels was collected their day is simulated as well, and drawn; of all else nothing is said."""
    write_archive(tmp_path / "archive", days=1, seed=11, feeds=(FEEDS["fuel_mix"],))
    notebook = executed("market_day", tmp_path / "archive")
    said, moments, *_ = [o.data["text/markdown"] for o in outputs(notebook) if "text/markdown" in o.data]
    assert said.startswith("**SIMULATED data, market day 2001-01-01 (EST), ")
    assert "Natural Gas" in moments
    assert "Nothing was observed of reserve constraints." in moments
    assert len(images(notebook)) == CHARTS["market_day"]


@pytest.mark.parametrize("name", NAMES)
class TestCommitted:
    def test_shows_what_it_shows_as_simulated(self, name: str) -> None:
        """The outputs are there, without an error, and both the text on top and the first output say: simulated."""
        notebook = committed(name)
        assert {output.output_type for output in outputs(notebook)} == {"execute_result"}
        assert len(images(notebook)) == CHARTS[name]
        assert "outputs kept in the repository are of simulated data" in notebook.cells[1].source
        assert notebook.cells[1].metadata.tags == [OF_THE_REPOSITORY]
        assert "SIMULATED data" in outputs(notebook)[0].data["text/markdown"]

    def test_sets_no_formulas(self, name: str) -> None:
        """No dollar stands alone in text: Jupyter takes what is between two of them, $/MW as well, for a formula."""
        cells = committed(name).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        texts += [output.data.get("text/markdown", "") for output in outputs(committed(name))]
        assert len(texts) > 3
        assert [text for text in texts if re.search(r"(?<!\\)\$", text)] == []

    def test_was_run_once_from_top_to_bottom(self, name: str) -> None:
        """Its cells are numbered in their order, without one left out."""
        numbers = [cell.execution_count for cell in committed(name).cells if cell.cell_type == "code"]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_carries_nothing_of_the_machine_that_made_it(self, name: str) -> None:
        """No absolute path, no time of execution, no version of Python; and it stays small."""
        text = (NOTEBOOKS / f"{name}.ipynb").read_text()
        notebook = committed(name)
        assert not re.findall(r"(?<![\w/.])/(?:home|root|tmp|work|Users|usr|var)/", text)
        assert notebook.metadata["language_info"] == {"name": "python"}
        assert {key for cell in notebook.cells for key in cell.metadata} <= {"tags"}
        assert len(text) < 1_000_000


def test_readme_plot_is_the_notebooks() -> None:
    """README shows that picture, and it is the output of the tagged cell."""
    assert f"]({PLOT.relative_to(NOTEBOOKS.parent)})" in (NOTEBOOKS.parent / "README.md").read_text()
    assert images(committed(PICTURED), PICTURE) == [PLOT.read_bytes()]


def test_smaller_images_are_still_the_same_images() -> None:
    """An image of one pixel keeps its chunks and its pixel; a second time nothing changes."""
    pixel = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    again = deflated(pixel)
    assert again[:33] == pixel[:33]
    assert again[-12:] == pixel[-12:]
    assert deflated(again) == again
