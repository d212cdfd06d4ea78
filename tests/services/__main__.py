"""Runs a command with the real servers up: `python -m tests.services COMMAND [ARGUMENT...]`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from tests.services.kafka import tansu
from tests.services.process import ServiceError
from tests.services.s3 import ceph_rgw
from tests.services.valkey import redis_server


def main(command: list[str]) -> int:
    """Run the command; its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    # One after the other: all but Ceph are up at once.
    with ceph_rgw() as s3, redis_server() as redis_url, tansu() as bootstrap:
        environment = {
            "TEST_S3_ENDPOINT_URL": s3.url,
            "TEST_S3_ACCESS_KEY": s3.access_key,
            "TEST_S3_SECRET_KEY": s3.secret_key,
            "TEST_REDIS_URL": redis_url,
            "TEST_KAFKA_BOOTSTRAP": bootstrap,
        }
        with subprocess.Popen(command, env={**os.environ, **environment}) as process:
            try:
                status = process.wait()
            except SystemExit:
                _end(process)
                raise
    return status if status >= 0 else 128 - status


def _leave(number: int, _frame: object) -> None:
    """Turn a signal into an exception, so that everything started is stopped; once, so that the stopping is not cut."""
    for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The first as from Ctrl-C, on which pytest still stops what its fixtures started.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1:]))
    except (ServiceError, OSError) as error:
        sys.exit(str(error))
