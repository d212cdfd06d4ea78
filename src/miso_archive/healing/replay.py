"""Quarantined bodies judged again by today's rules: a rule can be wrong, and the feed has no history.

What passes now is archived as if it had passed when it was fetched. Nothing leaves the quarantine.
"""

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.content_encoding import UndecodableError, decoded
from miso_archive.contract.findings import RefusalCode
from miso_archive.contract.verdict import Snapshot
from miso_archive.failures import ARCHIVE_RETRIES
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.days import Day, Days
from miso_archive.store.gzipped import unzipped
from miso_archive.store.layout import quarantine_folder, quarantine_key, refused_name, snapshot_keys
from miso_archive.store.listing import days_in
from miso_archive.store.put_once import Stored, standing_sha256, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import Store

# A cut body has one byte more than the largest that is read.
_LONGEST: Final = MOST_BYTES + 1
_READ_TOGETHER: Final = 64


class UnreadableBody(BaseModel):
    """A quarantined body that cannot be judged, and why."""

    key: str
    message: str


class ReplayResult(BaseModel):
    """What a replay found and did. Every quarantined body is counted once."""

    quarantined: int = Field(default=0, description="Refused bodies of the days asked for.")
    archived: int = Field(default=0, description="Bodies that pass now, and were archived.")
    already: int = Field(default=0, description="Bodies that pass now, and stood in the archive.")
    still_refused: int = Field(default=0, description="Bodies that today's rules refuse too.")
    unreadable: int = Field(default=0, description="Bodies that cannot be judged: damaged, or without their report.")
    objects: list[str] = Field(default_factory=list, description="The keys of the objects that were written.")
    reasons: dict[str, int] = Field(default_factory=dict, description="How many bodies each code still refuses.")
    errors: list[UnreadableBody] = Field(default_factory=list, description="Each unreadable body, and why.")


class _Report(BaseModel):
    """What was kept beside a refused body, as far as a replay needs it."""

    fetched_at: AwareDatetime = Field(alias="fetched-at")
    # S3 takes nothing else as metadata.
    source_url: Annotated[str, Field(alias="source-url", pattern=r"^[\x20-\x7e]*$")]
    content_type: str = Field(alias="content-type")
    cut: bool
    content_encoding: str = Field(default="", alias="content-encoding")
    environment: Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")] | None = None


@dataclass(frozen=True, slots=True)
class _Refused:
    """A body as it is to be judged; ``for_good`` is why it cannot be, whatever it holds."""

    response: Response
    for_good: RefusalCode | None
    environment: str | None


class _UnreadableError(Exception):
    """The message says why a quarantined body cannot be judged."""


def replay(
    store: Store,
    feed: Feed,
    *,
    dry_run: bool = False,
    start: Day | None = None,
    end: Day | None = None,
) -> ReplayResult:
    """Judge quarantined bodies anew, and archive those that pass with the provenance of their first fetch.

    Safe to repeat: a body that stands in the archive is not put again. ``collector-version`` in the provenance is that
    of the replay. A body that was cut for its size is never archived, and one that was kept in its content encoding is
    judged if that can be undone. Nothing is announced in Kafka.

    Args:
        store: The archive.
        feed: Whose quarantine, and by which rules.
        dry_run: Tell what would be archived, and write nothing.
        start: The first day (EST) of the fetch; the quarantine's first when not given.
        end: The day after the last; after the quarantine's last when not given.

    Raises:
        ArchiveError: The archive fails; what was archived until then stands, and a repetition does the rest.
        WrongDaysError: The days are no days, or end before they start.
    """
    days = Days.of(start, end)
    result, codes = ReplayResult(), Counter[str]()
    rehearsed: dict[str, str] = {}
    for day in days.among(days_in(store, quarantine_folder(feed))):
        for stem, refused in _in_order(store, quarantine_folder(feed, day), feed):
            result.quarantined += 1
            if isinstance(refused, _UnreadableError):
                result.unreadable += 1
                result.errors.append(UnreadableBody(key=f"{stem}.body.gz", message=str(refused)))
                continue
            verdict = feed.examine(refused.response.body)
            if refused.for_good or verdict.snapshot is None:
                result.still_refused += 1
                refused_for = {refused.for_good} if refused.for_good else {found.code for found in verdict.reasons}
                codes.update(code.value for code in refused_for)
                continue
            if dry_run:
                stored = _rehearsed(store, feed, verdict.snapshot, refused.response.sha256, rehearsed)
            else:
                body, environment = refused.response, refused.environment
                put = partial(store_snapshot, store, feed, verdict.snapshot, body, environment)
                stored = ARCHIVE_RETRIES.call(put)
            if stored.written:
                result.archived += 1
                result.objects.append(stored.key)
            else:
                result.already += 1
    result.reasons = dict(sorted(codes.items()))
    return result


def _in_order(store: Store, folder: str, feed: Feed) -> Iterator[tuple[str, _Refused | _UnreadableError]]:
    """Yield the bodies of one day as they were fetched, so that the bodies of an interval are archived in their order.

    Reports are small and read together; bodies may have 5 MiB each and are read a few at a time.
    """
    [names] = store.names([folder])
    stems = sorted({f"{folder}/{found}" for name in names if (found := refused_name(name))})
    reports = dict(zip(stems, map(_report, store.read([f"{stem}.reasons.json" for stem in stems])), strict=True))
    stems.sort(key=lambda stem: _fetched(reports[stem]))
    for first in range(0, len(stems), _READ_TOGETHER):
        together = stems[first : first + _READ_TOGETHER]
        bodies = store.read([f"{stem}.body.gz" for stem in together])
        for stem, data in zip(together, bodies, strict=True):
            try:
                yield stem, _refused(stem, data, reports[stem], feed)
            except _UnreadableError as error:
                yield stem, error


def _report(data: bytes | OSError) -> _Report | _UnreadableError:
    if isinstance(data, OSError):
        return _UnreadableError(f"its reasons cannot be read: {data.strerror or data}")
    try:
        return _Report.model_validate_json(data)
    except ValidationError:  # its text repeats what is wrong
        return _UnreadableError("its reasons are damaged: they do not say when and where it was fetched")


def _fetched(report: _Report | _UnreadableError) -> float:
    return report.fetched_at.timestamp() if isinstance(report, _Report) else 0.0


def _refused(stem: str, data: bytes | OSError, report: _Report | _UnreadableError, feed: Feed) -> _Refused:
    if isinstance(report, _UnreadableError):
        raise report
    response = Response(_unzipped(data), report.fetched_at, report.source_url, report.content_type)
    try:
        key = quarantine_key(feed, response)
    except OverflowError:  # the year 1 has no time in EST
        key = ""
    if not stem.endswith(response.sha256):
        raise _UnreadableError(f"it is not the body of its name: its SHA-256 is {response.sha256}")
    if key != stem:
        raise _UnreadableError("its reasons name another day than its folder")
    if report.cut:
        return _Refused(response, RefusalCode.BODY_TOO_LARGE, report.environment)
    try:
        body = decoded(response.body, report.content_encoding)
    except UndecodableError:
        return _Refused(response, RefusalCode.UNREADABLE_ENCODING, report.environment)
    return _Refused(replace(response, body=body), None, report.environment)


def _unzipped(data: bytes | OSError) -> bytes:
    try:
        body = unzipped(data, _LONGEST)
    except OSError as error:
        raise _UnreadableError(f"it cannot be read: {error.strerror or error}") from error
    except zlib.error as error:
        raise _UnreadableError(f"it cannot be unzipped: {error}") from error
    if len(body) > _LONGEST:
        raise _UnreadableError("it is larger than any body that is kept")
    return body


def _rehearsed(store: Store, feed: Feed, snapshot: Snapshot, sha256: str, rehearsed: dict[str, str]) -> Stored:
    """Tell what ``store_snapshot`` would do, after what was rehearsed before: keys, and the SHA-256 of their bodies."""
    for key in snapshot_keys(feed, snapshot.interval_end, sha256, page=snapshot.page):
        standing = rehearsed.get(key) or standing_sha256(store, key)
        if standing is None:
            rehearsed[key] = sha256
            return Stored(key, written=True)
        if standing == sha256:
            break
    return Stored(key, written=False)
