from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.simulate import Reply
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed


def test_logs_can_be_read_by_machines(
    feed: SimulatedFeed, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --log-format json each line on stderr is an object with time in UTC, level, logger, message and the run."""
    feed.script(Reply(), Reply(body=b'{"error":"no data"}'))
    arguments = ["--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url, "--environment", "staging"]
    codes = [main(["collect", *arguments, "--log-format", "json"]) for _ in range(2)]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert codes == [0, 1]
    assert [line["level"] for line in lines] == ["INFO", "ERROR"]
    assert "stored as sourcing/" in lines[0]["message"]
    for line in lines:
        assert sorted(line) == ["environment", "level", "logger", "message", "process", "time"]
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
        assert line["logger"].startswith("miso_archive")
        assert (line["environment"], line["process"]) == ("staging", os.getpid())


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_of_several_feeds_are_told_apart(
    feed: SimulatedFeed, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Each line says whose it is: at the beginning of its message, or in a field of its own."""
    where = ["--local", str(tmp_path), "--redis-url", redis_url, "--api-base", feed.base_url]
    assert main(["collect", "--feed", "fuel_mix,snapshot", *where, "--log-format", form]) == 0
    told = capsys.readouterr().err.splitlines()
    if form == "json":
        lines = [(line["feed"], line["message"]) for line in map(json.loads, told)]
    else:
        lines = [(feed_name, message) for _, feed_name, message in (line.split(": ", 2) for line in told)]
    assert {name: message.split("/")[1] for name, message in lines} == {
        "fuel_mix": "miso_fuel_mix",
        "snapshot": "miso_snapshot",
    }


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("level", "lines"), [("INFO", 1), ("ERROR", 0)])
def test_no_more_is_logged_than_asked_for(  # noqa: PLR0913, PLR0917 - the parts of the whole
    feed: SimulatedFeed,
    tmp_path: Path,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    level: str,
    lines: int,
    form: str,
) -> None:
    """A run that collects has a line for those who want information, and none for those who want errors."""
    arguments = ["collect", "--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
    assert main([*arguments, "--log-level", level, "--log-format", form]) == 0
    assert len(capsys.readouterr().err.splitlines()) == lines


HOMES = {
    "a home that cannot be": {"HOME": "/dev/null"},
    "and deprecations are told": {"PREFECT_HOME": "/dev/null/prefect", "PYTHONWARNINGS": "always"},
    "settings that Prefect refuses": {"PREFECT_LOGGING_LEVEL": "loudly", "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "x"},
}


@ON_REAL_SERVERS
@pytest.mark.parametrize("home", HOMES)
def test_a_home_that_cannot_be_written_leaves_json(feed: SimulatedFeed, redis_url: str, home: str) -> None:
    """Whatever Prefect has to say of its environment where a block is named, standard error is a JSON object a line."""
    command = ["collect", "--s3-block", "none", "--redis-url", redis_url, "--api-url", feed.url, "--log-format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "miso_archive", *command],
        env={**os.environ, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false", **HOMES[home]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert done.returncode == 1
    assert "block_not_found" in done.stdout
    assert any("Prefect" in line["message"] or "LoggingSettings" in line["message"] for line in lines)


def test_what_is_written_past_the_logs_is_logged(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A library's log, a warning, a line on standard error, half a line and a defect are JSON objects like ours."""

    def stray(*_arguments: object) -> None:
        logging.getLogger("urllib3.connectionpool").warning("a library's log")
        warnings.warn("a warning", stacklevel=1)
        sys.stderr.write("a stray line\n\nand half")
        sys.stderr.write(" a line")
        raise ZeroDivisionError

    monkeypatch.setattr("miso_archive.collecting.fetch._request", stray)
    arguments = ["--local", str(tmp_path), "--redis-url", redis_url, "--api-url", "http://127.0.0.1:1/"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["collect", *arguments, "--log-format=json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = {line["logger"]: line["message"] for line in lines if line["logger"] != "stderr"}
    assert said["urllib3.connectionpool"] == "a library's log"
    assert "UserWarning: a warning" in said["py.warnings"]
    assert said["miso_archive"] == "an error that nobody foresaw"
    assert "ZeroDivisionError" in next(line["exception"] for line in lines if "exception" in line)
    stray_lines = [line["message"] for line in lines if line["logger"] == "stderr"]
    assert stray_lines == ["a stray line", "and half a line"]


@pytest.mark.parametrize("wrong", [["--redis-port", "x"], ["--s3-bucket", "two"], ["--unknown"]])
def test_wrong_usage_is_json_too(tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asked for JSON gets the message about a wrong option as JSON."""
    stream = sys.stderr
    assert main(["collect", "--local", str(tmp_path), "--log-format", "json", *wrong]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0]["message"].startswith("miso-archive: ")
    assert sys.stderr is stream


def test_a_warning_is_told_once(
    feed: SimulatedFeed, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A library that logs all to standard error, as Prefect does once a block is loaded, repeats no line of ours."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler()])
    where = ["--local", str(archive), "--reports-url", feed.url, "--start", "2026-07-27", "--end", "2026-07-28"]
    assert main(["backfill", *where]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"miso-archive: warning: {feed.url} has none of the reports asked for")
    assert told.count("\n") == 1


def test_a_program_has_its_logs_back(feed: SimulatedFeed, tmp_path: Path, redis_url: str) -> None:
    """A program that runs a command finds logs and standard error as they were, whatever was asked for."""
    ours, root = logging.getLogger("miso_archive"), logging.getLogger()
    before = (ours.handlers, ours.level, ours.propagate, root.handlers, sys.stderr, warnings.showwarning)
    arguments = ["--local", str(tmp_path), "--redis-url", redis_url, "--api-url", feed.url]
    for form in ("text", "json"):
        assert main(["collect", *arguments, "--log-level", "ERROR", "--log-format", form]) == 0
        after = (ours.handlers, ours.level, ours.propagate, root.handlers, sys.stderr, warnings.showwarning)
        assert after == before
