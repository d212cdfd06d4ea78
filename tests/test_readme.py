"""README says what the code does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.readme import PARTS, PROJECT, README, demo, part
from tests.services.process import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", PARTS)
def test_the_generated_parts_are_up_to_date(name: str) -> None:
    """Options, result, message and codes in README are those of the code; ``make readme`` writes them anew."""
    assert part(README.read_text(), name) == PARTS[name]()


def test_make_help_lists_every_target() -> None:
    """``make help`` names each target that README or CI may call, with what it does."""
    helped = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) > 10
    assert re.findall(r"make ([a-z-]+) ", helped) == targets


def test_the_demo_does_what_readme_shows(tmp_path: Path) -> None:
    """The demo prints what README shows, every line marked as simulated; run again it stores nothing new."""
    assert demo(tmp_path) == part(README.read_text(), "demo")
    before = stored(tmp_path)
    # A second time beside settings of real use, which must not see anything simulated.
    real = {"KAFKA_CONNECTION_STRING": f"127.0.0.1:{free_port()}", "REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    again = subprocess.run(
        [sys.executable, "-m", "flows.demo", "data"],
        cwd=tmp_path,
        env={**os.environ, **real, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    assert stored(tmp_path) == before
    assert {line.partition(" ")[0] for line in again.stdout.splitlines()} == {"[simulated]"}
    assert "stored (" not in again.stdout


def stored(folder: Path) -> dict[str, int]:
    """Every archived snapshot with its time of writing."""
    paths = sorted((folder / "data" / "sourcing").rglob("*.json.gz"))
    assert len(paths) == 13
    return {path.name: path.stat().st_mtime_ns for path in paths}
