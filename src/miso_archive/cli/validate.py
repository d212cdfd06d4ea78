"""The command on payloads: ``miso-archive validate``."""

import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import orjson
from cyclopts import Parameter

from miso_archive.cli.on_feeds import OneFeed
from miso_archive.cli.streams import put
from miso_archive.collecting.told import counted_rows
from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.content_encoding import gunzipped
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.feeds import KNOWN
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import as_est
from miso_archive.settings.options import UsageError
from miso_archive.text import counted

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BODIES: Final = (".json", ".json.gz", ".body.gz")
_REASONS: Final = ".reasons.json"
_WITH_BODIES: Final = ("sourcing", "quarantine")
"""Of an archive's own folders, those with bodies of feeds: what else is JSON there is none."""

_REPORTS: Final = {report.name for feed in KNOWN.values() for report in feed.reports}


def validate(
    files: Annotated[list[str], Parameter(allow_leading_hyphen=True)],
    /,
    *,
    feed: OneFeed = "reserve",
    json: bool = False,
) -> int:
    """Carry out ``validate``.

    Args:
        files: Files to check, plain or gzipped; - reads standard input. Of a folder all bodies in it and below are
            checked: `*.json`, `*.json.gz`, and `*.body.gz`, which is what was refused; of an archive those of the feed.
        feed: Whose bodies they are.
        json: Print one JSON object a file.
    """
    # "-" alone makes cyclopts let options pass as files.
    if unknown := [name for name in files if name.startswith("-") and name != "-"]:
        raise UsageError(f"Unknown option: {unknown[0]}. A file of that name is ./{unknown[0]}.")
    valid = True
    for name, verdict in _examined(KNOWN[feed], files):
        valid &= verdict.snapshot is not None
        if json:
            summary = {"file": os.fsencode(name).decode(errors="replace"), **_summary(KNOWN[feed], verdict)}
            put(orjson.dumps(summary).decode() + "\n")
        else:
            _print_verdict(KNOWN[feed], name if name.isprintable() else ascii(name), verdict)
    return 0 if valid else 1


def _examined(feed: Feed, names: list[str]) -> Iterator[tuple[str, Verdict]]:
    """Yield each file, and of a folder each body in it, with its verdict."""
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112 - Path's raises where a folder above has no rights
            yield from _examined_folder(feed, name)
        else:
            yield name, _examine_file(feed, name)


def _examined_folder(feed: Feed, folder: str) -> Iterator[tuple[str, Verdict]]:
    failed: list[OSError] = []
    empty = True
    # An archive holds those of several feeds.
    others = {other.dataset for other in KNOWN.values()} - {feed.dataset}
    for path, folders, names in os.walk(folder, onerror=failed.append):
        is_archive = "sourcing" in folders
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in {*_REPORTS, *others}
            and (name in _WITH_BODIES or not is_archive)
        )
        for name in sorted(names):
            if not is_archive and name.endswith(_BODIES) and not name.startswith(".") and not name.endswith(_REASONS):
                empty = False
                body = str(Path(path) / name)
                yield body, _examine_file(feed, body)
    for error in failed:
        yield str(error.filename), _unreadable(f"cannot be listed: {error.strerror}")
    if empty and not failed:
        yield folder, _unreadable(f"holds no bodies: no {', no '.join(f'*{ending}' for ending in _BODIES)}")


def _examine_file(feed: Feed, name: str) -> Verdict:
    try:
        return feed.examine(_read(name))
    except (OSError, EOFError, zlib.error) as error:
        return _unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _unreadable(why: str) -> Verdict:
    reason = Finding(RefusalCode.UNREADABLE_FILE, "file", why)
    return Verdict(snapshot=None, reasons=(reason,), warnings=(), interval_end=None)


def _read(name: str) -> bytes:
    """Read a body, gzipped or not, as far as it takes to see that it is too large."""
    with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
        body = file.read(MOST_BYTES + 1)
    return gunzipped(body, MOST_BYTES + 1) if body.startswith(_GZIP_MAGIC) else body


def _summary(feed: Feed, verdict: Verdict) -> dict[str, object]:
    snapshot, interval_end = verdict.snapshot, verdict.interval_end
    return {
        "valid": snapshot is not None,
        **({"quiet": None if snapshot is None else snapshot.quiet} if feed.contract.quiet else {}),
        "interval_end": None if interval_end is None else interval_end.isoformat(),
        **{
            table.name: None if snapshot is None else len(snapshot.tables[table.name]) for table in feed.contract.tables
        },
        "reasons": [reason.as_dict() for reason in verdict.reasons],
        "warnings": [warning.as_dict() for warning in verdict.warnings],
    }


def _print_verdict(feed: Feed, name: str, verdict: Verdict) -> None:
    if verdict.snapshot is None:
        lines = [f"{name}: refused"]
    else:
        state = _counted(feed, verdict.snapshot)
        what = (
            verdict.snapshot.ref_id
            if verdict.snapshot.page
            else f"interval end {as_est(verdict.snapshot.interval_end)}"
        )
        lines = [f"{name}: valid, {what}, {state}"]
    lines += [f"  {reason.code.value}: {reason.where} {reason.message}" for reason in verdict.reasons]
    lines += [f"  warning {warning.code.value}: {warning.where} {warning.message}" for warning in verdict.warnings]
    put("\n".join(lines) + "\n")


def _counted(feed: Feed, snapshot: Snapshot) -> str:
    binds = feed.contract.quiet and not snapshot.quiet
    return counted(len(snapshot.rows), "binding constraint") if binds else counted_rows(feed, snapshot)
