"""The daily feeds in Prefect: a market day as a run, its key from the environment or a Secret block."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

import miso_archive as mr
from flows.collect import collect
from miso_archive.collecting import keyed
from miso_archive.simulate import Reply, SimulatedFeed
from tests.feeds.pages import ASM
from tests.flows.test_collect import (
    artifacts_of,
    events_of,
    flow_run_of,
    logs_of,
    result_of,
    retry_in_a_new_process,
    task_runs_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.schemas.objects import State

pytestmark = pytest.mark.usefixtures("prefect_server")
KEY: Final = "a-s3cret-of-thirty-two-signs-0123"
DAY: Final = date(2001, 1, 3)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedFeed]:
    """MISO's keyed API on loopback, with a key of its own."""
    with SimulatedFeed(seed=3, key=KEY, ahead=timedelta(days=3)) as serving:
        monkeypatch.setattr(keyed, "GAP", 0.0)
        monkeypatch.setenv("MISO_KEYED_API_BASE", serving.keyed_base_url)
        yield serving


def run(folder: Path, **parameters: Any) -> State[dict[str, Any]]:  # noqa: ANN401 - the flow's parameters
    """Collect a market day into a folder, and return the final state."""
    return collect(feed=ASM.name, market_day=DAY, local=folder, return_state=True, **parameters)


def answers(host: SimulatedFeed) -> list[tuple[str, int]]:
    """Return which pages were asked for, and the answers."""
    return [(request.address.rpartition("=")[2], request.status) for request in host.requests_for(ASM)]


def hold_the_key_nowhere(*folders: Path) -> None:
    """Hold that no file of Prefect's, its database included, nor of these folders, has the key."""
    database = Path(urlsplit(PREFECT_API_DATABASE_CONNECTION_URL.value() or "").path)
    files = [*database.parent.glob(f"{database.name}*")]
    assert files
    files += [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_day_is_a_run_under_its_own_names(
    host: SimulatedFeed, tmp_path: Path, prefect_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result, names, tasks, events and artifacts are those of the day; the key of the environment stands nowhere."""
    monkeypatch.setenv("MISO_API_KEY", KEY)
    state = run(tmp_path, environment="prod")
    assert {name: result_of(state)[name] for name in ("collected", "failed", "not_published")} == {
        "collected": 3,
        "failed": 0,
        "not_published": 0,
    }
    assert flow_run_of(state).name == "collect da-exante-asm-mcp-prod 2001-01-03: stored, 1152 prices"
    pages = {f"fetch page {number} of da_exante_asm_mcp 2001-01-03" for number in (1, 2, 3)}
    tasks = task_runs_of(state, *pages, "look what stands of 2001-01-03")
    assert pages <= tasks.keys()
    stored = events_of(state, expected=3)
    assert {event.event for event in stored} == {"miso-da-exante-asm-mcp.page.stored"}
    assert {event.resource.id for event in stored} == {"miso-da-exante-asm-mcp.prod"}
    assert set(artifacts_of(state)) == {"latest-snapshot-da-exante-asm-mcp-prod"}
    assert len(mr.scan(tmp_path, ASM).collect()) == 1152
    assert [request.headers.get("Ocp-Apim-Subscription-Key") for request in host.requests_for(ASM)] == [KEY] * 3
    assert logs_of(state)
    hold_the_key_nowhere(tmp_path, Path(prefect_server["PREFECT_HOME"]))


def test_the_key_may_be_a_secret_block_s(host: SimulatedFeed, tmp_path: Path, prefect_server: dict[str, str]) -> None:
    """A parameter names the block; the key itself goes to the host and nowhere else."""
    Secret(value=KEY).save("miso-key", overwrite=True)
    state = run(tmp_path, api_key_block="miso-key")
    assert result_of(state)["collected"] == 3
    assert flow_run_of(state).parameters["api_key_block"] == "miso-key"
    assert [status for _, status in answers(host)] == [200] * 3
    hold_the_key_nowhere(tmp_path, Path(prefect_server["PREFECT_HOME"]))


def test_a_block_that_is_not_there_is_told(host: SimulatedFeed, tmp_path: Path) -> None:
    """Nothing is fetched without a key, and the run's message says which block has none."""
    state = run(tmp_path, api_key_block="nobody")
    assert state.is_failed()
    assert (state.message or "").startswith("block_not_found: no Secret block named 'nobody' can be loaded")
    assert answers(host) == []


def test_a_block_with_no_key_is_told(host: SimulatedFeed, tmp_path: Path) -> None:
    """What a block holds is not repeated, whatever it is."""
    Secret(value="no key at all").save("sentence", overwrite=True)
    state = run(tmp_path, api_key_block="sentence")
    assert (state.message or "").startswith("block_not_found: the Secret block 'sentence' holds no key")
    assert "at all" not in (state.message or "")
    assert answers(host) == []


def test_a_run_without_a_key_is_told(host: SimulatedFeed, tmp_path: Path) -> None:
    """Parameters and environment without a key make no run."""
    state = run(tmp_path)
    assert (state.message or "").startswith("wrong_parameters: da_exante_asm_mcp needs a key: MISO_API_KEY")
    assert answers(host) == []


@pytest.mark.parametrize(
    ("status", "code"), [(403, "api_quota"), (404, "pages_unfinished")], ids=["quota", "not there"]
)
def test_a_retried_run_takes_the_day_up(  # noqa: PLR0913, PLR0917 - the answer, and where
    status: int,
    code: str,
    host: SimulatedFeed,
    tmp_path: Path,
    prefect_server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that failed on its second page is retried in a new process, and asks for the second and third alone."""
    monkeypatch.setenv("MISO_API_KEY", KEY)
    host.script(Reply(), Reply(status), feed=ASM)
    state = run(tmp_path)
    assert state.is_failed()
    assert (state.message or "").startswith(f"{code}: ")
    assert flow_run_of(state).name.endswith(f"2001-01-03: {code}, stored")
    assert retry_in_a_new_process(state, prefect_server) == "Completed"
    assert answers(host) == [("1", 200), ("2", status), ("2", 200), ("3", 200)]
    assert len(mr.scan(tmp_path, ASM).collect()) == 1152


def test_a_day_that_is_not_out_completes(host: SimulatedFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """404 is no failure: the run is Completed, and its name says that nothing is published."""
    monkeypatch.setenv("MISO_API_KEY", KEY)
    host.script(Reply(404), feed=ASM)
    state = run(tmp_path)
    assert state.is_completed()
    assert result_of(state)["not_published"] == 1
    assert flow_run_of(state).name.endswith(": not published")
