import json
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.simulate import FAULTS, Reply, parse_faults
from miso_archive.simulate.faults import check_faults, fault_reply, pick_fault

MEBIBYTE = 1024 * 1024


def test_rates_are_read_from_a_comma_list() -> None:
    """`name=rate` items give their rates, spaces around them notwithstanding."""
    assert parse_faults("503=0.1, no-data = 0.02") == {"503": 0.1, "no-data": 0.02}


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_means_no_faults(blank: str) -> None:
    """No text, no faults."""
    assert parse_faults(blank) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("503", "'503' is not of the form name=rate"),
        ("503=0.1,", "'' is not of the form name=rate"),
        ("503=often", "'503=often': the rate is not a number"),
        ("503=1.5", "'503': the rate 1.5 is not within 0 and 1"),
        ("503=-0.1", "'503': the rate -0.1 is not within 0 and 1"),
        ("503=nan", "'503': the rate nan is not within 0 and 1"),
        ("418=0.1", "'418' is not a known fault"),
        ("503=0.1,503=0.2", "'503' is named twice"),
        ("503=0.6,500=0.6", "the rates of '503', '500' add up to more than 1"),
    ],
)
def test_a_mistake_is_named_beside_the_known_faults(text: str, problem: str) -> None:
    """A mistaken item is refused by name, and the message lists what would have been right."""
    with pytest.raises(ValueError, match="the known faults are 503, 500, 429, 404, html, no-data") as refusal:
        parse_faults(text)
    assert str(refusal.value).startswith(problem)


def test_all_faults_can_be_asked_for_together() -> None:
    """Every known fault is accepted, also at rates that share out all requests."""
    check_faults(parse_faults(",".join(f"{name}={1 / len(FAULTS)}" for name in FAULTS)))


@given(st.integers(), st.integers(1))
def test_a_request_always_meets_the_same_fault(seed: int, number: int) -> None:
    """The fault is decided by seed and request number, nothing else."""
    rates = {"503": 0.4, "slow": 0.4}
    assert pick_fault(rates, seed=seed, number=number) == pick_fault(rates, seed=seed, number=number)


def test_rates_are_shares_of_the_requests() -> None:
    """Over many requests each fault comes up about as often as its rate says, and the rest are normal."""
    picked = Counter(pick_fault({"503": 0.1, "reset": 0.3}, seed=1, number=number) for number in range(10_000))
    assert picked["503"] == pytest.approx(1000, rel=0.1)
    assert picked["reset"] == pytest.approx(3000, rel=0.1)
    assert picked[None] == pytest.approx(6000, rel=0.1)


@pytest.mark.parametrize("name", FAULTS)
def test_a_rate_of_one_befalls_every_request(name: str) -> None:
    """At rate 1 no request escapes the fault."""
    assert {pick_fault({name: 1.0}, seed=0, number=number) for number in range(100)} == {name}


@pytest.mark.parametrize("name", ["503", "500", "429", "404"])
def test_error_statuses_answer_with_that_status(name: str) -> None:
    """A fault named by a status answers with it, and only 429 says when to come back."""
    reply = fault_reply(name, port=1)
    assert reply.status == int(name)
    assert reply.headers.get("Retry-After") == ("1" if name == "429" else None)


def test_bodies_that_are_no_snapshot_come_with_status_200() -> None:
    """HTML, the no-data answer and garbage look like successes from outside."""
    html, no_data, garbage = (fault_reply(name, port=1) for name in ("html", "no-data", "garbage"))
    assert {html.status, no_data.status, garbage.status} == {200}
    assert html.headers["Content-Type"].startswith("text/html")
    assert no_data.body == b'{"error":"no data"}'
    with pytest.raises(UnicodeDecodeError):
        (garbage.body or b"").decode()


def test_transport_faults_keep_the_normal_body() -> None:
    """What is wrong with these is the way they are sent; their body is the feed's own."""
    assert fault_reply("truncated", port=1) == Reply(truncate_to=20)
    assert fault_reply("reset", port=1) == Reply(reset=True)
    assert fault_reply("slow", port=1) == Reply(delay=3.0)
    assert fault_reply("drip", port=1) == Reply(drip=0.5)
    assert fault_reply("drip-headers", port=1) == Reply(drip_headers=True)


def test_the_huge_body_is_good_json_over_five_mebibytes() -> None:
    """Nothing but its size is wrong with the huge body."""
    body = fault_reply("huge", port=1).body or b""
    assert len(body) > 5 * MEBIBYTE
    assert json.loads(body).keys() == {"padding"}


def test_the_bomb_is_small_until_it_is_opened() -> None:
    """The gzip bomb sends under 100 kB and decompresses to more than 50 MiB."""
    reply = fault_reply("gzip-bomb", port=1)
    assert reply.headers == {"Content-Encoding": "gzip"}
    assert len(reply.body or b"") < 100_000
    opener, rest, size = zlib.decompressobj(wbits=31), reply.body or b"", 0
    while rest:
        size += len(opener.decompress(rest, MEBIBYTE))
        rest = opener.unconsumed_tail
    assert opener.eof
    assert size > 50 * MEBIBYTE


def test_the_redirect_leads_to_another_host() -> None:
    """The redirect names the same port on another loopback address."""
    reply = fault_reply("redirect", port=4321)
    assert (reply.status, reply.headers) == (302, {"Location": "http://127.0.0.2:4321/"})


def test_an_unknown_fault_has_no_reply() -> None:
    """A name that is no fault is refused here too."""
    with pytest.raises(ValueError, match="'re-poll' is not a known fault"):
        fault_reply("re-poll", port=1)
