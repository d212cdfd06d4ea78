"""Keys that no path can spell lie in a bucket: they are left out, with one warning, and stop nothing."""

from __future__ import annotations

import ast
import json
import logging
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
import time_machine

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.compaction import compact_month, months_to_compact
from miso_archive.store.address import store_at
from tests.s3_archives import block, fill, frames
from tests.services.real import ON_REAL_SERVERS
from tests.services.s3_front import ScriptedS3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

JULY = date(2026, 7, 1)
AFTER = datetime(2026, 8, 3, 12, 0, tzinfo=EST)
DAY = f"sourcing/{RESERVE.dataset}/2026-07-30"
COMMANDS = ("read", "coverage", "status", "replay", "backfill")
STRAYS = {
    f"{DAY}//notes.txt": ("read", "coverage", "backfill"),
    f"{DAY}/./x": ("read",),
    f"{DAY}/../y": ("read",),
    f"{DAY}/tab\there": ("read",),
    f"sourcing/{RESERVE.dataset}//x": ("status", "coverage"),
    f"sourcing/{RESERVE.dataset}/tab\there/x": ("read",),
    f"quarantine/{RESERVE.dataset}//x": ("replay", "coverage"),
    f"curated/{RESERVE.dataset}/constraints/../x": ("read",),
    f"curated/{RESERVE.dataset}/snapshots//x": ("coverage",),
    f"reports/{RESERVE.dataset}/rt_rpe//x": ("backfill",),
    "environments//x": ("coverage", "status"),
    f"unannounced/{RESERVE.dataset}/dev/./x": ("status",),
}
"""Keys, and commands that list the folder that each is in."""


@pytest.fixture
def _time_stands() -> Iterator[None]:
    """No five-minute mark comes between two answers: what status says of today moves on at each."""
    with time_machine.travel(datetime.now(UTC), tick=False):
        yield


@pytest.fixture
def nothing_published() -> Iterator[str]:
    """Where MISO's reports would be."""
    with ScriptedS3() as reports:
        reports.status = 404
        yield f"http://127.0.0.1:{reports.port}/"


def answer(command: str, bucket: Bucket, reports: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, set[str]]:
    """What a command ends with, prints and warns of; but for how long ago something was."""
    more = ["--start", "2026-07-30", "--end", "2026-07-31", "--reports-url", reports] if command == "backfill" else []
    code = main([command, "--s3-bucket", bucket.name, *more])
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if not line.startswith(("last interval", "redis"))]
    told = printed.err.splitlines()
    assert len(set(told)) == len(told)
    return code, "\n".join(lines), set(told)


@ON_REAL_SERVERS
@pytest.mark.usefixtures("_time_stands")
def test_a_stray_stops_nothing_and_is_told_once(
    bucket: Bucket, nothing_published: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that comes across such a key prints what it prints without, and one line of its own on the key."""
    fill(store_at(f"s3://{bucket.name}"))
    before = {command: answer(command, bucket, nothing_published, capsys) for command in COMMANDS}
    told = f"miso-archive: warning: s3://{bucket.name} has keys with an empty or dotted part, or a control character: "
    for key, commands in STRAYS.items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
        for command in commands:
            code, printed, lines = answer(command, bucket, nothing_published, capsys)
            assert (code, printed) == before[command][:2], (key, command)
            found = lines - before[command][2]
            assert len(found) == 1, (key, command, found)
            [warned] = found
            assert warned.startswith(f"{told}they are left out, as is ")
            assert key.startswith(ast.literal_eval(warned.partition("as is ")[2])), (key, command)
        bucket.client.delete_object(Bucket=bucket.name, Key=key)


@ON_REAL_SERVERS
@pytest.mark.parametrize("kind", ["address", "block"])
def test_compaction_and_reading_go_on_among_many(
    services: Services, bucket: Bucket, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """With strays everywhere a month is compacted, and all rows are those from before; one warning a store."""
    archive = f"s3://{bucket.name}" if kind == "address" else block(services.s3, bucket.name)
    fill(store_at(archive))
    before = frames(archive)
    for key in (*STRAYS, "sourcing//x"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
    caplog.set_level(logging.WARNING)
    store = store_at(archive)
    assert JULY in months_to_compact(store, now=AFTER)
    result = compact_month(store, JULY, now=AFTER)
    assert result is not None
    assert result.unreadable == 0
    assert [frame.equals(old) for frame, old in zip(frames(store), before, strict=True)] == [True, True]
    assert sum("are left out" in record.message for record in caplog.records) == 1


def test_a_stray_hides_nothing_of_a_folder_of_many_pages(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server tells a few at a time, every object and folder beside a stray is found, of whatever letters."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    names = sorted(["\u2028", "a%20b", "a&b", "é", *(f"{number:03}" for number in range(20))])
    for key in (*(f"a/{name}" for name in names), *(f"a/{name}/x" for name in names), "a//x", "a/./x", "a/"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
    store = store_at(f"s3://{bucket.name}")
    assert store.names(["a", "a/005"]) == [names, ["x"]]
    assert store.folders("a") == names


def test_a_run_logs_it_as_json(
    bucket: Bucket, feed: SimulatedFeed, redis_url: str, kafka_topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run with JSON logs, which looks at the marks of what is not announced, tells of a stray there in one object."""
    bucket.client.put_object(Bucket=bucket.name, Key=f"unannounced/{RESERVE.dataset}/dev//x", Body=b"")
    where = ["--s3-bucket", bucket.name, "--redis-url", redis_url, "--kafka-connection-string", kafka_topic]
    assert main(["collect", *where, "--api-url", feed.url, "--log-format", "json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in told if "are left out" in line["message"]] == ["WARNING"]
