"""What a run says it did: counts, and each failure by its code."""

from collections.abc import Mapping

from pydantic import BaseModel, Field

from miso_archive.contract.findings import FailureCode, Finding
from miso_archive.failures import CollectionError


class RunError(BaseModel):
    """Why a candidate failed: a stable code, a sentence, and the place in the body when the body is at fault."""

    code: str
    message: str
    where: str | None = None


class RunResult(BaseModel):
    """What a run did. Every candidate is counted once: collected, skipped or failed."""

    total_candidates: int = Field(
        default=0, description="Polls of the feed that the run made; one that was tried again counts once."
    )
    collected: int = Field(default=0, description="New snapshots archived, announced and registered.")
    skipped_duplicate: int = Field(default=0, description="Snapshots that the archive held already.")
    failed: int = Field(default=0, description="Candidates that failed; `errors` says why.")
    not_published: int | None = Field(
        default=None, description="Of a daily feed: market days, or nodes of one, of which nothing is out (404)."
    )
    errors: list[RunError] = Field(default_factory=list, description="Each with a code and a message.")
    objects: list[str] = Field(default_factory=list, description="The keys of the objects this run wrote.")

    @property
    def reasons(self) -> list[str]:
        """Why candidates failed, each with its code first."""
        return [f"{error.code}: {error.message}" for error in self.errors]

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return self.model_dump(exclude_none=True)


class ResultOfFeeds:
    """What a run of several feeds did: the result of each by its name, and the sums of their counts."""

    def __init__(self, feeds: Mapping[str, RunResult]) -> None:
        self.feeds = feeds

    @property
    def failed(self) -> int:
        """How many candidates failed, of all feeds."""
        return sum(result.failed for result in self.feeds.values())

    @property
    def reasons(self) -> list[str]:
        """Why candidates failed, each with its code first, then whose."""
        return [f"{error.code}: {name}: {error.message}" for name, one in self.feeds.items() for error in one.errors]

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        counts = ("total_candidates", "collected", "skipped_duplicate", "failed")
        sums: dict[str, object] = {name: sum(getattr(one, name) for one in self.feeds.values()) for name in counts}
        return sums | {"feeds": {name: result.as_dict() for name, result in self.feeds.items()}}


def failed_before_start(error: CollectionError) -> RunResult:
    """Return the result of a run whose parts could not be opened: nothing was fetched."""
    return RunResult(total_candidates=1, failed=1, errors=[run_error(error)])


def broken_off(error: Exception) -> RunResult:
    """Return the result of a run that broke off by an error nobody foresaw, whose text may hold a secret."""
    message = f"an error that nobody foresaw, {type(error).__name__}: see its traceback in the log, and report it"
    return RunResult(
        total_candidates=1, failed=1, errors=[RunError(code=FailureCode.UNFORESEEN.value, message=message)]
    )


def run_error(error: CollectionError) -> RunError:
    """Return a failure as the result has it."""
    return RunError(code=error.code.value, message=error.message)


def refusals(reasons: tuple[Finding, ...]) -> list[RunError]:
    """Return why a body is refused, as the result has it."""
    return [
        RunError(code=reason.code.value, message=f"{reason.where} {reason.message}", where=reason.where)
        for reason in reasons
    ]
