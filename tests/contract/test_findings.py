import json
import re
import time
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from miso_archive.cli.app import main
from miso_archive.collecting.fetch import UndecodedError
from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.findings import MOST_FINDINGS, FailureCode, Finding, RefusalCode, WarningCode
from miso_archive.contract.rows import fields_of
from miso_archive.feeds import FEEDS, KNOWN
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.text import shown
from tests.bodies import DOCUMENTED_ROW, END, LIVE_ROW, PLACEHOLDER, REF_ID, body, without
from tests.contract.judged import accepted, refused, warned
from tests.feeds.recorded import text_of
from tests.healing.test_compared import a_contradiction
from tests.report_files import bound, real_time
from tests.reports.test_read import DAY
from tests.reports.test_read import refused as refused_report

HTML = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"

REFUSED: dict[RefusalCode, bytes] = {
    RefusalCode.EMPTY_BODY: b"",
    RefusalCode.BODY_TOO_LARGE: body(LIVE_ROW) + b" " * MOST_BYTES,
    RefusalCode.HTML_PAGE: HTML,
    RefusalCode.NOT_JSON: b'{"RefId":',
    RefusalCode.ERROR_PAYLOAD: b'{"error":"no data"}',
    RefusalCode.NOT_AN_OBJECT: b"[]",
    RefusalCode.MISSING_FIELD: body(without(LIVE_ROW, "Price")),
    RefusalCode.NOT_TEXT: body(LIVE_ROW | {"Name": 1}),
    RefusalCode.EMPTY_REF_ID: body(ref_id=""),
    RefusalCode.UNREADABLE_REF_ID: body(ref_id="None"),
    RefusalCode.CONSTRAINT_NOT_A_LIST: json.dumps({"RefId": REF_ID, "Constraint": None}).encode(),
    RefusalCode.EMPTY_NAME: body(LIVE_ROW | {"Name": ""}),
    RefusalCode.EMPTY_PERIOD: body(LIVE_ROW | {"Period": ""}),
    RefusalCode.UNREADABLE_PERIOD: body(LIVE_ROW | {"Period": "None"}),
    RefusalCode.BAD_PRICE: body(LIVE_ROW | {"Price": "x"}),
    RefusalCode.BAD_QUANTITY: body(DOCUMENTED_ROW | {"Quantity": "x"}),
    RefusalCode.BAD_OVERRIDE: body(DOCUMENTED_ROW | {"OVERRIDE": "x"}),
    RefusalCode.BAD_BREAK_POINT: body(DOCUMENTED_ROW | {"BP1": "x"}),
    RefusalCode.MORE_REASONS: body(*[None] * (MOST_FINDINGS + 1)),
}
# What reserve is never refused for, or warned of.
REFUSED_OF_SISTERS: dict[RefusalCode, tuple[str, str, str]] = {
    RefusalCode.NOT_A_LIST: ("subregional", '"Constraint":[', '"Constraint":5,"x":['),
    RefusalCode.TOO_FEW_ROWS: ("fuel_mix", '"Type":[', '"Type":[],"x":['),
    RefusalCode.EMPTY_VALUE: ("rt_exante_lmp", '"SWPP"', '""'),
    RefusalCode.BAD_NUMBER: ("fuel_mix", '"705"', '"1,23"'),
    RefusalCode.NO_LABEL_ROW: ("snapshot", "Current", "Former"),
    RefusalCode.WRONG_PAGE: ("da_exante_asm_mcp", '"pageNumber":1', '"pageNumber":0'),
}
WARNED_OF_SISTERS: dict[WarningCode, tuple[str, str, str]] = {
    WarningCode.SUM_DIFFERS: ("fuel_mix", '"705"', '"706"'),
    WarningCode.ENERGY_DIFFERS: ("rt_exante_lmp", '"29.20"', '"29.23"'),
    WarningCode.PARTS_DIFFER: ("rt_exante_lmp_history", '"lmp":22.1', '"lmp":22.2'),
}
REFUSED_REPORTS: dict[RefusalCode, bytes] = {
    RefusalCode.NOT_A_WORKBOOK: b"PK\x03\x04 a newer workbook",
    RefusalCode.REPORT_LAYOUT: real_time(DAY, disclaimer=None),
    RefusalCode.REPORT_MARKET_DAY: real_time(DAY + timedelta(days=1)),
    RefusalCode.UNREADABLE_TIME: real_time(DAY, bound("soon")),
}
WARNED: dict[WarningCode, bytes] = {
    WarningCode.UNKNOWN_FIELD: body(LIVE_ROW | {"Zone": 3}),
    WarningCode.UNKNOWN_RESERVE_TYPE: body(DOCUMENTED_ROW | {"ReserveType": "STR"}),
    WarningCode.UNKNOWN_DIRECTION: body(DOCUMENTED_ROW | {"Direction": "SIDEWAYS"}),
    WarningCode.PERIOD_DIFFERS: body(LIVE_ROW | {"Period": "2026-07-27T08:05:00"}),
    WarningCode.OFF_GRID_INTERVAL: body(ref_id="27-Jul-2026 - Interval 08:11 EST"),
    WarningCode.PLACEHOLDER_BESIDE_CONSTRAINTS: body(LIVE_ROW, PLACEHOLDER),
    WarningCode.MORE_WARNINGS: body(LIVE_ROW | {f"Field{number}": 0 for number in range(MOST_FINDINGS + 1)}),
}
NASTY = "\x00\n\r\t\x1b[31m\x7f\x85\u00e9\u2028\u202e\U0001f600'\"{message}%s\\"

EVERY_ROW = [table.row for feed in FEEDS.values() for table in feed.contract.tables]
EVERY_ROW += [feed.contract.figures for feed in FEEDS.values() if feed.contract.figures]


def changed(name: str, old: str, new: str) -> tuple[Feed, bytes]:
    """Return a feed, and its recorded body with one text put in place of another."""
    text = text_of(KNOWN[name])
    assert old in text
    return KNOWN[name], text.replace(old, new).encode()


class TestCodes:
    @pytest.mark.parametrize("code", RefusalCode)
    def test_every_refusal_code_is_produced(
        self, code: RefusalCode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each code that is documented has a payload, or a report, that is refused for it and for nothing else."""
        if code is RefusalCode.UNREADABLE_FILE:
            assert main(["validate", "--json", str(tmp_path / "missing")]) == 1
            codes = {reason["code"] for reason in json.loads(capsys.readouterr().out)["reasons"]}
        elif code is RefusalCode.UNREADABLE_ENCODING:
            codes = {reason.code for reason in UndecodedError(FailureCode.FEED_ENCODING, "").reasons}
        elif code in REFUSED_OF_SISTERS:
            feed, text = changed(*REFUSED_OF_SISTERS[code])
            codes = {reason.code.value for reason in feed.examine(text).reasons}
        elif code is RefusalCode.REPORT_TIMES:
            codes = {found.code.value for found in [a_contradiction(tmp_path)] if found is not None}
        elif code in REFUSED_REPORTS:
            codes = {where for where, _ in refused_report(REFUSED_REPORTS[code])}
        else:
            codes = {where for where, _ in refused(REFUSED[code])}
        assert codes - {RefusalCode.NOT_AN_OBJECT if code is RefusalCode.MORE_REASONS else ""} == {code}

    @pytest.mark.parametrize("code", WarningCode)
    def test_every_warning_code_is_produced(self, code: WarningCode) -> None:
        """Each warning has a payload that is accepted with it and with no other."""
        feed, text = changed(*WARNED_OF_SISTERS[code]) if code in WARNED_OF_SISTERS else (RESERVE, WARNED[code])
        codes = {where for where, _ in warned(feed.examine(text))}
        assert codes - {WarningCode.UNKNOWN_FIELD if code is WarningCode.MORE_WARNINGS else ""} == {code}

    @pytest.mark.parametrize("code", [*RefusalCode, *WarningCode])
    def test_every_code_is_stable_text_with_a_meaning(self, code: RefusalCode | WarningCode) -> None:
        """A code is one lower-case word, as its name says, and its meaning a sentence for the documentation."""
        assert code.value == str(code) == code.name.lower()
        assert code.meaning.endswith(".")

    def test_what_is_said_of_another_interval_names_each_field(self) -> None:
        """The warning's meaning has each field that says the interval again, and which of them need not be readable."""
        differs, _, unreadable = WarningCode.PERIOD_DIFFERS.meaning.partition("; or ")
        again = [field for row in EVERY_ROW for field in fields_of(row).values() if field.agrees]
        for told, fields in ((differs, again), (unreadable, [field for field in again if field.only_agrees])):
            names = set(re.findall("`(.*?)`", told)) - {"RefId"}
            assert names == {field.key.rpartition(".")[2] for field in fields}

    def test_a_finding_is_plain_text(self) -> None:
        """A finding's three parts come out as text, ready for JSON."""
        finding = Finding(RefusalCode.BAD_PRICE, "Constraint[0].Price", "is bad")
        assert json.loads(orjson.dumps(finding.as_dict())) == {
            "code": "bad_price",
            "where": "Constraint[0].Price",
            "message": "is bad",
        }


class TestStrangeBodies:
    @pytest.mark.parametrize("text", [b"", b" ", b"\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
    def test_nothing_is_an_empty_body(self, text: bytes) -> None:
        """No bytes, white space and a byte order mark alone are all empty."""
        assert refused(text) == [("empty_body", "body")]

    @pytest.mark.parametrize(
        "text", [HTML, b"\n  " + HTML, b"\xef\xbb\xbf" + HTML, b"<", b"<?xml version='1.0'?>", b"<\xff"]
    )
    def test_a_page_has_its_own_code(self, text: bytes) -> None:
        """An HTML or XML page with status 200 is told from broken JSON."""
        assert refused(text) == [("html_page", "body")]

    @pytest.mark.parametrize(
        "text",
        [b'{"error":"no data"}', b'\xef\xbb\xbf {"error":"no data"} ', b'{"error":null}', b'{"error":{},"status":500}'],
    )
    def test_an_error_has_its_own_code(self, text: bytes) -> None:
        """What the feed's retired address answers with status 200 is told from missing fields."""
        assert refused(text) == [("error_payload", "error")]

    def test_an_error_beside_data_is_drift(self) -> None:
        """A whole snapshot with a field named error is accepted, with a warning."""
        assert warned(RESERVE.examine(body(LIVE_ROW, error="late"))) == [("unknown_field", "error")]

    @pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b" \t"])
    def test_a_byte_order_mark_does_no_harm(self, mark: bytes) -> None:
        """A body is read with a byte order mark or white space around it."""
        assert accepted(mark + body(LIVE_ROW) + b"\r\n").interval_end == END

    @pytest.mark.parametrize(
        "number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 400, b"01", b"+1", b"0x1", b"'1'"]
    )
    def test_numbers_that_json_does_not_have_are_refused(self, number: bytes) -> None:
        """NaN, infinities and overflow as JSON literals make the body unreadable, never a price."""
        text = body(DOCUMENTED_ROW).replace(b"12.5", number)
        assert number in text
        assert refused(text) == [("not_json", "body")]

    @pytest.mark.parametrize(
        "text",
        [
            *(
                b'"\\ud800"',
                b'{"RefId":"\\udc00"}',
                b'{"RefId":"\xff"}',
                b'{"RefId":"\xed\xa0\x80"}',
                b'{"RefId":"\x01"}',
            ),
            *(
                body(LIVE_ROW).decode().encode("utf-16"),
                body(LIVE_ROW)[:-1],
                body(LIVE_ROW) + b"{}",
                b"\x00",
                b"{,}",
                b"nul",
            ),
            *(b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"RefId":' * 5000 + b"0" + b"}" * 5000),
        ],
    )
    def test_broken_json_is_refused(self, text: bytes) -> None:
        """Lone surrogates, other encodings, cut bodies and endless nesting are refused, and nothing breaks."""
        assert refused(text) == [("not_json", "body")]

    @pytest.mark.parametrize(("spare", "codes"), [(0, []), (1, [("body_too_large", "body")])])
    def test_five_mebibytes_are_the_limit(self, spare: int, codes: list[tuple[str, str]]) -> None:
        """A body of exactly 5 MiB is read, a byte more is refused whatever it holds."""
        text = body(LIVE_ROW).ljust(5 * 1024 * 1024 + spare)
        assert [(reason.code.value, reason.where) for reason in RESERVE.examine(text).reasons] == codes


class TestFindings:
    def test_reasons_are_bounded(self) -> None:
        """A hundred thousand bad rows give a hundred reasons, in order, and a last one that says where it stopped."""
        reasons = RESERVE.examine(body(*[0] * 100_000)).reasons
        assert [reason.where for reason in reasons] == [*(f"Constraint[{number}]" for number in range(100)), "body"]
        assert reasons[-1] == Finding(
            RefusalCode.MORE_REASONS,
            "body",
            "what begins at Constraint[100] is not examined",
        )

    @pytest.mark.parametrize(("rows", "findings"), [(99, 99), (100, 100), (101, 101), (102, 101)])
    def test_exactly_a_hundred_reasons_need_no_count(self, rows: int, findings: int) -> None:
        """Up to a hundred reasons are all listed; only beyond that a last one counts."""
        assert len(RESERVE.examine(body(*[None] * rows)).reasons) == findings

    def test_kinds_of_warnings_are_bounded(self) -> None:
        """A thousand fields nobody knows give a hundred warnings and a count of those not listed."""
        warnings = RESERVE.examine(body(LIVE_ROW | {f"Field{number}": 0 for number in range(1000)})).warnings
        assert [warning.where for warning in warnings] == [*(f"Constraint[0].Field{n}" for n in range(100)), "body"]
        assert warnings[-1] == Finding(WarningCode.MORE_WARNINGS, "body", "and 900 more")

    def test_a_drift_in_every_row_is_one_warning(self) -> None:
        """A new field in all rows is one warning, at its first row, with a count."""
        (warning,) = RESERVE.examine(body(LIVE_ROW, *[LIVE_ROW | {"Zone": 3}] * 500)).warnings
        assert (warning.where, warning.message) == ("Constraint[1].Zone", "is not a field of the contract (500 times)")

    def test_each_unknown_value_is_a_warning(self) -> None:
        """Two unknown reserve types are two warnings, each with its value."""
        rows = [DOCUMENTED_ROW | {"ReserveType": kind} for kind in ("STR", "RCP", "STR")]
        warnings = RESERVE.examine(body(*rows)).warnings
        assert [(warning.where, warning.message) for warning in warnings] == [
            ("Constraint[0].ReserveType", "'STR' is not known (2 times)"),
            ("Constraint[1].ReserveType", "'RCP' is not known"),
        ]

    @pytest.mark.parametrize("field", ["RefIdentity", "Zone", "name", "Price ", ""])
    def test_unknown_fields_pass_and_are_reported(self, field: str) -> None:
        """A field that neither shape has is drift, in the body and in rows of both kinds, and nothing is refused."""
        assert warned(RESERVE.examine(body(LIVE_ROW, **{field: 1}))) == [("unknown_field", field)]
        for row in (LIVE_ROW, DOCUMENTED_ROW, PLACEHOLDER):
            assert warned(RESERVE.examine(body(row | {field: 1}))) == [("unknown_field", f"Constraint[0].{field}")]

    def test_a_placeholder_is_not_checked_for_known_values(self) -> None:
        """The None that stands in all eleven fields of a placeholder is no drift."""
        row = dict.fromkeys(DOCUMENTED_ROW, "None") | {"Period": "2026-07-27T13:10:00Z"}
        assert accepted(body(row)).quiet

    @pytest.mark.parametrize("at", [0, 1])
    def test_a_placeholder_beside_constraints_is_warned_of(self, at: int) -> None:
        """The constraints count, in any order, and the warning names the placeholder's row."""
        rows = [LIVE_ROW, LIVE_ROW]
        rows.insert(at, PLACEHOLDER)
        verdict = RESERVE.examine(body(*rows))
        assert warned(verdict) == [("placeholder_beside_constraints", f"Constraint[{at}]")]
        assert verdict.snapshot is not None
        assert len(verdict.snapshot.rows) == 2

    @pytest.mark.parametrize("row", [LIVE_ROW, DOCUMENTED_ROW, PLACEHOLDER])
    @pytest.mark.parametrize("period", ["2026-07-27T08:05:00", "2026-07-27T08:10:00Z", "2026-07-27T08:10:01"])
    def test_a_period_of_another_interval_is_warned_of(self, row: dict[str, object], period: str) -> None:
        """RefId names the interval; a row or placeholder of another time passes with a warning."""
        verdict = RESERVE.examine(body(row | {"Period": period}))
        assert warned(verdict) == [("period_differs", "Constraint[0].Period")]
        assert verdict.interval_end == END


class TestMessages:
    @pytest.mark.parametrize(
        "text",
        [
            *(body(LIVE_ROW | {field: NASTY}) for field in ("Period", "Price")),
            *(
                body(DOCUMENTED_ROW | {field: NASTY})
                for field in ("Quantity", "OVERRIDE", "BP1", "ReserveType", "Direction")
            ),
            *(body(LIVE_ROW | {NASTY: 1}), body(LIVE_ROW, **{NASTY: 1}), body(ref_id=NASTY), body(NASTY)),
            *(body(ref_id=f"{REF_ID}{NASTY}"), body(LIVE_ROW | {"Period": f"2026-02-30T08:10{NASTY}"})),
            *(
                json.dumps(value).encode()
                for value in (NASTY, {"error": NASTY}, {"RefId": REF_ID, "Constraint": NASTY})
            ),
            *(f"<html>{NASTY}".encode(), b"<\xff\xfe\x00\n", NASTY.encode(), b'{"\xff\n', f'{{"{NASTY}'.encode()),
        ],
    )
    def test_messages_are_one_line_of_ascii(self, text: bytes) -> None:
        """Control characters, other scripts and format signs of the feed reach no message unescaped."""
        verdict = RESERVE.examine(text)
        findings = verdict.reasons + verdict.warnings
        assert findings
        for finding in findings:
            spelled = finding.where + finding.message
            assert spelled.isascii()
            assert spelled.isprintable()

    @pytest.mark.parametrize(("field", "column"), [("Name", "constraint_name"), ("Description", "description")])
    def test_text_is_kept_as_it_was_sent(self, field: str, column: str) -> None:
        """Names and descriptions may hold anything: they are data, and kept to the character."""
        (constraint,) = accepted(body(LIVE_ROW | {field: NASTY})).rows
        assert getattr(constraint, column) == NASTY

    @pytest.mark.parametrize("value", ["x" * 1_000_000, "\U0001f600" * 100_000, [0] * 100_000, {"x": [0] * 100_000}])
    @pytest.mark.parametrize("field", ["Period", "Price", "ReserveType", "Quantity"])
    def test_messages_are_short(self, value: object, field: str) -> None:
        """However long the value, the message quotes no more than its start."""
        verdict = RESERVE.examine(body(DOCUMENTED_ROW | {field: value}))
        assert [len(finding.message) < 200 for finding in verdict.reasons + verdict.warnings] == [True]

    def test_a_long_field_name_is_cut(self) -> None:
        """A field named by a megabyte is reported by its start."""
        (warning,) = RESERVE.examine(body(LIVE_ROW | {"x" * 1_000_000: 0})).warnings
        assert warning.where.startswith("Constraint[0].xxxx")
        assert len(warning.where) < 100

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            *(("a", "'a'"), (None, "None"), (1.5, "1.5"), (True, "True"), ({"a": 1}, "an object"), ([1], "a list")),
            *(("\u00e9\n", "'\\xe9\\n'"), ("x" * 58, f"'{'x' * 58}'"), ("x" * 59, f"'{'x' * 59}..."), ("", "''")),
        ],
    )
    def test_values_are_spelled_for_a_log_line(self, value: object, text: str) -> None:
        """A value is quoted in ASCII, cut at sixty characters; lists and objects are only named."""
        assert shown(value) == text

    @pytest.mark.parametrize(
        "row",
        [
            *({"Price": "1" * 6000 + "x"}, {"Price": "." + "1" * 6000 + "x"}, {"Price": " " * 6000 + "x"}),
            *({"Period": "2026-07-27T08:10" + " " * 12_000 + "x"}, {"Period": " " * 6000 + "x"}),
        ],
        ids=["digits", "decimals", "blanks", "blanks behind a period", "blanks before a period"],
    )
    def test_a_long_value_costs_no_time(self, row: dict[str, str]) -> None:
        """A value of a few thousand characters is refused in an instant: time grows with length, not its square."""
        text = body(LIVE_ROW | row)
        before = time.process_time()
        assert len(RESERVE.examine(text).reasons) == 1
        assert time.process_time() - before < 0.25
