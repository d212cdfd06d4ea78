"""What read, coverage and compact share: wrong usage, archives that are none, a bar on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli import on_archive
from miso_archive.cli.app import main
from tests.cli.small_archive import printed

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed


pytestmark = pytest.mark.slow("a process for each terminal")


class TestUsage:
    @pytest.mark.parametrize("command", ["read", "coverage", "compact"])
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ([], "--s3-bucket (S3_BUCKET), --s3-block or --local"),
            (["--local", "a", "--s3-bucket", "bucket"], "--local"),
            (["--local", ".", "--start", "yesterday"], "--start is a market day, YYYY-MM-DD, not 'yesterday'"),
            (["--local", ".", "--start", "2026-07-02", "--end", "2026-07-01"], "before they start"),
            (["--local", ".", "--format", "xml"], "--format"),
        ],
    )
    def test_wrong_usage_is_said(
        self, command: str, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What is wrong is named, the exit code is 2, and nothing is printed."""
        assert main([command, *arguments]) == 2
        output = capsys.readouterr()
        assert problem in output.err
        assert output.out == ""

    @pytest.mark.parametrize("command", ["read", "coverage", "compact"])
    def test_a_folder_that_is_not_there_is_no_empty_archive(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A folder that does not exist fails, with its name and what to do, instead of giving nothing."""
        assert main([command, "--local", str(tmp_path / "dta")]) == 1
        output = capsys.readouterr()
        assert "dta" in output.err
        assert "collected into" in output.err
        assert output.out == ""

    @pytest.mark.parametrize("command", ["read", "coverage", "compact"])
    def test_a_folder_that_is_no_archive_is_told(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A folder of something else fails by name, instead of giving nothing."""
        (tmp_path / "letters").mkdir()
        assert main([command, "--local", str(tmp_path)]) == 1
        output = capsys.readouterr()
        assert f"{tmp_path.as_uri()} is no archive" in output.err
        assert output.out == ""

    def test_a_file_that_cannot_be_written_is_said(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """--output into a folder that is not there is wrong usage, not a traceback."""
        assert main(["read", "--local", str(archive), "--output", str(archive / "no" / "such.csv")]) == 2
        assert "--output" in capsys.readouterr().err


class TestTerminal:
    def in_terminal(self, *arguments: str) -> tuple[int, str]:
        """Run a command with a terminal for stdout and stderr; give its exit code and what it shows."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "miso_archive", *arguments],
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        ) as process:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # the terminal is closed
                    break
                if not piece:
                    break
                shown += piece
            os.close(ours)
        return process.returncode, shown.decode()

    def test_long_work_shows_a_bar(self, archive: Path) -> None:
        """On a terminal a bar tells how many days are read; elsewhere (as everywhere above) there is none."""
        code, shown = self.in_terminal("coverage", "--local", str(archive))
        assert code == 0
        assert "days read" in shown
        assert "2026-07-27" in shown

    def test_a_warning_does_not_run_into_the_bar(self, archive: Path, feed: SimulatedFeed) -> None:
        """What is warned of while a bar is shown stands on a line of its own, above the bar."""
        where = ("--local", str(archive), "--reports-url", feed.url, "--start", "2026-07-27", "--end", "2026-07-28")
        code, shown = self.in_terminal("backfill", *where)
        assert code == 0
        before, told, _ = shown.partition("miso-archive: warning: ")
        assert told
        assert "days backfilled" in before
        assert "1/1" in shown
        assert re.search(r"0 rows, ends about 20\d\d-\d\d-\d\d \d\d:\d\d", shown)
        assert before.endswith(("\n", "\x1b[2K"))

    def test_elsewhere_a_line_tells_how_far_a_backfill_is(
        self, archive: Path, feed: SimulatedFeed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without a terminal a line on standard error says once a minute what the bar would: here at once."""
        monkeypatch.setattr(on_archive, "_SECONDS_BETWEEN_LINES", 0)
        where = ("--local", str(archive), "--reports-url", feed.url, "--start", "2026-07-27", "--end", "2026-07-28")
        assert main(["backfill", *where]) == 0
        assert re.search(
            r"^miso-archive: 1 of 1 market days, 0 rows, ends about 20", capsys.readouterr().err, re.MULTILINE
        )

    @pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
    def test_a_pipe_that_may_be_coloured_gets_no_bar(
        self, archive: Path, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What CI sets to have colours in its logs puts no bar, and nothing else, on standard error."""
        monkeypatch.setenv(variable, "1")
        assert "4 rows" in printed(capsys, "read", "--all-revisions", "--snapshots", "--local", str(archive))

    def test_parquet_is_not_for_a_terminal(self, archive: Path) -> None:
        """Parquet on a terminal is refused, with what to do."""
        code, shown = self.in_terminal("read", "--local", str(archive), "--format", "parquet")
        assert code == 2
        assert "--output FILE" in shown


def test_reading_never_imports_prefect(archive: Path) -> None:
    """Neither the package nor a folder read, counted and compacted imports Prefect or boto3."""
    code = (
        "import sys, miso_archive as mr; from datetime import date;"
        f"a = {str(archive)!r}; mr.scan_constraints(a).collect(); mr.scan_snapshots(a).collect(); mr.coverage(a);"
        "mr.missing_intervals(a); mr.fetch_times(a); mr.compact_month(a, date(2026, 7, 1));"
        "sys.exit(' '.join({'prefect', 'prefect_aws', 'boto3', 'redis'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
