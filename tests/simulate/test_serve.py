import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import requests

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.simulate import SimulatedFeed, run, snapshot_body
from tests.waiting import until


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(ending: signal.Signals) -> None:
    """`run` prints its address and that it is simulated, serves there, and ends with code 0 on either signal."""
    program = "from miso_archive.simulate import run; raise SystemExit(run(0, 0.0, '503=1', 3))"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "simulated" in line
        assert requests.get(line.split()[-1], timeout=10).status_code == 503
        process.send_signal(ending)
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_command_puts_back_the_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `run` the process handles signals as it did before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr("builtins.print", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    assert run(0, 0.0, "", 0) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_command_serves_the_market_that_is_asked_for() -> None:
    """`simulate` serves the market of its seed, at its speed."""
    command = [sys.executable, "-m", "miso_archive", "simulate", "--port", "0", "--speed", "600", "--seed", "3"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            url = process.stderr.readline().split()[-1]
            first = shown(url)
            assert until(lambda: shown(url) != first)
        finally:
            process.terminate()
    snapshot = RESERVE.examine(first).snapshot
    assert snapshot is not None
    assert first == snapshot_body(snapshot.interval_end, seed=3)


def test_a_port_that_is_taken_is_told(feed: SimulatedFeed, capsys: pytest.CaptureFixture[str]) -> None:
    """A port on which something else listens is named, with the option that names another."""
    port = str(urlsplit(feed.url).port)
    assert main(["simulate", "--port", port]) == 2
    told = f"miso-archive: --port: port {port} of 127.0.0.1 cannot be used: Address already in use\n"
    assert capsys.readouterr().err.startswith(told)


def shown(url: str) -> bytes:
    """What the feed shows now."""
    return requests.get(url, timeout=10).content
