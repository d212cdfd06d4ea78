"""Many bodies parsed at once, as long as each is of its feed's usual types. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Final, NamedTuple

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.json

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.rows import Contract, fields_of

# Between JSON's tokens a tab is as good as a line break; within its strings both are errors, and stay so.
_BREAKS_TO_TABS: Final = bytes.maketrans(b"\r\n", b"\t\t")
_FEWEST_TOGETHER: Final = 16
_FIRST: Final = itemgetter(0)
_LAST: Final = itemgetter(-1)
ROWS: Final = "rows"
"""The field in which a body that is a list is parsed."""


class OfHours(NamedTuple):
    """What bodies say of an hour, which several say alike: a row each time it is said otherwise, and whose is which."""

    path: str
    texts: pa.Table
    row_of_body: pl.Series

    def holds(self, path: str) -> bool:
        """Tell whether what stands at a path of the bodies stands here."""
        return path.startswith(f"{self.path}.")


class Parsed(NamedTuple):
    """Parsed bodies, a row each in ``texts``; what they say of an hour stands apart where it could be parted."""

    texts: pa.Table
    of_hours: OfHours | None = None


class Together:
    """Parses the bodies of one feed together: every value is text, every row has its usual fields alone."""

    def __init__(self, contract: Contract) -> None:
        self._is_list = contract.is_list
        # A field that Arrow does not know may be one of the contract's, in another case.
        self._may_skip = not contract.any_case
        self._schema = _schema_of(contract)
        self._hourly = _Hourly.of(contract, self._schema)
        unusual = [
            field.key
            for table in contract.tables
            for field in fields_of(table.row).values()
            if field.key not in table.usual_keys
        ]
        # A row of another shape has all of its fields, so one of them finds it.
        self._unusual = [f'"{key}"'.encode() for key in unusual]

    def parse(self, bodies: Sequence[bytes]) -> list[tuple[Sequence[int], Parsed]]:
        """Return the bodies that could be parsed, by their numbers, in tables; those that could not are left out."""
        unusual = _naming(bodies, self._unusual[:1])
        if max(map(len, bodies), default=0) > MOST_BYTES:
            unusual |= {number for number, body in enumerate(bodies) if len(body) > MOST_BYTES}
        every = range(len(bodies))
        return list(self._parsed([n for n in every if n not in unusual] if unusual else every, bodies))

    def _parsed(self, numbers: Sequence[int], bodies: Sequence[bytes]) -> Iterable[tuple[Sequence[int], Parsed]]:
        """Parse these bodies; where one spoils the whole, halve until it is alone with few."""
        if len(numbers) < _FEWEST_TOGETHER and len(bodies) >= _FEWEST_TOGETHER:
            return
        parsed = self._parse([bodies[number] for number in numbers])
        if parsed is not None:
            yield numbers, parsed
        elif len(numbers) >= _FEWEST_TOGETHER:
            middle = len(numbers) // 2
            yield from self._parsed(numbers[:middle], bodies)
            yield from self._parsed(numbers[middle:], bodies)

    def _parse(self, bodies: list[bytes]) -> Parsed | None:
        """Parse bodies, one a row; None where one is not a single object, or not all is of the usual types.

        Between two objects that no comma parts nothing can be open. So of bodies that begin and end as they must none
        spans two, and as many objects as bodies means one in each.
        """
        begin, end = b"[]" if self._is_list else b"{}"
        if not _all_from(bodies, begin, end):
            bodies = [body.strip(b" \t\r\n") for body in bodies]
            if not _all_from(bodies, begin, end):
                return None
        if self._hourly is not None and (parsed := self._hourly.parse(bodies, self._schema)) is not None:
            return parsed
        around = (f'{{"{ROWS}":'.encode(), b"}") if self._is_list else (b"", b"")
        table = _table(bodies, self._schema, *around)
        if table is None and self._may_skip and not _naming(bodies, self._unusual) and all(map(self._is_plain, bodies)):
            table = _table(bodies, self._schema, *around, unexpected="ignore")
        return None if table is None else Parsed(table)

    def _is_plain(self, body: bytes) -> bool:
        """Tell whether Arrow may skip fields that it does not know: it takes more for JSON there than the contract.

        A name with an escape could be that of a field which it does not know.
        """
        try:
            return b"\\" not in body and isinstance(orjson.loads(body), list if self._is_list else dict)
        except orjson.JSONDecodeError:
            return False


def _all_from(bodies: Sequence[bytes], begin: int, end: int) -> bool:
    return all(bodies) and {*map(_FIRST, bodies)} == {begin} and {*map(_LAST, bodies)} == {end}


def _table(
    texts: Sequence[bytes], schema: pa.Schema, before: bytes, after: bytes, *, unexpected: str = "error"
) -> pa.Table | None:
    """Parse texts as JSON, each between two others; None unless each is one object of the schema."""
    lines = b"".join((before, (after + b" " + before).join(texts), after))
    if b"\n" in lines or b"\r" in lines:
        lines = lines.translate(_BREAKS_TO_TABS)
    try:
        if not lines.isascii():
            lines.decode()  # Arrow does not look
        table = pyarrow.json.read_json(
            pa.BufferReader(lines),
            # In one block, by this thread alone: the other reads files meanwhile.
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior=unexpected
            ),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    return table if table.num_rows == len(texts) else None


@dataclass(frozen=True, slots=True)
class _Hourly:
    """The object in which bodies hold what they say of an hour: its name, what is before it and what ends a body."""

    path: str
    name: bytes
    before: bytes
    after: bytes
    schema: pa.Schema

    @classmethod
    def of(cls, contract: Contract, schema: pa.Schema) -> "_Hourly | None":
        """Return that of a feed; None where it has none, or where its rows speak of the label, too."""
        for table in contract.tables:
            path, _, _ = table.at.rpartition(".")
            if table.hour is None or not path or any(field.agrees for field in fields_of(table.row).values()):
                continue
            *outer, name = path.split(".")
            before = "{" + "".join(f'"{above}":{{' for above in outer)
            after = f'"{name}":null' + "}" * (len(outer) + 1)
            return cls(path, f'"{name}":'.encode(), before.encode(), after.encode(), _alone(schema, path))
        return None

    def parse(self, bodies: Sequence[bytes], schema: pa.Schema) -> Parsed | None:
        """Parse bodies in two parts: what each says without the object, and what they say in it, each time once.

        Of the usual types are both parts where the whole is, and not otherwise: one that ends within a text or in
        another object is no JSON, and neither may name what the other does.
        """
        others: list[bytes] = []
        said: list[bytes] = []
        begins: list[int] = []
        last = b""
        for number, body in enumerate(bodies):
            other = body.removesuffix(last)
            if len(other) == len(body):
                other, name, after = body.partition(self.name)
                if not name:
                    return None
                last = name + after
                said.append(last)
                begins.append(number)
            others.append(other)
        row_of_body = [
            row for row, (begin, end) in enumerate(pairwise([*begins, len(bodies)])) for _ in range(begin, end)
        ]
        texts, of_hours = _table(others, schema, b"", self.after), _table(said, self.schema, self.before, b"")
        if texts is None or of_hours is None:
            return None
        return Parsed(texts, OfHours(self.path, of_hours, pl.Series(row_of_body, dtype=pl.UInt32)))


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


def _alone(schema: pa.Schema, path: str) -> pa.Schema:
    """Return the schema of bodies in which nothing stands but one object, within those around it."""
    first, *inner = path.split(".")
    dtype = schema.field(first).type
    for name in inner:
        dtype = dtype.field(name).type
    for name in reversed(inner):
        dtype = pa.struct([(name, dtype)])
    return pa.schema([(first, dtype)])


def _naming(bodies: Sequence[bytes], names: Sequence[bytes]) -> set[int]:
    """Find the bodies that name one of some fields, in one search of all."""
    found: set[int] = set()
    joined = b"\n".join(bodies) if names else b""
    named = [name for name in names if name in joined]
    if not named:
        return found
    # Where the next body begins.
    ends = [*accumulate(len(body) + 1 for body in bodies)]
    for name in named:
        at = joined.find(name)
        while at >= 0:
            number = bisect_right(ends, at)
            found.add(number)
            at = joined.find(name, ends[number])
    return found
