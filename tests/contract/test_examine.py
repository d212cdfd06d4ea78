import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from miso_archive.contract.findings import WarningCode
from miso_archive.feeds.reserve import DOCUMENTED_FIELDS, LIVE_FIELDS, RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.simulate import documented_body, is_quiet, snapshot_body
from tests.bodies import DOCUMENTED_ROW, END, LIVE_ROW, REF_ID, body, without
from tests.contract.judged import accepted, refused, warned

ROWS = [LIVE_ROW, DOCUMENTED_ROW]
NO_TEXT: list[object] = [[], {}, ["text"]]

both_shapes = pytest.mark.parametrize("row", ROWS, ids=["live", "documented"])


class TestRowShapes:
    def test_a_live_row_gives_four_values(self) -> None:
        """A row as the live feed sends it is read, the price's sign kept, and nothing is made up for the rest."""
        snapshot = accepted(body(LIVE_ROW))
        (constraint,) = snapshot.rows
        assert {name: value for name, value in asdict(constraint).items() if value is not None} == {
            "constraint_name": "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3",
            "period": END,
            "shadow_price": -8.32,
            "description": "STR+Lost_Gen Zone_3",
        }
        assert (snapshot.ref_id, snapshot.interval_end, snapshot.quiet) == (REF_ID, END, False)

    def test_a_documented_row_gives_eleven_values(self) -> None:
        """A row of the documented contract is read whole, its Period in UTC told in EST."""
        snapshot = accepted(body(DOCUMENTED_ROW, ref_id="27-Jul-2026, 08:10 EST"))
        (constraint,) = snapshot.rows
        assert asdict(constraint) == {
            "constraint_name": "SPIN Zone_1",
            "period": END,
            "shadow_price": 12.5,
            "description": None,
            "reserve_type": "SPIN",
            "direction": "UP",
            "quantity": 150.25,
            "override": False,
            "bp1": 100.0,
            "pc1": 200.0,
            "bp2": None,
            "pc2": None,
        }
        assert constraint.period.tzinfo is EST
        assert (snapshot.interval_end, snapshot.quiet) == (END, False)

    def test_both_shapes_may_stand_in_one_body(self) -> None:
        """Shapes are told row by row, in the order of the feed."""
        snapshot = accepted(body(DOCUMENTED_ROW, LIVE_ROW, DOCUMENTED_ROW | {"Description": "as in a live row"}))
        assert [row.shadow_price for row in snapshot.rows] == [12.5, -8.32, 12.5]
        assert [row.description for row in snapshot.rows] == [None, "STR+Lost_Gen Zone_3", "as in a live row"]

    def test_a_row_may_stand_twice(self) -> None:
        """Nothing is merged or left out: the same row twice is two constraints."""
        assert len(accepted(body(LIVE_ROW, LIVE_ROW)).rows) == 2

    @pytest.mark.parametrize("field", sorted(set(DOCUMENTED_FIELDS) - set(LIVE_FIELDS)))
    def test_one_of_the_eleven_asks_for_all(self, field: str) -> None:
        """A live row with any field of the documented contract is missing the others, one reason each."""
        row = LIVE_ROW | {field: DOCUMENTED_ROW[field]}
        missing = [name for name in DOCUMENTED_FIELDS if name not in row]
        assert len(missing) == 7
        assert refused(body(row)) == [("missing_field", f"Constraint[0].{name}") for name in missing]

    @pytest.mark.parametrize(
        ("row", "field"),
        [*((LIVE_ROW, field) for field in LIVE_FIELDS), *((DOCUMENTED_ROW, field) for field in DOCUMENTED_FIELDS)],
    )
    def test_a_missing_field_is_named(self, row: dict[str, Any], field: str) -> None:
        """Every field of either shape is required; the reason names row and field."""
        assert refused(body(LIVE_ROW, without(row, field))) == [("missing_field", f"Constraint[1].{field}")]

    @pytest.mark.parametrize("make", [snapshot_body, documented_body])
    def test_simulated_bodies_are_accepted(self, make: Callable[..., bytes]) -> None:
        """A day of the simulated feed is valid in both shapes, its quiet intervals and its binding ones."""
        ends = [END + hour * timedelta(hours=1) for hour in range(24)]
        snapshots = [accepted(make(end, seed=7)) for end in ends]
        assert [snapshot.interval_end for snapshot in snapshots] == ends
        assert [snapshot.quiet for snapshot in snapshots] == [is_quiet(end, seed=7) for end in ends]


class TestContentValidation:
    @both_shapes
    @pytest.mark.parametrize("ref_id", [REF_ID, "27-Jul-2026, 08:10 EST"])
    def test_both_ref_ids_go_with_both_rows(self, row: dict[str, Any], ref_id: str) -> None:
        """The spelling of RefId says nothing about the rows: the four combinations are all accepted."""
        snapshot = accepted(body(row, ref_id=ref_id))
        assert (snapshot.ref_id, snapshot.interval_end) == (ref_id, END)

    @pytest.mark.parametrize(
        ("payload", "reasons"),
        [
            ({"RefId": REF_ID}, [("missing_field", "Constraint")]),
            ({"Constraint": []}, [("missing_field", "RefId")]),
            ({}, [("missing_field", "RefId"), ("missing_field", "Constraint")]),
            ({"refid": REF_ID, "constraint": []}, [("missing_field", "RefId"), ("missing_field", "Constraint")]),
            ({"RefId": REF_ID, "error": "late"}, [("missing_field", "Constraint")]),
            ([], [("not_an_object", "body")]),
            ([{"RefId": REF_ID, "Constraint": []}], [("not_an_object", "body")]),
            (None, [("not_an_object", "body")]),
            (0, [("not_an_object", "body")]),
            ("no data", [("not_an_object", "body")]),
        ],
    )
    def test_the_body_is_an_object_with_both_fields(self, payload: object, reasons: list[tuple[str, str]]) -> None:
        """A body without RefId or Constraint is refused, with one reason for each."""
        assert refused(json.dumps(payload).encode()) == reasons

    @pytest.mark.parametrize(
        ("ref_id", "code"),
        [
            *((None, "empty_ref_id"), ("", "empty_ref_id"), (" \t\n", "empty_ref_id")),
            *((0, "not_text"), (20260727, "not_text"), (True, "not_text"), ([REF_ID], "not_text"), ({}, "not_text")),
            *(
                (text, "unreadable_ref_id")
                for text in ("None", "27-Jul-2026", "30-Feb-2026, 08:10 EST", f"{REF_ID}\u0000")
            ),
            *(
                (f"27-Jul-{year} - Interval 08:10 EST", "unreadable_ref_id")
                for year in ("1999", "2200", "0000", "9999")
            ),
        ],
    )
    def test_ref_id_is_a_readable_text(self, ref_id: object, code: str) -> None:
        """Without a RefId that names a real interval nothing can be archived, and the verdict names no interval."""
        assert refused(body(LIVE_ROW, ref_id=ref_id)) == [(code, "RefId")]
        assert RESERVE.examine(body(LIVE_ROW, ref_id=ref_id)).interval_end is None

    @pytest.mark.parametrize("constraint", [None, {}, LIVE_ROW, "", "None", 0, True])
    def test_constraint_is_a_list(self, constraint: object) -> None:
        """Anything but a list of rows is refused, null and a lone row included."""
        text = json.dumps({"RefId": REF_ID, "Constraint": constraint}).encode()
        assert refused(text) == [("constraint_not_a_list", "Constraint")]

    @pytest.mark.parametrize("row", [None, "None", 1, True, [], [LIVE_ROW]])
    def test_a_row_is_an_object(self, row: object) -> None:
        """A row that is no object is refused by its number."""
        assert refused(body(LIVE_ROW, row)) == [("not_an_object", "Constraint[1]")]

    @both_shapes
    @pytest.mark.parametrize(("field", "empty"), [("Name", "empty_name"), ("Period", "empty_period")])
    def test_name_and_period_are_text(self, row: dict[str, Any], field: str, empty: str) -> None:
        """Name and Period are never empty and never anything but text."""
        for value in (None, "", " ", "\t\n"):
            assert refused(body(row | {field: value})) == [(empty, f"Constraint[0].{field}")]
        for wrong in [0, 1.5, True, False, *NO_TEXT]:
            assert refused(body(row | {field: wrong})) == [("not_text", f"Constraint[0].{field}")]

    @both_shapes
    @pytest.mark.parametrize("period", ["None", "soon", "2026-07-27", "2026-02-30T08:10:00", "1999-01-01T00:00:00"])
    def test_period_is_a_readable_time(self, row: dict[str, Any], period: str) -> None:
        """A Period that names no real time is refused."""
        assert refused(body(row | {"Period": period})) == [("unreadable_period", "Constraint[0].Period")]

    @both_shapes
    @pytest.mark.parametrize(
        "period", ["2026-07-27T08:10:00", "2026-07-27 08:10", "2026-07-27T13:10:00Z", "2026-07-27T09:10:00-04:00"]
    )
    def test_period_is_est_unless_it_says_otherwise(self, row: dict[str, Any], period: str) -> None:
        """Without offset a Period is EST; with Z or an offset it is the moment that it names."""
        assert accepted(body(row | {"Period": period})).rows[0].period == datetime(2026, 7, 27, 13, 10, tzinfo=UTC)

    @pytest.mark.parametrize(("field", "attribute"), [("Price", "shadow_price"), ("Quantity", "quantity")])
    @pytest.mark.parametrize(
        ("value", "number"),
        [
            *(
                (0, 0.0),
                (-8, -8.0),
                (1.5, 1.5),
                (2**63, 2.0**63),
                (-0.0, 0.0),
                ("-0.16", -0.16),
                ("0", 0.0),
                ("+3", 3.0),
            ),
            *(("5.", 5.0), (".5", 0.5), (" 7 ", 7.0), ("1e3", 1000.0), ("-2.5E-1", -0.25), ("007", 7.0)),
        ],
    )
    def test_price_and_quantity_are_numbers(self, field: str, attribute: str, value: object, number: float) -> None:
        """Numbers and numeric strings are read alike, of either sign, zero included."""
        (constraint,) = accepted(body(DOCUMENTED_ROW | {field: value})).rows
        assert getattr(constraint, attribute) == number

    @pytest.mark.parametrize(
        ("field", "code"),
        [
            *(("Price", "bad_price"), ("Quantity", "bad_quantity")),
            *((field, "bad_break_point") for field in ("BP1", "PC1", "BP2", "PC2")),
        ],
    )
    @pytest.mark.parametrize(
        "value",
        [
            *(
                True,
                False,
                [],
                {},
                [1],
                "",
                " ",
                "None",
                "nan",
                "NaN",
                "inf",
                "-inf",
                "Infinity",
                "1e999",
                "-1e999",
                "9" * 400,
            ),
            *("1,000", "1_000", "0x10", "$5", "5 MW", "1e", ".", "-", "--1", "1.2.3", "\u0661", "\u22121", "1\u00a0"),
        ],
    )
    def test_what_is_not_a_finite_number_is_refused(self, field: str, code: str, value: object) -> None:
        """Booleans, NaN, infinities, overflow, digits of other scripts and text are no numbers."""
        assert refused(body(DOCUMENTED_ROW | {field: value})) == [(code, f"Constraint[0].{field}")]

    @pytest.mark.parametrize(("field", "code"), [("Price", "bad_price"), ("Quantity", "bad_quantity")])
    def test_price_and_quantity_are_not_null(self, field: str, code: str) -> None:
        """A binding constraint has a price, and a documented row a quantity."""
        assert refused(body(DOCUMENTED_ROW | {field: None})) == [(code, f"Constraint[0].{field}")]

    @pytest.mark.parametrize("field", ["BP1", "PC1", "BP2", "PC2"])
    @pytest.mark.parametrize(("value", "number"), [(None, None), (0, 0.0), (-1.5, -1.5), ("12.5", 12.5)])
    def test_break_points_are_numbers_or_null(self, field: str, value: object, number: float | None) -> None:
        """Break points and their prices may be null, which is not zero."""
        (constraint,) = accepted(body(DOCUMENTED_ROW | {field: value})).rows
        assert getattr(constraint, field.lower()) == number

    @pytest.mark.parametrize(
        ("value", "override"),
        [(True, True), (False, False), (1, True), (0, False), ("1", True), ("0", False)],
    )
    def test_override_is_a_boolean_in_any_of_its_spellings(self, value: object, *, override: bool) -> None:
        """OVERRIDE is read as true or false from booleans, 0 and 1, as numbers or text."""
        assert accepted(body(DOCUMENTED_ROW | {"OVERRIDE": value})).rows[0].override is override

    @pytest.mark.parametrize("value", [None, 2, -1, 0.5, "", "2", "true", "Y", " 1", "01", [], {}, [1]])
    def test_any_other_override_is_refused(self, value: object) -> None:
        """OVERRIDE is never guessed."""
        assert refused(body(DOCUMENTED_ROW | {"OVERRIDE": value})) == [("bad_override", "Constraint[0].OVERRIDE")]

    @pytest.mark.parametrize(
        ("field", "known", "code"),
        [
            ("ReserveType", ["SPIN", "NSPIN", "REG_UP", "REG_DOWN", "SUPPL"], WarningCode.UNKNOWN_RESERVE_TYPE),
            ("Direction", ["UP", "DOWN", "BOTH"], WarningCode.UNKNOWN_DIRECTION),
        ],
    )
    def test_unknown_reserve_types_and_directions_pass(self, field: str, known: list[str], code: WarningCode) -> None:
        """The known values pass in silence, any other with a warning, and text is kept as it is."""
        attribute = {"ReserveType": "reserve_type", "Direction": "direction"}[field]
        for name in known:
            assert getattr(accepted(body(DOCUMENTED_ROW | {field: name})).rows[0], attribute) == name
        for value in ["STR", "spin", "up", " UP", "", None, 1, True, *NO_TEXT]:
            verdict = RESERVE.examine(body(DOCUMENTED_ROW | {field: value}))
            assert warned(verdict) == [(code.value, f"Constraint[0].{field}")]
            assert verdict.snapshot is not None
            kept = value if isinstance(value, str) else None
            assert getattr(verdict.snapshot.rows[0], attribute) == kept

    @both_shapes
    @pytest.mark.parametrize(("value", "kept"), [("", ""), ("None", "None"), (None, None), ("\u00e9\n", "\u00e9\n")])
    def test_a_description_is_any_text(self, row: dict[str, Any], value: str | None, kept: str | None) -> None:
        """Description may be empty or null, in either shape."""
        assert accepted(body({**row, "Description": value})).rows[0].description == kept

    @both_shapes
    @pytest.mark.parametrize("value", [0, True, [], {}])
    def test_a_description_is_nothing_but_text(self, row: dict[str, Any], value: object) -> None:
        """A Description that is no text is refused."""
        assert refused(body(row | {"Description": value})) == [("not_text", "Constraint[0].Description")]

    def test_everything_wrong_is_told_at_once(self) -> None:
        """Every rule is applied to every row: the reasons list all mistakes, and the interval is named all the same."""
        bad = DOCUMENTED_ROW | {"Name": "", "Price": "x", "OVERRIDE": 2, "BP1": "x"}
        text = body(bad, None, without(LIVE_ROW | {"Period": "x"}, "Price"), LIVE_ROW)
        assert sorted(refused(text)) == [
            ("bad_break_point", "Constraint[0].BP1"),
            ("bad_override", "Constraint[0].OVERRIDE"),
            ("bad_price", "Constraint[0].Price"),
            ("empty_name", "Constraint[0].Name"),
            ("missing_field", "Constraint[2].Price"),
            ("not_an_object", "Constraint[1]"),
            ("unreadable_period", "Constraint[2].Period"),
        ]
        assert RESERVE.examine(text).interval_end == END

    def test_a_duplicate_key_counts_as_its_last(self) -> None:
        """Where JSON repeats a key the last value counts, as in other readers, so none is refused or summed."""
        text = body(LIVE_ROW).replace(b'"Price": "-8.32"', b'"Price": "x", "Price": "-1"')
        assert accepted(text).rows[0].shadow_price == -1
