"""The bench ends with what it found: a target that is not met is seen without reading the table."""

from __future__ import annotations

import pytest

from tests.bench_read_table import Result, table, targets_are_met


@pytest.mark.parametrize(
    ("reader", "peak", "scan", "met"),
    [
        ([1.1], 200.0, [20.0], True),
        ([1.3], 200.0, [20.0], False),
        ([1.1], 400.0, [20.0], False),
        ([1.1], 200.0, [2.0], False),
        ([1.1], 200.0, [], True),
        ([], 0.0, [20.0], False),
    ],
    ids=[
        "all met",
        "too slow",
        "too much memory",
        "a rival as fast",
        "a rival that never ended",
        "a reader that did not",
    ],
)
def test_a_target_that_is_not_met_counts(reader: list[float], peak: float, scan: list[float], *, met: bool) -> None:
    """One ratio, one time or one peak that misses its target makes the bench end with 1, as the table says no."""
    results = {
        "floor": Result(365, [1.0]),
        "reader": Result(365, reader, peak=peak),
        "reader, 30 days": Result(30, [0.11]),
    }
    if reader:
        results["polars scan"] = Result(365, scan)
    assert targets_are_met(results) is met
    if reader:
        assert ("**no**" in table(results)) is not met
