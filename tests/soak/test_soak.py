"""A soak in each tier; that its plan meets everything, and that its verdict can be a bad one."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import socket
import subprocess
import sys
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from miso_reserve.interval import EST
from tests.services.proxy import FaultProxy, LoopbackServer
from tests.soak.feed import Ledger
from tests.soak.plan import AT_ONCE, BUCKET, CLOCK_STEPS, FOLDER, POINTS, REFUSED, SERVICE_FAULTS, UNSERVED, plan
from tests.soak.s3 import WholeRequests
from tests.soak.sites import Found
from tests.soak.verdict import judge, told

if TYPE_CHECKING:
    import asyncio

    from tests.soak.plan import Collector, Run

END = datetime(2001, 1, 2, 7, 5, tzinfo=EST)
BODY, REVISED, BAD = b"a body", b"a revision", b"no data"
FIRST = "sourcing/miso_binding_constraints_reserve/2001-01-02/binding_constraints_reserve_20010102_0705"
SECOND = f"{FIRST}.{hashlib.sha256(REVISED).hexdigest()[:12]}"
REFUSED_STEM = f"quarantine/miso_binding_constraints_reserve/2026-11-22/refused_{hashlib.sha256(BAD).hexdigest()}"


STRUCK = {"kill -9 by time", "kill -9 at a step", "clock step", "eight runs at once", "disk-full"}


def test_nothing_is_lost_among_faults() -> None:
    """A hundred runs among faults lose nothing, double nothing, and leave nothing unannounced."""
    assert soaked(runs=100, faults=100, quarantined=5) >= STRUCK


@pytest.mark.services
def test_nothing_is_lost_in_a_thousand_runs() -> None:
    """A thousand runs on Ceph's S3 meet every kind of fault, and nothing is lost, doubled or left unannounced."""
    services = {fault for faults in SERVICE_FAULTS.values() for fault in faults}
    feed = {f"feed {kind}" for kind in REFUSED + UNSERVED}
    assert soaked(runs=1000, faults=1000, quarantined=30, seed=2) >= STRUCK | services | feed


def soaked(*, runs: int, faults: int, quarantined: int, seed: int = 1) -> set[str]:
    """Soak, hold the last line to what it must say, and return the kinds of fault that struck."""
    completed = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--runs", str(runs), "--seed", str(seed)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    *table, line = completed.stdout.splitlines()
    counts = re.fullmatch(r"soak: runs=(\d+) faults=(\d+) lost=0 doubled=0 unannounced=0 quarantined=(\d+)", line)
    assert counts is not None, line
    assert all(
        found >= least for found, least in zip(map(int, counts.groups()), (runs, faults, quarantined), strict=True)
    )
    return {row[:22].strip() for row in table}


@pytest.mark.parametrize("collectors", [BUCKET, FOLDER])
def test_a_seed_is_a_plan(collectors: tuple[Collector, ...]) -> None:
    """The same seed draws the same plan, another seed another one."""
    assert plan(collectors, 100, seed=1) == plan(collectors, 100, seed=1)
    assert plan(collectors, 100, seed=1) != plan(collectors, 100, seed=2)


@pytest.mark.parametrize("collectors", [BUCKET, FOLDER])
def test_a_plan_meets_everything(collectors: tuple[Collector, ...]) -> None:
    """Among five hundred runs there is every fault, every step of the clock, and each collector."""
    steps = [step for interval in plan(collectors, 500, seed=1) for step in interval.steps]
    runs = [run for step in steps for run in step.runs]
    assert len(runs) >= 500
    assert {reply for step in steps for reply in step.replies} == {*REFUSED, *UNSERVED}
    assert {fault.kind for step in steps for fault in step.services} == {*SERVICE_FAULTS[collectors]}
    assert {run.clock.seconds for run in runs if run.clock} == {*CLOCK_STEPS}
    assert {run.collector for run in runs} == {*collectors}
    assert {len(step.runs) for step in steps} == {1, AT_ONCE}
    assert any(run.own_interpreter for run in runs)


def test_a_thousand_runs_are_killed_everywhere() -> None:
    """The plan that `make soak` draws kills a run before and after each of the calls it may be killed at."""
    intervals = [*plan(BUCKET, 500, seed=1), *plan(FOLDER, 500, seed=1)]
    points = [run.killed_at for interval in intervals for step in interval.steps for run in step.runs if run.killed_at]
    everywhere = {(call, moment) for call in POINTS for moment in ("before", "after")}
    assert {(point.call, point.moment) for point in points} == everywhere


@pytest.mark.parametrize("collectors", [BUCKET, FOLDER])
def test_what_is_served_is_served_to_a_healthy_run(collectors: tuple[Collector, ...]) -> None:
    """But for an outage, an interval and each of its revisions stays up until a healthy run has seen it."""
    intervals = plan(collectors, 500, seed=1)
    for interval in intervals:
        steps = interval.steps
        if interval.outage:
            assert not {reply for step in steps for reply in step.replies} & {*REFUSED}
            continue
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if following is None or following.revision != step.revision:
                assert step.closing
                assert not step.replies
    closing = [step for interval in intervals for step in interval.steps if step.closing]
    assert all(is_healthy(run) for step in closing for run in step.runs)
    assert {fault.kind for step in closing for fault in step.services} == {"kafka-down"}


def is_healthy(run: Run) -> bool:
    """Whether nothing befalls a run's own process."""
    return run.killed_at is None and run.killed_after is None and run.clock is None


class TestVerdict:
    @pytest.fixture
    def ledger(self) -> Ledger:
        """Two bodies of one interval, and a refused one."""
        good = {hashlib.sha256(body).hexdigest(): (END, body) for body in (BODY, REVISED)}
        return Ledger(good, {hashlib.sha256(BAD).hexdigest(): BAD}, Counter())

    @pytest.fixture
    def objects(self) -> dict[str, bytes]:
        """An archive of them, as it should be."""
        return {
            f"{FIRST}.json.gz": gzip.compress(BODY),
            f"{SECOND}.json.gz": gzip.compress(REVISED),
            f"{REFUSED_STEM}.body.gz": gzip.compress(BAD),
            f"{REFUSED_STEM}.reasons.json": b"{}",
        }

    @pytest.fixture
    def messages(self) -> list[bytes]:
        """What announces them."""
        return [message(BODY, FIRST), message(REVISED, SECOND)]

    def test_all_is_well(self, ledger: Ledger, objects: dict[str, bytes], messages: list[bytes]) -> None:
        """An archive that holds what was served, announced at least once, is not found fault with."""
        verdict = judge(ledger, Found(objects), [*messages, messages[0]])
        assert (verdict.lost, verdict.doubled, verdict.unannounced, verdict.quarantined) == (0, 0, 0, 1)
        assert verdict.announced_again == 1
        assert verdict.problems == []

    def test_what_is_not_archived_is_lost(
        self, ledger: Ledger, objects: dict[str, bytes], messages: list[bytes]
    ) -> None:
        """A body that was served and does not stand, or not byte for byte, is lost."""
        objects[f"{SECOND}.json.gz"] = gzip.compress(REVISED + b" ")
        verdict = judge(ledger, Found(objects), messages)
        assert verdict.lost == 1
        assert f"{SECOND}.json.gz was never served" in verdict.problems

    def test_two_objects_of_one_body_are_doubled(
        self, ledger: Ledger, objects: dict[str, bytes], messages: list[bytes]
    ) -> None:
        """A second object with the same content is doubled, whatever its key."""
        objects[f"{FIRST}.{hashlib.sha256(BODY).hexdigest()[:12]}.json.gz"] = gzip.compress(BODY)
        assert judge(ledger, Found(objects), messages).doubled == 1

    def test_what_no_message_names_is_unannounced(self, ledger: Ledger, objects: dict[str, bytes]) -> None:
        """A body without a message of its key is unannounced; a message of another key is told."""
        verdict = judge(ledger, Found(objects), [message(BODY, FIRST), message(REVISED, FIRST)])
        assert verdict.unannounced == 1
        assert verdict.problems == [f"announced and not archived: {FIRST}.json.gz"]

    @pytest.mark.parametrize("ending", [".body.gz", ".reasons.json"])
    def test_what_is_refused_is_kept_with_its_reasons(
        self, ledger: Ledger, objects: dict[str, bytes], messages: list[bytes], ending: str
    ) -> None:
        """A refused body that is not kept, or kept without reasons, is told."""
        del objects[REFUSED_STEM + ending]
        assert len(judge(ledger, Found(objects), messages).problems) == 1

    @pytest.mark.parametrize(
        "left",
        [
            "unannounced/miso_binding_constraints_reserve/dev/0123.json",
            f"{FIRST.rpartition('/')[0]}/.abc.partial",
            ".valkey/temp-rewriteaof-12.aof",
            f"{REFUSED_STEM.replace('refused_', 'refused_0')}.body.gz",
        ],
    )
    def test_what_is_left_over_is_told(
        self, ledger: Ledger, objects: dict[str, bytes], messages: list[bytes], left: str
    ) -> None:
        """A mark, a temporary file, or anything in quarantine that was never refused, is told."""
        objects[left] = b""
        assert any(left in problem for problem in judge(ledger, Found(objects), messages).problems)

    def test_a_secret_is_found_zipped_too(self) -> None:
        """A password is found in a log, and inside a gzip object."""
        places = {"log": b"redis://:hunter2@host", "object": gzip.compress(b"user:hunter2"), "other": b"nothing"}
        assert told("hunter2", places) == ["log", "object"]


class Recorder(LoopbackServer):
    """An upstream that keeps what it is sent, and says 200."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.received.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")


def exchange(port: int, request: bytes) -> bytes:
    """Send a request, or the beginning of one, then hang up; return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


def test_half_a_request_is_none() -> None:
    """A put whose client dies in the middle does not reach the server; a whole one does, body and all."""
    head = b"PUT /key HTTP/1.1\r\nContent-Length: 5\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n"
    with Recorder() as upstream, WholeRequests(upstream.port) as front:
        assert exchange(front.port, head + b"wh") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert upstream.received == []
        assert exchange(front.port, head + b"whole").endswith(b"HTTP/1.1 200 OK\r\n\r\n")
        assert upstream.received == [b"PUT /key HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole"]


def test_a_proxy_answers_in_place_of_the_server() -> None:
    """In mode "answer" a request gets the proxy's own answer, and the server never sees it."""
    with Recorder() as upstream, FaultProxy("127.0.0.1", upstream.port) as proxy:
        proxy.mode, proxy.answer = "answer", b"HTTP/1.1 500 No\r\n\r\n"
        assert exchange(proxy.port, b"GET / HTTP/1.1\r\n\r\n") == proxy.answer
        assert not any(upstream.received)


def message(body: bytes, stem: str) -> bytes:
    """An announcement, as far as the verdict reads it."""
    return json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "key": f"{stem}.json.gz"}).encode()
