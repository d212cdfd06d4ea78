"""Bodies of the ancillary services' prices: eight zones in two markets, the label 16:45 in the hour that ends at 17."""

from __future__ import annotations

import re
from datetime import date, datetime

from miso_archive.intervals.labels import EST
from tests.feeds.odd.body import Change, Odd, json_of, put, put_all, whole

_REAL_TIME = "MCPData.RealTimeMCP.Zone"
_DAY_AHEAD = "MCPData.DayAheadMCP.Zone"
_HOUR = "MCPData.DayAheadMCP.HourEnding"
_DAY = "MCPData.MktDay"


def _keys(spell: Change) -> Change:
    return lambda body: re.sub(r'"\w+":', lambda key: str(spell(key[0])), body)


def _hour(spelled: str) -> Change:
    return put(('"HourEnding":"17"', f'"HourEnding":{spelled}'))


def _day(spelled: str) -> Change:
    return put(('"MktDay":"10-02-2026"', f'"MktDay":{spelled}'))


def _price(spelled: str) -> Change:
    return put(('"GenSpinMCP":"0.32"', f'"GenSpinMCP":{spelled}'))


def _day_ahead(**zones: object) -> Change:
    return json_of(lambda body: {"MCPData": body["MCPData"] | {"DayAheadMCP": {"HourEnding": "17", **zones}}})


def _midnight(hour: str, day: str) -> Change:
    return put(
        ("02-Oct-2026 - Interval 16:45", "03-Oct-2026 - Interval 00:00"),
        ('"HourAndMin":"16:45"', '"HourAndMin":"00:00"'),
        ('"HourEnding":"17"', f'"HourEnding":"{hour}"'),
        ("10-02-2026", day),
    )


BODIES = (
    Odd(
        "as it stands",
        put(),
        gives={
            "real_time[0].zone": "1",
            "real_time[7].regulation": 17.53,
            "real_time[7].short_term_reserve": 0.0,
            "real_time[7].demand_supplemental": 0.17,
            "day_ahead[7].ramp_up": 4.89,
            "day_ahead[0].hour_ending": 17,
            "day_ahead[0].interval_start": datetime(2026, 10, 2, 16, tzinfo=EST),
            "day_ahead[0].interval_end": datetime(2026, 10, 2, 17, tzinfo=EST),
        },
    ),
    # Keys in whatever case.
    Odd(
        "keys in lower case",
        _keys(lambda key: key.lower()),
        gives={"real_time[0].spin": 0.32, "day_ahead[0].spin": 5.19},
    ),
    Odd("keys in upper case", _keys(lambda key: key.upper()), gives={"real_time[0].ramp_down": 0.0}),
    Odd(
        "a key in two cases",
        put(('"GenSpinMCP":"0.32"', '"genspinmcp":"9","GenSpinMCP":"0.32"')),
        warned=(f"unknown_field {_REAL_TIME}[0].genspinmcp",),
        gives={"real_time[0].spin": 0.32},
    ),
    # Zones are open.
    Odd(
        "a zone more",
        put(('"Zone":[', '"Zone":[{"number":"9"},')),
        (
            *(
                f"missing_field {_REAL_TIME}[0].{name}"
                for name in (
                    *("GenRegMCP", "GenSpinMCP", "GenSuppMCP", "StrMcp", "RcpUpMcp", "RcpDownMcp"),
                    *("DemandRegMcp", "DemandSpinMcp", "DemandSuppMcp"),
                )
            ),
        ),
    ),
    Odd("a zone by another name", put(('"number":"8"', '"number":"Zone 8"')), gives={"real_time[7].zone": "Zone 8"}),
    Odd(
        "a zone is missing",
        lambda body: re.sub(r'\{"number":"5"[^}]*\},', "", body, count=1),
        gives={
            "snapshots[0].real_time": 7,
            "snapshots[0].day_ahead": 8,
            "real_time[4].zone": "6",
        },
    ),
    Odd("a zone twice", put(('"number":"2"', '"number":"1"')), gives={"real_time[1].zone": "1"}),
    Odd(
        "zones are numbers",
        put_all(('"number":"1"', '"number":1')),
        gives={
            "real_time[0].zone": "1",
            "day_ahead[0].zone": "1",
        },
    ),
    Odd("no zone's number", put(('"number":"1"', '"number":""')), (f"empty_value {_REAL_TIME}[0].number",)),
    Odd("a zone of None", put(('"number":"1"', '"number":"None"')), (f"empty_value {_REAL_TIME}[0].number",)),
    Odd("a zone of 1.5", put(('"number":"1"', '"number":1.5')), (f"not_text {_REAL_TIME}[0].number",)),
    Odd("no zones", lambda body: re.sub(r"\[.*?\]", "[]", body, count=1), (f"too_few_rows {_REAL_TIME}",)),
    # A market without prices is no reason to lose those of the other.
    Odd(
        "no zones day ahead",
        _day_ahead(Zone=[]),
        gives={"day_ahead": 0, "real_time[7].regulation": 17.53, "snapshots[0].day_ahead": 0},
    ),
    Odd("null for the zones day ahead", _day_ahead(Zone=None), (f"not_a_list {_DAY_AHEAD}",)),
    Odd("an object for them", _day_ahead(Zone={}), (f"not_a_list {_DAY_AHEAD}",)),
    Odd("without the field day ahead", _day_ahead(), (f"missing_field {_DAY_AHEAD}",)),
    Odd("an object for the zones", lambda body: re.sub(r"\[.*?\]", "{}", body, count=1), (f"not_a_list {_REAL_TIME}",)),
    # Prices.
    Odd("no price", _price('""'), gives={"real_time[0].spin": None, "real_time[0].supplemental": 0.17}),
    Odd("a price of null", _price("null"), gives={"real_time[0].spin": None}),
    Odd("a price of None", _price('"None"'), gives={"real_time[0].spin": None}),
    Odd("a price below zero", _price('"-1.20"'), gives={"real_time[0].spin": -1.2}),
    Odd("a price of thousands", _price('"1,100.5"'), gives={"real_time[0].spin": 1100.5}),
    Odd("a price that is a number", _price("0.32"), gives={"real_time[0].spin": 0.32}),
    Odd("a price with a dollar", _price('"$-1.20"'), (f"bad_price {_REAL_TIME}[0].GenSpinMCP",)),
    Odd("a comma for a point", _price('"1,23"'), (f"bad_price {_REAL_TIME}[0].GenSpinMCP",)),
    Odd("a price is missing", put(('"GenSpinMCP":"0.32",', "")), (f"missing_field {_REAL_TIME}[0].GenSpinMCP",)),
    Odd(
        "a price more",
        put(('"GenSpinMCP"', '"DregMcp":"1","GenSpinMCP"')),
        warned=(f"unknown_field {_REAL_TIME}[0].DregMcp",),
    ),
    # The market day only says again what the label says.
    Odd("no market day", _day('""')),
    Odd("a market day of null", _day("null")),
    Odd("the market day is gone", put(('"MktDay":"10-02-2026",', ""))),
    Odd("a market day with slashes", _day('"10/2/2026"')),
    Odd(
        "the day before",
        _day('"10-01-2026"'),
        warned=(f"period_differs {_DAY}",),
        gives={
            "real_time[0].market_day": date(2026, 10, 2),
            "day_ahead[0].market_day": date(2026, 10, 2),
        },
    ),
    Odd("another spelling of it", _day('"2026-10-02"'), warned=(f"period_differs {_DAY}",)),
    Odd(
        "day and clock differ",
        put(("10-02-2026", "10-03-2026"), ('"HourAndMin":"16:45"', '"HourAndMin":"16:40"')),
        warned=(
            f"period_differs {_DAY}",
            "period_differs MCPData.RealTimeMCP.HourAndMin",
        ),
    ),
    # The hour of the day-ahead prices.
    Odd(
        "the next hour",
        _hour('"18"'),
        warned=(f"period_differs {_HOUR}",),
        gives={
            "day_ahead[0].interval_end": datetime(2026, 10, 2, 18, tzinfo=EST),
            "real_time[0].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST),
        },
    ),
    Odd("an hour that is a number", _hour("17"), gives={"day_ahead[0].hour_ending": 17}),
    Odd("hour 25", _hour('"25"'), (f"unreadable_time {_HOUR}",)),
    Odd("hour 0", _hour('"0"'), (f"unreadable_time {_HOUR}",)),
    Odd("no hour", _hour('""'), (f"unreadable_time {_HOUR}",)),
    Odd(
        "hour 24 at midnight",
        _midnight("24", "10-02-2026"),
        gives={
            "day_ahead[0].market_day": date(2026, 10, 2),
            "day_ahead[0].interval_end": datetime(2026, 10, 3, tzinfo=EST),
        },
    ),
    Odd(
        "hour 1 at midnight, of the day that begins",
        _midnight("1", "10-03-2026"),
        warned=(
            f"period_differs {_DAY}",
            f"period_differs {_HOUR}",
        ),
        gives={
            "day_ahead": 0,
            "real_time[0].market_day": date(2026, 10, 2),
        },
    ),
    # Objects.
    Odd(
        "no day-ahead prices",
        json_of(
            lambda body: {"MCPData": {name: value for name, value in body["MCPData"].items() if name != "DayAheadMCP"}}
        ),
        ("missing_field MCPData.DayAheadMCP",),
    ),
    Odd(
        "a list for a market",
        json_of(lambda body: {"MCPData": body["MCPData"] | {"RealTimeMCP": []}}),
        ("not_an_object MCPData.RealTimeMCP",),
    ),
    Odd(
        "what the retired host says",
        whole('{"data":["None, None, None"]}'),
        ("missing_field MCPData",),
        ("unknown_field data",),
    ),
)
