"""What the documentation says of the feeds, made of each feed itself: whoever adds one has nothing to write here."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import miso_archive.feeds
from miso_archive.contract.rows import Contract, PageLabel, Row, RowLabel, Table, fields_of
from miso_archive.feeds import FEEDS, KNOWN
from miso_archive.feeds.columns import SNAPSHOTS_TABLE, Column, columns_of, tables_of
from miso_archive.intervals.labels import as_est
from miso_archive.intervals.market_days import day_begins, market_day
from miso_archive.store.layout import snapshot_key
from tests.tools.markdown import columns, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from miso_archive.contract.rows import Published
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed

PAGE: Final = "docs/feeds.md"
_ROWS_SHOWN: Final = 2
_ROWS_OF_A_SHORT_LIST: Final = 4
_MINUTE: Final = 60


def feeds() -> str:
    """Return the table of feeds, each with a link to its section."""
    rows = (
        (
            f"[{feed.title}]({PAGE}#{anchor(feed)})",
            f"`{feed.name}`",
            f"`{feed.dataset}`",
            ", ".join(f"`{one.name}`" for one in feed.contract.tables),
            f"[{feed.path}]({feed.url})" if feed.daily is None else f"`{feed.path}`, with a key",
        )
        for feed in KNOWN.values()
    )
    return table(("Feed", "`--feed`", "Dataset", "Tables", "Address"), rows)


def anchor(feed: Feed) -> str:
    """Return the anchor of a feed's section, as GitHub makes it of the heading."""
    return re.sub(r"[^\w\- ]", "", feed.title.lower()).replace(" ", "-")


def shared_columns() -> tuple[Column, ...]:
    """Return the columns of which a frame of any feed has each: times and origin."""
    frames = [{column.name for column in columns_of(feed, name)} for feed in FEEDS.values() for name in tables_of(feed)]
    first = next(iter(FEEDS.values()))
    return tuple(
        column for column in columns_of(first, SNAPSHOTS_TABLE) if all(column.name in frame for frame in frames)
    )


def every_frame() -> str:
    """Return the table of these columns."""
    return columns(shared_columns())


def sections() -> str:
    """Return the sections of all feeds."""
    return "\n".join(section(feed, about(feed)) for feed in KNOWN.values())


def about(feed: Feed) -> str:
    """Return what a feed's file, which is named as the feed, says of it."""
    said = import_module(f"{miso_archive.feeds.__name__}.{feed.name}").__doc__ or ""
    return said.strip().replace("``", "`")


def section(feed: Feed, said: str) -> str:
    """Return a feed's section: what is said of it, its facts, its frames, and a body as it was recorded."""
    snapshot = feed.examine(feed.recorded.read_bytes()).snapshot
    if snapshot is None:
        raise ValueError(f"the recorded body of {feed.name} is refused")
    parts = [f"## {feed.title}", said, table(("What", "Value"), _facts(feed, snapshot))]
    parts += [part for one in feed.contract.tables for part in (_told(one), _dictionary(feed, one))]
    parts += [
        f"`snapshots`, one row a {'page' if feed.daily else 'snapshot'}:",
        _of_snapshots(feed),
        *_bodies(feed, snapshot),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _facts(feed: Feed, snapshot: Snapshot) -> Iterable[tuple[str, str]]:
    minutes = int(feed.lead.total_seconds()) // _MINUTE
    yield "`--feed`, `feed=`", f"`{feed.name}`"
    yield "Address", feed.url
    yield "Dataset: in keys, in Redis and Kafka", f"`{feed.dataset}`"
    ends = "" if feed.daily is not None else f": the interval that ends at {as_est(snapshot.interval_end)}"
    yield "Label", f"{_label(feed.contract, snapshot)}{ends}"
    if feed.daily is not None:
        out = as_est(day_begins(market_day(snapshot.interval_end)) + feed.daily.out)
        yield "Published", f"a market day at a time: that of {market_day(snapshot.interval_end)} from {out} on"
        yield "Rows a day", f"{feed.daily.rows}{' of each node' if feed.daily.nodes else ''}"
        if feed.daily.nodes:
            yield "Nodes", f"{_listed(feed.daily.nodes)}, or those of `--node`"
    else:
        yield (
            "Published",
            f"up to {minutes} minutes before its interval's end" if minutes else "after its interval's end",
        )
    yield "Its object", f"`{snapshot_key(feed, snapshot.interval_end, page=snapshot.page)}`"
    yield "Quiet", _quiet(feed.contract)
    if feed.contract.any_case:
        yield "Names of fields", "in whatever case they are spelled"
    report = feed.next_day_report
    if feed.daily is not None:
        return
    if report is not None:
        yield "Gaps", f"healed from MISO's next-day reports, `{report.name}`"
    elif feed.history is not None:
        yield "Gaps", f"`{feed.history.table}` is healed from `{feed.history.feed.name}`"
    elif feed.rolling is not None:
        yield "Gaps", f"are healed from {_listed(feed.rolling.paths.values())}, within two days"
    else:
        yield "Gaps", "stay: no report is read"


def _label(contract: Contract, snapshot: Snapshot) -> str:
    label = contract.label
    if isinstance(label, PageLabel):
        return "none of the body's own; ours is the market day of its rows"
    if isinstance(label, RowLabel):
        return f"none of the body's own; ours is `{label.time}` of the row `{label.name}`"
    return f"`{label}`, as `{snapshot.ref_id}`"


def _quiet(contract: Contract) -> str:
    if contract.quiet is None:
        fewest = contract.tables[0].fewest
        return f"never: a body {f'of fewer than {fewest} rows' if fewest > 1 else 'without rows'} is refused"
    names = " or ".join(f"`{name}`" for name in contract.quiet.usual[contract.quiet.named_by])
    return f"where its one row has {names} for its `{contract.quiet.named_by}`, or it has none: nothing binds"


def _told(one: Table) -> str:
    """Say of a table what a row of it is."""
    rows = f"of `{one.at}`" if one.at else "of the body"
    told = f"`{one.name}`, one row a row {rows}"
    if one.label is not None:
        told += f", of the interval that its own `{fields_of(one.row)[one.label].key}` names"
    if one.hour is not None:
        told += f", of the hour that `{one.hour}` names: once an hour, by the hour's last body"
    if one.shapes:
        shapes = ", or ".join(f"`{' '.join(shape)}`" for shape in one.shapes)
        told += f". A row has {shapes}; one that has a part of the longer is refused"
    return f"{told}:"


def _dictionary(feed: Feed, one: Table) -> str:
    """Return the table of a table's own columns, and of what is read and has no column."""
    fields = fields_of(one.row)
    made = {made.name: f"parsed from `{parsed.of}`" for parsed in one.parsed for made in parsed.columns}
    made |= {each.column.name: f"computed from {_listed(each.of)}" for each in one.computed}
    empty = {name for name, field in fields.items() if _may_be_null(field)} | {
        made.name for parsed in one.parsed for made in parsed.columns
    }
    empty |= {each.column.name for each in one.computed if empty & set(each.of)}
    if feed.contract.figures is not None:
        fields = {**fields_of(feed.contract.figures), **fields} if one.hour else fields
    rows = []
    for column in own_columns(feed, one.name):
        field = f"`{fields[column.name].key}`" if column.name in fields else made.get(column.name, "")
        rows.append(_described(column, field, may_be_null=column.name in empty))
    return table(_DICTIONARY, [*rows, *_not_kept(one.row)])


_DICTIONARY: Final = ("Column", "Type", "Unit", "May be null", "Field", "Meaning")


def own_columns(feed: Feed, name: str) -> tuple[Column, ...]:
    """Return the columns of a frame, but for those that every frame has in the same meaning."""
    shared = shared_columns()
    return tuple(column for column in columns_of(feed, name) if column not in shared)


def _described(column: Column, field: str, *, may_be_null: bool) -> tuple[str, ...]:
    empty = "yes" if may_be_null else "-"
    return f"`{column.name}`", f"`{column.dtype}`", column.unit, empty, field, column.meaning


def _not_kept(row: type[Row]) -> Iterable[tuple[str, ...]]:
    """Yield the fields that have no column, since they say again what another one says, or nothing."""
    for field in fields_of(row).values():
        if not field.kept:
            meaning = "Checked against the label." if field.agrees is not None else "Not kept."
            yield "-", "", "", "", f"`{field.key}`", field.meaning or meaning


def _of_snapshots(feed: Feed) -> str:
    figures: Mapping[str, Published] = fields_of(feed.contract.figures) if feed.contract.figures else {}
    rows = []
    for column in own_columns(feed, SNAPSHOTS_TABLE):
        figure = figures.get(column.name)
        field = "" if figure is None else f"`{figure.key}`"
        rows.append(_described(column, field, may_be_null=figure is not None and _may_be_null(figure)))
    return table(_DICTIONARY, [*rows, *(_not_kept(feed.contract.figures) if feed.contract.figures else ())])


def _may_be_null(field: Published) -> bool:
    return field.kind.is_optional or not field.required


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _bodies(feed: Feed, snapshot: Snapshot) -> Iterable[str]:
    body = json.loads(feed.recorded.read_bytes())
    quiet = feed.contract.quiet is not None and snapshot.quiet
    if feed.daily is not None:
        yield "A page as it is documented; none was recorded:"
    else:
        yield "A quiet body; one with rows was not recorded:" if quiet else "A body, a long list cut to two rows:"
    yield f"```json\n{_spelled(_shortened(body))}\n```"
    recorded_quiet = feed.recorded.with_suffix(".quiet.json")
    if recorded_quiet.is_file() and not quiet:
        yield "A quiet one:"
        yield f"```json\n{_spelled(json.loads(recorded_quiet.read_bytes()))}\n```"


def _shortened(body: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(body, dict):
        return {name: _shortened(value) for name, value in body.items()}
    if isinstance(body, list):
        return [_shortened(row) for row in (body if len(body) <= _ROWS_OF_A_SHORT_LIST else body[:_ROWS_SHOWN])]
    return body


def _spelled(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))
