"""What a feed's rows are made of: one list of fields serves the contract, the frames and the documentation. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, NamedTuple

from miso_archive.contract.findings import RefusalCode, WarningCode
from miso_archive.contract.kinds import Kind, Trouble
from miso_archive.contract.verdict import Snapshot

_PUBLISHED: Final = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One field as a feed publishes it.

    ``key`` is its name in the body, ``kind`` how it is read, ``meaning`` what it says, in ``unit``. ``bad`` is the code
    of a value that is not of the kind, ``empty`` that of one that is empty. A value out of ``known`` was seen or
    documented; any other is warned of with ``unknown``. ``agrees`` tells of what says the interval again whether it
    does. There is no row without what is ``required``. What is not ``kept`` has no column. ``gridstatus`` is what
    gridstatus calls it, where that is not the column's own name in another spelling.
    """

    key: str
    kind: Kind
    meaning: str
    unit: str = ""
    bad: RefusalCode
    empty: RefusalCode
    known: frozenset[str] = frozenset()
    unknown: WarningCode | None = None
    agrees: Callable[[Any, datetime], bool] | None = None
    required: bool = True
    kept: bool = True
    gridstatus: str = ""

    @property
    def only_agrees(self) -> bool:
        """Whether it says the interval again and no more: where it cannot be read, the label speaks for itself."""
        return self.agrees is not None and not self.required

    def code_of(self, trouble: Trouble) -> RefusalCode:
        """Return the code of what is the matter with a value."""
        if trouble is Trouble.NOT_TEXT:
            return RefusalCode.NOT_TEXT
        return self.empty if trouble is Trouble.EMPTY else self.bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a body; each of its fields is made by ``published``. What a row does not carry is None."""


def published(  # noqa: PLR0913 - what there is to say of a field
    key: str,
    kind: Kind,
    meaning: str = "",
    *,
    unit: str = "",
    bad: RefusalCode | None = None,
    empty: RefusalCode | None = None,
    known: frozenset[str] = frozenset(),
    unknown: WarningCode | None = None,
    agrees: Callable[[Any, datetime], bool] | None = None,
    required: bool = True,
    kept: bool = True,
    gridstatus: str = "",
) -> Any:  # noqa: ANN401 - stands where the field's own type is declared
    """Declare a field of a Row: how it is published, and what it means."""
    described = Published(
        key=key,
        kind=kind,
        meaning=meaning,
        unit=unit,
        bad=bad or kind.bad,
        empty=empty or bad or kind.empty,
        known=known,
        unknown=unknown,
        agrees=agrees,
        required=required,
        kept=kept,
        gridstatus=gridstatus,
    )
    metadata = {_PUBLISHED: described}
    return field(metadata=metadata) if required else field(default=None, metadata=metadata)


_FIELDS: Final[dict[type[Row], Mapping[str, Published]]] = {}


def fields_of(row: type[Row]) -> Mapping[str, Published]:
    """Return the fields of a kind of row by the names of its attributes, in order; they are gathered once."""
    if row not in _FIELDS:
        _FIELDS[row] = {found.name: found.metadata[_PUBLISHED] for found in fields(row)}
    return _FIELDS[row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """The row that says that there is nothing to say.

    ``stands_for_nothing`` knows it, ``row`` is what it is read as, ``may_lack`` names the fields it may be without;
    ``beside_rows`` is the warning where it stands beside others. ``is_named`` tells by the field ``named_by`` alone
    whether it may be one, and ``usual`` is what the feed sends.
    """

    stands_for_nothing: Callable[[Mapping[str, Any]], bool]
    named_by: str
    is_named: Callable[[str], bool]
    usual: Mapping[str, tuple[str, ...]]
    row: type[Row]
    may_lack: frozenset[str]
    beside_rows: WarningCode
    beside_message: str


class Made(NamedTuple):
    """A column that no field of the body holds: its name, its type, what it means, and its unit."""

    name: str
    holds: type
    meaning: str
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Columns that are parts of a text: ``parse`` gives a tuple of them."""

    of: str
    parse: Callable[[str], tuple[Any, ...]]
    columns: tuple[Made, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A column that is computed from others, by arithmetic alone: ``compute`` takes numbers and whole columns."""

    of: tuple[str, ...]
    compute: Callable[..., Any]
    column: Made


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a body: under which ``name`` they are known, ``at`` which field their list stands.

    ``at`` is a path, ``Fuel.Type``; empty where the body is the list. ``shapes`` are the sets of fields that a row is
    to have, one or another: the last of which it has a field that the first is without, else the first; what its kind
    of row requires where none is given. A body has no fewer rows than ``fewest``. ``label`` names the attribute by
    which a row says its own interval, up to a market day from the body's, ``hour`` the figure that names the hour of
    the market day, by its end, that all rows are of; where there is neither, rows are of the body's interval. Of an
    interval that several bodies speak of the last one counts: for all rows, or for those of a name where ``named_by``
    says which attribute names a row. ``order`` is that of the columns where it is not that of the fields, with what is
    parsed and computed behind them.
    """

    name: str
    at: str
    row: type[Row]
    shapes: tuple[tuple[str, ...], ...] = ()
    not_a_list: RefusalCode = RefusalCode.NOT_A_LIST
    fewest: int = 0
    label: str | None = None
    hour: str | None = None
    named_by: str | None = None
    parsed: tuple[Parsed, ...] = ()
    computed: tuple[Computed, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def usual_keys(self) -> tuple[str, ...]:
        """The fields of a row as the feed sends it: those of its first shape."""
        return self.shapes[0] if self.shapes else tuple(field.key for field in fields_of(self.row).values())

    def required_of(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that this row is to have."""
        if not self.shapes:
            return tuple(field.key for field in fields_of(self.row).values() if field.required)
        first = self.shapes[0]
        for shape in reversed(self.shapes[1:]):
            if (frozenset(shape) - frozenset(first)) & row.keys():
                return shape
        return first


class Doubt(NamedTuple):
    """What is worth a warning in a body that is accepted: the code, where, and a sentence."""

    code: WarningCode
    where: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLabel:
    """A body without a label of its own: its interval ends at the ``time`` of the one row with this ``name``."""

    table: str
    named_by: str
    name: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLabel:
    """A body without a label of its own, which is a page of the market day of its rows.

    Rows are those of the ``table``; all are of one node where ``node`` says which attribute names it. ``named_by`` are
    the attributes that tell rows of one interval apart.
    """

    table: str
    named_by: tuple[str, ...]
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a feed's bodies are to be.

    ``label`` is the path of the RefId, the row that says the interval, or how a page says its market day. ``figures``
    are the fields of the body itself, their keys paths. ``quiet`` is the row that says that there is nothing;
    ``any_case`` takes every key in whatever case it is spelled. ``checks`` find what is worth a warning in a body that
    is accepted.
    """

    label: str | RowLabel | PageLabel
    tables: tuple[Table, ...]
    figures: type[Row] | None = None
    quiet: Placeholder | None = None
    any_case: bool = False
    checks: tuple[Callable[[Snapshot], Iterable[Doubt]], ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether a body is a list, not an object."""
        return not self.tables[0].at

    def objects(self) -> dict[str, list[str]]:
        """Return the objects of a body by their paths, the outer before the inner, each with the fields it has."""
        found: dict[str, list[str]] = {"": []}
        paths = [self.label] if isinstance(self.label, str) else []
        paths += [field.key for field in fields_of(self.figures).values()] if self.figures else []
        paths += [table.at for table in self.tables]
        for path in paths:
            above = ""
            for name in path.split("."):
                if name not in found.setdefault(above, []):
                    found[above].append(name)
                above = f"{above}.{name}" if above else name
        return found
