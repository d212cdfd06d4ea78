"""What sets one feed apart from its siblings."""

from dataclasses import dataclass
from typing import Final

from miso_archive.contract.examine import examine
from miso_archive.contract.rows import Contract
from miso_archive.contract.verdict import Verdict

API_BASE: Final = "https://public-api.misoenergy.org/api"
"""Where MISO serves its real-time feeds (seen 2026-07-27; addresses move)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed.

    ``name`` is what people type; ``dataset`` what stands in keys, Redis and Kafka; ``file_stem`` what its files begin
    with; ``path`` where it is below the base address; ``title`` what it is called; ``contract`` what its bodies are to
    be; ``is_first`` marks the one whose runs and artifacts had their names before there was another.
    """

    name: str
    dataset: str
    file_stem: str
    path: str
    title: str
    contract: Contract
    is_first: bool = False

    @property
    def url(self) -> str:
        """The feed's address."""
        return f"{API_BASE}/{self.path}"

    def examine(self, body: bytes) -> Verdict:
        """Read one response body, and say what it is or why it is refused."""
        return examine(self.contract, body)

    def scope(self, environment: str) -> str:
        """Return what tells its runs and artifacts from those of other feeds and environments: ``fuel-mix-prod``."""
        return environment if self.is_first else f"{self.name.replace('_', '-')}-{environment}"
