"""What the ledger of the feed, the archive, the topic and the logs say together. Pure."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.soak.feed import Ledger
    from tests.soak.sites import Found

DATASET: Final = "miso_binding_constraints_reserve"
_TEMPORARY: Final = (".partial", ".tmp")


@dataclass
class Verdict:
    """What went wrong with one archive, and how many refused bodies it keeps; `problems` are all else."""

    lost: int = 0
    doubled: int = 0
    unannounced: int = 0
    quarantined: int = 0
    announced_again: int = 0
    problems: list[str] = field(default_factory=list)


def judge(ledger: Ledger, found: Found, messages: Iterable[bytes]) -> Verdict:
    """Compare what was served with what is archived and announced."""
    verdict = Verdict()
    keys = _keys_of_snapshots(found.objects, verdict)
    for sha256, (end, _) in ledger.good.items():
        stem = f"sourcing/{DATASET}/{end:%Y-%m-%d}/binding_constraints_reserve_{end:%Y%m%d_%H%M}"
        standing = keys.pop(sha256, [])
        verdict.lost += not standing
        verdict.doubled += max(len(standing) - 1, 0)
        right = {f"{stem}.json.gz", f"{stem}.{sha256[:12]}.json.gz"}
        verdict.problems += [f"{key} is no key for interval {end}" for key in standing if key not in right]
        if standing and f"{stem}.json.gz" not in found.objects:
            verdict.problems.append(f"interval {end} has a revision and no first body")
    verdict.problems += [f"{key} was never served" for stray in keys.values() for key in stray]
    _judge_announcements(ledger, _keys_of_snapshots(found.objects, Verdict()), messages, verdict)
    _judge_quarantine(ledger, found.objects, verdict)
    for key in found.objects:
        if key.startswith("unannounced/"):
            verdict.problems.append(f"the mark {key} is left")
        name = key.rpartition("/")[2]
        if key.endswith(_TEMPORARY) or name.startswith((".", "temp-")):
            verdict.problems.append(f"the temporary file {key} is left")
    return verdict


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


def _keys_of_snapshots(objects: Mapping[str, bytes], verdict: Verdict) -> dict[str, list[str]]:
    """Group the snapshots' keys by the SHA-256 of what they hold."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for key, data in objects.items():
        if key.startswith("sourcing/"):
            body = unzipped(data)
            if body is None:
                verdict.problems.append(f"{key} cannot be unzipped")
            else:
                keys[hashlib.sha256(body).hexdigest()].append(key)
    return keys


def _judge_announcements(
    ledger: Ledger, keys: Mapping[str, list[str]], messages: Iterable[bytes], verdict: Verdict
) -> None:
    announced: Counter[str] = Counter()
    for message in messages:
        content = json.loads(message)
        if content["key"] in keys.get(content["sha256"], []):
            announced[content["sha256"]] += 1
        else:
            verdict.problems.append(f"announced and not archived: {content['key']}")
    verdict.unannounced = len(ledger.good.keys() - announced.keys())
    verdict.announced_again = announced.total() - len(announced)


def _judge_quarantine(ledger: Ledger, objects: Mapping[str, bytes], verdict: Verdict) -> None:
    kept: dict[str, str] = {}
    for key, data in objects.items():
        if key.startswith("quarantine/") and key.endswith(".body.gz"):
            kept[hashlib.sha256(unzipped(data) or b"").hexdigest()] = key
            if key.removesuffix(".body.gz") + ".reasons.json" not in objects:
                verdict.problems.append(f"{key} stands without its reasons")
    verdict.quarantined = len(kept.keys() & ledger.refused.keys())
    missing = ledger.refused.keys() - kept.keys()
    verdict.problems += [f"refused and not kept: {ledger.refused[sha256][:60]!r}" for sha256 in missing]
    verdict.problems += [f"{kept[sha256]} should not be there" for sha256 in kept.keys() - ledger.refused.keys()]
