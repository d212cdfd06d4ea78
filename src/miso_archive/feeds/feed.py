"""What sets one feed apart from its siblings: adding a feed means adding one small file that makes a Dataset."""

from collections.abc import Callable
from dataclasses import dataclass

from miso_archive.contract.examine import Verdict


@dataclass(frozen=True, slots=True)
class Dataset:
    """One feed: its name in keys, Redis and Kafka, the stem of its files, its address and its contract."""

    name: str
    file_stem: str
    url: str
    examine: Callable[[bytes], Verdict]
