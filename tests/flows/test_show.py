"""What a run shows of the market day that it collected into."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows.show import Show
from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import EST
from miso_archive.settings.options import Settings
from miso_archive.simulate.bodies import body_of
from tests.feeds.archived import SEED, put_simulated
from tests.store.test_listing import CountedObjects

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.feeds.feed import Feed


@pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
def test_provenances_are_asked_only_where_an_interval_can_be_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: Feed
) -> None:
    """Which body is the last tells whether an interval is quiet, and nothing of a feed that cannot be."""
    published: list[str] = []

    def publish(*, markdown: str, **_: Any) -> None:  # noqa: ANN401 - as the function it stands for
        published.append(markdown)

    monkeypatch.setattr("flows.show.create_markdown_artifact", publish)
    archive, end = CountedObjects(tmp_path), datetime(2026, 7, 27, 0, 10, tzinfo=EST)
    put_simulated(archive, feed, end - timedelta(minutes=5), end, revisions=2)
    show = Show(feed, Settings(local=tmp_path), archive=archive)
    snapshot = feed.examine(body_of(feed, end, seed=SEED)).snapshot
    assert snapshot is not None
    show.record.stored.append(snapshot)
    show.end()
    assert archive.asked == ([4] if feed.contract.quiet else [])
    [text] = published
    assert "**2 of " in text
