"""The feed over HTTP: one polite request, with a total deadline and a bounded body."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from miso_archive.extras import needs

with needs("collect", "Collecting"):
    import requests
    import urllib3

from miso_archive.collecting.http_session import Session, place_of
from miso_archive.collecting.route import Route, route_to
from miso_archive.collecting.trouble import PROXY_LOGIN, PROXY_LOGIN_REQUIRED, may_pass, root_cause, told
from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.content_encoding import MOST_RAW_BYTES, UndecodableError, decoded, encodings_of
from miso_archive.contract.findings import FailureCode, Finding, RefusalCode
from miso_archive.failures import CollectionError
from miso_archive.store.response import Response
from miso_archive.text import shown
from miso_archive.version import __version__

USER_AGENT: Final = f"miso-archive/{__version__}"
_KEY_HEADER: Final = "Ocp-Apim-Subscription-Key"
_MOST_REDIRECTS: Final = 3
_CHUNK: Final = 64 * 1024
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERRORS: Final = range(500, 600)

_TIMEOUTS: Final = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)
# All that requests, urllib3, ssl, http.client and the system raise; UnicodeError is a ValueError.
_TROUBLES: Final = (OSError, ValueError, http.client.HTTPException, urllib3.exceptions.HTTPError)


class NotFoundError(CollectionError):
    """There is nothing at the address: 404."""


_OF_THE_KEY: Final = {
    requests.codes.unauthorized: (FailureCode.API_KEY_REFUSED, "the key is refused: check MISO_API_KEY"),
    requests.codes.forbidden: (FailureCode.API_QUOTA, "the day's calls are used up, or the key is not for this"),
}
"""What other statuses mean where a key is sent."""


class UndecodedError(CollectionError):
    """A body came whose encoding cannot be undone: ``response`` has its bytes as they came, to be kept."""

    def __init__(
        self, code: FailureCode, message: str, *, transient: bool = False, response: Response | None = None
    ) -> None:
        super().__init__(code, message, transient=transient)
        self.response = response

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """Why the bytes are kept as a refused body is."""
        return encoding_reasons(self.message)


def encoding_reasons(message: str) -> tuple[Finding, ...]:
    """Return the reasons for which a body whose content encoding cannot be undone is refused."""
    return (Finding(RefusalCode.UNREADABLE_ENCODING, "body", message),)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for, and with which key, if any: one that is sent goes nowhere else."""

    url: str
    accept: str
    key: str | None = field(repr=False)

    @property
    def told(self) -> str:
        """The address, fit for logs and metadata: where a key is sent it says which page, and nothing secret."""
        told = without_secrets(self.url)
        return told if self.key is None else f"{told}?{urlsplit(self.url).query}".removesuffix("?")

    def headers(self) -> dict[str, str]:
        """Return what is said beside the address."""
        said = {"User-Agent": USER_AGENT, "Accept": self.accept, "Accept-Encoding": "gzip"}
        return said if self.key is None else said | {_KEY_HEADER: self.key}


def fetch_if_published(url: str, timeout: float) -> Response | None:
    """Get a file as ``fetch`` does; None when there is none at the address (404)."""
    try:
        return fetch(url, timeout, accept="*/*")
    except NotFoundError:
        return None


def fetch(url: str, timeout: float, accept: str = "application/json", key: str | None = None) -> Response:
    """Get the feed's present body, in at most ``timeout`` seconds for everything, body included.

    A key goes with the request as MISO's keyed API takes it, and no redirect is followed with it.

    Raises:
        CollectionError: Transient for time-outs, broken connections, 429 and 5xx; final for any other status but 200
            and for a redirect to another host.
        UndecodedError: Likewise, of a body whose content encoding cannot be undone; transient.
    """
    # requests bounds each read, not the whole: a server that drips bytes, or a resolver that hangs, would hold it for
    # ever. Waiting on a thread is the one bound that covers them all; one left behind ends when its server lets go.
    wanted = _Asked(url, accept, key)
    outcome: list[Response | Exception] = []
    routes: list[Route] = []

    def work() -> None:
        try:
            outcome.append(_request(wanted, time.monotonic() + timeout, routes))
        except Exception as error:  # noqa: BLE001 - carried over to the caller's thread and raised there
            outcome.append(error)

    thread = threading.Thread(target=work, name="fetch", daemon=True)
    thread.start()
    thread.join(timeout)
    route = routes[-1] if routes else None
    asked = wanted.told + (route.through if route else "")
    result = outcome[0] if outcome else TimeoutError()
    # The causes are not chained: they repeat the address with what it may hold, and Prefect logs tracebacks.
    if isinstance(result, _TIMEOUTS):
        message = f"no whole answer from {asked} within {timeout:g} s"
        raise CollectionError(FailureCode.FEED_TIMEOUT, message, transient=True) from None
    if isinstance(result, _TROUBLES):
        cause = root_cause(result)
        message = f"no answer from {asked}: {told(cause, route)}"
        raise CollectionError(FailureCode.FEED_UNREACHABLE, message, transient=may_pass(cause)) from None
    if isinstance(result, Exception):
        raise result
    return result


def without_secrets(url: str) -> str:
    """Return a URL without user, password, query and fragment, in ASCII: fit for logs and metadata."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")).encode("ascii", "backslashreplace").decode()


def _request(asked: _Asked, deadline: float, routes: list[Route]) -> Response:
    """Ask an address, and what it redirects to within its host; each way that is gone is added to the routes."""
    with Session() as session:
        session.headers.update(asked.headers())
        at = asked.url
        for _ in range(_MOST_REDIRECTS + 1):
            route = route_to(at)
            routes.append(route)
            left = max(deadline - time.monotonic(), 0.001)
            with session.get(
                at, timeout=left, stream=True, allow_redirects=False, proxies=dict(route.proxies), verify=route.verify
            ) as response:
                if not response.is_redirect:
                    return _read(response, asked, deadline, route)
                if asked.key is not None:
                    message = f"{asked.told} redirects: not followed, the key is for that address alone"
                    raise CollectionError(FailureCode.FEED_REDIRECT, message)
                at = _redirected(at, response)
    raise CollectionError(FailureCode.FEED_REDIRECT, f"{asked.told} redirects without end")


def _redirected(url: str, response: requests.Response) -> str:
    """Return where to ask next: the same host, with what our own address gives as user and password, and no other."""
    try:
        target = urljoin(url, response.headers["Location"])
        here, there = place_of(url), place_of(target)
    except ValueError:
        # Not repeated: what in it is a secret cannot be told where it cannot be read.
        message = f"{without_secrets(url)} redirects to what is no address"
        raise CollectionError(FailureCode.FEED_REDIRECT, message) from None
    if here.leads_to(there):
        login, at, _ = urlsplit(url).netloc.rpartition("@")
        parts = urlsplit(target)
        return urlunsplit(parts._replace(netloc=login + at + parts.netloc.rpartition("@")[2]))
    message = f"{without_secrets(url)} redirects to {shown(without_secrets(target), 200)}, another host: not followed"
    raise CollectionError(FailureCode.FEED_REDIRECT, message)


def _read(response: requests.Response, wanted: _Asked, deadline: float, route: Route) -> Response:
    status = response.status_code
    asked = wanted.told + route.through
    if status == _TOO_MANY_REQUESTS or status in _SERVER_ERRORS:
        message = f"{asked} answers {status}"
        retry_after = _retry_after(response.headers.get("Retry-After"))
        raise CollectionError(FailureCode.FEED_UNAVAILABLE, message, transient=True, retry_after=retry_after)
    if wanted.key is not None and status in _OF_THE_KEY:
        code, meaning = _OF_THE_KEY[status]
        raise CollectionError(code, f"{asked} answers {status}: {meaning}")
    if status != requests.codes.ok:
        error = NotFoundError if status == requests.codes.not_found else CollectionError
        login = PROXY_LOGIN if status == PROXY_LOGIN_REQUIRED else ""
        raise error(FailureCode.FEED_STATUS, f"{asked} answers {status}, not 200{login}")
    raw = bytearray()
    encoding = response.headers.get("Content-Encoding", "")

    def kept(body: bytes, content_encoding: str = "") -> Response:
        content_type = shown(response.headers.get("Content-Type", ""), 100)[1:-1]
        return Response(body, datetime.now(UTC), wanted.told, content_type, content_encoding)

    def undecoded(code: FailureCode, message: str) -> UndecodedError:
        as_it_came = kept(bytes(raw[: MOST_BYTES + 1]), shown(encoding, 100)[1:-1])
        return UndecodedError(code, message, transient=True, response=as_it_came)

    try:
        _read_raw(response, deadline, raw)
    except urllib3.exceptions.ProtocolError as error:
        # Half of a text is half of a text; half of a gzip stream nobody has read yet.
        if not raw or not encodings_of(encoding):
            raise
        message = f"no answer from {asked}: {told(root_cause(error), route)}"
        raise undecoded(FailureCode.FEED_UNREACHABLE, message) from None
    try:
        return kept(decoded(bytes(raw), encoding))
    except UndecodableError as error:
        message = f"{asked} sent a content encoding that cannot be undone: {error}"
        raise undecoded(FailureCode.FEED_ENCODING, message) from None


def _read_raw(response: requests.Response, deadline: float, body: bytearray) -> None:
    """Read the body as it comes over the wire, as far as it takes to see that it is too large."""
    # read1 returns with what there is, so that a body that drips cannot hold the loop past its deadline.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > MOST_RAW_BYTES:
            break
        if time.monotonic() > deadline:
            raise requests.Timeout


def _retry_after(header: str | None) -> float | None:
    """Read Retry-After, seconds or an HTTP date; what cannot be read asks for nothing."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdecimal() else _seconds_until(header)
    except (ValueError, OverflowError):  # a year or an offset too large for any date
        return None
    return max(seconds, 0.0)


def _seconds_until(http_date: str) -> float:
    moment = parsedate_to_datetime(http_date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
