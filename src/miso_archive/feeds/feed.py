"""What sets one feed apart from its siblings."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from miso_archive.contract.examine import examine
from miso_archive.contract.rows import Contract
from miso_archive.contract.verdict import Verdict
from miso_archive.host import API_BASE

_EXAMPLES: Final = Path(__file__).with_name("examples")

OF_MISO: Final = "miso_"
"""What every dataset begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed.

    ``name`` is what people type; ``dataset`` what stands in keys, Redis and Kafka; ``file_stem`` what its files begin
    with; ``path`` where it is below the base address; ``title`` what it is called; ``contract`` what its bodies are to
    be; ``lead`` how long before its interval's end a body may be published; ``examples`` the folder of its recorded
    body, ``{file_stem}.json``; ``is_first`` marks the one whose runs and artifacts had their names before there was
    another.
    """

    name: str
    dataset: str
    file_stem: str
    path: str
    title: str
    contract: Contract
    lead: timedelta = timedelta(0)
    examples: Path = _EXAMPLES
    is_first: bool = False

    @property
    def recorded(self) -> Path:
        """Where a body lies as MISO sent it: it serves tests, documentation and the simulated host."""
        return self.examples / f"{self.file_stem}.json"

    @property
    def url(self) -> str:
        """The feed's address."""
        return f"{API_BASE}/{self.path}"

    @property
    def tag(self) -> str:
        """Its name as runs, artifacts and events bear it: ``fuel-mix``."""
        return self.name.replace("_", "-")

    def examine(self, body: bytes) -> Verdict:
        """Read one response body, and say what it is or why it is refused."""
        return examine(self.contract, body)

    def scope(self, environment: str) -> str:
        """Return what tells its runs and artifacts from those of other feeds and environments: ``fuel-mix-prod``."""
        return environment if self.is_first else f"{self.tag}-{environment}"
