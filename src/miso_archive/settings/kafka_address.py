"""The Kafka connection string. Pure, and careful: a mistake is told without repeating the string."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args
from urllib.parse import parse_qsl, unquote

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

FORM: Final = (
    "[user:password@]host:port[,host:port][/topic][?security_protocol=...&sasl_mechanism=...&ssl_ca_location=...]"
)

_BROKER: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})", re.ASCII)
_PORTS: Final = range(1, 65536)
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where and as whom to announce. The password is kept out of ``repr``."""

    brokers: str
    topic: str
    security_protocol: SecurityProtocol
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sasl_mechanism: SaslMechanism | None = None
    ssl_ca_location: str | None = None


def parse_kafka_address(text: str, *, default_topic: str) -> KafkaAddress:
    """Read a connection string of the form FORM, with or without ``kafka://`` before it.

    User and password may be percent-encoded, and may hold any character but that the user has no ``:``. With a user
    the defaults are SASL_SSL and PLAIN, so that a password does not travel in clear unless that is asked for.

    Raises:
        ValueError: It is not of that form; the message does not repeat it.
    """
    user, password, address = _split_user(text.strip().removeprefix("kafka://"))
    location, _, query = address.partition("?")
    brokers, slash, topic = location.partition("/")
    if not all(_is_broker(broker) for broker in brokers.split(",")):
        raise ValueError(f"the brokers are not host:port[,host:port]; the form is {FORM}")
    if slash and topic and (not _TOPIC.fullmatch(topic) or topic in {".", ".."}):
        raise ValueError("the topic has characters that Kafka does not allow (letters, digits, '.', '_' and '-' are)")
    options = dict(parse_qsl(query, keep_blank_values=True))
    protocol = options.pop("security_protocol", "PLAINTEXT" if user is None else "SASL_SSL").upper()
    mechanism = options.pop("sasl_mechanism", "PLAIN").upper()
    ca_location = options.pop("ssl_ca_location", None)
    if options:
        raise ValueError("only security_protocol, sasl_mechanism and ssl_ca_location may stand behind the '?'")
    if protocol not in get_args(SecurityProtocol):
        raise ValueError(f"security_protocol is one of {', '.join(get_args(SecurityProtocol))}")
    if mechanism not in get_args(SaslMechanism):
        raise ValueError(f"sasl_mechanism is one of {', '.join(get_args(SaslMechanism))}")
    if protocol.startswith("SASL") != (user is not None):
        raise ValueError("a user and password go with SASL_SSL or SASL_PLAINTEXT, and these with a user and password")
    if ca_location is not None and not (ca_location and protocol.endswith("SSL")):
        raise ValueError("ssl_ca_location names a file, and goes with SSL or SASL_SSL")
    return KafkaAddress(
        brokers=brokers,
        topic=topic or default_topic,
        security_protocol=cast("SecurityProtocol", protocol),
        user=user,
        password=password,
        sasl_mechanism=None if user is None else cast("SaslMechanism", mechanism),
        ssl_ca_location=ca_location,
    )


def _is_broker(text: str) -> bool:
    match = _BROKER.fullmatch(text)
    return match is not None and int(match["port"]) in _PORTS


def _split_user(text: str) -> tuple[str | None, str | None, str]:
    # The last '@' ends the password: brokers, topics and options hold none, a password may.
    credentials, at, address = text.rpartition("@")
    if not at:
        return None, None, address
    user, colon, password = credentials.partition(":")
    if not colon or not user:
        raise ValueError(f"user and password are not user:password@; the form is {FORM}")
    return unquote(user), unquote(password), address
