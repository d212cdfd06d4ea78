"""A market day at a glance: its gaps, and its notable moments in words."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from miso_archive.analysis.market_day import gaps_of, labels_of, notable_moments, of_day, on_the_clock
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import schema_of
from tests.frames import FIVE_MINUTES, binding, bound, label, labels, seen

DAY = date(2026, 7, 27)
TEN = labels("2026-07-27 10:05", 3)


def rows(feed: str, table: str, *given: tuple[datetime, dict[str, object]]) -> pl.DataFrame:
    """Rows of a feed's table at labels."""
    made = []
    for end, columns in given:
        start = end - FIVE_MINUTES
        times = {"market_day": start.date(), "interval_start": start, "interval_end": end}
        made.append(times | {"is_latest": True} | columns)
    return pl.DataFrame(made, schema_of(FEEDS[feed], table))


NOTHING: dict[str, Any] = {
    "figures": rows("snapshot", "figures"),
    "fuels": rows("fuel_mix", "fuels"),
    "hub_prices": rows("rt_exante_lmp", "prices"),
    "zone_prices": rows("asm_mcp", "real_time"),
    "constraints": {},
    "snapshots": {},
}


def said(**frames: object) -> list[str]:
    """What is said of a day of which these frames are known, and nothing else."""
    return notable_moments(DAY, **(NOTHING | frames))


class TestGaps:
    def test_a_whole_day_has_none(self) -> None:
        """288 labels, from 00:05 to the next 00:00."""
        ends = labels_of(DAY)
        assert (len(ends), ends[0], ends[-1]) == (288, label("2026-07-27 00:05"), label("2026-07-28 00:00"))
        assert gaps_of(ends.to_frame(), DAY).is_empty()

    def test_runs_are_taken_together(self) -> None:
        """The first interval, two in the middle and the last three are three gaps, with their edges."""
        ends = labels_of(DAY)
        kept = [end for number, end in enumerate(ends) if number not in {0, 100, 101, 285, 286, 287}]
        assert gaps_of(pl.DataFrame({"interval_end": kept}), DAY).rows() == [
            (label("2026-07-27 00:00"), label("2026-07-27 00:05"), 1),
            (label("2026-07-27 08:20"), label("2026-07-27 08:30"), 2),
            (label("2026-07-27 23:45"), label("2026-07-28 00:00"), 3),
        ]

    def test_a_day_without_rows_is_one_gap(self) -> None:
        """From midnight to midnight."""
        [(starts, ends, intervals)] = gaps_of(seen(), DAY).rows()
        assert (ends - starts, intervals) == (timedelta(days=1), 288)


def test_a_day_is_its_own_intervals_in_order_latest_alone() -> None:
    """The label 00:00 belongs to the day before, and a superseded row to none."""
    frame = pl.concat([seen(*reversed(TEN)), seen(label("2026-07-27 00:00")), seen(TEN[0], is_latest=False)])
    assert of_day(frame, DAY)["interval_end"].to_list() == TEN


class TestInWords:
    def test_nothing_is_said_of_what_was_not_observed(self) -> None:
        """Each feed of which nothing is known is named."""
        assert said(constraints={"reserve": binding()}, snapshots={"reserve": seen()}) == [
            "Nothing was observed of demand.",
            "Nothing was observed of fuels.",
            "Nothing was observed of hub prices.",
            "Nothing was observed of ancillary prices.",
            "Nothing was observed of reserve constraints.",
        ]

    @pytest.mark.parametrize(
        ("peak", "told"),
        [
            (91_000.0, "1,000 MW below the forecast peak of 91,000 MW."),
            (89_500.0, "500 MW above the forecast peak of 89,500 MW."),
            (90_000.0, "just at the forecast peak of 90,000 MW."),
        ],
    )
    def test_demand_beside_its_forecast(self, peak: float, told: str) -> None:
        """The highest, when, and how far from the last forecast of the day."""
        figures = [(end, {"figure": "current_demand", "value": 90_000.0 - 10 * n}) for n, end in enumerate(TEN)]
        forecast = [
            (TEN[0], {"figure": "forecast_peak_demand", "value": 1.0}),
            (TEN[2], {"figure": "forecast_peak_demand", "value": peak}),
        ]
        [demand, *_] = said(figures=rows("snapshot", "figures", *figures, *forecast))
        assert demand == f"Demand was highest at 90,000 MW, at 10:05 EST, {told}"

    def test_demand_without_a_forecast(self) -> None:
        """The sentence ends with the time."""
        [demand, *_] = said(
            figures=rows("snapshot", "figures", (TEN[1], {"figure": "current_demand", "value": 80_000.0}))
        )
        assert demand == "Demand was highest at 80,000 MW, at 10:10 EST."

    @pytest.mark.parametrize(
        ("at", "told"),
        [
            (timedelta(0), "24:00 EST"),
            (timedelta(minutes=-5), "23:55 EST"),
            (timedelta(days=-1, seconds=30), "00:00 EST"),
        ],
        ids=["the last", "the one before", "off the grid"],
    )
    def test_the_last_interval_ends_at_24_o_clock(self, at: timedelta, told: str) -> None:
        """It is the market day's own; 00:00 would be read as its beginning, where a label off the grid may stand."""
        end = labels_of(DAY)[-1] + at
        highest = rows("snapshot", "figures", (end, {"market_day": DAY, "figure": "current_demand", "value": 80_000.0}))
        [demand, *_] = said(figures=highest)
        assert demand == f"Demand was highest at 80,000 MW, at {told}."
        assert highest.select(on_the_clock(pl.col("interval_end"))).item() == told

    def test_fuels_by_their_means(self) -> None:
        """The three that produced most, and what wind did; fuels are not enumerated."""
        mix = {"Coal": 20.0, "Gas of a new kind": 30.0, "Wind": 5.0, "Battery Storage": -4.0}
        given = [
            (end, {"fuel": fuel, "output": output + n}) for n, end in enumerate(TEN) for fuel, output in mix.items()
        ]
        assert said(fuels=rows("fuel_mix", "fuels", *given))[1] == (
            "On average most came from Gas of a new kind 31 MW, Coal 21 MW, Wind 6 MW; wind was between 5 and 7 MW."
        )
        still = rows("fuel_mix", "fuels", (TEN[0], {"fuel": "Coal", "output": 20.0}))
        assert said(fuels=still)[1] == "On average most came from Coal 20 MW."

    def test_hubs_dear_and_cheap(self) -> None:
        """With their times and signs."""
        prices = rows(
            *("rt_exante_lmp", "prices"),
            *((TEN[0], {"location": "A.HUB", "lmp": 1234.5}), (TEN[1], {"location": "B.HUB", "lmp": -3.0})),
        )
        assert said(hub_prices=prices)[2] == (
            "The dearest hub was A.HUB at $1,234.50/MWh, at 10:05 EST; the cheapest B.HUB at -$3.00/MWh, at 10:10 EST."
        )

    def test_short_term_reserve(self) -> None:
        """The dearest zone; where none has a price above 0 that is said."""
        dear = rows(
            "asm_mcp",
            "real_time",
            *((end, {"zone": str(n), "short_term_reserve": 4.0 * n}) for n, end in enumerate(TEN)),
        )
        assert said(zone_prices=dear)[3] == "Short-term reserve was dearest in zone 2 at $8.00/MW, at 10:15 EST."
        free = rows("asm_mcp", "real_time", (TEN[0], {"zone": "1", "short_term_reserve": 0.0}))
        assert said(zone_prices=free)[3] == "Short-term reserve had no price above $0/MW in any zone."

    def test_constraints_by_kind(self) -> None:
        """How often any bound, of how many intervals; the hardest by magnitude; and where none did."""
        bind = binding(bound(TEN[0], -4.0, "A"), bound(TEN[1], -9.5, "B"), bound(TEN[1], 3.0, "A"))
        told = said(
            constraints={"reserve": bind, "subregional": binding()},
            snapshots={"reserve": seen(*TEN), "subregional": seen(*TEN[:2])},
        )
        assert told[4:] == [
            "Reserve constraints bound in 2 of 3 intervals observed; hardest B at -$9.50, at 10:10 EST.",
            "No subregional constraint bound in the 2 intervals observed.",
        ]
