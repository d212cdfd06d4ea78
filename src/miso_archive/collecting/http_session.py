"""What of an HTTP library's own habits we leave out, and when two addresses are one place."""

import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.util import parse_url

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Of a header that it cannot read it warns with a traceback and the whole address, which may hold a secret.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class _WithoutCookies(requests.adapters.HTTPAdapter):
    """Drops cookies unread: of one that it cannot read, http.cookiejar warns with a traceback."""

    def build_response(self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse) -> requests.Response:
        original = getattr(resp, "_original_response", None)
        if original is not None:
            del original.msg["Set-Cookie"]
        return super().build_response(req, resp)


class Session(requests.Session):
    """A session that leaves redirects to us, whose bodies requests would read, and takes nothing from ~/.netrc."""

    def __init__(self) -> None:
        super().__init__()
        # It would also read ~/.netrc, and send a password from there; proxies and certificates are a Route's.
        self.trust_env = False
        for prefix in ("http://", "https://"):
            self.mount(prefix, _WithoutCookies())

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests calls it so
        """Return None: nothing that requests would follow."""
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address leads: its host in one spelling, and its port, also where it is the default and left out."""

    scheme: str
    host: str
    port: int | None

    def leads_to(self, other: "Place") -> bool:
        """Tell whether another place is the same host and port, or the same host by TLS."""
        if self.host != other.host:
            return False
        if (self.scheme, other.scheme) == ("http", "https"):
            default = (_DEFAULT_PORTS["http"], _DEFAULT_PORTS["https"])
            return self.port == other.port or (self.port, other.port) == default
        return (self.scheme, self.port) == (other.scheme, other.port)


def place_of(url: str) -> Place:
    """Return where an address leads.

    Raises:
        ValueError: It is no address, or one that two libraries read as two hosts.
    """
    parts, connecting = urlsplit(url), parse_url(url)
    # urllib3, which connects, reads http://one\@two/ as one, urlsplit as two.
    hosts = {_one_spelling(parts.hostname), _one_spelling(connecting.host)}
    if len(hosts) > 1 or parts.port != connecting.port:
        raise ValueError("an address that can be read as two")
    scheme = parts.scheme.lower()
    return Place(scheme, hosts.pop(), parts.port or _DEFAULT_PORTS.get(scheme))


def _one_spelling(host: str | None) -> str:
    """Return a host in lower case and in ASCII, without brackets and without the dot that ends a full name."""
    plain = (host or "").strip("[]")
    if not plain.isascii():
        plain = parse_url(f"//{plain}").host or ""
    return plain.lower().removesuffix(".")
