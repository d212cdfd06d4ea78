"""Killed anywhere, run again: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from tests.forked import exit_code
from tests.killed_run import run_and_die
from tests.services.kafka import read_messages
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    import redis as redis_client

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket

pytestmark = pytest.mark.slow("a process for each moment of its death")

STEPS = ("fetch", "is_registered", "store", "announce", "register")
MOMENTS = ("before", "after")


def die(step: str, moment: str, **settings: str) -> None:
    """Start a run that is killed at a step, and see that it was."""
    assert exit_code(run_and_die, step, moment, settings) == -signal.SIGKILL


@ON_REAL_SERVERS
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_is_made_good_by_the_next(  # noqa: PLR0913, PLR0917 - the parts of the whole
    step: str,
    moment: str,
    feed: SimulatedFeed,
    bucket: Bucket,
    redis: redis_client.Redis,
    redis_url: str,
    kafka_topic: str,
) -> None:
    """A run killed before or after any step, then run again, leaves one object, its message and its registration."""
    settings = {
        "s3_bucket": bucket.name,
        "redis_url": redis_url,
        "api_url": feed.url,
        "kafka_connection_string": kafka_topic,
    }
    die(step, moment, **settings)
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    assert main(["collect", *options]) == 0
    (key,) = bucket.keys()
    (name,) = redis.keys("*")
    assert json.loads(str(redis.get(name)))["key"] == key
    broker, topic = kafka_topic.split("/")
    announced_before = (step, moment) in {("announce", "after"), ("register", "before")}
    messages = read_messages(broker, topic, expected=2 if announced_before else 1)
    assert {json.loads(message.value() or b"")["key"] for message in messages} == {key}
    assert len(messages) == (2 if announced_before else 1)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", ["is_registered", "store", "register"])
def test_a_killed_run_leaves_no_rubbish_in_a_folder(
    step: str, moment: str, feed: SimulatedFeed, tmp_path: Path
) -> None:
    """In a local archive, a killed run and the next leave the object, its provenance and the mark, no other file."""
    die(step, moment, local=str(tmp_path), api_url=feed.url)
    assert main(["collect", "--local", str(tmp_path), "--api-url", feed.url]) == 0
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    folders = sorted(path.parts[0] for path in files if path.parts[0] != ".valkey")
    assert folders == ["environments", "provenance", "sourcing"]
