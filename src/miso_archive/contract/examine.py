"""The feed's contract: bytes in, a typed snapshot or the reasons for refusing it out.

Pure: no network, no files, no clock, no Prefect. Two row shapes are accepted, row by row, and nothing between them:
the four-field row that the live feed sends (seen 2026-07-27: ``Name Period Price Description``, all strings) and the
eleven-field row of the documented contract (``Name Period Price ReserveType Direction Quantity OVERRIDE BP1 PC1 BP2
PC2``). When nothing binds the feed sends a placeholder row named ``None``; such a snapshot is *quiet*, and so is one
with an empty list.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from miso_archive.contract.findings import MOST_FINDINGS, Finding, RefusalCode, WarningCode
from miso_archive.intervals.labels import is_on_grid, parse_period, parse_ref_id
from miso_archive.text import shown

LIVE_FIELDS: Final = ("Name", "Period", "Price", "Description")
"""The four fields of a row as the live feed sends it."""

MOST_BYTES: Final = 5 * 1024 * 1024
"""The largest body that is read, in bytes after decompression; a live one has a few thousand."""

RESERVE_TYPES: Final = frozenset({"SPIN", "NSPIN", "REG_UP", "REG_DOWN", "SUPPL"})
DIRECTIONS: Final = frozenset({"UP", "DOWN", "BOTH"})

PLACEHOLDER_NAMES: Final = frozenset({"none", "none - none"})
_PLACEHOLDER_PRICES: Final = re.compile(r"(?:none|0+(?:\.0*)?)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_REFUSALS: Final = {code.value: code for code in RefusalCode}
_UTF8_MARK: Final = b"\xef\xbb\xbf"


def _refuse(code: RefusalCode, message: str) -> PydanticCustomError:
    return PydanticCustomError(code.value, "{message}", {"message": message})


def _text(empty: RefusalCode) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise _refuse(empty, "is empty")
        if not isinstance(value, str):
            raise _refuse(RefusalCode.NOT_TEXT, f"{shown(value)} is not text")
        return value

    return read


def _period(value: object) -> datetime:
    text = _text(RefusalCode.EMPTY_PERIOD)(value)
    try:
        return parse_period(text)
    except ValueError as error:
        raise _refuse(RefusalCode.UNREADABLE_PERIOD, f"{shown(text)} cannot be read: {error}") from error


def _number(code: RefusalCode) -> Callable[[object], float]:
    def read(value: object) -> float:
        is_numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_numeric or (isinstance(value, str) and _NUMBER.fullmatch(value.strip(" \t\r\n"))):
            number = float(value)  # type: ignore[arg-type] # narrowed above, beyond what mypy follows
            if math.isfinite(number):
                return number
        raise _refuse(code, f"{shown(value)} is not a finite number")

    return read


def _break_point(value: object) -> float | None:
    return None if value is None else _number(RefusalCode.BAD_BREAK_POINT)(value)


def _override(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, str)) and value in (0, 1, "0", "1"):
        return value in (1, "1")
    raise _refuse(RefusalCode.BAD_OVERRIDE, f'{shown(value)} is not a boolean, 0, 1, "0" or "1"')


def _description(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _refuse(RefusalCode.NOT_TEXT, f"{shown(value)} is not text")


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


_BreakPoint = Annotated[float | None, BeforeValidator(_break_point)]


class BindingConstraint(BaseModel):
    """One binding constraint of a snapshot.

    ``shadow_price`` is in $/MW with the sign as published (negative where a constraint binds, as far as seen),
    ``quantity`` in MW, ``period`` the interval's end in EST. What a live row does not carry is None.
    """

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, BeforeValidator(_text(RefusalCode.EMPTY_NAME))] = Field(alias="Name")
    period: Annotated[datetime, BeforeValidator(_period)] = Field(alias="Period")
    shadow_price: Annotated[float, BeforeValidator(_number(RefusalCode.BAD_PRICE))] = Field(alias="Price")
    description: Annotated[str | None, BeforeValidator(_description)] = Field(default=None, alias="Description")
    reserve_type: Annotated[str | None, BeforeValidator(_text_or_none)] = Field(default=None, alias="ReserveType")
    direction: Annotated[str | None, BeforeValidator(_text_or_none)] = Field(default=None, alias="Direction")
    quantity: Annotated[float | None, BeforeValidator(_number(RefusalCode.BAD_QUANTITY))] = Field(
        default=None, alias="Quantity"
    )
    override: Annotated[bool | None, BeforeValidator(_override)] = Field(default=None, alias="OVERRIDE")
    bp1: _BreakPoint = Field(default=None, alias="BP1")
    pc1: _BreakPoint = Field(default=None, alias="PC1")
    bp2: _BreakPoint = Field(default=None, alias="BP2")
    pc2: _BreakPoint = Field(default=None, alias="PC2")


_FIELDS: Final = tuple(field.alias or name for name, field in BindingConstraint.model_fields.items())

DOCUMENTED_FIELDS: Final = tuple(field for field in _FIELDS if field != "Description")
"""The eleven fields of a row as the contract documents it."""

_KNOWN_FIELDS: Final = frozenset(_FIELDS)
_ONLY_DOCUMENTED: Final = frozenset(DOCUMENTED_FIELDS) - frozenset(LIVE_FIELDS)


class Placeholder(BaseModel):
    """The row that says nothing binds: named ``None``, priced ``None``, with a period all the same."""

    model_config = ConfigDict(frozen=True)

    period: Annotated[datetime, BeforeValidator(_period)] = Field(alias="Period")


class Snapshot(BaseModel):
    """What the feed showed for one interval: its end in EST, and the binding constraints, none when quiet."""

    model_config = ConfigDict(frozen=True)

    ref_id: str
    interval_end: datetime
    constraints: tuple[BindingConstraint, ...]

    @property
    def ranked(self) -> list[BindingConstraint]:
        """The constraints by the magnitude of their shadow price, the hardest first."""
        return sorted(self.constraints, key=lambda constraint: -abs(constraint.shadow_price))

    @property
    def quiet(self) -> bool:
        """Whether nothing binds: an observation, not a gap."""
        return not self.constraints


@dataclass(frozen=True, slots=True)
class Verdict:
    """The contract's answer on one body.

    ``snapshot`` is None when the body is refused, and then ``reasons`` says why. ``interval_end`` is what a readable
    RefId names, also in a refused body.
    """

    snapshot: Snapshot | None
    reasons: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    interval_end: datetime | None


class _Findings:
    """Collects reasons and warnings, bounded whatever the body holds."""

    def __init__(self) -> None:
        self._reasons: list[Finding] = []
        self._unlisted_reasons = 0
        self._unexamined = ""
        self._warnings: dict[tuple[WarningCode, str], tuple[Finding, int]] = {}
        self._unlisted_warnings = 0

    def refuse(self, code: RefusalCode, where: str, message: str) -> None:
        if len(self._reasons) < MOST_FINDINGS:
            self._reasons.append(Finding(code, where, message))
        else:
            self._unlisted_reasons += 1

    def stop_at(self, where: str) -> bool:
        """Tell whether enough is wrong to leave the rest unexamined, from here on: a body may hold 10^5 rows."""
        if len(self._reasons) < MOST_FINDINGS:
            return False
        self._unexamined = f"what begins at {where} is not examined"
        return True

    def warn(self, code: WarningCode, subject: str, where: str, message: str) -> None:
        """Record a warning once a subject: a field that drifts does so in every row."""
        known = self._warnings.get((code, subject))
        if known is not None:
            self._warnings[code, subject] = (known[0], known[1] + 1)
        elif len(self._warnings) < MOST_FINDINGS:
            self._warnings[code, subject] = (Finding(code, where, message), 1)
        else:
            self._unlisted_warnings += 1

    def verdict(self, snapshot: Snapshot | None, interval_end: datetime | None) -> Verdict:
        reasons = list(self._reasons)
        if self._unlisted_reasons or self._unexamined:
            more = f"and {self._unlisted_reasons} more" if self._unlisted_reasons else ""
            message = "; ".join(part for part in (more, self._unexamined) if part)
            reasons.append(Finding(RefusalCode.MORE_REASONS, "body", message))
        warnings = [
            first if count == 1 else Finding(first.code, first.where, f"{first.message} ({count} times)")
            for first, count in self._warnings.values()
        ]
        if self._unlisted_warnings:
            warnings.append(Finding(WarningCode.MORE_WARNINGS, "body", f"and {self._unlisted_warnings} more"))
        return Verdict(snapshot, tuple(reasons), tuple(warnings), interval_end)


def examine(body: bytes) -> Verdict:
    """Read one response body of the feed, and say what it is or why it is refused.

    Every rule is applied to every row, so the verdict lists all that is wrong, not only the first.
    """
    findings = _Findings()
    payload = _parse(body, findings)
    if payload is None:
        return findings.verdict(None, None)
    interval_end = _read_ref_id(payload, findings)
    rows = payload.get("Constraint")
    if "Constraint" not in payload:
        findings.refuse(RefusalCode.MISSING_FIELD, "Constraint", "is absent")
    elif not isinstance(rows, list):
        findings.refuse(RefusalCode.CONSTRAINT_NOT_A_LIST, "Constraint", f"{shown(rows)} is not a list")
    _warn_of_drift(payload, frozenset({"RefId", "Constraint"}), "", findings)
    constraints = _read_rows(rows if isinstance(rows, list) else [], interval_end, findings)
    if findings.verdict(None, None).reasons or interval_end is None:
        return findings.verdict(None, interval_end)
    snapshot = Snapshot(ref_id=payload["RefId"], interval_end=interval_end, constraints=constraints)
    return findings.verdict(snapshot, interval_end)


def _text_of(body: bytes, findings: _Findings) -> bytes | None:
    """Return what may be JSON, or None after saying why it cannot be."""
    if len(body) > MOST_BYTES:
        findings.refuse(RefusalCode.BODY_TOO_LARGE, "body", f"is larger than {MOST_BYTES} bytes")
        return None
    text = body.removeprefix(_UTF8_MARK).strip()
    if not text:
        findings.refuse(RefusalCode.EMPTY_BODY, "body", "is empty")
        return None
    if text.startswith(b"<"):
        start = shown(text[:60].decode("utf-8", "replace"))
        findings.refuse(RefusalCode.HTML_PAGE, "body", f"is a page, not JSON: it starts {start}")
        return None
    return text


def _parse(body: bytes, findings: _Findings) -> dict[str, Any] | None:
    text = _text_of(body, findings)
    if text is None:
        return None
    try:
        payload = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        findings.refuse(RefusalCode.NOT_JSON, "body", f"is not JSON: {error}")
        return None
    if not isinstance(payload, dict):
        findings.refuse(RefusalCode.NOT_AN_OBJECT, "body", f"{shown(payload)} is not an object")
        return None
    if "error" in payload and not {"RefId", "Constraint"} & payload.keys():
        findings.refuse(
            RefusalCode.ERROR_PAYLOAD, "error", f"the feed answers with an error: {shown(payload['error'])}"
        )
        return None
    return payload


def _read_ref_id(payload: Mapping[str, Any], findings: _Findings) -> datetime | None:
    if "RefId" not in payload:
        findings.refuse(RefusalCode.MISSING_FIELD, "RefId", "is absent")
        return None
    ref_id = payload["RefId"]
    if ref_id is None or ref_id == "" or (isinstance(ref_id, str) and not ref_id.strip()):
        findings.refuse(RefusalCode.EMPTY_REF_ID, "RefId", "is empty")
        return None
    if not isinstance(ref_id, str):
        findings.refuse(RefusalCode.NOT_TEXT, "RefId", f"{shown(ref_id)} is not text")
        return None
    try:
        interval_end = parse_ref_id(ref_id)
    except ValueError as error:
        findings.refuse(RefusalCode.UNREADABLE_REF_ID, "RefId", f"{shown(ref_id)} cannot be read: {error}")
        return None
    if not is_on_grid(interval_end):
        message = f"{shown(ref_id)} is not on the five-minute grid"
        findings.warn(WarningCode.OFF_GRID_INTERVAL, "", "RefId", message)
    return interval_end


def _read_rows(rows: list[Any], interval_end: datetime | None, findings: _Findings) -> tuple[BindingConstraint, ...]:
    constraints: list[BindingConstraint] = []
    placeholder_at: str | None = None
    for number, row in enumerate(rows):
        where = f"Constraint[{number}]"
        if findings.stop_at(where):
            break
        if not isinstance(row, dict):
            findings.refuse(RefusalCode.NOT_AN_OBJECT, where, f"{shown(row)} is not an object")
            continue
        read = _read_row(row, where, findings)
        if isinstance(read, BindingConstraint):
            constraints.append(read)
        elif isinstance(read, Placeholder):
            placeholder_at = where
        if read is not None and interval_end is not None and read.period != interval_end:
            message = f"{shown(row['Period'])} is another interval than RefId's"
            findings.warn(WarningCode.PERIOD_DIFFERS, "", f"{where}.Period", message)
    if placeholder_at is not None and constraints:
        message = "says that nothing binds, beside binding constraints"
        findings.warn(WarningCode.PLACEHOLDER_BESIDE_CONSTRAINTS, "", placeholder_at, message)
    return tuple(constraints)


def _read_row(row: dict[str, Any], where: str, findings: _Findings) -> BindingConstraint | Placeholder | None:
    placeholder = _is_placeholder(row)
    required = DOCUMENTED_FIELDS if _ONLY_DOCUMENTED & row.keys() else LIVE_FIELDS
    missing = [field for field in required if field not in row and not (placeholder and field == "Description")]
    for field in missing:
        findings.refuse(RefusalCode.MISSING_FIELD, f"{where}.{field}", "is absent")
    _warn_of_drift(row, _KNOWN_FIELDS, f"{where}.", findings)
    if not placeholder:
        _warn_of_unknown(row, where, findings)
    model = Placeholder if placeholder else BindingConstraint
    try:
        return model.model_validate(row)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            if detail["type"] != "missing":  # listed above, also where the model has a default
                field = f"{where}.{detail['loc'][0]}"
                findings.refuse(_REFUSALS[detail["type"]], field, detail["msg"])
        return None


def _is_placeholder(row: Mapping[str, Any]) -> bool:
    name, price = row.get("Name"), row.get("Price", "absent")
    if not isinstance(name, str) or name.strip().lower() not in PLACEHOLDER_NAMES or isinstance(price, bool):
        return False
    return (
        price is None
        or price == 0
        or (isinstance(price, str) and bool(_PLACEHOLDER_PRICES.fullmatch(price.strip().lower())))
    )


def _warn_of_unknown(row: Mapping[str, Any], where: str, findings: _Findings) -> None:
    known: tuple[tuple[str, frozenset[str], WarningCode], ...] = (
        ("ReserveType", RESERVE_TYPES, WarningCode.UNKNOWN_RESERVE_TYPE),
        ("Direction", DIRECTIONS, WarningCode.UNKNOWN_DIRECTION),
    )
    for field, values, code in known:
        value = row.get(field)
        if field in row and not (isinstance(value, str) and value in values):
            findings.warn(code, shown(value), f"{where}.{field}", f"{shown(value)} is not known")


def _warn_of_drift(fields: Mapping[str, Any], known: frozenset[str], where: str, findings: _Findings) -> None:
    for field in fields:
        if field not in known:
            name = shown(field)[1:-1]
            findings.warn(WarningCode.UNKNOWN_FIELD, name, f"{where}{name}", "is not a field of the contract")
