from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.intervals.labels import EST, INTERVAL, as_utc, is_on_grid, parse_period, parse_ref_id
from miso_archive.intervals.market_days import market_day

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

labels = st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31, 23, 59)).map(  # noqa: DTZ001 - EST is put on below
    lambda time: time.replace(second=0, microsecond=0, tzinfo=EST)
)


def live_ref_id(label: datetime) -> str:
    """Spell a label as the live feed does."""
    return f"{label.day:02}-{MONTHS[label.month - 1]}-{label.year} - Interval {label:%H:%M} EST"


def documented_ref_id(label: datetime) -> str:
    """Spell a label as the documented contract does."""
    return f"{label.day:02}-{MONTHS[label.month - 1]}-{label.year}, {label:%H:%M} EST"


class TestRefId:
    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("27-Jul-2026 - Interval 08:10 EST", datetime(2026, 7, 27, 13, 10, tzinfo=UTC)),
            ("05-Dec-2025, 09:35 EST", datetime(2025, 12, 5, 14, 35, tzinfo=UTC)),
            ("5-Dec-2025, 9:35 EST", datetime(2025, 12, 5, 14, 35, tzinfo=UTC)),
            ("05-DEC-2025 , 09:35 EST", datetime(2025, 12, 5, 14, 35, tzinfo=UTC)),
            ("  05-dec-2025-Interval  09:35  EST  ", datetime(2025, 12, 5, 14, 35, tzinfo=UTC)),
            ("31-Dec-2025 - Interval 23:55 EST", datetime(2026, 1, 1, 4, 55, tzinfo=UTC)),
            ("29-Feb-2028, 00:00 EST", datetime(2028, 2, 29, 5, 0, tzinfo=UTC)),
        ],
    )
    def test_both_spellings_name_a_time_in_est(self, text: str, utc: datetime) -> None:
        """A RefId of the live feed or of the documented contract is read, with or without spare blanks and zeros."""
        interval_end = parse_ref_id(text)
        assert interval_end == utc
        assert interval_end.tzinfo is EST

    @given(labels)
    def test_every_label_of_two_centuries_is_read(self, label: datetime) -> None:
        """Whatever the minute, both spellings of one label give that label back."""
        assert parse_ref_id(live_ref_id(label)) == parse_ref_id(documented_ref_id(label)) == label

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "EST",
            "27-Jul-2026",
            "27-Jul-2026 08:10 EST",
            "27-Jul-2026 - 08:10 EST",
            "27-Jul-2026 - Interval 08:10",
            "27-Jul-2026 - Interval 08:10 EDT",
            "27-Jul-2026 - Interval 08:10 EST!",
            "x27-Jul-2026 - Interval 08:10 EST",
            "27-Jul-2026 - Interval 08:10 EST\n",
            "27-Jul-26 - Interval 08:10 EST",
            "27-Abc-2026 - Interval 08:10 EST",
            "27-07-2026 - Interval 08:10 EST",
            "2026-07-27, 08:10 EST",
            "\u0662\u0667-Jul-2026, 08:10 EST",
        ],
    )
    def test_other_spellings_are_refused_with_the_right_ones(self, text: str) -> None:
        """Text that is no RefId is refused, and the message shows both spellings."""
        with pytest.raises(ValueError, match=r"'DD-Mon-YYYY - Interval HH:MM EST' or 'DD-Mon-YYYY, HH:MM EST'"):
            parse_ref_id(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("30-Feb-2026, 08:10 EST", "29-Feb-2026, 08:10 EST", "00-Jul-2026, 08:10 EST", "32-Jul-2026, 08:10 EST"),
            *("27-Jul-2026, 24:00 EST", "27-Jul-2026, 25:00 EST", "27-Jul-2026, 08:60 EST", "27-Jul-0000, 08:10 EST"),
        ],
    )
    def test_a_time_that_does_not_exist_is_refused(self, text: str) -> None:
        """A well-formed RefId of no real day or time of day is an error, never another time."""
        with pytest.raises(ValueError, match=r"day|hour|minute|year"):
            parse_ref_id(text)

    @pytest.mark.parametrize("year", [1, 1999, 2200, 9999])
    def test_an_implausible_year_is_refused(self, year: int) -> None:
        """A year outside 2000 to 2199 is a typing error, and the message says so in RefId and Period alike."""
        texts = [f"{year:04}-01-01T00:00{offset}" for offset in ("", "Z", "+23:59")]
        texts += [f"{year:04}-12-31T23:59{offset}" for offset in ("", "Z", "-23:59")]
        calls = [(parse_period, text) for text in texts] + [(parse_ref_id, f"27-Jul-{year:04}, 08:10 EST")]
        for parse, text in calls:
            with pytest.raises(ValueError, match=f"the year {year} is not within 2000 to 2199"):
                parse(text)

    @pytest.mark.parametrize("text", ["01-Jan-2000, 00:00 EST", "31-Dec-2199, 23:55 EST"])
    def test_the_first_and_the_last_plausible_label_are_read(self, text: str) -> None:
        """The years 2000 and 2199 themselves are accepted, and can be told in UTC and as market days."""
        interval_end = parse_ref_id(text)
        assert documented_ref_id(interval_end) == text
        assert as_utc(interval_end) == f"{interval_end + timedelta(hours=5):%Y-%m-%dT%H:%M:%SZ}"
        assert interval_end.date() - market_day(interval_end) in {timedelta(0), timedelta(days=1)}


class TestPeriod:
    @pytest.mark.parametrize(
        "text",
        [
            *("2026-07-27T08:10:00", "2026-07-27T08:10", "2026-07-27 08:10:00", " 2026-07-27t08:10:00.000 "),
            *("2026-07-27T13:10:00Z", "2026-07-27T13:10z", "2026-07-27T13:10:00 Z", "2026-07-27T13:10:00+00:00"),
            *("2026-07-27T08:10:00-05:00", "2026-07-27T08:10:00-0500", "2026-07-27T09:10:00-04:00"),
            *("2026-07-27T18:40:00+05:30", "2026-07-28T00:10:00+11:00"),
        ],
    )
    def test_every_spelling_of_one_moment_is_the_same_moment(self, text: str) -> None:
        """A Period without offset is EST; with Z or an offset it is that moment, told in EST."""
        period = parse_period(text)
        assert period == datetime(2026, 7, 27, 13, 10, tzinfo=UTC)
        assert period.tzinfo is EST
        assert (period.hour, period.minute) == (8, 10)

    def test_seconds_and_their_fractions_are_kept(self) -> None:
        """A Period between two intervals is not rounded to one of them."""
        assert parse_period("2026-07-27T08:10:07.25").second == 7
        assert parse_period("2026-07-27T08:10:07.25").microsecond == 250_000

    @given(labels, st.integers(-23 * 60, 23 * 60))
    def test_an_offset_never_moves_the_moment(self, label: datetime, minutes: int) -> None:
        """Every offset up to 23 hours either way is honoured."""
        spelled = label.astimezone(timezone(timedelta(minutes=minutes)))
        if spelled.year in {1999, 2200}:
            with pytest.raises(ValueError, match="the year"):
                parse_period(spelled.isoformat())
        else:
            assert parse_period(spelled.isoformat()) == label

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "",
                "None",
                "2026-07-27",
                "08:10",
                "2026-07-27T08",
                "20260727T0810",
                "2026-7-27T08:10",
                "27-Jul-2026 08:10",
            ),
            *("2026-07-27T08:10:00 EST", "2026-07-27T08:10:00+5", "2026-07-27T08:10:00\n", "2026-07-27T08:10:00Zx"),
            *("2026-W31-1T08:10", "2026-07-27T08:10:00.", "\u0662026-07-27T08:10"),
        ],
    )
    def test_other_spellings_are_refused_with_the_right_one(self, text: str) -> None:
        """Text that is no Period is refused, and the message shows the form."""
        with pytest.raises(ValueError, match="YYYY-MM-DDTHH:MM"):
            parse_period(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("2026-02-30T08:10:00", "2026-13-01T08:10:00", "2026-07-27T25:10:00", "2026-07-27T08:60:00"),
            *("2026-07-27T08:10:61", "0000-07-27T08:10:00", "2026-07-27T08:10:00+24:00", "2026-07-27T08:10:00-99:99"),
        ],
    )
    def test_a_time_that_does_not_exist_is_refused(self, text: str) -> None:
        """A well-formed Period of no real time or offset is an error, never another time."""
        with pytest.raises(ValueError, match=r".+"):
            parse_period(text)

    @pytest.mark.parametrize("text", ["2000-01-01T00:00:00+23:59", "2199-12-31T23:59:59-23:59"])
    def test_an_accepted_time_can_always_be_told_in_utc(self, text: str) -> None:
        """At the edges of the plausible years the extreme offsets still give a time that can be converted."""
        assert as_utc(parse_period(text)) == f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class TestMarketTime:
    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("08-Mar-2026 - Interval 01:55 EST", "2026-03-08T06:55:00Z"),
            ("08-Mar-2026 - Interval 02:30 EST", "2026-03-08T07:30:00Z"),
            ("08-Mar-2026 - Interval 03:00 EST", "2026-03-08T08:00:00Z"),
            ("01-Nov-2026 - Interval 01:00 EST", "2026-11-01T06:00:00Z"),
            ("01-Nov-2026 - Interval 02:00 EST", "2026-11-01T07:00:00Z"),
            ("27-Jul-2026 - Interval 08:10 EST", "2026-07-27T13:10:00Z"),
        ],
    )
    def test_daylight_saving_time_does_not_exist(self, text: str, utc: str) -> None:
        """EST is UTC-5 in summer and on both changeover days: 02:30 in March is a time like any other."""
        assert as_utc(parse_ref_id(text)) == utc

    @pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1), date(2026, 7, 27), date(2028, 2, 29)])
    def test_a_market_day_has_288_intervals(self, day: date) -> None:
        """From 00:05 to 24:00 all 288 labels belong to the day, changeover days included, and no others do."""
        first = datetime(day.year, day.month, day.day, 0, 5, tzinfo=EST)
        ends = [first + number * INTERVAL for number in range(288)]
        assert {market_day(end) for end in ends} == {day}
        assert market_day(first - INTERVAL) == day - timedelta(days=1)
        assert market_day(ends[-1] + INTERVAL) == day + timedelta(days=1)
        assert ends[-1] == datetime(day.year, day.month, day.day, tzinfo=EST) + timedelta(days=1)

    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("01-Jan-2026, 00:00 EST", date(2025, 12, 31)),
            ("01-Jan-2026, 00:05 EST", date(2026, 1, 1)),
            ("01-Mar-2028, 00:00 EST", date(2028, 2, 29)),
            ("31-Dec-2025, 23:55 EST", date(2025, 12, 31)),
        ],
    )
    def test_midnight_belongs_to_the_day_before(self, text: str, day: date) -> None:
        """The label 00:00 ends the last interval of the previous market day, across months and years too."""
        assert market_day(parse_ref_id(text)) == day

    def test_the_market_day_is_one_of_est_whatever_the_clock(self) -> None:
        """A time told in UTC belongs to the market day that it has in EST."""
        assert market_day(datetime(2026, 7, 28, 4, 55, tzinfo=UTC)) == date(2026, 7, 27)
        assert market_day(datetime(2026, 7, 28, 5, 0, tzinfo=UTC)) == date(2026, 7, 27)
        assert market_day(datetime(2026, 7, 28, 5, 5, tzinfo=UTC)) == date(2026, 7, 28)

    @pytest.mark.parametrize(
        ("text", "on_grid"),
        [
            *(("08:10", True), ("00:00", True), ("23:55", True), ("08:11", False), ("08:14", False)),
            *(("08:10:00", True), ("08:10:01", False), ("08:10:00.000001", False)),
        ],
    )
    def test_the_grid_has_five_minute_steps(self, text: str, *, on_grid: bool) -> None:
        """A label is on the grid at full five minutes alone, to the microsecond."""
        assert is_on_grid(parse_period(f"2026-07-27T{text}")) is on_grid
