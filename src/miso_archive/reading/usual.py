"""Bodies in which all is as the feed sends it: from parsed texts to what the contract makes of them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from miso_archive.contract.kinds import Kind
from miso_archive.contract.rows import Contract, Placeholder, Published, RowLabel, Table, fields_of
from miso_archive.feeds.columns import TIME, TYPES, figure_columns, value_columns
from miso_archive.reading.texts import CAST, Labels, Read, of_all, plain_numbers, read_again, read_texts, told
from miso_archive.reading.together import ROWS, Parsed

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

    def read(self, numbers: pl.Series, parsed: Parsed, ends: pl.Series) -> Part:
        """Read parsed bodies by their numbers among ``ends``, the labels of all."""
        labels = Labels(ends[numbers])
        ref_id, is_usual = self._read_label(parsed, labels)
        columns = {"body": numbers, "ref_id": ref_id}
        for name, field in (fields_of(self._contract.figures) if self._contract.figures else {}).items():
            figure = _read_field(field, _texts(parsed, field.key), labels, may_lack=not field.required)
            is_usual &= figure.is_right
            columns[name] = figure.values
        rows: dict[str, pl.DataFrame] = {}
        for table in self._contract.tables:
            rows[table.name], is_right = self._read_table(table, parsed, labels)
            is_usual &= is_right
        if isinstance(self._contract.label, RowLabel):
            is_usual &= _has_label(rows[self._contract.label.table], self._contract.label, labels.ends)
        bodies = pl.DataFrame([columns[name].cast(dtype).alias(name) for name, dtype in self._schema.items()])
        return _only(Part(bodies, rows), is_usual)

    def _read_table(self, table: Table, parsed: Parsed, labels: Labels) -> tuple[pl.DataFrame, pl.Series]:
        """Return the rows of a table by their bodies, and which bodies have them as the feed sends them."""
        quiet, of_hours = self._contract.quiet, parsed.of_hours
        if of_hours is None or not of_hours.holds(table.at):
            return _read_rows(table, _at(parsed.texts, table.at or ROWS), labels, quiet)
        row_of_body = of_hours.row_of_body
        first_labels = Labels(labels.ends[row_of_body.arg_unique()])
        rows, is_right = _read_rows(table, _at(of_hours.texts, table.at), first_labels, quiet)
        return _for_each(row_of_body, rows), is_right[row_of_body]

    def _read_label(self, parsed: Parsed, labels: Labels) -> tuple[pl.Series, pl.Series]:
        """Return the labels as published, and in which bodies they are those of the keys."""
        if isinstance(self._contract.label, str):
            expected = labels.ref_ids()
            return expected, told(_texts(parsed, self._contract.label) == expected)
        spelled = labels.ends.dt.strftime("%Y-%m-%d %H:%M EST")
        return spelled, of_all(True, len(spelled), pl.Boolean())  # noqa: FBT003 - a value


class _OfRows(Labels):
    """The labels of rows: those of their bodies, spelled once a body."""

    def __init__(self, labels: Labels, body: pl.Series) -> None:
        super().__init__(labels.ends[body])
        self._labels = labels
        self._body = body

    def spelled(self, kind: Kind) -> pl.Series | None:
        spelled = self._labels.spelled(kind)
        return None if spelled is None else spelled[self._body]


def _only(part: Part, is_usual: pl.Series) -> Part:
    """Leave out the bodies that are not usual, and number rows as their bodies are numbered."""
    bodies, rows = part
    numbers = bodies["body"]
    if not is_usual.all():
        bodies = bodies.filter(is_usual)
        rows = {name: found.filter(is_usual[found["body"]]) for name, found in rows.items()}
    return Part(bodies, {name: found.with_columns(body=numbers[found["body"]]) for name, found in rows.items()})


def _for_each(row_of_body: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """Give each body the rows of what it says."""
    said = rows.lazy().select("body").with_row_index("at")
    each = (
        row_of_body.to_frame("body").lazy().with_row_index("number").join(said, on="body", maintain_order="left_right")
    )
    found = each.select(pl.col("number", "at").cast(pl.UInt32)).collect()
    return rows[found["at"]].with_columns(body=found["number"])


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
    """Return the rows of some bodies, and which bodies have them as the feed sends them."""
    is_usual = told(_series(pc.list_value_length(listed)) >= table.fewest)
    structs = pc.list_flatten(listed)
    body = _series(pc.list_parent_indices(listed)).cast(pl.UInt32)
    texts = _frame(structs)
    odd = [body.filter(~_series(structs.is_valid()))] if structs.null_count else []
    if quiet is not None:
        names = texts[quiet.named_by]
        is_named = _is_one_of(names, [name for name in names.unique() if name is not None and quiet.is_named(name)])
        if is_named.any():
            odd.append(_unusual_placeholders(table, texts.filter(is_named), body.filter(is_named), labels, quiet))
            texts, body = texts.filter(~is_named), body.filter(~is_named)
    of_rows = _OfRows(labels, body)
    required = table.required_of({})
    fields = fields_of(table.row)
    numbers = [field.key for field in fields.values() if field.kind in CAST and field.key in texts]
    plain = plain_numbers(texts, numbers)
    columns: dict[str, pl.Series] = {"body": body}
    own = of_all(None, len(body), TIME)
    for name, field in fields.items():
        if field.key in plain:
            columns[name] = plain[field.key]
            continue
        if field.key not in texts:
            columns[name] = of_all(None, len(body), TYPES[field.kind.holds])
            continue
        found = _read_field(field, texts[field.key], of_rows, may_lack=field.key not in required)
        if not found.is_right.all():
            odd.append(body.filter(~found.is_right))
        own = found.values if name == table.label else own
        columns[name] = found.values
    frame = pl.DataFrame({name: columns[name] for name in ("body", *kept_fields(table))} | {OWN_LABEL: own})
    return frame, is_usual.scatter(pl.concat(odd), False) if odd else is_usual  # noqa: FBT003 - a value


def _unusual_placeholders(
    table: Table, texts: pl.DataFrame, body: pl.Series, labels: Labels, quiet: Placeholder
) -> pl.Series:
    """Return the bodies of the rows that are named as a placeholder is, and not spelled as the feed spells one.

    It says no more than a time; what it is to have else may say anything, but stands there.
    """
    of_rows = _OfRows(labels, body)
    odd = [body.filter(~_is_one_of(texts[key], spellings)) for key, spellings in quiet.usual.items()]
    required = table.required_of({})
    for field in fields_of(table.row).values():
        if field.key not in texts:
            continue
        found = texts[field.key]
        may_lack = field.key not in required
        if field.agrees:
            odd.append(body.filter(~_read_field(field, found, of_rows, may_lack=may_lack).is_right))
        elif found.null_count() and field.key not in quiet.may_lack and not (may_lack and field.kind.is_optional):
            odd.append(body.filter(found.is_null()))
    return pl.concat(odd)


def _is_one_of(texts: pl.Series, spellings: Sequence[str]) -> pl.Series:
    """Tell which texts are one of a few; null is none."""
    if not spellings:
        return of_all(False, len(texts), pl.Boolean())  # noqa: FBT003 - a value
    return told(reduce(or_, (texts == spelling for spelling in spellings)))


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


def _texts(parsed: Parsed, path: str) -> pl.Series:
    of_hours = parsed.of_hours
    if of_hours is not None and of_hours.holds(path):
        return _series(_at(of_hours.texts, path))[of_hours.row_of_body]
    return _series(_at(parsed.texts, path))


def _frame(structs: pa.StructArray) -> pl.DataFrame:
    """Return the fields of structs as columns; of one that is null all are."""
    frame = pl.from_arrow(pa.RecordBatch.from_struct_array(structs))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a batch makes a frame
    return frame


def _series(array: pa.Array) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)  # noqa: S101 - an array makes a series
    return series
