"""The feed over HTTP: one polite request, with a total deadline and a bounded body."""

import gzip
import http.client
import io
import logging
import threading
import time
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
import urllib3
from urllib3.util import parse_url

from miso_reserve import __version__
from miso_reserve.contract import MOST_BYTES
from miso_reserve.failure import CollectionError
from miso_reserve.findings import FailureCode, shown
from miso_reserve.response import Response

USER_AGENT: Final = f"miso-reserve/{__version__}"
# What gzip cannot make smaller it makes a little larger; twice as much is surely too much.
_MOST_RAW_BYTES: Final = 2 * MOST_BYTES
_MOST_REDIRECTS: Final = 3
_CHUNK: Final = 64 * 1024
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERRORS: Final = range(500, 600)

# Of a header that it cannot read it warns with a traceback and the whole address, which may hold a secret.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class NotFoundError(CollectionError):
    """There is nothing at the address: 404."""


def fetch_if_published(url: str, timeout: float) -> Response | None:
    """Get a file as ``fetch`` does; None when there is none at the address (404)."""
    try:
        return fetch(url, timeout, accept="*/*")
    except NotFoundError:
        return None


def fetch(url: str, timeout: float, accept: str = "application/json") -> Response:
    """Get the feed's present body, in at most ``timeout`` seconds for everything, body included.

    Raises:
        CollectionError: Transient for time-outs, broken connections, 429 and 5xx; final for any other status but 200
            and for a redirect to another host.
    """
    # requests bounds each read, not the whole: a server that drips bytes, or a resolver that hangs, would hold it for
    # ever. Waiting on a thread is the one bound that covers them all; one left behind ends when its server lets go.
    outcome: list[Response | Exception] = []

    def work() -> None:
        try:
            outcome.append(_request(url, time.monotonic() + timeout, accept))
        except Exception as error:  # noqa: BLE001 - carried over to the caller's thread and raised there
            outcome.append(error)

    thread = threading.Thread(target=work, name="fetch", daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise _timed_out(url, timeout)
    result = outcome[0]
    # The causes are not chained: they repeat the address with what it may hold, and Prefect logs tracebacks.
    if isinstance(result, requests.Timeout):
        raise _timed_out(url, timeout) from None
    if isinstance(result, (requests.RequestException, urllib3.exceptions.HTTPError)):
        message = f"no answer from {without_secrets(url)}: {_reason(result)}"
        raise CollectionError(FailureCode.FEED_UNREACHABLE, message, transient=not _is_final(result)) from None
    if isinstance(result, Exception):
        raise result
    return result


def without_secrets(url: str) -> str:
    """Return a URL without user, password, query and fragment, in ASCII: fit for logs and metadata."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")).encode("ascii", "backslashreplace").decode()


class _WithoutCookies(requests.adapters.HTTPAdapter):
    """Drops cookies unread: of one that it cannot read, http.cookiejar warns with a traceback."""

    def build_response(self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse) -> requests.Response:
        original = getattr(resp, "_original_response", None)
        if original is not None:
            del original.msg["Set-Cookie"]
        return super().build_response(req, resp)


class _Session(requests.Session):
    """A session that leaves redirects to us: requests reads a redirect's whole body, followed or not."""

    def __init__(self) -> None:
        super().__init__()
        for prefix in ("http://", "https://"):
            self.mount(prefix, _WithoutCookies())

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests calls it so
        return None


def _request(url: str, deadline: float, accept: str) -> Response:
    with _Session() as session:
        session.headers.update({"User-Agent": USER_AGENT, "Accept": accept, "Accept-Encoding": "gzip"})
        at = url
        for _ in range(_MOST_REDIRECTS + 1):
            left = max(deadline - time.monotonic(), 0.001)
            with session.get(at, timeout=left, stream=True, allow_redirects=False) as response:
                if not response.is_redirect:
                    return _read(response, url, deadline)
                at = _redirected(at, response)
    raise CollectionError(FailureCode.FEED_REDIRECT, f"{without_secrets(url)} redirects without end")


def _redirected(url: str, response: requests.Response) -> str:
    location = response.headers["Location"]
    try:
        target = urljoin(url, location)
        here, there, connecting = urlsplit(url), urlsplit(target), parse_url(target)
        # urllib3, which connects, reads http://one\@two/ as one, urlsplit as two.
        read_twice = {(there.hostname, there.port), ((connecting.host or "").strip("[]"), connecting.port)}
        same_host = read_twice == {(here.hostname, here.port)}
    except ValueError as error:
        message = f"{without_secrets(url)} redirects to {shown(location)}, which is no address"
        raise CollectionError(FailureCode.FEED_REDIRECT, message) from error
    if same_host and there.scheme in {here.scheme, "https"}:
        return target
    message = f"{without_secrets(url)} redirects to {shown(without_secrets(target), 200)}, another host: not followed"
    raise CollectionError(FailureCode.FEED_REDIRECT, message)


def _read(response: requests.Response, url: str, deadline: float) -> Response:
    status = response.status_code
    if status == _TOO_MANY_REQUESTS or status in _SERVER_ERRORS:
        message = f"{without_secrets(url)} answers {status}"
        retry_after = _retry_after(response.headers.get("Retry-After"))
        raise CollectionError(FailureCode.FEED_UNAVAILABLE, message, transient=True, retry_after=retry_after)
    if status != requests.codes.ok:
        error = NotFoundError if status == requests.codes.not_found else CollectionError
        raise error(FailureCode.FEED_STATUS, f"{without_secrets(url)} answers {status}, not 200")
    return Response(
        body=_decoded(_raw_body(response, deadline), response.headers.get("Content-Encoding", ""), url),
        fetched_at=datetime.now(UTC),
        source_url=without_secrets(url),
        content_type=shown(response.headers.get("Content-Type", ""), 100)[1:-1],
    )


def _raw_body(response: requests.Response, deadline: float) -> bytes:
    """Read the body as it comes over the wire, as far as it takes to see that it is too large."""
    body = bytearray()
    # read1 returns with what there is, so that a body that drips cannot hold the loop past its deadline.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > _MOST_RAW_BYTES:
            break
        if time.monotonic() > deadline:
            raise requests.Timeout
    return bytes(body)


def _decoded(body: bytes, encoding: str, url: str) -> bytes:
    """Undo the content encoding, up to the first byte too many of what comes out."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body[: MOST_BYTES + 1]
    try:
        if name in {"gzip", "x-gzip"}:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as unzipped:
                return unzipped.read(MOST_BYTES + 1)
        reason = f"it is {shown(encoding)}, and gzip was asked for"
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        reason = f"{type(error).__name__} {error}"
    message = f"{without_secrets(url)} sent a content encoding that cannot be undone: {reason}"
    raise CollectionError(FailureCode.FEED_ENCODING, message, transient=True)


def _is_final(error: Exception) -> bool:
    """Tell whether the address itself is at fault; requests' errors of that kind are ValueErrors too."""
    return isinstance(error, ValueError)


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


def _timed_out(url: str, timeout: float) -> CollectionError:
    message = f"no whole answer from {without_secrets(url)} within {timeout:g} s"
    return CollectionError(FailureCode.FEED_TIMEOUT, message, transient=True)


def _reason(error: BaseException) -> str:
    """Name the error at the bottom: requests wraps it twice, and repeats the address, which may hold a password."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    name = type(error).__name__
    if isinstance(error, requests.RequestException) or not isinstance(error, (OSError, http.client.HTTPException)):
        return name
    return f"{name} {shown(error.strerror if isinstance(error, OSError) and error.strerror else str(error), 200)}"
