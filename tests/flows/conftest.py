"""What tests of several flows share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long Prefect's tasks were to wait before they were tried again: none of it is waited."""
    seconds: list[float] = []
    monkeypatch.setattr("prefect.task_engine.time", SimpleNamespace(sleep=seconds.append))
    return seconds
