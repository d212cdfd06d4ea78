"""Archived bodies to typed frames, many at once. Pure.

The contract is the one authority on what a body means. Bodies in the live feed's shape are parsed together, and every
row is held against what the contract takes without ado; a body with anything else in it goes through the contract.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, Final, NamedTuple

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.json

from miso_archive.contract.examine import (
    DOCUMENTED_FIELDS,
    LIVE_FIELDS,
    MOST_BYTES,
    PLACEHOLDER_NAMES,
    BindingConstraint,
    Snapshot,
    examine,
)
from miso_archive.feeds.columns import CONSTRAINTS, INTERVAL_START, LIVE, MARKET_DAY, OBJECTS, SNAPSHOTS
from miso_archive.feeds.constraint_name import ConstraintName, parse_constraint_name
from miso_archive.intervals.market_days import market_day
from miso_archive.store.unreadable import Unreadable
from miso_archive.text import shown

_FROM_CONTRACT: Final = tuple(name for name in BindingConstraint.model_fields if name not in {"name", "period"})
_DOCUMENTED: Final = tuple(name for name in _FROM_CONTRACT if name not in {"description", "shadow_price"})
_ROW_COLUMNS: Final = ("constraint_name", *_FROM_CONTRACT)
_ROWS: Final = pl.Schema([("body", pl.UInt32()), *((name, CONSTRAINTS[name]) for name in _ROW_COLUMNS)])
_READ: Final = pl.Schema({"body": pl.UInt32, "ref_id": pl.String})
_PARTS: Final = ["element", "flow_direction", "terms", "zone"]
_NAMES: Final = pl.Schema(
    [
        ("Name", pl.String()),
        ("names_constraint", pl.Boolean()),
        ("names_nothing", pl.Boolean()),
        *((name, CONSTRAINTS[name]) for name in _PARTS),
    ]
)
_USUAL_PLACEHOLDERS: Final = frozenset({"None", "None - None"})
_CLOCK: Final = pl.Series("clock", [f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60)])
_LIVE_ARROW: Final = pa.schema(
    [("RefId", pa.string()), ("Constraint", pa.list_(pa.struct([(name, pa.string()) for name in LIVE_FIELDS])))]
)
_ONLY_DOCUMENTED: Final = tuple(f'"{name}"'.encode() for name in DOCUMENTED_FIELDS if name not in LIVE_FIELDS)
# Between JSON's tokens a tab is as good as a line break; within its strings both are errors, and stay so.
_BREAKS_TO_TABS: Final = bytes.maketrans(b"\r\n", b"\t\t")
_FEWEST_TOGETHER: Final = 16


class Decoded(NamedTuple):
    """What bodies hold: both frames in the order of the objects, and what could not be read."""

    constraints: pl.DataFrame
    snapshots: pl.DataFrame
    skipped: list[Unreadable]


def decode(objects: pl.DataFrame, bodies: Sequence[bytes]) -> Decoded:
    """Decode bodies, one a row of ``objects`` (columns as in OBJECTS), sorted by interval and revision.

    All bodies of an interval belong into one call: the last that can be read is its latest.
    """
    read, rows = _usual(_parsed_together(bodies), objects)
    skipped: list[Unreadable] = []
    if len(read) < len(bodies):
        odd = sorted(set(range(len(bodies))) - set(read["body"]))
        odd_read, odd_rows, skipped = _by_contract(odd, objects, bodies)
        read = pl.concat([read, odd_read]).sort("body")
        rows = pl.concat([rows, odd_rows]).sort("body", maintain_order=True)
    snapshots = _snapshots(read, rows, objects)
    constraints = rows.join(snapshots.drop("constraints", "quiet"), on="body", how="left", maintain_order="left")
    return Decoded(constraints.select(list(CONSTRAINTS)), snapshots.select(list(SNAPSHOTS)), skipped)


def _parsed_together(bodies: Sequence[bytes]) -> pl.DataFrame:
    """Parse what is in the live feed's shape; bodies that are not are left out."""
    # A documented row has all of its fields, so one of them finds it.
    documented = _naming(bodies, _ONLY_DOCUMENTED[:1])
    numbers = [n for n, body in enumerate(bodies) if n not in documented and len(body) <= MOST_BYTES]
    parsed = _parsed(numbers, bodies)
    empty = pl.DataFrame(schema=_READ | {"Constraint": pl.List(pl.Struct(dict.fromkeys(LIVE_FIELDS, pl.String)))})
    return pl.concat([empty, *parsed])


def _naming(bodies: Sequence[bytes], fields: Sequence[bytes]) -> set[int]:
    """Find the bodies that name one of some fields, in one search of all."""
    ends = list(accumulate(len(body) + 1 for body in bodies))
    joined = b"\n".join(bodies)
    found: set[int] = set()
    for name in fields:
        at = joined.find(name)
        while at >= 0:
            number = bisect_right(ends, at)
            found.add(number)
            at = joined.find(name, ends[number])
    return found


def _parsed(numbers: list[int], bodies: Sequence[bytes]) -> list[pl.DataFrame]:
    """Parse these bodies; where one spoils the whole, halve until it is alone with few."""
    if len(numbers) < _FEWEST_TOGETHER and len(bodies) >= _FEWEST_TOGETHER:
        return []
    frame = _parse([bodies[number] for number in numbers])
    if frame is not None:
        return [frame.select(pl.Series("body", numbers, pl.UInt32), pl.col("RefId").alias("ref_id"), "Constraint")]
    if len(numbers) < _FEWEST_TOGETHER:
        return []
    middle = len(numbers) // 2
    return _parsed(numbers[:middle], bodies) + _parsed(numbers[middle:], bodies)


def _parse(bodies: list[bytes]) -> pl.DataFrame | None:
    """Parse bodies, one a row; None where one is not a single object, or not all is of the live feed's types."""
    lines = _lines(bodies)
    if not lines:
        return None
    table = _table(lines, "error")
    if table is None and not _naming(bodies, _ONLY_DOCUMENTED) and all(_is_plain_object(body) for body in bodies):
        table = _table(lines, "ignore")
    if table is None or table.num_rows != len(bodies):
        return None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table makes a frame
    return frame


def _lines(bodies: list[bytes]) -> bytes:
    """Put each body on a line of its own; nothing unless each begins and ends as an object does.

    Between two objects that no comma parts nothing can be open. So no object spans two bodies, and as many objects as
    bodies means one in each.
    """
    lines = b"\n".join(bodies)
    if lines.count(b"\n") >= len(bodies) or b"\r" in lines:
        bodies = [body.translate(_BREAKS_TO_TABS).strip() for body in bodies]
        lines = b"\n".join(bodies)
    return lines if {body[:1] + body[-1:] for body in bodies} == {b"{}"} else b""


def _table(lines: bytes, unexpected_field_behavior: str) -> pa.Table | None:
    try:
        lines.decode()  # Arrow does not look
        return pyarrow.json.read_json(
            pa.BufferReader(lines),
            # In one block, by this thread alone: the other reads files meanwhile.
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=_LIVE_ARROW,
                newlines_in_values=False,
                unexpected_field_behavior=unexpected_field_behavior,
            ),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None


def _is_plain_object(body: bytes) -> bool:
    """Tell whether Arrow may skip fields that it does not know: it takes more for JSON there than the contract does.

    A name with an escape could be that of a documented field.
    """
    try:
        return b"\\" not in body and isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def _usual(parsed: pl.DataFrame, objects: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the bodies in which all is as the live feed sends it, and the rows of their binding constraints."""
    parsed = parsed.hstack(_label_texts(objects["interval_end"].gather(parsed["body"])))
    listed = parsed.filter(pl.col("Constraint").list.len() > 0).select("body", "period", "Constraint")
    rows = listed.explode("Constraint", empty_as_null=False).unnest("Constraint")
    rows = rows.join(_names(rows["Name"]), on="Name", how="left", maintain_order="left").with_columns(
        pl.col("Price").cast(pl.Float64, strict=False).alias("shadow_price")
    )
    binding = pl.col("names_constraint") & pl.col("shadow_price").is_finite() & pl.col("Description").is_not_null()
    quiet = pl.col("names_nothing") & (pl.col("Price") == "None")
    is_usual = ((binding | quiet) & (pl.col("Period") == pl.col("period"))).fill_null(value=False)
    read = parsed.filter(
        (pl.col("ref_id") == pl.col("expected_ref_id")).fill_null(value=False) & pl.col("Constraint").is_not_null()
    ).select(list(_READ))
    odd = rows.filter(~is_usual)["body"].unique()
    if len(odd):
        read = read.filter(~pl.col("body").is_in(odd.implode()))
    bound = rows.filter(binding)
    if len(read) < len(parsed):
        bound = bound.join(read, on="body", how="semi", maintain_order="left")
    absent = [pl.lit(None, CONSTRAINTS[name]).alias(name) for name in _DOCUMENTED]
    named = bound.with_columns(*absent, constraint_name="Name", description="Description")
    return read, named.select(list(_ROWS) + _PARTS)


def _label_texts(labels: pl.Series) -> pl.DataFrame:
    """Spell labels as the live feed does: ``expected_ref_id`` and ``period``. Days recur, so each is spelled once."""
    days = labels.dt.date()
    day = days.rle_id()
    first = days.gather(day.arg_unique())
    minute = (labels.dt.hour().cast(pl.Int32) * 60 + labels.dt.minute()).rename("minute")
    texts = pl.DataFrame(
        {
            "clock": _CLOCK.gather(minute),
            "date": first.dt.strftime("%d-%b-%Y").gather(day),
            "iso": first.dt.strftime("%Y-%m-%d").gather(day),
        }
    )
    return texts.select(
        expected_ref_id=pl.concat_str("date", pl.lit(" - Interval "), "clock", pl.lit(" EST")),
        period=pl.concat_str("iso", pl.lit("T"), "clock", pl.lit(":00")),
    )


def _by_contract(
    numbers: list[int], objects: pl.DataFrame, bodies: Sequence[bytes]
) -> tuple[pl.DataFrame, pl.DataFrame, list[Unreadable]]:
    keys, labels = objects["object_key"], objects["interval_end"]
    read: list[tuple[int, str]] = []
    rows: list[tuple[Any, ...]] = []
    skipped: list[Unreadable] = []
    for number in numbers:
        snapshot = _snapshot(bodies[number], labels[number])
        if isinstance(snapshot, str):
            skipped.append(Unreadable(keys[number], market_day(labels[number]), snapshot))
            continue
        read.append((number, snapshot.ref_id))
        rows += [
            (number, constraint.name, *(getattr(constraint, name) for name in _FROM_CONTRACT))
            for constraint in snapshot.constraints
        ]
    named = pl.DataFrame(rows, _ROWS, orient="row")
    names = _names(named["constraint_name"]).rename({"Name": "constraint_name"})
    named = named.join(names, on="constraint_name", how="left", maintain_order="left").select(list(_ROWS) + _PARTS)
    return pl.DataFrame(read, _READ, orient="row"), named, skipped


def _snapshot(body: bytes, label: datetime) -> Snapshot | str:
    """Return what the contract makes of a body, or why it is not the snapshot its key names."""
    verdict = examine(body)
    if verdict.snapshot is None:
        reason = verdict.reasons[0]
        return f"{reason.code.value}: {reason.where} {reason.message}"
    if verdict.snapshot.interval_end != label:
        return f"its RefId {shown(verdict.snapshot.ref_id)} names another interval than its key"
    return verdict.snapshot


def _snapshots(read: pl.DataFrame, rows: pl.DataFrame, objects: pl.DataFrame) -> pl.DataFrame:
    """Return the snapshots that were read, in the columns of SNAPSHOTS and ``body``."""
    counts = rows.group_by("body").agg(pl.len().cast(pl.Int32).alias("constraints"))
    found = objects.select(list(OBJECTS)) if len(read) == len(objects) else objects[read["body"]].select(list(OBJECTS))
    return (
        read.hstack(found)
        .join(counts, on="body", how="left", maintain_order="left")
        .with_columns(
            pl.col("constraints").fill_null(0),
            MARKET_DAY,
            INTERVAL_START,
            is_latest=pl.col("revision") == pl.col("revision").max().over("interval_end"),
            source=pl.lit(LIVE),
        )
        .with_columns(quiet=pl.col("constraints") == 0)
    )


def _names(names: pl.Series) -> pl.DataFrame:
    """Look at each name once: there are few, and they recur for years. Columns: ``Name``, what it is, its parts."""
    seen = [(name, *_kind(name), *_listed(parse_constraint_name(name))) for name in names.unique() if name is not None]
    return pl.DataFrame(seen, _NAMES, orient="row")


def _kind(name: str) -> tuple[bool, bool]:
    """Tell whether it names a constraint, and whether it is a usual name of nothing; other spellings are neither."""
    return bool(name.strip()) and name.strip().lower() not in PLACEHOLDER_NAMES, name in _USUAL_PLACEHOLDERS


def _listed(parts: ConstraintName) -> tuple[Any, ...]:
    return (parts.element, parts.flow_direction, None if parts.terms is None else list(parts.terms), parts.zone)
