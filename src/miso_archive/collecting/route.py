"""The way to a host as the environment names it: through which proxy, and whose certificates are trusted."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies
from urllib3.util import parse_url

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.text import has_control_characters, shown, stripped

_CERTIFICATES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SOCKS: Final = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_PORTS: Final = {"http": 80, "https": 443} | dict.fromkeys(_SOCKS, 1080)
_FORM: Final = "give http://[user:password@]host:port, or unset it"
# OpenSSL finds certificates in a folder by names that `openssl rehash` gives them.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Route:
    """How an address is asked: the arguments that requests takes, and how to speak of them in a message.

    ``through`` is empty, or `` through the proxy host:port of HTTPS_PROXY``; ``proxy_variable`` and
    ``certificates_variable`` are empty where the environment names none.
    """

    proxies: Mapping[str, str]
    verify: str | bool
    through: str
    proxy_variable: str
    certificates_variable: str


def route_to(url: str) -> Route:
    """Return the way to an address, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and the variables of certificates.

    Raises:
        CollectionError: Final: one of them names what cannot be used. The message names the variable, and no secret.
    """
    scheme = urlsplit(url).scheme.lower()
    proxies, through, proxy_variable = {}, "", ""
    if found := _proxy_for(url, scheme):
        proxy_variable, value = found
        address, place = _usable_proxy(value, proxy_variable)
        proxies, through = {scheme: address}, f" through the proxy {place} of {proxy_variable}"
    needs_certificates = scheme == "https" or any(map(_speaks_tls, proxies.values()))
    certificates_variable, verify = _certificates() if needs_certificates else ("", True)
    return Route(proxies, verify, through, proxy_variable, certificates_variable)


def _proxy_for(url: str, scheme: str) -> tuple[str, str] | None:
    """Return the proxy for an address and where it is set, as requests finds it; None when there is none."""
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    # Where it is given, requests sets the variable for a moment: only where there is something to mend.
    found = get_environ_proxies(url, no_proxy=None if spared == stripped(spared) else stripped(spared))
    for name in (scheme, "all"):
        if value := stripped(found.get(name) or ""):
            return _variable(f"{name}_proxy"), value
    return None


def _variable(name: str) -> str:
    """Return the environment variable of a proxy, as urllib reads them: lower case goes first, any case counts."""
    spelled = [variable for variable in os.environ if variable.lower() == name and stripped(os.environ[variable])]
    return min(spelled, key=lambda variable: variable != name, default="the system's own settings")


def _usable_proxy(value: str, variable: str) -> tuple[str, str]:
    """Return a proxy's address, and its ``host:port``, which holds no secret."""
    try:
        address = value if "://" in value else f"http://{value.removeprefix('//')}"
        parts = parse_url(address)
        # As urllib3 does when it connects; an error of it would not say whose address it is.
        (parts.host or "").encode("idna")
    except ValueError:
        raise _unusable(variable, "no proxy", f"it is no such address: {_FORM}") from None
    scheme = (parts.scheme or "").lower()
    if has_control_characters(value):
        problem = f"it has control characters within: {_FORM}"
    elif "@" in f"{parts.path}{parts.query}{parts.fragment}":
        problem = "of its user and password, / ? # and @ are to be percent-encoded"
    elif scheme not in _PORTS:
        problem = f"it begins with {shown(scheme)}, which is none of {', '.join(sorted(_PORTS))}: {_FORM}"
    elif not parts.host:
        problem = f"it has no host: {_FORM}"
    elif parts.port == 0:
        problem = f"its port is 0: {_FORM}"
    elif scheme in _SOCKS and find_spec("socks") is None:
        problem = "SOCKS takes a package: pip install 'requests[socks]', or name a proxy that speaks HTTP"
    else:
        return address, f"{shown(parts.host, 100)[1:-1]}:{parts.port or _PORTS[scheme]}"
    raise _unusable(variable, "no proxy", problem)


def _certificates() -> tuple[str, str | bool]:
    """Return the file or folder of trusted certificates and the variable that names it; none means requests' own."""
    for variable in _CERTIFICATES:
        if path := stripped(os.environ.get(variable, "")):
            try:
                _load(path)
            except ssl.SSLError:
                problem = "it is no file of certificates in PEM"
            except (OSError, ValueError) as error:
                problem = getattr(error, "strerror", None) or str(error)
            else:
                return variable, path
            told = f"{shown(path, 200)}: {problem}. Give a PEM file of certificates or a folder, or unset it"
            raise _unusable(variable, "no certificates", told)
    return "", True


def _load(path: str) -> None:
    if Path(path).is_dir():
        if not any(_HASHED.fullmatch(file.name) for file in Path(path).iterdir()):
            raise ValueError("a folder without certificates under the names that `openssl rehash` gives")
        return
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)


def _speaks_tls(proxy: str) -> bool:
    return proxy.lower().startswith("https:")


def _unusable(variable: str, what: str, problem: str) -> CollectionError:
    return CollectionError(FailureCode.FEED_UNREACHABLE, f"{variable} names {what} that can be used: {problem}")
