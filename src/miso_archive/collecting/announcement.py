"""The announcement of a new snapshot in Kafka: the message, and how long its delivery may take."""

from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field

DELIVERY_SECONDS: Final = 10.0
"""How long a delivery may take, librdkafka's own retries included."""


class Announcement(BaseModel):
    """The Kafka message: JSON, at least one for each new snapshot. The message's key is the SHA-256."""

    model_config = ConfigDict(frozen=True)

    dataset: str = Field(description="The feed: `miso_binding_constraints_reserve`.")
    environment: str = Field(description="`dev`, `staging` or `prod`.")
    location: str = Field(description="The archive: `s3://bucket/folder` or `file:///folder`.")
    key: str = Field(description="The object's key within the location.")
    sha256: str = Field(description="The SHA-256 of the body, in hexadecimal: tell repeated messages apart by it.")
    ref_id: str = Field(description="The feed's own label, as sent; ours of a feed without one.")
    interval_end: str = Field(
        description="The end of the interval, of a daily feed of the day, ISO 8601 with offset: EST, UTC-5 all year."
    )
    page: int | None = Field(default=None, ge=1, description="Of a daily feed: which page of the market day.")
    node: str | None = Field(default=None, description="Of a daily feed that has such: the node of all its rows.")
    # A mark that an older version left has none, and is announced as it stands.
    rows: dict[str, int] | None = Field(default=None, description="How many rows each of the feed's tables has.")
    constraint_count: int | None = Field(
        default=None, description="How many constraints bind; 0 in a quiet interval. Of feeds that can be quiet alone."
    )
    fetched_at: str = Field(description="When the body was fetched, ISO 8601 in UTC.")
    collector_version: str = Field(description="The version of miso-archive that collected it.")

    def as_json(self) -> bytes:
        """Return the message as it is sent, and as a mark keeps it."""
        return orjson.dumps(self.model_dump(exclude_none=True))
