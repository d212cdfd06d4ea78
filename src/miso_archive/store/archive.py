"""The archive: objects under dated keys, put only where nothing stands, in a local folder and in S3 alike."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import orjson

from miso_archive.contract.examine import MOST_BYTES, Snapshot
from miso_archive.contract.findings import Finding
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Dataset
from miso_archive.intervals.labels import as_utc
from miso_archive.store.gzipped import zipped
from miso_archive.store.layout import quarantine_key, snapshot_key
from miso_archive.store.response import Response
from miso_archive.version import __version__

_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn")


class UnusableArchiveError(CollectionError):
    """The archive is named wrongly, or lets nobody in this way: no body gets there until the settings are mended."""


def without_credentials(location: str) -> str:
    """Return the sentence that nothing is known to open an archive with."""
    return f"no AWS credentials are found for {location}: set them as for any AWS tool"


def closed(location: str, verb: str, reason: str) -> str:
    """Return the sentence that an archive cannot be read or written, with S3's own word for why."""
    return f"{location} cannot be {verb}: {reason}. Check bucket, region, credentials and rights"


class Store(Protocol):
    """What it takes to store a body: one place of objects.

    ``location`` is its address, without secrets: ``s3://bucket/folder`` or ``file:///folder``. ``identity`` tells it
    from every other place: the location, and the S3 endpoint when it is not AWS's.
    """

    location: str
    identity: str

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        """Put an object where none stands, whole or not at all; return whether it was put.

        Raises:
            CollectionError: The archive failed; transient when trying again may help.
        """
        ...

    def sha256_of(self, key: str) -> str | None:
        """Return the SHA-256 of what an object holds, unzipped; None when it cannot be read as gzip."""
        ...


class Archive(Store, Protocol):
    """A store that can be looked into, for marks: objects that come and go."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys of the objects directly in a folder, sorted; none when it is absent."""
        ...

    def read(self, key: str) -> bytes | None:
        """Return an object as it stands; None when there is none."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object; there need not be one. Only marks are ever removed."""
        ...


def folder_identity(folder: Path) -> str:
    """Return what tells a folder from every other place: one folder is one archive, also by way of a link or ``..``."""
    return Path(os.path.realpath(folder)).as_uri()


def bucket_identity(location: str, endpoint_url: str) -> str:
    """Return what tells a bucket from every other place: its location, and the endpoint when it is not AWS's."""
    endpoint = urlsplit(endpoint_url)
    if (endpoint.hostname or "").endswith(_AWS):
        return location
    return f"{location} at {endpoint.scheme}://{endpoint.netloc}"


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a snapshot stands, and whether this call put it there."""

    key: str
    written: bool


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
    archive: Store, dataset: Dataset, snapshot: Snapshot, response: Response, environment: str | None = None
) -> Stored:
    """Put a snapshot's body, byte for byte, under its interval's key; beside it, when other bytes stand there.

    Safe to repeat and to run many times at once: the same body ends in one object.
    """
    data = zipped(response.body)
    provenance = provenance_of(response, environment) | {"ref-id": snapshot.ref_id.strip()}
    key = snapshot_key(dataset, snapshot.interval_end)
    if archive.put_if_absent(key, data, provenance):
        return Stored(key, written=True)
    if archive.sha256_of(key) == response.sha256:
        return Stored(key, written=False)
    revision = snapshot_key(dataset, snapshot.interval_end, revision_of=response.sha256)
    return Stored(revision, written=archive.put_if_absent(revision, data, provenance))


def store_refused(
    archive: Store, dataset: Dataset, response: Response, reasons: tuple[Finding, ...], environment: str | None = None
) -> str:
    """Keep a refused body and, beside it, the reasons; return the body's key."""
    stem = quarantine_key(dataset, response)
    key = f"{stem}.body.gz"
    report = {
        **provenance_of(response, environment),
        "content-type": response.content_type,
        **({"content-encoding": response.content_encoding} if response.content_encoding else {}),
        "cut": len(response.body) > MOST_BYTES,
        "reasons": [reason.as_dict() for reason in reasons],
    }
    archive.put_if_absent(key, zipped(response.body), {})
    archive.put_if_absent(f"{stem}.reasons.json", orjson.dumps(report, option=orjson.OPT_INDENT_2), {})
    return key
