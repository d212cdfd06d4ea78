"""JSON texts for single fields, each with what the contract must say: reasons, and behind a question mark, warnings.

A text is spelled as it stands in the body, quotes included, so that also what is no JSON can be written.
"""

from __future__ import annotations

PRICES = {
    # Accepted: they are finite numbers, however they are spelled.
    **dict.fromkeys(("-0", "-0.0", "0", "0e0", '"-0"', '"-0.00"', '"+0"', '"0"'), ""),
    **dict.fromkeys(("1e308", '"1e308"', "5e-324", "1e-400", '"1e-400"', '"-1E-999"', "1E+2"), ""),
    **dict.fromkeys(('"+1"', '".5"', '"5."', '" 1 "', '"\\t1\\n"', '"0000001"', '"-8.32"'), ""),
    **dict.fromkeys(("9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775809"), ""),
    '"1\\u0032"': "",
    # Not JSON, so the whole body is refused.
    **dict.fromkeys(("1e999", "-1e999", "9" * 400, "NaN", "Infinity", "-Infinity", "nan", "None"), "not_json"),
    **dict.fromkeys(
        ("0123", "+1", "1.", ".5", "0x10", "1_000", "1,000", "\uff11\uff12", "\u0661", "--1", "1e"), "not_json"
    ),
    **dict.fromkeys(
        ('"\\ud800"', '"\\udc00\\ud800"', '"\\ud800\\ud800"', '"1\x00"', '"1\x1f"', "'1'", "undefined", ""), "not_json"
    ),
    # JSON, and no finite number.
    **dict.fromkeys(("true", "false", "null", "[]", "{}", "[1]", '{"value":1}', '[["-8.32"]]'), "bad_price"),
    **dict.fromkeys(
        ('""', '" "', '"NaN"', '"nan"', '"-nan"', '"Infinity"', '"inf"', '"-Infinity"', '"1e999"'), "bad_price"
    ),
    **dict.fromkeys(
        ('"1,000"', '"1_000"', '"0x10"', '"1e"', '"e1"', '"--1"', '"+-1"', '"1 2"', '"$1"', '"1%"'), "bad_price"
    ),
    **dict.fromkeys(
        ('"\uff11\uff12"', '"\u0661\u0662"', '"\u00b2"', '"\u22121"', '"1\u00a0"', '"\u202e1"'), "bad_price"
    ),
    **dict.fromkeys(('"\ufeff1"', '"1\\u0000"', '"\\u000b1"', '"1\u200b"', '"true"', '"None"', '"null"'), "bad_price"),
    **dict.fromkeys((f'"{"9" * 400}"', '"1\\n2"', '"1;DROP"', '"=1+1"', '"\\ud83d\\ude00"'), "bad_price"),
}

PERIODS = {
    **dict.fromkeys(('"2026-07-27T08:10"', '"2026-07-27 08:10:00"', '"2026-07-27T08:10:00.000000000"'), ""),
    **dict.fromkeys(('"2026-07-27T13:10:00Z"', '"2026-07-27t13:10:00z"', '"2026-07-28T08:10:00+1900"'), ""),
    '"  2026-07-27T08:10:00  "': "",
    **dict.fromkeys(('"2000-01-01T00:00:00+23:59"', '"2199-12-31T23:59:59-23:59"'), "? period_differs"),
    **dict.fromkeys(('"2024-02-29T00:00:00"', '"2026-07-27T08:10:00.123456789"'), "? period_differs"),
    **dict.fromkeys(('""', '"   "', "null", '"\\u3000"'), "empty_period"),
    **dict.fromkeys(("0", "1e18", "true", "[]", "{}", "20260727081000"), "not_text"),
    **dict.fromkeys(
        ('"0000-01-01T00:00:00"', '"0001-01-01T00:00:00+23:59"', '"1999-12-31T23:55:00"'), "unreadable_period"
    ),
    **dict.fromkeys(
        ('"9999-12-31T23:59:59Z"', '"9999-12-31T23:59:59-23:59"', '"2200-01-01T00:00:00"'), "unreadable_period"
    ),
    **dict.fromkeys(('"2026-02-30T08:10:00"', '"2025-02-29T08:10:00"', '"2026-13-01T08:10:00"'), "unreadable_period"),
    **dict.fromkeys(('"2026-07-00T08:10:00"', '"2026-07-27T24:00:00"', '"2026-07-27T08:60:00"'), "unreadable_period"),
    **dict.fromkeys(
        ('"2026-07-27T08:10:60"', '"2026-07-27T08:10:00+24:00"', '"2026-07-27T08:10:00+99:99"'), "unreadable_period"
    ),
    **dict.fromkeys(('"2026-W31-1T08:10"', '"2026-208T08:10"', '"20260727T0810"', '"2026-07-27"'), "unreadable_period"),
    **dict.fromkeys(('"12026-07-27T08:10:00"', '"-2026-07-27T08:10:00"', '"2026-7-27T8:10"'), "unreadable_period"),
    **dict.fromkeys(('"\uff12026-07-27T08:10:00"', '"2026-07-27T08:10:0\u0660"'), "unreadable_period"),
    **dict.fromkeys(('"\u200f2026-07-27T08:10:00"', '"\ufeff2026-07-27T08:10:00"'), "unreadable_period"),
    **dict.fromkeys(
        ('"2026-07-27T08:10:00\\u0000"', '"2026-07-27T08:10:00\\n"', '"\\t2026-07-27T08:10"'), "unreadable_period"
    ),
    **dict.fromkeys(('"None"', '"now"', '"P1D"', '"../../2026"', '"\\u001b[2J"'), "unreadable_period"),
    '"2026-07-27T08:10:00 EST"': "unreadable_period",
    '"\\ud800"': "not_json",
}

REF_IDS = {
    **dict.fromkeys(('"27-Jul-2026 - Interval 08:10 EST"', '"27-Jul-2026, 08:10 EST"', '"27-JUL-2026, 8:10 EST"'), ""),
    **dict.fromkeys(
        ('"27-Jul-2026 - Interval 00:00 EST"', '"29-Feb-2024, 00:00 EST"', '" 27-Jul-2026, 08:10 EST "'), ""
    ),
    **dict.fromkeys(('"01-Jan-2000, 00:00 EST"', '"31-Dec-2199, 23:55 EST"'), ""),
    '"27-Jul-2026, 23:59 EST"': "? off_grid_interval",
    **dict.fromkeys(('""', '"  "', "null", '"\\u00a0\\u3000"'), "empty_ref_id"),
    **dict.fromkeys(("0", "false", "true", "1e300", "[]", "{}", '["27-Jul-2026, 08:10 EST"]'), "not_text"),
    **dict.fromkeys(
        ('"30-Feb-2026, 08:10 EST"', '"29-Feb-2025, 08:10 EST"', '"31-Apr-2026, 08:10 EST"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"00-Jul-2026, 08:10 EST"', '"27-Jul-2026, 24:00 EST"', '"27-Jul-2026, 08:60 EST"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"31-Dec-9999, 23:55 EST"', '"01-Jan-0000, 00:00 EST"', '"01-Jan-0001, 00:00 EST"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"31-Dec-1999, 23:55 EST"', '"01-Jan-2200, 00:00 EST"', '"27-Jul-99999, 08:10 EST"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"../../27-Jul-2026, 08:10 EST"', '"27-Jul-2026, 08:10 EST/../../x"', '"/etc/passwd"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"..%2f..%2f27-Jul-2026, 08:10 EST"', '"..\\\\..\\\\27-Jul-2026, 08:10 EST"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(('"27-Jul-2026, 08:10 EST\\u0000.json"', '"27-Jul-2026,\\u000008:10 EST"'), "unreadable_ref_id"),
    **dict.fromkeys(
        ('"27-Jul-2026, 08:10 EST\\n"', '"\\r\\n27-Jul-2026, 08:10 EST"', '"27-Jul-2026,\\t08:10 EST"'),
        "unreadable_ref_id",
    ),
    **dict.fromkeys(
        ('"27-Jul-2026, 08:10 EST\\r\\nx-amz-acl: public-read"', '"\\u001b]0;x\\u0007"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(('"\uff12\uff17-Jul-2026, 08:10 EST"', '"27-Jul-2026, \u0660\u0668:10 EST"'), "unreadable_ref_id"),
    **dict.fromkeys(
        ('"27-\u017fep-2026, 08:10 EST"', '"27-\u0406ul-2026, 08:10 EST"', '"27-Xyz-2026, 08:10 EST"'),
        "unreadable_ref_id",
    ),
    **dict.fromkeys(
        ('"\u200f27-Jul-2026, 08:10 EST"', '"\ufeff27-Jul-2026, 08:10 EST"', '"\u202eTSE 01:80"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"27-Jul-2026, 08:10 EDT"', '"27-Jul-2026, 08:10 US/Eastern"', '"27-Jul-2026, 08:10"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"27-Jul-2026    , 08:10 EST"', '"-1-Jul-2026, 08:10 EST"', '"27-Jul-2026, -8:10 EST"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(
        ('"2026-07-27T08:10:00"', '"27/Jul/2026, 08:10 EST"', '"${jndi:ldap://x}"', '"%s%n"'), "unreadable_ref_id"
    ),
    **dict.fromkeys(('"\\ud800"', '"27-Jul-2026, 08:10 EST', "27-Jul-2026"), "not_json"),
}

NAMES = {
    # Any text names a constraint: it is kept as it is, and is never a path, a key or a log line.
    **dict.fromkeys(('"../../etc/passwd"', '"A\\u0000B"', '"\\u001b[31mred"', '"A\\r\\n2026 ERROR forged"'), ""),
    **dict.fromkeys(
        ('"\u202eevil"', '"\u200fA"', '"\ufeffA"', '"A\u2028B"', '"\\ud83d\\ude00"', '"\uffff"', '"\\u0085A"'), ""
    ),
    **dict.fromkeys(('"<script>alert(1)</script>"', '"\'; DROP TABLE x; --"', '"%s%n{0}"', '"${jndi:ldap://x}"'), ""),
    **dict.fromkeys(
        ("\"=cmd|' /C calc'!A0\"", '"None\u200b"', '"NaN"', '"null"', '"0"', '"()"', '" - "', '"A - Zone_99999"'), ""
    ),
    **dict.fromkeys(('"None"', '"none - NONE"'), ""),
    **dict.fromkeys(('""', '"  "', '"\\t\\n"', '"\\u00a0"', "null"), "empty_name"),
    **dict.fromkeys(("0", "1e300", "true", "[]", '["A"]', '{"A":1}'), "not_text"),
    **dict.fromkeys(('"\\ud800"', '"A\\udfff"', '"A', "None"), "not_json"),
}
