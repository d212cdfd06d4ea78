from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from miso_archive.collecting.fetch import fetch
from miso_archive.contract.findings import FailureCode
from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import PLENTY, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from miso_archive.simulate import SimulatedFeed
    from miso_archive.store.response import Response


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XST+7")
        time.tzset()
        yield
    time.tzset()


class TestStatus:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
    def test_a_feed_in_trouble_is_worth_another_try(self, feed: SimulatedFeed, status: int) -> None:
        """429 and every 5xx are transient, and the message names the status."""
        feed.script(Reply(status, b"{}"))
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_UNAVAILABLE, True)
        assert error.message == f"{feed.url} answers {status}"

    @pytest.mark.parametrize("status", [201, 202, 204, 206, 300, 302, 304, 307, 400, 401, 403, 404, 408, 410, 451, 600])
    def test_any_other_status_is_final(self, feed: SimulatedFeed, status: int) -> None:
        """A status that a retry would not change, a redirect to nowhere among them, fails at once and is named."""
        feed.script(Reply(status, b""))
        error = failure(feed.url)
        assert (error.code, error.transient) == (FailureCode.FEED_STATUS, False)
        assert error.message == f"{feed.url} answers {status}, not 200"

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("0", 0.0),
            ("7", 7.0),
            (" 120 ", 120.0),
            ("9" * 400, float("inf")),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("Wed, 99 Foo 2015 07:28:00 GMT", None),
            ("Fri, 31 Dec 99999 23:59:59 GMT", None),
            ("Fri, 31 Dec 2027 23:59:59 -9999", None),
        ],
    )
    def test_retry_after_is_read(self, feed: SimulatedFeed, status: int, header: str, seconds: float | None) -> None:
        """Retry-After in seconds is read, a time gone by is none to wait, and what cannot be read asks for nothing."""
        feed.script(Reply(status, b"", {"Retry-After": header}))
        assert failure(feed.url).retry_after == seconds

    @pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
    @pytest.mark.usefixtures("_far_from_greenwich")
    def test_retry_after_may_be_a_date(self, feed: SimulatedFeed, zone: str) -> None:
        """Retry-After as a date asks for the time until then, whatever the clock of this machine is set to."""
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=100)).replace("+0000", zone)
        feed.script(Reply(503, b"", {"Retry-After": then}))
        asked = failure(feed.url).retry_after
        assert asked is not None
        assert 80 < asked <= 100

    def test_without_retry_after_nothing_is_asked(self, feed: SimulatedFeed) -> None:
        """A 503 without Retry-After leaves the wait to the policy."""
        feed.script(Reply(503, b""))
        assert failure(feed.url).retry_after is None


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw reaches the caller as it is, out of the thread that met it."""

    def broken(*_arguments: object) -> Response:
        raise ZeroDivisionError

    monkeypatch.setattr("miso_archive.collecting.fetch._request", broken)
    with pytest.raises(ZeroDivisionError):
        fetch("http://127.0.0.1/", PLENTY)
