"""Measure one run's own work beside a plain script that does the same, in turn: ``python -m tests.bench``.

Everything but Prefect's engine: connect to Redis, fetch, check, look up, archive, announce, register. All servers run
on loopback, and each run finds a new snapshot. S3 is moto, or the server that TEST_S3_ENDPOINT_URL names.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import statistics
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import boto3
import redis
import requests
from confluent_kafka import Producer

from miso_archive.collecting.parts import open_parts
from miso_archive.collecting.plain import Patient
from miso_archive.collecting.run import collect
from miso_archive.collecting.steps import generate_candidates
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings
from tests.services.kafka import mock_cluster
from tests.services.process import free_port, listening, running
from tests.services.s3 import named_or_moto
from tests.services.valkey import embedded_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS: Final = 100
WARM_UP: Final = 5
LIMIT_MS: Final = 50.0
# One simulated interval in 2 ms of real time: no run finds the snapshot of the run before.
SPEED: Final = 150_000.0


@contextmanager
def served(name: str, *command: str, port: int) -> Iterator[str]:
    """Run one of our servers as a process and yield its address."""
    with TemporaryDirectory() as folder:
        arguments = [sys.executable, "-m", *command]
        with running(arguments, ready=lambda: listening(port), log=Path(folder, f"{name}.log")):
            yield f"http://127.0.0.1:{port}"


def one_run(settings: Settings) -> None:
    """Do what one run does: open the parts, take the snapshot through every step, close."""
    with open_parts(settings, RESERVE) as parts:
        result = collect(generate_candidates(settings, RESERVE), RESERVE, parts, Patient(parts), parts.pace)
    if result.collected != 1:
        raise RuntimeError(f"the run did not collect: {result.as_dict()}")


def plain_script(settings: Settings, topic: str) -> None:
    """Do the same with the libraries alone: no checks, no conditional put, no deadline, no reasons."""
    body = requests.get(settings.address(RESERVE), timeout=settings.timeout).content
    digest = hashlib.sha256(body).hexdigest()
    json.loads(body)
    with redis.Redis.from_url(settings.redis_address) as client:
        if client.exists(f"plain:{digest}"):
            raise RuntimeError("the script found a body it knows")
        boto3.client("s3").put_object(
            Bucket=settings.s3_bucket, Key=f"plain/{uuid.uuid4()}.json.gz", Body=gzip.compress(body)
        )
        producer = Producer({"bootstrap.servers": topic.partition("/")[0], "acks": "all", "linger.ms": 0})
        producer.produce(topic.partition("/")[2], digest)
        producer.flush()
        client.set(f"plain:{digest}", "1", ex=604_800)


def milliseconds(work: Callable[[], None]) -> float:
    """Time one call."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def main() -> int:
    """Print the table, and whether the median of a run's own work keeps to the limit; return 1 when it does not."""
    with ExitStack() as stack:
        feed_port = free_port()
        simulate = ("miso_archive", "simulate", "--port", str(feed_port), "--speed", str(SPEED))
        feed = stack.enter_context(served("feed", *simulate, port=feed_port))
        s3 = stack.enter_context(named_or_moto())
        os.environ.update(s3.environment())
        bucket = f"bench-{uuid.uuid4()}"
        s3.client().create_bucket(Bucket=bucket)
        topic = f"{stack.enter_context(mock_cluster())}/bench"
        settings = Settings.resolve(
            {
                "s3_bucket": bucket,
                "redis_url": stack.enter_context(embedded_valkey()),
                "kafka_connection_string": topic,
                "api_url": f"{feed}/api/BindingConstraints/Reserve",
            },
            {},
        )
        rows: dict[str, list[float]] = {"a run's own work": [], "plain script, no checks": []}
        for number in range(WARM_UP + RUNS):
            ours = milliseconds(lambda: one_run(settings))
            plain = milliseconds(lambda: plain_script(settings, topic))
            if number >= WARM_UP:
                rows["a run's own work"].append(ours)
                rows["plain script, no checks"].append(plain)
    sys.stdout.write(f"{RUNS} runs each, in turn, milliseconds     min   median      p95\n")
    for name, times in rows.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        sys.stdout.write(f"{name:36} {min(times):8.1f} {statistics.median(times):8.1f} {p95:8.1f}\n")
    kept = statistics.median(rows["a run's own work"]) <= LIMIT_MS
    sys.stdout.write(f"a run's own work, median at most {LIMIT_MS:g} ms: {'kept' if kept else 'NOT KEPT'}\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
