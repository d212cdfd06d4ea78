"""How the collection stands: the last interval, the day's coverage, what was refused, and whether the parts answer."""

import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from pydantic import BaseModel, Field

from miso_reserve.archive_address import objects_of
from miso_reserve.completeness import coverage
from miso_reserve.dataset import RESERVE
from miso_reserve.days import ONE_DAY
from miso_reserve.dedup import Registry
from miso_reserve.failure import CollectionError
from miso_reserve.interval import EST, market_day
from miso_reserve.listing import list_snapshots, market_days
from miso_reserve.notify import Announcer
from miso_reserve.objects import ArchiveError, Objects
from miso_reserve.reading import unzipped
from miso_reserve.run_report import drift_of
from miso_reserve.settings import Settings

_CLOCKS_APART: Final = timedelta(hours=1)
_DAYS_OF_REFUSALS: Final = 7
_KAFKA_SECONDS: Final = 5.0


class Part(BaseModel):
    """Whether a part of the collection answers."""

    name: Literal["archive", "redis", "kafka"]
    answers: bool | None = Field(description="null when it is not configured, or comes with each run.")
    detail: str


class Today(BaseModel):
    """The present market day, as `coverage` counts it."""

    market_day: date
    expected: int
    collected: int
    quiet: int
    binding: int
    missing: int


class Status(BaseModel):
    """How the collection stands at a moment; times in EST, UTC-5 all year."""

    at: datetime = Field(description="The time of asking.")
    archive: str = Field(description="Where the archive is.")
    last_interval_end: datetime | None = Field(default=None, description="The newest archived interval, by its end.")
    age_minutes: float | None = Field(default=None, description="How long ago that was.")
    stale: bool = Field(default=True, description="Whether that is too long, or nothing is archived at all.")
    today: Today | None = Field(default=None, description="The present market day's coverage.")
    refused_today: int = Field(default=0, description="Bodies refused on the present EST day.")
    refused_7_days: int = Field(default=0, description="And on the last seven, that day included.")
    unannounced: int = Field(default=0, description="Snapshots stored and not announced in Kafka.")
    drift: dict[str, int] = Field(default_factory=dict, description="How many of the day's bodies drift, by kind.")
    parts: list[Part] = Field(default_factory=list, description="Archive, Redis and Kafka: whether they answer.")

    @property
    def healthy(self) -> bool:
        """Whether the archive is fresh and every configured part answers."""
        return not self.stale and all(part.answers is not False for part in self.parts)


def status(settings: Settings, *, stale_after: timedelta, now: datetime | None = None) -> Status:
    """Look at an archive and at the parts around it; nothing is asked of the feed.

    Reads the present market day's bodies twice: on S3 up to 600 requests.
    """
    now = (now or datetime.now(UTC)).astimezone(EST)
    parts = [_answer("redis", _redis, settings), _answer("kafka", _kafka, settings)]
    try:
        objects = objects_of(settings)
        found = _looked_at(objects, settings.environment, now, stale_after)
    except ArchiveError as error:
        archive = str(settings.local or settings.s3_bucket or settings.s3_block)
        failed = Part(name="archive", answers=False, detail=str(error))
        return Status(at=now, archive=archive, parts=[failed, *parts])
    return found.model_copy(update={"parts": [Part(name="archive", answers=True, detail=objects.location), *parts]})


def _looked_at(objects: Objects, environment: str, now: datetime, stale_after: timedelta) -> Status:
    today = market_day(now)
    last = _last_interval_end(objects, now)
    refused = _refused(objects, now.date())
    return Status(
        at=now,
        archive=objects.location,
        last_interval_end=last,
        age_minutes=None if last is None else round((now - last) / timedelta(minutes=1), 1),
        stale=last is None or now - last > stale_after,
        today=_today(objects, today, now),
        refused_today=refused[0],
        refused_7_days=sum(refused),
        unannounced=len(objects.names([f"unannounced/{RESERVE.name}/{environment}"])[0]),
        drift=_drift(objects, today),
    )


def _last_interval_end(objects: Objects, now: datetime) -> datetime | None:
    """Return the newest label; one far in the future is a mistake of somebody's clock and does not hide a gap."""
    days = [day for day in market_days(objects, RESERVE) if day <= now.date()]
    labels: list[datetime] = (
        list_snapshots(objects, RESERVE, days[-2:], ordered=False).snapshots["interval_end"].to_list()
    )
    newest = max((label for label in labels if label <= now + _CLOCKS_APART), default=None)
    return None if newest is None else newest.astimezone(EST)


def _today(objects: Objects, day: date, now: datetime) -> Today:
    [row] = coverage(objects, start=day, end=day + ONE_DAY, now=now).to_dicts()
    return Today.model_validate({name: row[name] for name in Today.model_fields})


def _refused(objects: Objects, today: date) -> list[int]:
    days = [today - ONE_DAY * number for number in range(_DAYS_OF_REFUSALS)]
    folders = objects.names([f"quarantine/{RESERVE.name}/{day}" for day in days])
    return [sum(name.endswith(".body.gz") for name in names) for names in folders]


def _drift(objects: Objects, day: date) -> dict[str, int]:
    keys = list_snapshots(objects, RESERVE, [day], ordered=False).snapshots["object_key"].to_list()
    found: Counter[str] = Counter()
    for data in objects.read(keys):
        with suppress(zlib.error, OSError):  # coverage counts it
            found.update(drift_of(RESERVE.examine(unzipped(data))).keys())
    return dict(sorted(found.items()))


def _answer(
    name: Literal["redis", "kafka"], ask: Callable[[Settings], tuple[bool | None, str]], settings: Settings
) -> Part:
    try:
        answers, detail = ask(settings)
    except CollectionError as error:
        return Part(name=name, answers=False, detail=error.message)
    return Part(name=name, answers=answers, detail=detail)


def _redis(settings: Settings) -> tuple[bool | None, str]:
    if settings.embeds_valkey:
        return None, "embedded: it comes with each run"
    Registry.connect(settings.redis_address, settings.environment, RESERVE).close()
    return True, "answers"


def _kafka(settings: Settings) -> tuple[bool | None, str]:
    if settings.kafka is None:
        return None, "not configured"
    announcer = Announcer(settings.kafka, _KAFKA_SECONDS)
    try:
        return True, f"answers, {announcer.reach()} brokers"
    finally:
        announcer.close()


def told(found: Status) -> str:
    """Return the status as one screen, a line a fact."""
    last = "nothing archived"
    if found.last_interval_end is not None:
        late = ", STALE" if found.stale else ""
        last = f"{found.last_interval_end:%Y-%m-%d %H:%M} EST, {found.age_minutes:g} min ago{late}"
    facts = [("archive", found.archive), ("last interval", last)]
    if (day := found.today) is not None:
        counts = f"{day.collected} of {day.expected} collected ({day.quiet} quiet, {day.binding} binding)"
        facts.append((f"today, {day.market_day}", f"{counts}, {day.missing} missing"))
    facts += [
        ("refused", f"{found.refused_today} today, {found.refused_7_days} in seven days"),
        ("drift today", ", ".join(f"{code} {count}" for code, count in found.drift.items()) or "none"),
        ("not announced", str(found.unannounced)),
        *(
            (part.name, f"FAILS: {part.detail}" if part.answers is False else part.detail)
            for part in found.parts
            if part.name != "archive" or not part.answers
        ),
    ]
    return "".join(f"{name:<18} {state}\n" for name, state in facts)
