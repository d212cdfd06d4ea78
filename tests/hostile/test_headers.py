"""Hostile answers on the wire: a fetch gives a body or fails with a code, and tells no secret and no raw text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from miso_archive.collecting.fetch import fetch
from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.feeds.reserve import RESERVE
from tests.hostile.exchanges import EXCHANGES, HIDDEN_HOST, RETRY_AFTER_TOO_LARGE, Exchange, Scripted, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from miso_archive.store.response import Response

PLENTY = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    """One server for all answers."""
    with Scripted() as started:
        yield started


def harmless(text: str) -> bool:
    """Whether a text may stand in a log: plain, of one line, not long, without the address's secret."""
    return text.isascii() and text.isprintable() and len(text) < 1000 and "hunter2" not in text


def outcome_of(server: Scripted, *answers: bytes) -> str:
    """Fetch what the server answers; check what must hold of every outcome, and name it."""
    server.answers = list(answers)
    result = fetched(server.url)
    if isinstance(result, CollectionError):
        assert harmless(str(result))
        assert (result.retry_after or 0.0) >= 0
        return result.code.value
    assert len(result.body) <= MOST_BYTES + 1
    assert result.source_url == server.url.partition("?")[0]
    assert harmless(result.content_type)
    verdict = RESERVE.examine(result.body)
    return verdict.reasons[0].code.value if verdict.reasons else "accepted"


def fetched(url: str) -> Response | CollectionError:
    """Fetch; any error but a CollectionError is a fault."""
    try:
        return fetch(url, PLENTY)
    except CollectionError as error:
        return error


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_answer_has_its_outcome(server: Scripted, caplog: pytest.LogCaptureFixture, exchange: Exchange) -> None:
    """A body comes out, or the fetch fails with a code: the one that is listed; no log has a traceback or raw text."""
    assert outcome_of(server, *exchange.answers) == exchange.outcome
    logged = [record for record in caplog.records if record.name != "asyncio"]
    assert [record.getMessage() for record in logged if record.exc_info or not harmless(record.getMessage())] == []


@pytest.mark.parametrize("wish", RETRY_AFTER_TOO_LARGE)
def test_a_date_that_python_cannot_hold_asks_for_nothing(server: Scripted, wish: bytes) -> None:
    """A number too large for a date leaves the retry to our own policy."""
    sent = answer(b"Retry-After: " + wish, status=b"429 Too Many Requests", content=b"")
    server.answers = [sent]
    result = fetched(server.url)
    assert isinstance(result, CollectionError)
    assert (result.code, result.retry_after) == (FailureCode.FEED_UNAVAILABLE, None)


def test_a_redirect_is_judged_by_the_parser_that_connects(server: Scripted) -> None:
    """No spelling of an address leads a fetch to another host."""
    assert outcome_of(server, *HIDDEN_HOST.answers) == HIDDEN_HOST.outcome
