"""A made-up reserve market, the same for everyone who names the same seed.

Nothing here is MISO's data: names, prices and episodes are drawn from the seed. Only their shapes follow the feed:
the fields, the spelling of labels, the sign of prices, the ways of saying that nothing binds.

Any interval can be computed by itself. Binding episodes are drawn per market day from (seed, day), and an interval
looks at its own day and the day before, because an episode may run past midnight.
"""

import math
import random
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

from miso_archive.intervals.labels import EST, INTERVAL, as_period, as_ref_id
from miso_archive.intervals.market_days import INTERVALS_A_DAY

# Labels name an interval's end, so the first interval of a market day is the one that ends at 00:05.
_FIRST_END = datetime(2000, 1, 1, 0, 5, tzinfo=EST)

_SOUTH_TO_NORTH = "RDT_SO_MW (South_North)"
_NORTH_TO_SOUTH = "RDT_MW_SO (North_South)"
_ZONES = range(1, 9)
_RESERVE_TYPES = ("SPIN", "NSPIN", "REG_UP", "REG_DOWN", "SUPPL")

_EPISODES_A_DAY = (0, 1, 2, 3)
_EPISODES_WEIGHTS = (45, 30, 20, 5)
_SHORTEST_EPISODE, _LONGEST_EPISODE = 6, 90  # intervals

# The logarithm of a price's magnitude walks around its mean and forgets a tenth of its distance each interval.
_LOG_MEAN = math.log(300)  # cents
_LOG_DEVIATION = 1.4
_PERSISTENCE = 0.9
_HIGHEST_PRICE = 20_000  # cents

_REVISION_STEP = 7  # cents; shares no factor with the highest price, so thousands of revisions all differ

# The known ways of saying that nothing binds, without the Period; None is an empty array.
_QUIET_ROWS: tuple[tuple[str, str | None] | None, ...] = (
    ("None", "None"),
    ("None - None", "None"),
    ("None", None),
    ("None - None", None),
    None,
)


class _Row(NamedTuple):
    """One binding constraint in one interval; `cents` is the magnitude of its price, 100 cents to $1/MW."""

    element: str
    terms: str
    zone: int
    cents: int

    @property
    def description(self) -> str:
        return f"{self.terms} Zone_{self.zone}"

    @property
    def name(self) -> str:
        return f"{self.element} - {self.description}"

    @property
    def price(self) -> str:
        return f"-{self.cents // 100}.{self.cents % 100:02}"


class _Episode(NamedTuple):
    """Consecutive intervals, numbered from `first`, and the rows that bind in each."""

    first: int
    rows: Sequence[Sequence[_Row]]


def snapshot_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the simulated feed's body for one interval, in the live feed's shape: four fields a row, all strings.

    Args:
        interval_end: the END of the 5-minute interval, an aware time on the 5-minute grid; labels are written in EST
            (fixed UTC-5).
        seed: names the simulated market.
        revision: 0 is the first publication. Another revision changes one price, or replaces the placeholder by one
            row when the interval was quiet; the RefId stays.

    Returns:
        Compact UTF-8 JSON. Prices are in $/MW and negative. A quiet interval has one placeholder row or none.

    Raises:
        ValueError: `interval_end` is naive or off the grid, or `revision` is negative.
    """
    number = interval_number(interval_end)
    period = as_period(interval_end)
    rows = [
        {"Name": row.name, "Period": period, "Price": row.price, "Description": row.description}
        for row in _rows(number, seed, revision)
    ] or _placeholder(number, seed, period)
    return orjson.dumps({"RefId": as_ref_id(interval_end), "Constraint": rows})


def documented_body(interval_end: datetime, *, seed: int, revision: int = 0) -> bytes:
    """Give the same market as `snapshot_body` in the documented shape: eleven fields a row, with numbers as numbers.

    Names and prices equal those of `snapshot_body`; the seven fields the live feed lacks are filled with made-up
    values. A quiet interval has an empty array.

    Args:
        interval_end: the END of the 5-minute interval, an aware time on the 5-minute grid; RefId is written in EST
            (fixed UTC-5), Period in UTC.
        seed: names the simulated market.
        revision: as for `snapshot_body`.

    Returns:
        Compact UTF-8 JSON; Price and PC1 in $/MW, Quantity and BP1 in MW.

    Raises:
        ValueError: `interval_end` is naive or off the grid, or `revision` is negative.
    """
    number = interval_number(interval_end)
    period = interval_end.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    rows = [_documented_row(row, period) for row in _rows(number, seed, revision)]
    return orjson.dumps({"RefId": as_ref_id(interval_end).replace(" - Interval", ","), "Constraint": rows})


def is_quiet(interval_end: datetime, *, seed: int) -> bool:
    """Say whether nothing binds in the interval's first publication.

    Args:
        interval_end: the END of the 5-minute interval, an aware time on the 5-minute grid.
        seed: names the simulated market.

    Raises:
        ValueError: `interval_end` is naive or off the grid.
    """
    return not _rows(interval_number(interval_end), seed, revision=0)


def interval_number(interval_end: datetime) -> int:
    """Count the intervals since the one that ended 2000-01-01 00:05 EST; earlier ones are negative.

    Args:
        interval_end: the END of the 5-minute interval.

    Raises:
        ValueError: the time is naive, or not on the 5-minute grid.
    """
    if interval_end.tzinfo is None:
        raise ValueError(f"an interval's end needs a time zone: {interval_end.isoformat()}")
    number, rest = divmod(interval_end - _FIRST_END, INTERVAL)
    if rest:
        raise ValueError(f"an interval ends on a multiple of five minutes: {interval_end.isoformat()}")
    return number


def zone_cents(number: int, seed: int) -> dict[int, int]:
    """Return by how much the reserve constraints of an interval bind in each zone, in $0.01/MW."""
    found: dict[int, int] = {}
    for row in _rows(number, seed, revision=0):
        found[row.zone] = found.get(row.zone, 0) + row.cents
    return found


def _placeholder(number: int, seed: int, period: str) -> list[dict[str, str]]:
    # A checksum is random enough to vary a spelling, and far quicker than seeding a generator for every interval.
    spelling = _QUIET_ROWS[zlib.crc32(f"{seed} {number}".encode()) % len(_QUIET_ROWS)]
    if spelling is None:
        return []
    name, description = spelling
    row = {"Name": name, "Period": period, "Price": "None"}
    return [row if description is None else {**row, "Description": description}]


def _documented_row(row: _Row, period: str) -> dict[str, object]:
    reserve_type = _RESERVE_TYPES[row.zone % len(_RESERVE_TYPES)]
    return {
        "Name": row.name,
        "Period": period,
        "Price": float(row.price),
        "ReserveType": reserve_type,
        "Direction": "DOWN" if reserve_type == "REG_DOWN" else "UP",
        "Quantity": 100.0 * row.zone,
        "OVERRIDE": False,
        "BP1": 100.0 * row.zone,
        "PC1": 200.0,
        "BP2": None,
        "PC2": None,
    }


def _rows(number: int, seed: int, revision: int) -> Sequence[_Row]:
    if revision < 0:
        raise ValueError(f"a revision is 0 or more: {revision}")
    rows = _published_first(number, seed)
    if revision == 0:
        return rows
    changed, *others = rows or [_Row(_SOUTH_TO_NORTH, "STR+Lost_Gen", zone=1, cents=1)]
    cents = (changed.cents - 1 + revision * _REVISION_STEP) % _HIGHEST_PRICE + 1
    return [changed._replace(cents=cents), *others]


def _published_first(number: int, seed: int) -> Sequence[_Row]:
    day = number // INTERVALS_A_DAY
    for episode in (*_episodes(seed, day), *_episodes(seed, day - 1)):
        position = number - episode.first
        if 0 <= position < len(episode.rows):
            return episode.rows[position]
    return ()


@lru_cache(maxsize=64)
def _episodes(seed: int, day: int) -> Sequence[_Episode]:
    """Draw the episodes that begin on a market day; where two overlap the first one counts."""
    generator = random.Random(f"market {seed} {day}")  # noqa: S311 - a simulation keeps no secrets
    [count] = generator.choices(_EPISODES_A_DAY, _EPISODES_WEIGHTS)
    return [_episode(generator, day) for _ in range(count)]


def _episode(generator: random.Random, day: int) -> _Episode:
    first = day * INTERVALS_A_DAY + generator.randrange(INTERVALS_A_DAY)
    length = generator.randint(_SHORTEST_EPISODE, _LONGEST_EPISODE)
    [element] = generator.choices((_SOUTH_TO_NORTH, _NORTH_TO_SOUTH), (3, 1))
    [terms] = generator.choices(("STR+Lost_Gen", "STR"), (9, 1))
    zones = sorted(generator.sample(_ZONES, generator.randint(1, 4)))
    columns = [[_Row(element, terms, zone, cents) for cents in _prices(generator, length)] for zone in zones]
    return _Episode(first, list(zip(*columns, strict=True)))


def _prices(generator: random.Random, length: int) -> list[int]:
    """Draw an autocorrelated walk of price magnitudes, in cents, within what the simulated market allows."""
    innovation = _LOG_DEVIATION * math.sqrt(1 - _PERSISTENCE**2)
    distance = generator.gauss(0, _LOG_DEVIATION)
    prices = []
    for _ in range(length):
        prices.append(min(_HIGHEST_PRICE, max(1, round(math.exp(_LOG_MEAN + distance)))))
        distance = _PERSISTENCE * distance + generator.gauss(0, innovation)
    return prices
