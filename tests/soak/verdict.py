"""What the ledgers of the feeds, the archive, the topic and the logs say together. Pure."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import EST
from miso_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from miso_archive.feeds.feed import Feed
    from tests.soak.host import Good, Ledger, Refused, Serving
    from tests.soak.sites import Found

_TEMPORARY: Final = (".partial", ".tmp")

# What every contract says of each kind of body that a feed serves to be refused, and where.
_REASONS: Final = {
    "garbage": ("not_json", "body"),
    "html": ("html_page", "body"),
    "no-data": ("error_payload", "error"),
    "bad-row": ("not_an_object", "{rows}[0]"),
    "huge": ("body_too_large", "body"),
    "gzip-bomb": ("body_too_large", "body"),
}
_CUT: Final = {"huge", "gzip-bomb"}

# Times are told to the second, and a clock that is set lags by as long as the setting takes. A busy machine may take as
# long to read what it was served as a request may take.
_EARLIEST, _LATEST = timedelta(seconds=-2), timedelta(seconds=20)


@dataclass
class Verdict:
    """What went wrong with one feed in one archive, and how many refused bodies it keeps; `problems` are all else."""

    lost: int = 0
    doubled: int = 0
    unannounced: int = 0
    quarantined: int = 0
    announced_again: int = 0
    problems: list[str] = field(default_factory=list)


def judge(feed: Feed, ledger: Ledger, clocks: Mapping[int, int], found: Found, messages: Iterable[bytes]) -> Verdict:
    """Compare what was served of one feed with what is archived and announced of it.

    Args:
        feed: the feed.
        ledger: what was served of it, when, and to which run.
        clocks: by how many seconds a run's clock was wrong, for part of its time at least.
        found: the archive.
        messages: the topic.
    """
    verdict = Verdict()
    keys = _keys_of_snapshots(feed, found.objects, verdict)
    _judge_announcements(feed, ledger, clocks, keys, messages, verdict)
    for sha256, good in ledger.good.items():
        stem = f"sourcing/{feed.dataset}/{good.end:%Y-%m-%d}/{feed.file_stem}_{good.end:%Y%m%d_%H%M}"
        standing = keys.pop(sha256, [])
        verdict.lost += not standing
        verdict.doubled += max(len(standing) - 1, 0)
        right = {f"{stem}.json.gz", f"{stem}.{sha256[:12]}.json.gz"}
        verdict.problems += [f"{key} is no key for interval {good.end}" for key in standing if key not in right]
        if standing and f"{stem}.json.gz" not in found.objects:
            verdict.problems.append(f"interval {good.end} of {feed.name} has a revision and no first body")
        for key in standing:
            wrong = _wrong_provenance(found.provenance.get(key, {}), good, ledger, clocks)
            verdict.problems += [f"the provenance of {key} has {wrong}"] if wrong else []
    verdict.problems += [f"{key} was never served" for stray in keys.values() for key in stray]
    _judge_quarantine(feed, ledger, clocks, found.objects, verdict)
    return verdict


def left_over(found: Found, messages: Iterable[bytes]) -> list[str]:
    """Name what is of none of the feeds, and what a run may leave for a while alone."""
    datasets = {feed.dataset for feed in FEEDS.values()}
    problems = []
    for key in found.objects:
        room, _, rest = key.partition("/")
        if room in {"sourcing", "quarantine"} and rest.partition("/")[0] not in datasets:
            problems.append(f"{key} is of no feed")
        if room == "unannounced":
            problems.append(f"the mark {key} is left")
        name = key.rpartition("/")[2]
        if key.endswith(_TEMPORARY) or name.startswith((".", "temp-")):
            problems.append(f"the temporary file {key} is left")
    announced = Counter(json.loads(message)["dataset"] for message in messages)
    return problems + [f"announced of no feed: {dataset}" for dataset in sorted(announced.keys() - datasets)]


def told(secret: str, places: Mapping[str, bytes]) -> list[str]:
    """Name the places where a secret stands, zipped or not."""
    needle = secret.encode()
    return sorted(name for name, data in places.items() if needle in data or needle in (unzipped(data) or b""))


def unzipped(data: bytes) -> bytes | None:
    """Undo gzip; None when it is none, or not whole."""
    try:
        return gzip.decompress(data)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        return None


def _keys_of_snapshots(feed: Feed, objects: Mapping[str, bytes], verdict: Verdict) -> dict[str, list[str]]:
    """Group the snapshots' keys by the SHA-256 of what they hold."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for key, data in objects.items():
        if key.startswith(f"sourcing/{feed.dataset}/"):
            body = unzipped(data)
            if body is None:
                verdict.problems.append(f"{key} cannot be unzipped")
            else:
                keys[hashlib.sha256(body).hexdigest()].append(key)
    return keys


def _wrong_provenance(
    provenance: Mapping[str, str], good: Good, ledger: Ledger, clocks: Mapping[int, int]
) -> str | None:
    """Say what is wrong with where a snapshot says that it comes from; None when nothing is."""
    sha256 = hashlib.sha256(good.body).hexdigest()
    expected = {
        "sha256": sha256,
        "ref-id": good.ref_id,
        "source-url": ledger.source_url,
        "collector-version": __version__,
        "environment": "dev",
    }
    wrong = _differing(expected, provenance)
    return wrong or _wrong_time(provenance.get("fetched-at"), _servings(ledger, sha256), clocks)


def _differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    differing = [f"{name} {found.get(name)!r}" for name, value in expected.items() if found.get(name) != value]
    return ", ".join(differing) or None


def _servings(ledger: Ledger, sha256: str) -> list[Serving]:
    """Return all servings of a good body; none of one that was never served as it is."""
    good = ledger.good.get(sha256)
    return [*good.servings, *ledger.slow.get(sha256, ())] if good else []


def _wrong_time(fetched_at: object, servings: Sequence[Serving], clocks: Mapping[int, int]) -> str | None:
    """Say what is wrong with a time of fetching: it is that of one of the servings, by the clock of who was served."""
    fetched = datetime.fromisoformat(fetched_at) if isinstance(fetched_at, str) else None
    for serving in servings:
        for wrong_by in {0, clocks.get(serving.run, 0)}:
            served = serving.at + timedelta(seconds=wrong_by)
            if fetched is not None and _EARLIEST <= fetched - served <= _LATEST:
                return None
    known = ", ".join(f"{serving.at:%Y-%m-%dT%H:%M:%SZ} to run {serving.run}" for serving in servings)
    return f"fetched-at {fetched_at!r}, when the body was not served, but {known}"


def _judge_announcements(  # noqa: PLR0913, PLR0917 - what the judge has
    feed: Feed,
    ledger: Ledger,
    clocks: Mapping[int, int],
    keys: Mapping[str, list[str]],
    messages: Iterable[bytes],
    verdict: Verdict,
) -> None:
    announced: Counter[str] = Counter()
    for message in messages:
        content = json.loads(message)
        if content["dataset"] != feed.dataset:
            continue
        if content["key"] not in keys.get(content["sha256"], []):
            verdict.problems.append(f"announced and not archived: {content['key']}")
            continue
        announced[content["sha256"]] += 1
        served = _servings(ledger, content["sha256"])
        wrong = _wrong_time(content["fetched_at"], served, clocks) if served else "a body that was never served"
        verdict.problems += [f"the message of {content['key']} has {wrong}"] if wrong else []
    verdict.unannounced = len(ledger.good.keys() - announced.keys())
    verdict.announced_again = announced.total() - len(announced)


def _judge_quarantine(
    feed: Feed, ledger: Ledger, clocks: Mapping[int, int], objects: Mapping[str, bytes], verdict: Verdict
) -> None:
    kept: set[str] = set()
    for key, data in objects.items():
        if key.startswith(f"quarantine/{feed.dataset}/") and key.endswith(".body.gz"):
            sha256 = hashlib.sha256(unzipped(data) or b"").hexdigest()
            kept.add(sha256)
            refused = ledger.refused.get(sha256)
            if refused is None:
                verdict.problems.append(f"{key} should not be there")
                continue
            reasons = objects.get(key.removesuffix(".body.gz") + ".reasons.json")
            wrong = _wrong_reasons(feed, reasons, key, refused, ledger, clocks)
            verdict.problems += [f"{key} stands {wrong}"] if wrong else []
    verdict.quarantined = len(kept & ledger.refused.keys())
    missing = ledger.refused.keys() - kept
    bodies = [ledger.refused[sha256].body[:60] for sha256 in missing]
    verdict.problems += [f"of {feed.name} refused and not kept: {body!r}" for body in bodies]


def _wrong_reasons(  # noqa: PLR0913, PLR0917 - what the judge has
    feed: Feed, data: bytes | None, key: str, refused: Refused, ledger: Ledger, clocks: Mapping[int, int]
) -> str | None:
    """Say what is wrong with the reasons beside a refused body; None when nothing is."""
    if data is None:
        return "without its reasons"
    found = json.loads(data)
    expected = {
        "sha256": hashlib.sha256(refused.body).hexdigest(),
        "source-url": ledger.source_url,
        "collector-version": __version__,
        "environment": "dev",
        "content-type": refused.content_type,
        "cut": refused.kind in _CUT,
    }
    reasons = [(reason["code"], reason["where"]) for reason in found.get("reasons", [])]
    wrong = _differing(expected, found) or _wrong_time(found.get("fetched-at"), refused.servings, clocks)
    code, where = _REASONS[refused.kind]
    if wrong is None and reasons != [(code, where.format(rows=feed.contract.tables[0].at))]:
        wrong = f"reasons {reasons}"
    if wrong is None and f"/{datetime.fromisoformat(found['fetched-at']).astimezone(EST):%Y-%m-%d}/" not in key:
        wrong = f"fetched-at {found['fetched-at']}, another day"
    return f"beside {wrong}" if wrong else None
