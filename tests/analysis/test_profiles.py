from datetime import date

import pytest

from miso_archive.analysis.profiles import hourly_profile, monthly_profile, zone_hours
from tests.frames import binding, bound, label, labels, seen


class TestHourlyProfile:
    def test_an_interval_belongs_to_the_hour_it_starts_in(self) -> None:
        """The label 01:00 ends hour 0, 01:05 begins hour 1, and 00:00 ends hour 23 of the market day before."""
        ends = [label("2026-07-27 01:00"), label("2026-07-27 01:05"), label("2026-07-28 00:00")]
        rows = binding(bound(ends[0], -1.0), bound(ends[1], -2.0), bound(ends[2], -3.0))
        profile = hourly_profile(rows, seen(*ends))
        bound_hours = {row["hour"]: row["mean_shadow_price"] for row in profile.to_dicts() if row["observed_intervals"]}
        assert bound_hours == {0: -1.0, 1: -2.0, 23: -3.0}

    def test_quiet_intervals_weigh_in_at_zero(self) -> None:
        """Hour 8 with two constraints in one interval, a quiet one, and ten missing: the mean is over the two seen."""
        ends = labels("2026-07-27 08:05", 2)
        profile = hourly_profile(binding(bound(ends[0], -6.0), bound(ends[0], -4.0, "B")), seen(*ends))
        assert profile.row(8, named=True) == {
            "hour": 8,
            "observed_intervals": 2,
            "expected_intervals": 12,
            "observed_share": pytest.approx(2 / 12),
            "binding_intervals": 1,
            "binding_share": 0.5,
            "mean_shadow_price": -5.0,
        }

    def test_missing_is_null_and_quiet_is_zero(self) -> None:
        """Of 24 rows, in order, an hour never seen has no share and no mean; one seen quiet has 0 for both."""
        profile = hourly_profile(binding(), seen(*labels("2026-07-27 03:05", 12)))
        assert profile["hour"].to_list() == list(range(24))
        quiet, missing = profile.row(3, named=True), profile.row(4, named=True)
        assert (quiet["observed_share"], quiet["binding_share"], quiet["mean_shadow_price"]) == (1.0, 0.0, 0.0)
        assert (missing["observed_share"], missing["binding_share"], missing["mean_shadow_price"]) == (0.0, None, None)

    def test_each_day_of_the_period_is_expected(self) -> None:
        """Three market days expect 36 intervals of each hour, also when nothing was seen."""
        profile = hourly_profile(binding(), seen(), start="2026-07-27", end="2026-07-30")
        assert profile["expected_intervals"].to_list() == [36] * 24
        assert profile["observed_intervals"].to_list() == [0] * 24


class TestZoneHours:
    def test_directions_and_zones_stand_apart(self) -> None:
        """Two constraints of a zone and direction add up in an interval; the same zone the other way is another row."""
        ends = labels("2026-07-27 08:05", 4)
        here = {"zone": 3, "flow_direction": "South_North"}
        rows = binding(
            *(bound(ends[0], -6.0, "A", **here), bound(ends[0], -2.0, "B", **here), bound(ends[1], -4.0, "A", **here)),
            bound(ends[0], -1.0, "C", zone=3, flow_direction="North_South"),
            bound(ends[0], -5.0, "D"),
        )
        found = {
            (row["flow_direction"], row["zone"]): row for row in zone_hours(rows, seen(*ends)).filter(hour=8).to_dicts()
        }
        assert list(found) == [("North_South", 3), ("South_North", 3), (None, None)]
        assert found["South_North", 3] == {
            "flow_direction": "South_North",
            "zone": 3,
            "hour": 8,
            "observed_intervals": 4,
            "binding_intervals": 2,
            "binding_share": 0.5,
            "mean_shadow_price": -3.0,
        }
        assert found[None, None]["mean_shadow_price"] == -1.25

    def test_an_hour_never_observed_is_unknown_and_a_quiet_one_zero(self) -> None:
        """Each group has its 24 hours."""
        ends = labels("2026-07-27 08:05", 13)
        found = zone_hours(binding(bound(ends[0], -6.0, zone=1)), seen(*ends))
        assert found["hour"].to_list() == list(range(24))
        assert found.row(9, named=True)["mean_shadow_price"] == 0.0
        assert found.row(10, named=True)["binding_share"] is None

    def test_nothing_bound(self) -> None:
        """There is no group then."""
        assert zone_hours(binding(), seen(*labels("2026-07-27 08:05", 2))).is_empty()


class TestMonthlyProfile:
    def test_the_label_of_midnight_is_of_the_month_that_ends(self) -> None:
        """1 August 00:00 counts for July, five minutes later for August; each month expects its part of the period."""
        ends = [label("2026-08-01 00:00"), label("2026-08-01 00:05")]
        profile = monthly_profile(binding(bound(ends[0], -3.0)), seen(*ends), start="2026-07-30", end="2026-08-04")
        assert profile.rows() == [
            (date(2026, 7, 1), 1, 2 * 288, 1 / 576, 1, 1.0, -3.0),
            (date(2026, 8, 1), 1, 3 * 288, 1 / 864, 0, 0.0, 0.0),
        ]

    def test_a_month_never_seen_is_null(self) -> None:
        """Between two months seen, a missing one keeps its row and its expected intervals, without figures."""
        profile = monthly_profile(binding(), seen(label("2026-01-31 12:00"), label("2026-03-01 12:00")))
        assert profile["month"].to_list() == [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]
        assert profile["expected_intervals"].to_list() == [288, 28 * 288, 288]
        assert profile["binding_share"].to_list() == [0.0, None, 0.0]
        assert profile["mean_shadow_price"].to_list() == [0.0, None, 0.0]

    def test_the_same_month_of_two_years_is_two_rows(self) -> None:
        """December of one year and January of the next are not folded, nor are two Januaries."""
        profile = monthly_profile(binding(), seen(label("2026-01-02 12:00"), label("2027-01-02 12:00")))
        assert profile.height == 13
        assert profile["month"].to_list()[::12] == [date(2026, 1, 1), date(2027, 1, 1)]
