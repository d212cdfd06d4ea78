"""The one place where options, environment variables, defaults and help texts stand."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from miso_archive.host import API_BASE, KEYED_API_BASE
from miso_archive.intervals.polite import MOST_POLLS, POLITE_GAP
from miso_archive.settings.kafka_address import KafkaAddress, parse_kafka_address
from miso_archive.text import has_control_characters, is_address, is_utf8, stripped

if TYPE_CHECKING:
    from miso_archive.feeds.feed import Feed

Environment = Literal["dev", "staging", "prod"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]

DESTINATIONS: Final = ("s3_bucket", "s3_block", "local")
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")
_S3: Final = "s3://"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]+:/", re.ASCII | re.IGNORECASE)
"""How ``file:///folder`` or ``s3://bucket`` begins, also once it was a Path, which takes two slashes for one."""
_FOUR_NUMBERS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_DAILY_TIMEOUT: Final = 180.0
_KEYS: Final = ("api_key", "api_key_block")
_REDIS_PARTS: Final = ("redis_host", "redis_port", "redis_db")


class UsageError(ValueError):
    """The settings do not make a run: the message says which option to give or to leave out."""


def _option(default: object, description: str, environment_variable: str | None = None) -> Any:  # noqa: ANN401 - as Field
    return Field(
        default=default, description=description, json_schema_extra={"environment_variable": environment_variable}
    )


def _folder(value: object) -> object:
    if value == "":
        raise ValueError("give a folder; the present one is .")
    if not isinstance(value, (str, Path)):
        return value
    if _ADDRESS.match(str(value)):
        raise ValueError("it is an address: give a folder's path; a bucket is --s3-bucket")
    try:
        folder = Path(value).expanduser()
    except RuntimeError:
        raise ValueError("it begins with ~ and a name, and no user of that name has a home here") from None
    try:
        folder.absolute()
    except OSError:
        raise ValueError("the present folder is gone: give a path that begins with /") from None
    return folder


def _reports_url(value: str) -> str:
    if set(value) & set("?#"):
        raise ValueError("give an address without ? and #: a report's name is put behind it")
    return _http_url(value)


def _base_url(value: str) -> str:
    if set(value) & set("?#"):
        raise ValueError("give an address without ? and #: a feed's path is put behind it")
    return _http_url(value)


def _plain(text: str) -> str:
    """Leave out the white space around a value, as a secret or a file with CRLF brings it, and refuse what steers."""
    plain = stripped(text)
    if has_control_characters(plain):
        raise ValueError("it has a line break, a tab or another control character within")
    return plain


def _http_url(value: str) -> str:
    # Of http://one\@two/ one library takes one for the host, another two: which feed is asked would be unknown.
    if "\\" in value or not is_address(value, {"http", "https"}):
        raise ValueError("give an address of the form https://host/path, or http://")
    return value


def is_simulated(url: str) -> bool:
    """Tell whether a feed counts as simulated: one on this machine is not MISO's."""
    return urlsplit(url).hostname in _THIS_MACHINE


def _redis_host(value: str) -> str:
    if not value or set(value) & set("/?#@ "):
        raise ValueError("give a host name or an address, nothing around it")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    address = value.get_secret_value()
    if not is_address(address, {"redis", "rediss"}) or not re.fullmatch(r"/?\d*", urlsplit(address).path):
        raise ValueError("give an address of the form redis://[user:password@]host:port/db, or rediss:// for TLS")
    return value


def is_key(text: str) -> bool:
    """Tell whether this may be a key: what a header takes, in one word."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _api_key(value: SecretStr) -> SecretStr:
    if not is_key(value.get_secret_value()):
        raise ValueError("give the key alone: letters, digits and signs of ASCII")
    return value


def _kafka(value: SecretStr) -> SecretStr:
    parse_kafka_address(value.get_secret_value(), default_topic="")  # its form alone: the topic is the feed's
    return value


def _bucket(value: str) -> str:
    """Take a bucket's name, also as ``s3://name``; an ARN stands as it is."""
    name = (value[len(_S3) :] if value.lower().startswith(_S3) else value).rstrip("/")
    if name.startswith("arn:"):
        return name
    if "/" in name:
        raise ValueError("give the bucket alone; a folder in it is what an S3Bucket block is for (--s3-block)")
    if not _BUCKET.fullmatch(name) or ".." in name or _FOUR_NUMBERS.fullmatch(name):
        raise ValueError(
            "S3 has no buckets of such a name: 3 to 63 lower-case letters, digits, hyphens and single dots, "
            "a letter or digit at both ends, and no IP address"
        )
    return name


class ArchiveSettings(BaseModel):
    """Where the archive is. Made by ``resolve``, which also reads the environment."""

    # A validation error must not repeat what was given: it may be a password.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")

    s3_bucket: Annotated[str, AfterValidator(_bucket)] | None = _option(
        None, "The S3 bucket of the archive. Its endpoint comes from AWS_ENDPOINT_URL or the profile.", "S3_BUCKET"
    )
    s3_block: Annotated[str, Field(min_length=1)] | None = _option(
        None, "The name of a saved Prefect S3Bucket block, instead of --s3-bucket.", "MISO_S3_BLOCK"
    )
    local: Annotated[Path, BeforeValidator(_folder)] | None = _option(
        None, "A folder instead; collecting brings an embedded Valkey to it unless a Redis is named.", "MISO_LOCAL"
    )
    aws_profile: Annotated[str, Field(min_length=1)] | None = _option(
        None, "The AWS profile whose credentials and endpoint are used.", "AWS_PROFILE"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_white_space(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, SecretStr):
            return SecretStr(_plain(value.get_secret_value()))
        if isinstance(value, Path):
            return Path(_plain(str(value)))
        # A folder's name may be any bytes.
        if isinstance(value, str) and info.field_name not in {"local", "spool"} and not is_utf8(value):
            raise ValueError("it has bytes that are no UTF-8")
        return _plain(value) if isinstance(value, str) else value

    @classmethod
    def resolve(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> Self:
        """Fill what was not given from the environment, then from the defaults, and check the whole.

        What is given wins as a group: a given destination sets aside the destinations of the environment, and so
        does a given Redis. White space around any value is left out. Empty environment variables count as not set.

        Raises:
            UsageError: A value is wrong, or the values do not go together.
        """
        given = {name: value for name, value in given.items() if value is not None}
        _refuse_two_redis(given)
        values = _from_environment(cls.model_fields, given, environ) | given
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise UsageError(explained(error, given)) from None
        destinations = [option_name(name) for name in DESTINATIONS if getattr(settings, name) is not None]
        if not destinations:
            raise UsageError("say where the archive is: --s3-bucket (S3_BUCKET), --s3-block or --local")
        if len(destinations) > 1:
            raise UsageError(f"name one archive: {' and '.join(destinations)} are set together")
        return settings


class KeyedSettings(ArchiveSettings):
    """Where the archive is, and how the daily feeds are asked."""

    keyed_api_base: Annotated[str, AfterValidator(_base_url)] = _option(
        KEYED_API_BASE, "The address below which the daily feeds are, which a key is for.", "MISO_KEYED_API_BASE"
    )
    api_key: Annotated[SecretStr, AfterValidator(_api_key)] | None = _option(
        None, "The key of the daily feeds, free from MISO's Data Exchange; it goes to --keyed-api-base.", "MISO_API_KEY"
    )
    api_key_block: Annotated[str, Field(min_length=1)] | None = _option(
        None, "The name of a saved Prefect Secret block with that key, instead.", "MISO_API_KEY_BLOCK"
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] = _option(
        30.0,
        "Seconds for one whole request, body included; unless set, a daily feed has 180.",
        "MISO_TIMEOUT",
    )

    @classmethod
    def resolve(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> Self:
        """Do as ``ArchiveSettings.resolve`` does, then judge where the key would go, and which one it is.

        Raises:
            UsageError: A value is wrong, or the values do not go together.
        """
        settings = super().resolve(given, environ)
        if urlsplit(settings.keyed_api_base).scheme != "https" and not is_simulated(settings.keyed_api_base):
            raise UsageError("--keyed-api-base (MISO_KEYED_API_BASE): the key goes there: give an https:// address")
        if settings.api_key is not None and settings.api_key_block is not None:
            raise UsageError(
                "name the key in one way: --api-key (MISO_API_KEY) or --api-key-block (MISO_API_KEY_BLOCK)"
            )
        return settings

    @property
    def has_key(self) -> bool:
        """Whether a key is named."""
        return self.api_key is not None or self.api_key_block is not None

    def address(self, feed: "Feed") -> str:
        """Return where a daily feed is asked for, with ``{market_day}`` in it."""
        return f"{self.keyed_api_base.rstrip('/')}/{feed.path}"

    def timeout_of(self, feed: "Feed") -> float:
        """Return how long a request to a feed may take, in seconds: a day of prices takes minutes now and then."""
        is_set = "timeout" in self.model_fields_set or feed.daily is None
        return self.timeout if is_set else _DAILY_TIMEOUT


class PartsSettings(ArchiveSettings):
    """Where the archive is, and the parts around it: what looking at a collection needs to know."""

    environment: Environment = _option("dev", "The namespace of the Redis keys and of the Kafka messages.")
    redis_host: Annotated[str, AfterValidator(_redis_host)] = _option(
        "localhost", "The host of the Redis that remembers what is archived.", "REDIS_HOST"
    )
    redis_port: Annotated[int, Field(ge=1, le=65535)] = _option(6379, "Its port.", "REDIS_PORT")
    redis_db: Annotated[int, Field(ge=0)] = _option(0, "Its database number.", "REDIS_DB")
    kafka_connection_string: Annotated[SecretStr, AfterValidator(_kafka)] | None = _option(
        None,
        "Announce every new snapshot in Kafka: [user:password@]host:port[,host:port][/topic]"
        "[?security_protocol=...&sasl_mechanism=...&ssl_ca_location=...]. With a user the default is SASL_SSL and "
        "PLAIN; ssl_ca_location is the file of a CA that the system does not know.",
        "KAFKA_CONNECTION_STRING",
    )
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = _option(
        None, "Instead of host, port and db, for passwords and TLS: redis:// or rediss://.", "REDIS_URL"
    )
    spool: Annotated[Path, BeforeValidator(_folder)] | None = _option(
        None,
        "A folder of this machine where a body waits while the archive is away; unless set, `miso-reserve/spool` below "
        "`$XDG_STATE_HOME` or `~/.local/state`.",
        "MISO_SPOOL",
    )

    @property
    def embeds_valkey(self) -> bool:
        """Whether the run brings its own Valkey: a local archive, and no Redis named."""
        return self.local is not None and not self.model_fields_set & {*_REDIS_PARTS, "redis_url"}

    @property
    def redis_address(self) -> str:
        """The Redis to connect to, as an address that may hold a password."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}/{self.redis_db}"

    def kafka(self, feed: "Feed") -> KafkaAddress | None:
        """Return the Kafka to announce a feed in, or None; the topic, unless one is named, is called as the dataset."""
        if self.kafka_connection_string is None:
            return None
        return parse_kafka_address(self.kafka_connection_string.get_secret_value(), default_topic=feed.dataset)


class Settings(KeyedSettings, PartsSettings):
    """What a run needs to know."""

    api_url: Annotated[str, AfterValidator(_http_url)] | None = _option(
        None, "The address of the one feed of a run; unless set, the feed's path below --api-base.", "MISO_API_URL"
    )
    api_base: Annotated[str, AfterValidator(_base_url)] = _option(
        API_BASE, "The address below which all feeds are, for when MISO moves them.", "MISO_API_BASE"
    )
    polls: Annotated[int, Field(ge=1, le=MOST_POLLS)] = _option(
        1,
        "How often a run asks the feed at most, at 20 seconds past each minute, until it has the interval that ended "
        f"last; {MOST_POLLS} skip no interval.",
    )
    poll_gap: Annotated[float, Field(gt=0, le=3600)] = _option(
        POLITE_GAP, "Seconds between polls; fewer than 60 only for a feed on this machine."
    )
    log_level: LogLevel = _option("INFO", "How much is logged, on stderr.")
    log_format: LogFormat = _option("text", "How it is logged: as lines for people, or as one JSON object a line.")

    @classmethod
    def resolve(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> Self:
        """Do as ``KeyedSettings.resolve`` does, then judge how often the feed that is now known may be asked.

        Raises:
            UsageError: A value is wrong, or the values do not go together.
        """
        settings = super().resolve(given, environ)
        if settings.poll_gap < POLITE_GAP and not is_simulated(settings.api_url or settings.api_base):
            raise UsageError("--poll-gap: MISO asks for at most one request a minute: give 60 or more")
        return settings

    def simulates(self, feed: "Feed") -> bool:
        """Tell whether a feed is taken for a simulated one."""
        return is_simulated(self.address(feed))

    def address(self, feed: "Feed") -> str:
        """Return where a feed is asked for; that of a daily one has ``{market_day}`` in it."""
        if feed.daily is not None:
            return super().address(feed)
        return self.api_url or f"{self.api_base.rstrip('/')}/{feed.path}"


def given_in(settings: ArchiveSettings | None) -> dict[str, Any]:
    """Return what a command line set itself, for ``resolve``."""
    return {} if settings is None else {name: getattr(settings, name) for name in settings.model_fields_set}


def option_name(field: str) -> str:
    """Return the option that sets a field: ``s3_bucket`` is ``--s3-bucket``."""
    return "--" + field.replace("_", "-")


def with_fields_named(text: str) -> str:
    """Return a message in which settings are named as a function's parameters are: ``--s3-bucket`` as ``s3_bucket``."""
    fields = {*Settings.model_fields, *BackfillSettings.model_fields}
    options = "|".join(re.escape(option_name(field)) for field in fields)
    # Not within a name that somebody else gave, such as a path.
    return re.sub(rf"(?<![^\s(`])(?:{options})(?![\w-])", lambda found: found[0][2:].replace("-", "_"), text)


def environment_variable(field: str) -> str | None:
    """Return the environment variable that sets a field, or None."""
    extra = (Settings.model_fields.get(field) or BackfillSettings.model_fields[field]).json_schema_extra
    name = extra.get("environment_variable") if isinstance(extra, dict) else None
    return name if isinstance(name, str) else None


def explained(error: ValidationError, given: Collection[str]) -> str:
    """Say which options or environment variables are wrong, and how, without repeating what was given."""
    lines = []
    for detail in error.errors(include_input=False):
        field = str(detail["loc"][-1])
        name = option_name(field) if field in given else environment_variable(field) or option_name(field)
        lines.append(f"{name}: {detail['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)


def _from_environment(fields: Collection[str], given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    set_aside = set(given)
    if set_aside & set(DESTINATIONS):
        set_aside.update(DESTINATIONS)
    if set_aside & set(_REDIS_PARTS):
        set_aside.add("redis_url")
    elif "redis_url" in given or stripped(environ.get("REDIS_URL", "")):
        set_aside.update(_REDIS_PARTS)
    if set_aside & set(_KEYS):
        set_aside.update(_KEYS)
    return {
        field: environ[name]
        for field in fields
        if field not in set_aside and (name := environment_variable(field)) and stripped(environ.get(name, ""))
    }


def _refuse_two_redis(given: Mapping[str, Any]) -> None:
    parts = [option_name(name) for name in _REDIS_PARTS if name in given]
    if parts and "redis_url" in given:
        raise UsageError(f"name Redis in one way: --redis-url stands instead of {' and '.join(parts)}")


class BackfillSettings(KeyedSettings):
    """What a backfill from MISO's reports, or from its keyed API, needs to know."""

    reports_url: Annotated[str, AfterValidator(_reports_url)] = _option(
        "https://docs.misoenergy.org/marketreports/", "Where MISO's market reports are.", "MISO_REPORTS_URL"
    )
    api_base: Annotated[str, AfterValidator(_base_url)] = _option(
        API_BASE, "The address below which all feeds are, for when MISO moves them.", "MISO_API_BASE"
    )
    pause: Annotated[float, Field(ge=1, le=3600)] = _option(
        5.0, "Seconds from one request for a report to the next, at least."
    )
