"""The verdict of the soak can be a bad one."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.feeds import FEEDS
from miso_archive.feeds.fuel_mix import FUEL_MIX
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.version import __version__
from tests.soak.host import Good, Ledger, Refused, Serving
from tests.soak.sites import Found
from tests.soak.verdict import Verdict, judge, left_over, told

if TYPE_CHECKING:
    from miso_archive.feeds.feed import Feed

END = datetime(2001, 1, 2, 7, 5, tzinfo=EST)
BODY, REVISED, BAD = b'{"RefId":"a label"}', b'{"RefId":"a label","revised":1}', b'{"error":"no data"}'
FIRST = "sourcing/miso_binding_constraints_reserve/2001-01-02/binding_constraints_reserve_20010102_0705"
SECOND = f"{FIRST}.{hashlib.sha256(REVISED).hexdigest()[:12]}"
REFUSED_STEM = f"quarantine/miso_binding_constraints_reserve/2026-11-22/refused_{hashlib.sha256(BAD).hexdigest()}"
OTHER = "sourcing/miso_other/2001-01-02/other_20010102_0705"
REASONS = f"{REFUSED_STEM}.reasons.json"
SERVED = datetime(2026, 11, 22, 17, 0, 0, 900_000, tzinfo=UTC)
URL = "http://127.0.0.1/api"


class Soaked:
    """What a soak of two bodies of one interval, and a refused one, leaves when all is well."""

    def __init__(self) -> None:
        served = [Serving(1, SERVED)]
        self.ledger = Ledger(
            URL,
            {sha256(body): Good(END, "a label", body, served) for body in (BODY, REVISED)},
            {sha256(BAD): Refused("no-data", BAD, servings=served)},
        )
        self.reasons: dict[str, object] = {
            **origin(BAD),
            "content-type": "application/json; charset=utf-8",
            "cut": False,
            "reasons": [{"code": "error_payload", "where": "error", "message": "an error"}],
        }
        self.objects = {
            f"{FIRST}.json.gz": gzip.compress(BODY),
            f"{SECOND}.json.gz": gzip.compress(REVISED),
            f"{REFUSED_STEM}.body.gz": gzip.compress(BAD),
        }
        self.provenance = {
            f"{FIRST}.json.gz": {**origin(BODY), "ref-id": "a label"},
            f"{SECOND}.json.gz": {**origin(REVISED), "ref-id": "a label"},
        }
        self.messages = [message(BODY, FIRST), message(REVISED, SECOND)]
        self.clocks: dict[int, int] = {}

    def verdict(self, feed: Feed = RESERVE) -> Verdict:
        objects = {REASONS: json.dumps(self.reasons).encode()} | self.objects
        return judge(feed, self.ledger, self.clocks, Found(objects, self.provenance), self.messages)


@pytest.fixture
def soaked_well() -> Soaked:
    """A soak that went well, to be spoilt."""
    return Soaked()


class TestVerdict:
    def test_all_is_well(self, soaked_well: Soaked) -> None:
        """An archive that holds what was served, announced at least once, is not found fault with."""
        soaked_well.messages.append(soaked_well.messages[0])
        verdict = soaked_well.verdict()
        assert (verdict.lost, verdict.doubled, verdict.unannounced, verdict.quarantined) == (0, 0, 0, 1)
        assert verdict.announced_again == 1
        assert verdict.problems == []

    def test_what_is_not_archived_is_lost(self, soaked_well: Soaked) -> None:
        """A body that was served and does not stand, or not byte for byte, is lost."""
        soaked_well.objects[f"{SECOND}.json.gz"] = gzip.compress(REVISED + b" ")
        verdict = soaked_well.verdict()
        assert verdict.lost == 1
        assert f"{SECOND}.json.gz was never served" in verdict.problems

    def test_two_objects_of_one_body_are_doubled(self, soaked_well: Soaked) -> None:
        """A second object with the same content is doubled, whatever its key."""
        soaked_well.objects[f"{FIRST}.{sha256(BODY)[:12]}.json.gz"] = gzip.compress(BODY)
        assert soaked_well.verdict().doubled == 1

    def test_what_no_message_names_is_unannounced(self, soaked_well: Soaked) -> None:
        """A body without a message of its key is unannounced; a message of another key is told."""
        soaked_well.messages[1] = message(REVISED, FIRST)
        verdict = soaked_well.verdict()
        assert verdict.unannounced == 1
        assert verdict.problems == [f"announced and not archived: {FIRST}.json.gz"]

    def test_a_refused_body_that_is_not_kept_is_told(self, soaked_well: Soaked) -> None:
        """A refused body that stands nowhere is told."""
        del soaked_well.objects[f"{REFUSED_STEM}.body.gz"]
        assert soaked_well.verdict().problems == [f"of reserve refused and not kept: {BAD!r}"]

    def test_a_refused_body_without_reasons_is_told(self, soaked_well: Soaked) -> None:
        """A refused body that stands alone is told."""
        reasons = soaked_well.verdict()
        assert reasons.problems == []
        found = Found(soaked_well.objects, soaked_well.provenance)
        problems = judge(RESERVE, soaked_well.ledger, {}, found, soaked_well.messages).problems
        assert problems == [f"{REFUSED_STEM}.body.gz stands without its reasons"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("sha256", "0" * 64),
            ("source-url", "http://127.0.0.1/other"),
            ("collector-version", "0"),
            ("content-type", "text/html"),
            ("cut", True),
            ("reasons", []),
            ("reasons", [{"code": "not_json", "where": "body", "message": ""}]),
            ("fetched-at", "2026-11-22T17:00:29Z"),
            ("fetched-at", None),
        ],
    )
    def test_reasons_are_those_of_the_body(self, soaked_well: Soaked, field: str, value: object) -> None:
        """Whatever the reasons say of another body, another answer or another time is told."""
        soaked_well.reasons[field] = value
        (problem,) = soaked_well.verdict().problems
        assert problem.startswith(f"{REFUSED_STEM}.body.gz stands beside {field}")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("sha256", hashlib.sha256(REVISED).hexdigest()),
            ("ref-id", "another label"),
            ("source-url", None),
            ("collector-version", "0"),
            ("environment", "prod"),
            ("fetched-at", "2026-11-22T16:59:58Z"),
            ("fetched-at", "2026-11-22T17:00:29Z"),
        ],
    )
    def test_provenance_is_that_of_the_fetch(self, soaked_well: Soaked, field: str, value: str) -> None:
        """Provenance of another body, another feed or a time at which nobody was served that body is told."""
        soaked_well.provenance[f"{FIRST}.json.gz"][field] = value
        (problem,) = soaked_well.verdict().problems
        assert problem.startswith(f"the provenance of {FIRST}.json.gz has {field} {value!r}")

    def test_provenance_that_is_not_there_is_told(self, soaked_well: Soaked) -> None:
        """A snapshot of which nothing says where it comes from is told."""
        del soaked_well.provenance[f"{SECOND}.json.gz"]
        assert len(soaked_well.verdict().problems) == 1

    def test_a_wrong_clock_tells_wrong_times(self, soaked_well: Soaked) -> None:
        """The time of a fetch is right by the clock of the run that was served, and by that of no other."""
        soaked_well.provenance[f"{FIRST}.json.gz"]["fetched-at"] = "2026-11-22T18:00:01Z"
        soaked_well.clocks = {2: 3600}
        assert len(soaked_well.verdict().problems) == 1
        soaked_well.clocks = {1: 3600}
        assert soaked_well.verdict().problems == []

    def test_a_clock_that_is_set_lags_behind(self, soaked_well: Soaked) -> None:
        """A run whose clock the soak has set is a moment behind, which may be in the second before."""
        soaked_well.provenance[f"{FIRST}.json.gz"]["fetched-at"] = "2026-11-22T16:59:59Z"
        assert soaked_well.verdict().problems == []

    def test_a_run_that_is_held_up_may_wait_for_a_slow_body(self, soaked_well: Soaked) -> None:
        """A body that came slowly, to a run that the machine held up as long, was fetched then, and not later."""
        good = soaked_well.ledger.good[sha256(REVISED)]
        good.servings = [Serving(2, SERVED + timedelta(minutes=5))]
        assert len(soaked_well.verdict().problems) == 2
        soaked_well.ledger.slow[sha256(REVISED)].append(Serving(1, SERVED))
        assert soaked_well.verdict().problems == []

    def test_a_message_of_another_fetch_is_told(self, soaked_well: Soaked) -> None:
        """A message whose time of fetching is none of that body's is told."""
        soaked_well.ledger.good[sha256(REVISED)] = Good(
            END, "a label", REVISED, [Serving(1, SERVED - timedelta(minutes=5))]
        )
        problems = soaked_well.verdict().problems
        assert f"the message of {SECOND}.json.gz has fetched-at" in " ".join(problems)

    @pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
    def test_each_feed_is_judged_by_itself(self, feed: Feed) -> None:
        """A body stands under the dataset and the name of its own feed; what is another's is no business of it."""
        key = f"sourcing/{feed.dataset}/2001-01-02/{feed.file_stem}_20010102_0705"
        ledger = Ledger(URL, {sha256(BODY): Good(END, "a label", BODY, [Serving(1, SERVED)])})
        provenance = {f"{key}.json.gz": {**origin(BODY), "ref-id": "a label"}}
        found = Found({f"{key}.json.gz": gzip.compress(BODY), f"{OTHER}.json.gz": b""}, provenance)
        messages = [message(BODY, key, feed.dataset), message(BAD, OTHER, "miso_other")]
        assert judge(feed, ledger, {}, found, messages) == Verdict()

    def test_what_stands_as_another_feeds_is_told(self, soaked_well: Soaked) -> None:
        """A body under the dataset of another feed is lost to its own, and was never served of the other."""
        moved = soaked_well.objects.pop(f"{FIRST}.json.gz")
        of_fuels = f"{FIRST.replace(RESERVE.dataset, FUEL_MIX.dataset)}.json.gz"
        soaked_well.objects[of_fuels] = moved
        assert soaked_well.verdict().lost == 1
        soaked_well.ledger = Ledger(URL)
        assert f"{of_fuels} was never served" in soaked_well.verdict(FUEL_MIX).problems

    def test_a_message_of_another_feed_announces_nothing(self, soaked_well: Soaked) -> None:
        """A body whose message names another dataset is unannounced."""
        soaked_well.messages[1] = message(REVISED, SECOND, FUEL_MIX.dataset)
        assert soaked_well.verdict().unannounced == 1

    def test_a_refused_body_that_was_not_served_is_told(self, soaked_well: Soaked) -> None:
        """Anything in quarantine that was never refused is told."""
        left = f"{REFUSED_STEM.replace('refused_', 'refused_0')}.body.gz"
        soaked_well.objects[left] = b""
        assert soaked_well.verdict().problems == [f"{left} should not be there"]

    @pytest.mark.parametrize(
        "left",
        [
            "unannounced/miso_binding_constraints_reserve/dev/0123.json",
            f"{FIRST.rpartition('/')[0]}/.abc.partial",
            ".valkey/temp-rewriteaof-12.aof",
            f"{OTHER}.json.gz",
            "quarantine/miso_other/2026-11-22/refused_0.body.gz",
        ],
    )
    def test_what_is_left_over_is_told(self, soaked_well: Soaked, left: str) -> None:
        """A mark, a temporary file, or what is of no feed, is told."""
        assert left_over(Found(soaked_well.objects), soaked_well.messages) == []
        soaked_well.objects[left] = b""
        (problem,) = left_over(Found(soaked_well.objects), soaked_well.messages)
        assert left in problem

    def test_a_message_of_no_feed_is_told(self) -> None:
        """A message whose dataset nobody knows is told."""
        assert left_over(Found({}), [message(BODY, OTHER, "miso_other")]) == ["announced of no feed: miso_other"]

    def test_a_secret_is_found_zipped_too(self) -> None:
        """A password is found in a log, and inside a gzip object."""
        places = {"log": b"redis://:hunter2@host", "object": gzip.compress(b"user:hunter2"), "other": b"nothing"}
        assert told("hunter2", places) == ["log", "object"]


def sha256(body: bytes) -> str:
    """The SHA-256, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def origin(body: bytes) -> dict[str, str]:
    """Where a body comes from, as the archive tells it."""
    return {
        "sha256": sha256(body),
        "fetched-at": "2026-11-22T17:00:00Z",
        "source-url": URL,
        "collector-version": __version__,
        "environment": "dev",
    }


def message(body: bytes, stem: str, dataset: str = RESERVE.dataset) -> bytes:
    """An announcement, as far as the verdict reads it."""
    content = {
        "dataset": dataset,
        "sha256": sha256(body),
        "key": f"{stem}.json.gz",
        "fetched_at": "2026-11-22T17:00:00Z",
    }
    return json.dumps(content).encode()
