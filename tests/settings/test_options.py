from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from miso_archive.feeds.reserve import RESERVE
from miso_archive.host import API_BASE, KEYED_API_BASE
from miso_archive.settings.kafka_address import KafkaAddress
from miso_archive.settings.options import DESTINATIONS, Settings, UsageError, environment_variable, option_name

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "s3cr3t"  # noqa: S105 - a made-up one
TOPIC = "the topic has characters that Kafka does not allow (letters, digits, '.', '_' and '-' are)"

# The option table that users rely on: option, environment variable, default; then a sample as text and as a value.
TABLE: list[tuple[str, str | None, object, str, object]] = [
    ("--s3-bucket", "S3_BUCKET", None, "bucket", "bucket"),
    ("--aws-profile", "AWS_PROFILE", None, "profile", "profile"),
    ("--environment", None, "dev", "prod", "prod"),
    ("--redis-host", "REDIS_HOST", "localhost", "redis.example", "redis.example"),
    ("--redis-port", "REDIS_PORT", 6379, "6380", 6380),
    ("--redis-db", "REDIS_DB", 0, "3", 3),
    ("--log-level", None, "INFO", "DEBUG", "DEBUG"),
    ("--kafka-connection-string", "KAFKA_CONNECTION_STRING", None, "broker:9092", SecretStr("broker:9092")),
    ("--api-base", "MISO_API_BASE", API_BASE, "http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api"),
    ("--api-url", "MISO_API_URL", None, "http://127.0.0.1:8000/feed", "http://127.0.0.1:8000/feed"),
    ("--keyed-api-base", "MISO_KEYED_API_BASE", KEYED_API_BASE, "https://keys.example/v1", "https://keys.example/v1"),
    ("--api-key", "MISO_API_KEY", None, "a-key", SecretStr("a-key")),
    ("--api-key-block", "MISO_API_KEY_BLOCK", None, "block", "block"),
    ("--timeout", "MISO_TIMEOUT", 30.0, "2.5", 2.5),
    ("--s3-block", "MISO_S3_BLOCK", None, "block", "block"),
    ("--redis-url", "REDIS_URL", None, "rediss://cache:6390/2", SecretStr("rediss://cache:6390/2")),
    ("--local", "MISO_LOCAL", None, "data", Path("data")),
    ("--polls", None, 1, "5", 5),
    ("--poll-gap", None, 60.0, "90", 90.0),
    ("--log-format", None, "text", "json", "json"),
    ("--spool", "MISO_SPOOL", None, "spool", Path("spool")),
]
FIELDS = {option: option.removeprefix("--").replace("-", "_") for option, *_ in TABLE}
OF_THE_ENVIRONMENT = [row for row in TABLE if row[1] is not None]
PLACE = {"local": "place"}


def resolved(given: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Resolve, with a destination unless one is named."""
    given, environ = given or {}, environ or {}
    names = {*given, *(field for field in DESTINATIONS if environ.get(environment_variable(field) or ""))}
    return Settings.resolve({**({} if names & set(DESTINATIONS) else PLACE), **given}, environ)


class TestTable:
    def test_the_options_are_those_of_the_table(self) -> None:
        """Every option of the table exists, with its environment variable, and there are no others."""
        options = {option_name(field): environment_variable(field) for field in Settings.model_fields}
        assert options == {option: variable for option, variable, *_ in TABLE}

    @pytest.mark.parametrize(("option", "variable", "default", "text", "value"), TABLE, ids=FIELDS)
    def test_an_option_beats_environment_and_default(
        self, option: str, variable: str | None, default: object, text: str, value: object
    ) -> None:
        """What is given counts, whatever the environment says, and differs from the default."""
        other = {"6380": "6390", "3": "4", "2.5": "7"}.get(text, f"{text}9")
        environ = {variable or FIELDS[option].upper(): other}
        assert getattr(resolved({FIELDS[option]: text}, environ), FIELDS[option]) == value != default

    @pytest.mark.parametrize(("option", "variable", "default", "text", "value"), OF_THE_ENVIRONMENT)
    def test_an_environment_variable_beats_the_default(
        self, option: str, variable: str, default: object, text: str, value: object
    ) -> None:
        """Each environment variable of the table sets its option."""
        assert getattr(resolved({}, {variable: text}), FIELDS[option]) == value != default

    @pytest.mark.parametrize(("option", "default"), [(row[0], row[2]) for row in TABLE if row[0] != "--local"])
    def test_the_default_stands_otherwise(self, option: str, default: object) -> None:
        """Without option and environment variable the table's default holds."""
        assert getattr(resolved(), FIELDS[option]) == default

    @pytest.mark.parametrize(("option", "variable", "default"), [row[:3] for row in OF_THE_ENVIRONMENT])
    def test_an_empty_variable_counts_as_unset(self, option: str, variable: str, default: object) -> None:
        """An environment variable set to nothing is no value, and no mistake."""
        environ = {variable: "", "MISO_LOCAL" if option == "--s3-block" else "MISO_S3_BLOCK": "place"}
        settings = resolved({}, environ)
        assert getattr(settings, FIELDS[option]) == default

    @pytest.mark.parametrize("variable", ["ENVIRONMENT", "LOG_LEVEL", "MISO_ENVIRONMENT", "MISO_LOG_LEVEL"])
    @pytest.mark.parametrize("value", ["prod", "DEBUG", "nonsense"])
    def test_environment_and_log_level_are_options_only(self, variable: str, value: str) -> None:
        """A stray ENVIRONMENT=prod or LOG_LEVEL of another program changes nothing."""
        settings = resolved({}, {variable: value})
        assert (settings.environment, settings.log_level) == ("dev", "INFO")

    def test_names_of_fields_are_no_environment_variables(self) -> None:
        """Only the table's variables are read: TIMEOUT, API_URL, LOCAL or S3_BLOCK belong to others."""
        others = {"TIMEOUT": "1", "API_URL": "http://other", "LOCAL": "other", "S3_BLOCK": "other"}
        assert resolved({}, others) == resolved()

    @pytest.mark.parametrize("source", ["--local", "MISO_LOCAL"])
    def test_a_home_that_nobody_has_is_refused(self, source: str) -> None:
        """A folder in the home of a user who is none here is refused, and the message names the option or variable."""
        home = "~no-such-user/data"
        given, environ = ({"local": home}, {}) if source == "--local" else ({}, {source: home})
        with pytest.raises(UsageError, match=f"^{source}: it begins with ~ and a name, and no user"):
            Settings.resolve(given, environ)

    def test_an_option_that_is_none_is_not_given(self) -> None:
        """None, as a form leaves it, lets environment and default stand."""
        assert resolved({"redis_host": None, "timeout": None}, {"REDIS_HOST": "cache"}).redis_host == "cache"
        assert resolved({"timeout": None}).timeout == 30

    @pytest.mark.parametrize("field", Settings.model_fields)
    def test_every_option_explains_itself(self, field: str) -> None:
        """Each option has a help text, one or two full sentences."""
        description = Settings.model_fields[field].description
        assert description is not None
        assert description.endswith(".")

    def test_settings_cannot_be_changed(self) -> None:
        """What a run was started with holds to its end."""
        with pytest.raises(ValueError, match="frozen"):
            resolved().timeout = 1.0  # type: ignore[misc] # that is the point


class TestDestination:
    @pytest.mark.parametrize(("given", "other"), list(permutations(DESTINATIONS, 2)))
    def test_a_given_destination_sets_aside_the_environment(self, given: str, other: str) -> None:
        """With one destination given, those of the environment do not count."""
        environ = {str(environment_variable(name)): "elsewhere" for name in DESTINATIONS}
        settings = Settings.resolve({given: "here"}, environ)
        assert str(getattr(settings, given)) == "here"
        assert getattr(settings, other) is None

    @pytest.mark.parametrize("environ", [{}, {"S3_BUCKET": "", "MISO_S3_BLOCK": "", "MISO_LOCAL": ""}])
    def test_there_must_be_one(self, environ: dict[str, str]) -> None:
        """Without a destination nothing is fetched, and the message names every way to give one."""
        with pytest.raises(UsageError, match=r"--s3-bucket \(S3_BUCKET\), --s3-block or --local"):
            Settings.resolve({}, environ)

    @pytest.mark.parametrize("names", list(permutations(DESTINATIONS, 2)))
    @pytest.mark.parametrize("from_environment", [False, True])
    def test_there_is_only_one(self, names: tuple[str, str], *, from_environment: bool) -> None:
        """Two destinations in the same place are wrong usage, and the message names both."""
        given = {} if from_environment else dict.fromkeys(names, "one")
        environ = {str(environment_variable(name)): "one" for name in names} if from_environment else {}
        with pytest.raises(UsageError, match="name one archive") as refusal:
            Settings.resolve(given, environ)
        assert all(option_name(name) in str(refusal.value) for name in names)

    @pytest.mark.parametrize("name", DESTINATIONS)
    def test_an_empty_destination_is_none(self, name: str) -> None:
        """An option given as an empty text, as an unset shell variable gives it, is no destination."""
        with pytest.raises(UsageError, match=r"--s3-bucket|--s3-block|--local"):
            Settings.resolve({name: ""}, {})


class TestRedis:
    @pytest.mark.parametrize(
        ("given", "environ", "address"),
        [
            ({}, {}, "redis://localhost:6379/0"),
            ({}, {"REDIS_HOST": "env", "REDIS_PORT": "7", "REDIS_DB": "2"}, "redis://env:7/2"),
            ({"redis_host": "opt"}, {"REDIS_HOST": "env", "REDIS_PORT": "7"}, "redis://opt:7/0"),
            ({"redis_port": 8}, {"REDIS_HOST": "env"}, "redis://env:8/0"),
            ({}, {"REDIS_URL": "rediss://env-url:1/2"}, "rediss://env-url:1/2"),
            ({}, {"REDIS_URL": "redis://env-url", "REDIS_HOST": "env", "REDIS_DB": "2"}, "redis://env-url"),
            ({}, {"REDIS_URL": "redis://env-url", "REDIS_PORT": "x"}, "redis://env-url"),
            ({}, {"REDIS_URL": "", "REDIS_HOST": "env"}, "redis://env:6379/0"),
            ({"redis_host": "opt"}, {"REDIS_URL": "redis://env-url"}, "redis://opt:6379/0"),
            ({"redis_port": 8}, {"REDIS_URL": "redis://env-url", "REDIS_HOST": "env"}, "redis://env:8/0"),
            ({"redis_db": 3}, {"REDIS_URL": "redis://env-url"}, "redis://localhost:6379/3"),
            ({"redis_url": "redis://opt-url"}, {"REDIS_HOST": "env", "REDIS_PORT": "x"}, "redis://opt-url"),
            ({"redis_url": "redis://opt-url"}, {"REDIS_URL": "redis://env-url"}, "redis://opt-url"),
            ({"redis_url": "redis://u:p%40@opt-url:1/2"}, {}, "redis://u:p%40@opt-url:1/2"),
        ],
    )
    def test_one_redis_is_named(self, given: dict[str, Any], environ: dict[str, str], address: str) -> None:
        """Given beats environment as a group, and within either the address beats host, port and db."""
        assert resolved(given, environ).redis_address == address

    @pytest.mark.parametrize("part", ["redis_host", "redis_port", "redis_db"])
    def test_two_ways_at_once_are_wrong_usage(self, part: str) -> None:
        """--redis-url beside host, port or db is refused, and the message names both options."""
        with pytest.raises(UsageError, match=f"--redis-url stands instead of {option_name(part)}"):
            resolved({"redis_url": "redis://cache", part: "1"})

    @pytest.mark.parametrize("host", ["::1", "fe80::1"])
    def test_an_ipv6_host_is_an_address(self, host: str) -> None:
        """An IPv6 address as --redis-host gives an address from which it is read back."""
        parts = urlsplit(resolved({"redis_host": host}).redis_address)
        assert (parts.hostname, parts.port) == (host, 6379)

    @pytest.mark.parametrize(
        ("given", "environ", "embeds"),
        [
            ({"local": "data"}, {}, True),
            ({}, {"MISO_LOCAL": "data"}, True),
            ({"local": "data"}, {"REDIS_HOST": "", "REDIS_URL": ""}, True),
            ({"local": "data"}, {"REDIS_HOST": "cache"}, False),
            ({"local": "data"}, {"REDIS_PORT": "6379"}, False),
            ({"local": "data"}, {"REDIS_DB": "0"}, False),
            ({"local": "data"}, {"REDIS_URL": "redis://cache"}, False),
            ({"local": "data", "redis_host": "localhost"}, {}, False),
            ({"local": "data", "redis_port": 6379}, {}, False),
            ({"local": "data", "redis_db": 0}, {}, False),
            ({"local": "data", "redis_url": "redis://cache"}, {}, False),
            ({"s3_bucket": "bucket"}, {}, False),
            ({"s3_block": "block"}, {"MISO_LOCAL": "data"}, False),
        ],
    )
    def test_only_a_local_archive_without_redis_brings_its_own(
        self, given: dict[str, Any], environ: dict[str, str], *, embeds: bool
    ) -> None:
        """The embedded Valkey runs with --local, unless a Redis is named in any way, the default's values included."""
        assert Settings.resolve(given, environ).embeds_valkey is embeds


class TestMistakes:
    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("environment", ["test", "", "DEV", 1]),
            ("s3_bucket", ["", "ab", "a" * 64, "My-Bucket", "my_bucket", "-bucket", "bucket.", "a..b", "192.168.0.1"]),
            ("s3_bucket", ["s3://", "s3://bucket/folder", "bucket/folder", "https://bucket", "s3://s3://bucket"]),
            ("log_level", ["TRACE", "", 10]),
            ("redis_port", ["0", "65536", "-1", "x", "6379.5", ""]),
            ("redis_db", ["-1", "x", ""]),
            ("timeout", ["0", "-1", "3601", "nan", "inf", "x", ""]),
            (
                "api_url",
                [
                    "",
                    "x",
                    "ftp://host/feed",
                    "public-api.misoenergy.org",
                    "http://",
                    "https:///feed",
                    "http://[",
                    "http://a\\@b/",
                ],
            ),
            ("redis_url", ["", "x", "http://cache", "redis://", "redis:///0", "unix:///socket", "redis://["]),
            ("redis_url", ["redis://cache:x", "redis://cache:99999", "redis://cache:-1"]),
            ("kafka_connection_string", ["", "broker", "user@broker:9092", "broker:9092?acks=0"]),
        ],
    )
    def test_a_wrong_value_is_named_by_its_option_or_variable(self, field: str, values: list[Any]) -> None:
        """A wrong option is named as the option, a wrong environment variable as the variable."""
        for value in values:
            with pytest.raises(UsageError, match=f"^{option_name(field)}: ."):
                resolved({field: value})
            if (variable := environment_variable(field)) and value:
                with pytest.raises(UsageError, match=f"^{variable}: ."):
                    resolved({}, {variable: value})

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("environment", ["dev", "staging", "prod"]),
            ("s3_bucket", ["abc", "a" * 63, "my.bucket-2", "1.2.3.4a"]),
            ("log_level", ["DEBUG", "INFO", "WARNING", "ERROR"]),
            ("redis_port", [1, 65535]),
            ("redis_db", [0, 15, 100]),
            ("timeout", [0.001, 3600.0]),
            ("api_url", ["http://127.0.0.1:8000", "https://user@host/path?x=y"]),
        ],
    )
    def test_every_right_value_is_accepted(self, field: str, values: list[object]) -> None:
        """The choices and both ends of the ranges work."""
        assert [getattr(resolved({field: value}), field) for value in values] == values

    @pytest.mark.parametrize("field", ["local", "spool"])
    @pytest.mark.parametrize("address", ["s3://my-bucket/data", "file:///data", "FILE:///data", "file:/data"])
    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_folder_is_no_address(self, field: str, address: str, kind: type[str | Path]) -> None:
        """An address where a folder is to be named is refused: bodies would lie in a folder called s3: or file:."""
        with pytest.raises(UsageError, match=f"^{option_name(field)}: it is an address: give a folder's path"):
            resolved({field: kind(address)})
        assert getattr(resolved({field: kind("a:b/c")}), field) == Path("a:b/c")

    def test_a_present_folder_that_is_gone_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative folder below a present one that was removed is wrong usage; a whole path is not."""
        monkeypatch.chdir(tmp_path)
        tmp_path.rmdir()
        with pytest.raises(UsageError, match=r"^--local: the present folder is gone: give a path that begins with /$"):
            resolved({"local": "data"})
        assert resolved({"local": "/data"}).local == Path("/data")

    @pytest.mark.parametrize("spelled", ["s3://my-bucket", "s3://my-bucket/", "my-bucket/", "S3://my-bucket"])
    def test_a_bucket_may_be_spelled_as_an_address(self, spelled: str) -> None:
        """What people type names the bucket, as an option and as a variable."""
        assert resolved({"s3_bucket": spelled}).s3_bucket == "my-bucket"
        assert resolved({}, {"S3_BUCKET": spelled}).s3_bucket == "my-bucket"

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"timeout": "0"}, "--timeout: Input should be greater than 0"),
            ({"kafka_connection_string": "a:1/\u00e9"}, f"--kafka-connection-string: {TOPIC}"),
        ],
    )
    def test_a_mistake_is_one_plain_sentence(self, given: dict[str, str], message: str) -> None:
        """A message is the option and what to do, without the workings of the check."""
        with pytest.raises(UsageError) as refusal:
            resolved(given)
        assert str(refusal.value) == message

    def test_several_mistakes_are_told_at_once(self) -> None:
        """One message lists every wrong value, given or of the environment."""
        with pytest.raises(UsageError, match=r"^REDIS_PORT: [^;]+; --timeout: [^;]+$"):
            resolved({"timeout": "soon"}, {"REDIS_PORT": "x"})

    def test_an_unknown_setting_is_refused(self) -> None:
        """A misspelt setting in a program is an error, not a default."""
        with pytest.raises(UsageError, match="--s3-buket"):
            resolved({"s3_buket": "bucket"})


class TestSecrets:
    SETTINGS: ClassVar = {
        "redis_url": f"redis://:{SECRET}@cache",
        "kafka_connection_string": f"user:{SECRET}@broker:9092",
    }

    def test_secrets_are_hidden(self) -> None:
        """Printing or dumping settings shows no password, however it is done."""
        settings = resolved(self.SETTINGS)

        class Holder(BaseModel):
            settings: Settings

        shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
        assert SECRET not in shown + repr(Holder(settings=settings)) + repr(settings.kafka(RESERVE))

    def test_secrets_are_there_for_those_who_connect(self) -> None:
        """Redis and Kafka get the password that was given."""
        settings = resolved(self.SETTINGS)
        assert settings.redis_address == f"redis://:{SECRET}@cache"
        assert settings.kafka(RESERVE) == KafkaAddress(
            "broker:9092", RESERVE.dataset, "SASL_SSL", "user", SECRET, "PLAIN"
        )

    def test_without_a_connection_string_there_is_no_kafka(self) -> None:
        """Announcing is optional."""
        assert resolved().kafka(RESERVE) is None

    @pytest.mark.parametrize(
        "url",
        [
            *(
                f"http://:{SECRET}@cache",
                SECRET,
                f"redis://:{SECRET}",
                f"redis://:{SECRET}@",
                f"redis://:{SECRET}/x@cache",
            ),
            *(f"redis://user:{SECRET}/x@cache", f"redis://:{SECRET}?x@cache", f"redis://:{SECRET}#x@cache"),
            *(f"redis://:[{SECRET}@cache", f"redis://:a[{SECRET}]b@cache", f"redis://:{SECRET}\u2100@cache"),
            *(f"redis://:{SECRET}@cache:{SECRET}", f"redis://:{SECRET}@cache:99999"),
        ],
    )
    @pytest.mark.parametrize("from_environment", [False, True])
    def test_a_malformed_redis_address_is_not_repeated(self, url: str, *, from_environment: bool) -> None:
        """A mistake in --redis-url or REDIS_URL is refused without showing any part of the password."""
        given, environ = ({}, {"REDIS_URL": url}) if from_environment else ({"redis_url": url}, {})
        with pytest.raises(UsageError) as refusal:
            resolved(given, environ)
        assert SECRET not in str(refusal.value)

    @given(*[st.text("ab:@/?#[]%,&= \u2100", max_size=12)] * 2, st.sampled_from(["redis://:", "rediss://user:", ""]))
    def test_no_message_repeats_a_secret(self, before: str, behind: str, start: str) -> None:
        """Whatever stands around a password, no message about --redis-url or --kafka-connection-string shows it."""
        for field, text in {
            "redis_url": f"{start}{before}{SECRET}{behind}@cache",
            "kafka_connection_string": f"user:{before}{SECRET}{behind}@broker",
        }.items():
            try:
                shown = repr(resolved({field: text}))
            except UsageError as refusal:
                shown = str(refusal)
            assert SECRET not in shown
