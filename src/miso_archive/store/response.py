"""One answer of the feed, as it travels from the network to the archive. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True)
class Response:
    """One answer of the feed with status 200: the body as sent, when (UTC) and where from.

    A body larger than MOST_BYTES is cut behind the first byte too many, which is enough to refuse it.
    ``content_encoding`` is that of a body whose encoding cannot be undone, and empty for any other.
    """

    body: bytes
    fetched_at: datetime
    source_url: str
    content_type: str
    content_encoding: str = ""

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the body, in hexadecimal: the identity of what the feed said."""
        return hashlib.sha256(self.body).hexdigest()
