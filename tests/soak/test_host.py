"""The host of the soak serves what it is told to, and its ledgers are of what it served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from miso_archive.feeds import FEEDS
from tests.soak.host import SoakHost
from tests.soak.plan import ALL, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from miso_archive.feeds.feed import Feed


@pytest.fixture(scope="module")
def host() -> Iterator[SoakHost]:
    """A host of all feeds."""
    with SoakHost(seed=1) as host:
        yield host


def served(host: SoakHost, feed: Feed, run: int) -> bytes:
    """What a run gets of a feed."""
    return requests.get(f"{host.base(run, 'secret')}/{feed.path}", timeout=10).content


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_a_body_is_entered_under_its_own_label(host: SoakHost, feed: Feed) -> None:
    """What is served is accepted, and stands in the ledger of its feed with the label that it has."""
    host.show(3, 1, (), (), documented=True)
    body = served(host, feed, run=1)
    snapshot = feed.examine(body).snapshot
    assert snapshot is not None
    (good,) = (one for one in host.ledgers[feed.name].good.values() if one.body == body)
    assert (good.end, good.ref_id) == (snapshot.interval_end, snapshot.ref_id)
    assert [serving.run for serving in good.servings] == [1]
    assert [name for name in ALL if any(one.body == body for one in host.ledgers[name].good.values())] == [feed.name]


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_what_a_feed_is_to_refuse_befalls_it_alone(host: SoakHost, feed: Feed, kind: str) -> None:
    """A struck feed gives each reply once, for one reason to refuse it; no other feed does."""
    host.show(4, 0, (kind,), (feed.name,), documented=False)
    other = next(one for one in FEEDS.values() if one is not feed)
    before = host.ledgers[other.name].struck.total()
    bodies = [served(host, feed, run=2), served(host, feed, run=2)]
    assert [len(feed.examine(body).reasons) for body in bodies] == [1, 0]
    assert other.examine(served(host, other, run=2)).snapshot is not None
    assert host.ledgers[other.name].struck.total() == before
