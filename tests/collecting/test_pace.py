"""When a run asks the feed: slots, the rule for stopping, staleness."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.collecting.pace import NextSlot, Pace, SystemClock, await_slot
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator

DUE = datetime(2026, 7, 27, 13, 10, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """So many seconds after the run was due."""
    return DUE + timedelta(seconds=seconds)


class TurnedClock:
    """A clock that moves when somebody sleeps, and wakes a little early."""

    def __init__(self, time: datetime) -> None:
        self.time = time
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The time it shows."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on, at first by less than was asked."""
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds if len(self.slept) > 1 else seconds * 0.9)


def free(_slot: datetime) -> bool:
    """Nobody else asks."""
    return True


def transient(retry_after: float | None = None) -> CollectionError:
    """A failure that may pass."""
    return CollectionError(FailureCode.FEED_UNAVAILABLE, "503", transient=True, retry_after=retry_after)


class TestSlots:
    @pytest.mark.parametrize(
        ("at", "slot"), [(0, 20), (19.9, 20), (20, 20), (20.1, 80), (100, 140), (260, 260), (-500, 20)]
    )
    def test_slots_are_twenty_seconds_past_each_minute(self, at: float, slot: float) -> None:
        """A run asks at 20 s past a minute, not before it is due, whenever it starts."""
        assert Pace(DUE, 5).slot(after(at)) == after(slot)

    @pytest.mark.parametrize(("polls", "last"), [(2, 80), (3, 140), (5, 260)])
    def test_there_are_as_many_slots_as_polls(self, polls: int, last: float) -> None:
        """A run of so many polls has so many slots; after the last one there is none."""
        assert Pace(DUE, polls).slot(after(last)) == after(last)
        assert Pace(DUE, polls).slot(after(last + 0.1)) is None

    @pytest.mark.parametrize("phase", [0, 7, 20, 21, 45, 59.9, 150])
    def test_two_runs_that_follow_each_other_never_share_a_minute(self, phase: float) -> None:
        """Whatever the schedule's phase, the last slot of a run and the first of the next are a gap apart."""
        first, second = Pace(after(phase), 5), Pace(after(phase + 300), 5)
        slots = [slot for number in range(10) if (slot := first.slot(after(phase + 60 * number)))]
        begin = second.slot(after(phase))
        assert begin is not None
        assert len(set(slots)) == 5
        assert begin - max(slots) == timedelta(seconds=60)

    def test_a_shorter_gap_scales_the_whole(self) -> None:
        """With a gap of 6 s there are five slots within 30 s, at a third of each gap."""
        assert [Pace(DUE, 5, 6.0).slot(after(6 * number)) for number in range(5)] == [
            after(2 + 6 * number) for number in range(5)
        ]

    def test_a_run_due_in_the_future_begins_now(self) -> None:
        """A clock that was set back does not make a run wait for the time it was due."""
        assert Pace.of(after(3600), after(0), 5, 60.0) == Pace(after(0), 5)
        assert Pace.of(after(-30), after(0), 5, 60.0) == Pace(after(-30), 5)


class TestEnough:
    @pytest.mark.parametrize(
        ("seen", "enough"), [(-600, False), (-300, False), (0, True), (300, True), (600, False), (-3600, False)]
    )
    def test_a_run_on_the_grid_waits_for_its_own_interval(self, seen: float, enough: bool) -> None:  # noqa: FBT001 - a case
        """A run stops at the interval that ended when it was due, not at an older one, nor at one of the future."""
        assert Pace(DUE, 5).is_enough(after(seen)) is enough

    @pytest.mark.parametrize("phase", range(0, 300, 10))
    def test_what_comes_next_stands_until_the_next_run_and_two_retries(self, phase: float) -> None:
        """Whatever the phase: when a run stops, the interval after the next ends after the next run's third slot."""
        pace = Pace(after(phase), 5)
        for seen in (-600, -300, 0, 300):
            if pace.is_enough(after(seen)):
                third = pace.slot(after(phase))
                assert third is not None
                assert third + timedelta(seconds=300 + 120) <= after(seen + 600)

    @pytest.mark.parametrize("phase", range(0, 300, 10))
    def test_a_run_can_have_enough_at_every_phase(self, phase: float) -> None:
        """Whatever the phase, there is an interval that ends within the run's own time and lets it stop."""
        pace = Pace(after(phase), 5)
        assert any(pace.is_enough(after(seen)) for seen in (0, 300) if seen <= phase + 260)


class TestStale:
    @pytest.mark.parametrize(("late", "stale"), [(0, False), (260, False), (260.1, True), (300, True), (1800, True)])
    @pytest.mark.parametrize("polls", [1, 5])
    def test_a_run_is_stale_when_it_is_for_the_next_to_ask(self, late: float, stale: bool, polls: int) -> None:  # noqa: FBT001 - a case
        """After the last slot no minute is left until the next run asks; how many polls makes no difference."""
        assert Pace(DUE, polls).is_stale(after(late)) is stale


class TestWaiting:
    def test_a_run_waits_for_its_slot_to_the_end(self) -> None:
        """A sleep that ends early is repeated: no request is made before its slot."""
        clock = TurnedClock(after(3))
        assert await_slot(Pace(DUE, 5), clock, 2, free)
        assert clock.time >= after(20)
        assert len(clock.slept) >= 2

    def test_a_single_poll_does_not_wait(self) -> None:
        """A run of one poll asks at once, whenever it is."""
        clock = TurnedClock(after(3))
        assert await_slot(Pace(DUE), clock, 1, free)
        assert clock.slept == []

    @pytest.mark.parametrize(("poll", "may"), [(1, True), (2, False)])
    def test_a_run_whose_time_is_over_asks_once(self, poll: int, may: bool) -> None:  # noqa: FBT001 - a case
        """A run that is retried hours later asks for what is up now, and for no second poll."""
        clock = TurnedClock(after(7200))
        assert await_slot(Pace(DUE, 5), clock, poll, free) is may
        assert clock.slept == []

    @pytest.mark.parametrize(("taken", "asked"), [((20,), 80), ((20, 80, 140, 200), 260), ((80,), 20)])
    def test_a_slot_of_another_run_is_left_to_it(self, taken: tuple[float, ...], asked: float) -> None:
        """A run waits for its first slot that nobody has taken, and tries none before its time."""
        clock = TurnedClock(after(3))
        tried: list[datetime] = []

        def claim(slot: datetime) -> bool:
            assert clock.time >= slot
            tried.append(slot)
            return slot not in {after(seconds) for seconds in taken}

        assert await_slot(Pace(DUE, 5), clock, 1, claim)
        assert tried == [after(20 + 60 * number) for number in range(int(asked - 20) // 60 + 1)]

    @pytest.mark.parametrize("poll", [1, 2])
    def test_a_run_whose_slots_are_all_taken_does_not_ask(self, poll: int) -> None:
        """Its time is over with its last slot, also where it has asked for nothing yet."""
        assert not await_slot(Pace(DUE, 5), TurnedClock(after(3)), poll, lambda _slot: False)

    def test_the_system_clock_goes_on(self) -> None:
        """The clock of a run shows the machine's time, and moves."""
        clock = SystemClock()
        first = clock.now()
        clock.sleep(0.001)
        assert abs((first - datetime.now(UTC)).total_seconds()) < 60
        assert clock.now() - first >= timedelta(seconds=0.001)


class TestNextSlot:
    def test_a_failure_is_tried_again_in_the_next_slot(self) -> None:
        """A request that failed at 20.4 s is made again at 80 s, neither sooner nor later, however late a wait ends."""
        pace, clock = Pace(DUE, 5), TurnedClock(after(20.4))
        delay = NextSlot(pace, clock).next_delay(transient(), 1, 0.0)
        assert delay is not None
        for late in (0.0, 0.1, 19.0):
            clock.time = after(20.4 + delay + late)
            assert await_slot(pace, clock, 1, free)
            assert after(80) <= clock.time < after(81)

    def test_a_failure_just_before_a_slot_is_tried_again_in_that_slot(self) -> None:
        """A request that was answered 55 s after it was made is made again at once, which waits for the slot."""
        assert NextSlot(Pace(DUE, 5), TurnedClock(after(75))).next_delay(transient(), 1, 0.0) == 0

    def test_retry_after_is_honoured(self) -> None:
        """A server that asks for 70 s gets the slot after that."""
        delay = NextSlot(Pace(DUE, 5), TurnedClock(after(20.4))).next_delay(transient(70.0), 1, 0.0)
        assert delay == pytest.approx(140 - 20.4 - 20)

    def test_after_the_last_slot_it_has_failed(self) -> None:
        """There is no try beyond the run's time, and none for what trying cannot mend."""
        retries = NextSlot(Pace(DUE, 5), TurnedClock(after(260.4)))
        assert retries.next_delay(transient(), 1, 0.0) is None
        final = CollectionError(FailureCode.FEED_STATUS, "404")
        assert NextSlot(Pace(DUE, 5), TurnedClock(after(20.4))).next_delay(final, 1, 0.0) is None
        assert retries.most_tries() == 5


@pytest.fixture
def ends_by_signal() -> Iterator[signal.Signals]:
    """A signal at which this process ends."""
    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(1))
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_wakes_nobody_ends_a_wait(ends_by_signal: signal.Signals) -> None:
    """One that another thread receives, as one that comes just before the wait, is handled within seconds."""
    clock = SystemClock()
    other = threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), ends_by_signal))
    other.start()
    over = clock.now() + timedelta(seconds=20)
    with pytest.raises(SystemExit):
        clock.sleep(20)
    assert clock.now() < over
    other.join()
