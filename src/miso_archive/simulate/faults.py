"""The ways in which the simulated feed misbehaves, each expressed as a `Reply`.

They are made up from what HTTP clients meet in general; how often the real feed shows any of them is not known here.
"""

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import fsum

DRIP_SECONDS = 0.5
"""Seconds between two single bytes when a reply drips and names no pace of its own."""

_SLOW_SECONDS = 3.0
_MEBIBYTE = 1024 * 1024
_HUGE_BYTES = 6 * _MEBIBYTE
_BOMB_MEBIBYTES = 51

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}


@dataclass(frozen=True)
class Reply:
    """One answer of the simulated feed, good or bad.

    Attributes:
        status: the HTTP status code.
        body: the body before any content encoding; None stands for the feed's normal body.
        headers: sent as well as the usual headers, and instead of those with the same name.
        delay: seconds before the first byte.
        drip: seconds between single bytes of the body; None sends it at once.
        drip_headers: send the status line and the headers a byte at a time too, at the pace of `drip`, or of
            DRIP_SECONDS when that is None.
        reset: read the request, then reset the connection (TCP RST) and send nothing.
        truncate_to: send only that many bytes of the announced body, then close the connection.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    drip: float | None = None
    drip_headers: bool = False
    reset: bool = False
    truncate_to: int | None = None


def parse_faults(text: str) -> dict[str, float]:
    """Read the rates of faults, such as `503=0.1,no-data=0.02`.

    Args:
        text: `name=rate` items separated by commas; a rate is the share of requests, 0 to 1. Blank means no faults.

    Returns:
        The rate of each named fault.

    Raises:
        ValueError: an item is malformed, unknown or repeated, or the rates add up to more than 1. The message names
            the bad item and lists the known faults.
    """
    rates: dict[str, float] = {}
    for item in text.split(",") if text.strip() else []:
        name, equals, rate = (part.strip() for part in item.partition("="))
        if not equals:
            raise _mistake(f"{item.strip()!r} is not of the form name=rate")
        if name in rates:
            raise _mistake(f"{name!r} is named twice")
        try:
            rates[name] = float(rate)
        except ValueError:
            raise _mistake(f"{item.strip()!r}: the rate is not a number") from None
    check_faults(rates)
    return rates


def check_faults(rates: Mapping[str, float]) -> None:
    """Refuse rates that no feed can follow.

    Raises:
        ValueError: a name is unknown, a rate is not within 0 and 1, or the rates add up to more than 1.
    """
    for name, rate in rates.items():
        if name not in FAULTS:
            raise _mistake(f"{name!r} is not a known fault")
        if not 0 <= rate <= 1:
            raise _mistake(f"{name!r}: the rate {rate} is not within 0 and 1")
    if fsum(rates.values()) > 1:
        raise _mistake(f"the rates of {', '.join(map(repr, rates))} add up to more than 1")


def pick_fault(rates: Mapping[str, float], *, seed: int, number: int) -> str | None:
    """Name the fault that a request meets, or None: always the same for the same seed, number and rates.

    Args:
        rates: the share of requests, 0 to 1, that each fault befalls.
        seed: names the simulated feed.
        number: the request's number.
    """
    draw = random.Random(f"fault {seed} {number}").random()  # noqa: S311 - a simulation keeps no secrets
    for name, rate in rates.items():
        draw -= rate
        if draw < 0:
            return name
    return None


def fault_reply(name: str, *, port: int) -> Reply:
    """Express a fault as the reply that the server sends.

    Args:
        name: one of FAULTS.
        port: the server's own port, which a redirect names on another loopback address.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in _REPLIES:
        raise _mistake(f"{name!r} is not a known fault")
    return _REPLIES[name](port)


def _mistake(problem: str) -> ValueError:
    return ValueError(f"{problem}; the known faults are {', '.join(FAULTS)}")


def _error(status: int, **headers: str) -> Reply:
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, b'{"error":"simulated fault"}', {**_JSON, **dashed})


@lru_cache(maxsize=1)
def _huge_body() -> bytes:
    # Good JSON, so that nothing but the size is wrong with it.
    return b'{"padding":"' + b"x" * _HUGE_BYTES + b'"}'


@lru_cache(maxsize=1)
def _gzip_bomb() -> bytes:
    """Compress piece by piece: the decompressed form never exists in the server's memory."""
    gzip_stream = zlib.compressobj(level=9, wbits=31)
    pieces = [gzip_stream.compress(b"0" * _MEBIBYTE) for _ in range(_BOMB_MEBIBYTES)]
    return b"".join([*pieces, gzip_stream.flush()])


_MAINTENANCE = b"<!DOCTYPE html><html><head><title>Simulated maintenance</title></head><body>Back soon.</body></html>"

_REPLIES: Mapping[str, Callable[[int], Reply]] = {
    "503": lambda _: _error(503),
    "500": lambda _: _error(500),
    "429": lambda _: _error(429, Retry_After="1"),
    "404": lambda _: _error(404),
    "html": lambda _: Reply(body=_MAINTENANCE, headers=_HTML),
    "no-data": lambda _: Reply(body=b'{"error":"no data"}'),
    "garbage": lambda _: Reply(body=b"\x00\xff\xfe simulated garbage \x80"),
    "truncated": lambda _: Reply(truncate_to=20),
    "reset": lambda _: Reply(reset=True),
    "slow": lambda _: Reply(delay=_SLOW_SECONDS),
    "drip": lambda _: Reply(drip=DRIP_SECONDS),
    "drip-headers": lambda _: Reply(drip_headers=True),
    "huge": lambda _: Reply(body=_huge_body()),
    "gzip-bomb": lambda _: Reply(body=_gzip_bomb(), headers={"Content-Encoding": "gzip"}),
    "redirect": lambda port: Reply(302, b"", {"Location": f"http://127.0.0.2:{port}/"}),
}

FAULTS = tuple(_REPLIES)
"""The names of the known faults."""
