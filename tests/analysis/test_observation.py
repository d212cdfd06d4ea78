from collections.abc import Callable
from datetime import date, datetime

import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

from miso_archive.analysis.episodes import episodes
from miso_archive.analysis.gridstatus import to_gridstatus
from miso_archive.analysis.observation import Frame, observe
from miso_archive.analysis.profiles import hourly_profile
from miso_archive.analysis.shadow_prices import binding_summary, drift, severity
from tests.frames import binding, bound, label, labels, seen

DAY = labels("2026-07-27 00:05", 288)


class TestPeriod:
    def test_without_dates_it_runs_over_the_market_days_that_were_seen(self) -> None:
        """The label 00:00 is of the day before, so two labels around midnight span two market days of 288."""
        snapshots = seen(label("2026-07-28 00:00"), label("2026-07-28 00:05"))
        observation = observe(binding(), snapshots, start=None, end=None)
        assert (observation.start, observation.end) == (date(2026, 7, 27), date(2026, 7, 29))
        assert (observation.observed, observation.expected) == (2, 576)

    @pytest.mark.parametrize(
        ("start", "end"), [("2026-07-27", "2026-07-28"), (date(2026, 7, 27), date(2026, 7, 28)), (None, "2026-07-28")]
    )
    def test_its_end_is_not_of_it(self, start: date | str | None, end: date | str) -> None:
        """Of a period to 28 July the label 28 July 00:00 is the last, given as dates, as text, or by its end alone."""
        snapshots = seen(*DAY, label("2026-07-28 00:05"))
        rows = binding(bound(DAY[-1], -1.0), bound(label("2026-07-28 00:05"), -2.0))
        observation = observe(rows, snapshots, start=start, end=end)
        assert observation.intervals["interval_end"].max() == label("2026-07-28 00:00")
        assert observation.constraints["shadow_price"].to_list() == [-1.0]
        assert (observation.observed, observation.expected) == (288, 288)

    def test_days_before_its_start_do_not_count(self) -> None:
        """With a start alone, the period runs from there to the last market day seen."""
        rows = binding(bound(DAY[0], -1.0), bound(label("2026-07-28 00:05"), -2.0))
        observation = observe(rows, seen(*DAY, label("2026-07-28 00:05")), start="2026-07-28", end=None)
        assert (observation.observed, observation.expected) == (1, 288)
        assert observation.constraints["shadow_price"].to_list() == [-2.0]

    def test_days_that_nobody_saw_are_expected(self) -> None:
        """A period given beyond what was seen expects 288 intervals for each of its market days."""
        observation = observe(binding(), seen(*DAY), start="2026-07-25", end="2026-08-01")
        assert (observation.observed, observation.expected) == (288, 7 * 288)

    @pytest.mark.parametrize(("start", "end"), [("2026-07-28", "2026-07-28"), ("2026-07-29", "2026-07-28")])
    def test_an_empty_one_is_refused(self, start: str, end: str) -> None:
        """A start at or after the end is named with both dates."""
        with pytest.raises(ValueError, match=f"start {start} is not before end {end}"):
            observe(binding(), seen(*DAY), start=start, end=end)

    @pytest.mark.parametrize(
        ("start", "end"),
        [("27.7.2026", None), (None, "July"), (label("2026-07-27 08:10"), None), (None, datetime(2026, 7, 27))],  # noqa: DTZ001 - the case
    )
    def test_what_is_no_market_day_is_refused(self, start: date | str | None, end: date | str | None) -> None:
        """Text that is no date, and a time, are refused under the argument's name."""
        name = "end" if start is None else "start"
        with pytest.raises(ValueError, match=f"^{name}= is a market day, .* not "):
            observe(binding(), seen(*DAY), start=start, end=end)

    @pytest.mark.parametrize(("start", "end"), [(None, None), ("2026-07-27", None), (None, "2026-07-28")])
    def test_without_snapshots_it_has_to_be_given(self, start: str | None, end: str | None) -> None:
        """Nothing seen and half a period given: the message says to give both ends."""
        with pytest.raises(ValueError, match="give start and end"):
            observe(binding(), seen(), start=start, end=end)

    def test_nothing_seen_of_a_given_one_is_an_answer(self) -> None:
        """With both ends given and no snapshots, nothing of 288 intervals was observed."""
        observation = observe(binding(), seen(), start="2026-07-27", end="2026-07-28")
        assert (observation.observed, observation.expected) == (0, 288)


class TestRows:
    def test_only_the_latest_revision_counts(self) -> None:
        """An interval archived twice is one interval, with the prices of its latest body."""
        snapshots = pl.concat([seen(DAY[0], is_latest=False), seen(DAY[0])])
        rows = binding(bound(DAY[0], -1.0, is_latest=False), bound(DAY[0], -5.0))
        observation = observe(rows, snapshots, start=None, end=None)
        assert observation.observed == 1
        assert observation.constraints["shadow_price"].to_list() == [-5.0]

    def test_an_interval_counts_once(self) -> None:
        """Two snapshots of one interval, both called the latest, are one observed interval."""
        assert observe(binding(), seen(DAY[0], DAY[0], DAY[1]), start=None, end=None).observed == 2

    def test_a_row_without_a_snapshot_does_not_count(self) -> None:
        """A constraint in an interval that the snapshots do not have is left out, so that no share passes 1."""
        rows = binding(bound(DAY[0], -1.0), bound(DAY[1], -2.0))
        observation = observe(rows, seen(DAY[0]), start=None, end=None)
        assert observation.constraints["shadow_price"].to_list() == [-1.0]

    def test_lazy_frames_give_the_same(self) -> None:
        """A frame that is yet to be read gives the figures of one that is."""
        rows, snapshots = binding(bound(DAY[0], -1.0)), seen(*DAY)
        assert binding_summary(rows.lazy(), snapshots.lazy()).equals(binding_summary(rows, snapshots))
        assert hourly_profile(rows.lazy(), snapshots.lazy()).equals(hourly_profile(rows, snapshots))
        assert episodes(rows.lazy(), snapshots.lazy()).equals(episodes(rows, snapshots))

    def test_a_missing_column_is_named(self) -> None:
        """The message says which frame lacks which columns."""
        with pytest.raises(ValueError, match=r"constraints lacks shadow_price, zone: .*all its columns"):
            binding_summary(binding().drop("zone", "shadow_price"), seen(*DAY), by="zone")
        with pytest.raises(ValueError, match="snapshots lacks is_latest"):
            binding_summary(binding(), seen(*DAY).drop("is_latest"))

    @pytest.mark.parametrize("given", [None, "data", pd.DataFrame()], ids=repr)
    @pytest.mark.parametrize("function", [binding_summary, severity, hourly_profile, episodes, drift, to_gridstatus])
    def test_what_is_no_frame_is_named(self, function: Callable[..., object], given: object) -> None:
        """An archive, nothing, or another library's frame is refused in a sentence."""
        others = () if function in {drift, to_gridstatus} else (seen(*DAY),)
        with pytest.raises(ValueError, match=f"^constraints= is a polars frame, not {type(given).__name__} of "):
            function(given, *others)

    @pytest.mark.parametrize("dtype", [pl.Datetime("us", "UTC"), pl.Datetime("us")])
    def test_times_in_another_zone_are_refused(self, dtype: pl.Datetime) -> None:
        """UTC and zoneless times would shift hours and market days in silence: they are refused."""
        frame: Frame = seen(*DAY).with_columns(pl.col("interval_end").dt.replace_time_zone(dtype.time_zone))
        with pytest.raises(ValueError, match=r"snapshots has interval_end as .*give it in EST"):
            severity(binding(), frame)

    @pytest.mark.parametrize("function", [binding_summary, severity, episodes])
    def test_an_unknown_grouping_is_refused(self, function: object) -> None:
        """The message lists what there is to choose from."""
        assert callable(function)
        with pytest.raises(ValueError, match=r"by='description' is not known: give one of .*term"):
            function(binding(), seen(*DAY), by="description")
