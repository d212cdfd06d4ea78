"""The exception of the rooms, and the policy for trying again, with a clock that a test turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import ARCHIVE_RETRIES, FEED_RETRIES, CollectionError, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

POLICY = RetryPolicy(tries=5, first_delay=1.0, longest_delay=4.0, within=60.0)


class Clock:
    """A clock that moves when somebody waits, and remembers the waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let that much time pass."""
        self.waits.append(seconds)
        self.now += seconds


class Step:
    """A step that fails with the given errors, one a call, and then succeeds; each call takes some time."""

    def __init__(self, clock: Clock, *errors: Exception, takes: float = 0.0) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.takes = takes
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.clock.now += self.takes
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def transient(retry_after: float | None = None) -> CollectionError:
    """An error that trying again may help."""
    return CollectionError(FailureCode.FEED_UNAVAILABLE, "answers 503", transient=True, retry_after=retry_after)


def permanent() -> CollectionError:
    """An error that trying again cannot help."""
    return CollectionError(FailureCode.FEED_STATUS, "answers 404")


def unjittered(_low: float, _high: float) -> float:
    """Jitter that does nothing."""
    return 1.0


@pytest.fixture
def clock() -> Clock:
    """A clock of its own for each test."""
    return Clock()


@pytest.fixture
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", unjittered)


def test_an_error_shows_its_code_and_its_message() -> None:
    """What a person reads of an error is its stable code and its sentence."""
    assert str(permanent()) == "feed_status: answers 404"


def test_an_error_is_permanent_unless_it_says_otherwise() -> None:
    """An error of which nothing is known is not tried again."""
    assert not CollectionError(FailureCode.REDIS_FAILED, "").transient


def test_a_success_is_returned_without_waiting(clock: Clock) -> None:
    """A step that succeeds is called once, and nobody waits."""
    step = Step(clock)
    assert POLICY.call(step, clock=clock, wait=clock.wait) == "done"
    assert (step.calls, clock.waits) == (1, [])


@pytest.mark.parametrize("failures", [1, 2, 4])
def test_transient_errors_are_tried_again(clock: Clock, failures: int) -> None:
    """A step that fails for a while succeeds in the end, with one wait for each failure."""
    step = Step(clock, *(transient() for _ in range(failures)))
    assert POLICY.call(step, clock=clock, wait=clock.wait) == "done"
    assert (step.calls, len(clock.waits)) == (failures + 1, failures)


def test_the_tries_are_bounded(clock: Clock) -> None:
    """A step that fails for ever is called as often as the policy says, and its last error is raised."""
    errors = [transient() for _ in range(9)]
    step = Step(clock, *errors)
    with pytest.raises(CollectionError) as caught:
        POLICY.call(step, clock=clock, wait=clock.wait)
    assert (step.calls, len(clock.waits)) == (POLICY.tries, POLICY.tries - 1)
    assert caught.value is errors[POLICY.tries - 1]


@pytest.mark.parametrize("error", [permanent(), ValueError("a defect")], ids=["permanent", "foreign"])
def test_other_errors_are_not_tried_again(clock: Clock, error: Exception) -> None:
    """A permanent error, or one that no room raised on purpose, ends the step at its first try."""
    step = Step(clock, error)
    with pytest.raises(type(error)) as caught:
        POLICY.call(step, clock=clock, wait=clock.wait)
    assert caught.value is error
    assert (step.calls, clock.waits) == (1, [])


def test_a_permanent_error_ends_a_row_of_transient_ones(clock: Clock) -> None:
    """A step whose trouble turns permanent is not called again."""
    step = Step(clock, transient(), permanent())
    with pytest.raises(CollectionError, match="404"):
        POLICY.call(step, clock=clock, wait=clock.wait)
    assert step.calls == 2


@pytest.mark.usefixtures("_no_jitter")
def test_the_waits_double_up_to_the_longest(clock: Clock) -> None:
    """Each wait is twice the one before, up to the longest."""
    POLICY.call(Step(clock, *(transient() for _ in range(4))), clock=clock, wait=clock.wait)
    assert clock.waits == [1.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_the_jitter_is_by_half_at_most(failures: int) -> None:
    """A wait lies within half of its backoff, below and above, and is not always the same."""
    backoff = min(4.0, 2.0 ** (failures - 1))
    delays = [POLICY.delay(failures) for _ in range(200)]
    assert backoff * 0.5 <= min(delays) < backoff < max(delays) <= backoff * 1.5


def test_the_jitter_is_drawn_from_the_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """The range of the jitter is half to one and a half, so that clients that failed together spread out."""
    ranges: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        ranges.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", draw)
    assert POLICY.delay(1) == 1.5
    assert ranges == [(0.5, 1.5)]


@pytest.mark.parametrize(("asked", "waited"), [(None, 1.0), (0.0, 1.0), (0.3, 1.0), (30.0, 30.0)])
@pytest.mark.usefixtures("_no_jitter")
def test_retry_after_is_honoured(clock: Clock, asked: float | None, waited: float) -> None:
    """A wait is never shorter than the server asked, and never shorter than the backoff."""
    POLICY.call(Step(clock, transient(asked)), clock=clock, wait=clock.wait)
    assert clock.waits == [waited]


@pytest.mark.parametrize("asked", [60.1, 86_400.0, float("inf")])
def test_too_long_a_retry_after_ends_the_tries(clock: Clock, asked: float) -> None:
    """A server that asks for more time than there is ends the tries at once instead of holding the run."""
    step = Step(clock, transient(asked))
    with pytest.raises(CollectionError):
        POLICY.call(step, clock=clock, wait=clock.wait)
    assert (step.calls, clock.waits) == (1, [])


@pytest.mark.usefixtures("_no_jitter")
@pytest.mark.parametrize(("takes", "calls"), [(0.0, 5), (28.0, 3), (29.0, 2), (59.0, 2), (59.1, 1), (1000.0, 1)])
def test_the_time_is_bounded(clock: Clock, takes: float, calls: int) -> None:
    """No try begins after the policy's time, which counts from the first try on."""
    step = Step(clock, *(transient() for _ in range(9)), takes=takes)
    with pytest.raises(CollectionError):
        POLICY.call(step, clock=clock, wait=clock.wait)
    assert step.calls == calls


@pytest.mark.parametrize(
    ("error", "failures", "elapsed", "expected"),
    [
        (transient(), 1, 0.0, 1.0),
        (transient(), 4, 0.0, 4.0),
        (transient(), 5, 0.0, None),
        (transient(), 1, 59.0, 1.0),
        (transient(), 1, 59.5, None),
        (transient(5.0), 1, 55.0, 5.0),
        (permanent(), 1, 0.0, None),
        (KeyError(), 1, 0.0, None),
    ],
)
@pytest.mark.usefixtures("_no_jitter")
def test_the_next_wait_may_be_asked_for(
    error: Exception, failures: int, elapsed: float, expected: float | None
) -> None:
    """A caller with a loop of its own, such as Prefect's engine, learns the wait, or that there is none."""
    assert POLICY.next_delay(error, failures, elapsed) == expected


@pytest.mark.parametrize("policy", [FEED_RETRIES, ARCHIVE_RETRIES])
def test_the_policies_in_use_end_within_two_minutes(
    clock: Clock, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither feed nor archive is tried for more than two minutes, however the jitter falls, nor only once."""
    highest: Callable[[float, float], float] = max
    monkeypatch.setattr("random.uniform", highest)
    step = Step(clock, *(transient() for _ in range(99)), takes=1.0)
    with pytest.raises(CollectionError):
        policy.call(step, clock=clock, wait=clock.wait)
    assert 3 <= step.calls <= 10
    assert sum(clock.waits) <= 120
