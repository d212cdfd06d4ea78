"""What an error of the network means, in words that hold no secret, and whether it may pass."""

import http.client
import re
import ssl
from typing import Final

import requests
import urllib3

from miso_archive.collecting.route import Route
from miso_archive.text import shown

PROXY_LOGIN_REQUIRED: Final = 407
PROXY_LOGIN: Final = ": the proxy wants a user and a password, as http://user:password@host:port"

_OF_THE_NETWORK: Final = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)
# As http.client tells that a proxy does not let through; 408 and 429 may pass.
_TUNNEL_REFUSED: Final = re.compile(r"Tunnel connection failed: 4(?!08|29)(\d\d)\b", re.ASCII)


def root_cause(error: BaseException) -> BaseException:
    """Return the error at the bottom: requests wraps it twice, and repeats the address, which may hold a password.

    Not below it: a ValueError may be how http.client found out that an answer makes no sense.
    """
    while isinstance(cause := error.__cause__ or error.__context__, _OF_THE_NETWORK):
        if isinstance(cause, ValueError) and not isinstance(cause, ssl.SSLCertVerificationError):
            break
        error = cause
    return error


def may_pass(cause: BaseException) -> bool:
    """Tell whether asking again may help: not where the address, the certificate or the proxy's answer is at fault."""
    # What requests says of an address is a ValueError too.
    if isinstance(cause, (ValueError, ssl.SSLCertVerificationError, http.client.InvalidURL)):
        return False
    return _TUNNEL_REFUSED.match(str(cause)) is None


def told(cause: BaseException, route: Route | None) -> str:
    """Say what went wrong at the bottom, and what to do where it is the environment that is at fault."""
    name = type(cause).__name__
    if isinstance(cause, ssl.SSLCertVerificationError):
        trusted = (route and route.certificates_variable) or "REQUESTS_CA_BUNDLE"
        return f"its certificate is not trusted ({shown(cause.verify_message, 200)[1:-1]}): {trusted} says who is"
    if isinstance(cause, UnicodeEncodeError):
        whose = f"its own or that of {route.proxy_variable}" if route and route.proxy_variable else "its own"
        return f"a user or password, {whose}, has letters beyond Latin-1, which HTTP cannot send"
    # Their texts may repeat the address.
    if isinstance(cause, (ValueError, http.client.InvalidURL)):
        return f"the address cannot be used ({name})"
    if isinstance(cause, requests.RequestException) or not isinstance(cause, (OSError, http.client.HTTPException)):
        return f"the answer makes no sense ({name})"
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    wanted = PROXY_LOGIN if text.startswith(f"Tunnel connection failed: {PROXY_LOGIN_REQUIRED}") else ""
    return f"{name} {shown(text, 200)}{wanted}"
