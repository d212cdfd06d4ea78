"""The body of a feed of which nothing is known but its contract: the recorded one, moved to another interval.

Its times move by what lies between its interval and the one asked for. Its numbers are multiplied, all by one factor
and to the last digit, so that what adds up in the recorded body adds up in each of these.
"""

import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from miso_archive.contract.kinds import WrongValueError
from miso_archive.contract.rows import Contract, Published, fields_of
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import as_ref_id
from miso_archive.simulate.market import interval_number

_LEAST_PERCENT: Final = 50
_PERCENTS: Final = 100
_REVISION_STEP: Final = 7  # percent; shares no factor with their number, so a hundred revisions all differ

_DIGITS: Final = re.compile(r"\d[\d,]*(?:\.\d*)?|\.\d+", re.ASCII)


def relabelled_body(feed: Feed, interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give a feed's recorded body as one of another interval.

    Args:
        feed: The feed, with a recorded body.
        interval_end: The END of the interval, an aware time on the five-minute grid.
        seed: Names the simulated market: seed, interval and revision say by which factor numbers differ.
        revision: 0 is the first publication.

    Raises:
        ValueError: ``interval_end`` is naive or off the grid, ``revision`` is negative, or the recorded body refused.
        OSError: The recorded body cannot be read.
    """
    number = interval_number(interval_end)
    if revision < 0:
        raise ValueError(f"a revision is 0 or more: {revision}")
    recorded = _read(feed.recorded)
    verdict = feed.examine(recorded)
    if verdict.snapshot is None:
        reason = verdict.reasons[0]
        raise ValueError(
            f"{feed.recorded}, the recorded body of {feed.name}, is refused: {reason.where} {reason.message}"
        )
    drawn = zlib.crc32(f"{seed} {feed.name} {number}".encode()) + revision * _REVISION_STEP
    move = _Move(interval_end, interval_end - verdict.snapshot.interval_end, _LEAST_PERCENT + drawn % _PERCENTS)
    payload = orjson.loads(recorded)
    _move_body(payload, feed.contract, move)
    return orjson.dumps(payload)


def found_at(payload: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a path in a body, ``Fuel.Type``; the body itself at the empty one."""
    for name in path.split(".") if path else ():
        payload = payload[_spelled_in(payload, name)]
    return payload


@dataclass(frozen=True, slots=True)
class _Move:
    """From the recorded interval to the one that ends at ``interval_end``, ``by`` later; numbers to so many percent."""

    interval_end: datetime
    by: timedelta
    percent: int

    def apply(self, fields: dict[str, Any], known: Iterable[Published], hours: Collection[str] = ()) -> None:
        """Move what is known of an object's fields, of which those in ``hours`` name the interval's hour."""
        for field in known:
            name = _spelled_in(fields, field.key.rpartition(".")[2])
            if name in fields:
                tells = field.agrees is not None or field.key in hours
                fields[name] = self._moved(fields[name], field, tells=tells)

    def _moved(self, value: object, field: Published, *, tells: bool) -> object:
        try:
            meaning = field.kind.read(value)
        except WrongValueError:  # of a row that says that there is nothing
            return value
        if meaning is None:
            return value
        if field.kind.spell is not None and isinstance(meaning, datetime):
            return field.kind.spell(meaning + self.by)
        if field.kind.spell is not None and tells:
            return field.kind.spell(self.interval_end)
        return _multiplied(value, self.percent) if field.kind.holds is float else value


def _move_body(payload: Any, contract: Contract, move: _Move) -> None:  # noqa: ANN401 - JSON
    if isinstance(contract.label, str):
        above, _, name = contract.label.rpartition(".")
        holder = found_at(payload, above)
        holder[_spelled_in(holder, name)] = as_ref_id(move.interval_end)
    figures = {} if contract.figures is None else fields_of(contract.figures)
    hours = {figures[table.hour].key for table in contract.tables if table.hour is not None}
    for field in figures.values():
        move.apply(found_at(payload, field.key.rpartition(".")[0]), [field], hours)
    nothing = {} if contract.quiet is None else fields_of(contract.quiet.row)
    for table in contract.tables:
        known = {field.key: field for field in (*nothing.values(), *fields_of(table.row).values())}
        for row in found_at(payload, table.at):
            move.apply(row, known.values())


def _spelled_in(fields: Mapping[str, Any], key: str) -> str:
    """Return a key as it is spelled in the body: some contracts take it in whatever case."""
    return key if key in fields else next((name for name in fields if name.lower() == key.lower()), key)


def _multiplied(value: object, percent: int) -> object:
    if isinstance(value, str):
        return _DIGITS.sub(lambda digits: _multiplied_text(digits[0], percent), value, count=1)
    exact = Decimal(str(value)) * percent / 100
    return int(exact) if isinstance(value, int) and exact == int(exact) else float(exact)


def _multiplied_text(digits: str, percent: int) -> str:
    number = Decimal(digits.replace(",", ""))
    if not number:
        return digits
    decimals = len(digits.partition(".")[2])
    exact = number * percent / 100
    whole, _, rest = f"{exact:{',' if ',' in digits else ''}.{decimals + 2}f}".partition(".")
    rest = rest[:decimals] + rest[decimals:].rstrip("0")
    return f"{whole}.{rest}" if rest else whole


@lru_cache(maxsize=16)
def _read(recorded: Path) -> bytes:
    return recorded.read_bytes()
