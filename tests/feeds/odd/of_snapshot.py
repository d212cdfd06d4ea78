"""Bodies of the snapshot: four figures, each with its own clock; the label is the current demand's, 16:45."""

from __future__ import annotations

from datetime import date, datetime

from miso_archive.intervals.labels import EST
from tests.feeds.odd.body import Change, Odd, json_of, put, put_all

_DEMAND_AT = '"83,808","d":"10/02/2026 4:45:00 PM EST"'


def _cost(spelled: str) -> Change:
    return put(('"$36.32"', f'"{spelled}"'))


def _demand_at(spelled: str) -> Change:
    return put((_DEMAND_AT, f'"83,808","d":"{spelled}"'))


def _interchange_at(spelled: str) -> Change:
    return put(("10/02/2026 4:43:00 PM EST", spelled))


BODIES = (
    Odd(
        "as it stands",
        put(),
        gives={
            "figures[0].figure": "forecast_peak_demand",
            "figures[0].value": 82913.0,
            "figures[0].as_of": datetime(2026, 10, 2, tzinfo=EST),
            "figures[1].figure": "current_demand",
            "figures[1].value": 83808.0,
            "figures[2].figure": "marginal_energy_cost",
            "figures[2].value": 36.32,
            "figures[3].figure": "net_scheduled_interchange",
            "figures[3].value": -656.0,
            "figures[3].as_of": datetime(2026, 10, 2, 16, 43, tzinfo=EST),
            "snapshots[0].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST),
        },
    ),
    # What a figure is called.
    Odd("a plus as it is", put(("\\u002B", "+")), gives={"figures[3].figure": "net_scheduled_interchange"}),
    Odd(
        "in another order",
        json_of(lambda body: body[::-1]),
        gives={
            "figures[0].figure": "net_scheduled_interchange",
            "figures[3].value": 82913.0,
        },
    ),
    Odd(
        "without units, in other letters",
        put((" (MW)", ""), ("Current Demand (MW)", "current demand")),
        gives={
            "figures[0].figure": "forecast_peak_demand",
            "figures[1].figure": "current_demand",
        },
    ),
    Odd(
        "units without parentheses",
        put(
            ("Peak Demand (MW)", "Peak Demand - MW"),
            ("Current Demand (MW)", "Current Demand MW"),
            ("Cost ($/MWh)", "Cost $/MWh"),
            ("(\\u002B) (MW)", "(+) MW"),
        ),
        gives={
            "figures[0].figure": "forecast_peak_demand",
            "figures[1].figure": "current_demand",
            "figures[2].figure": "marginal_energy_cost",
            "figures[3].figure": "net_scheduled_interchange",
        },
    ),
    Odd("a unit at once", put(("Current Demand (MW)", "CurrentDemandMWh")), gives={"figures[1].value": 83808.0}),
    Odd("a demand in response", put(("Current Demand (MW)", "Current Demand Response MW")), ("no_label_row body",)),
    Odd("a demand that begins as its unit", put(("Current Demand (MW)", "Current Demand MWe")), ("no_label_row body",)),
    Odd(
        "a figure that nobody knows",
        put(("[{", '[{"t":"Wind (MW)","v":"4,254","d":"10/02/2026 4:45:00 PM EST","id":"4"},{')),
        gives={"figures[0].figure": "Wind (MW)", "figures[0].value": 4254.0, "snapshots[0].figures": 5},
    ),
    Odd(
        "a figure that begins as another",
        put(("Marginal Energy Cost ($/MWh)", "Marginal Energy Cost Forecast ($/MWh)")),
        gives={
            "figures[2].figure": "Marginal Energy Cost Forecast ($/MWh)",
        },
    ),
    Odd(
        "imports above zero",
        put(("Imports (-) / Exports (\\u002B)", "Imports (+) / Exports (-)")),
        gives={
            "figures[3].figure": "Scheduled Imports (+) / Exports (-) (MW)",
        },
    ),
    Odd("a figure of no name", put(('"Current Demand (MW)"', '""')), ("empty_value [1].t", "no_label_row body")),
    Odd("a figure of null", put(('"Forecasted Peak Demand (MW)"', "null")), ("empty_value [0].t",)),
    Odd("a figure of a number", put(('"Forecasted Peak Demand (MW)"', "0")), ("not_text [0].t",)),
    Odd("no demand", json_of(lambda body: [body[0], *body[2:]]), ("no_label_row body",)),
    Odd("two demands", json_of(lambda body: [*body, body[1]]), ("no_label_row body",)),
    Odd("two peaks", json_of(lambda body: [body[0], *body]), gives={"figures[1].value": 82913.0}),
    Odd("without its number", put((',"id":"0"', "")), gives={"figures[0].value": 82913.0}),
    Odd("numbered by numbers", put(('"id":"0"', '"id":0')), gives={"figures[0].value": 82913.0}),
    # Values.
    Odd("a minus before the dollar", _cost("-$1.20"), gives={"figures[2].value": -1.2}),
    Odd("a minus behind the dollar", _cost("$-1.20"), gives={"figures[2].value": -1.2}),
    Odd("parentheses", _cost("($1.20)"), gives={"figures[2].value": -1.2}),
    Odd("thousands of dollars", _cost("-$1,036.32"), gives={"figures[2].value": -1036.32}),
    Odd("no dollar", _cost("36.32"), gives={"figures[2].value": 36.32}),
    Odd("no nought", _cost("$.71"), gives={"figures[2].value": 0.71}),
    Odd("two signs", _cost("-$-1.20"), ("bad_number [2].v",)),
    Odd("half a parenthesis", _cost("($1.20"), ("bad_number [2].v",)),
    Odd("a comma for a point", _cost("$1,23"), ("bad_number [2].v",)),
    Odd("nothing", _cost(""), ("bad_number [2].v",)),
    Odd("None", _cost("None"), ("bad_number [2].v",)),
    Odd("a number", put(('"83,808"', "83808")), gives={"figures[1].value": 83808.0}),
    Odd("no value", put(('"v":"83,808",', "")), ("missing_field [1].v", "no_label_row body")),
    Odd("names in upper case", put(('"v"', '"V"')), ("missing_field [0].v",), ("unknown_field [0].V",)),
    # Clocks.
    Odd(
        "unpadded",
        put_all(("10/02/2026", "7/2/2026")),
        gives={
            "snapshots[0].interval_end": datetime(2026, 7, 2, 16, 45, tzinfo=EST),
        },
    ),
    Odd(
        "the interchange of the next hour",
        _interchange_at("10/02/2026 5:01:00 PM EST"),
        gives={
            "figures[3].as_of": datetime(2026, 10, 2, 17, 1, tzinfo=EST),
            "figures[3].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST),
        },
    ),
    Odd(
        "midnight, its interchange of the day before",
        put(
            (_DEMAND_AT, '"83,808","d":"10/03/2026 12:00:00 AM EST"'),
            ("10/02/2026 4:43:00 PM", "10/02/2026 11:58:00 PM"),
        ),
        gives={
            "figures[1].market_day": date(2026, 10, 2),
            "figures[1].interval_end": datetime(2026, 10, 3, tzinfo=EST),
            "figures[3].as_of": datetime(2026, 10, 2, 23, 58, tzinfo=EST),
        },
    ),
    Odd(
        "a demand between labels",
        _demand_at("10/02/2026 4:43:00 PM EST"),
        warned=("off_grid_interval current_demand",),
        gives={
            "snapshots[0].interval_end": datetime(2026, 10, 2, 16, 43, tzinfo=EST),
        },
    ),
    Odd(
        "a demand with seconds",
        _demand_at("10/02/2026 4:45:07 PM EST"),
        warned=("off_grid_interval current_demand",),
        gives={
            "snapshots[0].interval_end": datetime(2026, 10, 2, 16, 45, tzinfo=EST),
            "figures[1].as_of": datetime(2026, 10, 2, 16, 45, 7, tzinfo=EST),
        },
    ),
    Odd("in UTC", _demand_at("10/02/2026 9:45:00 PM UTC"), ("unreadable_time [1].d", "no_label_row body")),
    Odd("at hour 13", _demand_at("10/02/2026 13:45:00 PM EST"), ("unreadable_time [1].d", "no_label_row body")),
    Odd("at no time", _interchange_at(""), ("empty_value [3].d",)),
    # Objects.
    Odd("no figures", json_of(lambda _: []), ("too_few_rows body", "no_label_row body")),
    Odd("an object for the list", json_of(lambda body: {"figures": body}), ("not_a_list body",)),
    Odd("lists for rows", json_of(lambda body: [body]), ("not_an_object [0]", "no_label_row body")),
)
