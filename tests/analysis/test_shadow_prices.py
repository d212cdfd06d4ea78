from typing import Any

import polars as pl
import pytest

from miso_archive.analysis.gridstatus import to_gridstatus
from miso_archive.analysis.shadow_prices import (
    binding_summary,
    compare_periods,
    drift,
    price_duration_curve,
    severity,
)
from tests.frames import FIVE_MINUTES, binding, bound, label, labels, seen

EIGHT = labels("2026-07-27 08:05", 4)
AUGUST = label("2026-08-03 08:05")
JULY_WEEK = ("2026-07-27", "2026-08-03")
AUGUST_WEEK = ("2026-08-03", "2026-08-10")


class TestBindingSummary:
    def test_means_are_over_observed_intervals(self) -> None:
        """A binds at -6 and -2 in two of four intervals seen, of 288: each figure counted by hand."""
        rows = binding(bound(EIGHT[0], -6.0), bound(EIGHT[2], -2.0))
        assert binding_summary(rows, seen(*EIGHT)).to_dicts() == [
            {
                "constraint_name": "A",
                "binding_intervals": 2,
                "observed_intervals": 4,
                "expected_intervals": 288,
                "observed_share": 4 / 288,
                "binding_share": 0.5,
                "total_shadow_price": -8.0,
                "mean_shadow_price": -2.0,
                "mean_when_binding": -4.0,
                "extreme_shadow_price": -6.0,
            }
        ]

    def test_the_hardest_stands_first(self) -> None:
        """Rank is by magnitude, whatever the sign, and by name among equals."""
        rows = binding(
            bound(EIGHT[0], -1.0, "mild"),
            bound(EIGHT[0], -5.0, "hard B"),
            bound(EIGHT[0], 5.0, "hard A"),
            bound(EIGHT[0], 9.0, "two signs"),
            bound(EIGHT[1], -9.0, "two signs"),
        )
        names = binding_summary(rows, seen(*EIGHT))["constraint_name"].to_list()
        assert names == ["two signs", "hard A", "hard B", "mild"]

    @pytest.mark.parametrize(("prices", "extreme"), [((3.0, -7.0), -7.0), ((-3.0, 7.0), 7.0), ((7.0, -7.0), -7.0)])
    def test_the_extreme_keeps_its_sign(self, prices: tuple[float, float], extreme: float) -> None:
        """The largest magnitude is given as published; of two alike the negative one, in any order of rows."""
        rows = [bound(end, price) for end, price in zip(EIGHT, prices, strict=False)]
        for ordered in (rows, rows[::-1]):
            assert binding_summary(binding(*ordered), seen(*EIGHT))["extreme_shadow_price"].to_list() == [extreme]

    def test_constraints_of_a_group_share_an_interval(self) -> None:
        """Two constraints of one zone in one interval are one binding interval, and their prices add up."""
        rows = binding(bound(EIGHT[0], -6.0, "A", zone=3), bound(EIGHT[0], -4.0, "B", zone=3))
        [row] = binding_summary(rows, seen(*EIGHT), by="zone").to_dicts()
        assert (row["zone"], row["binding_intervals"], row["binding_share"]) == (3, 1, 0.25)
        assert (row["mean_shadow_price"], row["mean_when_binding"], row["extreme_shadow_price"]) == (-2.5, -10.0, -6.0)

    @pytest.mark.parametrize(
        ("by", "value"),
        [
            ("constraint_name", "X"),
            ("element", "RDT_SO_MW"),
            ("zone", 3),
            ("flow_direction", "South_North"),
            ("reserve_type", "SPIN"),
        ],
    )
    def test_what_could_not_be_parsed_is_a_row_of_its_own(self, by: Any, value: object) -> None:  # noqa: ANN401
        """Each grouping has its values, and null for the rows without one, after the others of its weight."""
        rows = binding(bound(EIGHT[0], -1.0) | {by: None}, bound(EIGHT[0], -1.0) | {by: value})
        assert binding_summary(rows, seen(*EIGHT), by=by)[by].to_list() == [value, None]

    def test_a_constraint_counts_under_each_of_its_terms(self) -> None:
        """A term given twice counts once; no terms, whether an empty list or null, are one row, null."""
        rows = binding(
            bound(EIGHT[0], -8.0, "A", terms=["STR", "Lost_Gen", "STR"]),
            bound(EIGHT[1], -4.0, "B", terms=["STR"]),
            bound(EIGHT[2], -2.0, "C", terms=[]),
            bound(EIGHT[3], -1.0, "D", terms=None),
        )
        summary = binding_summary(rows, seen(*EIGHT), by="term")
        assert summary.select("term", "binding_intervals", "total_shadow_price").rows() == [
            ("STR", 2, -12.0),
            ("Lost_Gen", 1, -8.0),
            (None, 2, -3.0),
        ]

    def test_a_price_of_zero_binds(self) -> None:
        """What the feed lists binds, also at 0 $/MW: that is another thing than quiet."""
        [row] = binding_summary(binding(bound(EIGHT[0], 0.0)), seen(*EIGHT)).to_dicts()
        assert (row["binding_share"], row["mean_when_binding"]) == (0.25, 0.0)

    def test_a_quiet_period_has_no_rows(self) -> None:
        """With nothing binding, or nothing seen, there is no group to speak of; the columns stay."""
        full = binding_summary(binding(bound(EIGHT[0], -1.0)), seen(*EIGHT))
        for snapshots in (seen(*EIGHT), seen()):
            empty = binding_summary(binding(), snapshots, start="2026-07-27", end="2026-07-28")
            assert empty.is_empty()
            assert empty.schema == full.schema


class TestPriceDurationCurve:
    def test_an_interval_counts_with_its_largest_magnitude(self) -> None:
        """Of four intervals one is at 9 (beside 2), one at 5, two quiet: the shares are 1/4, 2/4 and all."""
        rows = binding(bound(EIGHT[0], -9.0, "A"), bound(EIGHT[0], -2.0, "B"), bound(EIGHT[1], 5.0, "B"))
        curve = price_duration_curve(rows, seen(*EIGHT))
        assert curve.select("magnitude", "intervals", "share_at_or_above").rows() == [
            (9.0, 1, 0.25),
            (5.0, 1, 0.5),
            (0.0, 2, 1.0),
        ]
        assert curve.select("observed_intervals", "expected_intervals", "observed_share").unique().rows() == [
            (4, 288, 4 / 288)
        ]

    def test_of_one_constraint_the_others_are_quiet(self) -> None:
        """With a name given, intervals in which only others bind are at 0."""
        rows = binding(bound(EIGHT[0], -9.0, "A"), bound(EIGHT[0], -2.0, "B"), bound(EIGHT[1], -2.0, "B"))
        curve = price_duration_curve(rows, seen(*EIGHT), constraint_name="B")
        assert curve.select("magnitude", "intervals", "share_at_or_above").rows() == [(2.0, 2, 0.5), (0.0, 2, 1.0)]

    def test_without_quiet_intervals_it_does_not_reach_zero(self) -> None:
        """The lowest magnitude that occurred closes the curve, at a share of 1."""
        curve = price_duration_curve(binding(bound(EIGHT[0], -3.0), bound(EIGHT[1], -7.0)), seen(*EIGHT[:2]))
        assert curve.select("magnitude", "share_at_or_above").rows() == [(7.0, 0.5), (3.0, 1.0)]

    def test_nothing_seen_is_no_curve(self) -> None:
        """Unobserved time is not quiet: there is no row at 0."""
        assert price_duration_curve(binding(), seen(), start="2026-07-27", end="2026-07-28").is_empty()


class TestSeverity:
    def test_thresholds_are_reached_by_magnitude(self) -> None:
        """At -200, -180, 100 and -99.99 one interval is at 100 %, two at 90 %, three at 50 %; four of five bind."""
        prices = (-200.0, -180.0, 100.0, -99.99)
        rows = binding(*(bound(end, price) for end, price in zip(EIGHT, prices, strict=True)))
        [row] = severity(rows, seen(*EIGHT, AUGUST)).to_dicts()
        assert row == {
            "constraint_name": "A",
            "binding_intervals": 4,
            "intervals_at_50_percent": 3,
            "intervals_at_90_percent": 2,
            "intervals_at_100_percent": 1,
            "share_at_50_percent": 0.6,
            "share_at_90_percent": 0.4,
            "share_at_100_percent": 0.2,
            "observed_intervals": 5,
            "expected_intervals": 8 * 288,
            "observed_share": 5 / (8 * 288),
        }

    def test_another_demand_value_moves_them(self) -> None:
        """Against 1,100 a price of 990 is at 90 %, and not at 100 %."""
        [row] = severity(binding(bound(EIGHT[0], -990.0)), seen(*EIGHT), demand_value=1100.0).to_dicts()
        assert (row["intervals_at_90_percent"], row["intervals_at_100_percent"]) == (1, 0)

    def test_prices_of_a_group_do_not_add_up(self) -> None:
        """Two constraints of a zone at 60 each are not one at 120: the zone's interval is below 50 % of 200."""
        rows = binding(bound(EIGHT[0], -60.0, "A", zone=3), bound(EIGHT[0], -60.0, "B", zone=3))
        frame = severity(rows, seen(*EIGHT), by="zone")
        assert frame.select("zone", "binding_intervals", "intervals_at_50_percent").rows() == [(3, 1, 0)]

    def test_the_worst_stands_first(self) -> None:
        """One interval at 100 % ranks above two at 90 %, those above three at 50 %; then come names."""
        rows = [bound(end, -100.0, "half") for end in EIGHT[:3]]
        rows += [bound(end, -180.0, "near") for end in EIGHT[:2]]
        rows += [bound(EIGHT[0], -200.0, "at"), bound(EIGHT[0], -1.0, "low B"), bound(EIGHT[0], -2.0, "low A")]
        names = severity(binding(*rows), seen(*EIGHT))["constraint_name"].to_list()
        assert names == ["at", "near", "half", "low A", "low B"]

    @pytest.mark.parametrize("value", [0.0, -200.0, float("nan")])
    def test_a_demand_value_is_above_zero(self, value: float) -> None:
        """Zero, a negative value and not-a-number are refused."""
        with pytest.raises(ValueError, match=r"demand_value=.*not above 0"):
            severity(binding(), seen(*EIGHT), demand_value=value)


class TestComparePeriods:
    def test_two_periods_stand_side_by_side(self) -> None:
        """A binds in 1 of 4 intervals at -8, then in 1 of 1 at -3: share up by 0.75, mean from -2 to -3."""
        rows = binding(bound(EIGHT[0], -8.0), bound(AUGUST, -3.0))
        [row] = compare_periods(rows, seen(*EIGHT, AUGUST), before=JULY_WEEK, after=AUGUST_WEEK).to_dicts()
        assert (row["binding_share_before"], row["binding_share_after"]) == (0.25, 1.0)
        assert (row["mean_shadow_price_before"], row["mean_shadow_price_after"]) == (-2.0, -3.0)
        assert (row["binding_share_difference"], row["mean_shadow_price_difference"]) == (0.75, -1.0)
        assert (row["observed_intervals_before"], row["observed_intervals_after"]) == (4, 1)
        assert (row["observed_share_before"], row["observed_share_after"]) == (4 / 2016, 1 / 2016)
        assert (row["extreme_shadow_price_before"], row["extreme_shadow_price_after"]) == (-8.0, -3.0)

    def test_absent_from_a_period_that_was_seen_is_zero(self) -> None:
        """What bound only before has zeros after, and no mean of binding intervals, as there are none; also null's."""
        rows = binding(bound(EIGHT[0], -8.0, zone=3), bound(AUGUST, -3.0, zone=None))
        frame = compare_periods(rows, seen(*EIGHT, AUGUST), before=JULY_WEEK, after=AUGUST_WEEK, by="zone")
        assert frame.select(
            "zone", "binding_share_before", "binding_share_after", "mean_shadow_price_difference"
        ).rows() == [(None, 0.0, 1.0, -3.0), (3, 0.25, 0.0, 2.0)]
        gone = frame.row(1, named=True)
        assert (gone["binding_intervals_after"], gone["total_shadow_price_after"]) == (0, 0.0)
        assert (gone["mean_when_binding_after"], gone["extreme_shadow_price_after"]) == (None, None)
        assert gone["observed_intervals_after"] == 1

    @pytest.mark.parametrize(("unseen", "seen_side"), [("after", "before"), ("before", "after")])
    def test_a_period_nobody_saw_is_null(self, unseen: str, seen_side: str) -> None:
        """Without a snapshot there are no figures and no differences, but how little was observed is said."""
        periods: Any = {seen_side: JULY_WEEK, unseen: AUGUST_WEEK}
        [row] = compare_periods(binding(bound(EIGHT[0], -8.0)), seen(*EIGHT), **periods).to_dicts()
        nulls = ("binding_share", "mean_shadow_price", "total_shadow_price", "binding_intervals")
        assert [row[f"{name}_{unseen}"] for name in nulls] == [None] * 4
        assert (row["binding_share_difference"], row["mean_shadow_price_difference"]) == (None, None)
        assert (row[f"observed_intervals_{unseen}"], row[f"observed_share_{unseen}"]) == (0, 0.0)
        assert row[f"binding_share_{seen_side}"] == 0.25

    def test_what_has_no_zone_is_compared_with_itself(self) -> None:
        """Rows without a zone in both periods are one row of the comparison."""
        rows = binding(bound(EIGHT[0], -8.0), bound(AUGUST, -3.0))
        frame = compare_periods(rows, seen(*EIGHT, AUGUST), before=JULY_WEEK, after=AUGUST_WEEK, by="zone")
        means = frame.select("zone", "mean_shadow_price_before", "mean_shadow_price_after")
        assert means.rows() == [(None, -2.0, -3.0)]

    def test_the_largest_change_stands_first(self) -> None:
        """Rank is by the magnitude of the mean's change, up or down, and by group among equals."""
        rows = binding(
            bound(EIGHT[0], -4.0, "A"),
            bound(AUGUST, -1.0, "B"),
            bound(EIGHT[0], -36.0, "C"),
            bound(EIGHT[0], -4.0, "D"),
            bound(AUGUST, -1.0, "D"),
        )
        frame = compare_periods(rows, seen(*EIGHT, AUGUST), before=JULY_WEEK, after=AUGUST_WEEK)
        assert frame.select("constraint_name", "mean_shadow_price_difference").rows() == [
            ("C", 9.0),
            ("A", 1.0),
            ("B", -1.0),
            ("D", 0.0),
        ]


class TestDrift:
    def test_the_newest_stands_first(self) -> None:
        """Names come by when they were first seen, with their span, their intervals and whether they were read."""
        rows = binding(
            bound(EIGHT[0], -1.0, "old", element="RDT"),
            bound(EIGHT[3], -1.0, "old", element="RDT"),
            bound(EIGHT[3], -2.0, "old", element="RDT"),
            bound(EIGHT[2], -1.0, "new"),
            bound(EIGHT[3], -1.0, "revoked", is_latest=False),
        )
        assert drift(rows).rows() == [
            ("constraint_name", "new", EIGHT[2], EIGHT[2], 1, False),
            ("constraint_name", "old", EIGHT[0], EIGHT[3], 2, True),
        ]

    def test_types_and_directions_are_listed(self) -> None:
        """Values of documented rows have rows too, null in live rows not; whether a name was read is not theirs."""
        rows = binding(bound(EIGHT[0], -1.0), bound(EIGHT[1], -1.0, reserve_type="SPIN", direction="UP", element="RDT"))
        assert drift(rows.lazy()).filter(pl.col("column") != "constraint_name").rows() == [
            ("direction", "UP", EIGHT[1], EIGHT[1], 1, None),
            ("reserve_type", "SPIN", EIGHT[1], EIGHT[1], 1, None),
        ]

    def test_nothing_bound_is_nothing_new(self) -> None:
        """An empty frame gives an empty one with the same columns."""
        assert drift(binding()).schema == drift(binding(bound(EIGHT[0], -1.0))).schema
        assert drift(binding()).is_empty()


def test_gridstatus_columns() -> None:
    """The latest rows stand under gridstatus's names, in its order, times in EST."""
    rows = binding(
        bound(EIGHT[1], -2.0, "B", description="STR Zone_1"),
        bound(EIGHT[0], -1.0),
        bound(EIGHT[0], -9.0, is_latest=False),
    )
    frame = to_gridstatus(rows)
    assert frame.columns == [
        "Interval Start",
        "Interval End",
        "Constraint Name",
        "Shadow Price",
        "Constraint Description",
    ]
    assert frame.rows() == [
        (EIGHT[1] - FIVE_MINUTES, EIGHT[1], "B", -2.0, "STR Zone_1"),
        (EIGHT[0] - FIVE_MINUTES, EIGHT[0], "A", -1.0, None),
    ]
    assert frame.schema["Interval End"] == rows.schema["interval_end"]
