"""White space around a setting, as secrets and files with CRLF bring it, is left out; what steers within is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from flows.serve import deployments
from flows.task_runner import VARIABLE, task_runner
from miso_archive.cli.app import main
from miso_archive.settings.options import BackfillSettings, Settings, UsageError, environment_variable, option_name
from miso_archive.text import strip_variable, stripped
from tests.settings.test_options import FIELDS, SECRET, TABLE, resolved

if TYPE_CHECKING:
    from miso_archive.simulate import SimulatedFeed

BLANKS = ["\n", "\r\n", " \t", "\xa0", "\u3000", "\u2028", "\ufeff", "\u200b", "\x85", " \ufeff\r\n "]
STEERING = ["\n", "\r", "\t", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]
REPORTS = ("reports_url", "MISO_REPORTS_URL", "http://127.0.0.1:1/reports/")
SAMPLES = [(FIELDS[option], variable, text, value) for option, variable, _, text, value in TABLE]


class TestSettings:
    @pytest.mark.parametrize("blank", BLANKS)
    @pytest.mark.parametrize(("field", "variable", "text", "value"), SAMPLES)
    def test_white_space_around_a_value_is_left_out(
        self, field: str, variable: str | None, text: str, value: object, blank: str
    ) -> None:
        """An option or a variable with white space at its ends, a byte order mark included, is the one without."""
        around = f"{blank}{text}{blank}"
        assert getattr(resolved({field: around}), field) == value
        if variable:
            assert getattr(resolved({}, {variable: around}), field) == value

    @pytest.mark.parametrize("blank", BLANKS)
    def test_a_variable_of_white_space_is_not_set(self, blank: str) -> None:
        """White space only in a variable is no value; so it is no mistake, and sets nothing aside."""
        blanks = {variable: blank for _, variable, *_ in SAMPLES if variable}
        expected = Settings.resolve({}, {"MISO_LOCAL": "place", "REDIS_HOST": "cache"})
        assert Settings.resolve({}, {**blanks, "MISO_LOCAL": "place", "REDIS_HOST": "cache"}) == expected
        assert expected.redis_address == "redis://cache:6379/0"

    @pytest.mark.parametrize("field", ["s3_bucket", "local", "redis_host", "api_url", "redis_url"])
    def test_an_option_of_white_space_is_a_mistake(self, field: str) -> None:
        """An option that is given names something: white space is refused as nothing is, by the option's name."""
        with pytest.raises(UsageError, match=f"^{option_name(field)}: ."):
            resolved({field: " \r\n"})

    @pytest.mark.parametrize("steering", STEERING)
    @pytest.mark.parametrize(("field", "variable", "text", "_value"), SAMPLES)
    def test_control_characters_within_are_refused(
        self, field: str, variable: str | None, text: str, _value: object, steering: str
    ) -> None:
        """A line break or its like within a value is refused by the name of its option or variable."""
        within = f"{text[:2]}{steering}{text[2:]}x"
        problem = "it has a line break, a tab or another control character within"
        with pytest.raises(UsageError, match=f"^{option_name(field)}: {problem}$"):
            resolved({field: within})
        if variable:
            with pytest.raises(UsageError, match=f"^{variable}: {problem}$"):
                resolved({}, {variable: within})

    @pytest.mark.parametrize("field", ["redis_url", "kafka_connection_string"])
    def test_no_secret_is_repeated(self, field: str) -> None:
        """What is said of a password with a line break within does not show it."""
        start = "redis://:" if field == "redis_url" else "user:"
        for password in (f"{SECRET}\n{SECRET}", f"{SECRET}\udcff"):
            with pytest.raises(UsageError) as refusal:
                resolved({field: f"{start}{password}@host:9092"})
            assert SECRET not in str(refusal.value)

    @pytest.mark.parametrize("field", ["s3_bucket", "aws_profile", "redis_host", "api_url", "redis_url"])
    def test_what_is_no_text_is_refused(self, field: str) -> None:
        """Bytes of the environment that are no UTF-8 are refused by the variable's name; a folder may be named so."""
        variable = environment_variable(field)
        with pytest.raises(UsageError, match=f"^{variable}: "):
            resolved({}, {str(variable): "http://h\udcff/"})
        assert resolved({}, {"MISO_LOCAL": "pl\udcffce"}).local == Path("pl\udcffce")

    def test_blanks_within_stay(self) -> None:
        """A folder with blanks in its name is that folder, a password with blanks that password."""
        given: dict[str, Any] = {"local": " my data \n", "redis_url": f"redis://:{SECRET} {SECRET}@cache\n"}
        settings = resolved(given)
        assert settings.local == Path("my data")
        assert settings.redis_url == SecretStr(f"redis://:{SECRET} {SECRET}@cache")
        assert resolved({"local": Path(" my data \n")}).local == Path("my data")

    def test_the_reports_address_is_one_too(self) -> None:
        """The reports' address follows the same rules, and names a folder: nothing with a query or a fragment."""
        field, variable, address = REPORTS
        place = {"local": "place"}
        assert BackfillSettings.resolve(place, {variable: f"{address}\r\n"}).reports_url == address
        assert BackfillSettings.resolve({**place, field: f"{address}\n"}, {}).reports_url == address
        for wrong in (f"{address}?list=1", f"{address}#top", "http://127.0.0.1:1/\nx"):
            with pytest.raises(UsageError, match=rf"^{variable}: "):
                BackfillSettings.resolve(place, {variable: wrong})


class TestDoors:
    @pytest.mark.parametrize("form", ["{}\r\n", " {}\n", "\ufeff{}"])
    def test_variables_of_a_secret_collect(
        self, feed: SimulatedFeed, tmp_path: Path, redis_url: str, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a secret sets with a line break is asked, and archived into, without it."""
        folder = tmp_path / "my data"
        for variable, value in {"MISO_API_URL": feed.url, "MISO_LOCAL": str(folder), "REDIS_URL": redis_url}.items():
            monkeypatch.setenv(variable, form.format(value))
        asked: list[str] = []
        monkeypatch.setattr("miso_archive.collecting.fetch._request", _noting(asked))
        assert main(["collect"]) == 0
        assert asked == [feed.url]
        assert [path.name for path in tmp_path.iterdir()] == ["my data"]

    def test_options_of_a_script_with_crlf_collect(self, feed: SimulatedFeed, tmp_path: Path, redis_url: str) -> None:
        """Each option of a script with CRLF counts as without, the choices among them."""
        options = {"--local": str(tmp_path / "data"), "--redis-url": redis_url, "--api-url": feed.url}
        options |= {"--environment": "staging", "--log-level": "ERROR", "--log-format": "json", "--timeout": "5"}
        assert main(["collect", *(word for name, value in options.items() for word in (name, f"{value}\r"))]) == 0
        assert main(["collect", *(f"{name}={value}\r" for name, value in options.items())]) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    def test_a_file_to_validate_has_its_own_name(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A file whose name ends in white space is found by that name."""
        path = tmp_path / "body \n"
        path.write_bytes(b"{}")
        assert main(["validate", str(path)]) == 1
        assert "missing_field" in capsys.readouterr().out

    @pytest.mark.parametrize("variable", ["MISO_API_URL", "MISO_API_BASE"])
    def test_a_served_feed_on_this_machine_is_known(self, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        """flows.serve reads the addresses of the environment as the flows do."""
        monkeypatch.setenv(variable, " http://127.0.0.1:1/feed\r\n")
        monkeypatch.setenv("MISO_REPORTS_URL", "\r\n")
        assert "gaps" not in {made.name for made in deployments(300, 60, "dev")}
        monkeypatch.setenv("MISO_REPORTS_URL", "http://127.0.0.1:1/\n")
        assert "gaps" in {made.name for made in deployments(300, 60, "dev")}

    def test_a_task_runner_is_known(self) -> None:
        """MISO_TASK_RUNNER may end in a line break, and blank it is not set."""
        found = {type(task_runner({VARIABLE: value})).__name__ for value in ("threads\r\n", " ", "")}
        assert found == {"ThreadPoolTaskRunner"}

    def test_the_profile_that_boto_reads_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """AWS_PROFILE reaches boto without white space; blank, it is not there."""
        monkeypatch.setenv("AWS_PROFILE", "role\r\n")
        strip_variable(os.environ, "AWS_PROFILE")
        assert os.environ["AWS_PROFILE"] == "role"
        monkeypatch.setenv("AWS_PROFILE", " \n")
        strip_variable(os.environ, "AWS_PROFILE")
        assert "AWS_PROFILE" not in os.environ

    def test_a_wrong_reports_address_is_told(
        self, feed: SimulatedFeed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An address where not one report is, of a day long gone, is doubted aloud, though 404 is no failure."""
        period = ["--start", "2001-07-26", "--end", "2001-07-27"]
        address = f"{feed.url.removesuffix('/api/BindingConstraints/Reserve')}/wrong/"
        assert main(["backfill", "--local", str(tmp_path), "--reports-url", address, *period]) == 0
        told = f"{address} has none of the reports asked for, back to 2001-07-26: check --reports-url"
        assert told in capsys.readouterr().err


def _noting(asked: list[str]) -> Any:  # noqa: ANN401 - stands in for a function of the feed
    from miso_archive.collecting.fetch import _request  # noqa: PLC0415 - before it is replaced

    def request(wanted: Any, *others: Any) -> Any:  # noqa: ANN401 - as the function
        asked.append(wanted.url)
        return _request(wanted, *others)

    return request


@pytest.mark.parametrize(
    ("text", "plain"), [("", ""), ("\ufeff", ""), (" a b ", "a b"), ("\u200b\n\ufeffx\u2060", "x"), ("\x1f-\x1c", "-")]
)
def test_only_the_ends_are_stripped(text: str, plain: str) -> None:
    """White space and what shows as nothing goes from the ends of a text, and from nowhere else."""
    assert stripped(text) == plain
