"""The rows and the figures of one body, as the contract of its feed says them. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from miso_archive.contract.findings import Findings, RefusalCode, WarningCode
from miso_archive.contract.kinds import WrongValueError
from miso_archive.contract.rows import Contract, Placeholder, Published, Row, Table, fields_of
from miso_archive.text import shown


def read_rows(
    listed: list[Any], table: Table, contract: Contract, interval_end: datetime | None, findings: Findings
) -> tuple[Row, ...]:
    """Return what a table's rows mean, those left out with which something is wrong."""
    quiet = contract.quiet
    reader = _RowReader(table, contract, interval_end, findings)
    rows: list[Row] = []
    nothing_at: str | None = None
    for number, row in enumerate(listed):
        where = f"{table.at}[{number}]"
        if findings.stop_at(where):
            break
        if not isinstance(row, dict):
            findings.refuse(RefusalCode.NOT_AN_OBJECT, where, f"{shown(row)} is not an object")
            continue
        if quiet is not None and quiet.stands_for_nothing(row):
            nothing_at = where if reader.read_nothing(row, quiet, where) else nothing_at
        elif (read := reader.read(row, where)) is not None:
            rows.append(read)
    if nothing_at is not None and rows and quiet is not None:
        findings.warn(quiet.beside_rows, "", nothing_at, quiet.beside_message)
    return tuple(rows)


def read_figures(
    objects: Mapping[str, Mapping[str, Any]], kind: type[Row] | None, interval_end: datetime | None, findings: Findings
) -> Row | None:
    """Return what the body itself says beside its rows; None where something is wrong, or the feed says nothing."""
    if kind is None:
        return None
    fields = fields_of(kind)
    found: dict[str, Any] = {}
    is_whole = True
    for field in fields.values():
        above, _, name = field.key.rpartition(".")
        if name in objects.get(above, {}):
            found[field.key] = objects[above][name]
        elif field.required:
            is_whole = False
            if above in objects:
                findings.refuse(RefusalCode.MISSING_FIELD, field.key, "is absent")
    values = _values_of(found, fields, "", interval_end, findings)
    return kind(**values) if values is not None and is_whole else None


def spelled(fields: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return fields under the names that are known, whatever the case; one that is spelled so goes before others."""
    names = {name.lower(): name for name in known}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        usual = names.get(name.lower(), name)
        found[name if usual in fields else usual] = value
    return found


def warn_of_drift(fields: Mapping[str, Any], known: Collection[str], where: str, findings: Findings) -> None:
    """Warn of the fields that nobody knows."""
    for field in fields:
        if field not in known:
            name = shown(field)[1:-1]
            findings.warn(WarningCode.UNKNOWN_FIELD, name, f"{where}{name}", "is not a field of the contract")


class _RowReader:
    """Reads the rows of one table of one body."""

    def __init__(self, table: Table, contract: Contract, interval_end: datetime | None, findings: Findings) -> None:
        self._table = table
        self._any_case = contract.any_case
        self._fields = fields_of(table.row)
        self._always_required = None if table.shapes else table.required_of({})
        self._known = {field.key for field in self._fields.values()}
        self._nothing = {} if contract.quiet is None else fields_of(contract.quiet.row)
        self._interval_end = interval_end
        self._findings = findings

    def read(self, row: dict[str, Any], where: str) -> Row | None:
        """Return what a row means; None after saying what is wrong with it."""
        row = spelled(row, self._known) if self._any_case else row
        self._look(row, where, may_lack=frozenset())
        self._warn_of_unknown(row, where)
        values = _values_of(row, self._fields, f"{where}.", self._interval_end, self._findings)
        return None if values is None else self._table.row(**values)

    def read_nothing(self, row: dict[str, Any], quiet: Placeholder, where: str) -> bool:
        """Tell whether a row that stands for nothing is whole."""
        self._look(row, where, may_lack=quiet.may_lack)
        return _values_of(row, self._nothing, f"{where}.", self._interval_end, self._findings) is not None

    def _look(self, row: dict[str, Any], where: str, may_lack: frozenset[str]) -> None:
        """Say which fields a row is without, and which nobody knows."""
        required = self._always_required
        for key in self._table.required_of(row) if required is None else required:
            if key not in row and key not in may_lack:
                self._findings.refuse(RefusalCode.MISSING_FIELD, f"{where}.{key}", "is absent")
        warn_of_drift(row, self._known, f"{where}.", self._findings)

    def _warn_of_unknown(self, row: Mapping[str, Any], where: str) -> None:
        for field in self._fields.values():
            value = row.get(field.key)
            if field.unknown and field.key in row and not (isinstance(value, str) and value in field.known):
                message = f"{shown(value)} is not known"
                self._findings.warn(field.unknown, shown(value), f"{where}.{field.key}", message)


def _values_of(
    row: Mapping[str, Any],
    fields: Mapping[str, Published],
    where: str,
    interval_end: datetime | None,
    findings: Findings,
) -> dict[str, Any] | None:
    """Return what fields mean, by attribute; None where one is wrong, or absent that must not be."""
    values: dict[str, Any] = {}
    is_whole = True
    for name, field in fields.items():
        if field.key not in row:
            is_whole = is_whole and not field.required
            continue
        try:
            values[name] = field.kind.read(row[field.key])
        except WrongValueError as error:
            if field.only_agrees:
                findings.warn(WarningCode.PERIOD_DIFFERS, field.key, f"{where}{field.key}", str(error))
                continue
            findings.refuse(field.code_of(error.trouble), f"{where}{field.key}", str(error))
            is_whole = False
    if not is_whole:
        return None
    for name, field in fields.items():
        value = values.get(name)
        if field.agrees and value is not None and interval_end is not None and not field.agrees(value, interval_end):
            message = f"{shown(row[field.key])} is another interval than RefId's"
            findings.warn(WarningCode.PERIOD_DIFFERS, field.key, f"{where}{field.key}", message)
    return values
