"""How seldom the feed is asked: by MISO's terms no more than once a minute. Pure."""

from typing import Final

from miso_archive.intervals.labels import INTERVAL

POLITE_GAP: Final = 60.0
"""Seconds: MISO asks clients not to call a link more than once a minute."""

MOST_POLLS: Final = int(INTERVAL.total_seconds() / POLITE_GAP)
"""As many polls as cover the five minutes until the next run."""
