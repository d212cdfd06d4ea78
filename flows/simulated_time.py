"""The clock of a simulated market, which goes on in a folder while nothing runs there, as the real one does."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import orjson

from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.market_days import INTERVALS_A_DAY
from miso_archive.simulate import SimulatedFeed, is_quiet

SEED: Final = 7
SIMULATED_YEAR: Final = 2001

_BINDING_AT_FIRST: Final = 6
_MOST_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """Where a simulated clock stands: it was ``simulated`` at ``real``, and goes ``speed`` times as fast.

    ``seed`` names the market that it is the clock of.
    """

    real: datetime
    simulated: datetime
    speed: float
    seed: int = SEED

    @classmethod
    def kept_in(cls, path: Path, speed: float, seed: int | None = None) -> Self:
        """Go on with the clock of a folder, at this speed from now on; begin one where there is none.

        One that begins does so where the market binds: in a quiet one a person would see nothing for hours. Without a
        seed it is the market that was there before.
        """
        now = datetime.now(UTC)
        try:
            kept = orjson.loads(path.read_bytes())
            before = cls(
                datetime.fromisoformat(kept["real"]),
                datetime.fromisoformat(kept["simulated"]),
                kept["speed"],
                kept.get("seed", SEED),
            )
            seed = before.seed if seed is None else seed
            if (before.speed, before.seed) == (speed, seed):
                return before
            started = cls(now, before.at(now), speed, seed)
        except (OSError, orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
            seed = SEED if seed is None else seed
            started = cls(now, _where_it_binds(_in_simulated_year(now), seed), speed, seed)
        kept_now = {
            "real": started.real,
            "simulated": started.simulated,
            "speed": started.speed,
            "seed": started.seed,
        }
        path.write_bytes(orjson.dumps(kept_now))
        return started

    def at(self, real: datetime) -> datetime:
        """Return the simulated time at a real one."""
        return self.simulated + (real - self.real) * self.speed

    def feed(self) -> SimulatedFeed:
        """Return a feed that shows the simulated present, interval by interval."""
        begun = self.simulated.astimezone(EST).replace(minute=0, second=0, microsecond=0)
        return SimulatedFeed(start=begun, seed=self.seed, speed=self.speed, ahead=self.at(datetime.now(UTC)) - begun)


def _in_simulated_year(now: datetime) -> datetime:
    """Return the same moment of the year in the simulated one."""
    local = now.astimezone(EST)
    return local.replace(year=SIMULATED_YEAR, day=min(local.day, 28 if local.month == 2 else 31))  # noqa: PLR2004 - February


def _where_it_binds(time: datetime, seed: int) -> datetime:
    """Return the first time, whole intervals on, whose present interval and the next half an hour bind.

    A market that is quiet for two months is taken as it is.
    """
    shown = time - (time - datetime.min.replace(tzinfo=time.tzinfo)) % INTERVAL
    binding = 0
    for number in range(_MOST_DAYS * INTERVALS_A_DAY):
        binding = 0 if is_quiet(shown + number * INTERVAL, seed=seed) else binding + 1
        if binding == _BINDING_AT_FIRST:
            return time + (number - _BINDING_AT_FIRST + 1) * INTERVAL
    return time
