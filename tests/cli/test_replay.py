"""The command on what was refused: replay."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.store.address import store_at
from miso_archive.store.put_once import store_refused
from tests.files import files
from tests.healing.test_replay import A_RULE, FETCHED_AT, KEY, NO_DATA, body, refuse, response
from tests.s3_archives import block

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket, Services


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command, which says nothing on stderr; give what it prints."""
    assert main(["replay", *arguments]) == code
    output = capsys.readouterr()
    assert output.err == ""
    (line,) = output.out.splitlines()
    printed: dict[str, Any] = json.loads(line)
    return printed


def test_the_result_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command archives what passes, prints every count and key, and ends with 0, also when bodies are refused."""
    refuse(tmp_path, response(body()), response(NO_DATA))
    assert replayed(capsys, "--local", str(tmp_path)) == {
        "quarantined": 2,
        "archived": 1,
        "already": 0,
        "still_refused": 1,
        "unreadable": 0,
        "objects": [KEY],
        "reasons": {"error_payload": 1},
        "errors": [],
    }
    assert gzip.decompress((tmp_path / KEY).read_bytes()) == body()


def test_a_dry_run_prints_what_would_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run names the keys and writes nothing."""
    refuse(tmp_path, response(body()))
    before = files(tmp_path)
    assert replayed(capsys, "--local", str(tmp_path), "--dry-run")["objects"] == [KEY]
    assert files(tmp_path) == before


def test_days_bound_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--start and --end are days of the fetch."""
    refuse(tmp_path, response(body()))
    day = f"{FETCHED_AT:%Y-%m-%d}"
    assert replayed(capsys, "--local", str(tmp_path), "--end", day)["quarantined"] == 0
    assert replayed(capsys, "--local", str(tmp_path), "--start", day)["quarantined"] == 1


def test_an_unreadable_body_is_named_with_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged body is in the result with its key, and the exit code says that not all could be judged."""
    (key,) = refuse(tmp_path, response(body()))
    (tmp_path / key).write_bytes(b"damaged")
    result = replayed(capsys, "--local", str(tmp_path), code=1)
    assert (result["unreadable"], [error["key"] for error in result["errors"]]) == (1, [key])


def test_an_archive_in_a_bucket(services: Services, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """The bucket of the options is read and written."""
    store_refused(store_at(block(services.s3, bucket.name)), RESERVE, response(body()), A_RULE)
    assert replayed(capsys, "--s3-bucket", bucket.name)["objects"] == [KEY]
    assert gzip.decompress(bucket.body(KEY)) == body()


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ([], 2, "say where the archive is"),
        (["--local", ".", "--start", "27-Jul-2026"], 2, "start is a market day, YYYY-MM-DD"),
        (["--local", "no/such/folder"], 1, "there is no folder"),
    ],
)
def test_mistakes_are_told_on_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, why: str
) -> None:
    """No archive, no day and no such folder are told in a line, with the exit code of their kind."""
    assert main(["replay", *arguments]) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert why in output.err


def test_an_archive_that_fails_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be written is told on stderr, without a traceback."""
    refuse(tmp_path, response(body()))
    (tmp_path / "sourcing").touch()
    assert main(["replay", "--local", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("miso-archive: the folder")


def test_help_says_that_nothing_is_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever listens to Kafka is not told of old data, and the help says so."""
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["replay", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "none is announced in Kafka" in words
    assert {"--start", "--end", "--dry-run", "--local", "--s3-bucket"} <= set(words.split())
