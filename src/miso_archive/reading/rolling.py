"""What a host's links of today and yesterday tell of a live feed: merged row by row, and which intervals are whole."""

import zlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from miso_archive.contract.rows import fields_of
from miso_archive.feeds.columns import INTERVAL_START, MARKET_DAY, ROLLING_DAYS, schema_of, table_given
from miso_archive.feeds.feed import Feed, Rolling
from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import ONE_DAY
from miso_archive.reading.one_pass import Reading
from miso_archive.store.gzipped import unzipped
from miso_archive.store.layout import rolling_folder
from miso_archive.store.listing import days_in
from miso_archive.store.store import Store, UnreadableObjectError
from miso_archive.store.unreadable import Unreadable


def rolling_days(store: Store, feed: Feed, rolling: Rolling) -> list[date]:
    """Return the market days that archived bodies may have rows of: that of the fetch, and the one before.

    Raises:
        ArchiveError: The archive fails.
    """
    fetched = {day for name in rolling.paths for day in days_in(store, rolling_folder(feed, name))}
    return sorted(fetched | {day - ONE_DAY for day in fetched})


def rows_of_rolling(
    store: Store, feed: Feed, rolling: Rolling, days: Days, *, strict: bool = False
) -> tuple[pl.DataFrame, list[Unreadable]]:
    """Return what the links told of these market days, merged by interval and name, and what was left out.

    Of each row the body fetched last that has it counts: what is absent from a body overwrites nothing.

    Raises:
        ArchiveError: The archive fails.
        UnreadableObjectError: An object cannot be read, and the reading is strict.
    """
    asked = set(days.among(rolling_days(store, feed, rolling)))
    skipped: list[Unreadable] = []
    frames = [
        _rows(feed, rolling, key, body)
        for day, key, data in _bodies(store, feed, rolling, sorted(asked | {day + ONE_DAY for day in asked}))
        if (body := _body(feed, store, (day, key, data), skipped, strict=strict)) is not None
    ]
    schema = schema_of(feed, rolling.table)
    merged = (
        pl.concat([schema.to_frame(), *frames])
        .filter(pl.col("market_day").is_in(sorted(asked)))
        .unique(["interval_end", rolling.named_by], keep="last", maintain_order=True)
        .sort("interval_end", rolling.named_by)
    )
    return merged, skipped


def whole_intervals(store: Store, feed: Feed, rolling: Rolling, rows: pl.DataFrame) -> pl.Series:
    """Return the ends of the intervals that are told whole: with each name that every live interval of the day has.

    Of a day without any live interval those are whole that have as many names as any other.
    """
    days = rows["market_day"].unique().sort().to_list()
    if not days:
        return rows["interval_end"]
    among = Days(days[0], days[-1] + ONE_DAY, pl.col("market_day").is_in(days))
    live = pl.concat(
        [
            schema_of(feed, rolling.table).to_frame().lazy(),
            *Reading(store, rolling.table, feed=feed).frames(among),
        ]
    ).filter("is_latest")
    always = (
        live.group_by("market_day", rolling.named_by)
        .agg(times=pl.col("interval_end").n_unique())
        .filter(pl.col("times") == pl.col("times").max().over("market_day"))
        .collect()
    )
    wanted = always.group_by("market_day").agg(wanted=pl.len())
    own = ["market_day", "interval_end"]
    known = rows.join(always, on=["market_day", rolling.named_by], how="semi")
    matched = known.group_by(own).agg(matched=pl.len())
    counted = (
        rows.group_by(own)
        .agg(names=pl.len())
        .join(matched, on=own, how="left")
        .join(wanted, on="market_day", how="left")
    )
    is_whole = (
        pl.when(pl.col("wanted").is_null())
        .then(pl.col("names") == pl.col("names").max().over("market_day"))
        .otherwise(pl.col("matched") == pl.col("wanted"))
    )
    return counted.filter(is_whole)["interval_end"].sort()


def _bodies(
    store: Store, feed: Feed, rolling: Rolling, days: Sequence[date]
) -> list[tuple[date, str, bytes | OSError]]:
    """Return the archived bodies that were fetched on some market days, in the order of the fetches."""
    folders = [(day, rolling_folder(feed, name, day)) for name in rolling.paths for day in days]
    listed = store.names([folder for _, folder in folders])
    found = [(day, f"{folder}/{name}") for (day, folder), names in zip(folders, listed, strict=True) for name in names]
    keys = [key for _, key in found]
    bodies = zip(store.fetched_at(keys), found, store.read(keys), strict=True)
    return [(day, key, data) for _, (day, key), data in sorted(bodies, key=lambda body: (body[0], body[1]))]


def _body(
    feed: Feed, store: Store, found: tuple[date, str, bytes | OSError], skipped: list[Unreadable], *, strict: bool
) -> tuple[Any, ...] | None:
    day, key, data = found
    try:
        verdict = feed.examine(unzipped(data))
    except (zlib.error, OSError) as error:
        reason = f"it cannot be read: {error}"
    else:
        if verdict.snapshot is not None:
            return verdict.snapshot.rows
        reason = f"{verdict.reasons[0].code.value}: {verdict.reasons[0].where} {verdict.reasons[0].message}"
    if strict:
        raise UnreadableObjectError(f"{store.location}/{key}: {reason}")
    skipped.append(Unreadable(key, day, reason))
    return None


def _rows(feed: Feed, rolling: Rolling, key: str, body: tuple[Any, ...]) -> pl.DataFrame:
    table = table_given(feed, rolling.table)
    names = [name for name, field in fields_of(table.row).items() if field.kept]
    ends: list[datetime] = [getattr(row, table.label or "") for row in body]
    schema = schema_of(feed, rolling.table)
    columns = {name: pl.Series(name, [getattr(row, name) for row in body], schema[name]) for name in names}
    frame = pl.DataFrame({"interval_end": pl.Series("interval_end", ends, schema["interval_end"]), **columns})
    whole = frame.with_columns(
        MARKET_DAY,
        INTERVAL_START,
        revision=pl.lit(0),
        is_latest=pl.lit(value=True),
        source=pl.lit(ROLLING_DAYS),
        object_key=pl.lit(key),
    )
    return whole.select(
        pl.col(name).cast(dtype) if name in whole.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )
