"""What ``tests.bench.read`` measures, against which targets, and the table that it prints."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from miso_archive.feeds import FEEDS
from tests.bench.earlier import EARLIER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

YEAR_DAYS: Final = 365
MONTH_DAYS: Final = 30
RECORD: Final = Path("tests/bench/read.json")
"""What the documentation shows."""

WITH_RIVALS: Final = ("fuel_mix", "rt_exante_lmp")
"""The sister feeds that rivals read, too."""

NOT_SLOWER: Final = 1.05
"""The largest ratio of this reader's time to that of the earlier commit's."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One contestant at one archive.

    Attributes:
        contestant: a function of ``tests.bench.read_contestants``.
        archive: a folder of the bench, or a bucket of the same name.
        days: the archive's market days.
        same: entries with the same word must read the same.
        most_rounds: a slow one takes no more.
        repeats: a quick one reads so often a round.
        is_earlier: it reads in the earlier commit's Python.
        feed: that of a contestant of ``tests.bench.read_feeds``, of which it reads the ``table``.
    """

    contestant: str
    archive: str
    days: int
    same: str
    most_rounds: int = 1000
    repeats: int = 1
    is_earlier: bool = False
    feed: str = ""
    table: str = ""


@dataclass(slots=True)
class Result:
    """What an entry took: seconds and requests of each reading, and the peak of its process's memory in MB."""

    days: int
    seconds: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    peak: float = 0.0
    read: tuple[int, float] | None = None

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    The ratio is to the reference's time; with ``per_day`` both are divided by their days. ``before`` names the same
    reading by the earlier commit's reader.
    """

    what: str
    by: str
    entry: str
    reference: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    most_seconds: float | None = None
    most_memory: float | None = None
    per_day: bool = False
    before: str | None = None

    def line(self, results: Mapping[str, Result]) -> str:
        """Write the line: seconds, ratio, memory, and whether the targets are met."""
        result = results[self.entry]
        if not result.seconds:
            return f"| {self.what} | {self.by} | over 600 s | | | | | |"
        seconds = self._seconds(result)
        ratio = "" if self.reference is None else f"{_figures(self._ratio(results))} x {self.reference}"
        targets = self.targets(results)
        slower = self._slower(results)
        before = "" if slower is None else f"{slower:.2f}"
        cells = [self.what, self._who(result), _figures(seconds), ratio, before, f"{result.peak:.0f}"]
        cells.append("; ".join(target for target, _ in targets))
        cells.append("; ".join("yes" if met else "**no**" for _, met in targets))
        return f"| {' | '.join(cells)} |"

    def targets(self, results: Mapping[str, Result]) -> list[tuple[str, bool]]:
        """Return each target, and whether it is met; a reading that took too long meets none."""
        result = results[self.entry]
        if not result.seconds:
            return [("a reading", False)]
        seconds = self._seconds(result)
        targets: list[tuple[str, bool]] = []
        if self.reference is not None:
            ratio = self._ratio(results)
            if self.at_most is not None:
                targets.append((f"ratio ≤ {self.at_most:g}", ratio <= self.at_most))
            if self.at_least is not None:
                targets.append((f"ratio ≥ {self.at_least:g}", ratio >= self.at_least))
        slower = self._slower(results)
        if slower is not None:
            targets.append((f"≤ {NOT_SLOWER:g} x {EARLIER}", slower <= NOT_SLOWER))
        if self.most_seconds is not None:
            targets.append((f"≤ {self.most_seconds:g} s", seconds <= self.most_seconds))
        if self.most_memory is not None:
            targets.append((f"≤ {self.most_memory:g} MB", result.peak <= self.most_memory))
        return targets

    def _ratio(self, results: Mapping[str, Result]) -> float:
        assert self.reference is not None
        return self._seconds(results[self.entry]) / self._seconds(results[self.reference])

    def _slower(self, results: Mapping[str, Result]) -> float | None:
        """Return the ratio to the earlier commit's time, if it was measured."""
        before = results.get(self.before or "")
        return results[self.entry].median / before.median if before and before.seconds else None

    def _seconds(self, result: Result) -> float:
        return result.median / result.days if self.per_day else result.median

    def _who(self, result: Result) -> str:
        notes = [f"{result.requests[-1]:,} requests"] if result.requests else []
        notes += ["once"] if len(result.seconds) == 1 else []
        return f"{self.by} ({', '.join(notes)})" if notes else self.by


def _figures(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"


def _earlier(name: str) -> str:
    return f"{name}, {EARLIER}"


def _in_turn(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Put the earlier commit's reader behind each of this one; each reads the months that it has compacted itself."""
    beside: dict[str, Entry] = {}
    for name, entry in entries.items():
        beside[name] = entry
        if entry.contestant.startswith("reader"):
            archive = f"{entry.archive}-{EARLIER}" if entry.archive.endswith("-compacted") else entry.archive
            beside[_earlier(name)] = replace(entry, archive=archive, is_earlier=True)
    return beside


_RAW: Final = {
    "floor": Entry("floor", "year", YEAR_DAYS, "files of the year"),
    "reader": Entry("reader", "year", YEAR_DAYS, "rows of the year"),
    "reader, 30 days": Entry("reader_days", "year", MONTH_DAYS, "rows of 30 days", repeats=3),
    "reader, a day": Entry("reader_day", "year", YEAR_DAYS, "", repeats=9),
    "pandas": Entry("python_rows", "year", YEAR_DAYS, "rows of the year", most_rounds=2),
    "polars scan": Entry("polars_scan", "year", YEAR_DAYS, "rows of the year", most_rounds=1),
    "DuckDB on JSON": Entry("duckdb_json", "year", YEAR_DAYS, "rows of the year", most_rounds=1),
    "DuckDB on JSON, detected": Entry("duckdb_json_detected", "year", YEAR_DAYS, "rows of the year", most_rounds=1),
}
_COMPACTED: Final = {
    "bare polars": Entry("bare_parquet", "year-compacted", YEAR_DAYS, "rows of the year", repeats=5),
    "compacted": Entry("reader", "year-compacted", YEAR_DAYS, "rows of the year", repeats=5),
    "compacted, latest": Entry("reader_latest", "year-compacted", YEAR_DAYS, "latest rows of the year", repeats=5),
    "DuckDB": Entry("duckdb_parquet", "year-compacted", YEAR_DAYS, "rows of the year", repeats=5),
    "bare polars, snapshots": Entry(
        "bare_parquet_snapshots", "year-compacted", YEAR_DAYS, "snapshots of the year", repeats=5
    ),
    "compacted snapshots": Entry("reader_snapshots", "year-compacted", YEAR_DAYS, "snapshots of the year", repeats=5),
    "DuckDB, snapshots": Entry(
        "duckdb_parquet_snapshots", "year-compacted", YEAR_DAYS, "snapshots of the year", repeats=5
    ),
}
_S3: Final = {
    "bare obstore": Entry("bare_obstore", "s3://month", MONTH_DAYS, "objects of 30 days"),
    "reader on S3": Entry("reader_days", "s3://month", MONTH_DAYS, "rows of 30 days"),
    "polars scan on S3": Entry("polars_scan", "s3://month", MONTH_DAYS, "rows of 30 days", most_rounds=3),
    "boto3 in threads": Entry("boto3_threads", "s3://month", MONTH_DAYS, "rows of 30 days", most_rounds=1),
    "compacted on S3": Entry("reader", "s3://year-compacted", YEAR_DAYS, "rows of the year"),
}


def _of_feed(feed: str, table: str) -> Iterator[tuple[str, Entry]]:
    """Yield who reads a table of a sister feed."""
    of, year = f"{feed} {table}", Entry("", "feeds", YEAR_DAYS, f"{feed} {table} of the year", feed=feed, table=table)
    compacted = replace(year, archive="feeds-compacted", repeats=3)
    yield f"floor, {of}", replace(year, contestant="floor", same="")
    yield of, replace(year, contestant="reader")
    yield f"{of}, 30 days", replace(year, contestant="reader_days", days=MONTH_DAYS, same="", repeats=3)
    yield f"{of}, a day", replace(year, contestant="reader_day", same="", repeats=5)
    yield f"bare polars, {of}", replace(compacted, contestant="bare_parquet")
    yield f"{of}, compacted", replace(compacted, contestant="reader")
    for rival in ("polars_scan", "duckdb_json") if feed in WITH_RIVALS else ():
        yield f"{rival}, {of}", replace(year, contestant=rival, most_rounds=1)


def _feed_rows(feed: str, table: str) -> Iterator[Row]:
    of, floor, bare = f"{feed} {table}", f"floor, {feed} {table}", f"bare polars, {feed} {table}"
    yield Row(f"raw year, {of}", "its floor", floor)
    yield Row(f"raw year, {of}", _READER, of, floor, at_most=2, most_memory=500)
    for rival, name in {"polars_scan": "polars `scan_ndjson`", "duckdb_json": "DuckDB `read_json`"}.items():
        if feed in WITH_RIVALS:
            yield Row(f"raw year, {of}", name, f"{rival}, {of}", of, at_least=5)
    # Growth is linear where a day of the year costs no more than one of a month.
    yield Row(f"30 raw days, {of}, a day of them", _READER, f"{of}, 30 days", of, at_least=0.83, per_day=True)
    yield Row(f"one raw day, {of}", _READER, f"{of}, a day", most_seconds=0.1)
    yield Row(f"compacted year, {of}", "bare polars `read_parquet`", bare)
    yield Row(f"compacted year, {of}", _READER, f"{of}, compacted", bare, at_most=2)


SISTERS: Final = tuple(
    (name, table.name) for name, feed in FEEDS.items() if not feed.is_first for table in feed.contract.tables
)
"""The tables of the feeds that ``raw`` and ``compacted`` do not read."""

_READER: Final = "**this reader**"
STAGES: Final = {
    "raw": _in_turn(_RAW),
    "compacted": _in_turn(_COMPACTED),
    "s3": _in_turn(_S3),
    "feeds": {name: entry for sister in SISTERS for name, entry in _of_feed(*sister)},
}


def _before_and_now(rows: tuple[Row, ...]) -> Iterator[Row]:
    """Put a line of the earlier commit's reader before each of this one's, which is held to it."""
    for row in rows:
        if not row.by.startswith(_READER) or row.per_day:
            yield row
            continue
        before = _earlier(row.entry)
        yield Row(row.what, row.by.replace(_READER, f"this reader at {EARLIER}"), before)
        yield replace(row, before=before)


_ROWS: Final = (
    Row("raw year", "the floor: list, read by file descriptors, unzip", "floor"),
    Row("raw year", _READER, "reader", "floor", at_most=1.5, most_memory=300),
    Row("raw year", "`json` rows to pandas", "pandas", "reader"),
    Row("raw year", "polars `scan_ndjson`", "polars scan", "reader", at_least=10),
    Row("raw year", "DuckDB `read_json`", "DuckDB on JSON", "reader", at_least=25),
    Row("raw year", "the same, fields detected: the live ones alone", "DuckDB on JSON, detected", "reader"),
    Row("one raw day of the year", _READER, "reader, a day", most_seconds=0.03),
    Row("30 raw days of the year", _READER, "reader, 30 days"),
    Row(
        "raw year, a day of it",
        _READER,
        "reader",
        "reader, 30 days",
        at_most=1.2,
        per_day=True,
    ),
    Row("compacted year", "bare polars `read_parquet`", "bare polars"),
    Row("compacted year", _READER, "compacted", "bare polars", at_most=2),
    Row("compacted year, latest bodies", f"{_READER}, its default", "compacted, latest", "bare polars", at_most=2),
    Row("compacted year", "DuckDB", "DuckDB", "compacted", at_least=1),
    Row("compacted year's snapshots", "bare polars `read_parquet`", "bare polars, snapshots"),
    Row("compacted year's snapshots", _READER, "compacted snapshots", "bare polars, snapshots", at_most=2),
    Row("compacted year's snapshots", "DuckDB", "DuckDB, snapshots", "compacted snapshots", at_least=1),
    Row("30 raw days on S3", "bare obstore: list and get", "bare obstore"),
    Row("30 raw days on S3", _READER, "reader on S3", "bare obstore", at_most=1.2),
    Row("30 raw days on S3", "polars `scan_ndjson`", "polars scan on S3", "bare obstore"),
    Row("30 raw days on S3", "boto3 in 32 threads", "boto3 in threads", "bare obstore"),
    Row("compacted year on S3", _READER, "compacted on S3"),
)
ROWS: Final = (*_before_and_now(_ROWS), *(row for sister in SISTERS for row in _feed_rows(*sister)))


def table(results: Mapping[str, Result]) -> str:
    """Write the whole table, as Markdown."""
    heads = ("What is read", "By whom", "Median s", "Ratio", f"x {EARLIER}", "Peak MB", "Target", "Met")
    head = f"| {' | '.join(heads)} |\n|---|---|--:|--:|--:|--:|---|---|\n"
    return head + "".join(f"{row.line(results)}\n" for row in ROWS if row.entry in results)


def targets_are_met(results: Mapping[str, Result]) -> bool:
    """Whether all targets of what was measured are met; a rival that takes too long misses none of ours."""
    ours = (row for row in ROWS if row.entry in results and _READER in row.by)
    rivals = (row for row in ROWS if row.entry in results and _READER not in row.by and results[row.entry].seconds)
    return all(met for row in (*ours, *rivals) for _, met in row.targets(results))


def as_record(told: str, results: Mapping[str, Result]) -> str:
    """Write what was measured, and on what, as JSON: what ``documented`` takes."""
    return json.dumps({"told": told, "results": {name: asdict(result) for name, result in results.items()}})


def documented(record: str) -> str:
    """Return a record as the documentation shows it."""
    read = json.loads(record)
    return f"{read['told']}\n\n{table({name: Result(**result) for name, result in read['results'].items()})}"
