"""How the collection stands, on archives and parts that are there, gone, or too old."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.collecting.outbox import Outbox
from miso_archive.feeds.reserve import RESERVE
from miso_archive.health.status import status, told
from miso_archive.intervals.labels import EST
from miso_archive.settings.options import Settings
from miso_archive.simulate import documented_body, snapshot_body
from miso_archive.store.folder import Folder
from tests.health.collected import MINUTE, NOW, ends, keep, looked_at
from tests.services.process import free_port

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from tests.conftest import Bucket, Services


class TestLooking:
    def test_the_last_interval_and_its_age(self, tmp_path: Path) -> None:
        """The newest label counts, whatever was fetched last, and its age is to the minute's tenth."""
        for end in ends("08:10", "08:05"):
            keep(tmp_path, snapshot_body(end, seed=1))
        found = looked_at(tmp_path)
        assert found.last_interval_end == ends("08:10")[0]
        assert (found.age_minutes, found.stale, found.healthy) == (4.0, False, True)

    @pytest.mark.parametrize(("late", "stale"), [(timedelta(), False), (timedelta(seconds=1), True)])
    def test_fifteen_minutes_are_the_limit(self, tmp_path: Path, late: timedelta, stale: bool) -> None:  # noqa: FBT001 - a case
        """An interval that ended fifteen minutes ago is fresh; a second later it is stale."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        found = looked_at(tmp_path, now=ends("08:25")[0] + late)
        assert (found.stale, found.healthy) == (stale, not stale)

    def test_the_day_is_counted(self, tmp_path: Path) -> None:
        """Of the 98 intervals that have ended by 08:14, one is collected, quiet or binding; the others are missing."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        today = looked_at(tmp_path).today
        assert today is not None
        assert (today.market_day, today.expected, today.collected, today.missing) == (NOW.date(), 98, 1, 97)
        assert {today.quiet, today.binding} == {0, 1}

    def test_midnight_belongs_to_the_day_before(self, tmp_path: Path) -> None:
        """At 00:02 the last interval may be 00:00, and the day before is not yet forgotten as the last interval's."""
        midnight = datetime(2026, 7, 27, tzinfo=EST)
        keep(tmp_path, snapshot_body(midnight, seed=1), midnight + MINUTE)
        found = looked_at(tmp_path, now=midnight + 2 * MINUTE)
        assert found.last_interval_end == midnight
        assert found.today is not None
        assert (found.today.market_day, found.today.expected) == (NOW.date(), 0)

    def test_a_label_of_the_future_hides_no_gap(self, tmp_path: Path) -> None:
        """A label more than an hour ahead, or of another year, is not taken for the last interval."""
        for end in (*ends("07:00", "09:20"), datetime(2099, 1, 1, tzinfo=EST)):
            keep(tmp_path, snapshot_body(end, seed=1))
        found = looked_at(tmp_path)
        assert found.last_interval_end == ends("07:00")[0]
        assert found.stale

    @pytest.mark.parametrize("year", [1970, 2300])
    def test_a_clock_that_was_never_set(self, tmp_path: Path, year: int) -> None:
        """A machine whose clock is in 1970 after a power cut, or far ahead, is told that all is stale, of no day."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        found = looked_at(tmp_path, now=datetime(year, 1, 1, tzinfo=EST))
        assert (found.today, found.stale, found.refused_today) == (None, True, 0)

    def test_refusals_are_counted_by_day(self, tmp_path: Path) -> None:
        """Bodies refused on the day, and on the seven days up to it; older ones are not counted."""
        for number, days in enumerate((0, 0, 3, 6, 7)):
            keep(tmp_path, b'{"error":"%d"}' % number, NOW - timedelta(days=days))
        found = looked_at(tmp_path)
        assert (found.refused_today, found.refused_7_days) == (2, 4)

    def test_drift_is_counted_by_code(self, tmp_path: Path) -> None:
        """A new field, a new reserve type and a name of another shape are counted by body; a known body is none."""
        first, second, third, fourth = ends("07:55", "08:00", "08:05", "08:10")
        keep(tmp_path, snapshot_body(first, seed=1))
        new_field = json.loads(snapshot_body(second, seed=1)) | {"Version": 2}
        keep(tmp_path, json.dumps(new_field).encode())
        for end, old, new in (
            (third, b'"ReserveType":"', b'"ReserveType":"X'),
            (fourth, b'"Name":"', b'"Name":"a b c '),
        ):
            seed = next(seed for seed in range(500) if old in documented_body(end, seed=seed))
            keep(tmp_path, documented_body(end, seed=seed).replace(old, new))
        assert looked_at(tmp_path).drift == {"unknown_field": 1, "unknown_name_shape": 1, "unknown_reserve_type": 1}

    def test_what_is_not_announced_is_counted(self, tmp_path: Path) -> None:
        """Marks of the environment asked for are counted, and those of others are not."""
        response = keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        snapshot = RESERVE.examine(response.body).snapshot
        assert snapshot is not None
        Outbox(Folder(tmp_path), RESERVE, "prod").mark(snapshot, response)
        assert looked_at(tmp_path, environment="prod").unannounced == 1
        assert looked_at(tmp_path).unannounced == 0

    def test_a_damaged_object_is_missing_and_no_error(self, tmp_path: Path) -> None:
        """An object that cannot be read is counted as missing, and the rest is told all the same."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        (path,) = (tmp_path / "sourcing").rglob("*.json.gz")
        path.write_bytes(path.read_bytes()[:20])
        today = looked_at(tmp_path).today
        assert today is not None
        assert (today.collected, today.missing) == (0, 98)


class TestReads:
    def test_each_body_of_the_day_is_read_once(self, tmp_path: Path, reads: Counter[str]) -> None:
        """Coverage and drift are of one pass, over a revision and a damaged body too; the day before is not read."""
        last = ends("08:10")[0]
        midnight = last.replace(hour=0, minute=0)
        for end in (*ends("07:55", "08:00", "08:05"), last, midnight, midnight - 5 * MINUTE):
            keep(tmp_path, snapshot_body(end, seed=1))
        keep(tmp_path, snapshot_body(last, seed=1, revision=1))
        (damaged,) = (tmp_path / "sourcing").rglob("*0755.json.gz")
        damaged.write_bytes(damaged.read_bytes()[:20])
        reads.clear()
        found = looked_at(tmp_path)
        assert found.today is not None
        assert (found.today.collected, found.drift) == (3, {})
        bodies = {key: count for key, count in reads.items() if key.startswith("sourcing/")}
        assert sorted(key[-12:-8] for key in bodies if key.count(".") == 2) == ["0755", "0800", "0805", "0810"]
        assert len(bodies) == 5
        assert set(bodies.values()) == {1}


class TestParts:
    def test_parts_that_answer(self, services: Services, bucket: Bucket, redis_url: str, kafka_topic: str) -> None:
        """Archive, Redis and Kafka are asked, and answer."""
        settings = Settings(s3_bucket=bucket.name, redis_url=redis_url, kafka_connection_string=kafka_topic)
        found = status(settings, RESERVE, stale_after=MINUTE)
        assert services.s3.url
        assert [(part.name, part.answers) for part in found.parts] == [
            ("archive", True),
            ("redis", True),
            ("kafka", True),
        ]
        assert found.last_interval_end is None
        assert not found.healthy

    def test_a_part_that_fails_is_named_and_not_healthy(self, tmp_path: Path) -> None:
        """A Redis and a Kafka that do not answer make a fresh archive unhealthy; the address is told, no password."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        port = free_port()
        kafka = f"user:geheim@127.0.0.1:{port}?security_protocol=SASL_PLAINTEXT"
        found = looked_at(tmp_path, redis_url=f"redis://:geheim@127.0.0.1:{port}/0", kafka_connection_string=kafka)
        assert [part.answers for part in found.parts] == [True, False, False]
        assert f"127.0.0.1:{port}" in told(found)
        assert "geheim" not in told(found)
        assert (found.stale, found.healthy) == (False, False)

    def test_an_archive_that_is_not_there(self, tmp_path: Path) -> None:
        """A folder that is missing is told as such, with the other parts."""
        found = looked_at(tmp_path / "nowhere")
        assert [(part.name, part.answers) for part in found.parts] == [
            ("archive", False),
            ("redis", None),
            ("kafka", None),
        ]
        assert "nowhere" in told(found)
        assert not found.healthy

    def test_what_could_not_be_looked_at_is_unknown(self, tmp_path: Path) -> None:
        """Of an archive that is not there nothing is said, and null is no 0: neither on the screen nor in JSON."""
        found = looked_at(tmp_path / "nowhere")
        facts = json.loads(found.model_dump_json())
        unknown = {"last_interval_end", "age_minutes", "stale", "today", "refused_today", "refused_7_days", "drift"}
        # What waits on this machine is known, and since when is null as nothing does.
        assert {name for name, fact in facts.items() if fact is None} == {
            *unknown,
            "unannounced",
            "written_by",
            "spooled_since",
            "last_market_day",
        }
        lines = dict(line.split(maxsplit=1) for line in told(found).replace(" interval", "_interval").splitlines())
        assert {lines[name] for name in ("last_interval", "today", "refused")} == {"unknown"}
        assert told(found).count("unknown\n") == 5
        assert "nothing archived" not in told(found)

    def test_what_was_looked_at_before_the_archive_failed_is_told(self, tmp_path: Path) -> None:
        """An archive whose quarantine cannot be listed still tells its last interval and the day's coverage."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        (tmp_path / "quarantine" / RESERVE.dataset).mkdir(parents=True)
        (tmp_path / "quarantine" / RESERVE.dataset / str(NOW.date())).symlink_to(str(NOW.date()))
        found = looked_at(tmp_path)
        assert (found.last_interval_end, found.stale) == (ends("08:10")[0], False)
        assert (found.refused_today, found.unannounced) == (None, None)
        assert not found.healthy
        assert "FAILS" in told(found)


class TestTold:
    @pytest.mark.parametrize(
        ("late", "age"),
        [
            (timedelta(minutes=119.9), "119.9 min ago, STALE"),
            (timedelta(hours=2), "2 hours ago, STALE"),
            (timedelta(hours=47.9), "47.9 hours ago, STALE"),
            (timedelta(days=2), "2 days ago, STALE"),
            (timedelta(days=9461), "9461 days ago, STALE"),
            (timedelta(minutes=-4), "4 min ahead of the clock"),
        ],
    )
    def test_an_age_is_told_in_its_unit(self, tmp_path: Path, late: timedelta, age: str) -> None:
        """Minutes until two hours, hours until two days, then days; a label ahead of the clock is told as such."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        assert f"2026-07-27 08:10 EST, {age}\n" in told(looked_at(tmp_path, now=ends("08:10")[0] + late))
