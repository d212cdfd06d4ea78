"""Writes the golden files anew: ``python -m tests.golden``. What has changed, ``git diff`` tells."""

import os
import sys
from pathlib import Path

import pytest

from tests.golden import WRITE

if __name__ == "__main__":
    os.environ[WRITE] = "1"
    sys.exit(pytest.main(["-q", "-m", "not services", str(Path(__file__).with_name("test_golden.py"))]))
