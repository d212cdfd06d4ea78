"""The order of a run's steps, and its result, with steps that are plain functions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pytest

from miso_archive.collecting.pace import Pace, SystemClock
from miso_archive.collecting.parts import Parts, open_parts
from miso_archive.collecting.plain import Patient
from miso_archive.collecting.registry import Registry
from miso_archive.collecting.result import RunResult, failed_before_start
from miso_archive.collecting.run import collect
from miso_archive.collecting.spool import Spool
from miso_archive.collecting.steps import Candidate, generate_candidates
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError, RetryPolicy
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import Settings
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import Stored
from miso_archive.store.response import Response
from miso_archive.version import __version__
from tests.services.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis as redis_client

    from miso_archive.contract.findings import Finding
    from miso_archive.contract.verdict import Snapshot, Verdict

P = ParamSpec("P")
T = TypeVar("T")
AT_ONCE = Pace(datetime(2026, 7, 27, 13, 50, tzinfo=UTC))

ROW = {"Name": "A - B", "Period": "2026-07-27T08:10:00", "Price": "-1", "Description": "B"}
GOOD = json.dumps({"RefId": "27-Jul-2026 - Interval 08:10 EST", "Constraint": [ROW]}).encode()
REFUSED = GOOD.replace(b'"2026-07-27T08:10:00"', b'""').replace(b'"-1"', b'"x"')
CANDIDATE = Candidate("https://feed.test/", 30.0, 1)


def why_failed(result: RunResult) -> str:
    """The errors on one line."""
    return "; ".join(f"{error.code}: {error.message}" for error in result.errors)


def error_of(step: str) -> CollectionError:
    """The error a step fails with."""
    return CollectionError(FailureCode.ARCHIVE_REFUSED, f"{step} failed")


class World:
    """Steps that note their calls, and fail where they are told to."""

    archive_is_away = has_spooled = False

    def __init__(self, body: bytes = GOOD, *, registered: bool = False, written: bool = True) -> None:
        self.body, self.registered, self.written = body, registered, written
        self.announces = True
        self.fails: set[str] = set()
        self.calls: list[str] = []
        self.refused: tuple[Finding, ...] = ()

    def collect(self, candidates: int = 1) -> RunResult:
        """Run once."""
        polls = [replace(CANDIDATE, poll=poll) for poll in range(1, candidates + 1)]
        return collect(polls, RESERVE, self, plainly, AT_ONCE)

    def _note(self, step: str, answer: T) -> T:
        self.calls.append(step)
        if step in self.fails:
            raise error_of(step)
        return answer

    def fetch(self, candidate: Candidate) -> Response:
        """Give the body."""
        answer = Response(self.body, datetime(2026, 7, 27, 13, 11, tzinfo=UTC), candidate.url, "application/json")
        return self._note("fetch", answer)

    def is_registered(self, response: Response) -> bool:
        """Say what was set."""
        assert response.body == self.body
        return self._note("is_registered", self.registered)

    def store(self, snapshot: Snapshot, response: Response) -> Stored:
        """Say that it was stored, or stood there."""
        assert (snapshot.ref_id, response.body) == ("27-Jul-2026 - Interval 08:10 EST", self.body)
        return self._note("store", Stored("the key", written=self.written))

    def quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> str:
        """Keep the reasons."""
        assert response.body == self.body
        self.refused = reasons
        return self._note("quarantine", "the quarantine key")

    def announce(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Check what is announced."""
        assert (len(snapshot.rows), response.body, stored.key) == (1, self.body, "the key")
        self._note("announce", None)

    def register(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Check what is registered."""
        assert (len(snapshot.rows), response.body, stored.key) == (1, self.body, "the key")
        self._note("register", None)

    def catch_up(self) -> None:
        """There is nothing to catch up with."""

    def store_spooled(self) -> list[tuple[Verdict, Stored]]:
        """Nothing waits."""
        return []


def plainly(step: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Take a step as it is."""
    return step(*arguments, **named)


class TestOrder:
    def test_a_new_snapshot_takes_every_step_in_order(self) -> None:
        """Check, put, announce, register: registered means archived and announced."""
        world = World()
        result = world.collect()
        assert world.calls == ["fetch", "is_registered", "store", "announce", "register"]
        assert result == RunResult(total_candidates=1, collected=1, objects=["the key"])

    def test_a_registered_body_ends_there(self) -> None:
        """What is archived and announced is neither stored nor announced again."""
        world = World(registered=True)
        assert world.collect() == RunResult(total_candidates=1, skipped_duplicate=1)
        assert world.calls == ["fetch", "is_registered"]

    def test_an_object_that_stands_is_announced_and_registered(self) -> None:
        """An object whose run died before the announcement is announced by the next, and counts as skipped."""
        world = World(written=False)
        assert world.collect() == RunResult(total_candidates=1, skipped_duplicate=1)
        assert world.calls == ["fetch", "is_registered", "store", "announce", "register"]

    def test_without_kafka_nothing_is_announced(self) -> None:
        """Where no Kafka is named a snapshot is stored and registered."""
        world = World()
        world.announces = False
        result = world.collect()
        assert world.calls == ["fetch", "is_registered", "store", "register"]
        assert result.collected == 1

    @pytest.mark.parametrize(
        ("step", "calls", "objects"),
        [
            ("fetch", ["fetch"], []),
            ("store", ["fetch", "is_registered", "store"], []),
            ("announce", ["fetch", "is_registered", "store", "announce"], ["the key"]),
            ("register", ["fetch", "is_registered", "store", "announce", "register"], ["the key"]),
        ],
    )
    def test_nothing_comes_after_a_failed_step(self, step: str, calls: list[str], objects: list[str]) -> None:
        """A step that fails is the last; the candidate is counted as failed, and what was written is listed."""
        world = World()
        world.fails = {step}
        result = world.collect()
        assert world.calls == calls
        assert (result.collected, result.skipped_duplicate, result.failed) == (0, 0, 1)
        assert result.objects == objects
        assert [error.model_dump() for error in result.errors] == [
            {"code": "archive_refused", "message": f"{step} failed", "where": None}
        ]

    def test_a_lookup_that_fails_keeps_no_body_from_the_archive(self, caplog: pytest.LogCaptureFixture) -> None:
        """A Redis that breaks off once the body is here is told in the log; archived, announced and counted it is."""
        world = World()
        world.fails = {"is_registered"}
        assert world.collect() == RunResult(total_candidates=1, collected=1, objects=["the key"])
        assert world.calls == ["fetch", "is_registered", "store", "announce", "register"]
        assert "archive_refused: is_registered failed; archived all the same" in caplog.messages

    def test_a_defect_is_not_counted_but_raised(self) -> None:
        """An error that no room raised on purpose is not hidden in a result."""

        class Broken(World):
            def fetch(self, candidate: Candidate) -> Response:
                """Divide by nothing."""
                raise ZeroDivisionError(candidate)

        with pytest.raises(ZeroDivisionError):
            Broken().collect()


class TestRefused:
    def test_a_refused_body_is_quarantined_with_its_reasons(self) -> None:
        """A refused body is kept, not looked up nor stored, and the run fails with every reason and its place."""
        world = World(REFUSED)
        result = world.collect()
        assert world.calls == ["fetch", "quarantine"]
        assert [(reason.code, reason.where) for reason in world.refused] == [
            ("empty_period", "Constraint[0].Period"),
            ("bad_price", "Constraint[0].Price"),
        ]
        assert (result.failed, result.collected, result.objects) == (1, 0, [])
        assert [(error.code, error.where) for error in result.errors] == [
            ("empty_period", "Constraint[0].Period"),
            ("bad_price", "Constraint[0].Price"),
        ]
        assert all(error.message.startswith(f"{error.where} ") for error in result.errors)

    def test_a_failed_quarantine_keeps_the_reasons(self) -> None:
        """When a refused body cannot be kept either, its reasons are told all the same, and it fails once."""
        world = World(REFUSED)
        world.fails = {"quarantine"}
        result = world.collect()
        assert result.failed == 1
        assert [error.code for error in result.errors] == ["empty_period", "bad_price", "archive_refused"]

    def test_warnings_are_logged_not_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        """A body with something worth a look is collected, and the log names what and where."""
        world = World(GOOD.replace(b'"Price"', b'"New": 1, "Price"'))
        result = world.collect()
        assert (result.collected, result.errors) == (1, [])
        assert any("unknown_field at Constraint[0].New" in message for message in caplog.messages)


class TestSeveral:
    def test_every_candidate_is_counted_once(self) -> None:
        """A failed candidate does not keep the next from its turn, and the numbers add up."""
        bodies = iter([GOOD, REFUSED, GOOD])
        polls: list[int] = []

        class Turning(World):
            def fetch(self, candidate: Candidate) -> Response:
                """Give another body each time, the first of which is new."""
                polls.append(candidate.poll)
                self.body = next(bodies)
                self.written = candidate.poll == 1
                return super().fetch(candidate)

        result = Turning().collect(3)
        assert polls == [1, 2, 3]
        assert (result.total_candidates, result.collected, result.skipped_duplicate, result.failed) == (3, 1, 1, 1)
        assert result.objects == ["the key"]

    def test_no_candidates_are_no_work(self) -> None:
        """A run without candidates does nothing and fails in nothing."""
        assert World().collect(0) == RunResult()


class TestRunResult:
    def test_a_result_has_exactly_six_fields(self) -> None:
        """What people of the old script parse is there, and nothing else."""
        assert RunResult().as_dict() == {
            "total_candidates": 0,
            "collected": 0,
            "skipped_duplicate": 0,
            "failed": 0,
            "errors": [],
            "objects": [],
        }

    def test_errors_are_code_message_and_place(self) -> None:
        """An error is plain JSON with a code and a message, and a place only where there is one."""
        world = World(REFUSED)
        world.fails = {"quarantine"}
        errors: Any = world.collect().as_dict()["errors"]
        assert [set(error) for error in errors] == [{"code", "message", "where"}] * 2 + [{"code", "message"}]
        json.dumps(errors)

    def test_each_failure_has_its_reason(self) -> None:
        """Every candidate that failed is told, by code and message; where nothing failed there are none."""
        world = World()
        world.fails = {"store"}
        assert why_failed(world.collect(2)) == "archive_refused: store failed; archive_refused: store failed"
        assert why_failed(RunResult(collected=1)) == ""

    def test_a_run_that_could_not_start_failed(self) -> None:
        """Parts that cannot be opened fail the run before its first poll, for one reason."""
        result = failed_before_start(error_of("Redis"))
        assert (result.total_candidates, result.failed, result.collected) == (1, 1, 0)
        assert why_failed(result) == "archive_refused: Redis failed"


class TestCandidateGeneration:
    def test_a_run_polls_once_by_default(self) -> None:
        """One candidate: the address and the timeout of the settings, poll 1."""
        settings = Settings(local="data", api_url="http://127.0.0.1:1/feed", timeout=7)
        assert generate_candidates(settings, RESERVE) == [Candidate("http://127.0.0.1:1/feed", 7.0, 1)]

    @pytest.mark.parametrize("polls", [1, 3, 5])
    def test_each_poll_is_a_candidate(self, polls: int) -> None:
        """Each poll of a run is a candidate with a number of its own, from 1 on, all of one address."""
        candidates = generate_candidates(Settings(polls=polls), RESERVE)
        assert [candidate.poll for candidate in candidates] == list(range(1, polls + 1))
        assert {candidate.url for candidate in candidates} <= {RESERVE.url}
        assert len(set(candidates)) == polls


class Announced:
    """An announcer that keeps what it is given."""

    trouble = None

    def __init__(self) -> None:
        self.announcements: list[dict[str, object]] = []

    def announce(self, announcement: Any) -> None:  # noqa: ANN401 - an Announcement
        """Keep it."""
        self.announcements.append(announcement.model_dump(exclude_none=True))


class TestParts:
    @pytest.fixture
    def parts(self, redis_url: str, tmp_path: Path) -> Iterator[Parts]:
        """The parts of a run that archives in a folder."""
        registry = Registry.connect(redis_url, "staging", RESERVE)
        archive = Folder(tmp_path / "data")
        spool = Spool(tmp_path / "spool", archive.identity, RESERVE, "staging")
        yield Parts(RESERVE, "staging", archive, registry, None, spool, AT_ONCE, SystemClock())
        registry.close()

    @pytest.fixture
    def _fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A feed that gives the body."""
        answer = World().fetch(CANDIDATE)
        monkeypatch.setattr(Parts, "fetch", lambda *_: answer)

    @pytest.mark.usefixtures("_fetched")
    def test_a_run_stores_and_registers(self, parts: Parts, redis: redis_client.Redis, tmp_path: Path) -> None:
        """The plain steps archive a body and register it under its key and location; a second run skips it."""
        (key,) = collect([CANDIDATE], RESERVE, parts, Patient(parts), AT_ONCE).objects
        assert (tmp_path / "data" / key).exists()
        (name,) = redis.keys()
        assert name == f"hash:staging:miso_binding_constraints_reserve:{World().fetch(CANDIDATE).sha256}"
        assert json.loads(str(redis.get(name))) == {
            "key": key,
            "location": parts.archive.location,
            "ref_id": "27-Jul-2026 - Interval 08:10 EST",
        }
        assert collect([CANDIDATE], RESERVE, parts, Patient(parts), AT_ONCE) == RunResult(
            total_candidates=1, skipped_duplicate=1
        )

    @pytest.mark.usefixtures("_fetched")
    def test_the_announcement_says_what_was_stored(self, parts: Parts) -> None:
        """The message carries the run's environment, the object's place, and the snapshot's own words."""
        announced: Any = Announced()
        parts = replace(parts, announcer=announced)
        (key,) = collect([CANDIDATE], RESERVE, parts, Patient(parts), AT_ONCE).objects
        assert announced.announcements == [
            {
                "dataset": "miso_binding_constraints_reserve",
                "environment": "staging",
                "location": parts.archive.location,
                "key": key,
                "sha256": World().fetch(CANDIDATE).sha256,
                "ref_id": "27-Jul-2026 - Interval 08:10 EST",
                "interval_end": "2026-07-27T08:10:00-05:00",
                "constraint_count": 1,
                "rows": {"constraints": 1},
                "fetched_at": "2026-07-27T13:11:00Z",
                "collector_version": __version__,
            }
        ]

    @pytest.mark.parametrize("step", ["store", "quarantine", "register"])
    def test_what_must_not_be_lost_is_tried_again(self, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A step that fails for a moment is tried again, with its arguments, until it succeeds."""
        monkeypatch.setattr("miso_archive.collecting.plain.ARCHIVE_RETRIES", RetryPolicy(3, 0.0, 0.0, 60.0))
        seen: list[tuple[object, ...]] = []
        parts: Any = Failing(step, partial(fail_twice, seen))
        Patient(parts)(getattr(parts, step), "first", "second")
        assert seen == [("first", "second")] * 3

    def test_a_lookup_is_not_tried_again(self) -> None:
        """Without an answer of Redis the body is archived at once."""
        seen: list[tuple[object, ...]] = []
        parts: Any = Failing("is_registered", partial(fail_twice, seen))
        with pytest.raises(CollectionError):
            Patient(parts)(parts.is_registered, World().fetch(CANDIDATE))
        assert len(seen) == 1

    def test_the_feed_is_tried_again(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fetch that fails for a moment is tried again, with the candidate's address and timeout."""
        monkeypatch.setattr("miso_archive.collecting.plain.FEED_RETRIES", RetryPolicy(3, 0.0, 0.0, 60.0))
        seen: list[tuple[object, ...]] = []
        answer = World().fetch(CANDIDATE)

        def fetch(*asked: object, **_named: object) -> Response:
            fail_twice(seen, *asked)
            return answer

        monkeypatch.setattr("miso_archive.collecting.fetch.fetch", fetch)
        fetched = Patient(parts)(parts.fetch, CANDIDATE)
        assert fetched is not None
        assert fetched.body == answer.body
        assert seen == [("https://feed.test/", 30.0)] * 3

    def test_a_body_is_fetched_when_the_run_s_clock_says(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever the machine's clock says, a body of a run in 2001 is of 2001."""
        answer = World().fetch(CANDIDATE)
        monkeypatch.setattr("miso_archive.collecting.fetch.fetch", lambda *_, **__: answer)
        clock = SystemClock()
        monkeypatch.setattr(clock, "now", lambda: datetime(2001, 1, 2, 12, 5, tzinfo=UTC))
        fetched = replace(parts, clock=clock).fetch(CANDIDATE)
        assert fetched == replace(answer, fetched_at=datetime(2001, 1, 2, 12, 5, tzinfo=UTC))

    def test_nothing_is_opened_without_redis(self, tmp_path: Path) -> None:
        """Where Redis cannot be reached a run ends before it has made so much as a folder."""
        settings = Settings(local=tmp_path / "data", redis_port=free_port())
        with (
            pytest.raises(CollectionError, match="Failed to connect to Redis at localhost:"),
            open_parts(settings, RESERVE),
        ):
            pass
        assert not (tmp_path / "data").exists()


class Failing:
    """The parts of a run, one of which is another function."""

    feed, pace, clock = RESERVE, AT_ONCE, SystemClock()

    def __init__(self, step: str, function: Callable[..., object]) -> None:
        for name in ("fetch", "is_registered", "store", "quarantine", "register"):
            setattr(self, name, function if name == step else print)


def fail_twice(seen: list[tuple[object, ...]], *arguments: object) -> None:
    """Note the arguments, and fail the first two times."""
    seen.append(arguments)
    if len(seen) < 3:
        raise CollectionError(FailureCode.ARCHIVE_UNAVAILABLE, "for a moment", transient=True)
