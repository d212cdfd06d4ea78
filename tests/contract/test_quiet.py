from typing import Any

import pytest

from miso_archive.feeds.reserve import DOCUMENTED_FIELDS
from tests.bodies import END, LIVE_ROW, PLACEHOLDER, body, without
from tests.contract.judged import accepted, refused


class TestQuiet:
    def test_an_empty_list_is_quiet(self) -> None:
        """No rows at all is an observation: nothing binds."""
        snapshot = accepted(body())
        assert (snapshot.quiet, snapshot.rows, snapshot.interval_end) == (True, (), END)

    @pytest.mark.parametrize("shape", ["live", "without description", "null description", "documented"])
    @pytest.mark.parametrize("name", ["None", "None - None", "none", " NONE - NONE "])
    @pytest.mark.parametrize("price", ["None", "", "0", "0.0", "0.00", 0, 0.0, None, " none "])
    def test_a_placeholder_is_quiet(self, shape: str, name: str, price: object) -> None:
        """The row that says nothing binds is no constraint, in every spelling of name and price and in both shapes."""
        row = {
            "live": PLACEHOLDER,
            "without description": without(PLACEHOLDER, "Description"),
            "null description": PLACEHOLDER | {"Description": None},
            "documented": dict.fromkeys(DOCUMENTED_FIELDS, "None") | {"Period": "2026-07-27T13:10:00Z"},
        }[shape] | {"Name": name, "Price": price}
        assert accepted(body(row)).quiet
        assert accepted(body(row, row)).quiet

    @pytest.mark.parametrize(
        "row",
        [
            PLACEHOLDER | {"Price": "-3.5"},
            PLACEHOLDER | {"Price": 1},
            LIVE_ROW | {"Price": 0},
            LIVE_ROW | {"Price": "0"},
        ],
    )
    def test_a_real_name_or_price_binds(self, row: dict[str, Any]) -> None:
        """A price under the name None, or a zero price under a real name, is a binding constraint and is kept."""
        snapshot = accepted(body(row))
        assert [constraint.shadow_price for constraint in snapshot.rows] == [float(row["Price"])]

    @pytest.mark.parametrize("price", ["None", "", None])
    def test_a_real_name_needs_a_price(self, price: object) -> None:
        """A constraint that has a name but no price is refused, not taken for quiet."""
        assert refused(body(LIVE_ROW | {"Price": price})) == [("bad_price", "Constraint[0].Price")]

    @pytest.mark.parametrize("price", [True, False, [], {}, "x"])
    def test_a_placeholder_has_no_strange_price(self, price: object) -> None:
        """Under the name None only the known spellings of no price mean quiet."""
        assert refused(body(PLACEHOLDER | {"Price": price})) == [("bad_price", "Constraint[0].Price")]

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (without(PLACEHOLDER, "Period"), ("missing_field", "Constraint[0].Period")),
            (without(PLACEHOLDER, "Price"), ("missing_field", "Constraint[0].Price")),
            (PLACEHOLDER | {"Period": "None"}, ("unreadable_period", "Constraint[0].Period")),
            (PLACEHOLDER | {"Period": ""}, ("empty_period", "Constraint[0].Period")),
        ],
    )
    def test_a_placeholder_needs_its_period(self, row: dict[str, Any], reason: tuple[str, str]) -> None:
        """A placeholder without a readable Period or without any Price is refused."""
        assert refused(body(row)) == [reason]

    def test_a_name_of_none_alone_is_no_placeholder(self) -> None:
        """Under the name None, with neither Price nor Description, both are missing."""
        reasons = refused(body(without(without(PLACEHOLDER, "Price"), "Description")))
        assert reasons == [("missing_field", f"Constraint[0].{name}") for name in ("Price", "Description")]

    def test_a_documented_placeholder_is_whole(self) -> None:
        """A placeholder with one of the eleven fields needs the others, as any row does."""
        missing = [name for name in DOCUMENTED_FIELDS if name not in PLACEHOLDER and name != "Quantity"]
        reasons = refused(body(PLACEHOLDER | {"Quantity": "0"}))
        assert reasons == [("missing_field", f"Constraint[0].{name}") for name in missing]
