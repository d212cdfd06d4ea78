"""Measure what a start costs, beside an earlier commit in turn: ``python -m tests.bench.start``.

Prints one Markdown table: seconds on the clock and of processors, user and system, of a process and its children. An
embedded Valkey, which makes itself a daemon, is in neither side's figures. The earlier commit is that of
``tests.bench.earlier``. Both read the same simulated day, and collect from the same simulated feed; a run counts only
if its snapshot stands in the archive behind it. S3 is moto, or the server that TEST_S3_ENDPOINT_URL names.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import uuid
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from miso_archive.feeds import FEEDS
from miso_archive.simulate import SimulatedFeed
from miso_archive.simulate.archive import FIRST_DAY, write_archive
from tests.bench.earlier import EARLIER, KEPT, NOW, ROOT, BenchError, earlier
from tests.bench.read import machine
from tests.bench.start_runs import (
    Cost,
    Side,
    after_which_it_stands,
    in_bucket,
    in_folder,
    served_runs,
    workers_runs,
)
from tests.services.s3 import named_or_moto
from tests.services.valkey import embedded_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.services.s3 import S3Endpoint

RECORD: Final = Path("tests/bench/start.md")
"""What the documentation shows."""

ROUNDS: Final = 5
BODIES: Final = 12
NEXT_DAY: Final = "2001-01-02"

LINES: Final = {
    "floor": "`python -c pass`, the floor",
    "prefect": '`python -c "import prefect"`',
    "help": "`--help`",
    "validate": f"`validate`, {BODIES} bodies",
    "read": "`read` of a day",
    "collect-local": "`collect --local`",
    "collect-all": "`collect --feed all --local`, to one feed's",
    "collect-s3": "`collect` into S3",
    "served": "a served run",
    "worker": "a worker's run",
}
GOALS: Final = {"collect-local": 0.35, "collect-all": 1.5, "served": 0.6, "worker": 0.6}
"""The largest ratio of processors' time, now to before, or to that of the line in ``BESIDE``."""

BESIDE: Final = {"collect-all": "collect-local"}
"""What the earlier commit cannot do is measured on the last side alone, and compared with another line of that side."""

STAGES: Final = (tuple(LINES)[:-2], ("served",), ("worker",))
"""What is measured in turn. Prefect's servers stand only as long as they are needed: idle ones take time as well."""

Costs = dict[str, dict[str, list[Cost]]]
"""By line and side, what each round cost."""


class Bench:
    """What both sides read and collect, and each line of the table as a call."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._feed = stack.enter_context(SimulatedFeed(seed=1))
        self._redis = stack.enter_context(embedded_valkey())
        self._day = scratch / "day"
        write_archive(self._day, days=1, seed=1)
        self._rows: set[bytes] = set()

    @cached_property
    def _s3(self) -> S3Endpoint:
        return self._stack.enter_context(named_or_moto())

    def call(self, line: str, side: Side, stack: ExitStack) -> Callable[[], Cost]:
        """What a line measures of one side, made ready; servers of its own stand until the stack is closed."""
        ways: dict[str, Callable[[], Callable[[], Cost]]] = {
            "floor": lambda: partial(side.cost, [str(side.python), "-c", "pass"]),
            "prefect": lambda: partial(side.cost, [str(side.python), "-c", "import prefect"]),
            "help": lambda: partial(self._told, side, ["--help"], 10),
            "validate": lambda: partial(self._told, side, ["validate", *self._some_bodies()], BODIES),
            "read": lambda: partial(self._read, side),
            "collect-local": lambda: self._collect_local(side),
            "collect-all": lambda: self._collect_all(side),
            "collect-s3": lambda: self._collect_s3(side),
            "served": lambda: self._runs(replace(side, scratch=side.scratch / line), served_runs, stack),
            "worker": lambda: self._runs(replace(side, scratch=side.scratch / line), workers_runs, stack),
        }
        return ways[line]()

    def _some_bodies(self) -> list[str]:
        return sorted(map(str, (self._day / "sourcing").rglob("*.json.gz")))[:BODIES]

    @staticmethod
    def _told(side: Side, arguments: Sequence[str], fewest: int, **environment: str) -> Cost:
        """Run the command, which must print so many lines at least."""
        cost = side.cost([side.command, *arguments], **environment)
        if len(side.output.read_bytes().splitlines()) < fewest:
            raise BenchError(f"{side.name}: {' '.join(arguments)} prints fewer than {fewest} lines")
        return cost

    def _read(self, side: Side) -> Cost:
        days = ("--start", str(FIRST_DAY), "--end", NEXT_DAY)
        cost = self._told(side, ["read", "--local", str(self._day), *days, "--format", "csv"], 10)
        self._rows.add(side.output.read_bytes())
        if len(self._rows) > 1:
            raise BenchError(f"{side.name} reads other rows of the same day")
        return cost

    def _collect_local(self, side: Side) -> Callable[[], Cost]:
        folder = side.scratch / "local"
        command = ["collect", "--local", str(folder), "--api-url", self._feed.url]
        return after_which_it_stands(partial(self._told, side, command, 1), partial(in_folder, folder), self._feed)

    def _collect_all(self, side: Side) -> Callable[[], Cost]:
        folder = side.scratch / "all"
        command = ["collect", "--feed", "all", "--local", str(folder), "--api-base", self._feed.base_url]
        run = partial(self._told, side, command, 1)
        return after_which_it_stands(run, partial(in_folder, folder), self._feed, list(FEEDS.values()))

    def _collect_s3(self, side: Side) -> Callable[[], Cost]:
        client: Any = self._s3.client()
        bucket = f"{side.name}-{uuid.uuid4()}"
        client.create_bucket(Bucket=bucket)
        command = ["collect", "--s3-bucket", bucket, "--api-url", self._feed.url]
        run = partial(self._told, side, command, 1, REDIS_URL=self._redis, **self._s3.environment())
        return after_which_it_stands(run, partial(in_bucket, client, bucket), self._feed)

    def _runs(self, side: Side, started: Any, stack: ExitStack) -> Callable[[], Cost]:  # noqa: ANN401 - served_runs or workers_runs
        folder = side.scratch / "runs"
        environment = {"MISO_LOCAL": str(folder), "MISO_API_URL": self._feed.url, "REDIS_URL": self._redis}
        runs = stack.enter_context(started(side, **environment))
        return after_which_it_stands(runs.one, partial(in_folder, folder), self._feed)


def measured(sides: Sequence[Side], lines: Sequence[str], rounds: int) -> Costs:
    """Let the sides take turns at each line, round after round; the first is a warm-up."""
    measured_of = {line: sides[-1:] if line in BESIDE else sides for line in lines}
    costs: Costs = {line: {side.name: [] for side in of} for line, of in measured_of.items()}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="bench-start-")))
        bench = Bench(scratch, stack)
        for stage in STAGES:
            with ExitStack() as servers:
                calls = {
                    (line, side.name): bench.call(line, side, servers)
                    for line in stage
                    if line in lines
                    for side in measured_of[line]
                }
                for number in range(rounds + 1 if calls else 0):
                    sys.stderr.write(
                        f"round {number} of {rounds}: {', '.join(dict.fromkeys(line for line, _ in calls))}\n"
                    )
                    for (line, name), call in calls.items():
                        cost = call()
                        if number:
                            costs[line][name].append(cost)
    return costs


def ratio(costs: Costs, line: str) -> float:
    """The last side's median of processors' time, by that of the first, or of the line that stands beside it."""
    *before, last = costs[line].values()
    first = before[0] if before else list(costs[BESIDE[line]].values())[-1]
    return statistics.median(cost.cpu for cost in last) / statistics.median(cost.cpu for cost in first)


def goals_are_met(costs: Costs) -> bool:
    """Tell whether each line that was measured keeps to its goal."""
    return all(ratio(costs, line) <= most for line, most in GOALS.items() if line in costs)


def table(costs: Costs) -> str:
    """Write the table, with the goals in its caption."""
    rows = []
    first, last = next(iter(costs.values()))
    for line, of_sides in costs.items():
        walls, cpus = ([_median(of_sides.get(side), part) for side in (first, last)] for part in (0, 1))
        found = ratio(costs, line)
        goal = "" if line not in GOALS else f"≤ {GOALS[line]:g}: {'yes' if found <= GOALS[line] else '**no**'}"
        rows.append(f"| {LINES[line]} | {' | '.join((*walls, *cpus))} | {found:.2f} | {goal} |\n")
    head = f"| Seconds | wall, {first} | wall, {last} | CPU, {first} | CPU, {last} | ratio of CPU | goal |\n"
    return head + "|---|---|---|---|---|---|---|\n" + "".join(rows)


def _median(costs: list[Cost] | None, part: int) -> str:
    return "" if costs is None else f"{statistics.median(cost[part] for cost in costs):.2f}"


def main() -> int:
    """Measure, print the table; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="Measure what a start costs, beside an earlier commit in turn.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", type=lambda given: given.split(","), default=list(LINES), help=", ".join(LINES))
    parser.add_argument("--record", action="store_true", help="keep the table for the documentation; then make readme")
    given = parser.parse_args()
    asked = {*given.only, *(BESIDE[line] for line in given.only if line in BESIDE)}
    lines = [line for line in LINES if line in asked]
    with TemporaryDirectory(prefix="bench-start-") as scratch:
        checkout = earlier(KEPT)
        sides = [
            Side(EARLIER, checkout, checkout / ".venv" / "bin" / "python", Path(scratch, EARLIER)),
            Side("now", ROOT, NOW.python, Path(scratch, "now")),
        ]
        costs = measured(sides, lines, given.rounds)
    goals = ", ".join(f"{LINES[line]} {most:g}" for line, most in GOALS.items() if line not in BESIDE)
    beside = ", ".join(f"{LINES[line]} {GOALS[line]:g} of {LINES[other]}" for line, other in BESIDE.items())
    told = (
        f"{machine()}; medians of {given.rounds} rounds in turn. Goals, of {EARLIER}'s CPU: {goals}; {beside}."
        f"\n\n{table(costs)}"
    )
    sys.stdout.write(told)
    if given.record:
        RECORD.write_text(told, encoding="utf-8")
    return 0 if goals_are_met(costs) else 1


if __name__ == "__main__":
    sys.exit(main())
