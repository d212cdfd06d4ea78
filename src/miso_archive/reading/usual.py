"""Bodies in which all is as the feed sends it: from parsed texts to what the contract makes of them. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from miso_archive.contract.kinds import Kind
from miso_archive.contract.rows import Contract, Placeholder, Published, RowLabel, Table, fields_of
from miso_archive.feeds.columns import TIME, TYPES, figure_columns, value_columns
from miso_archive.reading.texts import Labels, Read, read_again, read_texts
from miso_archive.reading.together import ROWS

OWN_LABEL: Final = "own_label"
"""The column of the interval that a row names for itself, before it is that of the row."""


class Part(NamedTuple):
    """What some bodies hold: a row each in ``bodies``, and the rows of their tables, each by the number of its body."""

    bodies: pl.DataFrame
    rows: Mapping[str, pl.DataFrame]


def bodies_schema(contract: Contract) -> pl.Schema:
    """Return the columns of ``Part.bodies``: the number of each, its label as published, and its figures."""
    figures = {column.name: column.dtype for column in figure_columns(contract)}
    return pl.Schema({"body": pl.UInt32(), "ref_id": pl.String(), **figures})


def rows_schema(table: Table) -> pl.Schema:
    """Return the columns of a table in ``Part.rows``."""
    types = {column.name: column.dtype for column in value_columns(table)}
    return pl.Schema({"body": pl.UInt32(), **{name: types[name] for name in kept_fields(table)}, OWN_LABEL: TIME})


def kept_fields(table: Table) -> list[str]:
    """Return the attributes of a table's rows that have a column."""
    return [name for name, field in fields_of(table.row).items() if field.kept]


class Usual:
    """Reads the bodies of one feed in which all is as the feed sends it, and leaves the others out."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._schema = bodies_schema(contract)

    def read(self, numbers: list[int], parsed: pa.Table, ends: pl.Series) -> Part:
        """Read parsed bodies by their numbers among ``ends``, the labels of all."""
        labels = Labels(ends.gather(numbers))
        ref_id, is_usual = self._read_label(parsed, labels)
        columns = {"body": pl.Series(numbers, dtype=pl.UInt32), "ref_id": ref_id}
        for name, field in (fields_of(self._contract.figures) if self._contract.figures else {}).items():
            figure = _read_field(field, _texts(parsed, field.key), labels, may_lack=not field.required)
            is_usual &= figure.is_right
            columns[name] = figure.values
        rows: dict[str, pl.DataFrame] = {}
        for table in self._contract.tables:
            listed = _at(parsed, table.at or ROWS)
            is_usual &= (_series(pc.list_value_length(listed)) >= table.fewest).fill_null(value=False)
            rows[table.name], odd = _read_rows(table, listed, labels, self._contract.quiet)
            if len(odd):
                is_usual = is_usual.scatter(odd, False)  # noqa: FBT003 - a value
        if isinstance(self._contract.label, RowLabel):
            is_usual &= _has_label(rows[self._contract.label.table], self._contract.label, labels.ends)
        bodies = pl.DataFrame({name: columns[name] for name in self._schema}).cast(self._schema)
        return _only(Part(bodies, rows), is_usual)

    def _read_label(self, parsed: pa.Table, labels: Labels) -> tuple[pl.Series, pl.Series]:
        """Return the labels as published, and in which bodies they are those of the keys."""
        if isinstance(self._contract.label, str):
            expected = labels.ref_ids()
            return expected, (_texts(parsed, self._contract.label) == expected).fill_null(value=False)
        spelled = labels.ends.dt.strftime("%Y-%m-%d %H:%M EST")
        return spelled, pl.repeat(value=True, n=len(spelled), eager=True)


class _OfRows(Labels):
    """The labels of rows: those of their bodies, spelled once a body."""

    def __init__(self, labels: Labels, body: pl.Series) -> None:
        super().__init__(labels.ends.gather(body))
        self._labels = labels
        self._body = body

    def spelled(self, kind: Kind) -> pl.Series | None:
        spelled = self._labels.spelled(kind)
        return None if spelled is None else spelled.gather(self._body)


def _only(part: Part, is_usual: pl.Series) -> Part:
    """Leave out the bodies that are not usual, and number rows as their bodies are numbered."""
    numbers = part.bodies["body"]
    rows = part.rows
    if not is_usual.all():
        rows = {name: found.filter(is_usual.gather(found["body"])) for name, found in rows.items()}
    numbered = {name: found.with_columns(body=numbers.gather(found["body"])) for name, found in rows.items()}
    return Part(part.bodies.filter(is_usual), numbered)


def _has_label(rows: pl.DataFrame, label: RowLabel, ends: pl.Series) -> pl.Series:
    """Tell which bodies have one row that names their interval, and it is the key's."""
    named = rows.filter(pl.col(label.named_by) == label.name).group_by("body")
    said = named.agg(end=pl.col(label.time).first(), several=pl.len())
    all_bodies = pl.DataFrame({"body": pl.arange(0, len(ends), eager=True, dtype=pl.UInt32)})
    found = all_bodies.join(said, on="body", how="left", maintain_order="left")
    return ((found["end"] == ends) & (found["several"] == 1)).fill_null(value=False)


def _read_rows(
    table: Table, listed: pa.Array, labels: Labels, quiet: Placeholder | None
) -> tuple[pl.DataFrame, pl.Series]:
    """Return the rows of some bodies, and in which bodies one is not as the feed sends it."""
    structs = pc.list_flatten(listed)
    body = _series(pc.list_parent_indices(listed)).cast(pl.UInt32)
    of_rows = _OfRows(labels, body)
    is_right = _series(structs.is_valid())
    texts = {key: _series(structs.field(number)) for number, key in enumerate(table.usual_keys)}
    nothing = None if quiet is None else _nothing(texts, quiet)
    if nothing is not None:
        is_right &= nothing.is_right
    required = table.required_of({})
    columns: dict[str, pl.Series] = {"body": body}
    own = pl.Series([None], dtype=TIME).new_from_index(0, len(body))
    for name, field in fields_of(table.row).items():
        if field.key not in texts:
            columns[name] = pl.Series([None], dtype=TYPES[field.kind.holds]).new_from_index(0, len(body))
            continue
        found = _read_field(field, texts[field.key], of_rows, may_lack=field.key not in required)
        is_usual = found.is_right
        if quiet is not None and nothing is not None and not field.agrees:
            # A placeholder says no more than a time; what it is to have else may say anything, but stands there.
            stands = nothing.values if field.key in quiet.may_lack else nothing.values & texts[field.key].is_not_null()
            is_usual = is_usual | stands
        is_right &= is_usual
        own = found.values if name == table.label else own
        columns[name] = found.values
    frame = pl.DataFrame({name: columns[name] for name in ("body", *kept_fields(table))} | {OWN_LABEL: own})
    return frame if nothing is None else frame.filter(~nothing.values), body.filter(~is_right).unique()


def _nothing(texts: Mapping[str, pl.Series], quiet: Placeholder) -> Read | None:
    """Tell which rows say that there is nothing as the feed says it, and which do not say so otherwise."""
    names = texts[quiet.named_by]
    named = [name for name in names.unique().drop_nulls() if quiet.is_named(name)]
    if not named:
        return None
    is_named = names.is_in(named).fill_null(value=False)
    is_usual = is_named
    for key, spellings in quiet.usual.items():
        is_usual = is_usual & texts[key].is_in(list(spellings)).fill_null(value=False)
    return Read(is_usual | ~is_named, is_usual)


def _read_field(field: Published, texts: pl.Series, labels: Labels, *, may_lack: bool) -> Read:
    # The label may stand for a value that is a time, or that nobody keeps; never for a day or an hour.
    is_label = field.agrees is not None and (field.kind.holds is datetime or not field.kept)
    expected = labels.spelled(field.kind) if is_label else None
    found = read_texts(field.kind, texts) if expected is None else read_again(field.kind, texts, expected, labels.ends)
    # Null stands for what is absent too: only where both say the same is either taken.
    is_absent = may_lack and field.kind.is_optional and texts.null_count() > 0
    return Read(found.is_right | texts.is_null(), found.values) if is_absent else found


def _at(parsed: pa.Table, path: str) -> pa.Array:
    first, *others = path.split(".")
    column = parsed.column(first)
    # One chunk is copied, too, when combined.
    found = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    for name in others:
        found = pc.struct_field(found, name)
    return found


def _texts(parsed: pa.Table, path: str) -> pl.Series:
    return _series(_at(parsed, path))


def _series(array: pa.Array) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)  # noqa: S101 - an array makes a series
    return series
