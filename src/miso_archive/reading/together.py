"""Many bodies parsed at once, as long as each is of its feed's usual types. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.json

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.rows import Contract, fields_of

# Between JSON's tokens a tab is as good as a line break; within its strings both are errors, and stay so.
_BREAKS_TO_TABS: Final = bytes.maketrans(b"\r\n", b"\t\t")
_FEWEST_TOGETHER: Final = 16
ROWS: Final = "rows"
"""The field in which a body that is a list is parsed."""


class Together:
    """Parses the bodies of one feed together: every value is text, every row has its usual fields alone."""

    def __init__(self, contract: Contract) -> None:
        self._is_list = contract.is_list
        # A field that Arrow does not know may be one of the contract's, in another case.
        self._may_skip = not contract.any_case
        self._schema = _schema_of(contract)
        unusual = [
            field.key
            for table in contract.tables
            for field in fields_of(table.row).values()
            if field.key not in table.usual_keys
        ]
        # A row of another shape has all of its fields, so one of them finds it.
        self._unusual = [f'"{key}"'.encode() for key in unusual]

    def parse(self, bodies: Sequence[bytes]) -> list[tuple[list[int], pa.Table]]:
        """Return the bodies that could be parsed, by their numbers, in tables; those that could not are left out."""
        unusual = _naming(bodies, self._unusual[:1])
        numbers = [n for n, body in enumerate(bodies) if n not in unusual and len(body) <= MOST_BYTES]
        return list(self._parsed(numbers, bodies))

    def _parsed(self, numbers: list[int], bodies: Sequence[bytes]) -> Iterable[tuple[list[int], pa.Table]]:
        """Parse these bodies; where one spoils the whole, halve until it is alone with few."""
        if len(numbers) < _FEWEST_TOGETHER and len(bodies) >= _FEWEST_TOGETHER:
            return
        table = self._parse([bodies[number] for number in numbers])
        if table is not None:
            yield numbers, table
        elif len(numbers) >= _FEWEST_TOGETHER:
            middle = len(numbers) // 2
            yield from self._parsed(numbers[:middle], bodies)
            yield from self._parsed(numbers[middle:], bodies)

    def _parse(self, bodies: list[bytes]) -> pa.Table | None:
        """Parse bodies, one a row; None where one is not a single object, or not all is of the usual types."""
        lines = self._lines(bodies)
        if not lines:
            return None
        table = self._table(lines, "error")
        if table is None and self._may_skip and not _naming(bodies, self._unusual) and all(map(self._is_plain, bodies)):
            table = self._table(lines, "ignore")
        return None if table is None or table.num_rows != len(bodies) else table

    def _lines(self, bodies: list[bytes]) -> bytes:
        """Put each body on a line of its own; nothing unless each begins and ends as it must.

        Between two objects that no comma parts nothing can be open. So no object spans two bodies, and as many objects
        as bodies means one in each.
        """
        lines = b"\n".join(bodies)
        if lines.count(b"\n") >= len(bodies) or b"\r" in lines:
            bodies = [body.translate(_BREAKS_TO_TABS).strip() for body in bodies]
            lines = b"\n".join(bodies)
        if {body[:1] + body[-1:] for body in bodies} != {b"[]" if self._is_list else b"{}"}:
            return b""
        if not self._is_list:
            return lines
        begin, end = f'{{"{ROWS}":'.encode(), b"}"
        return b"".join((begin, (end + b"\n" + begin).join(bodies), end))

    def _table(self, lines: bytes, unexpected_field_behavior: str) -> pa.Table | None:
        try:
            if not lines.isascii():
                lines.decode()  # Arrow does not look
            return pyarrow.json.read_json(
                pa.BufferReader(lines),
                # In one block, by this thread alone: the other reads files meanwhile.
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=self._schema,
                    newlines_in_values=False,
                    unexpected_field_behavior=unexpected_field_behavior,
                ),
            )
        except (UnicodeDecodeError, pa.ArrowInvalid):
            return None

    def _is_plain(self, body: bytes) -> bool:
        """Tell whether Arrow may skip fields that it does not know: it takes more for JSON there than the contract.

        A name with an escape could be that of a field which it does not know.
        """
        try:
            return b"\\" not in body and isinstance(orjson.loads(body), list if self._is_list else dict)
        except orjson.JSONDecodeError:
            return False


def _schema_of(contract: Contract) -> pa.Schema:
    rows = {
        table.at: pa.list_(pa.struct([(key, pa.string()) for key in table.usual_keys])) for table in contract.tables
    }
    if contract.is_list:
        return pa.schema([(ROWS, rows[""])])
    objects = contract.objects()

    def type_of(path: str) -> pa.DataType:
        if path in objects:
            return pa.struct([(name, type_of(f"{path}.{name}")) for name in objects[path]])
        return rows.get(path, pa.string())

    return pa.schema([(name, type_of(name)) for name in objects[""]])


def _naming(bodies: Sequence[bytes], names: Sequence[bytes]) -> set[int]:
    """Find the bodies that name one of some fields, in one search of all."""
    found: set[int] = set()
    joined = b"\n".join(bodies) if names else b""
    named = [name for name in names if name in joined]
    if not named:
        return found
    ends = list(accumulate(len(body) + 1 for body in bodies))
    for name in named:
        at = joined.find(name)
        while at >= 0:
            number = bisect_right(ends, at)
            found.add(number)
            at = joined.find(name, ends[number])
    return found
