"""What holds of every feed, by its recorded body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miso_archive.contract.findings import MOST_FINDINGS
from miso_archive.contract.rows import Table, fields_of
from miso_archive.feeds import FEEDS, KNOWN, feed_given
from miso_archive.feeds.drift import UNKNOWN_NAME_SHAPE, drift_of
from tests.feeds.near import bodies
from tests.feeds.recorded import each_feed, payload_of, rows_in, spelled, tables, with_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from miso_archive.feeds.feed import Feed

NUMBERS: tuple[object, ...] = (".71", "-.3", "-455", 5, -1.5, "0", "+2")
NO_NUMBERS: tuple[object, ...] = ("1,23", "NaN", "inf", "1 2", "--1", [], {}, True, "1e999")

each_table = pytest.mark.parametrize(
    ("feed", "table"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1].name}") for pair in tables()]
)


def found(feed: Feed, payload: object) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the reasons and the warnings of a body, by code and place."""
    verdict = feed.examine(spelled(payload))
    return [(one.code.value, one.where) for one in verdict.reasons], [
        (one.code.value, one.where) for one in verdict.warnings
    ]


def where(table: Table, number: int = 0) -> str:
    """Return the place of a row."""
    return f"{table.at}[{number}]"


@each_feed
class TestBodies:
    def test_the_recorded_body_is_accepted(self, feed: Feed) -> None:
        """A body as the host sent it has neither reasons nor warnings, and all its rows."""
        payload = payload_of(feed)
        verdict = feed.examine(spelled(payload))
        assert (verdict.reasons, verdict.warnings) == ((), ())
        assert verdict.snapshot is not None
        assert verdict.interval_end == verdict.snapshot.interval_end
        for table in feed.contract.tables:
            assert len(verdict.snapshot.tables[table.name]) == len(rows_in(payload, table)) > 0

    def test_what_rows_are_made_of_is_asked_once(self, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither another body nor a further row asks again, but of a table whose rows have several shapes."""
        body = spelled(payload_of(feed))
        feed.examine(body)
        asked: list[Table] = []
        required_of = Table.required_of

        def counted(table: Table, row: Mapping[str, Any]) -> tuple[str, ...]:
            asked.append(table)
            return required_of(table, row)

        monkeypatch.setattr("miso_archive.contract.rows.fields", lambda _: pytest.fail("fields are gathered again"))
        monkeypatch.setattr(Table, "required_of", counted)
        assert feed.examine(body).snapshot is not None
        one_shape = [table.name for table in feed.contract.tables if not table.shapes]
        assert [table.name for table in asked if not table.shapes] == one_shape

    @pytest.mark.parametrize(
        ("text", "of_an_object", "of_a_list"),
        [
            ("{}", {"missing_field"}, {"not_a_list"}),
            ('{"data":["None, None, None"]}', {"missing_field"}, {"not_a_list"}),
            ("[]", {"not_an_object"}, {"too_few_rows", "no_label_row"}),
        ],
    )
    def test_what_has_nothing_of_it_is_refused(
        self, feed: Feed, text: str, of_an_object: set[str], of_a_list: set[str]
    ) -> None:
        """Emptiness, as the retired host answers too, is refused for what is missing, or for not being what it is."""
        verdict = feed.examine(text.encode())
        assert verdict.snapshot is None
        is_a_list = not all(table.at for table in feed.contract.tables)
        assert {reason.code.value for reason in verdict.reasons} == (of_a_list if is_a_list else of_an_object)

    def test_a_body_of_another_feed_is_refused(self, feed: Feed) -> None:
        """No feed takes the body of another for its own, transmission that of subregional apart."""
        others = [other for other in FEEDS.values() if other is not feed]
        taken = [other.name for other in others if feed.examine(spelled(payload_of(other))).snapshot is not None]

        assert taken == (["subregional"] if feed.name == "transmission" else [])


@each_table
class TestRows:
    def test_each_required_field_is_missed(self, feed: Feed, table: Table) -> None:
        """Without a field that it is to have, a row is refused, by the field's place."""
        row = rows_in(payload_of(feed), table)[0]
        required = table.required_of(row)
        assert required
        for key in required:
            without = {name: value for name, value in row.items() if name != key}
            reasons, _ = found(feed, with_row(feed, table, 0, without))
            assert ("missing_field", f"{where(table)}.{key}") in reasons

    def test_an_unknown_field_is_warned_of(self, feed: Feed, table: Table) -> None:
        """A field that nobody knows is accepted with a warning."""
        row = rows_in(payload_of(feed), table)[0] | {"New": "1"}
        reasons, warnings = found(feed, with_row(feed, table, 0, row))
        assert (reasons, warnings) == ([], [("unknown_field", f"{where(table)}.New")])

    @pytest.mark.parametrize("row", [None, [], "text", 5, True, [{}]], ids=repr)
    def test_a_row_that_is_no_object_is_refused(self, feed: Feed, table: Table, row: object) -> None:
        """A list, a text or a number in place of a row is refused by its place."""
        assert ("not_an_object", where(table)) in found(feed, with_row(feed, table, 0, row))[0]

    @pytest.mark.parametrize("value", [{}, "rows", None, 5], ids=repr)
    def test_a_table_that_is_no_list_is_refused(self, feed: Feed, table: Table, value: Any) -> None:  # noqa: ANN401 - JSON
        """Where a list of rows belongs, nothing else is taken."""
        payload = payload_of(feed)
        if not table.at:
            assert feed.examine(spelled(value)).snapshot is None
            return
        *above, name = table.at.split(".")
        inner = payload
        for part in above:
            inner = inner[part]
        inner[name] = value
        code = "constraint_not_a_list" if feed.name == "reserve" else "not_a_list"
        assert found(feed, payload)[0] == [(code, table.at)]

    def test_numbers_are_numbers(self, feed: Feed, table: Table) -> None:
        """What is no finite number is refused where a number belongs; a number may be one, or text."""
        fields = [field for field in fields_of(table.row).values() if field.kind.holds is float]
        row = rows_in(payload_of(feed), table)[0]
        present = [field for field in fields if field.key in row]
        assert present
        for field in present:
            for wrong in NO_NUMBERS:
                reasons, _ = found(feed, with_row(feed, table, 0, row | {field.key: wrong}))
                assert reasons == [(field.bad.value, f"{where(table)}.{field.key}")], (field.key, wrong)
            for right in NUMBERS:
                reasons, _ = found(feed, with_row(feed, table, 0, row | {field.key: right}))
                assert not reasons, (field.key, right)

    def test_a_hundred_thousand_rows_are_looked_at(self, feed: Feed, table: Table) -> None:
        """A body with far too many rows is refused all the same, for as many reasons as are listed."""
        payload = payload_of(feed)
        rows: list[Any] = rows_in(payload, table)
        rows[:] = [5] * 100_000
        verdict = feed.examine(spelled(payload))
        assert (verdict.snapshot, len(verdict.reasons)) == (None, MOST_FINDINGS + 1)


@pytest.mark.slow("tries many bodies")
@each_feed
@settings(max_examples=25)
@given(data=st.data())
def test_any_body_gets_a_verdict(feed: Feed, data: st.DataObject) -> None:
    """Whatever is changed in a recorded body, or lost of its bytes, is accepted or refused in plain words."""
    body = data.draw(bodies(feed))
    at, lost = data.draw(st.integers(0, len(body))), data.draw(st.integers(0, 3))
    junk = data.draw(st.binary(max_size=3))
    for one in (body, body[:at] + junk + body[at + lost :]):
        verdict = feed.examine(one)
        assert (verdict.snapshot is None) == bool(verdict.reasons)
        assert max(len(verdict.reasons), len(verdict.warnings)) <= MOST_FINDINGS + 1
        for finding in (*verdict.reasons, *verdict.warnings):
            assert (finding.where + finding.message).isascii()
            assert (finding.where + finding.message).isprintable()
        if verdict.snapshot is not None:
            assert verdict.interval_end == verdict.snapshot.interval_end
            assert drift_of(feed, verdict).keys() <= {UNKNOWN_NAME_SHAPE, *(found.code for found in verdict.warnings)}


def test_a_feed_that_is_not_there_is_told() -> None:
    """The feeds that there are stand in the message."""
    with pytest.raises(ValueError, match=rf"^feed= is one of {', '.join(KNOWN)}, not 'fuelmix'$"):
        feed_given("fuelmix")
