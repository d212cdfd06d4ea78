"""The keys of an archive: where each kind of object stands, made here and nowhere else. Pure."""

from datetime import date, datetime
from typing import Final

from miso_archive.feeds.feed import Dataset
from miso_archive.intervals.labels import EST
from miso_archive.store.response import Response

REVISION_DIGITS: Final = 12
"""How many digits of the SHA-256 name a revision."""


def snapshot_key(dataset: Dataset, interval_end: datetime, revision_of: str | None = None) -> str:
    """Return the key of a snapshot, from its own label in EST and nothing else.

    With the SHA-256 of a body, the key of that body as a revision: another body for an interval that is taken.
    """
    label = interval_end.astimezone(EST)
    suffix = f".{revision_of[:REVISION_DIGITS]}" if revision_of else ""
    return f"sourcing/{dataset.name}/{label:%Y-%m-%d}/{dataset.file_stem}_{label:%Y%m%d_%H%M}{suffix}.json.gz"


def report_key(dataset: Dataset, report: str, market_day: date, file_name: str, revision_of: str | None = None) -> str:
    """Return the key of a report (``rt_rpe``): in the folder of its market day, under the file's own name.

    With the SHA-256 of a report, the key of that report as a revision.
    """
    stem, _, ending = file_name.rpartition(".")
    suffix = f".{revision_of[:REVISION_DIGITS]}" if revision_of else ""
    return f"{reports_folder(dataset, report)}/{market_day}/{stem}{suffix}.{ending}.gz"


def reports_folder(dataset: Dataset, report: str) -> str:
    """Return the folder of all reports of a kind (``rt_rpe``): it has one folder a market day."""
    return f"reports/{dataset.name}/{report}"


def provenance_key(key: str) -> str:
    """Return where a folder keeps an object's provenance: files have no metadata of their own."""
    return f"provenance/{key.partition('/')[2]}".removesuffix(".json.gz") + ".json"


def quarantine_key(dataset: Dataset, response: Response) -> str:
    """Return the key of a refused body, without its ending: the day it was fetched (EST), and its own SHA-256.

    The same body refused again on that day is kept once.
    """
    return f"quarantine/{dataset.name}/{response.fetched_at.astimezone(EST):%Y-%m-%d}/refused_{response.sha256}"
