"""Where rows go: the format by the file's name, and every place that takes no file or no more output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import miso_archive as mr
from miso_archive.cli.app import main
from miso_archive.feeds.reserve import RESERVE
from miso_archive.simulate.archive import write_archive

if TYPE_CHECKING:
    from miso_archive.simulate import SimulatedFeed

pytestmark = pytest.mark.slow("a process for each place to write to")

READERS = ("read", "coverage")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated day."""
    folder = tmp_path_factory.mktemp("day") / "archive"
    write_archive(folder, days=1, seed=1)
    return folder


def command(*arguments: str, **given: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: ANN401 - subprocess' own
    """Run the command line in a process of its own."""
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **given}
    return subprocess.run([sys.executable, "-m", "miso_archive", *arguments], check=False, **options)


class TestFormat:
    @pytest.mark.parametrize("name", READERS)
    def test_it_is_that_of_the_file_s_name(self, name: str, archive: Path, tmp_path: Path) -> None:
        """.csv, .parquet, .json and .txt, in large letters too, hold what they say, without a --format."""
        for file in ("rows.csv", "ROWS.PARQUET", "rows.json", "rows.txt", "rows"):
            assert main([name, "--local", str(archive), "--output", str(tmp_path / file)]) == 0
        rows = len(pl.read_csv(tmp_path / "rows.csv"))
        assert rows > 0
        assert len(pl.read_parquet(tmp_path / "ROWS.PARQUET")) == rows
        assert len(json.loads((tmp_path / "rows.json").read_text())) == rows
        for file in ("rows.txt", "rows"):
            assert (tmp_path / file).read_text().endswith(f"{rows} row{'s' if rows > 1 else ''}, times in EST\n")

    def test_compact_too(self, tmp_path: Path) -> None:
        """What became of each month goes into a CSV that is called one."""
        write_archive(tmp_path / "archive", days=1, seed=1)
        assert main(["compact", "--local", str(tmp_path / "archive"), "--output", str(tmp_path / "months.csv")]) == 0
        assert pl.read_csv(tmp_path / "months.csv")["month"].to_list() == ["2001-01"]

    @pytest.mark.parametrize(
        "case",
        [
            ("rows.xlsx", (), "rows.xlsx tells no format"),
            ("rows.csv.gz", (), "rows.csv.gz is named like a compressed file, and none is: leave out the .gz"),
            ("rows.ZIP", ("--format", "csv"), "rows.ZIP is named like a compressed file"),
            ("rows.csv", ("--format", "parquet"), "rows.csv is named like csv, and --format says parquet"),
            ("rows.parquet", ("--format", "table"), "rows.parquet is named like parquet, and --format says table"),
        ],
    )
    @pytest.mark.parametrize("name", [*READERS, "compact", "backfill"])
    def test_a_name_that_tells_none_or_another_is_refused(
        self,
        name: str,
        case: tuple[str, tuple[str, ...], str],
        archive: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Nothing is written under a name that promises something else, and nothing is done before it is told."""
        file, given, problem = case
        assert main([name, "--local", str(archive), "--output", str(tmp_path / file), *given]) == 2
        assert problem in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_a_format_that_is_given_goes_with_a_name_that_tells_none(self, archive: Path, tmp_path: Path) -> None:
        """--format csv into a file of any other name is CSV."""
        for file in ("rows.dat", "rows"):
            assert main(["read", "--local", str(archive), "--output", str(tmp_path / file), "--format", "csv"]) == 0
            assert pl.read_csv(tmp_path / file).columns == list(mr.scan_constraints(archive).collect_schema())

    def test_a_dash_is_standard_output(self, archive: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        """--output - prints, in the format given, and makes no file of that name."""
        assert main(["read", "--local", str(archive), "--output", "-", "--format", "csv"]) == 0
        assert capfdbinary.readouterr().out.startswith(b"market_day,")
        assert not Path("-").exists()
        assert main(["read", "--local", str(archive), "--output", "--csv"]) == 2
        assert b"--output needs a file, not --csv" in capfdbinary.readouterr().err


class TestPlaces:
    @pytest.mark.parametrize(
        ("file", "problem"),
        [("no/such.csv", "there is no folder"), (".", "is a folder"), ("", "is a folder"), ("locked/x.csv", "denied")],
    )
    def test_where_no_file_can_stand(
        self, file: str, problem: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A missing folder, a folder, and a place without rights are wrong usage, told before the archive is read."""
        (tmp_path / "locked").mkdir()
        real = os.access  # root may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked" and real(path, mode))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("miso_archive.reading.scan.scan_constraints", None)
        told: list[str] = []
        monkeypatch.setattr(sys.stderr, "write", told.append)
        assert main(["read", "--local", str(archive), "--output", file]) == 2
        assert problem in told[0]
        assert told[0].startswith("miso-archive: --output: ")

    def test_a_full_disk_leaves_no_half_file(self, archive: Path, tmp_path: Path) -> None:
        """A file that the disk does not take is exit code 1 with the reason; half of it does not stay."""
        import resource  # noqa: PLC0415 - only here

        file = tmp_path / "rows.csv"
        limit = (4096, 4096)  # a file may not grow beyond it, which is how a full disk looks
        done = command(
            *("read", "--local", str(archive), "--snapshots", "--output", str(file)),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        )
        assert done.returncode == 1
        assert b"rows.csv cannot be written: " in done.stderr
        assert b"Traceback" not in done.stderr
        assert not file.exists()

    @pytest.mark.parametrize("arguments", [("coverage",), ("validate",), ("--help",)])
    def test_standard_output_that_is_closed(self, arguments: tuple[str, ...], archive: Path) -> None:
        """A process without a standard output cannot print: exit code 1 and one line."""
        place = {"validate": [str(archive)], "--help": []}.get(arguments[0], ["--local", str(archive)])
        done = command(*arguments, *place, stdout=None, preexec_fn=lambda: os.close(1))
        assert (done.returncode, done.stderr) == (
            1,
            b"miso-archive: standard output cannot be written: Bad file descriptor\n",
        )

    def test_standard_input_that_is_closed(self) -> None:
        """What cannot be read is a file that cannot be read."""
        done = command("validate", "-", preexec_fn=lambda: os.close(0))
        assert (done.returncode, done.stderr) == (1, b"")
        assert done.stdout.startswith(b"-: refused\n  unreadable_file: ")

    def test_standard_error_that_is_closed(self, feed: SimulatedFeed, tmp_path: Path) -> None:
        """A run whose logs nobody reads collects, into a folder of any bytes, with its embedded Valkey."""
        folder = os.fsdecode(bytes(tmp_path / "d") + b"\xff")
        done = command("collect", "--local", folder, "--api-url", feed.url, preexec_fn=lambda: os.close(2))
        assert (done.returncode, json.loads(done.stdout)["collected"]) == (0, 1)
        assert command("nope", preexec_fn=lambda: os.close(2)).returncode == 2

    def test_a_full_disk_behind_standard_error(self, feed: SimulatedFeed, archive: Path, tmp_path: Path) -> None:
        """Words that cannot be written change no exit code and lose no row: a run, a warning, wrong usage."""
        damaged = (
            next(archive.glob("sourcing/*/*/*.json.gz")).parent
            / f"{RESERVE.file_stem}_20010101_0730.aaaaaaaaaaaa.json.gz"
        )
        damaged.write_bytes(b"damaged")
        with Path("/dev/full").open("wb") as full:
            collected = command("collect", "--local", str(tmp_path / "new"), "--api-url", feed.url, stderr=full)
            rows = command("read", "--local", str(archive), "--format", "csv", stderr=full)
            wrong = command("read", "--nope", stderr=full)
        damaged.unlink()
        assert (collected.returncode, json.loads(collected.stdout)["collected"]) == (0, 1)
        assert (rows.returncode, rows.stdout[:11]) == (0, b"market_day,")
        assert wrong.returncode == 2

    @pytest.mark.parametrize("arguments", [("coverage", "--format", "json"), ("status",), ("validate",)])
    def test_a_full_disk_behind_standard_output(self, arguments: tuple[str, ...], archive: Path) -> None:
        """Standard output that takes nothing is exit code 1 and one line, for every command that prints."""
        place = [str(archive)] if arguments == ("validate",) else ["--local", str(archive)]
        with Path("/dev/full").open("wb") as full:
            done = command(*arguments, *place, stdout=full)
        assert (done.returncode, done.stderr) == (
            1,
            b"miso-archive: standard output cannot be written: No space left on device\n",
        )

    def test_whoever_has_had_enough(self, archive: Path) -> None:
        """A pipe that is closed early ends the command without a word."""
        with subprocess.Popen(
            [sys.executable, "-m", "miso_archive", "validate", str(archive)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 1

    def test_letters_that_the_terminal_has_not(self, tmp_path: Path) -> None:
        """A folder whose name is not in the letters of standard output is spelled out, not a traceback."""
        folder = tmp_path / "dat\N{LATIN SMALL LETTER A WITH DIAERESIS}"
        (folder / "sourcing" / RESERVE.dataset).mkdir(parents=True)
        environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
        done = command("validate", str(folder), env=environment)
        assert done.stdout.startswith(f"{tmp_path}/dat\\xe4: refused".encode())
        assert done.stderr == b""


def test_the_command_that_is_wrong_is_the_one_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    """An error in a command names that command's help; one before any command names the whole."""
    for arguments, asked in (
        (["read", "--nope"], "miso-archive read"),
        (["status"], "miso-archive status"),
        (["coverage", "--local", "x", "--start", "x"], "miso-archive coverage"),
        (["nope"], "miso-archive"),
        (["--nope", "read"], "miso-archive"),
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"Try {asked} --help."
