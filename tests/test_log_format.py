from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from miso_reserve.cli import main
from miso_reserve.simulate import Reply

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from miso_reserve.simulate import SimulatedFeed


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
        assert line["logger"].startswith("miso_reserve")
        assert (line["environment"], line["process"]) == ("staging", os.getpid())
