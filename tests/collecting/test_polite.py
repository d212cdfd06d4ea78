"""No two requests to the feed are less than a minute apart, by the command line and by the flow, on a turned clock."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow

from flows.collect import collect
from miso_archive.cli.app import main
from miso_archive.collecting.pace import SystemClock
from miso_archive.collecting.registry import Registry
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.settings.options import Settings, UsageError
from miso_archive.simulate import Reply
from miso_archive.store.folder import folder_identity
from miso_archive.store.layout import snapshot_key
from tests.scheduled import schedule
from tests.services.real import ON_REAL_SERVERS
from tests.turned import TurnedClock, TurnedFeed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prefect.client.schemas.objects import FlowRun

DUE = datetime(2001, 1, 2, 8, 10, tzinfo=EST)
LAG = timedelta(minutes=3, seconds=30)
BUSY = Reply(status=503)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    """The machine's clock, as every run sees it: it turns when a run sleeps."""
    turned = TurnedClock(DUE)
    monkeypatch.setattr(SystemClock, "now", lambda _self: turned.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, seconds: turned.sleep(seconds))
    return turned


@pytest.fixture
def turned_feed(clock: TurnedClock) -> Iterator[TurnedFeed]:
    """A feed that lives by that clock, three and a half minutes behind it."""
    with TurnedFeed(clock, LAG) as feed:
        yield feed


def seconds(asked: list[datetime]) -> list[float]:
    """How long after the run was due each request came."""
    return [(time - DUE).total_seconds() for time in asked]


def files(folder: Path) -> list[str]:
    """The keys of the archived snapshots."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob("sourcing/*/*/*.json.gz"))


class TestCommandLine:
    @pytest.fixture
    def arguments(self, turned_feed: TurnedFeed, tmp_path: Path, redis_url: str) -> list[str]:
        """The command line of a run into a folder."""
        return ["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", turned_feed.url]

    @pytest.mark.parametrize(
        ("options", "answers", "asked"),
        [
            ([], [], [3]),
            (["--polls", "5"], [], [20, 80, 140, 200, 260]),
            (["--polls", "3"], [], [20, 80, 140]),
            (["--polls", "5"], [BUSY, Reply(status=503, headers={"Retry-After": "70"})], [20, 80, 200, 260]),
            (["--polls", "3", "--poll-gap", "90"], [BUSY], [60, 150, 240]),
        ],
    )
    def test_a_run_asks_in_its_slots(  # noqa: PLR0913, PLR0917 - the parts of the whole
        self,
        clock: TurnedClock,
        turned_feed: TurnedFeed,
        arguments: list[str],
        options: list[str],
        answers: list[Reply],
        asked: list[float],
    ) -> None:
        """As often as --polls says, --poll-gap apart, retries included; a run of one poll at once."""
        clock.sleep(3)
        turned_feed.answers.extend(answers)
        assert main([*arguments, *options]) == 0
        assert seconds(turned_feed.asked) == asked

    def test_a_request_that_failed_is_not_made_after_the_last_slot(
        self, turned_feed: TurnedFeed, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A run whose every slot met a 503 has failed, by that reason, and asks no more."""
        turned_feed.answers.extend([BUSY] * 9)
        assert main([*arguments, "--polls", "3"]) == 1
        assert seconds(turned_feed.asked) == [20, 80, 140]
        assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "feed_unavailable"

    def test_polling_ends_with_the_interval(
        self, turned_feed: TurnedFeed, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A run that has seen the interval that ended when it was due asks no more."""
        turned_feed.lag = timedelta(seconds=70)
        assert main([*arguments, "--polls", "5"]) == 0
        assert seconds(turned_feed.asked) == [20, 80]
        result = json.loads(capsys.readouterr().out)
        assert (result["total_candidates"], result["collected"]) == (2, 2)

    def test_runs_that_follow_each_other(
        self, clock: TurnedClock, turned_feed: TurnedFeed, arguments: list[str], tmp_path: Path
    ) -> None:
        """An hour of scheduled runs, begun sooner or later, some answers failing: polite, and no interval skipped."""
        for number in range(12):
            clock.time = DUE + timedelta(minutes=5 * number, seconds=1 + 7 * number % 12)
            turned_feed.answers.extend([BUSY] * (number % 2))
            assert main([*arguments, "--polls", "5"]) == 0
        assert min(turned_feed.gaps()) >= 60
        ends = [DUE + timedelta(minutes=5 * number) for number in range(-1, 12)]
        assert files(tmp_path) == [snapshot_key(RESERVE, end) for end in ends]

    def test_runs_that_overlap(self, clock: TurnedClock, turned_feed: TurnedFeed, arguments: list[str]) -> None:
        """A run that begins while the one before still waits for its last answer asks a minute after that request."""
        turned_feed.lag = timedelta(minutes=10)
        turned_feed.answer_seconds = 55
        assert main([*arguments, "--polls", "5"]) == 0
        began = DUE + timedelta(minutes=5, seconds=1)
        assert clock.time > began
        clock.time = began
        assert main([*arguments, "--polls", "5"]) == 0
        assert seconds(turned_feed.asked) == [20, 80, 140, 200, 260, 320, 380, 440, 500, 560]

    def test_a_feed_on_this_machine_may_be_named_by_the_environment(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """How often a run may ask is judged by the feed it asks, whichever way that is named."""
        at = arguments.index("--api-url")
        monkeypatch.setenv("MISO_API_URL", arguments[at + 1])
        assert main([*arguments[:at], "--poll-gap", "1"]) == 0
        monkeypatch.setenv("MISO_API_URL", "http://feed.test/")
        assert main([*arguments[:at], "--poll-gap", "1"]) == 2
        assert "at most one request a minute" in capsys.readouterr().err


class TestRefusal:
    """A gap below a minute is for a feed on this machine alone."""

    @pytest.mark.parametrize(
        "url",
        [
            None,
            RESERVE.url,
            "http://feed.test/",
            "http://127.0.0.1.feed.test/",
            "http://localhost.feed.test/",
            "http://127.0.0.1@feed.test/",
            "http://localhost:80@feed.test/",
            "http://feed.test/127.0.0.1",
            "http://feed.test/?localhost#localhost",
            "http://10.0.0.1/",
            "http://[::2]/",
            "http://0.0.0.0/",
        ],
    )
    @pytest.mark.parametrize("gap", ["59.999", "1", "0.001"])
    @pytest.mark.parametrize("from_environment", [False, True])
    def test_no_other_feed_is_asked_more_often(self, url: str | None, gap: str, *, from_environment: bool) -> None:
        """However the feed is named, MISO's own by default, and wherever its address comes from."""
        given = {"local": "place", "poll_gap": gap} | ({} if from_environment or not url else {"api_url": url})
        environ = {"MISO_API_URL": url} if from_environment and url else {}
        with pytest.raises(UsageError, match=r"^--poll-gap: MISO asks for at most one request a minute"):
            Settings.resolve(given, environ)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://LOCALHOST/feed", "http://[::1]:1/"])
    def test_a_feed_on_this_machine_may_be(self, url: str) -> None:
        """A simulated feed is asked as often as one likes, and MISO's every minute or more seldom."""
        assert Settings.resolve({"local": "place", "poll_gap": "0.5", "api_url": url}, {}).poll_gap == 0.5
        assert Settings.resolve({"local": "place", "poll_gap": "60"}, {}).poll_gap == 60
        assert Settings.resolve({"local": "place", "poll_gap": "61"}, {}).poll_gap == 61

    @pytest.mark.parametrize("gap", ["0", "-60", "nan", "inf", "1e300", "x", ""])
    def test_what_is_no_gap_is_refused(self, gap: str) -> None:
        """A gap is a number of seconds, more than none, and within an hour."""
        with pytest.raises(UsageError, match=r"^--poll-gap: "):
            Settings.resolve({"local": "place", "poll_gap": gap, "api_url": "http://127.0.0.1/"}, {})

    @pytest.mark.parametrize("options", [("--poll-gap", "59"), ("--polls", "5", "--poll-gap=1")])
    def test_the_command_line_refuses(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
    ) -> None:
        """It is wrong usage, and nothing begins."""
        assert main(["collect", "--local", str(tmp_path / "data"), "--api-url", "http://feed.test/", *options]) == 2
        assert "at most one request a minute" in capsys.readouterr().err
        assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("prefect_server")
class TestFlow:
    @pytest.fixture(autouse=True)
    def _turned(self, redis_url: str, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_URL", redis_url)
        # Prefect waits between the tries of a task by itself.
        monkeypatch.setattr("prefect.task_engine.time", SimpleNamespace(sleep=clock.sleep))

    def run(self, due: datetime, **parameters: Any) -> FlowRun:  # noqa: ANN401 - the flow's parameters
        """Start a run of the schedule that was due at a time, as a worker does; return how it ended."""
        with get_client(sync_client=True) as client:
            deployment = client.create_deployment(client.create_flow(collect), f"polite {due}")
            [made] = schedule(client, deployment, first=due, last=due, **parameters)
            run_flow(collect, flow_run=made, parameters=made.parameters, return_type="state")
            ended = client.read_flow_run(made.id)
            client.delete_deployment(deployment)
            return ended

    @ON_REAL_SERVERS
    def test_runs_that_follow_each_other(self, clock: TurnedClock, turned_feed: TurnedFeed, tmp_path: Path) -> None:
        """In the slots of when each was due, however late it begins, retries included, by the parameters given."""
        parameters = {"local": str(tmp_path), "api_url": turned_feed.url}
        turned_feed.answers.append(BUSY)
        clock.sleep(3)
        first = self.run(DUE, polls=5, **parameters)
        assert seconds(turned_feed.asked) == [20, 80, 140, 200, 260]
        clock.time = DUE + timedelta(minutes=5, seconds=100)
        second = self.run(DUE + timedelta(minutes=5), polls=3, poll_gap=90.0, **parameters)
        assert seconds(turned_feed.asked)[5:] == [420, 510]
        assert [run.state_name for run in (first, second)] == ["Completed", "Completed"]
        assert min(turned_feed.gaps()) >= 60
        assert files(tmp_path) == [snapshot_key(RESERVE, DUE + timedelta(minutes=5 * number)) for number in (-1, 0, 1)]

    def test_a_run_beside_another(
        self, clock: TurnedClock, turned_feed: TurnedFeed, tmp_path: Path, redis_url: str
    ) -> None:
        """It asks in the slots that the other has left, tries again in one of those, and completes."""
        other = Registry.connect(redis_url, "dev", RESERVE)
        for taken in (20, 140):
            assert other.claim(turned_feed.url, folder_identity(tmp_path), DUE + timedelta(seconds=taken), 60.0)
        other.close()
        turned_feed.answers.append(BUSY)
        clock.sleep(3)
        run = self.run(DUE, polls=5, local=str(tmp_path), api_url=turned_feed.url)
        assert seconds(turned_feed.asked) == [80, 200, 260]
        assert run.state_name == "Completed"

    def test_a_run_begun_after_its_last_slot_leaves_the_feed_to_the_next(
        self, clock: TurnedClock, turned_feed: TurnedFeed, tmp_path: Path
    ) -> None:
        """Between its own last slot and the next run's first there is no minute left: it is Skipped."""
        clock.sleep(270)
        late = self.run(DUE, polls=5, local=str(tmp_path), api_url=turned_feed.url)
        assert (late.state_name, turned_feed.asked) == ("Skipped", [])

    def test_a_gap_below_a_minute_is_refused(self, tmp_path: Path) -> None:
        """As a parameter, too: the run fails before it asks anybody."""
        refused = self.run(DUE, polls=5, poll_gap=59.0, local=str(tmp_path / "data"), api_url="http://feed.test/")
        assert refused.state is not None
        assert refused.state.is_failed()
        assert "at most one request a minute" in (refused.state.message or "")
        assert not (tmp_path / "data").exists()
