"""Which environments write into an archive: each run says when it is not alone, and so do status and coverage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.cli.app import main
from miso_archive.collecting.parts import open_parts
from miso_archive.feeds.reserve import RESERVE
from miso_archive.health.status import told
from miso_archive.settings.options import Settings
from miso_archive.simulate import Reply, snapshot_body
from tests.health.collected import ends, keep, looked_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket

OTHER = "was begun by {}, and {} writes into it too"


def printed_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Run a command; return what it printed as its result, and what it said beside."""
    capsys.readouterr()
    main([*arguments])
    printed = capsys.readouterr()
    return printed.out, printed.err


@pytest.fixture
def collected(feed: SimulatedFeed, redis_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Collects the next interval as an environment into an archive; returns what was said beside the result."""

    def collect(environment: str, *archive: str) -> str:
        options = ["--environment", environment, "--api-url", feed.url, "--redis-url", redis_url]
        out, said = printed_by(capsys, "collect", *archive, *options)
        assert json.loads(out)["collected"] == 1
        feed.advance()
        return said

    return collect


def collect_live(folder: Path, redis_url: str) -> None:
    """Begin a run, and end it before it asks: MISO's own feed is not for tests."""
    with open_parts(Settings.resolve({"local": folder, "redis_url": redis_url}, {}), RESERVE):
        pass


def marks(folder: Path) -> dict[str, Any]:
    """The marks in an archive, by name, without their times."""
    found = {path.name: json.loads(path.read_bytes()) for path in (folder / "environments").iterdir()}
    return {name: (mark["environment"], mark["simulated"]) for name, mark in found.items()}


def test_two_environments_in_one_bucket_are_told_everywhere(
    bucket: Bucket, collected: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Dev, prod and dev again: prod's run says so, and so do status and coverage; each object says who fetched it."""
    archive = ("--s3-bucket", bucket.name)
    assert "was begun by" not in collected("dev", *archive)
    assert "written by" not in printed_by(capsys, "status", *archive)[0]
    assert "warning" not in printed_by(capsys, "coverage", *archive)[1]
    assert OTHER.format("dev-simulated", "prod-simulated") in collected("prod", *archive)
    assert "was begun by" not in collected("dev", *archive)
    told_by = [bucket.metadata(key)["environment"] for key in bucket.keys("sourcing/")]
    assert told_by == ["dev", "prod", "dev"]
    assert bucket.keys("environments/") == ["environments/began.json", "environments/prod-simulated.json"]
    lines = printed_by(capsys, "status", *archive)[0].splitlines()
    assert "written by         dev-simulated, prod-simulated: one archive for several" in lines
    assert json.loads(printed_by(capsys, "status", "--json", *archive)[0])["written_by"] == [
        "dev-simulated",
        "prod-simulated",
    ]
    footer = "warning: dev-simulated, prod-simulated write into one archive"
    assert footer in printed_by(capsys, "coverage", *archive)[1]


def test_a_simulated_feed_in_a_live_archive_is_told(
    collected: Callable[..., str], redis_url: str, tmp_path: Path
) -> None:
    """A run of the same environment against a simulated feed says that a live one began the archive."""
    collect_live(tmp_path, redis_url)
    assert OTHER.format("dev", "dev-simulated") in collected("dev", "--local", str(tmp_path))
    assert marks(tmp_path) == {"began.json": ("dev", False), "dev-simulated.json": ("dev", True)}


def test_a_live_feed_in_a_simulated_archive_is_told(
    tmp_path: Path,
    redis_url: str,
    collected: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A live run into what `simulate --archive` wrote says so; a simulated run does not."""
    folder = tmp_path / "archive"
    printed_by(capsys, "simulate", "--archive", str(folder), "--days", "1")
    collect_live(folder, redis_url)
    assert OTHER.format("dev-simulated", "dev") in caplog.text
    assert "was begun by" not in collected("dev", "--local", str(folder))


def test_a_refused_body_says_which_environment_fetched_it(
    feed: SimulatedFeed, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment stands with the reasons for the refusal."""
    feed.script(Reply(body=b'{"error":"no data"}'))
    options = ["--environment", "staging", "--api-url", feed.url, "--redis-url", redis_url]
    printed_by(capsys, "collect", "--local", str(tmp_path), *options)
    (reasons,) = tmp_path.glob("quarantine/*/*/*.reasons.json")
    assert json.loads(reasons.read_bytes())["environment"] == "staging"


def test_an_archive_from_before_the_marks_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no mark stands nobody knows who wrote: status and coverage are silent about it."""
    keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
    found = looked_at(tmp_path)
    assert found.written_by == []
    assert "written by" not in told(found)
    assert "warning" not in printed_by(capsys, "coverage", "--local", str(tmp_path))[1]


def test_who_begins_anew_is_told_once(
    collected: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the first mark is removed, as when it is damaged, the next run begins; its mark from before is no other."""
    archive = ("--local", str(tmp_path))
    for environment in ("dev", "prod"):
        collected(environment, *archive)
    (tmp_path / "environments" / "began.json").unlink()
    assert "was begun by" not in collected("prod", *archive)
    assert set(marks(tmp_path)) == {"began.json", "prod-simulated.json"}
    assert "written by" not in printed_by(capsys, "status", *archive)[0]
    assert OTHER.format("prod-simulated", "dev-simulated") in collected("dev", *archive)
    line = "written by         prod-simulated, dev-simulated: one archive for several\n"
    assert line in printed_by(capsys, "status", *archive)[0]


def test_a_mark_that_cannot_be_read_stops_nothing(collected: Callable[..., str], tmp_path: Path) -> None:
    """What stands in the mark's place and is none is told, with what to do; the run collects."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "began.json").write_bytes(b"\x1b[2J{")
    said = collected("dev", "--local", str(tmp_path))
    assert "environments/began.json is no mark that can be read: remove it" in said
