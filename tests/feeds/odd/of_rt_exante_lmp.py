"""Bodies of the ex-ante prices: nine locations, an energy component of 32.74, the label 16:50."""

from __future__ import annotations

from datetime import datetime

from miso_archive.intervals.labels import EST
from tests.feeds.odd.body import Change, Odd, json_of, put, put_all, whole

_HUBS = "LMPData.ExAnteLMP.Hub"
_CLOCK = "LMPData.ExAnteLMP.HourAndMin"
_DIFFERS = (f"energy_differs {_HUBS}",)


def _clock(spelled: str) -> Change:
    return put(('"HourAndMin":"16:50"', spelled))


def _hubs(hubs: object) -> Change:
    def change(body: dict[str, dict[str, dict[str, object]]]) -> object:
        body["LMPData"]["ExAnteLMP"]["Hub"] = hubs
        return body

    return json_of(change)


_HUB = {"name": "A", "LMP": "1", "loss": "", "congestion": ""}

BODIES = (
    Odd(
        "as it stands",
        put(),
        gives={
            "prices[0].location": "ARKANSAS.HUB",
            "prices[0].lmp": 34.76,
            "prices[0].energy": 32.74,
            "prices[0].congestion": 2.0,
            "prices[0].loss": 0.02,
            "prices[7].location": "SWPP",
            "prices[8].energy": 32.74,
        },
    ),
    # Locations are open.
    Odd("a hub that nobody knows", put(("ARKANSAS.HUB", "DAKOTA.HUB")), gives={"prices[0].location": "DAKOTA.HUB"}),
    Odd(
        "a hub is missing",
        put(('{"name":"SWPP","LMP":"29.20","loss":"-0.80","congestion":"-2.74"},', "")),
        gives={"snapshots[0].prices": 8, "prices[7].location": "TEXAS.HUB"},
    ),
    Odd(
        "a hub twice",
        put(('{"name":"SWPP"', '{"name":"SWPP","LMP":"32.74","loss":"0","congestion":"0"},{"name":"SWPP"')),
        gives={
            "prices[7].lmp": 32.74,
            "prices[8].lmp": 29.20,
        },
    ),
    Odd("one hub", _hubs([_HUB | {"loss": ".1", "congestion": "-.3"}]), gives={"prices[0].energy": 1.2}),
    Odd(
        "10^5 hubs",
        lambda body: (
            body.partition("[")[0]
            + "["
            + '{"name":"A","LMP":"1","loss":"","congestion":""},' * 99_999
            + '{"name":"B","LMP":"-2","loss":"","congestion":""}]}}}'
        ),
        gives={"snapshots[0].prices": 100_000, "prices[99999].lmp": -2.0},
    ),
    Odd("no hub", _hubs([]), (f"too_few_rows {_HUBS}",)),
    Odd("a hub without a name", put(('"ARKANSAS.HUB"', '""')), (f"empty_value {_HUBS}[0].name",)),
    Odd("a hub named None", put(('"ARKANSAS.HUB"', '"None"')), (f"empty_value {_HUBS}[0].name",)),
    Odd("a hub named by a number", put(('"ARKANSAS.HUB"', "1")), (f"not_text {_HUBS}[0].name",)),
    Odd(
        "names in lower case",
        put(('"LMP":"34.76"', '"lmp":"34.76"')),
        (f"missing_field {_HUBS}[0].LMP",),
        (f"unknown_field {_HUBS}[0].lmp",),
    ),
    # Prices.
    Odd(
        "all below zero",
        _hubs([_HUB | {"LMP": "-31.5", "loss": "-0.25", "congestion": "-6"}]),
        gives={
            "prices[0].lmp": -31.5,
            "prices[0].energy": -25.25,
        },
    ),
    Odd(
        "prices of thousands",
        _hubs([_HUB | {"LMP": "3,500.10", "loss": "0.1", "congestion": "1,500"}]),
        gives={
            "prices[0].lmp": 3500.1,
            "prices[0].energy": 2000.0,
        },
    ),
    Odd("prices are numbers", put(('"34.76"', "34.76"), ('"0.02"', "0.02")), gives={"prices[0].energy": 32.74}),
    Odd("no price", put(('"34.76"', '""')), (f"bad_price {_HUBS}[0].LMP",)),
    Odd("a price of None", put(('"34.76"', '"None"')), (f"bad_price {_HUBS}[0].LMP",)),
    Odd("a price of null", put(('"34.76"', "null")), (f"bad_price {_HUBS}[0].LMP",)),
    Odd("a price with a dollar", put(('"34.76"', '"$-1.20"')), (f"bad_price {_HUBS}[0].LMP",)),
    Odd("a comma for a point", put(('"34.76"', '"34,76"')), (f"bad_price {_HUBS}[0].LMP",)),
    Odd("a comma behind a nought", put(('"0.02"', '"0,020"')), (f"bad_price {_HUBS}[0].loss",)),
    Odd("a price beyond all", put(('"34.76"', '"1e999"')), (f"bad_price {_HUBS}[0].LMP",)),
    Odd(
        "no loss",
        put(('"0.02"', '""')),
        gives={
            "prices[0].loss": None,
            "prices[0].energy": None,
            "prices[0].lmp": 34.76,
            "prices[1].energy": 32.74,
        },
    ),
    Odd(
        "a congestion of None",
        put(('"2.00"', '"None"')),
        gives={"prices[0].congestion": None, "prices[0].energy": None},
    ),
    Odd("no loss at all", put(('"loss":"0.02",', "")), (f"missing_field {_HUBS}[0].loss",)),
    Odd("energy apart by 0.02", put(('"34.76"', '"34.78"')), gives={"prices[0].energy": 32.76}),
    Odd("energy apart by 0.03", put(('"34.76"', '"34.73"')), warned=_DIFFERS, gives={"prices[0].energy": 32.71}),
    Odd("energy is sent too", put(('"loss"', '"energy":"32.74","loss"')), warned=(f"unknown_field {_HUBS}[0].energy",)),
    # The clock only says again what the label says.
    Odd(
        "the clock of the label before",
        _clock('"HourAndMin":"16:45"'),
        warned=(f"period_differs {_CLOCK}",),
        gives={
            "snapshots[0].interval_end": datetime(2026, 10, 2, 16, 50, tzinfo=EST),
        },
    ),
    Odd("another clock", _clock('"HourAndMin":"4:50 PM"'), warned=(f"period_differs {_CLOCK}",)),
    Odd("a clock of null", _clock('"HourAndMin":null')),
    Odd("a clock of nothing", _clock('"HourAndMin":""')),
    Odd("no clock", put(('"HourAndMin":"16:50",', ""))),
    Odd(
        "midnight as 24:00",
        put(("02-Oct-2026 - Interval 16:50", "03-Oct-2026 - Interval 00:00"), ("16:50", "24:00")),
        gives={
            "prices[0].market_day": datetime(2026, 10, 2, tzinfo=EST).date(),
            "prices[0].interval_end": datetime(2026, 10, 3, tzinfo=EST),
        },
    ),
    Odd(
        "midnight as 00:00",
        put_all(("02-Oct-2026", "03-Oct-2026"), ("16:50", "00:00")),
        gives={
            "prices[0].market_day": datetime(2026, 10, 2, tzinfo=EST).date(),
        },
    ),
    # Objects.
    Odd("a list for the data", json_of(lambda body: {"LMPData": [body["LMPData"]]}), ("not_an_object LMPData",)),
    Odd(
        "null for the prices",
        json_of(lambda body: {"LMPData": body["LMPData"] | {"ExAnteLMP": None}}),
        ("not_an_object LMPData.ExAnteLMP",),
    ),
    Odd("an object for the hubs", _hubs({"0": _HUB}), (f"not_a_list {_HUBS}",)),
    Odd("no label", put(('"RefId":"02-Oct-2026 - Interval 16:50 EST",', "")), ("missing_field LMPData.RefId",)),
    Odd(
        "what the retired host says",
        whole('{"data":["None, None, None"]}'),
        ("missing_field LMPData",),
        ("unknown_field data",),
    ),
)
