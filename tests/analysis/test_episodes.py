from datetime import datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.analysis.episodes import episodes
from tests.frames import FIVE_MINUTES, binding, bound, label, labels, seen

EIGHT = labels("2026-07-27 08:05", 12)
TIMELINE = labels("2026-07-27 23:30", 12)
"""Across midnight, so that two market days meet in it."""


def edges(frame: pl.DataFrame) -> list[tuple[datetime, datetime, str, str]]:
    """Return where each episode begins and ends, and whether that was seen."""
    return frame.select("first_interval_start", "last_interval_end", "began", "ended").rows()


class TestOneConstraint:
    def test_figures_of_an_episode(self) -> None:
        """Three intervals at -2, -10 and -3 between quiet ones: 15 minutes, both ends seen, each figure by hand."""
        prices = (-2.0, -10.0, -3.0)
        rows = binding(*(bound(end, price) for end, price in zip(EIGHT[1:4], prices, strict=True)))
        [episode] = episodes(rows, seen(*EIGHT)).to_dicts()
        assert episode == {
            "constraint_name": "A",
            "first_interval_start": label("2026-07-27 08:05"),
            "last_interval_end": label("2026-07-27 08:20"),
            "intervals": 3,
            "duration_minutes": 15,
            "mean_shadow_price": -5.0,
            "extreme_shadow_price": -10.0,
            "total_shadow_price": -15.0,
            "began": "observed",
            "ended": "observed",
            "observed_intervals": 12,
            "expected_intervals": 288,
            "observed_share": 12 / 288,
        }

    def test_a_quiet_interval_ends_it(self) -> None:
        """Two binding intervals around a quiet one are two episodes, the end of the first and the next start seen."""
        rows = binding(bound(EIGHT[1], -1.0), bound(EIGHT[3], -1.0))
        assert edges(episodes(rows, seen(*EIGHT))) == [
            (EIGHT[0], EIGHT[1], "observed", "observed"),
            (EIGHT[2], EIGHT[3], "observed", "observed"),
        ]

    def test_a_missing_interval_breaks_it(self) -> None:
        """Around a missing interval nobody knows: the first episode's end and the second's start are unknown."""
        rows = binding(bound(EIGHT[1], -1.0), bound(EIGHT[3], -1.0))
        assert edges(episodes(rows, seen(*EIGHT[:2], *EIGHT[3:]))) == [
            (EIGHT[0], EIGHT[1], "observed", "unknown"),
            (EIGHT[2], EIGHT[3], "unknown", "observed"),
        ]

    def test_another_constraint_binding_ends_it_as_seen(self) -> None:
        """An interval in which only another constraint binds is an observation that this one does not."""
        rows = binding(bound(EIGHT[1], -1.0, "A"), bound(EIGHT[2], -1.0, "B"))
        frame = episodes(rows, seen(*EIGHT))
        assert frame["constraint_name"].to_list() == ["A", "B"]
        assert edges(frame) == [
            (EIGHT[0], EIGHT[1], "observed", "observed"),
            (EIGHT[1], EIGHT[2], "observed", "observed"),
        ]

    def test_it_runs_on_over_midnight(self) -> None:
        """Labels 23:55, 00:00 and 00:05 are one episode, though of two market days."""
        ends = labels("2026-07-27 23:50", 5)
        frame = episodes(binding(*(bound(end, -1.0) for end in ends[1:4])), seen(*ends))
        assert edges(frame) == [(label("2026-07-27 23:50"), label("2026-07-28 00:05"), "observed", "observed")]

    def test_the_edge_of_the_period_is_unknown(self) -> None:
        """An episode that touches the period's start or end may be longer, also where snapshots exist beyond."""
        ends = labels("2026-07-27 00:00", 290)
        rows = binding(*(bound(end, -1.0) for end in ends))
        frame = episodes(rows, seen(*ends), start="2026-07-27", end="2026-07-28")
        assert edges(frame) == [(label("2026-07-27 00:00"), label("2026-07-28 00:00"), "unknown", "unknown")]
        assert frame["intervals"].to_list() == [288]

    def test_a_revision_does_not_double_it(self) -> None:
        """An interval bound by its first body and quiet by its latest does not bind."""
        rows = binding(bound(EIGHT[1], -1.0), bound(EIGHT[2], -7.0, is_latest=False))
        snapshots = pl.concat([seen(*EIGHT), seen(EIGHT[2], is_latest=False)])
        assert edges(episodes(rows, snapshots)) == [(EIGHT[0], EIGHT[1], "observed", "observed")]

    def test_nothing_binding_is_no_episode(self) -> None:
        """A quiet period has no episodes, and the columns all the same."""
        rows = binding(bound(EIGHT[1], -1.0))
        assert episodes(binding(), seen(*EIGHT)).schema == episodes(rows, seen(*EIGHT)).schema
        assert episodes(binding(), seen(*EIGHT)).height == 0


class TestGroups:
    def test_any_constraint_keeps_it_going(self) -> None:
        """Without a grouping, two constraints that take turns are one episode; prices of an interval add up."""
        rows = binding(bound(EIGHT[1], -4.0, "A"), bound(EIGHT[1], -3.0, "B"), bound(EIGHT[2], -5.0, "B"))
        frame = episodes(rows, seen(*EIGHT), by=None)
        assert "constraint_name" not in frame.columns
        assert edges(frame) == [(EIGHT[0], EIGHT[2], "observed", "observed")]
        [figures] = frame.select("intervals", "mean_shadow_price", "extreme_shadow_price", "total_shadow_price").rows()
        assert figures == (2, -6.0, -5.0, -12.0)

    def test_what_has_no_zone_has_its_episodes(self) -> None:
        """Rows without a zone make episodes of their own under null, after the zones that begin with them."""
        rows = binding(
            bound(EIGHT[1], -1.0, zone=None), bound(EIGHT[2], -1.0, zone=None), bound(EIGHT[1], -1.0, "B", zone=3)
        )
        frame = episodes(rows, seen(*EIGHT), by="zone")
        assert frame.select("zone", "intervals").rows() == [(3, 1), (None, 2)]

    def test_a_constraint_has_an_episode_under_each_term(self) -> None:
        """By term, a constraint of two terms is in an episode of either."""
        frame = episodes(binding(bound(EIGHT[1], -1.0, terms=["STR", "Lost_Gen"])), seen(*EIGHT), by="term")
        assert frame["term"].to_list() == ["Lost_Gen", "STR"]


states = st.lists(st.sampled_from(["missing", "quiet", "binding"]), min_size=12, max_size=12)
"""Of one constraint, an interval of the timeline each."""


def by_hand(name: str, timeline: list[str]) -> list[tuple[str, datetime, datetime, int, str, str]]:
    """Walk one constraint's timeline from interval to interval, and note its episodes."""
    found = []
    padded = ["missing", *timeline, "missing"]
    for place in range(1, 13):
        if padded[place] != "binding" or padded[place - 1] == "binding":
            continue
        last = place
        while padded[last + 1] == "binding":
            last += 1
        began = "unknown" if padded[place - 1] == "missing" else "observed"
        ended = "unknown" if padded[last + 1] == "missing" else "observed"
        first_start = TIMELINE[place - 1] - FIVE_MINUTES
        found.append((name, first_start, TIMELINE[last - 1], last - place + 1, began, ended))
    return found


@given(states, states)
def test_episodes_are_those_found_by_walking(first: list[str], second: list[str]) -> None:
    """Whatever is missing, quiet or binding, the episodes of two constraints are those a plain walk finds."""
    shown = [a != "missing" and b != "missing" for a, b in zip(first, second, strict=True)]
    timelines = {
        name: [state if visible else "missing" for state, visible in zip(states_of, shown, strict=True)]
        for name, states_of in (("A", first), ("B", second))
    }
    rows = [
        bound(end, -1.0, name)
        for name, timeline in timelines.items()
        for end, state in zip(TIMELINE, timeline, strict=True)
        if state == "binding"
    ]
    snapshots = seen(*(end for end, visible in zip(TIMELINE, shown, strict=True) if visible))
    frame = episodes(binding(*reversed(rows)), snapshots, start="2026-07-27", end="2026-07-29")
    found = frame.select(
        "constraint_name", "first_interval_start", "last_interval_end", "intervals", "began", "ended"
    ).rows()
    expected = [episode for name, timeline in timelines.items() for episode in by_hand(name, timeline)]
    assert found == sorted(expected, key=lambda episode: (episode[1], episode[0]))
