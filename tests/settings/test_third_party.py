"""An odd environment costs a command a line that names what is odd, and no traceback."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import main
from miso_archive.settings.third_party import leave_out_unusable, quiet_prefect

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed

pytestmark = pytest.mark.slow("a process for each library")

# As a folder above without rights does, it makes pathlib raise; and it does so for root too.
TOO_LONG = "x" * 300
PERIOD = ["--start", "2001-07-26", "--end", "2001-07-27"]


@pytest.mark.parametrize(
    "command",
    [
        *(["read"], ["coverage"], ["compact"], ["status"], ["replay"], ["backfill", *PERIOD]),
        ["backfill", "--feed", "da_exante_asm_mcp", *PERIOD],
    ],
)
def test_a_folder_that_cannot_be_looked_at_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command says of its archive's folder why it cannot be looked at, in a line."""
    monkeypatch.setenv("MISO_API_KEY", "key")
    assert main([*command, "--local", str(tmp_path / TOO_LONG)]) == 1
    told = "".join(capsys.readouterr())
    assert f"{TOO_LONG} cannot be looked at: File name too long. Check the folder's rights" in told


def test_nor_is_a_file_that_cannot_be_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Likewise a file to validate, and one to write."""
    assert main(["validate", str(tmp_path / TOO_LONG)]) == 1
    assert "unreadable_file: file cannot be read: " in capsys.readouterr().out
    assert main(["read", "--local", str(tmp_path), "--output", str(tmp_path / TOO_LONG / "x.csv")]) == 2
    assert capsys.readouterr().err.splitlines()[0].endswith("x.csv cannot be written: File name too long")


def test_status_does_not_know_of_a_spool_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spool that cannot be read may hold bodies: their number is unknown, not 0."""
    (tmp_path / "file").touch()
    asked = ["status", "--local", str(tmp_path), "--spool"]
    main([*asked, str(tmp_path / "file")])
    assert "in the spool       unknown\n" in capsys.readouterr().out
    main([*asked, str(tmp_path / "file"), "--json"])
    assert json.loads(capsys.readouterr().out)["spooled"] is None
    main([*asked, str(tmp_path / "none")])
    assert "in the spool       0\n" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "json"])
def test_certificates_that_libraries_read_by_themselves(feed: SimulatedFeed, tmp_path: Path, form: str) -> None:
    """A run whose SSL_CERT_FILE is not there collects, and says so in a line where Prefect has a traceback."""
    command = ["collect", "--local", str(tmp_path / "data"), "--api-url", feed.url, "--log-format", form]
    done = subprocess.run(
        [sys.executable, "-m", "miso_archive", *command],
        env={**os.environ, "SSL_CERT_FILE": "/no/such", "SSLKEYLOGFILE": "/no/such/keys"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, json.loads(done.stdout)["collected"]) == (0, 1)
    assert "Traceback" not in done.stderr
    for variable in ("SSL_CERT_FILE names '/no/such'", "SSLKEYLOGFILE names '/no/such/keys'"):
        assert f"warning: {variable}, which cannot be used and is left out: No such file" in done.stderr


def test_only_what_cannot_be_used_is_left_out(tmp_path: Path) -> None:
    """A file that can be used stays, without the line break behind it; one without certificates is named and goes."""
    keys, junk = tmp_path / "keys", tmp_path / "junk"
    junk.write_bytes(b"junk")
    environ = {"SSLKEYLOGFILE": f"{keys}\r\n", "SSL_CERT_FILE": str(junk), "REQUESTS_CA_BUNDLE": "/no/such"}
    assert leave_out_unusable(environ) == [
        f"SSL_CERT_FILE names '{junk}', which cannot be used and is left out: it is no file of certificates in PEM"
    ]
    assert environ == {"SSLKEYLOGFILE": str(keys), "REQUESTS_CA_BUNDLE": "/no/such"}


def test_prefect_says_it_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """What Prefect cannot read of a home that is somebody else's is one line without a traceback."""
    quiet_prefect()
    logging.getLogger("prefect.plugins").error("Failed to initialize plugins", exc_info=PermissionError())
    assert [(record.message, record.exc_info) for record in caplog.records] == [("Failed to initialize plugins", None)]
