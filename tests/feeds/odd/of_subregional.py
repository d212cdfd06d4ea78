"""Bodies of the subregional constraints. A binding one is unseen: the row that is changed is a report's."""

from __future__ import annotations

from tests.feeds.odd.body import Change, Odd, json_of, put, whole
from tests.feeds.recorded import QUIET_SUBREGIONAL

_CURVE = ("BP1", "PC1", "BP2", "PC2", "BP3", "PC3", "BP4", "PC4")


def _nothing(**fields: object) -> Change:
    def change(_: object) -> object:
        [row] = QUIET_SUBREGIONAL["Constraint"]
        changed = {name: value for name, value in (row | fields).items() if value != "absent"}
        return QUIET_SUBREGIONAL | {"Constraint": [changed]}

    return json_of(change)


BODIES = (
    # A binding row, as reports have it.
    Odd(
        "as it stands",
        put(),
        gives={
            "constraints[0].element": "RDT_SO_MW",
            "constraints[0].flow_direction": "South_North",
            "constraints[0].shadow_price": -7.56,
            "constraints[0].override": True,
            "constraints[0].bp3": 200.0,
            "constraints[0].pc4": None,
            "constraints[0].reason": "System conditions require override",
            "snapshots[0].quiet": False,
        },
    ),
    Odd(
        "the other direction",
        put(("RDT_SO_MW (South_North)", "RDT_MW_SO (North_South)")),
        gives={
            "constraints[0].element": "RDT_MW_SO",
            "constraints[0].flow_direction": "North_South",
        },
    ),
    Odd(
        "a name of another shape",
        put(("RDT_SO_MW (South_North)", "Some flow, north")),
        gives={
            "constraints[0].constraint_name": "Some flow, north",
            "constraints[0].element": None,
        },
    ),
    Odd("a sentinel", put(('"BP3":"200"', '"BP3":"999999"')), gives={"constraints[0].bp3": 999999.0}),
    Odd("break points of thousands", put(('"PC2":"500"', '"PC2":"3,000"')), gives={"constraints[0].pc2": 3000.0}),
    Odd("break points are numbers", put(('"BP1":"100"', '"BP1":100')), gives={"constraints[0].bp1": 100.0}),
    Odd("break points are null", put(('"BP4":""', '"BP4":null')), gives={"constraints[0].bp4": None}),
    Odd("break points of None", put(('"BP4":""', '"BP4":"None"')), gives={"constraints[0].bp4": None}),
    Odd("a break point of a word", put(('"PC4":""', '"PC4":"x"')), ("bad_break_point Constraint[0].PC4",)),
    Odd("a comma for a point", put(('"PC4":""', '"PC4":"1,23"')), ("bad_break_point Constraint[0].PC4",)),
    Odd("no fourth break point", put(('"BP4":"",', "")), ("missing_field Constraint[0].BP4",)),
    Odd("no reason", put(('"System conditions require override"', '""')), gives={"constraints[0].reason": None}),
    Odd(
        "a reason of null",
        put(('"System conditions require override"', "null")),
        gives={
            "constraints[0].reason": None,
        },
    ),
    Odd(
        "a reason with commas",
        put(("System conditions", 'A, \\"B\\",\\n C')),
        gives={
            "constraints[0].reason": 'A, "B",\n C require override',
        },
    ),
    Odd(
        "a reason that is none", put(('"System conditions require override"', "5")), ("not_text Constraint[0].REASON",)
    ),
    Odd(
        "without the field",
        put(('"REASON":"System conditions require override",', "")),
        ("missing_field Constraint[0].REASON",),
    ),
    Odd("not overridden", put(('"OVERRIDE":"1"', '"OVERRIDE":""')), gives={"constraints[0].override": None}),
    Odd("a price in parentheses", put(('"-7.56"', '"(7.56)"')), ("bad_price Constraint[0].Price",)),
    Odd("no price", put(('"-7.56"', '""')), ("bad_price Constraint[0].Price",)),
    Odd("a dollar", put(('"-7.56"', '"$-1.20"')), ("bad_price Constraint[0].Price",)),
    Odd(
        "two rows of one name",
        json_of(lambda body: body | {"Constraint": body["Constraint"] * 2}),
        gives={
            "snapshots[0].constraints": 2,
        },
    ),
    # Nothing binds.
    Odd("as recorded", _nothing(), gives={"snapshots[0].quiet": True}),
    Odd("in reserve's words", _nothing(Name="None - None", Price="0"), gives={"snapshots[0].quiet": True}),
    Odd("with a null for a price", _nothing(Price=None), gives={"snapshots[0].quiet": True}),
    Odd("with nulls for break points", _nothing(BP3=None, PC3=None), gives={"snapshots[0].quiet": True}),
    Odd("without a break point", _nothing(BP3="absent"), gives={"snapshots[0].quiet": True}),
    Odd(
        "as reserve says it",
        _nothing(**dict.fromkeys((*_CURVE, "OVERRIDE", "CURVETYPE", "REASON"), "absent")),
        gives={"snapshots[0].quiet": True, "constraints": 0},
    ),
    Odd("with a break point of a word", _nothing(BP3="x"), gives={"snapshots[0].quiet": True}),
    Odd("without its period", _nothing(Period="absent"), ("missing_field Constraint[0].Period",)),
    Odd(
        "of the interval before",
        _nothing(Period="2026-10-02T16:25:00"),
        warned=("period_differs Constraint[0].Period",),
        gives={"snapshots[0].quiet": True},
    ),
    Odd(
        "at a price",
        _nothing(Price="-3"),
        gives={
            "constraints[0].shadow_price": -3.0,
            "constraints[0].reason": None,
            "snapshots[0].quiet": False,
        },
    ),
    Odd("at a price that is none", _nothing(Price=[]), ("bad_price Constraint[0].Price",)),
    Odd("no rows", json_of(lambda body: body | {"Constraint": []}), gives={"snapshots[0].quiet": True}),
    Odd("null for rows", json_of(lambda body: body | {"Constraint": None}), ("not_a_list Constraint",)),
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
