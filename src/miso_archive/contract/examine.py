"""Any feed's contract: bytes in, a typed snapshot or the reasons for refusing it out.

Pure: no network, no files, no clock, no Prefect. What a feed's bodies are to be stands in its ``Contract``; every rule
is applied to every row, so a verdict lists all that is wrong, not only the first.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from miso_archive.contract.body import read_body
from miso_archive.contract.findings import Findings, RefusalCode, WarningCode
from miso_archive.contract.pages import in_words, label_of_page
from miso_archive.contract.read_rows import read_figures, read_rows, spelled, warn_of_drift
from miso_archive.contract.rows import Contract, PageLabel, RowLabel, Table
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.intervals.labels import as_est, is_on_grid, parse_ref_id
from miso_archive.text import shown


def examine(contract: Contract, body: bytes) -> Verdict:
    """Read one response body of a feed, and say what it is or why it is refused."""
    findings = Findings()
    known = contract.objects()
    payload = read_body(body, known[""], findings, is_list=contract.is_list)
    if payload is None:
        return Verdict(None, findings.reasons(), findings.warnings(), None)
    objects = _objects(payload, known, findings, any_case=contract.any_case)
    label = contract.label
    ref_id, interval_end = _read_ref_id(objects, label, findings) if isinstance(label, str) else ("", None)
    listed = {table.name: _listed(objects, table, findings) for table in contract.tables}
    for path, found in objects.items():
        warn_of_drift(found, known[path], f"{path}." if path else "", findings)
    figures = read_figures(objects, contract.figures, interval_end, findings)
    tables = {
        table.name: read_rows(listed[table.name], table, contract, interval_end, findings) for table in contract.tables
    }
    if isinstance(label, RowLabel):
        interval_end = _label_among(tables[label.table], label, findings)
        ref_id = "" if interval_end is None else as_est(interval_end)
    page = None
    if isinstance(label, PageLabel) and not findings.reasons():
        labelled = label_of_page(tables[label.table], label, figures, contract.tables[0].at, findings)
        if labelled is not None:
            interval_end, page = labelled
            ref_id = in_words(interval_end, page)
    if interval_end is None or findings.reasons():
        return Verdict(None, findings.reasons(), findings.warnings(), interval_end)
    snapshot = Snapshot(ref_id=ref_id, interval_end=interval_end, tables=tables, figures=figures, page=page)
    for check in contract.checks:
        for doubt in check(snapshot):
            findings.warn(doubt.code, doubt.where, doubt.where, doubt.message)
    return Verdict(snapshot, (), findings.warnings(), interval_end)


def _objects(
    payload: dict[str, Any], known: Mapping[str, list[str]], findings: Findings, *, any_case: bool
) -> dict[str, dict[str, Any]]:
    """Return the objects of a body by their paths, as far as there are such."""
    found: dict[str, dict[str, Any]] = {}
    for path in known:
        if not path:
            found[path] = spelled(payload, known[path]) if any_case else payload
            continue
        above, _, name = path.rpartition(".")
        if above not in found:
            continue
        value = found[above].get(name)
        if name not in found[above]:
            findings.refuse(RefusalCode.MISSING_FIELD, path, "is absent")
        elif not isinstance(value, dict):
            findings.refuse(RefusalCode.NOT_AN_OBJECT, path, f"{shown(value)} is not an object")
        else:
            found[path] = spelled(value, known[path]) if any_case else value
    return found


def _read_ref_id(
    objects: Mapping[str, Mapping[str, Any]], label: str, findings: Findings
) -> tuple[str, datetime | None]:
    above, _, name = label.rpartition(".")
    if above not in objects:
        return "", None
    if name not in objects[above]:
        findings.refuse(RefusalCode.MISSING_FIELD, label, "is absent")
        return "", None
    ref_id = objects[above][name]
    if ref_id is None or (isinstance(ref_id, str) and not ref_id.strip()):
        findings.refuse(RefusalCode.EMPTY_REF_ID, label, "is empty")
        return "", None
    if not isinstance(ref_id, str):
        findings.refuse(RefusalCode.NOT_TEXT, label, f"{shown(ref_id)} is not text")
        return "", None
    try:
        interval_end = parse_ref_id(ref_id)
    except ValueError as error:
        findings.refuse(RefusalCode.UNREADABLE_REF_ID, label, f"{shown(ref_id)} cannot be read: {error}")
        return "", None
    _warn_off_grid(interval_end, ref_id, label, findings)
    return ref_id, interval_end


def _label_among(rows: tuple[Any, ...], label: RowLabel, findings: Findings) -> datetime | None:
    """Return the time of the row whose time is the body's label, to the minute as labels are."""
    times = [getattr(row, label.time) for row in rows if getattr(row, label.named_by) == label.name]
    if len(times) != 1:
        findings.refuse(RefusalCode.NO_LABEL_ROW, "body", f"{len(times)} of its rows are {label.name}, not one")
        return None
    time: datetime = times[0]
    _warn_off_grid(time, as_est(time, seconds=True), label.name, findings)
    return time.replace(second=0, microsecond=0)


def _warn_off_grid(interval_end: datetime, ref_id: str, where: str, findings: Findings) -> None:
    if not is_on_grid(interval_end):
        message = f"{shown(ref_id)} is not on the five-minute grid"
        findings.warn(WarningCode.OFF_GRID_INTERVAL, "", where, message)


def _listed(objects: Mapping[str, Mapping[str, Any]], table: Table, findings: Findings) -> list[Any]:
    """Return a table's rows as they stand in the body."""
    above, _, name = table.at.rpartition(".")
    if above not in objects:
        return []
    rows = objects[above].get(name)
    if name not in objects[above]:
        findings.refuse(RefusalCode.MISSING_FIELD, table.at, "is absent")
    elif not isinstance(rows, list):
        findings.refuse(table.not_a_list, table.at, f"{shown(rows)} is not a list")
    elif len(rows) < table.fewest:
        message = f"has {len(rows)} rows, fewer than {table.fewest}"
        findings.refuse(RefusalCode.TOO_FEW_ROWS, table.at or "body", message)
    return rows if isinstance(rows, list) else []
