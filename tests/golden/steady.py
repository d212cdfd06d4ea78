"""Makes what the code gives the same each time: what varies from run to run becomes its own shape."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from miso_archive import __version__
from miso_archive.intervals.labels import EST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHAPES: Final = (
    (re.compile(r"YYYY-MM-DD([T ])\d\d:\d\d:\d\d(\.\d+)?"), r"YYYY-MM-DD\1hh:mm:ss"),
    (re.compile(r"\b\d{8}_\d{6}_\d{6}_"), "YYYYMMDD_hhmmss_ffffff_"),
    # An archive's name in the spool: what a person knows it by, and a digest.
    (re.compile(r"(_(?:dev|staging|prod))_[\w.-]+_[0-9a-f]{16}/"), r"\1_PLACE_DIGEST/"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    # librdkafka's own words.
    (re.compile(r"(_AUTHENTICATION: )[^;]+;"), r"\1...;"),
    (re.compile(r'("age_minutes"):[0-9.]+'), r"\1:N"),
    (re.compile(r'("today":{"market_day":"[^"]+","expected"):\d+(.*?"missing"):\d+'), r"\1:N\2:N"),
)


def steady(text: str, places: Mapping[str, str]) -> str:
    """Put names for places, and shapes for the present time, for ports and for the version."""
    for place, name in places.items():
        text = text.replace(place, name)
    for day in _present():
        text = text.replace(day, "YYYY-MM-DD")
    for pattern, shape in _SHAPES:
        text = pattern.sub(shape, text)
    return text.replace(f'"{__version__}"', '"VERSION"')


def _present() -> Iterator[str]:
    """Yield the days that may have been the present one a moment ago."""
    now = datetime.now(UTC)
    for time in (now, now - timedelta(hours=1)):
        yield f"{time:%Y-%m-%d}"
        yield f"{time.astimezone(EST):%Y-%m-%d}"
