"""What users and stored data depend on is what was committed; ``python -m tests.golden`` writes it anew."""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.golden import WRITE, engine, story, surface

if TYPE_CHECKING:
    from tests.conftest import Bucket


EXPECTED = Path(__file__).with_name("expected")


def hold(name: str, made: str) -> None:
    """Compare with what is committed, or commit it."""
    file = EXPECTED / name
    if os.environ.get(WRITE):
        file.write_text(made, encoding="utf-8")
    committed = file.read_text(encoding="utf-8").splitlines()
    assert list(unified_diff(committed, made.splitlines(), "committed", "made", lineterm="", n=1)) == []


def test_the_help_is_as_it_was() -> None:
    """Each command says of itself what it did, word for word."""
    hold("help.txt", surface.help_texts())


def test_python_meets_the_same_names_and_columns(tmp_path: Path) -> None:
    """The public names, their arguments, and every public frame's columns and types stand in their order."""
    hold("python.txt", surface.python(tmp_path / "archive"))


def test_codes_and_settings_have_their_names() -> None:
    """What people filter by, and what they set, by which variable, with which default."""
    hold("names.txt", surface.names())


def test_what_is_deployed_is_the_same() -> None:
    """Deployments, their times and parameters, automations, flows and tasks."""
    hold("deployed.txt", surface.deployed())


def test_a_folder_holds_the_same(tmp_path: Path, redis_url: str, kafka_topic: str) -> None:
    """Keys, provenance, marks, Parquet, registrations, messages and results of a collection into a folder."""
    hold("folder.txt", story.in_a_folder(tmp_path, redis_url, kafka_topic))


def test_a_bucket_holds_the_same(tmp_path: Path, redis_url: str, bucket: Bucket) -> None:
    """The same of a bucket, with the metadata of its objects."""
    hold("bucket.txt", story.in_a_bucket(tmp_path, redis_url, bucket))


@pytest.mark.usefixtures("prefect_server")
def test_runs_show_the_same(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of runs and tasks, words of states, keys and content of artifacts, events with resource and payload."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    hold("runs.txt", engine.runs(tmp_path, redis_url))
