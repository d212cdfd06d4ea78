"""The flow that heals gaps, on a real Prefect server, and the task runners that it and compacting may have."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.flows import load_flow_from_entrypoint
from prefect.task_runners import ThreadPoolTaskRunner

from flows.gaps import gaps
from flows.serve import deployments
from flows.task_runner import VARIABLE, task_runner
from miso_archive.collecting import keyed
from miso_archive.feeds import DAILY, FEEDS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.healing.newest_first import MOST_NOT_PUBLISHED
from miso_archive.intervals.market_days import day_begins
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import scan
from miso_archive.settings.options import UsageError
from miso_archive.simulate import Reply, SimulatedFeed
from miso_archive.simulate.archive import write_archive
from miso_archive.store.layout import snapshot_key
from tests.flows.test_collect import flow_run_of, published
from tests.flows.test_daily import KEY, hold_the_key_nowhere
from tests.healing.test_backfill import PAGE, Site, files_in, serving
from tests.report_files import bound, real_time
from tests.s3_archives import block
from tests.services.real import ON_REAL_SERVERS
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prefect.client.schemas.objects import Artifact, State, TaskRun

    from tests.conftest import Bucket, Services

pytestmark = pytest.mark.usefixtures("prefect_server")

END = date(2001, 1, 7)
COLLECTED: dict[str, Any] = {"days": 3, "seed": 8}
"""A simulated archive of 1 to 3 January 2001: of the first two days one interval is missing each, of the third none."""

ENTRYPOINTS = ("flows/gaps.py:gaps", "flows/compact.py:compact")

FILES = {
    "20010107_rt_rpe.xls": Reply(403),
    "20010105_rt_rpe.xls": Reply(200, PAGE),
    "20010103_rt_rpe.xls": Reply(200, real_time(date(2001, 1, 2), bound("01-02-2001 08:10:00"))),
    "20010102_rt_rpe.xls": Reply(200, real_time(date(2001, 1, 1))),
}
"""The site answers 404 for the report of 5 January."""


class AskedBetween:
    """A clock that, to sleep, waits for the site to be asked by each task so far, and notes for how long it was to."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert until(lambda: len(self._site.asked) >= len(self.slept), pause=0.01)


@dataclass(frozen=True)
class Healed:
    """A run of the flow: how it ended, what the site was asked, and how long the flow slept between."""

    state: State[Any]
    asked: list[str]
    slept: list[float]

    @property
    def result(self) -> dict[str, dict[str, Any]]:
        found: Any = self.state.result(raise_on_failure=False)
        assert isinstance(found, dict)
        return found

    @property
    def outcomes(self) -> dict[str, str]:
        return {day: became["outcome"] for day, became in self.result.items()}

    def tables(self, key: str = "coverage") -> list[Artifact]:
        """The tables that it published, oldest first."""
        return [one for one in published(self.state) if one.key == key]

    def task_runs(self) -> list[TaskRun]:
        """Its tasks' runs."""
        of_the_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_of(self.state).id]))
        with get_client(sync_client=True) as client:
            return list(client.read_task_runs(flow_run_filter=of_the_run))


@contextmanager
def virtual_pauses(site: Site) -> Iterator[AskedBetween]:
    """Nothing sleeps in the flow itself."""
    clock = AskedBetween(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.gaps.SystemClock", lambda: clock)
        yield clock


def heal(folder: Path | None, site: Site, runner: str = "threads", **parameters: Any) -> Healed:  # noqa: ANN401 - the flow's
    """Run the flow on the six days before END."""
    site.asked.clear()
    flow = gaps.with_options(task_runner=task_runner({VARIABLE: runner}))
    with virtual_pauses(site) as clock:
        state = flow(
            **{"local": folder, "reports_url": site.url, "days": 6, "end": END, **parameters}, return_state=True
        )
    return Healed(state, site.names, clock.slept)


def contents(folder: Path) -> dict[str, bytes]:
    """Every object of an archive, but for the time at which a report was fetched."""
    found = {}
    for key in files_in(folder):
        data = (folder / key).read_bytes()
        if key.endswith(".json") and "rt_rpe" in key:
            data = json.dumps({**json.loads(data), "fetched-at": "then"}).encode()
        found[key] = data
    return found


@dataclass(frozen=True)
class Ran:
    """Two runs on one archive, one after the other, and what was in it after each."""

    folder: Path
    first: Healed
    after_first: dict[str, bytes]
    second: Healed


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """MISO's reports on loopback."""
    with serving() as running:
        running.files = dict(FILES)
        yield running


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_server: dict[str, str], site: Site) -> Ran:  # noqa: ARG001 - the flow finds it
    """A run that meets every outcome, and one after it."""
    folder = tmp_path_factory.mktemp("gaps")
    write_archive(folder, **COLLECTED)
    first = heal(folder, site)
    return Ran(folder, first, contents(folder), heal(folder, site))


def test_days_that_are_not_whole_are_asked_for_newest_first(ran: Ran) -> None:
    """Each day with unhealed gaps is a task named after it, from the newest on; the day collected whole is none."""
    days = ["2001-01-06", "2001-01-05", "2001-01-04", "2001-01-02", "2001-01-01"]
    assert ran.first.asked == [f"200101{number:02}_rt_rpe.xls" for number in (7, 6, 5, 3, 2)]
    assert sorted(run.name for run in ran.first.task_runs()) == sorted(f"backfill {day}" for day in days)
    assert list(ran.first.result) == days


def test_days_are_asked_for_with_a_pause_between(ran: Ran) -> None:
    """Before each task but the first the flow sleeps for five seconds, the default of the pause."""
    assert ran.first.slept == [5.0] * 4


def test_the_result_says_what_became_of_each_day(ran: Ran) -> None:
    """Each outcome is told with its rows, object and error."""
    assert list(ran.first.outcomes.values()) == ["failed", "not_published", "refused", "fetched", "fetched"]
    assert ran.first.result["2001-01-02"] == {
        "market_day": "2001-01-02",
        "outcome": "fetched",
        "rows": 1,
        "covered": 288,
        "object_key": f"reports/{RESERVE.dataset}/rt_rpe/2001-01-02/20010103_rt_rpe.xls.gz",
        "code": None,
        "message": None,
    }
    assert [ran.first.result[f"2001-01-0{number}"]["code"] for number in (6, 4)] == ["feed_status", "html_page"]


def test_a_failed_day_fails_the_run_after_the_others_are_done(ran: Ran) -> None:
    """The run's message and the failed tasks name the days that failed and why; the others completed, and are kept."""
    assert ran.first.state.is_failed()
    failed, refused = str(ran.first.state.message).split("; ", 1)
    assert failed.startswith("feed_status: 2001-01-06 failed: ")
    assert refused.startswith("html_page: 2001-01-04 refused: ")
    assert {run.name.removeprefix("backfill "): run.state_name for run in ran.first.task_runs()} == {
        "2001-01-06": "Failed",
        "2001-01-05": "Completed",
        "2001-01-04": "Failed",
        "2001-01-02": "Completed",
        "2001-01-01": "Completed",
    }
    assert {key for day in ran.first.result.values() if (key := day["object_key"])} <= set(ran.after_first)


def test_coverage_is_published_before_and_after(ran: Ran) -> None:
    """Two tables of the six days: what is missing stays so, what is healed was not, and each day has its outcome."""
    before, after = [json.loads(str(table.data)) for table in ran.first.tables()]
    columns = ("market_day", "collected", "missing", "healed_before", "healed", "outcome")
    assert [tuple(row[column] for column in columns) for row in after] == [
        ("2001-01-01", 287, 1, 0, 1, "fetched"),
        ("2001-01-02", 287, 1, 0, 1, "fetched"),
        ("2001-01-03", 288, 0, 0, 0, None),
        ("2001-01-04", 0, 288, 0, 0, "refused"),
        ("2001-01-05", 0, 288, 0, 0, "not_published"),
        ("2001-01-06", 0, 288, 0, 0, "failed"),
    ]
    assert before == [{**row, "healed": row["healed_before"], "outcome": None} for row in after]
    description = str(ran.first.tables()[1].description)
    assert description == f"{ran.folder.as_uri()}: 866 intervals missing, 2 of them healed, 0 before this run"


def test_a_second_run_asks_only_for_what_is_not_healed(ran: Ran) -> None:
    """What the first run fetched is not fetched again, and nothing that stood is changed."""
    assert ran.second.asked == [f"200101{number:02}_rt_rpe.xls" for number in (7, 6, 5)]
    assert list(ran.second.outcomes.values()) == ["failed", "not_published", "refused"]
    after = contents(ran.folder)
    assert {key: after[key] for key in ran.after_first} == ran.after_first


def test_when_all_is_healed_nothing_is_asked_for(ran: Ran, site: Site) -> None:
    """A run on days without unhealed gaps completes with an empty result and one table."""
    again = heal(ran.folder, site, days=3, end=date(2001, 1, 4))
    assert again.state.is_completed()
    assert (again.result, again.asked, again.slept) == ({}, [], [])
    (table,) = again.tables()
    assert [row["healed"] for row in json.loads(str(table.data))] == [1, 1, 0]


def test_what_is_not_published_fails_nothing(tmp_path: Path, site: Site) -> None:
    """A run in which every report is still to come completes, also on an archive that holds nothing yet."""
    run = heal(tmp_path, site, days=1, end=date(2001, 1, 6))
    assert run.state.is_completed()
    assert run.outcomes == {"2001-01-05": "not_published"}


def test_days_of_which_nothing_is_published_end_it(tmp_path: Path, site: Site) -> None:
    """After fourteen in a row no older one is asked for, nor has a task: a fifteenth may be under way."""
    run = heal(tmp_path, site, days=30, end=date(2000, 12, 1))
    assert run.state.is_completed()
    assert set(run.outcomes.values()) == {"not_published"}
    assert 14 <= len(run.outcomes) <= 16
    assert len(run.asked) == len(run.outcomes)


@dataclass
class Late(Site):
    """A site that answers, after the first fourteen, only once the flow goes back no further."""

    is_over: Callable[[], bool] = bool

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        reply = super().answer(path, headers)
        assert len(self.asked) <= MOST_NOT_PUBLISHED or until(self.is_over, pause=0.01)
        return reply


def test_an_answer_that_is_awaited_does_not_keep_it_going(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where MISO answers later than the next day is asked for, fourteen in a row that ended are the end as well."""
    site = Late()
    site.is_over = lambda: "nothing is published" in caplog.text or len(site.asked) >= 18
    with serving(site):
        run = heal(tmp_path, site, days=30, end=date(2000, 12, 1))
    assert run.state.is_completed()
    assert set(run.outcomes.values()) == {"not_published"}
    assert MOST_NOT_PUBLISHED < len(run.outcomes) < 18  # where all four of the runner's threads would wait


@pytest.mark.parametrize("feed", ["transmission", "subregional"])
def test_other_constraints_are_healed_from_their_reports(
    feed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the feed that is asked for, with a table of its own; 24:00 is not told of."""
    write_archive(tmp_path, days=3, seed=5, feeds=[FEEDS[feed]])
    last = tmp_path / snapshot_key(FEEDS[feed], day_begins(date(2001, 1, 3)))
    last.unlink(missing_ok=True)
    with SimulatedFeed(seed=5, ahead=timedelta(days=3)) as host:
        monkeypatch.setenv("MISO_REPORTS_URL", host.reports_url)
        run: Any = gaps(feed=feed, local=tmp_path, days=3, end=date(2001, 1, 4), pause=1.0, return_state=True)
    assert run.is_completed()
    assert run.result()["2001-01-02"]["outcome"] == "fetched"
    [_, after] = (json.loads(str(one.data)) for one in Healed(run, [], []).tables(f"coverage-{feed}"))
    [day] = [row for row in after if row["market_day"] == "2001-01-02"]
    assert day["missing"] == day["healed"] + 1


def test_the_pause_is_as_given(tmp_path: Path, site: Site) -> None:
    """A pause that is given is the one between the days' tasks."""
    assert heal(tmp_path, site, pause=7.0).slept == [7.0] * 5


@ON_REAL_SERVERS
def test_a_bucket_is_healed_by_a_block_or_a_profile(
    bucket: Bucket, services: Services, profile: str, site: Site
) -> None:
    """With what a saved block, or a profile, says of S3 alone a bucket's gaps are healed."""
    block(services.s3, bucket.name).save("to-heal", overwrite=True)
    day: dict[str, Any] = {"local": None, "days": 1, "end": date(2001, 1, 3)}
    assert heal(None, site, s3_block="to-heal", **day).outcomes == {"2001-01-02": "fetched"}
    assert heal(None, site, s3_bucket=bucket.name, aws_profile=profile, **day).outcomes == {}


def test_a_task_that_raises_is_a_failed_day(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that the library does not turn into a result fails its day alone, and is told by its name."""

    def lost(*_: object, **__: object) -> None:
        site.asked.append(("lost", datetime.now(UTC)))
        raise OSError("the worker is lost")

    monkeypatch.setattr("flows.gaps.backfill", lost)
    run = heal(tmp_path, site, days=2)
    assert run.state.is_failed()
    assert [(day["outcome"], day["message"]) for day in run.result.values()] == [
        ("failed", "OSError: the worker is lost")
    ] * 2


def test_the_present_day_is_never_asked_for(tmp_path: Path, site: Site) -> None:
    """Whatever the end, the last day looked at is one that is over: all of its 288 intervals are expected."""
    run = heal(tmp_path, site, days=1, end=date.today() + timedelta(days=400))  # noqa: DTZ011 - far enough anywhere
    (row,) = json.loads(str(run.tables()[0].data))
    assert (row["expected"], row["missing"]) == (288, 288)


@pytest.mark.parametrize(("parameter", "value"), [("days", 0), ("pause", 0.5), ("reports_url", "ftp://x")])
def test_wrong_parameters_are_named(tmp_path: Path, site: Site, parameter: str, value: float | str) -> None:
    """A parameter that cannot be fails the run before anything is asked, by its name."""
    wrong: dict[str, Any] = {parameter: value}
    run = heal(tmp_path, site, **wrong)
    assert run.state.is_failed()
    assert str(run.state.message).startswith(f"wrong_parameters: {parameter}")
    assert "--" not in str(run.state.message)
    assert run.asked == []


class TestDeployment:
    @pytest.mark.parametrize(
        ("environment", "healed"),
        [
            ({}, True),
            ({"MISO_API_URL": RESERVE.url}, True),
            ({"MISO_API_URL": "http://127.0.0.1:1/feed"}, False),
            ({"MISO_API_URL": "http://127.0.0.1:1/feed", "MISO_REPORTS_URL": "http://127.0.0.1:1/"}, True),
        ],
    )
    def test_it_is_served_at_one_in_the_afternoon(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, healed: bool
    ) -> None:
        """Gaps are healed at 13:00 EST all year, but not those of a simulated feed from MISO's reports."""
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        served: list[Any] = [made for made in deployments(300, 60, "dev") if made.name == "gaps"]
        schedules = [made.schedules[0].schedule for made in served]
        assert [(found.cron, found.timezone) for found in schedules] == [("0 13 * * *", "Etc/GMT+5")] * healed


class TestTaskRunner:
    def test_threads_are_the_default(self) -> None:
        """Nothing set, an empty value and `threads` are four threads; both flows have them."""
        threads: Any = ThreadPoolTaskRunner(max_workers=4)
        assert [task_runner(environ) for environ in ({}, {VARIABLE: ""}, {VARIABLE: "threads"})] == [threads] * 3
        assert [load_flow_from_entrypoint(entrypoint).task_runner for entrypoint in ENTRYPOINTS] == [threads] * 2

    def test_dask_is_a_cluster_of_two_processes_or_a_scheduler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`dask` makes its own cluster on loopback, `dask:` with an address takes the one there; both flows follow."""
        own, there = (task_runner({VARIABLE: value}) for value in ("dask", "dask:tcp://scheduler.example:8786"))
        assert own.cluster_kwargs["n_workers"] == 2
        assert own.cluster_kwargs["host"] == "127.0.0.1"
        assert own.cluster_kwargs["dashboard_address"].startswith("127.0.0.1:")
        assert (own.address, there.address) == (None, "tcp://scheduler.example:8786")
        monkeypatch.setenv(VARIABLE, "dask")
        assert [load_flow_from_entrypoint(entrypoint).task_runner for entrypoint in ENTRYPOINTS] == [own] * 2

    @pytest.mark.parametrize(
        "value",
        [
            "Dask",
            "dask:",
            "dask:scheduler:8786",
            "dask:tcp://:8786",
            "dask:tcp://a",
            "dask:tcp://a:x",
            "dask:tcp://a:1/b",
        ],
    )
    def test_another_value_is_an_error(self, value: str) -> None:
        """It names the variable and what may stand there."""
        with pytest.raises(UsageError, match=f"^{VARIABLE}: threads, dask or dask:tcp://host:port, not '{value}'$"):
            task_runner({VARIABLE: value})

    @pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
    def test_another_value_fails_the_run(self, entrypoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run in an environment with such a value is Failed, in one line that names the variable."""
        monkeypatch.setenv(VARIABLE, "Dask")
        flow: Any = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        state = flow(return_state=True)
        assert state.is_failed()
        assert state.message == f"wrong_parameters: {VARIABLE}: threads, dask or dask:tcp://host:port, not 'Dask'"

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Dask asked for and not installed is an error that names the variable and the extra; threads need neither."""
        monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
        with pytest.raises(UsageError, match=rf"^{VARIABLE}: .*pip install 'miso-archive\[dask\]'"):
            task_runner({VARIABLE: "dask"})
        assert isinstance(task_runner({}), ThreadPoolTaskRunner)


@pytest.mark.services
def test_dask_heals_the_same(ran: Ran, tmp_path: Path, site: Site) -> None:
    """On two processes of Dask every day comes to the same, and the archive is the same byte for byte."""
    write_archive(tmp_path, **COLLECTED)
    run = heal(tmp_path, site, "dask")
    assert run.state.is_failed()
    assert len(run.asked) == 5
    assert run.result == ran.first.result
    assert contents(tmp_path) == ran.after_first


class TestDailyFeeds:
    """What heals the gaps of a live feed by way of a daily one, and the days that a daily feed lacks."""

    @pytest.fixture
    def host(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedFeed]:
        """MISO's keyed API on loopback."""
        with SimulatedFeed(seed=8, key=KEY, ahead=timedelta(days=5)) as serving:
            monkeypatch.setattr(keyed, "GAP", 0.0)
            monkeypatch.setenv("MISO_KEYED_API_BASE", serving.keyed_base_url)
            monkeypatch.setenv("MISO_API_KEY", KEY)
            yield serving

    def test_a_live_feed_s_gaps_are_healed_from_its_history(
        self, host: SimulatedFeed, tmp_path: Path, prefect_server: dict[str, str]
    ) -> None:
        """Each day with missing intervals is fetched, one after the other; the artifact has before and after."""
        write_archive(tmp_path, days=3, seed=5, feeds=[FEEDS["rt_exante_lmp"]])
        counted = coverage(tmp_path, start="2001-01-01", end="2001-01-04", feed="rt_exante_lmp")
        lacking = counted.filter(pl.col("missing") > 0)
        assert len(lacking) > 0
        run: Any = gaps(feed="rt_exante_lmp", local=tmp_path, days=3, end=date(2001, 1, 4), pause=1, return_state=True)
        assert run.is_completed()
        result = run.result()
        assert {day: became["outcome"] for day, became in result.items()} == {
            str(day): "fetched" for day in lacking["market_day"].sort(descending=True)
        }
        assert len(host.requests_for(DAILY["rt_exante_lmp_history"])) == 8 * len(lacking)
        before, after = (json.loads(str(one.data)) for one in Healed(run, [], []).tables("coverage-rt-exante-lmp"))
        missing = lacking["missing"].sum()
        assert [sum(row[name] for row in before) for name in ("missing", "healed")] == [missing, 0]
        assert [sum(row[name] for row in after) for name in ("missing", "healed", "healed_before")] == [
            missing,
            missing,
            0,
        ]
        hold_the_key_nowhere(tmp_path, Path(prefect_server["PREFECT_HOME"]))

    def test_a_daily_feed_s_own_days_are_fetched(self, host: SimulatedFeed, tmp_path: Path) -> None:
        """Days before anything was collected are fetched as well; a day that fails fails the run, and no other."""
        (tmp_path / "sourcing").mkdir()
        host.script(Reply(403), feed=DAILY["da_exante_asm_mcp"])
        run: Any = gaps(
            feed="da_exante_asm_mcp", local=tmp_path, days=2, end=date(2001, 1, 4), pause=1, return_state=True
        )
        assert run.is_failed()
        assert run.message.startswith("api_quota: 2001-01-03 failed")
        result = run.result(raise_on_failure=False)
        assert {day: became["outcome"] for day, became in result.items()} == {
            "2001-01-03": "failed",
            "2001-01-02": "fetched",
        }
        assert scan(tmp_path, "da_exante_asm_mcp").collect()["market_day"].unique().to_list() == [date(2001, 1, 2)]

    def test_it_needs_a_key(self, tmp_path: Path) -> None:
        """Without one the run is Failed, and says where it belongs."""
        (tmp_path / "sourcing").mkdir()
        run: Any = gaps(feed="da_exante_asm_mcp", local=tmp_path, return_state=True)
        assert run.is_failed()
        assert run.message.startswith("wrong_parameters: da_exante_asm_mcp is backfilled with a key: MISO_API_KEY")


def test_the_fuel_mix_is_healed_from_the_links_of_two_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One task asks both links; a link that fails fails the run, and what the other showed is kept."""
    monkeypatch.delenv("MISO_API_KEY", raising=False)
    write_archive(tmp_path, days=3, seed=5, feeds=[FEEDS["fuel_mix"]])
    with SimulatedFeed(seed=5, ahead=timedelta(days=1, hours=5)) as host:
        monkeypatch.setenv("MISO_API_BASE", host.base_url)
        run: Any = gaps(feed="fuel_mix", local=tmp_path, days=3, end=date(2001, 1, 4), return_state=True)
        assert run.is_completed()
        assert {day: became["outcome"] for day, became in run.result().items()} == {
            "2001-01-03": "fetched",
            "2001-01-02": "fetched",
        }
        before, after = (json.loads(str(one.data)) for one in Healed(run, [], []).tables("coverage-fuel-mix"))
        assert [row["healed"] for row in before] == [0, 0, 0]
        assert [row["healed"] for row in after] == [0, 1, 0]
        host.script(Reply(403), feed=FEEDS["fuel_mix"])
        failing: Any = gaps(feed="fuel_mix", local=tmp_path, days=3, end=date(2001, 1, 4), return_state=True)
    assert failing.is_failed()
    assert failing.message.startswith("feed_status: ")
    assert sorted(became["outcome"] for became in failing.result(raise_on_failure=False).values()) == [
        "already",
        "failed",
    ]
