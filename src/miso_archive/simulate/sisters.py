"""The made-up market as the sister feeds show it: one with that of the reserve constraints, interval by interval.

Nothing here is MISO's data. Figures are drawn from the seed and agree with each other where MISO's do: the fuels add up
to the demand, imports included; every price has the same energy component, which is the marginal energy cost; hubs part
by the constraints that bind; short-term reserve is dear in a zone whose reserve constraint binds.
"""

import math
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, cast

import orjson

from miso_archive.contract.kinds import EST_CLOCK, MARKET_DAY, Kind
from miso_archive.intervals.labels import EST, INTERVAL, as_clock, as_period, as_ref_id, as_twelve_hours
from miso_archive.intervals.market_days import INTERVALS_A_DAY, hour_ending_of
from miso_archive.simulate.market import interval_number, zone_cents

HUBS: Final = (
    *("ARKANSAS.HUB", "ILLINOIS.HUB", "INDIANA.HUB", "LOUISIANA.HUB", "MICHIGAN.HUB"),
    *("MINN.HUB", "MS.HUB", "SWPP", "TEXAS.HUB"),
)
_ZONES: Final = range(1, 9)
_AN_HOUR: Final = 12
_MINUTE: Final = timedelta(minutes=1)
_TOWNS: Final = ("Simville", "Madeup", "Fiction", "Pretend", "Nowhere", "Mockton", "Sampleton", "Dummyburg")
_SHORTEST, _LONGEST = 6, 60
_CURVES: Final = (
    *({"OVERRIDE": "", "CURVETYPE": "", "BP1": "", "PC1": "", "BP2": "", "PC2": ""},) * 3,
    {"OVERRIDE": "0", "CURVETYPE": "MW", "BP1": "0", "PC1": "2000", "BP2": "", "PC2": ""},
    {"OVERRIDE": "1", "CURVETYPE": "PERCENT", "BP1": "100", "PC1": "1000", "BP2": "102", "PC2": "2000"},
)
_NO_CURVE: Final = {"OVERRIDE": "None", "CURVETYPE": "None", "BP1": "0", "PC1": "0", "BP2": "0", "PC2": "0"}


class _Constraint(NamedTuple):
    """A transmission constraint that binds from `first` on; `cents` are the magnitudes of its price, $0.01/MWh."""

    name: str
    first: int
    cents: Sequence[int]
    shifts: Mapping[str, float]
    curve: Mapping[str, str]


def transmission_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the binding transmission constraints of an interval; a placeholder when none binds."""
    number = interval_number(interval_end)
    period = as_period(interval_end)
    rows = [
        {"Name": one.name, "Period": period, "Price": _money(-cents), **one.curve}
        for one, cents in _binding(number, seed, revision)
    ]
    nothing = {"Name": "None", "Period": period, "Price": "None", **_NO_CURVE}
    return orjson.dumps({"RefId": as_ref_id(interval_end), "Constraint": rows or [nothing]})


def subregional_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the binding subregional constraints of an interval: seldom one, else the placeholder."""
    number = interval_number(interval_end)
    row = {"REASON": "None", "BP3": "0", "PC3": "0", "BP4": "0", "PC4": "0", "Name": "None"}
    row |= {"Period": as_period(interval_end), "Price": "None", **_NO_CURVE}
    if _noise(seed, "subregional", number // (2 * _AN_HOUR)) > 0.97:  # noqa: PLR2004 - two hours of a hundred
        curve = {"BP1": "100", "PC1": "40", "BP2": "102", "PC2": "200", "BP3": "", "PC3": "", "BP4": "", "PC4": ""}
        price = _money(-1 - int(900 * _noise(seed, "rdt", number)) - revision)
        row |= {"Name": "RDT_SO_MW (South_North)", "Price": price, "OVERRIDE": "0", "CURVETYPE": "PERCENT", **curve}
    return orjson.dumps({"RefId": as_ref_id(interval_end), "Constraint": [row]})


def lmp_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the ex-ante prices of an interval at the hubs: energy, the same at all, congestion and loss."""
    prices = {"HourAndMin": as_clock(interval_end), "Hub": prices_at_hubs(interval_end, seed, revision)}
    return orjson.dumps({"LMPData": {"RefId": as_ref_id(interval_end), "ExAnteLMP": prices}})


def prices_at_hubs(interval_end: datetime, seed: int, revision: int = 0) -> list[dict[str, str]]:
    """Return the prices of an interval at the hubs, as the live feed spells them."""
    number = interval_number(interval_end)
    energy = energy_cents(number, seed) + revision
    binding = _binding(number, seed, 0)
    hubs = []
    for hub in HUBS:
        congestion = round(sum(one.shifts[hub] * -cents for one, cents in binding))
        loss = round(energy * 0.08 * (_noise(seed, f"loss {hub}", number // _AN_HOUR) - 0.5))
        price = energy + congestion + loss
        hubs.append({"name": hub, "LMP": _money(price), "loss": _money(loss), "congestion": _money(congestion)})
    return hubs


def asm_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the prices of ancillary services: of the interval, and day ahead of its hour."""
    number = interval_number(interval_end)
    binding = zone_cents(number, seed)
    real_time = _zones(seed, number, {zone: binding.get(zone, 0) + revision for zone in _ZONES})
    ahead = prices_ahead(interval_end, seed)
    times = {"RefId": as_ref_id(interval_end), "MktDay": _spelled(MARKET_DAY, interval_end)}
    markets = {
        "RealTimeMCP": {"HourAndMin": as_clock(interval_end), "Zone": real_time},
        "DayAheadMCP": {"HourEnding": str(hour_ending_of(interval_end)), "Zone": ahead},
    }
    return orjson.dumps({"MCPData": times | markets})


def prices_ahead(interval_end: datetime, seed: int) -> list[dict[str, str]]:
    """Return the day-ahead prices of each zone in the hour that an interval lies in, as the live feed spells them."""
    return _zones(seed + 1, interval_number(interval_end) // _AN_HOUR, dict.fromkeys(_ZONES, 20))


def fuel_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the fuels of an interval; with imports they add up to the demand."""
    fuels = fuels_of(interval_number(interval_end), seed, revision)
    stamp = _spelled(EST_CLOCK, interval_end)
    rows = [
        {"INTERVALEST": stamp, "CATEGORY": fuel, "ACT": str(output), "FUEL_CATEGORY": f"{fuel}  ({output:,} MW)"}
        for fuel, output in fuels.items()
    ]
    total = str(sum(fuels.values()))
    return orjson.dumps({"RefId": as_ref_id(interval_end), "TotalMW": total, "Fuel": {"Type": rows}})


def fuels_of_days(name: str, interval_end: datetime, *, seed: int) -> bytes:
    """Give the fuels as the host's links of ``today`` and ``yesterday`` show them while an interval is the present one.

    With their quirks, as seen: a window is cut by the labels' date, so that it begins with the 00:00 of the market day
    before; yesterday's runs through the present; fuels stand in alphabetical order, and the total is 0.
    """
    local = interval_end.astimezone(EST)
    midnight = local.replace(hour=0, minute=0)
    first = midnight if name == "today" else midnight - timedelta(days=1)
    rows = []
    for number in range((local - first) // INTERVAL + 1):
        end = first + number * INTERVAL
        stamp = _spelled(EST_CLOCK, end)
        for fuel, output in sorted(fuels_of(interval_number(end), seed, 0).items()):
            caption = f"{fuel}  ({output:,} MW)"
            rows.append({"INTERVALEST": stamp, "CATEGORY": fuel, "ACT": str(output), "FUEL_CATEGORY": caption})
    return orjson.dumps({"RefId": as_ref_id(interval_end), "TotalMW": "0", "Fuel": {"Type": rows}})


def figures_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the four figures of an interval; a revision has a later minute's interchange."""
    number = interval_number(interval_end)
    local = interval_end.astimezone(EST)
    minute = local + _MINUTE * (revision % 5 - 2)
    interchange = -fuels_of(number, seed, 0)["Imports"] + revision
    midnight = local.replace(hour=0, minute=0) if local.hour or local.minute else local - timedelta(days=1)
    rows = (
        ("Forecasted Peak Demand (MW)", f"{_peak(number // INTERVALS_A_DAY, seed):,}", midnight),
        ("Current Demand (MW)", f"{demand(number, seed):,}", local),
        ("Marginal Energy Cost ($/MWh)", f"${_money(energy_cents(number, seed))}", local),
        ("Scheduled Imports (-) / Exports (+) (MW)", f"{interchange:,}", minute),
    )
    spelled = (f"{time.month:02}/{time.day:02}/{time.year} {as_twelve_hours(time)} EST" for _, _, time in rows)
    figures = [
        {"t": text, "v": value, "d": time, "id": str(number)}
        for number, ((text, value, _), time) in enumerate(zip(rows, spelled, strict=True))
    ]
    return orjson.dumps(figures)


def demand(number: int, seed: int) -> int:
    """Return the demand of an interval, in MW."""
    daily = _wave(seed, "demand", number, INTERVALS_A_DAY)
    weekly = _wave(seed, "week", number, 7 * INTERVALS_A_DAY)
    return round(76_000 + 13_000 * daily + 4_000 * weekly + 300 * _noise(seed, "demand", number))


@lru_cache(maxsize=64)
def _peak(day: int, seed: int) -> int:
    """Return the greatest demand of a market day, as its hours have it."""
    return max(demand(day * INTERVALS_A_DAY + _AN_HOUR * hour, seed) for hour in range(24))


def energy_cents(number: int, seed: int) -> int:
    """Return the energy component of all prices of an interval, in $0.01/MWh."""
    daily = _wave(seed, "energy", number, INTERVALS_A_DAY)
    return round(2_900 + 1_700 * daily + 900 * (_noise(seed, "energy", number) - 0.5))


def fuels_of(number: int, seed: int, revision: int) -> dict[str, int]:
    """Return what each fuel produces in an interval, in MW: together the demand."""
    sun = math.sin(math.pi * (number % INTERVALS_A_DAY / INTERVALS_A_DAY * 2 - 0.5))
    nuclear = 9_600 + round(400 * _wave(seed, "nuclear", number, 40 * INTERVALS_A_DAY))
    wind = 9_000 + round(7_000 * _wave(seed, "wind", number, 3 * INTERVALS_A_DAY))
    solar = max(0, round(11_000 * sun))
    battery = round(450 * _wave(seed, "battery", number, INTERVALS_A_DAY // 2))
    other = 1_900 + round(200 * _noise(seed, "other", number))
    imports = round(2_500 * _wave(seed, "imports", number, 2 * INTERVALS_A_DAY)) + 400
    burnt = demand(number, seed) - nuclear - wind - solar - battery - other - imports
    coal = burnt * 2 // 5 + revision
    return {
        "Coal": coal,
        "Natural Gas": burnt - coal,
        "Nuclear": nuclear,
        "Wind": wind,
        "Solar": solar,
        "Battery Storage": battery,
        "Other": other,
        "Imports": imports,
    }


def _binding(number: int, seed: int, revision: int) -> list[tuple[_Constraint, int]]:
    """Return the transmission constraints that bind in an interval, each with the magnitude of its price."""
    day = number // INTERVALS_A_DAY
    found = []
    for one in (*_constraints(seed, day - 1), *_constraints(seed, day)):
        position = number - one.first
        if 0 <= position < len(one.cents):
            found.append((one, one.cents[position] + revision))
    return found


@lru_cache(maxsize=64)
def _constraints(seed: int, day: int) -> Sequence[_Constraint]:
    """Draw the constraints that begin to bind on a market day."""
    generator = random.Random(f"transmission {seed} {day}")  # noqa: S311 - a simulation keeps no secrets
    return [_constraint(generator, day) for _ in range(generator.randint(6, 18))]


def _constraint(generator: random.Random, day: int) -> _Constraint:
    one, other, lost, behind = generator.sample(_TOWNS, 4)
    name = f"TMP{generator.randint(100, 999)}_{one}_{other}_138_kV_ftlo_{lost}_{behind}_345"[:48]
    first = day * INTERVALS_A_DAY + generator.randrange(INTERVALS_A_DAY)
    level = generator.lognormvariate(math.log(6_000), 1.0)
    length = generator.randint(_SHORTEST, _LONGEST)
    cents = [max(1, min(200_000, round(level * generator.uniform(0.6, 1.4)))) for _ in range(length)]
    shifts = {hub: round(generator.uniform(-0.12, 0.12), 3) for hub in HUBS}
    return _Constraint(name, first, cents, shifts, generator.choice(_CURVES))


def _zones(seed: int, number: int, short_term_cents: Mapping[int, int]) -> list[dict[str, str]]:
    """Return the prices of each zone, which differ in short-term reserve alone."""
    regulation = round(1_200 + 900 * _noise(seed, "regulation", number))
    spin = round(300 * _noise(seed, "spin", number) ** 3)
    supplemental = spin // 2
    up = round(200 * max(0.0, _noise(seed, "ramp", number) - 0.7))
    cents = {
        "GenRegMCP": regulation,
        "GenSpinMCP": spin,
        "GenSuppMCP": supplemental,
        "StrMcp": 0,
        "DemandRegMcp": regulation,
        "DemandSpinMcp": spin,
        "DemandSuppMcp": supplemental,
        "RcpUpMcp": up,
        "RcpDownMcp": 0,
    }
    prices = {name: _money(price) for name, price in cents.items()}
    return [
        {"number": str(zone)} | prices | {"StrMcp": _money(short_term)} for zone, short_term in short_term_cents.items()
    ]


def _spelled(kind: Kind, time: datetime) -> str:
    """Spell a time as a kind of value that tells of one does."""
    return cast("Callable[[datetime], str]", kind.spell)(time)


def _money(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def _wave(seed: int, what: str, number: int, length: int) -> float:
    """Return a value of -1 to 1 that comes again after so many intervals; seed and name say where it begins."""
    return math.sin(2 * math.pi * (number / length + _noise(seed, what, 0)))


def _noise(seed: int, what: str, number: int) -> float:
    """Return a value of 0 to 1. A checksum is random enough, and far quicker than seeding a generator each time."""
    return zlib.crc32(f"{seed} {what} {number}".encode()) / 0xFFFFFFFF
