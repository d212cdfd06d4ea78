"""Bodies made by hand to do harm, each with what the contract must say of it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from miso_archive.contract.body import MOST_BYTES
from tests.bodies import DOCUMENTED_ROW, LIVE_ROW, PLACEHOLDER, REF_ID, body, without
from tests.hostile.texts import NAMES, PERIODS, PRICES, REF_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HERE = "@here@"
_GOOD = body(LIVE_ROW)
_HEAD = f'{{"RefId":"{REF_ID}","Constraint":'.encode()
_SMALL_ROW = {"Name": "a", "Period": "2026-07-27T08:10:00", "Price": "1", "Description": ""}


@dataclass(frozen=True)
class Payload:
    """One body, made when it is asked for: some are large. Without ``reasons`` it is accepted."""

    name: str
    make: Callable[[], bytes]
    reasons: frozenset[str]
    warnings: frozenset[str]

    @property
    def accepted(self) -> bool:
        """Whether the contract accepts it."""
        return not self.reasons


def literal(field: str, text: str, row: dict[str, Any] = LIVE_ROW) -> bytes:
    """Spell a body in which a field of its row has this JSON text, valid or not, for its value."""
    spelled = body({**row, field: _HERE}).decode().replace(f'"{_HERE}"', text)
    return spelled.encode("utf-8", "surrogatepass")


def _ref_id(text: str) -> bytes:
    return body(ref_id=_HERE).decode().replace(f'"{_HERE}"', text).encode("utf-8", "surrogatepass")


def _constraint(text: bytes) -> bytes:
    return _HEAD + text + b"}"


def _rows(row: object, count: int) -> bytes:
    return _constraint(b"[" + b",".join([json.dumps(row, separators=(",", ":")).encode()] * count) + b"]")


def _twice(field: str, first: str, second: str) -> bytes:
    return _GOOD.replace(f'"{field}": "{LIVE_ROW[field]}"'.encode(), f'"{field}":{first},"{field}":{second}'.encode())


_STRUCTURES: dict[str, tuple[bytes, str]] = {
    "no rows": (_constraint(b"[]"), ""),
    "null": (b"null", "not_an_object"),
    "true": (b"true", "not_an_object"),
    "number": (b"1", "not_an_object"),
    "text": (b'"text"', "not_an_object"),
    "list": (b"[" + _GOOD + b"]", "not_an_object"),
    "empty object": (b"{}", "missing_field"),
    "error": (b'{"error":"no data"}', "error_payload"),
    "error that would write a log line": (b'{"error":"no data\\r\\n2026 ERROR forged"}', "error_payload"),
    "error that is deep": (b'{"error":' + b"[" * 500 + b"]" * 500 + b"}", "error_payload"),
    "error beside data": (_GOOD[:-1] + b',"error":"no data"}', "? unknown_field"),
    "no RefId": (b'{"Constraint":[]}', "missing_field"),
    "no Constraint": (b'{"RefId":"%s"}' % REF_ID.encode(), "missing_field"),
    "names in lower case": (_GOOD.lower(), "missing_field ? unknown_field"),
    "Constraint is null": (_constraint(b"null"), "constraint_not_a_list"),
    "Constraint is an object": (_constraint(b'{"0":{}}'), "constraint_not_a_list"),
    "Constraint is text": (_constraint(b'"[]"'), "constraint_not_a_list"),
    "Constraint is deep": (_constraint(b"[" * 1000 + b"]" * 1000), "not_an_object"),
    "rows of null": (_constraint(b"[null]"), "not_an_object"),
    "rows of lists": (_constraint(b'[["Name","Period"]]'), "not_an_object"),
    "rows of text": (_constraint(b'["Name"]'), "not_an_object"),
    "empty row": (_constraint(b"[{}]"), "missing_field"),
    "row without Price": (body(without(LIVE_ROW, "Price")), "missing_field"),
    "half a documented row": (body({**LIVE_ROW, "BP1": 1}), "missing_field"),
    "live and documented": (body(LIVE_ROW, DOCUMENTED_ROW), ""),
    "a bad row among good ones": (body(LIVE_ROW, {**LIVE_ROW, "Price": "x"}, LIVE_ROW), "bad_price"),
    "placeholder beside constraints": (body(PLACEHOLDER, LIVE_ROW), "? placeholder_beside_constraints"),
    "placeholder with a price": (body({**PLACEHOLDER, "Price": "-5"}), ""),
    "placeholder priced true": (body({**PLACEHOLDER, "Price": True}), "bad_price"),
    "placeholder priced by a list": (body({**PLACEHOLDER, "Price": []}), "bad_price"),
    "OVERRIDE is 2": (body({**DOCUMENTED_ROW, "OVERRIDE": 2}), "bad_override"),
    "OVERRIDE is a word": (body({**DOCUMENTED_ROW, "OVERRIDE": "true"}), "bad_override"),
    "OVERRIDE is a list": (body({**DOCUMENTED_ROW, "OVERRIDE": [1]}), "bad_override"),
    "OVERRIDE is 1.0": (body({**DOCUMENTED_ROW, "OVERRIDE": 1.0}), ""),
    "Quantity is true": (body({**DOCUMENTED_ROW, "Quantity": True}), "bad_quantity"),
    "Quantity overflows": (body({**DOCUMENTED_ROW, "Quantity": "1e999"}), "bad_quantity"),
    "BP1 is text": (body({**DOCUMENTED_ROW, "BP1": "None"}), "bad_break_point"),
    "PC2 is an object": (body({**DOCUMENTED_ROW, "PC2": {}}), "bad_break_point"),
    "ReserveType is an object": (body({**DOCUMENTED_ROW, "ReserveType": {}}), "? unknown_reserve_type"),
    "ReserveType forges a line": (body({**DOCUMENTED_ROW, "ReserveType": "SPIN\r\nERROR"}), "? unknown_reserve_type"),
    "Direction turns right to left": (body({**DOCUMENTED_ROW, "Direction": "\u202eUP"}), "? unknown_direction"),
    "Description is a list": (body({**LIVE_ROW, "Description": ["x"]}), "not_text"),
    "Description is true": (body({**LIVE_ROW, "Description": True}), "not_text"),
    "a field named like Python's own": (body({**LIVE_ROW, "__class__": {"__init__": 1}}), "? unknown_field"),
    "a field named like JavaScript's own": (body(LIVE_ROW, __proto__={"admin": True}), "? unknown_field"),
    "a field named like ours": (body({**LIVE_ROW, "shadow_price": 1, "market_day": "x"}), "? unknown_field"),
    "a field with control characters": (body({**LIVE_ROW, "\x00\x1b[2J\r\n": 1}), "? unknown_field"),
    "a field with a path": (body({**LIVE_ROW, "../../etc/passwd": 1}), "? unknown_field"),
    "a field without a name": (body({**LIVE_ROW, "": 1}), "? unknown_field"),
    "a field that is deep": (
        body({**LIVE_ROW, "X": 0}).replace(b": 0", b":" + b"[" * 1000 + b"]" * 1000),
        "? unknown_field",
    ),
    "Price twice": (_twice("Price", '"x"', '"-2"'), ""),
    "Price twice, the last bad": (_twice("Price", '"-2"', '"x"'), "bad_price"),
    "Name twice": (_twice("Name", '""', '"A"'), ""),
    "Period twice": (_twice("Period", '"2026-07-27T08:10:00"', '"2026-07-27T08:15:00"'), "? period_differs"),
    "Price twice, once escaped": (_twice("Price", '"1"', '"2"').replace(b'"Price":"2"', b'"\\u0050rice":"2"'), ""),
    "RefId twice": (_GOOD.replace(b'{"RefId"', b'{"RefId":"../..","RefId"', 1), ""),
    "RefId twice, the last bad": (_GOOD[:-1] + b',"RefId":"../.."}', "unreadable_ref_id"),
    "Constraint twice": (_GOOD[:-1] + b',"Constraint":[]}', ""),
    "Constraint twice, the last bad": (_GOOD[:-1] + b',"Constraint":null}', "constraint_not_a_list"),
}

_SPELLINGS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty_body"),
    "white space": (b" \t\r\n" * 100, "empty_body"),
    "a byte order mark alone": (b"\xef\xbb\xbf", "empty_body"),
    "byte order mark": (b"\xef\xbb\xbf" + _GOOD, ""),
    "two byte order marks": (b"\xef\xbb\xbf" * 2 + _GOOD, "not_json"),
    "byte order mark at the end": (_GOOD + b"\xef\xbb\xbf", "not_json"),
    "UTF-16": (_GOOD.decode().encode("utf-16"), "not_json"),
    "UTF-16 without mark": (_GOOD.decode().encode("utf-16-le"), "not_json"),
    "UTF-16, big end first": (_GOOD.decode().encode("utf-16-be"), "not_json"),
    "UTF-32": (_GOOD.decode().encode("utf-32"), "not_json"),
    "UTF-7": (b"+AHsAfQ-", "not_json"),
    "Latin-1": (literal("Name", '"caf\u00e9"').decode().encode("latin-1"), "not_json"),
    "EBCDIC": (_GOOD.decode().encode("cp037"), "not_json"),
    "overlong NUL": (literal("Name", '"A@"').replace(b"@", b"\xc0\x80"), "not_json"),
    "beyond Unicode": (literal("Name", '"A@"').replace(b"@", b"\xf4\x90\x80\x80"), "not_json"),
    "cut within a character": (literal("Name", '"A@"').replace(b"@", b"\xe2\x82"), "not_json"),
    "raw lone surrogate": (literal("Name", '"\ud800"'), "not_json"),
    "raw pair of surrogates": (literal("Name", '"\ud83d\ude00"'), "not_json"),
    "NUL before": (b"\x00" + _GOOD, "not_json"),
    "NUL behind": (_GOOD + b"\x00", "not_json"),
    "NUL only": (b"\x00" * 1000, "not_json"),
    "every byte": (bytes(range(256)), "not_json"),
    "raw control character in a text": (literal("Name", '"A\x1b[2J"'), "not_json"),
    "raw line break in a text": (literal("Name", '"A\n2026 ERROR forged"'), "not_json"),
    "raw DEL in a text": (literal("Name", '"A\x7f"'), ""),
    "gzip": (gzip.compress(_GOOD, mtime=0), "not_json"),
    "HTML": (b"<!DOCTYPE html><title>\x1b]0;owned\x07</title>", "html_page"),
    "XML with entities": (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa">]><a>&a;</a>', "html_page"),
    "HTML behind a mark": (b"\xef\xbb\xbf\r\n <html>", "html_page"),
    "HTML that is no text": (b"<\xff\xfe\x00\x80" * 100, "html_page"),
    "cut": (_GOOD[:-1], "not_json"),
    "cut at the start": (_GOOD[1:], "not_json"),
    "two objects": (_GOOD + b"\n" + _GOOD, "not_json"),
    "an object and more": (_GOOD + b"; DROP TABLE", "not_json"),
    "a comma too many": (_GOOD[:-1] + b",}", "not_json"),
    "a comment": (b"/* */" + _GOOD, "not_json"),
    "single quotes": (_GOOD.replace(b'"', b"'"), "not_json"),
    "JSONP": (b"callback(" + _GOOD + b")", "not_json"),
    "a guard against hijacking": (b")]}',\n" + _GOOD, "not_json"),
    "an unknown escape": (literal("Name", r'"\x41"'), "not_json"),
    "a cut escape": (literal("Name", r'"\u00"'), "not_json"),
    "white space of other kinds": (b"\x0b\x0c" + _GOOD + b"\x0c", ""),
    "white space of other kinds inside": (_GOOD.replace(b": ", b":\x0c", 1), "not_json"),
    "a space of Unicode": (b"\xc2\xa0" + _GOOD, "not_json"),
    "line breaks between the tokens": (_GOOD.replace(b', "', b',\r\n"').replace(b": ", b"\t:\n"), ""),
}

_LARGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "10^5 lists deep": (lambda: b"[" * 100_000, "not_json"),
    "10^5 lists deep and out again": (lambda: b"[" * 100_000 + b"]" * 100_000, "not_json"),
    "10^5 objects deep": (lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not_json"),
    "10^5 lists deep in a row": (lambda: _constraint(b"[" * 100_000 + b"]" * 100_000), "not_json"),
    "10^6 openings of either kind": (lambda: b'[{"":' * 1_000_000, "not_json"),
    "as many rows as fit": (lambda: _rows(_SMALL_ROW, 70_000), ""),
    "as many documented rows as fit": (lambda: _rows(DOCUMENTED_ROW, 26_000), ""),
    "10^5 rows are too large": (lambda: _rows(_SMALL_ROW, 100_000), "body_too_large"),
    "10^5 empty rows": (lambda: _rows({}, 100_000), "missing_field more_reasons"),
    "10^6 rows of null": (lambda: _rows(None, 1_000_000), "not_an_object more_reasons"),
    "as many placeholders as fit": (lambda: _rows({**PLACEHOLDER, "Description": ""}, 56_000), ""),
    "10^5 bad prices": (lambda: _rows({**_SMALL_ROW, "Price": ""}, 70_000), "bad_price more_reasons"),
    "10^5 new fields": (
        lambda: body({**LIVE_ROW, **dict.fromkeys(map(str, range(100_000)), 1)}),
        "? unknown_field more_warnings",
    ),
    "one new field a row": (
        lambda: body(*({**_SMALL_ROW, f"f{number}": 1} for number in range(40_000))),
        "? unknown_field more_warnings",
    ),
    "one new reserve type a row": (
        lambda: body(*({**DOCUMENTED_ROW, "ReserveType": str(number)} for number in range(20_000))),
        "? unknown_reserve_type more_warnings",
    ),
    "a row with a key 10^5 times": (
        lambda: _constraint(b"[{" + b'"Name":"a",' * 100_000 + b'"Name":"a"}]'),
        "missing_field",
    ),
    "a name of 5 MB": (lambda: literal("Name", '"' + "A" * 5_000_000 + '"'), ""),
    "a name of 10 MB": (lambda: literal("Name", '"' + "A" * 10_000_000 + '"'), "body_too_large"),
    "a name of 5 MB that nearly has a shape": (lambda: literal("Name", '"A - ' + "a+" * 2_400_000 + ' x"'), ""),
    "a name of 5 MB of parentheses": (lambda: literal("Name", '"A ' + "(" * 4_900_000 + '"'), ""),
    "a name of 10^5 terms": (lambda: literal("Name", '"A (B) - ' + "+".join(["a"] * 100_000) + ' Zone_1"'), ""),
    "a description of 5 MB": (lambda: literal("Description", '"' + "\\u0000" * 800_000 + '"'), ""),
    "a field's name of 5 MB": (lambda: body({**LIVE_ROW, "x" * 5_000_000: 1}), "? unknown_field"),
    "an error of 5 MB": (lambda: json.dumps({"error": "\x1b" * 800_000}).encode(), "error_payload"),
    "a RefId of 5 MB": (lambda: _ref_id('"' + "27-Jul-2026" * 450_000 + '"'), "unreadable_ref_id"),
    "a RefId of 5 MB of blanks": (lambda: _ref_id('"' + " " * 5_000_000 + '"'), "empty_ref_id"),
    "a Period of 5 MB": (
        lambda: literal("Period", '"2026-07-27T08:10:00.' + "0" * 5_000_000 + '"'),
        "unreadable_period",
    ),
    "a price of 5 MB": (lambda: literal("Price", "9" * 5_000_000), "not_json"),
    "a price of 5 MB as text": (lambda: literal("Price", '"' + "9" * 5_000_000 + '"'), "bad_price"),
    "a small price of 5 MB as text": (lambda: literal("Price", '"0.' + "0" * 5_000_000 + '1"'), ""),
    "an exponent of 5 MB": (lambda: literal("Price", '"1e' + "9" * 5_000_000 + '"'), "bad_price"),
    "blanks up to the limit": (lambda: _GOOD.ljust(MOST_BYTES), ""),
    "blanks beyond the limit": (lambda: _GOOD.ljust(MOST_BYTES + 1), "body_too_large"),
    "10 MB of HTML": (lambda: b"<html>" * 1_700_000, "body_too_large"),
    "5 MB of HTML": (lambda: b"<html>" * 800_000, "html_page"),
}


def _payload(name: str, make: Callable[[], bytes], expected: str) -> Payload:
    """Read what is expected: reasons, then, behind a question mark, warnings."""
    reasons, _, warnings = expected.partition("?")
    return Payload(name, make, frozenset(reasons.split()), frozenset(warnings.split()))


def _all() -> Iterator[Payload]:
    for field, texts in (("Price", PRICES), ("Period", PERIODS), ("Name", NAMES)):
        for text, expected in texts.items():
            yield _payload(f"{field} {text}", partial(literal, field, text), expected)
    for text, expected in REF_IDS.items():
        yield _payload(f"RefId {text}", partial(_ref_id, text), expected)
    for name, (content, expected) in (_STRUCTURES | _SPELLINGS).items():
        yield _payload(name, partial(bytes, content), expected)
    for name, (make, expected) in _LARGE.items():
        yield _payload(name, make, expected)


PAYLOADS = list(_all())
"""All bodies of the hand list."""

LARGE = [payload for payload in PAYLOADS if payload.name in _LARGE]
"""Those that are made to cost memory or time."""
