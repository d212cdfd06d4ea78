import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import groupby
from statistics import correlation
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.simulate import documented_body, is_quiet, snapshot_body

START = datetime(2001, 1, 1, 0, 5, tzinfo=EST)
QUIET_INTERVAL = START
BINDING_INTERVAL = datetime(2001, 1, 2, 5, 5, tzinfo=EST)
NAME = re.compile(r"(RDT_SO_MW \(South_North\)|RDT_MW_SO \(North_South\)) - (STR|STR\+Lost_Gen) Zone_[1-8]")

intervals = st.integers(-2_000_000, 2_000_000).map(lambda count: START + count * INTERVAL)
seeds = st.integers(0, 50)


def season(days: int = 90) -> list[datetime]:
    """Give the interval ends of that many market days."""
    return [START + count * INTERVAL for count in range(288 * days)]


def live(interval_end: datetime, *, seed: int = 7, revision: int = 0) -> dict[str, Any]:
    """Read the live shape back."""
    payload: dict[str, Any] = json.loads(snapshot_body(interval_end, seed=seed, revision=revision))
    return payload


def documented(interval_end: datetime, *, seed: int = 7, revision: int = 0) -> dict[str, Any]:
    """Read the documented shape back."""
    payload: dict[str, Any] = json.loads(documented_body(interval_end, seed=seed, revision=revision))
    return payload


def test_the_same_seed_gives_the_same_bytes_on_every_machine() -> None:
    """A binding interval of seed 7 has exactly these bytes, whoever computes them."""
    assert snapshot_body(BINDING_INTERVAL, seed=7) == (
        b'{"RefId":"02-Jan-2001 - Interval 05:05 EST","Constraint":[{"Name":"RDT_SO_MW (South_North) - STR+Lost_Gen '
        b'Zone_8","Period":"2001-01-02T05:05:00","Price":"-34.27","Description":"STR+Lost_Gen Zone_8"}]}'
    )


def test_the_documented_shape_is_pinned_too() -> None:
    """The documented body of the same interval has eleven fields, numbers as numbers and Period in UTC."""
    assert documented(BINDING_INTERVAL) == {
        "RefId": "02-Jan-2001, 05:05 EST",
        "Constraint": [
            {
                "Name": "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_8",
                "Period": "2001-01-02T10:05:00Z",
                "Price": -34.27,
                "ReserveType": "REG_DOWN",
                "Direction": "DOWN",
                "Quantity": 800.0,
                "OVERRIDE": False,
                "BP1": 800.0,
                "PC1": 200.0,
                "BP2": None,
                "PC2": None,
            }
        ],
    }


def test_other_seeds_are_other_markets() -> None:
    """Two seeds bind in different intervals."""
    days = season(5)
    assert [is_quiet(end, seed=1) for end in days] != [is_quiet(end, seed=2) for end in days]


def test_an_interval_does_not_depend_on_what_was_asked_before() -> None:
    """A season computed backwards is the season computed forwards."""
    days = season()
    backwards = [snapshot_body(end, seed=3) for end in reversed(days)]
    assert [snapshot_body(end, seed=3) for end in days] == backwards[::-1]


ALONE = """
import random
from datetime import timedelta
from miso_archive.simulate import snapshot_body
from miso_archive.simulate.server import DEFAULT_START
before = random.getstate()
snapshot_body(DEFAULT_START + 5000 * timedelta(minutes=5), seed=99)
assert random.getstate() == before
"""


def test_the_global_random_generator_is_left_alone() -> None:
    """Computing bodies neither reads nor moves the state of `random`, in a process in which no other thread does."""
    subprocess.run([sys.executable, "-c", ALONE], check=True, timeout=120)


def test_live_rows_carry_the_four_fields_as_strings() -> None:
    """Every binding row has Name, Period, Price and Description, all strings, as the live feed sends them."""
    rows = [row for end in season() if not is_quiet(end, seed=7) for row in live(end)["Constraint"]]
    assert {tuple(row) for row in rows} == {("Name", "Period", "Price", "Description")}
    assert {type(value) for row in rows for value in row.values()} == {str}
    assert all(row["Name"].endswith(" - " + row["Description"]) and NAME.fullmatch(row["Name"]) for row in rows)


def test_no_name_appears_twice_in_an_interval() -> None:
    """Each constraint binds at most once in an interval."""
    for end in season(30):
        names = [row["Name"] for row in live(end)["Constraint"]]
        assert len(names) == len(set(names))


def test_months_are_english_whatever_the_locale() -> None:
    """RefId spells the twelve months in English."""
    labels = [live(datetime(2001, month, 1, 0, 5, tzinfo=EST))["RefId"][3:6] for month in range(1, 13)]
    assert labels == ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def test_labels_name_the_interval_end_in_est() -> None:
    """RefId and Period name the interval's end at UTC-5, in summer as in winter, however the instant is written."""
    summer_midnight = datetime(2001, 7, 28, 5, 0, tzinfo=UTC)
    payload = live(summer_midnight)
    assert payload["RefId"] == "28-Jul-2001 - Interval 00:00 EST"
    assert documented(summer_midnight)["RefId"] == "28-Jul-2001, 00:00 EST"
    assert snapshot_body(summer_midnight.astimezone(EST), seed=7) == snapshot_body(summer_midnight, seed=7)
    assert {row["Period"] for row in payload["Constraint"]} <= {"2001-07-28T00:00:00"}


def test_most_intervals_are_quiet() -> None:
    """Between 70 % and 95 % of the intervals are quiet, whatever the seed."""
    for seed in range(4):
        days = season(60)
        assert 0.7 < sum(is_quiet(end, seed=seed) for end in days) / len(days) < 0.95


def test_a_quiet_interval_is_spelled_in_every_known_way() -> None:
    """Quiet intervals show both placeholder names, with and without Description, and the empty array."""
    spellings = {
        tuple((row["Name"], row["Price"], row.get("Description")) for row in live(end)["Constraint"])
        for end in season(5)
        if is_quiet(end, seed=7)
    }
    assert spellings == {
        (("None", "None", "None"),),
        (("None - None", "None", "None"),),
        (("None", "None", None),),
        (("None - None", "None", None),),
        (),
    }


def test_a_quiet_placeholder_still_has_its_period() -> None:
    """A placeholder row's Period is the interval's end."""
    assert [row["Period"] for row in live(QUIET_INTERVAL)["Constraint"]] == ["2001-01-01T00:05:00"]


def test_the_documented_shape_has_no_placeholder() -> None:
    """A quiet interval in the documented shape has an empty array."""
    assert documented(QUIET_INTERVAL)["Constraint"] == []


def test_constraints_bind_for_many_intervals_in_a_row() -> None:
    """Nearly every episode lasts half an hour or longer, and some last for hours."""
    runs = [len(list(run)) for quiet, run in groupby(season(), lambda end: is_quiet(end, seed=7)) if not quiet]
    assert sum(length >= 6 for length in runs) / len(runs) > 0.95
    assert max(runs) > 48


def test_prices_are_negative_and_bounded() -> None:
    """Prices lie in -200.00 to -0.01 $/MW with two decimals, mostly above -60 and now and then below -150."""
    spelled = [row["Price"] for end in season() if not is_quiet(end, seed=7) for row in live(end)["Constraint"]]
    assert all(re.fullmatch(r"-\d+\.\d\d", price) for price in spelled)
    prices = [float(price) for price in spelled]
    assert -200 <= min(prices) < -150
    assert -0.5 < max(prices) <= -0.01
    assert sum(price < -60 for price in prices) / len(prices) < 0.05


def test_a_price_resembles_the_one_before_it() -> None:
    """Prices of a constraint in consecutive intervals are strongly correlated."""
    pairs = []
    for end in season(30):
        before, now = ({row["Name"]: row["Price"] for row in live(at)["Constraint"]} for at in (end - INTERVAL, end))
        pairs += [(float(before[name]), float(now[name])) for name in before.keys() & now.keys() if "Zone" in name]
    assert correlation(*zip(*pairs, strict=True)) > 0.7


@given(intervals, seeds)
def test_both_shapes_tell_of_the_same_market(interval_end: datetime, seed: int) -> None:
    """Names and prices of a binding interval are equal in the live and in the documented shape."""
    rows = [] if is_quiet(interval_end, seed=seed) else live(interval_end, seed=seed)["Constraint"]
    assert [(row["Name"], float(row["Price"])) for row in rows] == [
        (row["Name"], row["Price"]) for row in documented(interval_end, seed=seed)["Constraint"]
    ]


@given(intervals, seeds, st.integers(0, 500), st.integers(1, 500))
def test_a_revision_differs_in_its_body_alone(interval_end: datetime, seed: int, revision: int, later: int) -> None:
    """Any two revisions of an interval differ, and share their RefId, in both shapes."""
    for read in (live, documented):
        one, two = (read(interval_end, seed=seed, revision=number) for number in (revision, revision + later))
        assert one["RefId"] == two["RefId"]
        assert one["Constraint"] != two["Constraint"]


def test_a_revision_of_a_quiet_interval_binds() -> None:
    """A quiet interval's revision has one priced row in the placeholder's place."""
    [row] = live(QUIET_INTERVAL, revision=1)["Constraint"]
    assert (row["Name"], row["Price"]) == ("RDT_SO_MW (South_North) - STR+Lost_Gen Zone_1", "-0.08")


def test_a_revision_changes_one_price() -> None:
    """A binding interval's revision keeps its names and changes a single price."""
    binding = next(end for end in season() if not is_quiet(end, seed=7) and len(live(end)["Constraint"]) > 2)
    first, second = live(binding)["Constraint"], live(binding, revision=1)["Constraint"]
    assert [row["Name"] for row in first] == [row["Name"] for row in second]
    assert sum(one != two for one, two in zip(first, second, strict=True)) == 1


@pytest.mark.parametrize("make", [snapshot_body, documented_body, is_quiet])
def test_a_time_that_ends_no_interval_is_refused(make: Any) -> None:  # noqa: ANN401 - three functions of two types
    """A naive time and a time off the five-minute grid are refused."""
    with pytest.raises(ValueError, match="needs a time zone"):
        make(START.replace(tzinfo=None), seed=0)
    with pytest.raises(ValueError, match="multiple of five minutes"):
        make(START + timedelta(seconds=1), seed=0)


def test_a_negative_revision_is_refused() -> None:
    """There is no revision before the first publication."""
    with pytest.raises(ValueError, match="0 or more: -1"):
        snapshot_body(START, seed=0, revision=-1)
