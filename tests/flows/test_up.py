"""``make up``: the whole system on one machine, at ten times the speed, killed in the middle and started again."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

import polars as pl
import psutil
import pytest
import requests
from prefect.client.orchestration import SyncPrefectClient

from flows.folder_lock import folder_lock
from flows.processes import MARK, Child, PartError, child_process
from flows.simulated_time import SimulatedTime
from flows.up import _line, _show, app, server_settings
from miso_archive.feeds import ALL, FEEDS, KNOWN
from miso_archive.feeds.reserve import RESERVE
from miso_archive.feeds.snapshot import SNAPSHOT
from miso_archive.host import API_BASE
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.reading.coverage import coverage, missing_intervals
from miso_archive.reading.scan import scan_constraints, scan_snapshots
from miso_archive.simulate import is_quiet
from miso_archive.simulate.archive import write_archive
from miso_archive.store.folder import Folder
from miso_archive.store.layout import quarantine_folder
from tests.waiting import until as wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SPEED = 10.0
UNDER_WAY = ("Running", "Pending", "Cancelling")
ROOT = Path(__file__).parents[2]


@contextmanager
def up(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the system; whatever is left of it at the end is killed."""
    # Given relatively, as make does.
    command = [sys.executable, "-m", "flows.up", folder.name, "--speed", str(SPEED), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder.parent, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        for left in (process.pid, *(found.pid for found in members(folder))):
            if psutil.pid_exists(left):
                psutil.Process(left).kill()
        process.wait(180)
        assert process.stdout is not None
        process.stdout.close()


def members(folder: Path) -> list[psutil.Process]:
    """The processes of a folder's system, but for the one that started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(output: IO[str] | None, *words: str) -> list[str]:
    """Read lines until one holds all the words; return those read."""
    assert output is not None
    lines = []
    for line in output:
        lines.append(line)
        if all(word in line for word in words):
            return lines
    pytest.fail(f"the output ended before {words}: {lines}")


def end_by_moving(folder: Path, moved: Path) -> None:
    """Move the folder of a system as it runs: its parts are ended, and one line asks whether it was moved."""
    with up(folder) as process:
        until(process.stdout, "stop with Ctrl-C")
        folder.rename(moved)
        assert process.stdout is not None
        *_, told = process.stdout
        assert told.startswith(f"the folder {folder.name} cannot be used: No such file or directory; was it moved")
        assert process.wait(180) == 1
        assert members(folder) == []


def has_no_valkey(folder: Path) -> bool:
    """Whether nobody listens where the Valkey of a folder's system did."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int((folder / ".valkey" / "port").read_text()))) == errno.ECONNREFUSED


def address(told: list[str]) -> str:
    """The address of the system's Prefect, as it says."""
    return next(line.split()[1] for line in told if line.startswith("Prefect"))


def waits_for_an_hour(server: str) -> str:
    """Start a run, as somebody may from the UI, that the next minutes do not end; return its id."""
    # Prefect's own client asks again where a server whose SQLite is busy answers 503.
    with SyncPrefectClient(f"{server}/api") as client:
        deployment = client.read_deployment_by_name(f"collect/{ALL}")
        made = client.create_flow_run_from_deployment(deployment.id, parameters={"poll_gap": 3600})
        return str(made.id)


def newest(folder: Path) -> datetime:
    """The newest interval end in the archive."""
    ends = scan_snapshots(folder).collect()["interval_end"].to_list()
    return max(ends).astimezone(EST)  # type: ignore[no-any-return]


def names(folder: Path, table: str, where: str = "TRUE", *, column: str = "name") -> list[str]:
    """The names in a table of the system's Prefect, sorted."""
    database = f"file:{folder}/.prefect/prefect.db?mode=ro"
    with closing(sqlite3.connect(database, uri=True, timeout=30)) as connection:
        query = f"SELECT {column} FROM {table} WHERE {where}"  # noqa: S608 - our own words
        return sorted(str(name) for (name,) in connection.execute(query))


def late_runs(folder: Path, clock: SimulatedTime) -> list[tuple[datetime, datetime]]:
    """When each run was due that ended after the next was, and when it ended, on the simulated clock."""
    times = "expected_start_time || '+00:00|' || end_time || '+00:00'"
    ended = names(folder, "flow_run", "end_time IS NOT NULL", column=times)
    runs = [[clock.at(datetime.fromisoformat(time)) for time in run.split("|")] for run in ended]
    return [(due, end) for due, end in runs if end - due > INTERVAL]


@pytest.mark.services
@pytest.mark.skipif(sys.platform != "linux", reason="it looks into the environment of processes")
def test_moved_killed_and_started_again_it_has_all_but_the_time_it_was_down(tmp_path: Path) -> None:
    """Where its folder was moved to it starts again, and after kill -9, too, and misses only the time it was down."""
    folder = tmp_path / "simulated"
    end_by_moving(tmp_path / "at_first", folder)
    with up(folder) as first:
        told = until(first.stdout, "reserve ", " 1 of ")
        assert len(scan_constraints(folder).collect()) > 0
        told += until(first.stdout, "reserve ", " 2 of ")
        told += until(first.stdout, "snapshot ", " of ")
        assert "archive   simulated\n" in told
        assert "<title>" in requests.get(address(told), timeout=10).text
        first.send_signal(signal.SIGKILL)
        first.wait(180)
        down = datetime.now(UTC)
        last_before = newest(folder)
    with up(folder) as second:
        told = until(second.stdout, "reserve ", "last ")
        while newest(folder) <= last_before + INTERVAL:
            until(second.stdout, "reserve ", "last ")
        by_hand = waits_for_an_hour(address(told))
        under_way = f"id = '{by_hand}' AND state_name = 'Running'"
        assert wait_until(lambda: bool(names(folder, "flow_run", under_way)), timeout=180)
        second.send_signal(signal.SIGINT)
        until(second.stdout, "stopped; start it again")
        assert second.wait(180) == 0
        assert members(folder) == []
    assert has_no_valkey(folder)
    collecting = [ALL, *(feed.tag for feed in KNOWN.values())]
    assert names(folder, "deployment") == sorted([*collecting, "compact", "gaps-fuel-mix", "report", "sweep"])
    assert {name for name in FEEDS if coverage(folder, feed=name)["collected"].sum() < 2} == set()
    assert names(folder, "automation") == [
        "miso daily feeds nothing stored",
        "miso sister feeds drift",
        "miso sister feeds nothing stored",
        "miso-reserve feed drifts",
        "miso-reserve nothing stored",
    ]
    killed = "its process was killed with the whole system"
    states = names(folder, "flow_run f JOIN flow_run_state s ON s.id = f.state_id", column="s.name || ' ' || s.message")
    assert names(folder, "flow_run", f"id = '{by_hand}'", column="state_name") == ["Cancelled"]
    assert [state for state in states if state.split()[0] in UNDER_WAY] == []
    assert {state for state in states if state.startswith("Crashed")} <= {f"Crashed {killed}"}
    clock = SimulatedTime.kept_in(folder / ".up" / "simulated-time.json", SPEED)
    times = scan_snapshots(folder).collect()["interval_end"]
    first_after = min(end.astimezone(EST) for end in times.to_list() if end.astimezone(EST) > last_before)
    between = pl.col("interval_end").is_between(times.min(), times.max())
    gap = missing_intervals(folder).filter(between)["interval_end"]
    outside = [end for end in gap.to_list() if not clock.at(down) - 2 * INTERVAL < end.astimezone(EST) < first_after]
    # At ten times the speed a run has four seconds to spare: where the machine had none, its runs ended late.
    late = late_runs(folder, clock)
    assert [end for end in outside if not any(due <= end <= ended for due, ended in late)] == []
    [day] = coverage(folder).to_dicts()
    assert day["collected"] == len(times)
    assert day["revised"] == day["refused"] == day["unreadable"] == 0


def test_a_simulated_clock_goes_on_while_the_system_is_down(tmp_path: Path) -> None:
    """Kept in a folder, the clock is the same for every start, and another speed goes on from where it stands."""
    path = tmp_path / "time.json"
    first = SimulatedTime.kept_in(path, SPEED)
    assert SimulatedTime.kept_in(path, SPEED) == first
    assert first.at(first.real + timedelta(minutes=1)) - first.simulated == timedelta(minutes=10)
    assert first.simulated.year == 2001
    slower = SimulatedTime.kept_in(path, 1.0)
    assert slower.simulated == first.at(slower.real)
    path.write_text("{}")
    assert SimulatedTime.kept_in(path, 2.0).speed == 2.0


@pytest.mark.services
@pytest.mark.skipif(sys.platform != "linux", reason="it looks into the environment of processes")
def test_a_stop_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """A terminal that is closed before the server answers ends all that has been started, Valkey included."""
    folder = tmp_path / "simulated"
    with up(folder) as process:
        assert wait_until(lambda: bool(members(folder)), timeout=180)
        process.send_signal(signal.SIGHUP)
        until(process.stdout, "stopped; start it again")
        assert process.wait(180) == 0
        assert members(folder) == []
        assert has_no_valkey(folder)


@pytest.mark.parametrize("seed", [None, 1, 307])
def test_a_market_begins_where_it_binds(tmp_path: Path, seed: int | None) -> None:
    """The first half an hour of a clock that begins binds, at the minutes of the real clock; its seed is kept."""
    path = tmp_path / "time.json"
    clock = SimulatedTime.kept_in(path, SPEED, seed)
    assert clock.seed == (seed or 7)
    with clock.feed() as feed:
        first = feed.interval_end
    assert not [n for n in range(6) if is_quiet(first + n * INTERVAL, seed=clock.seed)]
    assert (clock.simulated.astimezone(UTC) - clock.real) % INTERVAL == timedelta()
    assert SimulatedTime.kept_in(path, SPEED) == clock
    assert SimulatedTime.kept_in(path, SPEED, 99).seed == 99


def test_the_simulated_feed_shows_the_clocks_interval(tmp_path: Path) -> None:
    """The feed of a clock shows the interval that ended last at the clock's time."""
    clock = SimulatedTime.kept_in(tmp_path / "time.json", 1.0)
    with clock.feed() as feed:
        now = clock.at(datetime.now(UTC))
        assert now - INTERVAL <= feed.interval_end <= now + timedelta(seconds=5)


def test_a_log_is_bounded(tmp_path: Path) -> None:
    """A log that is long begins anew while its process goes on writing, and the one before is kept."""
    log = tmp_path / "part.log"
    with child_process(
        "part", ("http.server", "--bind", "127.0.0.1", "0"), os.environ | {"PYTHONUNBUFFERED": "1"}, log
    ) as child:
        assert wait_until(lambda: b"Serving" in log.read_bytes())
        port = int(log.read_bytes().partition(b" port ")[2].split()[0])
        begun = log.read_bytes()
        child.bound_log(most_bytes=len(begun))
        assert log.read_bytes() == begun
        child.bound_log(most_bytes=len(begun) - 1)
        assert (tmp_path / "part.before.log").read_bytes() == begun
        requests.get(f"http://127.0.0.1:{port}/none", timeout=10)
        assert wait_until(lambda: b"/none" in log.read_bytes())
        assert log.read_bytes().isascii()
        assert b"Serving" not in log.read_bytes()
        assert b"\0" not in log.read_bytes()


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--feed live --speed 2", "one speed"),
        ("--feed live --seed 2", "one speed"),
        ("--speed 0", "more than 0"),
        ("--speed inf", "more than 0"),
        ("--port 65536", "0 to 65535: 65536"),
        ("--port -1", "0 to 65535: -1"),
    ],
)
def test_what_makes_no_system_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, said: str
) -> None:
    """Another speed with MISO's feed, or a seed, no speed at all, and what is no port are refused at the start."""
    assert app([str(tmp_path), *options.split()], result_action="return_value") == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize(
    ("options", "feed", "pace"),
    [
        ("--speed 10", "http://127.0.0.1:", ("--every", "30.0", "--poll-gap", "6.0")),
        ("--feed live", API_BASE, ("--every", "300.0", "--poll-gap", "60.0")),
    ],
)
def test_its_runs_know_of_its_own_parts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, feed: str, pace: tuple[str, ...]
) -> None:
    """Runs have the system's archive, feed, Redis, server and pace, and nothing of a user's other collector."""
    started: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {}
    (tmp_path / "web" / "api").mkdir(parents=True)
    (tmp_path / "web" / "api" / "health").write_text("true")

    def stand_in(
        name: str, module: tuple[str, ...], environment: Mapping[str, str], log: Path
    ) -> AbstractContextManager[Child]:
        started[name] = module, environment
        if name == "runs":
            raise PartError("as far as this goes")
        server = ("http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path / "web"), module[-1])
        return child_process(name, server if name == "server" else ("this",), os.environ, log)

    others = {
        "MISO_API_URL": "https://real/",
        "KAFKA_CONNECTION_STRING": "real:9092",
        "S3_BUCKET": "real",
        "REDIS_HOST": "real",
        "AWS_PROFILE": "real",
    }
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("flows.up.child_process", stand_in)
    folder = tmp_path / "system"
    assert app([str(folder), "--port", "0", *options.split()], result_action="return_value") == 1
    module, environment = started["runs"]
    assert module == ("flows.serve", *pace, "--feed", "all")
    assert not others.keys() & environment.keys()
    assert (environment["MISO_LOCAL"], environment["PREFECT_HOME"]) == (str(folder), str(folder / ".prefect"))
    assert environment["MISO_API_BASE"].startswith(feed)
    assert environment["REDIS_URL"].startswith("redis://127.0.0.1:")
    port = started["server"][0][-1]
    assert environment["PREFECT_API_URL"] == f"http://127.0.0.1:{port}/api"
    assert server_settings().items() <= started["server"][1].items()
    assert started["begin"][0] == ("flows.server_side", "begin")


def test_its_lines_are_made_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every five seconds reads no object, and tells of an archive that cannot be looked at."""
    folder = tmp_path / "day"
    now = datetime(2001, 1, 1, 23, 59, tzinfo=EST)
    write_archive(folder, days=1, seed=1, feeds=[RESERVE, SNAPSHOT])
    days = [coverage(folder, feed=feed, now=now).row(0, named=True) for feed in (RESERVE, SNAPSHOT)]
    read: list[str] = []
    monkeypatch.setattr(Folder, "read", lambda _self, keys: read.extend(keys))
    for feed, day in zip((RESERVE, SNAPSHOT), days, strict=True):
        assert day["collected"] > 200
        counts = f"{day['collected']} of {day['expected']} today; {day['refused']} refused"
        assert _line(Folder(folder), feed, now) == f"{feed.name:13} last 2001-01-02 00:00 EST; {counts}"
    assert read == []
    assert _line(Folder(tmp_path), RESERVE, now) == "reserve       nothing archived yet"
    refused = tmp_path / quarantine_folder(RESERVE, now.date())
    refused.parent.mkdir(parents=True)
    refused.symlink_to(refused.name)
    assert _line(Folder(tmp_path), RESERVE, now).startswith(f"reserve       {refused} cannot be listed")


class Terminal(io.StringIO):
    """A terminal of eighty columns."""

    def isatty(self) -> bool:
        return True


def test_its_lines_stay_in_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal lines take the place of those before, cut to its width; elsewhere those that changed are said."""
    monkeypatch.setenv("COLUMNS", "80")
    before, now = ["one 1", "two 1"], ["one 1", "two " + "2" * 80]
    _show(now, before)
    assert capsys.readouterr().out == f"{now[1]}\n"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    _show(before, [])
    assert terminal.getvalue() == "\x1b[Kone 1\n\x1b[Ktwo 1\n"
    _show(now, before)
    assert terminal.getvalue().endswith("\x1b[2F\x1b[Kone 1\n\x1b[Ktwo " + "2" * 75 + "\n")


@pytest.mark.usefixtures("_signals_as_before")
def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second system in a folder says that one is running there, and touches nothing."""
    with folder_lock(tmp_path):
        before = sorted(tmp_path.rglob("*"))
        assert app([str(tmp_path)], result_action="return_value") == 1
        assert sorted(tmp_path.rglob("*")) == before
    assert f"already running in {tmp_path}: process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.usefixtures("_signals_as_before")
def test_a_folder_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the system cannot keep what is its own, it ends with one line that names the folder, and lets it go."""
    (tmp_path / ".up").write_text("no folder")
    assert app([str(tmp_path)], result_action="return_value") == 1
    assert capsys.readouterr().err == f"the folder {tmp_path} cannot be used: File exists\n"
    with folder_lock(tmp_path):
        pass


@pytest.mark.usefixtures("_signals_as_before")
def test_a_part_that_does_not_start_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where its Valkey cannot be, the system ends with one line that says so, and lets the folder go."""
    (tmp_path / ".valkey").write_text("no folder")
    assert app([str(tmp_path)], result_action="return_value") == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == ["valkey_not_started"]
    with folder_lock(tmp_path):
        pass
