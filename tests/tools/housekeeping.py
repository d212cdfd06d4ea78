"""What runs leave in Prefect, and what the shipped settings take away again: ``python -m tests.tools.housekeeping``.

Runs the flow many times against a server of its own with ``flows/server.env``, and measures database, results and logs.
Then it puts the runs back in time by more than they are kept for, lets the server's own vacuum and the sweep work, and
measures again.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import requests

from flows.up import server_settings
from miso_archive.simulate import SimulatedFeed
from tests.services.process import free_port, running
from tests.services.valkey import embedded_valkey
from tests.waiting import until

BACK: Final = 15 * 86400
"""Seconds: a day more than runs are kept for."""

_SWEEP = "from flows.sweep import sweep; sweep()"
# SQLite under two writers at full speed answers 503 now and then: such a run is not made, and not counted.
_RUNS = """
import sys
from contextlib import suppress
from pathlib import Path
from flows.collect import collect
from prefect.exceptions import PrefectHTTPStatusError
for _ in range(int(sys.argv[1])):
    with suppress(PrefectHTTPStatusError):
        collect(local=Path(sys.argv[2]), api_url=sys.argv[3], return_state=True)
"""


class Left(NamedTuple):
    """What is there of Prefect: bytes of the database as a file and in use, rows by table, results."""

    file: int
    used: int
    rows: dict[str, int]
    results: int
    result_bytes: int

    @classmethod
    def of(cls, home: Path) -> Left:
        """Measure a Prefect home."""
        database = home / "prefect.db"
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            page, pages, free = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_size", "page_count", "freelist_count")
            )
            tables = ("flow_run", "task_run", "log", "artifact", "events", "event_resources")
            rows = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608 - names above
        results = [path for path in (home / "storage").glob("*") if path.is_file()]
        return cls(
            page * pages, page * (pages - free), rows, len(results), sum(path.stat().st_size for path in results)
        )

    def __str__(self) -> str:
        rows = ", ".join(f"{name} {count}" for name, count in self.rows.items())
        return (
            f"database {self.file / 1e6:.1f} MB, {self.used / 1e6:.1f} MB in use; "
            f"{self.results} results, {self.result_bytes / 1e6:.2f} MB; rows: {rows}"
        )


def main(runs: int) -> int:
    """Measure, print, and return 0 when what was put back in time is gone."""
    with (
        TemporaryDirectory(prefix="housekeeping-") as scratch,
        embedded_valkey() as redis,
        SimulatedFeed(speed=300) as feed,
    ):
        home = Path(scratch, "home")
        home.mkdir()
        environment = _environment(home, redis)
        archive = str(Path(scratch, "archive"))
        with _server(home, environment):
            _say(f"before: {Left.of(home)}")
            began = time.monotonic()
            half = [sys.executable, "-c", _RUNS, str(runs // 2), archive, feed.url]
            for process in [subprocess.Popen(half, env=environment) for _ in range(2)]:
                process.wait()
            _say(f"{Left.of(home).rows['flow_run']} runs in {time.monotonic() - began:.0f} s")
        after = Left.of(home)
        _say(f"after them: {after}")
        _put_back(home)
        # The vacuum works once an hour, and first when the server starts.
        with _server(home, environment):
            until(lambda: Left.of(home).rows["flow_run"] == 0, timeout=600, pause=2)
            until(lambda: Left.of(home).rows["event_resources"] < runs // 10, timeout=600, pause=2)
            subprocess.run([sys.executable, "-c", _SWEEP], env=environment, check=True)
        swept = Left.of(home)
        _say(f"15 days later: {swept}")
        with _server(home, environment):
            tenth = [sys.executable, "-c", _RUNS, str(runs // 10), archive, feed.url]
            subprocess.run(tenth, env=environment, check=True)
        again = Left.of(home)
        _say(f"after {runs // 10} more: {again}")
    return 0 if swept.rows["flow_run"] <= 1 and again.file <= after.file else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _environment(home: Path, redis: str) -> dict[str, str]:
    return {
        **os.environ,
        **server_settings(),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "miso_archive",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "REDIS_URL": redis,
    }


def _server(home: Path, environment: dict[str, str]) -> AbstractContextManager[object]:
    url = environment["PREFECT_API_URL"]
    port = url.split(":")[2].split("/")[0]
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", port]
    return running(
        command,
        ready=lambda: requests.get(f"{url}/health", timeout=1).ok,
        log=home / "server.log",
        env=environment,
        timeout=120,
    )


def _put_back(home: Path) -> None:
    """Make everything 15 days older, as if it had been left alone."""
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as connection, connection:
        # SQLite holds Prefect's times as text; its own functions would drop the fraction, which Prefect reads.
        for table, column in (("flow_run", "end_time"), ("events", "occurred"), ("event_resources", "occurred")):
            earlier = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, ?)"
            statement = f"UPDATE {table} SET {column} = {earlier} WHERE {column} IS NOT NULL"  # noqa: S608 - names above
            connection.execute(statement, (f"-{BACK} seconds",))
    for path in (home / "storage").glob("*"):
        written = path.stat().st_mtime - BACK
        os.utime(path, (written, written))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    sys.exit(main(parser.parse_args().runs))
