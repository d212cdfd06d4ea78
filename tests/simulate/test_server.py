import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest
import requests

from miso_archive.feeds import FEEDS
from miso_archive.simulate import Reply, ServedRequest, SimulatedFeed, snapshot_body
from miso_archive.simulate import server as server_module

START = datetime(2001, 1, 2, 7, 5, tzinfo=timezone(timedelta(hours=-5), "EST"))
STEP = timedelta(minutes=5)


@pytest.fixture
def feed() -> Iterator[SimulatedFeed]:
    """Give a running feed with every default."""
    with SimulatedFeed() as running:
        yield running


def get(url: str) -> requests.Response:
    """Ask as an ordinary client does."""
    return requests.get(url, timeout=10, allow_redirects=False)


def test_the_feed_serves_the_interval_of_its_clock(feed: SimulatedFeed) -> None:
    """A request is answered with the simulated market's body for the present interval, as JSON."""
    answer = get(feed.url)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.content == snapshot_body(START, seed=0)


def test_every_answer_says_that_it_is_simulated(feed: SimulatedFeed) -> None:
    """Feed, status, unknown paths and refused methods all carry the simulation's headers."""
    answers = [get(feed.url), get(feed.status_url), get(feed.url + "/x"), requests.post(feed.url, timeout=10)]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 501]
    assert {answer.headers["Server"] for answer in answers} == {"miso-archive-simulated-feed"}
    assert {answer.headers["X-Simulated"] for answer in answers} == {"true"}
    assert [answer.json() for answer in answers[2:]] == [{"error": "not found"}, {"error": "Not Implemented"}]


def test_the_url_has_the_path_of_the_feed(feed: SimulatedFeed) -> None:
    """The address differs from the live feed's in its host alone, and a query changes nothing."""
    assert urlsplit(feed.url).path == "/api/BindingConstraints/Reserve"
    assert get(feed.url + "?x=1").content == get(feed.url).content


def test_requests_are_counted_and_kept(feed: SimulatedFeed) -> None:
    """Each request for the feed is recorded with its headers and the very bytes it was answered with."""
    before = time.monotonic()
    answers = [requests.get(feed.url, headers={"X-Test": str(number)}, timeout=10) for number in (1, 2)]
    get(feed.status_url)
    assert feed.hits == 2
    assert [record.body for record in feed.requests] == [answer.content for answer in answers]
    assert [record.headers["X-Test"] for record in feed.requests] == ["1", "2"]
    assert [(record.number, record.status, record.fault) for record in feed.requests] == [
        (1, 200, None),
        (2, 200, None),
    ]
    assert before <= feed.requests[0].at <= feed.requests[1].at <= time.monotonic()


def test_the_clock_stands_still_until_advanced() -> None:
    """At speed 0 the interval changes with `advance` alone."""
    with SimulatedFeed(start=START, seed=5) as feed:
        assert [feed.interval_end, feed.interval_end] == [START, START]
        feed.advance()
        assert feed.interval_end == START + STEP
        feed.advance(287)
        assert get(feed.url).content == snapshot_body(START + timedelta(days=1), seed=5)


def test_the_clock_moves_at_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At speed 300 an interval passes each real second."""
    now = [100.0]
    monkeypatch.setattr(server_module, "monotonic", lambda: now[0])
    with SimulatedFeed(speed=300) as feed:
        now[0] = 100.9
        assert feed.interval_end == START
        now[0] = 103.0
        feed.advance()
        assert feed.interval_end == START + 4 * STEP


def test_a_revision_lasts_until_the_next_interval(feed: SimulatedFeed) -> None:
    """`revise` changes the body and not the RefId, once more each time, until the clock advances."""
    bodies = [get(feed.url).content]
    for _ in range(2):
        feed.revise()
        bodies.append(get(feed.url).content)
    assert bodies == [snapshot_body(START, seed=0, revision=number) for number in range(3)]
    assert len({json.loads(body)["RefId"] for body in bodies}) == 1
    feed.advance()
    assert get(feed.url).content == snapshot_body(START + STEP, seed=0)


def test_revisions_come_at_their_rate() -> None:
    """At revision rate 1 each interval is first served unrevised, and every repeated request finds it revised."""
    with SimulatedFeed(revision_rate=1) as feed:
        bodies = [get(feed.url).content for _ in range(3)]
        feed.advance()
        bodies.append(get(feed.url).content)
    expected = [(START, 0), (START, 1), (START, 2), (START + STEP, 0)]
    assert bodies == [snapshot_body(end, seed=0, revision=revision) for end, revision in expected]


def test_scripted_replies_come_first_and_in_order(feed: SimulatedFeed) -> None:
    """Each scripted reply answers one request, then the feed goes on as before."""
    feed.script(Reply(status=418, body=b"tea"), Reply(headers={"content-type": "text/plain", "ETag": "x"}))
    feed.script(Reply(status=599, body=b""))
    tea, plain, odd, normal = (get(feed.url) for _ in range(4))
    assert (tea.status_code, tea.reason, tea.content) == (418, "I'm a Teapot", b"tea")
    assert (plain.headers["Content-Type"], plain.headers["ETag"]) == ("text/plain", "x")
    assert plain.content == normal.content == snapshot_body(START, seed=0)
    assert (odd.status_code, odd.reason, odd.content) == (599, "Simulated", b"")


def test_faults_come_up_as_their_seed_says() -> None:
    """Two feeds of the same seed and rates answer alike, and the status tells which faults were served."""
    outcomes = []
    for _ in range(2):
        with SimulatedFeed(seed=4, faults={"503": 0.4, "no-data": 0.3}) as feed:
            outcomes.append([get(feed.url).status_code for _ in range(30)])
            served = get(feed.status_url).json()["faults_served"]
            named = [record.fault for record in feed.requests]
    assert outcomes[0] == outcomes[1]
    assert served == {"503": named.count("503"), "no-data": named.count("no-data")}
    assert min(named.count(name) for name in ("503", "no-data", None)) > 0


def test_the_status_tells_where_the_simulation_stands() -> None:
    """The status page gives hits, also by feed, interval, seed and faults, and says that it is simulated."""
    with SimulatedFeed(seed=9) as feed:
        get(feed.url)
        assert get(feed.status_url).json() == {
            "simulated": True,
            "hits": 1,
            "hits_by_feed": {name: int(name == "reserve") for name in FEEDS},
            "interval_end": "2001-01-02T07:05:00-05:00",
            "seed": 9,
            "faults_served": {},
        }


def test_compression_is_for_those_who_accept_it() -> None:
    """A compressing feed gzips for clients that accept gzip, and records the body before compression."""
    with SimulatedFeed(compress=True) as feed:
        packed = get(feed.url)
        plain = requests.get(feed.url, headers={"Accept-Encoding": "identity"}, timeout=10)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert {packed.content, plain.content, *(record.body for record in feed.requests)} == {plain.content}


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        ({"speed": -1}, "speed"),
        ({"revision_rate": 2}, "revision_rate"),
        ({"start": START + timedelta(minutes=1)}, "five minutes"),
        ({"faults": {"418": 0.1}}, "known faults"),
    ],
)
def test_a_mistaken_argument_is_refused(mistake: dict[str, float], problem: str) -> None:
    """A feed that could not run as asked is not made."""
    with pytest.raises(ValueError, match=problem):
        SimulatedFeed(**mistake)  # type: ignore[arg-type]


def test_records_are_frozen(feed: SimulatedFeed) -> None:
    """What was served cannot be rewritten, and the list is the caller's own."""
    get(feed.url)
    feed.requests.clear()
    [record] = feed.requests
    assert isinstance(record, ServedRequest)
    with pytest.raises(AttributeError):
        record.body = b""  # type: ignore[misc]


def test_the_start_is_simulated_time(feed: SimulatedFeed) -> None:
    """The default start lies in 2001, where no real archive has data."""
    assert feed.interval_end == START
