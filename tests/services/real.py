"""Promises held on real servers alone: each takes seconds, and on embedded ones as well CI took minutes more."""

from __future__ import annotations

from typing import Final

import pytest

ON_REAL_SERVERS: Final = pytest.mark.parametrize(
    "services", [pytest.param("real", marks=pytest.mark.services)], indirect=True
)
