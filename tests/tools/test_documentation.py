"""The documentation's generated parts say what the code does."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest

from flows import collect as collecting
from flows.demo import main as run_demo
from miso_archive.feeds import FEEDS
from tests.services.process import free_port
from tests.tools.documentation import OF_THE_DEMO, PARTS, PROJECT, demo, part


@pytest.mark.parametrize(("page", "name"), PARTS)
def test_the_generated_parts_are_up_to_date(page: str, name: str) -> None:
    """Options, result, message, codes and the rest are those of the code; ``make readme`` writes them anew."""
    assert part(page, name) == PARTS[page, name]()


def test_a_deployment_takes_as_many_lines_as_is_said() -> None:
    """A further feed is four lines of YAML."""
    _fence, *lines, _end = PARTS["docs/adding-a-feed.md", "fuel-mix-deployment"]().splitlines()
    assert len(lines) == 4


def test_make_help_lists_every_target() -> None:
    """``make help`` names each target that a person or CI may call, with what it does."""
    helped = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) > 10
    assert re.findall(r"make ([a-z-]+) ", helped) == targets


@pytest.mark.usefixtures("prefect_server")
def test_the_demo_does_what_the_documentation_shows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The demo prints what its parts show, every line marked as simulated; run again it stores nothing new."""
    shown = demo(tmp_path)
    assert {place: part(*place) for place in OF_THE_DEMO} == {place: make(shown) for place, make in OF_THE_DEMO.items()}
    before = stored(tmp_path)
    # A second time, on a server that is there, beside settings of real use, which must not see anything simulated.
    real = {"KAFKA_CONNECTION_STRING": f"127.0.0.1:{free_port()}", "REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    monkeypatch.chdir(tmp_path)
    # What the demo sets for its process is this one's, too: all of it is taken back.
    monkeypatch.setattr(collecting, "clock_of_a_run", collecting.clock_of_a_run)
    with patch.dict(os.environ, real), caplog.at_level(logging.CRITICAL, logger="miso_archive"):
        assert run_demo(Path("data")) == 0
    printed = capsys.readouterr().out
    assert stored(tmp_path) == before
    assert {line.partition(" ")[0] for line in printed.splitlines()} == {"[simulated]"}
    assert "stored" not in printed


def stored(folder: Path) -> dict[str, int]:
    """Every archived snapshot with its time of writing."""
    paths = sorted((folder / "data" / "sourcing").rglob("*.json.gz"))
    # Twelve intervals of each feed, and a revision of reserve's.
    assert len(paths) == 12 * len(FEEDS) + 1
    return {path.name: path.stat().st_mtime_ns for path in paths}
