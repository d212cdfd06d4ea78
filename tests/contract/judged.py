"""What the contract makes of a body, in the words of a test."""

from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.feeds.reserve import RESERVE


def accepted(text: bytes) -> Snapshot:
    """Examine a body that is to be accepted without any warning."""
    verdict = RESERVE.examine(text)
    assert verdict.snapshot is not None, verdict.reasons
    assert (verdict.reasons, verdict.warnings) == ((), ())
    assert verdict.interval_end == verdict.snapshot.interval_end
    return verdict.snapshot


def refused(text: bytes) -> list[tuple[str, str]]:
    """Examine a body that is to be refused; give code and place of each reason."""
    verdict = RESERVE.examine(text)
    assert verdict.snapshot is None
    return [(reason.code.value, reason.where) for reason in verdict.reasons]


def warned(verdict: Verdict) -> list[tuple[str, str]]:
    """Give code and place of each warning of an accepted body."""
    assert verdict.snapshot is not None, verdict.reasons
    return [(warning.code.value, warning.where) for warning in verdict.warnings]
