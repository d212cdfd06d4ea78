import pytest

from miso_archive.feeds.constraint_name import ConstraintName, parse_constraint_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3",
            ConstraintName("RDT_SO_MW", "South_North", ("STR", "Lost_Gen"), 3),
        ),
        ("RDT_MW_SO (North_South) - STR Zone_12", ConstraintName("RDT_MW_SO", "North_South", ("STR",), 12)),
        ("RDT_MW_SO (North_South) - STR", ConstraintName("RDT_MW_SO", "North_South", ("STR",), None)),
        ("RDT_MW_SO (North_South)", ConstraintName("RDT_MW_SO", "North_South", None, None)),
        ("RDT_MW_SO - STR+Lost_Gen Zone_1", ConstraintName("RDT_MW_SO", None, ("STR", "Lost_Gen"), 1)),
        ("RDT_MW_SO - STR", ConstraintName("RDT_MW_SO", None, ("STR",), None)),
        ("  Älvdal (A_B) - STR Zone_3 ", ConstraintName("Älvdal", "A_B", ("STR",), 3)),
    ],
)
def test_known_shapes_are_taken_apart(name: str, parts: ConstraintName) -> None:
    """Element, direction, terms and zone are read from a name in order; what the name leaves out is None."""
    assert parse_constraint_name(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "RDT_SO_MW", "None - None Zone", "a b c", "RDT_SO_MW ()", "(South_North) - STR", "A (B", "A B)"),
        *("A (B C) - STR", "A (B) (C) - STR", "A (B)- STR", "A (B) -STR", "A (B) - ", "A (B) - STR+", "A (B) - +STR"),
        *("A (B) - STR++SPIN", "A (B) - STR Zone_", "A (B) - STR Zone_x", "A (B) - STR zone_3", "A (B) - STR Zone_3 x"),
        *(
            "A (B) - STR Zone_12345",
            "A (B) - STR Zone_\u0663",
            "A (B) - STR  Zone_3",
            "A (B) - STR Zone_3\n",
            "A\tB - C",
        ),
        *("A (B) - STR - SPIN", "A (B) - STR Zone_3 Zone_4", "A (B) - STR Zone_-3"),
        *("A (B) - Zone_3", "A - Zone_3"),
    ],
)
def test_an_unknown_shape_is_not_guessed_at(name: str) -> None:
    """A name of another shape has no parts at all."""
    assert parse_constraint_name(name) == (None, None, None, None)


@pytest.mark.parametrize(
    "name", ["A - " + "a+" * 100_000, "A (" * 100_000, "A" * 300_000, "A (B) - a" + " Zone_1" * 40_000]
)
def test_a_long_name_takes_no_time(name: str) -> None:
    """A hostile name of some hundred thousand characters is answered like any other."""
    assert parse_constraint_name(name) == ConstraintName()
