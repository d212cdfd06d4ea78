"""Archived bodies to typed frames, many at once. Pure.

The contract is the one authority on what a body means. Bodies in the feed's usual shape are parsed together, and every
row is held against what the contract takes without ado; a body with anything else in it goes through the contract.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from miso_archive.contract.kinds import Kind
from miso_archive.contract.rows import Placeholder, Published, RowLabel, Table, fields_of
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.columns import (
    INTERVAL_START,
    LIVE,
    MARKET_DAY,
    OBJECTS,
    SNAPSHOTS_TABLE,
    TIME,
    TYPES,
    schema_of,
    value_columns,
)
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import market_day
from miso_archive.reading.together import ROWS, Together, usual_keys
from miso_archive.reading.usual import REF_ID, Labels, Read, read_again, read_each, read_numbers
from miso_archive.store.unreadable import Unreadable
from miso_archive.text import shown

_OWN_LABEL: Final = "own_label"


class Decoded(NamedTuple):
    """What bodies hold: the frames of a feed in the order of the objects, and what could not be read."""

    frames: Mapping[str, pl.DataFrame]
    skipped: list[Unreadable]


class Decoder:
    """Decodes the bodies of one feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._contract = feed.contract
        self._together = Together(feed.contract)
        figures = fields_of(feed.contract.figures) if feed.contract.figures else {}
        self._figures = {name: field for name, field in figures.items() if field.kept}
        self._read = pl.Schema(
            {"body": pl.UInt32(), "ref_id": pl.String()}
            | {name: TYPES[field.kind.holds] for name, field in self._figures.items()}
        )
        self._rows = {table.name: _rows_schema(table) for table in feed.contract.tables}

    def decode(self, objects: pl.DataFrame, bodies: Sequence[bytes]) -> Decoded:
        """Decode bodies, one a row of ``objects`` (columns as in OBJECTS), sorted by interval and revision.

        All bodies of an interval belong into one call: the last that can be read is its latest.
        """
        parts = [self._usual(numbers, table, objects) for numbers, table in self._together.parse(bodies)]
        read = pl.concat([self._read.to_frame(), *(part[0] for part in parts)])
        rows = {
            name: pl.concat([schema.to_frame(), *(part[1][name] for part in parts)])
            for name, schema in self._rows.items()
        }
        skipped: list[Unreadable] = []
        if len(read) < len(bodies):
            odd = sorted(set(range(len(bodies))) - set(read["body"]))
            odd_read, odd_rows, skipped = self._by_contract(odd, objects, bodies)
            read = pl.concat([read, odd_read]).sort("body")
            rows = {
                name: pl.concat([frame, odd_rows[name]]).sort("body", maintain_order=True)
                for name, frame in rows.items()
            }
        return Decoded(self._frames(read, rows, objects), skipped)

    def _usual(
        self, numbers: list[int], parsed: pa.Table, objects: pl.DataFrame
    ) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
        """Return the bodies in which all is as the feed sends it, and their rows."""
        labels = Labels(objects["interval_end"].gather(numbers))
        is_usual = pl.repeat(value=True, n=len(numbers), eager=True)
        label = self._contract.label
        if isinstance(label, str):
            ref_id = labels.spelled(REF_ID)
            assert ref_id is not None  # noqa: S101 - it is spelled
            is_usual &= (_texts(_at(parsed, label)) == ref_id).fill_null(value=False)
        else:
            ref_id = labels.ends.dt.strftime("%Y-%m-%d %H:%M EST")
        figures: dict[str, pl.Series] = {}
        for name, field in (fields_of(self._contract.figures) if self._contract.figures else {}).items():
            found = _read_field(field, _texts(_at(parsed, field.key)), labels, may_lack=not field.required)
            is_usual &= found.is_right
            figures[name] = found.values
        tables = {}
        for table in self._contract.tables:
            listed = _at(parsed, table.at or ROWS)
            lengths = _series(pc.list_value_length(listed))
            is_usual &= (lengths >= table.fewest).fill_null(value=False)
            rows, odd = _usual_rows(table, listed, labels, self._contract.quiet)
            if isinstance(label, RowLabel) and label.table == table.name:
                named = (
                    rows.filter(pl.col(label.named_by) == label.name)
                    .group_by("body")
                    .agg(ends=pl.col(label.time).first(), several=pl.len())
                )
                said = pl.DataFrame({"body": pl.arange(0, len(numbers), eager=True, dtype=pl.UInt32)}).join(
                    named, on="body", how="left", maintain_order="left"
                )
                is_usual &= ((said["ends"] == labels.ends) & (said["several"] == 1)).fill_null(value=False)
            if len(odd):
                is_usual = is_usual.scatter(odd, False)  # noqa: FBT003 - a value
            tables[table.name] = rows
        body = pl.Series("body", numbers, pl.UInt32)
        read = pl.DataFrame({"body": body, "ref_id": ref_id, **{name: figures[name] for name in self._figures}})
        if not is_usual.all():
            read = read.filter(is_usual)
            tables = {name: rows.filter(is_usual.gather(rows["body"])) for name, rows in tables.items()}
        return read.cast(self._read), {
            name: rows.with_columns(body=body.gather(rows["body"])) for name, rows in tables.items()
        }

    def _by_contract(
        self, numbers: list[int], objects: pl.DataFrame, bodies: Sequence[bytes]
    ) -> tuple[pl.DataFrame, dict[str, pl.DataFrame], list[Unreadable]]:
        keys, labels = objects["object_key"], objects["interval_end"]
        read: list[tuple[Any, ...]] = []
        rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in self._contract.tables}
        skipped: list[Unreadable] = []
        for number in numbers:
            snapshot = self._snapshot(bodies[number], labels[number])
            if isinstance(snapshot, str):
                skipped.append(Unreadable(keys[number], market_day(labels[number]), snapshot))
                continue
            read.append((number, snapshot.ref_id, *(getattr(snapshot.figures, name) for name in self._figures)))
            for table in self._contract.tables:
                names = _kept(table)
                rows[table.name] += [
                    (number, *(getattr(row, name) for name in names), getattr(row, table.label or "", None))
                    for row in snapshot.tables[table.name]
                ]
        frames = {name: pl.DataFrame(rows[name], schema, orient="row") for name, schema in self._rows.items()}
        return pl.DataFrame(read, self._read, orient="row"), frames, skipped

    def _snapshot(self, body: bytes, label: datetime) -> Snapshot | str:
        """Return what the contract makes of a body, or why it is not the snapshot its key names."""
        verdict = self._feed.examine(body)
        if verdict.snapshot is None:
            reason = verdict.reasons[0]
            return f"{reason.code.value}: {reason.where} {reason.message}"
        if verdict.snapshot.interval_end != label:
            return f"its RefId {shown(verdict.snapshot.ref_id)} names another interval than its key"
        return verdict.snapshot

    def _frames(
        self, read: pl.DataFrame, rows: Mapping[str, pl.DataFrame], objects: pl.DataFrame
    ) -> dict[str, pl.DataFrame]:
        """Return the frames of what was read, each in its own columns."""
        found = objects.select(list(OBJECTS))
        snapshots = read.hstack(found if len(read) == len(objects) else found[read["body"]]).with_columns(
            MARKET_DAY,
            INTERVAL_START,
            is_latest=pl.col("revision") == pl.col("revision").max().over("interval_end"),
            source=pl.lit(LIVE),
        )
        # Where each body stands among those that were read.
        place = pl.repeat(0, n=len(objects), eager=True, dtype=pl.UInt32).scatter(
            read["body"], pl.arange(0, len(read), eager=True, dtype=pl.UInt32)
        )
        frames: dict[str, pl.DataFrame] = {}
        shared = snapshots.drop("body", *self._figures)
        for table in self._contract.tables:
            frame = rows[table.name]
            at = place.gather(frame["body"])
            lengths = at.value_counts() if len(at) else pl.DataFrame({"": [], "count": []})
            counts = pl.repeat(0, n=len(read), eager=True, dtype=pl.Int32)
            if len(at):
                counts = counts.scatter(lengths.to_series(0), lengths["count"].cast(pl.Int32))
            snapshots = snapshots.with_columns(counts.alias(table.name))
            whole = frame.hstack(shared[at])
            if table.label is not None and frame[_OWN_LABEL].null_count() < len(frame):
                whole = whole.with_columns(interval_end=pl.coalesce(_OWN_LABEL, "interval_end")).with_columns(
                    MARKET_DAY, INTERVAL_START
                )
            frames[table.name] = _with_made(table, whole).select(list(schema_of(self._feed, table.name)))
        snapshots = snapshots.with_columns(quiet=pl.col(self._contract.tables[0].name) == 0)
        frames[SNAPSHOTS_TABLE] = snapshots.select(list(schema_of(self._feed, SNAPSHOTS_TABLE)))
        return frames


def _rows_schema(table: Table) -> pl.Schema:
    types = {column.name: column.dtype for column in value_columns(table)}
    return pl.Schema({"body": pl.UInt32(), **{name: types[name] for name in _kept(table)}, _OWN_LABEL: TIME})


def _kept(table: Table) -> list[str]:
    return [name for name, field in fields_of(table.row).items() if field.kept]


def _usual_rows(
    table: Table, listed: pa.Array, labels: Labels, quiet: Placeholder | None
) -> tuple[pl.DataFrame, pl.Series]:
    """Return the rows of some bodies, and in which bodies one is not as the feed sends it."""
    rows = pc.list_flatten(listed)
    body = _series(pc.list_parent_indices(listed)).cast(pl.UInt32)
    is_right = _series(rows.is_valid())
    usual = usual_keys(table)
    texts = {key: _texts(rows.field(number)) for number, key in enumerate(usual)}
    nothing: pl.Series | None = None
    if quiet is not None:
        names = texts[quiet.named_by]
        named = [name for name in names.unique().drop_nulls() if quiet.is_named(name)]
        is_named = names.is_in(named).fill_null(value=False)
        if is_named.any():
            nothing = is_named
            for key, spellings in quiet.usual.items():
                nothing = nothing & texts[key].is_in(list(spellings)).fill_null(value=False)
            is_right &= nothing | ~is_named
    required = table.required_of({})
    values: dict[str, pl.Series] = {"body": body}
    own = pl.Series([None], dtype=TIME).new_from_index(0, len(body))
    of_rows = _Rows(labels, body)
    for name, field in fields_of(table.row).items():
        if field.key not in texts:
            values[name] = pl.Series([None], dtype=TYPES[field.kind.holds]).new_from_index(0, len(body))
            continue
        found = _read_field(field, texts[field.key], of_rows, may_lack=field.key not in required)
        is_right &= found.is_right if nothing is None or field.agrees else found.is_right | nothing
        if name == table.label:
            own = found.values
        values[name] = found.values
    odd = body.filter(~is_right).unique()
    frame = pl.DataFrame({name: values[name] for name in ("body", *_kept(table))} | {_OWN_LABEL: own})
    return (frame if nothing is None else frame.filter(~nothing)), odd


class _Rows(Labels):
    """The labels of rows: those of their bodies."""

    def __init__(self, labels: Labels, body: pl.Series) -> None:
        super().__init__(labels.ends.gather(body))
        self._labels = labels
        self._body = body

    def spelled(self, kind: Kind) -> pl.Series | None:
        spelled = self._labels.spelled(kind)
        return None if spelled is None else spelled.gather(self._body)


def _read_field(field: Published, texts: pl.Series, labels: Labels, *, may_lack: bool) -> Read:
    expected = labels.spelled(field.kind) if field.agrees else None
    if expected is not None:
        found = read_again(field.kind, texts, expected, labels.ends)
    elif field.kind.holds is float:
        found = read_numbers(field.kind, texts)
    else:
        found = read_each(field.kind, texts, TYPES.get(field.kind.holds, pl.Null()))
    if may_lack and field.kind.is_optional:
        return Read(found.is_right | texts.is_null(), found.values)
    return found


def _with_made(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Add the columns that are parsed or computed from others."""
    for parsed in table.parsed:
        # Few names, which recur for years.
        known = [(text, *map(_listed, parsed.parse(text))) for text in frame[parsed.of].unique()]
        schema = {parsed.of: pl.String(), **{column.name: TYPES[column.holds] for column in parsed.columns}}
        parts = pl.DataFrame(known, schema, orient="row")
        frame = frame.join(parts, on=parsed.of, how="left", maintain_order="left")
    for computed in table.computed:
        made = computed.compute(*(pl.col(name) for name in computed.of))
        frame = frame.with_columns(made.round(6).alias(computed.column.name))
    return frame


def _listed(part: object) -> object:
    return list(part) if isinstance(part, tuple) else part


def _at(parsed: pa.Table, path: str) -> pa.Array:
    first, *others = path.split(".")
    found = parsed.column(first).combine_chunks()
    for name in others:
        found = pc.struct_field(found, name)
    return found


def _texts(array: pa.Array) -> pl.Series:
    return _series(array)


def _series(array: pa.Array) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)  # noqa: S101 - an array makes a series
    return series
