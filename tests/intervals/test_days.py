from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import WrongDaysError, day_named, days_between, month_end

market_day = pl.col("market_day")
JULY = [date(2026, 7, number) for number in range(1, 32)]


def july(*numbers: int) -> list[date]:
    """Return days of July 2026."""
    return [date(2026, 7, number) for number in numbers]


def test_the_end_is_exclusive() -> None:
    """Days run from the first up to, but not including, the end; given as dates or as text."""
    assert Days.of("2026-07-27", date(2026, 7, 30)).all() == july(27, 28, 29)
    assert Days.of("2026-07-27", "2026-07-28").all() == july(27)
    assert Days.of("2026-07-27", "2026-07-27").all() == []


def test_an_open_bound_is_the_archive_s() -> None:
    """Without a bound there is no list of days, only a choice among those that there are."""
    assert Days.of("2026-07-27", None).all() is None
    assert Days.of(None, "2026-07-27").all() is None
    assert Days.of("2026-07-29", None).among(JULY) == july(29, 30, 31)
    assert Days.of(None, "2026-07-03").among(JULY) == july(1, 2)
    assert Days.of(None, None).among(JULY) == JULY
    assert Days.of(None, None).among([]) == []


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        (date.min, date.max, 200 * 365 + 49 + 1),
        (date.min, date(2000, 1, 2), 2),
        (date.min, date.min, 0),
        (date.max, date.max, 0),
        (date(1990, 1, 1), date(1995, 1, 1), 0),
        (date(2300, 1, 1), date(2400, 1, 1), 0),
    ],
)
def test_days_that_no_label_names_are_left_out(start: date, end: date, count: int) -> None:
    """However wide the bounds, only days of 2000 to 2199 are asked for, and the one that 2000's first 00:00 ends."""
    days = Days.of(start, end).all()
    assert days is not None
    assert len(days) == count
    assert all(date(1999, 12, 31) <= day < date(2200, 1, 1) for day in days)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2026-07-32", None, "start= is a market day, a date or YYYY-MM-DD, not '2026-07-32'"),
        (None, "yesterday", "end= is a market day, a date or YYYY-MM-DD, not 'yesterday'"),
        ("20260727", None, "start= is a market day, a date or YYYY-MM-DD, not '20260727'"),
        (None, "2026-W31-1", "end= is a market day, a date or YYYY-MM-DD, not '2026-W31-1'"),
        ("", None, "start= is a market day, a date or YYYY-MM-DD, not ''"),
        (datetime(2026, 7, 27, tzinfo=UTC), None, r"start= is a market day, .*: of a time give the \.date\(\)"),
        ("2026-07-28", "2026-07-27", r"the days end \(2026-07-27\) before they start \(2026-07-28\)"),
    ],
)
def test_what_is_no_day_is_refused(start: date | str | None, end: date | str | None, message: str) -> None:
    """A bound that is no day, or an end before the start, is refused by name."""
    with pytest.raises(WrongDaysError, match=message):
        Days.of(start, end)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (market_day == date(2026, 7, 2), july(2)),
        (market_day >= date(2026, 7, 30), july(30, 31)),
        (~(market_day >= date(2026, 7, 3)), july(1, 2)),
        (market_day.is_in(july(4, 9)), july(4, 9)),
        (market_day.is_between(date(2026, 7, 4), date(2026, 7, 5)), july(4, 5)),
        ((market_day < date(2026, 7, 2)) | (market_day > date(2026, 7, 30)), july(1, 31)),
        (market_day.dt.weekday() == 1, july(6, 13, 20, 27)),
        ((pl.col("zone") == 1) & (market_day == date(2026, 7, 2)) & (pl.col("zone") == 2), july(2)),
        ((market_day >= date(2026, 7, 2)) & ((market_day < date(2026, 7, 4)) & (pl.col("zone") == 1)), july(2, 3)),
        ((market_day == date(2026, 7, 2)) & (market_day == date(2026, 7, 3)), []),
        ((market_day == date(2026, 7, 2)) | (pl.col("zone") == 1), JULY),
        (~((market_day == date(2026, 7, 2)) & (pl.col("zone") == 1)), JULY),
        (pl.col("interval_end").dt.date() == market_day, JULY),
        ((market_day == date(2026, 7, 2)) ^ (pl.col("zone") == 1), JULY),
        (pl.col("zone") == 1, JULY),
        (pl.lit(value=True), JULY),
        (pl.lit(value=False) & (market_day == date(2026, 7, 2)), july(2)),
        (None, JULY),
    ],
)
def test_a_filter_on_market_days_leaves_its_days(predicate: pl.Expr | None, expected: list[date]) -> None:
    """Conditions on the market day alone, joined by AND with any others, choose the days; all others choose none."""
    assert Days.of(None, None).where(predicate).among(JULY) == expected
    assert Days.of("2026-07-01", "2026-08-01").where(predicate).all() == expected
    assert Days.of("2026-07-03", None).where(predicate).among(JULY) == [day for day in expected if day.day >= 3]


@pytest.mark.parametrize(
    "name", ["20260727", "2026-W31-1", "2026-7-27", "2026-07-32", "curated", "", "0001-01-01", "9999-12-31"]
)
def test_a_folder_of_another_name_is_no_day(name: str) -> None:
    """Only YYYY-MM-DD, within the years that labels may name, is a day's folder."""
    assert day_named(name) is None
    assert day_named("2026-07-27") == date(2026, 7, 27)


def test_days_between_includes_both() -> None:
    """The first and the last day are included, also over the end of February."""
    assert days_between(date(2028, 2, 28), date(2028, 3, 1)) == [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]
    assert days_between(date(2026, 7, 27), date(2026, 7, 26)) == []


def at(*numbers: int) -> datetime:
    """Return a time of July 2026 in EST: day, hour, minute."""
    day, hour, minute = numbers
    return datetime(2026, 7, day, hour, minute, tzinfo=ZoneInfo("Etc/GMT+5"))


interval_end, interval_start = pl.col("interval_end"), pl.col("interval_start")


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (interval_end == at(7, 0, 0), july(6)),
        (interval_end == at(7, 0, 5), july(7)),
        (interval_end == at(7, 8, 12), july(7)),
        (interval_start == at(7, 0, 0), july(7)),
        (interval_start == at(6, 23, 55), july(6)),
        ((interval_end > at(7, 0, 0)) & (interval_end <= at(9, 0, 0)), july(7, 8)),
        (interval_end.is_in([at(3, 12, 0), at(5, 0, 0)]), july(3, 4)),
        ((interval_end >= at(7, 12, 0)) & (market_day < date(2026, 7, 9)), july(7, 8)),
        ((interval_end > at(7, 0, 0)) & (interval_start < at(8, 0, 0)) & (pl.col("revision") == 0), july(7, 8)),
        (interval_end.dt.hour() == 3, JULY),
        (interval_end.dt.year() == 2025, []),
        (interval_end.is_null(), []),
        (interval_end - interval_start > pl.duration(minutes=10), JULY),
        ((interval_end == at(7, 0, 5)) | (pl.col("revision") == 0), JULY),
        (interval_end.dt.date() == pl.col("elsewhere"), JULY),
    ],
    ids=str,
)
def test_a_filter_on_times_leaves_the_days_that_may_have_them(predicate: pl.Expr, expected: list[date]) -> None:
    """What is said of an interval's end or start alone leaves out the days without such a time, and no other."""
    assert Days().where(predicate).among(JULY) == expected


def test_days_far_apart_are_not_asked_for_by_their_times() -> None:
    """Bounds of centuries and a filter on times do not make every minute between them."""
    days = Days.of(date(2000, 1, 1), date(2200, 1, 1)).where(interval_end == at(7, 0, 5))
    assert len(days.all() or []) == 200 * 365 + 49
    assert days.among(JULY) == july(7)


@pytest.mark.parametrize(("month", "last"), [(1, 31), (2, 28), (4, 30), (12, 31)])
def test_a_month_ends_on_its_last_day(month: int, last: int) -> None:
    """The last day of a month is found, in December too."""
    assert month_end(date(2026, month, 1)) == date(2026, month, last)
