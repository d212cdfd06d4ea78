"""What a body says that is unknown, and accepted all the same. Pure."""

from typing import Final

from miso_archive.contract.findings import WarningCode
from miso_archive.contract.verdict import Verdict
from miso_archive.feeds.feed import Feed
from miso_archive.text import shown

UNKNOWN_NAME_SHAPE: Final = "unknown_name_shape"
"""The kind of drift that the contract does not warn of: a constraint's name that cannot be taken apart."""

_DRIFT_CODES: Final = (WarningCode.UNKNOWN_FIELD, WarningCode.UNKNOWN_RESERVE_TYPE, WarningCode.UNKNOWN_DIRECTION)


def drift_of(feed: Feed, verdict: Verdict) -> dict[str, list[str]]:
    """Return what is unknown in an accepted body, by its kind: where and what; nothing for a refused one."""
    if verdict.snapshot is None:
        return {}
    kinds = {
        code.value: [f"{warning.where} {warning.message}" for warning in verdict.warnings if warning.code is code]
        for code in _DRIFT_CODES
    }
    names = dict.fromkeys(
        text
        for table in feed.contract.tables
        for parsed in table.parsed
        for row in verdict.snapshot.tables[table.name]
        if parsed.parse(text := getattr(row, parsed.of))[0] is None
    )
    kinds[UNKNOWN_NAME_SHAPE] = [shown(name) for name in names]
    return {kind: subjects for kind, subjects in kinds.items() if subjects}
