"""What a person sees of a run: its name, why it failed, its rows, the day's coverage, what alerts are told. Pure."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from miso_archive.collecting.result import ResultOfFeeds, RunResult
from miso_archive.contract.rows import Row, Table, fields_of
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.feeds.constraint_name import parse_constraint_name
from miso_archive.feeds.drift import drift_of
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import BindingConstraint, ranked
from miso_archive.intervals.labels import EST, INTERVAL, as_est, is_on_grid
from miso_archive.intervals.market_days import INTERVALS_A_DAY, market_day
from miso_archive.store.put_once import Stored

STORED: Final = "snapshot.stored"
"""The event of a snapshot that the archive holds and this collector did not know."""

PAGE_STORED: Final = "page.stored"
"""The same of a page of a daily feed, which is silent for most of a day."""

REFUSED: Final = "body.refused"
"""The event of a body that the contract refuses."""

DRIFTED: Final = "feed.drifted"
"""The event of a feed that says something unknown in a body that is accepted all the same."""

_DRIFT: Final = "drift"

TOO_LATE: Final = "skipped, too late"

_DIGITS: Final = 6
_MOST_REASONS: Final = 10
_MOST_SUBJECTS: Final = 10
_MOST_RANGES: Final = 20


class Event(NamedTuple):
    """An event for Prefect: its name, its resource's labels, and what it says, in JSON values without secrets."""

    name: str
    resource: dict[str, str]
    payload: dict[str, Any]


@dataclass(slots=True)
class RunRecord:
    """The interval ends that a run has read in bodies, refused ones included, and the snapshots it has stored."""

    seen: list[datetime] = field(default_factory=list)
    stored: list[Snapshot] = field(default_factory=list)
    is_daily: bool = False

    @property
    def newest_stored(self) -> Snapshot | None:
        """The snapshot of the newest interval that the run stored, or None."""
        return max(self.stored, key=lambda snapshot: snapshot.interval_end, default=None)

    @property
    def interval_end(self) -> datetime | None:
        """The end of the newest interval that the run stored or else saw, in EST; None when it read no label."""
        if self.newest_stored is not None:
            return self.newest_stored.interval_end
        return max(self.seen, default=None)

    @property
    def about(self) -> str | None:
        """Which interval that is, or which market day, in words."""
        if self.interval_end is None:
            return None
        return str(market_day(self.interval_end)) if self.is_daily else as_est(self.interval_end)


def event_name(feed: Feed, what: str) -> str:
    """Return the name of an event of a feed: ``miso-reserve.snapshot.stored``."""
    return f"miso-{feed.tag}.{what}"


def drift_label(feed: Feed) -> str:
    """Return the label of a drift's kind on the event's resource: an automation tells the kinds apart by it.

    One for all feeds, since an automation names labels in full; but that of the first had its name before.
    """
    return event_name(feed, _DRIFT) if feed.is_first else f"miso.{_DRIFT}"


def name_at_start(scope: str, due: datetime) -> str:
    """Name a run that has only begun by the time it was due, aware: ``collect prod due 2026-07-27 08:10:00 EST``."""
    return f"collect {scope} due {as_est(due, seconds=True)}"


def name_at_end(scope: str, due: datetime, record: RunRecord, outcome: str) -> str:
    """Name a run by the interval it was about, or, where it saw none, by the time it was due; and by its outcome."""
    if record.about is None:
        return f"{name_at_start(scope, due)}: {outcome}"
    return f"collect {scope} {record.about}: {outcome}"


def outcome_of(feed: Feed, result: RunResult, record: RunRecord) -> str:
    """Say in a few words what a run came to: ``stored, 3 binding``, ``nothing new``, or the first reason code.

    What it stored is counted with what had waited in the spool.
    """
    count = len(record.stored)
    stored = "" if count == 0 else "stored" if count == 1 else f"{count} stored"
    if result.errors:
        return f"{result.errors[0].code}, {stored}" if stored else result.errors[0].code
    if not stored or record.newest_stored is None:
        return "not published" if result.not_published else "nothing new"
    if record.is_daily:
        return f"stored, {sum(len(page.rows) for page in record.stored)} {feed.contract.tables[0].name}"
    return f"{stored}, {counted_rows(feed, record.newest_stored)}"


def outcome_of_feeds(result: ResultOfFeeds, stored: int) -> str:
    """Say in a few words what a run of several feeds came to: ``7 stored``, ``fuel_mix feed_status, 6 stored``.

    Of several that failed it says how many.
    """
    failed = [f"{name} {one.errors[0].code}" for name, one in result.feeds.items() if one.errors]
    told = failed if len(failed) == 1 else [f"{len(failed)} of {len(result.feeds)} feeds failed"] if failed else []
    return ", ".join([*told, *([f"{stored} stored"] if stored else [])]) or "nothing new"


def failure_message(result: RunResult | ResultOfFeeds) -> str:
    """Say why a run failed: the first reason on the first line, code first; the others below, as far as they fit."""
    lines = result.reasons
    unlisted = len(lines) - _MOST_REASONS
    return "\n".join(lines[:_MOST_REASONS] + ([f"and {unlisted} more: see the result"] if unlisted > 0 else []))


def rows_shown(feed: Feed, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the rows of a snapshot's first table as a person reads them: each column under its name and unit.

    Binding constraints of reserve come by the magnitude of their shadow price, with zone, direction and terms as
    ``parse_constraint_name`` has them: None where the name is of another shape.
    """
    table = feed.contract.tables[0]
    if table.row is BindingConstraint:
        return [_constraint_shown(row) for row in ranked(snapshot)]
    units = {name: field.unit for name, field in fields_of(table.row).items() if field.kept}
    units |= {made.name: made.unit for parsed in table.parsed for made in parsed.columns}
    units |= {computed.column.name: computed.column.unit for computed in table.computed}
    titles = {
        name: f"{name.replace('_', ' ').capitalize()}{f' ({units[name]})' if units[name] else ''}"
        for name in dict.fromkeys((*table.order, *units))
    }
    rows = [_values(table, row) for row in snapshot.rows]
    return [{title: values[name] for name, title in titles.items()} for values in rows]


def _constraint_shown(row: BindingConstraint) -> dict[str, Any]:
    name = parse_constraint_name(row.constraint_name)
    return {
        "Constraint": row.constraint_name,
        "Zone": name.zone,
        "Direction": name.flow_direction,
        "Terms": None if name.terms is None else "+".join(name.terms),
        "Shadow price ($/MW)": row.shadow_price,
    }


def _values(table: Table, row: Row) -> dict[str, Any]:
    """Return what a row says, and what is parsed and computed from it, by the names of the columns."""
    values = {name: _plain(getattr(row, name)) for name, field in fields_of(table.row).items() if field.kept}
    for parsed in table.parsed:
        parts = parsed.parse(getattr(row, parsed.of))
        values |= {made.name: part for made, part in zip(parsed.columns, parts, strict=True)}
    for computed in table.computed:
        numbers = [getattr(row, name) for name in computed.of]
        # To the digits that MISO publishes: 32.74, where arithmetic comes to 32.740000000000002.
        values[computed.column.name] = None if None in numbers else round(computed.compute(*numbers), _DIGITS)
    return values


def _plain(value: object) -> object:
    return as_est(value) if isinstance(value, datetime) else value


def rows_key(feed: Feed, scope: str) -> str:
    """Return the key of the artifact with these rows: ``binding-constraints-prod``, ``fuels-fuel-mix-prod``."""
    what = "binding-constraints" if feed.contract.quiet else feed.contract.tables[0].name
    return f"{what.replace('_', '-')}-{scope}"


def rows_description(feed: Feed, snapshot: Snapshot, link: str) -> str:
    """Describe that table: of which interval it is, and where the object stands."""
    quiet = " (quiet: nothing binds)" if feed.contract.quiet and snapshot.quiet else ""
    return f"{feed.title} of the interval ending {as_est(snapshot.interval_end)}{quiet}: `{link}`"


def object_link(location: str, key: str) -> str:
    """Return an object's address: ``s3://bucket/folder/key`` or ``file:///folder/key``."""
    return f"{location.rstrip('/')}/{key}"


def snapshot_markdown(feed: Feed, snapshot: Snapshot, link: str, command: str) -> str:
    """Tell of the newest snapshot and how to look at it: a browser opens neither ``file://`` nor ``s3://``."""
    return "\n".join(
        [f"## {_title(snapshot)}: {counted_rows(feed, snapshot)}", "", f"`{link}`", "", *as_block(command)]
    )


def _title(snapshot: Snapshot) -> str:
    return as_est(snapshot.interval_end) if snapshot.page is None else snapshot.ref_id


def show_command(location: str, key: str, *, endpoint: str | None = None, profile: str | None = None) -> str:
    """Return a command for a shell that shows an object unzipped.

    Args:
        location: The archive's address, ``s3://bucket/folder`` or ``file:///folder``.
        key: The object's key.
        endpoint: The address of the S3 server when it is not AWS's.
        profile: The AWS profile that the archive is opened with.
    """
    if location.startswith("file://"):
        return shlex.join(["zcat", f"{unquote(urlsplit(location).path).rstrip('/')}/{key}"])
    return f"{copy_command(object_link(location, key), '-', endpoint=endpoint, profile=profile)} | zcat"


def copy_command(link: str, to: str, *, endpoint: str | None = None, profile: str | None = None) -> str:
    """Return a command for a shell that copies an object of S3, by its address, to a file.

    ``endpoint`` and ``profile`` are those of ``show_command``.
    """
    options = [f"--endpoint-url={endpoint}"] if endpoint else []
    options += [f"--profile={profile}"] if profile else []
    return shlex.join(["aws", "s3", "cp", *options, link, to])


def coverage_markdown(
    scope: str, day: date, bodies: Iterable[tuple[datetime, int | None]], *, can_be_quiet: bool = True
) -> str:
    """Tell how much of a market day is collected, up to the newest interval that is, and what is missing.

    Counts as ``miso_archive.coverage`` does.

    Args:
        scope: The environment that collects, and the feed.
        day: The market day (EST).
        bodies: The archived bodies: the end of the interval, aware, and how many rows there are; None where the body
            cannot be read. Of several of one interval the last readable one counts; those of other days and those off
            the five-minute grid count for nothing.
        can_be_quiet: Whether the feed can.
    """
    counts = {
        _number(end): count
        for end, count in bodies
        if count is not None and market_day(end) == day and is_on_grid(end.astimezone(EST))
    }
    so_far = max(counts, default=0)
    missing = _ranges(sorted(set(range(1, so_far + 1)) - set(counts)))
    until = f"until {_label(so_far)}" if counts else "yet"
    quiet = sum(count == 0 for count in counts.values())
    lines = [
        f"## Market day {day} ({scope})",
        "",
        f"**{len(counts)} of {so_far}** intervals collected {until}, {so_far - len(counts)} missing.",
        "",
    ]
    if can_be_quiet:
        lines += [f"Of those collected **{quiet}** are quiet, and in **{len(counts) - quiet}** something binds.", ""]
    if missing:
        lines += ["| Missing intervals, by their ends (EST) | How many |", "|---|---:|"]
        lines += [f"| {_told_range(first, last)} | {last - first + 1} |" for first, last in missing[-_MOST_RANGES:]]
        lines += [""]
        if len(missing) > _MOST_RANGES:
            lines += [f"The last {_MOST_RANGES} of {len(missing)} gaps are listed.", ""]
    return "\n".join(lines)


def stored_event(feed: Feed, environment: str, snapshot: Snapshot, stored: Stored) -> Event:
    """Return the event of a snapshot that the archive holds, put there by this collector or by another one."""
    rows = {table: len(rows) for table, rows in snapshot.tables.items()}
    payload = {
        "interval_end": snapshot.interval_end.isoformat(),
        **({"binding": len(snapshot.rows)} if feed.contract.quiet else {"rows": rows}),
        "key": stored.key,
        "written": stored.written,
    }
    name = event_name(feed, STORED if snapshot.page is None else PAGE_STORED)
    return Event(name, _resource(feed, environment), payload)


def events_of(feed: Feed, environment: str, verdict: Verdict) -> list[Event]:
    """Return the events of a body: one if it is refused, one a kind of drift if it is not."""
    interval_end = None if verdict.interval_end is None else verdict.interval_end.isoformat()
    if verdict.snapshot is None:
        codes = list(dict.fromkeys(reason.code.value for reason in verdict.reasons))
        first = f"{verdict.reasons[0].where} {verdict.reasons[0].message}"
        payload = {"codes": codes, "first": first, "interval_end": interval_end}
        return [Event(event_name(feed, REFUSED), _resource(feed, environment), payload)]
    return [
        Event(
            event_name(feed, DRIFTED),
            _resource(feed, environment) | {drift_label(feed): kind},
            {"kind": kind, "subjects": subjects[:_MOST_SUBJECTS], "count": len(subjects), "interval_end": interval_end},
        )
        for kind, subjects in drift_of(feed, verdict).items()
    ]


def _resource(feed: Feed, environment: str) -> dict[str, str]:
    return {
        "prefect.resource.id": event_name(feed, environment),
        "prefect.resource.name": f"MISO {feed.name.replace('_', ' ')}, {environment}",
    }


def as_block(command: str) -> list[str]:
    """Show a command as a block of markdown that a browser can copy, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return [f"{fence}sh", command, fence]


def counted_rows(feed: Feed, snapshot: Snapshot) -> str:
    """Say in a word or two what a snapshot holds: ``quiet``, ``3 binding``, ``8 fuels``."""
    if not feed.contract.quiet:
        return ", ".join(f"{len(rows)} {table.replace('_', ' ')}" for table, rows in snapshot.tables.items())
    return "quiet" if snapshot.quiet else f"{len(snapshot.rows)} binding"


def _number(end: datetime) -> int:
    """Return an interval's number in its market day, 1 to 288."""
    label = end.astimezone(EST)
    return (label.hour * 60 + label.minute) // (INTERVAL.seconds // 60) or INTERVALS_A_DAY


def _label(number: int) -> str:
    minutes = number * (INTERVAL.seconds // 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _told_range(first: int, last: int) -> str:
    return _label(first) if first == last else f"{_label(first)} to {_label(last)}"


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Join neighbours in ascending numbers: 3, 4, 5, 9 are (3, 5), (9, 9)."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
