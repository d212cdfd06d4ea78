"""The flow that makes pages, on a real Prefect server; each notebook runs in a kernel of its own."""

from __future__ import annotations

import json
import pickle
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

import miso_archive as mr
from flows import report as reporting
from flows.report import report
from flows.task_runner import VARIABLE, task_runner
from miso_archive.contract.findings import FailureCode
from miso_archive.feeds import FEEDS
from miso_archive.pages import page as pages
from miso_archive.pages.kept import keep_page
from miso_archive.simulate.archive import write_archive
from miso_archive.store.store import ArchiveError
from tests.flows.test_collect import artifacts_of, flow_run_of, task_runs_of
from tests.flows.troubles import failing_at_first
from tests.s3_archives import block
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket, Services

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.notebooks]

DAY = date(2001, 1, 1)
COUNTED = """
import os
import miso_archive as mr
snapshots = mr.scan_snapshots(os.environ["MISO_ARCHIVE"]).collect()
print(len(snapshots), "snapshots,", os.environ["MISO_MARKET_DAY"] or os.environ["MISO_START"])
"""
"""A cell that reads the archive and says of which day it was asked."""

AWAY_ONCE = """
from pathlib import Path
from miso_archive.contract.findings import FailureCode
from miso_archive.store.store import ArchiveError
if not (mark := Path({mark!r})).exists():
    mark.touch()
    raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, "for a moment")
"""
"""A cell that cannot read the archive when it is run for the first time."""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of one simulated day of reserve."""
    write_archive(tmp_path / "data", days=1, seed=11)
    return tmp_path / "data"


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of notebooks in place of the shipped ones; each has one cell, which reads the archive."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(pages, "PLACES", (folder, folder))
    for name in ("market_day", "shadow_prices"):
        put(folder, name, COUNTED)
    return folder


def put(folder: Path, name: str, *cells: str) -> None:
    """Put a notebook of these cells."""
    made: Any = nbformat.v4
    nbformat.write(made.new_notebook(cells=[made.new_code_cell(cell) for cell in cells]), folder / f"{name}.ipynb")  # type: ignore[no-untyped-call]


def pages_in(archive: Path) -> dict[str, str]:
    """All that lies below an archive's pages, by its key."""
    found = sorted(path for path in (archive / "pages").rglob("*") if path.is_file())
    return {str(path.relative_to(archive)): path.read_text() for path in found}


@pytest.mark.services
def test_the_shipped_notebooks_make_pages(tmp_path: Path) -> None:
    """A day of which all is known takes the place of the page of before; the last of a month brings the month's."""
    archive = tmp_path / "data"
    write_archive(archive, days=1, seed=11, feeds=tuple(FEEDS.values()))
    before = archive / f"pages/{DAY}/market_day.html"
    before.parent.mkdir(parents=True)
    before.write_text("of before")
    states = {day: report(local=archive, day=day, return_state=True) for day in (DAY, date(2001, 1, 31))}
    assert [flow_run_of(state).name for state in states.values()] == ["report 2001-01-01", "report 2001-01-31"]
    found = pages_in(archive)
    assert list(found) == [
        *(f"pages/2001-01-01/market_day.{ending}" for ending in ("html", "ipynb")),
        *(f"pages/2001-01-31/{name}.{end}" for name in ("market_day", "shadow_prices") for end in ("html", "ipynb")),
    ]
    for day in states:
        page = found[f"pages/{day}/market_day.html"]
        assert f"<title>market day {day}</title>" in page
        assert page.count("<iframe") == 6
        assert ("SIMULATED data" in page) is (day == DAY)
        assert "kept in the repository" not in page
        cells = json.loads(found[f"pages/{day}/market_day.ipynb"])["cells"]
        assert [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"][-1] > 8
    assert "<title>shadow prices 2001-01-01 to 2001-01-31</title>" in found["pages/2001-01-31/shadow_prices.html"]
    of_a_month = artifacts_of(states[date(2001, 1, 31)])
    assert set(of_a_month) == {
        *("market-day-page", "market-day-picture", "shadow-prices-page", "shadow-prices-picture")
    }
    of_a_day = artifacts_of(states[DAY])
    assert str(of_a_day["market-day-picture"].data).startswith("data:image/png;base64,")
    assert f"```sh\nfile://{before}\n```" in str(of_a_day["market-day-page"].data)


def test_a_month_is_a_task_beside_its_last_day(archive: Path, notebooks: Path) -> None:
    """Each notebook is told what it is about, by variables; the month's is run once the month is over."""
    assert notebooks.is_dir()
    state = report(local=archive, day=date(2001, 1, 31), return_state=True)
    tasks = {"market day 2001-01-31", "shadow prices 2001-01-01 to 2001-01-31"}
    assert set(task_runs_of(state, *tasks)) == tasks
    found = pages_in(archive)
    snapshots = len(mr.scan_snapshots(archive).collect())
    assert f"{snapshots} snapshots, 2001-01-31" in found["pages/2001-01-31/market_day.html"]
    assert f"{snapshots} snapshots, 2001-01-01" in found["pages/2001-01-31/shadow_prices.html"]
    assert state.result()[1] == {
        "notebook": "shadow_prices",
        "page": f"file://{archive}/pages/2001-01-31/shadow_prices.html",
        "executed": f"file://{archive}/pages/2001-01-31/shadow_prices.ipynb",
    }


def test_without_a_day_it_is_the_one_that_closed_last(archive: Path, notebooks: Path) -> None:
    """Which day that is the run's name says, and the folder of its pages."""
    assert notebooks.is_dir()
    before = reporting.last_closed_day()
    state = report(local=archive, return_state=True)
    assert state.is_completed()
    found = pages_in(archive)
    days = {before, reporting.last_closed_day()}
    assert {key.split("/")[1] for key in found} <= {str(day) for day in days}
    assert flow_run_of(state).name in {f"report {day}" for day in days}


def test_a_broken_cell_fails_the_run_and_leaves_the_page_of_before(archive: Path, notebooks: Path) -> None:
    """The message has the cell's number and its error; the other notebook's page is put, and nothing is tried again."""
    report(local=archive, day=date(2001, 1, 31))
    before = pages_in(archive)
    put(notebooks, "market_day", "1 + 1", "{}['no such key']")
    put(notebooks, "shadow_prices", "'anew'")
    state = report(local=archive, day=date(2001, 1, 31), return_state=True)
    assert state.is_failed()
    assert state.message == "notebook_failed: market_day: cell 2 failed: KeyError: \"'no such key'\""
    assert task_runs_of(state, "market day 2001-01-31")["market day 2001-01-31"].run_count == 1
    after = pages_in(archive)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"pages/2001-01-31/shadow_prices.html", "pages/2001-01-31/shadow_prices.ipynb"}
    assert set(artifacts_of(state)) == {"shadow-prices-page"}


def test_an_archive_that_is_away_for_a_moment_is_tried_again(
    archive: Path, notebooks: Path, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, after ten seconds and a minute, whether it is to be read by the notebook or to take its page."""
    put(notebooks, "market_day", AWAY_ONCE.format(mark=str(notebooks / "was away")))
    trouble = ArchiveError(FailureCode.ARCHIVE_UNAVAILABLE, "for a moment", transient=True)
    monkeypatch.setattr("flows.report.keep_page", failing_at_first(keep_page, trouble))
    assert len(report(local=archive, day=DAY)) == 1
    assert [round(seconds) for seconds in slept] == [10, 60]
    assert len(pages_in(archive)) == 2


@pytest.mark.services
def test_dask_makes_pages_too(archive: Path) -> None:
    """In a process of Dask, with the shipped notebook."""
    state = report.with_options(task_runner=task_runner({VARIABLE: "dask"}))(local=archive, day=DAY, return_state=True)
    assert state.is_completed()
    assert list(pages_in(archive)) == [f"pages/{DAY}/market_day.{ending}" for ending in ("html", "ipynb")]
    assert set(artifacts_of(state)) == {"market-day-page", "market-day-picture"}


def test_a_failed_cell_comes_back_from_another_process() -> None:
    """As it was raised: Dask pickles what a task raises."""
    error = pickle.loads(pickle.dumps(pages.FailedCellError("market_day: cell 2 failed", transient=True)))  # noqa: S301 - our own
    assert isinstance(error, pages.FailedCellError)
    assert str(error) == "notebook_failed: market_day: cell 2 failed"
    assert error.transient


@ON_REAL_SERVERS
def test_a_bucket_is_read_and_written_by_a_block_and_by_its_name(  # noqa: PLR0913, PLR0917 - two places, and how each is reached
    archive: Path,
    notebooks: Path,
    bucket: Bucket,
    services: Services,
    prefect_server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The notebook's process opens the block by its name; the artifact has the command that fetches the page."""
    assert notebooks.is_dir()
    for path in archive.rglob("*_100*.json.gz"):
        bucket.client.put_object(Bucket=bucket.name, Key=str(path.relative_to(archive)), Body=path.read_bytes())
    block(services.s3, bucket.name).save("to-report", overwrite=True)
    report(s3_bucket=bucket.name, day=DAY)
    keys = [f"pages/{DAY}/market_day.html", f"pages/{DAY}/market_day.ipynb"]
    assert bucket.keys("pages/") == keys
    for key, kind in zip(keys, ("text/html; charset=utf-8", "application/x-ipynb+json"), strict=True):
        assert bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"] == kind
    for name in services.s3.environment():
        monkeypatch.delenv(name, raising=False)
    for name, value in prefect_server.items():
        monkeypatch.setenv(name, value)
    state = report(s3_block="to-report", day=DAY + timedelta(days=1), return_state=True)
    assert state.is_completed()
    told = str(artifacts_of(state)["market-day-page"].data)
    link = f"s3://{bucket.name}/pages/2001-01-02/market_day.html"
    assert f"```sh\n{link}\n```" in told
    assert f"aws s3 cp --endpoint-url={services.s3.url} {link} market_day.html" in told
    assert len(bucket.keys("pages/2001-01-02/")) == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"day": date(2101, 1, 1)}, "wrong_parameters: day is a closed market day, "),
        ({"s3_bucket": "my-bucket"}, "wrong_parameters: name one archive: "),
    ],
)
def test_wrong_parameters_are_told(archive: Path, given: dict[str, Any], told: str) -> None:
    """Before any notebook is run."""
    state = report(local=archive, **given, return_state=True)
    assert state.is_failed()
    assert str(state.message).startswith(told)
    assert not (archive / "pages").exists()


def test_a_folder_that_is_no_archive_is_told(tmp_path: Path) -> None:
    """It is no market day without data."""
    state = report(local=tmp_path, day=DAY, return_state=True)
    assert str(state.message) == f"archive_unreadable: file://{tmp_path} is no archive: nothing was collected into it"
