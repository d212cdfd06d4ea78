"""Bodies put into a store: each once, under its own key, or beside where other bytes stand under it."""

from dataclasses import dataclass
from io import BytesIO

import orjson

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.findings import Finding
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import as_utc
from miso_archive.store.gzipped import sha256_unzipped, zipped
from miso_archive.store.layout import Keys, quarantine_key, snapshot_keys
from miso_archive.store.response import Response
from miso_archive.store.store import Keeper, Store
from miso_archive.version import __version__


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a body stands, and whether this call put it there."""

    key: str
    written: bool


def put_once(store: Keeper, keys: Keys, response: Response, provenance: dict[str, str]) -> Stored:
    """Put a body, byte for byte, under its key; beside it, as a revision, when other bytes stand there.

    Safe to repeat and to run many times at once: the same body ends in one object.
    """
    data = zipped(response.body)
    if store.put_if_absent(keys.own, data, provenance):
        return Stored(keys.own, written=True)
    if store.sha256_of(keys.own) == response.sha256:
        return Stored(keys.own, written=False)
    return Stored(keys.revision, written=store.put_if_absent(keys.revision, data, provenance))


def standing_sha256(store: Store, key: str) -> str | None:
    """Return the SHA-256 of the body that stands under a key; empty where it is damaged, None where there is none.

    Raises:
        ArchiveError: The archive fails, or the object cannot be read and nothing tells what it holds.
    """
    [data] = store.read([key])
    if isinstance(data, FileNotFoundError):
        return None
    # One in an archive storage class still says what it holds.
    found = store.sha256_of(key) if isinstance(data, OSError) else sha256_unzipped(BytesIO(data))
    return found or ""


def provenance_of(response: Response, environment: str | None = None) -> dict[str, str]:
    """Return where a body comes from, and which environment fetched it, in the words of S3 object metadata."""
    provenance = {
        "sha256": response.sha256,
        "fetched-at": as_utc(response.fetched_at),
        "source-url": response.source_url,
        "collector-version": __version__,
    }
    return provenance if environment is None else provenance | {"environment": environment}


def store_snapshot(
    store: Keeper, feed: Feed, snapshot: Snapshot, response: Response, environment: str | None = None
) -> Stored:
    """Put a snapshot's body under its interval's key, or beside it. Safe to repeat."""
    provenance = provenance_of(response, environment) | {"ref-id": snapshot.ref_id.strip()}
    keys = snapshot_keys(feed, snapshot.interval_end, response.sha256, page=snapshot.page)
    return put_once(store, keys, response, provenance)


def store_refused(
    store: Keeper, feed: Feed, response: Response, reasons: tuple[Finding, ...], environment: str | None = None
) -> str:
    """Keep a refused body and, beside it, the reasons; return the body's key."""
    stem = quarantine_key(feed, response)
    key = f"{stem}.body.gz"
    report = {
        **provenance_of(response, environment),
        "content-type": response.content_type,
        **({"content-encoding": response.content_encoding} if response.content_encoding else {}),
        "cut": len(response.body) > MOST_BYTES,
        "reasons": [reason.as_dict() for reason in reasons],
    }
    store.put_if_absent(key, zipped(response.body), {})
    store.put_if_absent(f"{stem}.reasons.json", orjson.dumps(report, option=orjson.OPT_INDENT_2), {})
    return key
