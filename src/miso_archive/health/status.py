"""The status of a collection: what its archive tells, what its parts answer, and all of it on one screen."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field

from miso_archive.collecting.spool import Spool
from miso_archive.extras import MissingExtraError
from miso_archive.failures import CollectionError
from miso_archive.feeds.drift import drift_of
from miso_archive.feeds.feed import Feed
from miso_archive.health.glance import newest_interval_end
from miso_archive.intervals.labels import EST, as_est
from miso_archive.intervals.market_days import ONE_DAY, market_day
from miso_archive.reading.coverage import coverage_of_day
from miso_archive.settings.options import PartsSettings
from miso_archive.store.address import standing, store_of
from miso_archive.store.environments import writers
from miso_archive.store.folder import folder_identity
from miso_archive.store.layout import unannounced_folder
from miso_archive.store.listing import count_refused
from miso_archive.store.store import Store
from miso_archive.text import counted, in_utf8

_DAYS_OF_REFUSALS: Final = 7
_DAILY_GRACE: Final = timedelta(hours=6)
"""How long after a market day can be there a daily feed without it is stale: one run a day, and a second try."""

_KAFKA_SECONDS: Final = 5.0
_Told = Annotated[str, AfterValidator(in_utf8)]
_UNKNOWN: Final = "unknown"
_UNITS: Final = (("min", 1, 120), ("hours", 60, 48 * 60), ("days", 24 * 60, inf))
"""Of an age: how many minutes each has, and until how many it is told in them."""

_HEADS: Final = ("feed", "last interval", "today", "refused today", "drift today", "not announced", "in the spool")


class Part(BaseModel):
    """Whether a part of the collection answers."""

    name: Literal["archive", "redis", "kafka"]
    answers: bool | None = Field(description="null when it is not configured, or comes with each run.")
    detail: _Told


class Today(BaseModel):
    """The present market day, as `coverage` counts it."""

    market_day: date
    expected: int
    collected: int
    quiet: int | None = Field(default=None, description="null for a feed that cannot be quiet.")
    binding: int | None = Field(default=None, description="Likewise.")
    missing: int


class Status(BaseModel):
    """How the collection stands at a moment; times in EST, UTC-5 all year. What could not be looked at is null."""

    at: datetime = Field(description="The time of asking.")
    archive: _Told = Field(description="Where the archive is.")
    last_interval_end: datetime | None = Field(
        default=None, description="The newest archived interval, by its end; null also where nothing is archived."
    )
    age_minutes: float | None = Field(default=None, description="How long ago that was.")
    last_market_day: date | None = Field(default=None, description="Of a daily feed, the newest archived market day.")
    stale: bool | None = Field(default=None, description="Whether that is too long, or nothing is archived at all.")
    today: Today | None = Field(default=None, description="The present market day's coverage.")
    refused_today: int | None = Field(default=None, description="Bodies refused on the present EST day.")
    refused_7_days: int | None = Field(default=None, description="And on the last seven, that day included.")
    drift: dict[str, int] | None = Field(default=None, description="How many of the day's bodies drift, by kind.")
    unannounced: int | None = Field(default=None, description="Snapshots stored and not announced in Kafka.")
    spooled: int | None = Field(default=None, description="Bodies on this machine that the archive did not take yet.")
    spooled_since: datetime | None = Field(default=None, description="When the oldest of them was fetched.")
    written_by: list[str] | None = Field(
        default=None, description="Who writes into the archive, when several environments do: first who began it."
    )
    parts: list[Part] = Field(default_factory=list, description="Archive, Redis and Kafka: whether they answer.")

    @property
    def healthy(self) -> bool:
        """Whether the archive is known to be fresh and every configured part answers."""
        return self.stale is False and all(part.answers is not False for part in self.parts)


def status(settings: PartsSettings, feed: Feed, *, stale_after: timedelta, now: datetime | None = None) -> Status:
    """Look at an archive, at what it holds of a feed, and at the parts around it; the feed itself is not asked.

    Reads each body of the present market day once. What cannot be looked at stays None.
    """
    return statuses(settings, [feed], stale_after=stale_after, now=now)[feed.name]


def statuses(
    settings: PartsSettings, feeds: Sequence[Feed], *, stale_after: timedelta, now: datetime | None = None
) -> dict[str, Status]:
    """Look at an archive, at what it holds of each of these feeds, and once at the parts around it."""
    now = (now or datetime.now(UTC)).astimezone(EST)
    parts = [_answer("redis", _redis, settings, feeds[0]), _answer("kafka", _kafka, settings, feeds[0])]
    asked = [_Asked(feed, now, stale_after, settings.environment) for feed in feeds]
    # At once: an archive that is away keeps all of them waiting no longer than one.
    with ThreadPoolExecutor(len(asked)) as threads:
        looked = threads.map(lambda each: _looked(settings, each, parts), asked)
        return {each.feed.name: found for each, found in zip(asked, looked, strict=True)}


def _looked(settings: PartsSettings, asked: "_Asked", parts: list[Part]) -> Status:
    found: dict[str, object] = {"archive": str(settings.local or settings.s3_bucket or settings.s3_block)}
    identity = None if settings.local is None else folder_identity(settings.local)
    try:
        store = standing(store_of(settings))
        identity = store.identity
        found["archive"] = store.location
        for look in (_last, _today, _refused, _unannounced, _written_by):
            found |= look(store, asked)
        archive = Part(name="archive", answers=True, detail=store.location)
    except CollectionError as error:
        archive = Part(name="archive", answers=False, detail=error.message)
    if identity is not None:
        spool = Spool(settings.spool, identity, asked.feed, asked.environment)
        found |= {"spooled": spool.count(), "spooled_since": spool.oldest()}
    return Status.model_validate({"at": asked.now, **found, "parts": [archive, *parts]})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of an archive, of which feed, and when (EST)."""

    feed: Feed
    now: datetime
    stale_after: timedelta
    environment: str


def _last(store: Store, asked: _Asked) -> dict[str, object]:
    last = newest_interval_end(store, asked.feed, asked.now)
    if last is None:
        return {"stale": True}
    age = asked.now - last
    found = {"last_interval_end": last, "age_minutes": round(age / timedelta(minutes=1), 1)}
    daily = asked.feed.daily
    if daily is None:
        return found | {"stale": age > asked.stale_after}
    day = market_day(last)
    return found | {"last_market_day": day, "stale": day < daily.newest(asked.now - _DAILY_GRACE)}


def _today(store: Store, asked: _Asked) -> dict[str, object]:
    day = market_day(asked.now) if asked.feed.daily is None else asked.feed.daily.newest(asked.now)
    drift: Counter[str] = Counter()

    def seen(body: bytes) -> None:
        drift.update(drift_of(asked.feed, asked.feed.examine(body)).keys())

    # A clock that was never set shows a day before any archive; there is nothing to tell of that.
    rows = coverage_of_day(store, asked.feed, day, now=asked.now, seen=seen).to_dicts()
    today = {name: rows[0].get(name) for name in Today.model_fields} if rows else None
    return {"today": today, "drift": dict(sorted(drift.items()))}


def _refused(store: Store, asked: _Asked) -> dict[str, object]:
    days = [asked.now.date() - ONE_DAY * number for number in range(_DAYS_OF_REFUSALS)]
    refused = count_refused(store, asked.feed, days)
    return {"refused_today": refused[0], "refused_7_days": sum(refused)}


def _unannounced(store: Store, asked: _Asked) -> dict[str, object]:
    return {"unannounced": len(store.names([unannounced_folder(asked.feed, asked.environment)])[0])}


def _written_by(store: Store, _asked: _Asked) -> dict[str, object]:
    return {"written_by": writers(store)}


def _answer(
    name: Literal["redis", "kafka"],
    ask: Callable[[PartsSettings, Feed], tuple[bool | None, str]],
    settings: PartsSettings,
    feed: Feed,
) -> Part:
    try:
        answers, detail = ask(settings, feed)
    except CollectionError as error:
        return Part(name=name, answers=False, detail=error.message)
    except MissingExtraError as error:
        return Part(name=name, answers=False, detail=str(error))
    return Part(name=name, answers=answers, detail=detail)


def _redis(settings: PartsSettings, feed: Feed) -> tuple[bool | None, str]:
    if settings.embeds_valkey:
        return None, "embedded: it comes with each run"
    from miso_archive.collecting.registry import Registry  # noqa: PLC0415 - an extra brings its library

    Registry.connect(settings.redis_address, settings.environment, feed).close()
    return True, "answers"


def _kafka(settings: PartsSettings, feed: Feed) -> tuple[bool | None, str]:
    kafka = settings.kafka(feed)
    if kafka is None:
        return None, "not configured"
    from miso_archive.collecting.announce import Announcer  # noqa: PLC0415 - likewise

    announcer = Announcer(kafka, _KAFKA_SECONDS)
    try:
        return True, f"answers, {counted(announcer.reach(), 'broker')}"
    finally:
        announcer.close()


def told(found: Status) -> str:
    """Return the status as one screen, a line a fact; what could not be looked at is unknown."""
    is_daily = found.last_market_day is not None
    facts = [("last market day" if is_daily else "last interval", _last_told(found))]
    if (day := found.today) is None:
        facts.append(("today", _UNKNOWN))
    else:
        of_those = "" if day.quiet is None else f" ({day.quiet} quiet, {day.binding} binding)"
        counts = f"{day.collected} of {day.expected} collected{of_those}"
        facts.append((f"{'due' if is_daily else 'today'}, {day.market_day}", f"{counts}, {day.missing} missing"))
    refused = f"{_known(found.refused_today)} today, {_known(found.refused_7_days)} in seven days"
    oldest = "" if found.spooled_since is None else f", oldest {as_est(found.spooled_since)}"
    facts += [
        ("refused", _UNKNOWN if found.refused_today is None else refused),
        ("drift today", _drift_told(found)),
        ("not announced", _known(found.unannounced)),
        ("in the spool", _known(found.spooled) + oldest),
    ]
    first, *around = _around(found)
    return "".join(f"{line}\n" for line in _lines([first, *facts, *around]))


def _around(found: Status) -> list[tuple[str, str]]:
    """Return what is so of all feeds of an archive: where it is, who writes there, and whether the parts answer."""
    return [
        ("archive", found.archive),
        *([("written by", f"{', '.join(found.written_by)}: one archive for several")] if found.written_by else []),
        *(
            (part.name, f"FAILS: {part.detail}" if part.answers is False else part.detail)
            for part in found.parts
            if part.name != "archive" or not part.answers
        ),
    ]


def _lines(facts: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name:<18} {state}" for name, state in facts]


def _drift_told(found: Status) -> str:
    if found.drift is None:
        return _UNKNOWN
    return ", ".join(f"{code} {count}" for code, count in found.drift.items()) or "none"


def told_together(found: Mapping[str, Status]) -> str:
    """Return the status of several feeds as one screen: a line a feed, then the archive and the parts around it."""
    lines = [_HEADS, *(_line(name, each) for name, each in found.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    shared = dict.fromkeys(line for each in found.values() for line in _lines(_around(each)))
    return "".join(f"{line}\n" for line in (*table, "", *shared))


def _line(feed: str, found: Status) -> tuple[str, ...]:
    day = found.today
    since = "" if found.spooled_since is None else f", oldest {as_est(found.spooled_since)}"
    return (
        feed,
        _last_told(found),
        _UNKNOWN if day is None else f"{day.collected} of {day.expected}",
        _known(found.refused_today),
        _drift_told(found),
        _known(found.unannounced),
        _known(found.spooled) + since,
    )


def _known(count: int | None) -> str:
    return _UNKNOWN if count is None else str(count)


def _last_told(found: Status) -> str:
    if found.stale is None:
        return _UNKNOWN
    if found.last_interval_end is None or found.age_minutes is None:
        return "nothing archived"
    late = ", STALE" if found.stale else ""
    if found.last_market_day is not None:
        return f"{found.last_market_day}{late}"
    return f"{as_est(found.last_interval_end)}, {_age(found.age_minutes)}{late}"


def _age(minutes: float) -> str:
    """Say how long ago something was, in minutes, hours or days; or that the clock is behind it."""
    size = abs(minutes)
    unit, length = next((unit, length) for unit, length, until in _UNITS if size < until)
    return f"{round(size / length, 1):g} {unit} {'ago' if minutes >= 0 else 'ahead of the clock'}"
