"""Bodies of the fuel mix: eight fuels, 82,084 MW, the label 16:45."""

from __future__ import annotations

from datetime import date, datetime

from miso_archive.intervals.labels import EST
from tests.feeds.odd.body import Change, Odd, json_of, put, put_all, whole

_AT = "Fuel.Type[0]"
_SUM = ("sum_differs TotalMW",)
_NOW = '"INTERVALEST":"2026-10-02 4:45:00 PM"'


def _act(spelled: str) -> Change:
    return put(('"ACT":"25287"', f'"ACT":{spelled}'))


def _total(spelled: str) -> Change:
    return put(('"TotalMW":"82084"', f'"TotalMW":{spelled}'))


def _interval(spelled: str) -> Change:
    return put((_NOW, f'"INTERVALEST":"{spelled}"'))


BODIES = (
    Odd(
        "as it stands",
        put(),
        gives={
            "fuels[0].fuel": "Coal",
            "fuels[0].output": 25287.0,
            "fuels[7].fuel": "Imports",
            "fuels[7].output": 705.0,
            "snapshots[0].total": 82084.0,
            "snapshots[0].fuels": 8,
        },
    ),
    # Fuels are open.
    Odd("a fuel that nobody knows", put(('"Wind"', '"Geothermal"')), gives={"fuels[3].fuel": "Geothermal"}),
    Odd(
        "a fuel more",
        put(('"Type":[', '"Type":[{' + _NOW + ',"CATEGORY":"Hydro","ACT":"0"},')),
        gives={
            "fuels[0].fuel": "Hydro",
            "fuels[0].output": 0.0,
            "snapshots[0].fuels": 9,
        },
    ),
    Odd("no imports", lambda body: body.rpartition(",{")[0] + "]}}", warned=_SUM, gives={"snapshots[0].fuels": 7}),
    Odd("exports", put(('"705"', '"-705"'), ('"82084"', '"80674"')), gives={"fuels[7].output": -705.0}),
    Odd(
        "a battery charges",
        put(('"102"', '"-455"'), ('"82084"', '"81,527"')),
        gives={
            "fuels[5].output": -455.0,
            "snapshots[0].total": 81527.0,
        },
    ),
    Odd(
        "a fuel twice",
        json_of(lambda body: body | {"Fuel": {"Type": body["Fuel"]["Type"] + body["Fuel"]["Type"][:1]}}),
        warned=_SUM,
        gives={"snapshots[0].fuels": 9},
    ),
    Odd("a fuel without a name", put(('"CATEGORY":"Coal"', '"CATEGORY":""')), (f"empty_value {_AT}.CATEGORY",)),
    Odd("a fuel named None", put(('"CATEGORY":"Coal"', '"CATEGORY":"None"')), (f"empty_value {_AT}.CATEGORY",)),
    Odd(
        "fuels in lower case",
        put(('"CATEGORY"', '"category"')),
        (f"missing_field {_AT}.CATEGORY",),
        (f"unknown_field {_AT}.category",),
    ),
    Odd("a caption that is a list", put(('"Coal  (25,287 MW)"', "[]")), gives={"fuels[0].output": 25287.0}),
    Odd("no caption", put((',"FUEL_CATEGORY":"Coal  (25,287 MW)"', "")), gives={"fuels[0].output": 25287.0}),
    # What a fuel produces.
    Odd("thousands", _act('"25,287"'), gives={"fuels[0].output": 25287.0}),
    Odd("a number", _act("25287"), gives={"fuels[0].output": 25287.0}),
    Odd("tenths", _act('"25287.4"'), gives={"fuels[0].output": 25287.4}),
    Odd("nothing", _act('""'), (f"bad_number {_AT}.ACT",)),
    Odd("None", _act('"None"'), (f"bad_number {_AT}.ACT",)),
    Odd("null", _act("null"), (f"bad_number {_AT}.ACT",)),
    Odd("commas that stand wrongly", _act('"1,23"'), (f"bad_number {_AT}.ACT",)),
    Odd("a comma behind a nought", _act('"0,123"'), (f"bad_number {_AT}.ACT",)),
    Odd("dollars", _act('"$-1.20"'), (f"bad_number {_AT}.ACT",)),
    Odd("its unit", _act('"25287 MW"'), (f"bad_number {_AT}.ACT",)),
    Odd("beyond all", _act('"1e999"'), (f"bad_number {_AT}.ACT",)),
    # The total.
    Odd("a total of thousands", _total('"82,084"'), gives={"snapshots[0].total": 82084.0}),
    Odd("a total that is short by one", _total('"82083"'), warned=_SUM, gives={"snapshots[0].total": 82083.0}),
    Odd("a total of 0", _total('"0"'), warned=_SUM, gives={"snapshots[0].total": 0.0}),
    Odd("an empty total", _total('""'), gives={"snapshots[0].total": None}),
    Odd("no total", put(('"TotalMW":"82084",', "")), gives={"snapshots[0].total": None}),
    Odd("a total that is no number", _total('"much"'), ("bad_number TotalMW",)),
    # Intervals: each row is of its own.
    Odd(
        "two intervals",
        json_of(
            lambda body: (
                body
                | {
                    "Fuel": {
                        "Type": [
                            *(
                                {**row, "INTERVALEST": "2026-10-02 4:40:00 PM", "ACT": "1"}
                                for row in body["Fuel"]["Type"]
                            ),
                            *body["Fuel"]["Type"],
                        ]
                    }
                }
            )
        ),
        warned=(f"period_differs {_AT}.INTERVALEST",),
        gives={
            "snapshots[0].fuels": 16,
            "fuels[0].output": 1.0,
            "fuels[0].interval_end": datetime(2026, 10, 2, 16, 40, tzinfo=EST),
            "fuels[0].interval_start": datetime(2026, 10, 2, 16, 35, tzinfo=EST),
            "fuels[15].output": 705.0,
            "fuels[15].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST),
        },
    ),
    Odd(
        "a row of a day before",
        _interval("2026-10-01 4:45:00 PM"),
        warned=(f"period_differs {_AT}.INTERVALEST", *_SUM),
        gives={"fuels": 8, "fuels[0].market_day": date(2026, 10, 1), "fuels[1].market_day": date(2026, 10, 2)},
    ),
    Odd(
        "a row of two days before",
        _interval("2026-09-30 4:45:00 PM"),
        warned=(f"period_differs {_AT}.INTERVALEST", *_SUM),
        gives={"fuels": 7, "snapshots[0].fuels": 8},
    ),
    Odd(
        "a label ahead of all rows",
        put(("16:45 EST", "16:50 EST")),
        warned=(
            f"period_differs {_AT}.INTERVALEST",
            *_SUM,
        ),
        gives={"fuels[0].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST)},
    ),
    Odd(
        "midnight",
        put_all(
            (_NOW, '"INTERVALEST":"2026-10-03 12:00:00 AM"'),
            ("02-Oct-2026 - Interval 16:45", "03-Oct-2026 - Interval 00:00"),
        ),
        gives={
            "fuels[0].market_day": date(2026, 10, 2),
            "fuels[0].interval_end": datetime(2026, 10, 3, tzinfo=EST),
        },
    ),
    Odd(
        "noon",
        put_all((_NOW, '"INTERVALEST":"2026-10-02 12:00:00 PM"'), ("16:45 EST", "12:00 EST")),
        gives={
            "fuels[0].interval_end": datetime(2026, 10, 2, 12, tzinfo=EST),
        },
    ),
    Odd("padded", put_all((_NOW, '"INTERVALEST":"2026-10-02 04:45:00 PM"'))),
    Odd("as the snapshot spells it", put_all((_NOW, '"INTERVALEST":"10/2/2026 4:45:00 PM EST"'))),
    Odd("on a clock of 24 hours", _interval("2026-10-02 16:45:00"), (f"unreadable_time {_AT}.INTERVALEST",)),
    Odd("at 0:45", _interval("2026-10-02 0:45:00 AM"), (f"unreadable_time {_AT}.INTERVALEST",)),
    Odd("of a day that is none", _interval("2026-09-31 4:45:00 PM"), (f"unreadable_time {_AT}.INTERVALEST",)),
    Odd("of another century", _interval("1926-10-02 4:45:00 PM"), (f"unreadable_time {_AT}.INTERVALEST",)),
    Odd("of none", _interval(""), (f"empty_value {_AT}.INTERVALEST",)),
    # Objects.
    Odd("no rows", json_of(lambda body: body | {"Fuel": {"Type": []}}), ("too_few_rows Fuel.Type",)),
    Odd("an object for the rows", json_of(lambda body: body | {"Fuel": {"Type": {}}}), ("not_a_list Fuel.Type",)),
    Odd("a list for the object", json_of(lambda body: body | {"Fuel": body["Fuel"]["Type"]}), ("not_an_object Fuel",)),
    Odd(
        "what the retired host says",
        whole('{"data":["None, None, None"]}'),
        (
            "missing_field Fuel",
            "missing_field RefId",
        ),
        ("unknown_field data",),
    ),
)
