"""Bodies of the transmission constraints: of the ten recorded rows the second and the fourth have a curve."""

from __future__ import annotations

from datetime import datetime

from miso_archive.intervals.labels import EST
from tests.feeds.odd.body import Change, Odd, json_of, put, put_all, whole

_NOTHING = {
    "Name": "None",
    "Period": "2026-10-02T16:45:00",
    "Price": "None",
    "OVERRIDE": "None",
    "CURVETYPE": "None",
    **dict.fromkeys(("BP1", "PC1", "BP2", "PC2"), "0"),
}


def _at(ref_id: str, period: str) -> Change:
    return put_all(("02-Oct-2026 - Interval 16:45", ref_id), ("2026-10-02T16:45:00", period))


def _nothing(**fields: str | None) -> Change:
    row = {name: value for name, value in (_NOTHING | fields).items() if value is not None}
    return json_of(lambda body: body | {"Constraint": [row]})


def _price(spelled: str) -> Change:
    return put(('"-85.3"', spelled))


BODIES = (
    Odd(
        "as it stands",
        put(),
        gives={
            "constraints": 10,
            "constraints[0].constraint_name": "Dearborn_Pierce_345_kV_l_o_Tanners_Creek_Miami_F",
            "constraints[0].shadow_price": -85.3,
            "constraints[3].override": True,
            "constraints[3].curve_type": "PERCENT",
            "constraints[3].bp1": 100.0,
            "constraints[3].pc2": 2000.0,
            **{f"constraints[{number}].curve_type": None for number in (0, 4, 5, 6, 7, 8, 9)},
        },
    ),
    # How a price is spelled.
    Odd("a price of thousands", _price('"-1,250.5"'), gives={"constraints[0].shadow_price": -1250.5}),
    Odd("a price without its zero", _price('"-.3"'), gives={"constraints[0].shadow_price": -0.3}),
    Odd("a price that is a number", _price("-85.3"), gives={"constraints[0].shadow_price": -85.3}),
    Odd("a price of nothing", _price('"0"'), gives={"constraints[0].shadow_price": 0.0}),
    Odd("a price above zero", _price('"12.5"'), gives={"constraints[0].shadow_price": 12.5}),
    Odd("a comma for a point", _price('"1,23"'), ("bad_price Constraint[0].Price",)),
    Odd("a price with a dollar", _price('"$-1.20"'), ("bad_price Constraint[0].Price",)),
    Odd("no price", _price('""'), ("bad_price Constraint[0].Price",)),
    Odd("a price of None", _price('"None"'), ("bad_price Constraint[0].Price",)),
    Odd("a price of NaN", _price('"NaN"'), ("bad_price Constraint[0].Price",)),
    Odd("a price beyond all", _price('"1e999"'), ("bad_price Constraint[0].Price",)),
    Odd("a price of 400 digits", _price("9" * 400), ("not_json body",)),
    Odd(
        "two bad prices",
        put_all(('"-85.3"', '"x"'), ('"-32.3"', '"y"')),
        (
            "bad_price Constraint[0].Price",
            "bad_price Constraint[2].Price",
        ),
    ),
    # What a constraint has of a curve, and what it leaves empty.
    Odd(
        "no curve as null",
        put_all(('""', "null")),
        gives={
            "constraints[0].override": None,
            "constraints[0].bp1": None,
            "constraints[1].bp2": None,
        },
    ),
    Odd(
        "no curve as None",
        put_all(('""', '"None"')),
        gives={
            "constraints[0].curve_type": None,
            "constraints[0].pc2": None,
            "constraints[3].pc2": 2000.0,
        },
    ),
    Odd("a curve of thousands", put(('"PC1":"2000"', '"PC1":"2,000"')), gives={"constraints[1].pc1": 2000.0}),
    Odd("a sentinel", put(('"PC1":"2000"', '"PC1":"999999"')), gives={"constraints[1].pc1": 999999.0}),
    Odd("a percent sign", put(('"BP1":"100"', '"BP1":"100%"')), ("bad_break_point Constraint[3].BP1",)),
    Odd("another kind of curve", put(('"PERCENT"', '"MVA"')), gives={"constraints[3].curve_type": "MVA"}),
    Odd("overridden, a boolean", put(('"OVERRIDE":"1"', '"OVERRIDE":true')), gives={"constraints[3].override": True}),
    Odd("overridden twice", put(('"OVERRIDE":"1"', '"OVERRIDE":"2"')), ("bad_override Constraint[3].OVERRIDE",)),
    Odd("no override", put(('"OVERRIDE":"",', "")), ("missing_field Constraint[0].OVERRIDE",)),
    # Names are open.
    Odd(
        "a new name",
        put(("Dearborn_Pierce_345_kV_l_o_Tanners_Creek_Miami_F", "RDT ")),
        gives={
            "constraints[0].constraint_name": "RDT ",
        },
    ),
    Odd(
        "an escape in a name",
        put(("Dearborn", "\\u0044earborn")),
        gives={
            "constraints[0].constraint_name": "Dearborn_Pierce_345_kV_l_o_Tanners_Creek_Miami_F",
        },
    ),
    Odd("no name", put(('"Name":"NIP13X01_BARTONLK_B_NO_2_XFMR"', '"Name":""')), ("empty_name Constraint[3].Name",)),
    Odd("a number for a name", put(('"NIP13X01_BARTONLK_B_NO_2_XFMR"', "13")), ("not_text Constraint[3].Name",)),
    Odd(
        "a name in lower case",
        put(('"Name"', '"name"')),
        ("missing_field Constraint[0].Name",),
        ("unknown_field Constraint[0].name",),
    ),
    Odd("a new field", put(('"Name"', '"State":"MI","Name"')), warned=("unknown_field Constraint[0].State",)),
    # Labels.
    Odd(
        "the year's last interval",
        _at("01-Jan-2027 - Interval 00:00", "2027-01-01T00:00:00"),
        gives={
            "constraints[9].interval_end": datetime(2027, 1, 1, tzinfo=EST),
            "constraints[9].market_day": datetime(2026, 12, 31, tzinfo=EST).date(),
        },
    ),
    Odd(
        "the hour that daylight saving skips",
        _at("08-Mar-2026 - Interval 02:30", "2026-03-08T02:30:00"),
        gives={
            "snapshots[0].interval_end": datetime(2026, 3, 8, 2, 30, tzinfo=EST),
        },
    ),
    Odd(
        "a leap day",
        _at("29-Feb-2028 - Interval 23:55", "2028-02-29T23:55:00"),
        gives={
            "snapshots[0].interval_start": datetime(2028, 2, 29, 23, 50, tzinfo=EST),
        },
    ),
    Odd(
        "a period in UTC",
        put_all(("2026-10-02T16:45:00", "2026-10-02T21:45:00Z")),
        gives={"snapshots[0].constraints": 10},
    ),
    Odd(
        "a period of the interval before",
        put(("2026-10-02T16:45:00", "2026-10-02T16:40:00")),
        warned=("period_differs Constraint[0].Period",),
        gives={"constraints[0].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST)},
    ),
    Odd(
        "a period at 24:00",
        put(("2026-10-02T16:45:00", "2026-10-02T24:00:00")),
        ("unreadable_period Constraint[0].Period",),
    ),
    Odd("24:00", put(("16:45 EST", "24:00 EST")), ("unreadable_ref_id RefId",)),
    Odd("daylight saving time", put(("16:45 EST", "16:45 EDT")), ("unreadable_ref_id RefId",)),
    Odd(
        "several labels",
        put(('"02-Oct-2026 - Interval 16:45 EST"', '["02-Oct-2026 - Interval 16:45 EST"]')),
        ("not_text RefId",),
    ),
    # Rows.
    Odd("nothing binds", _nothing(), gives={"snapshots[0].quiet": True, "snapshots[0].constraints": 0}),
    Odd(
        "nothing binds, in reserve's words", _nothing(Name="None - None", Price=""), gives={"snapshots[0].quiet": True}
    ),
    Odd("nothing binds, half a row", _nothing(OVERRIDE=None), gives={"snapshots[0].quiet": True}),
    Odd(
        "nothing binds, and no more is said",
        _nothing(**dict.fromkeys(_NOTHING.keys() - {"Name", "Period", "Price"})),
        gives={"snapshots[0].quiet": True, "constraints": 0},
    ),
    Odd("nothing binds, without a period", _nothing(Period=None), ("missing_field Constraint[0].Period",)),
    Odd(
        "nothing binds, without a price",
        _nothing(Price=None),
        ("missing_field Constraint[0].Price",),
    ),
    Odd("nothing binds at any time", _nothing(Period=""), ("empty_period Constraint[0].Period",)),
    Odd(
        "nothing binds, at a price",
        _nothing(Price="-2.5"),
        gives={
            "constraints[0].constraint_name": "None",
            "constraints[0].shadow_price": -2.5,
            "constraints[0].override": None,
        },
    ),
    Odd(
        "nothing beside constraints",
        json_of(lambda body: body | {"Constraint": [*body["Constraint"], _NOTHING]}),
        warned=("placeholder_beside_constraints Constraint[10]",),
        gives={"snapshots[0].constraints": 10},
    ),
    Odd("no rows", json_of(lambda body: body | {"Constraint": []}), gives={"snapshots[0].quiet": True}),
    Odd(
        "rows twice",
        json_of(lambda body: body | {"Constraint": body["Constraint"] * 2}),
        gives={
            "snapshots[0].constraints": 20,
        },
    ),
    Odd("an object for the list", json_of(lambda body: body | {"Constraint": {}}), ("not_a_list Constraint",)),
    Odd("a list for a row", json_of(lambda body: body | {"Constraint": [[]]}), ("not_an_object Constraint[0]",)),
    Odd("a list of bodies", lambda body: f"[{body}]", ("not_an_object body",)),
    Odd(
        "what the retired host says",
        whole('{"data":["None, None, None"]}'),
        (
            "missing_field RefId",
            "missing_field Constraint",
        ),
        ("unknown_field data",),
    ),
)
