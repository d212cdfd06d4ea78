from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from miso_archive.cli import validate as cli_validate
from miso_archive.cli.app import app, main
from miso_archive.settings.options import Settings, option_name
from miso_archive.version import __version__
from tests.settings.test_options import FIELDS, TABLE

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cr3t"  # noqa: S105 - a made-up one
NOWHERE = "/dev/null/place"  # a folder that no run can make, should one start by mistake


def wrong_usage(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that is wrong usage: exit code 2, nothing on stdout; give the message."""
    assert main(list(arguments)) == 2
    output = capsys.readouterr()
    assert output.out == ""
    first, second = output.err.splitlines()
    assert first.startswith("miso-archive: ")
    command = arguments[0] if arguments[0] in app else ""
    assert second == " ".join(f"Try miso-archive {command} --help.".split())
    return first


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (["frobnicate"], "frobnicate"),
            (["--frobnicate"], "--frobnicate"),
            (["collect", "--frobnicate"], "--frobnicate"),
            (["collect"], "--s3-bucket (S3_BUCKET), --s3-block or --local"),
            (["collect", "stray"], "too many"),
            (["collect", "--s3-bucket"], "--s3-bucket requires an argument"),
            (["collect", "--local", "a", "--s3-bucket", "bucket"], "--s3-bucket and --local"),
            (["collect", "--local", "a", "--environment", "test"], "--environment: "),
            (["collect", "--local", "a", "--log-level", "TRACE"], "--log-level: "),
            (["collect", "--local", "a", "--timeout", "soon"], "--timeout: "),
            (["collect", "--local", "a", "--timeout", "0"], "--timeout: "),
            (["collect", "--local", "a", "--redis-port", "65536"], "--redis-port: "),
            (["collect", "--local", "a", "--api-url", "ftp://host"], "--api-url: "),
            (
                ["collect", "--local", "a", "--redis-url", "redis://a", "--redis-host", "b"],
                "--redis-url stands instead",
            ),
            (["validate"], "FILES requires an argument"),
            (["validate", "--jason", "x"], "--jason"),
            (["simulate", "--faults", "418=1"], "'418' is not a known fault"),
            (["simulate", "--port", "x"], "--port"),
        ],
    )
    def test_wrong_usage_is_told_on_stderr(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
    ) -> None:
        """Wrong usage is exit code 2, a line on stderr that names the problem, and nothing on stdout."""
        assert problem in wrong_usage(capsys, *arguments)

    def test_a_wrong_environment_variable_is_named(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A mistake in the environment is wrong usage too, and the message names the variable."""
        monkeypatch.setenv("REDIS_PORT", "x")
        assert "REDIS_PORT: " in wrong_usage(capsys, "collect", "--local", NOWHERE)

    @pytest.mark.parametrize(("option", "text", "value"), [(row[0], row[3], row[4]) for row in TABLE], ids=FIELDS)
    @pytest.mark.parametrize("joined", [False, True])
    def test_every_option_reaches_the_settings(self, option: str, text: str, value: object, *, joined: bool) -> None:
        """Each option of the table is understood, with a blank or = before its value, and sets its field alone."""
        arguments = ["collect", f"{option}={text}"] if joined else ["collect", option, text]
        settings = app.parse_args(arguments, exit_on_error=False, print_error=False)[1].arguments["settings"]
        assert isinstance(settings, Settings)
        assert settings.model_fields_set == {FIELDS[option]}
        assert getattr(settings, FIELDS[option]) == value

    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("collect", [option_name(field) for field in Settings.model_fields]),
            ("validate", ["FILES", "--json"]),
            ("simulate", ["--port", "--speed", "--faults", "--seed"]),
        ],
    )
    def test_help_lists_every_option(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, options: list[str]
    ) -> None:
        """--help of each command names all its options, on stdout, exit code 0."""
        monkeypatch.setenv("COLUMNS", "120")
        assert main([command, "--help"]) == 0
        output = capsys.readouterr()
        assert output.err == ""
        words = output.out.split()
        assert [option for option in options if option not in words] == []

    @pytest.mark.parametrize("arguments", [[], ["--help"]])
    def test_help_lists_every_command(self, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
        """Without a command, as with --help, the commands are listed."""
        assert main(arguments) == 0
        assert {"collect", "validate", "simulate"} <= set(capsys.readouterr().out.split())

    def test_the_version_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        """--version prints the version and nothing else."""
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"{__version__}\n"

    def test_an_interrupt_is_no_traceback(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Ctrl-C ends a command with the shell's usual code 130 and no output."""

        def interrupted(name: str) -> None:
            raise KeyboardInterrupt(name)

        monkeypatch.setattr(cli_validate, "_read", interrupted)
        payload = tmp_path / "payload"
        payload.write_bytes(b"{}")
        with pytest.raises(SystemExit) as ended:
            sys.exit(main(["validate", str(payload)]))
        assert ended.value.code == 130
        assert capsys.readouterr().out == ""


MALFORMED = {
    "--redis-url": [
        *(SECRET, f"http://:{SECRET}@cache", f"redis://:{SECRET}@", f"redis://:{SECRET}#x@cache", f"-{SECRET}"),
        *(f"redis://user:{SECRET}/x@cache", f"redis://:a[{SECRET}]b@cache", f"redis://:{SECRET}\u2100@cache"),
        *(f"redis://:{SECRET}@cache:{SECRET}", f"redis://:{SECRET}@cache:99999", f"redis://:[{SECRET}@cache"),
    ],
    "--kafka-connection-string": [
        *(SECRET, f"user:{SECRET}", f"user:{SECRET}@", f"user:{SECRET}@broker", f":{SECRET}@broker:9092", f"-{SECRET}"),
        *(f"user:{SECRET}@broker:9092/to pic", f"user:{SECRET}@broker:9092?acks={SECRET}", f"{SECRET}@broker:9092"),
        *(f"user:{SECRET}@broker:9092?security_protocol={SECRET}", f"kafka://user:{SECRET}@broker:0"),
        *(f"user:{SECRET}@broker:9092?sasl_mechanism={SECRET}", f"user:{SECRET}@broker:9092?security_protocol=SSL"),
    ],
}


class TestSecrets:
    @pytest.mark.parametrize(("option", "text"), [(option, text) for option in MALFORMED for text in MALFORMED[option]])
    @pytest.mark.parametrize("way", ["option value", "option=value", "environment"])
    def test_no_message_shows_a_password(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, text: str, way: str
    ) -> None:
        """However an address is malformed and given, it is wrong usage, and the message has no part of its password."""
        arguments = {"option value": [option, text], "option=value": [f"{option}={text}"], "environment": []}[way]
        if way == "environment":
            monkeypatch.setenv(option.removeprefix("--").replace("-", "_").upper(), text)
        assert SECRET not in wrong_usage(capsys, "collect", "--local", NOWHERE, *arguments)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--redis-urll", f"redis://:{SECRET}@cache"],
            [f"--redis-urll=redis://:{SECRET}@cache"],
            ["-redis-url", f"redis://:{SECRET}@cache"],
            ["--redis-url", f"redis://:{SECRET}@cache", "--redis-url", f"redis://:{SECRET}@other"],
            ["--redis-url", f"redis://:{SECRET}@cache", "--redis-host", "other"],
            ["--redis-url", f"redis://:{SECRET}@cache", "--timeout", "x"],
            ["--kafka-connection-string", f"user:{SECRET}@broker:9092", "--timeout", "0"],
            ["--kafka-connection-string", f"user:{SECRET}@broker:9092", "--frobnicate"],
            ["--kafka-connection-string", "broker:9092", f"user:{SECRET}@broker:9092"],
            [f"redis://:{SECRET}@cache"],
        ],
    )
    def test_other_mistakes_show_no_password_either(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        """A misspelt or doubled option, a stray word or another wrong value does not bring a password on the screen."""
        assert SECRET not in wrong_usage(capsys, "collect", "--local", NOWHERE, *arguments)

    @pytest.mark.slow("runs a command for each of many texts")
    @given(st.text("ab:@/?#[]%,&= -\u2100", max_size=8))
    @hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    def test_no_kind_of_mistake_shows_a_password(self, capsys: pytest.CaptureFixture[str], around: str) -> None:
        """Whatever stands around a password on the command line, no message has it."""
        for option in MALFORMED:
            for text in (f"{around}{SECRET}@host", f"user:{SECRET}{around}@host:9092?x"):
                arguments = ["collect", "--local", NOWHERE, f"{option}={text}", "--timeout=0"]
                assert SECRET not in wrong_usage(capsys, *arguments)
