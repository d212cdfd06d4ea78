"""Hostile bodies from the contract to the archive and back: a verdict, a plain key, and rows that agree with it."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from miso_archive.cli.app import main
from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.findings import MOST_FINDINGS
from miso_archive.feeds.columns import OBJECTS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.coverage import coverage
from miso_archive.reading.decode import Decoder
from miso_archive.reading.scan import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_archive.simulate import Reply
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import UnreadableObjectError
from tests.hostile.exchanges import EXCHANGES, Scripted, answer, bomb
from tests.hostile.payloads import LARGE, PAYLOADS, Payload
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.simulate import SimulatedFeed

pytestmark = pytest.mark.slow("reads each hostile body in many ways")

KEY = re.compile(
    r"(?:sourcing|provenance)/miso_binding_constraints_reserve/\d{4}-\d\d-\d\d/"
    r"binding_constraints_reserve_\d{8}_\d{4}(?:\.[0-9a-f]{12})?\.json(?:\.gz)?"
    r"|quarantine/miso_binding_constraints_reserve/\d{4}-\d\d-\d\d/refused_[0-9a-f]{64}\.(?:body\.gz|reasons\.json)"
    r"|environments/began\.json",
    re.ASCII,
)
FETCHED_AT = datetime(2026, 7, 27, 13, 11, tzinfo=UTC)
SMALL = [payload for payload in PAYLOADS if payload not in LARGE]
ACCEPTED = [payload for payload in PAYLOADS if payload.accepted]
DEAREST = ("as many documented rows as fit", "a name of 5 MB", "a name of 5 MB that nearly has a shape")
MOST_MEGABYTES = 400
"""How much the worst of all may cost, beside what the process has anyway."""

each = pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.name[:60])


def files(folder: Path) -> list[str]:
    """Every file of an archive, but those of its Valkey."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.startswith(".valkey/"))


def store(folder: Path, payload: Payload) -> None:
    """Archive a body as a run does."""
    response = Response(payload.make(), FETCHED_AT, "http://127.0.0.1/", "application/json")
    verdict = RESERVE.examine(response.body)
    if verdict.snapshot is None:
        store_refused(Folder(folder), RESERVE, response, verdict.reasons)
    else:
        store_snapshot(Folder(folder), RESERVE, verdict.snapshot, response)


def rows_of(snapshot: Snapshot) -> list[tuple[str, str, str | None]]:
    """What the contract reads of each row, minus zero told from zero."""
    return [(row.constraint_name, repr(row.shadow_price), row.description) for row in snapshot.rows]


def rows_in(frame: pl.DataFrame) -> list[tuple[str, str, str | None]]:
    """The same of a frame."""
    return [
        (name, repr(price), description)
        for name, price, description in frame.select("constraint_name", "shadow_price", "description").iter_rows()
    ]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all small bodies of the hand list, archived or refused."""
    folder = tmp_path_factory.mktemp("hostile")
    for payload in SMALL:
        store(folder, payload)
    return folder


def test_the_hand_list_is_long_enough() -> None:
    """At least 200 bodies and answers are made by hand, each under a name of its own."""
    bodies, answers = {payload.name for payload in PAYLOADS}, {exchange.name for exchange in EXCHANGES}
    assert (len(bodies), len(answers)) == (len(PAYLOADS), len(EXCHANGES))
    assert len(bodies) + len(answers) >= 200


class TestContract:
    @each
    def test_each_body_has_its_verdict(self, payload: Payload) -> None:
        """It is refused for the listed reasons or accepted with the listed warnings, in few plain words."""
        verdict = RESERVE.examine(payload.make())
        assert {reason.code.value for reason in verdict.reasons} == payload.reasons
        assert {warning.code.value for warning in verdict.warnings} == payload.warnings
        assert (verdict.snapshot is not None) == payload.accepted
        assert max(len(verdict.reasons), len(verdict.warnings)) <= MOST_FINDINGS + 1
        for finding in (*verdict.reasons, *verdict.warnings):
            text = finding.where + finding.message
            assert (text.isascii(), text.isprintable(), len(text) < 500) == (True, True, True)

    @pytest.mark.parametrize("payload", ACCEPTED, ids=lambda payload: payload.name[:60])
    def test_the_reader_reads_what_the_contract_accepts(self, payload: Payload) -> None:
        """Each accepted body is decoded to the very rows of the contract: names, prices, descriptions."""
        content = payload.make()
        snapshot = RESERVE.examine(content).snapshot
        assert snapshot is not None
        objects = pl.DataFrame({"object_key": ["k"], "interval_end": [snapshot.interval_end], "revision": [0]})
        decoded = Decoder(RESERVE).decode(objects.cast(OBJECTS), [content])
        assert decoded.skipped == []
        assert decoded.frames["snapshots"]["constraints"].to_list() == [len(snapshot.rows)]
        assert rows_in(decoded.frames["constraints"]) == rows_of(snapshot)


class TestArchive:
    def test_keys_are_plain(self, archive: Path) -> None:
        """No body has a say in where it is kept but by its interval: no key leaves the three folders."""
        assert [name for name in files(archive) if not KEY.fullmatch(name)] == []
        kept = {payload.make() for payload in SMALL}
        data = [path for path in archive.rglob("*.gz") if "provenance" not in path.parts]
        assert {gzip.decompress(path.read_bytes()) for path in data} == kept

    def test_the_reader_takes_all_that_was_accepted(self, archive: Path) -> None:
        """All accepted bodies together are read without a warning, each with the rows of the contract."""
        snapshots = scan_snapshots(archive, latest_only=False).collect()
        constraints = scan_constraints(archive, latest_only=False).collect()
        by_key = {key: frame for (key,), frame in constraints.group_by("object_key", maintain_order=True)}
        empty = constraints.clear()
        accepted = {payload.make() for payload in SMALL if payload.accepted}
        assert len(snapshots) == len(accepted)
        for key in snapshots["object_key"]:
            snapshot = RESERVE.examine(gzip.decompress((archive / key).read_bytes())).snapshot
            assert snapshot is not None
            assert rows_in(by_key.get(key, empty)) == rows_of(snapshot)
        assert (
            coverage(archive).select(pl.sum("collected") + pl.sum("off_grid")).item()
            == snapshots["interval_end"].n_unique()
        )

    def test_the_reader_leaves_out_what_is_refused(self, tmp_path: Path) -> None:
        """Refused bodies under the keys of snapshots are skipped with one plain warning, or raise when strict."""
        refused = [payload for payload in SMALL if not payload.accepted]
        for number, payload in enumerate(refused):
            path = tmp_path / snapshot_key(RESERVE, datetime(2026, 7, 27, tzinfo=EST) + timedelta(minutes=5 * number))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(payload.make()))
        for scan in (scan_constraints, scan_snapshots):
            with pytest.warns(SkippedObjectsWarning, match=f"^{len(refused)} of the objects") as warned:
                assert scan(tmp_path).collect().is_empty()
            text = str(warned[0].message)
            assert (text.isascii(), text.isprintable()) == (True, True)
            with pytest.raises(UnreadableObjectError, match="20260727_0000"):
                scan(tmp_path, strict=True).collect()

    def test_validate_says_the_same(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The command line gives each body the verdict of the list, in plain text, and a code for the whole."""
        named = {str(tmp_path / str(number)): payload for number, payload in enumerate(SMALL)}
        for name, payload in named.items():
            Path(name).write_bytes(payload.make())
        assert main(["validate", "--json", *named]) == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        # A file that is gzipped is validated for what is in it.
        differing = [named[line["file"]].name for line in lines if line["valid"] != named[line["file"]].accepted]
        assert (len(lines), differing) == (len(named), ["gzip"])
        assert main(["validate", *named]) == 1
        text = capsys.readouterr().out
        assert (text.isascii(), text.replace("\n", "").isprintable()) == (True, True)


REPRESENTATIVE = (
    *("Price -0", "Price 1e999", 'Price "NaN"', "Price true", 'RefId "../../27-Jul-2026, 08:10 EST"'),
    *('RefId "27-Jul-2026, 08:10 EST\\r\\nx-amz-acl: public-read"', 'RefId "27-Jul-2026, 24:00 EST"'),
    *('RefId "27-Jul-2026 - Interval 00:00 EST"', 'RefId "31-Dec-2199, 23:55 EST"', 'Name "A\\r\\n2026 ERROR forged"'),
    *('Name "\\u001b[31mred"', 'Name "\u202eevil"', 'Name "\\ud800"', "a field with control characters", "UTF-16"),
    *("Price twice", "byte order mark", "HTML", "error that would write a log line", "nothing"),
    *("10^5 lists deep and out again", "10^5 empty rows", "10^5 new fields", "a name of 5 MB", "a name of 10 MB"),
)


class TestRun:
    @ON_REAL_SERVERS
    @pytest.mark.usefixtures("fast_retries")
    @pytest.mark.parametrize("name", REPRESENTATIVE, ids=lambda name: name[:60])
    def test_a_run_archives_or_quarantines(
        self, tmp_path: Path, feed: SimulatedFeed, redis_url: str, capfd: pytest.CaptureFixture[str], name: str
    ) -> None:
        """One run keeps the body in one place, ends with the code of its verdict, and logs plain lines alone."""
        (payload,) = (payload for payload in PAYLOADS if payload.name == name)
        content = payload.make()
        feed.script(Reply(body=content))
        code = main(["collect", "--local", str(tmp_path), "--api-url", feed.url, "--redis-url", redis_url])
        output = capfd.readouterr()
        result = json.loads(output.out)
        assert code == (0 if payload.accepted else 1)
        assert (result["collected"], result["failed"]) == (int(payload.accepted), int(not payload.accepted))
        assert {error["code"] for error in result["errors"]} == payload.reasons
        found = files(tmp_path)
        assert [key for key in found if not KEY.fullmatch(key)] == []
        (kept,) = (key for key in found if key.endswith(".gz"))
        assert kept.startswith("sourcing/" if payload.accepted else "quarantine/")
        assert gzip.decompress((tmp_path / kept).read_bytes()) == content[: MOST_BYTES + 1]
        assert (output.err.isascii(), output.err.replace("\n", "").isprintable()) == (True, True)
        logged = output.err.splitlines()
        assert logged
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ miso_archive", line) for line in logged)


PEAK = """
import sys
from pathlib import Path
from miso_archive.feeds.reserve import RESERVE
from miso_archive.collecting.fetch import fetch
from miso_archive.reading.scan import scan_constraints

def peak():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024

before = peak()
kind, *names = sys.argv[1:]
for name in names:
    if kind == "examine":
        RESERVE.examine(Path(name).read_bytes())
    elif kind == "fetch":
        fetch(name, 60)
    else:
        scan_constraints(name).collect()
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak so")
@pytest.mark.slow("takes the largest bodies there are")
class TestMemory:
    """A child's own peak, from /proc: its ru_maxrss begins with that of the process that started it."""

    def grown(self, kind: str, *names: str) -> int:
        """How many MB the peak of a new process grows by the work."""
        assert names
        child = subprocess.run([sys.executable, "-c", PEAK, kind, *names], check=True, capture_output=True, text=True)
        assert child.stderr == ""
        return int(child.stdout)

    def test_examining_the_worst_is_bounded(self, tmp_path: Path) -> None:
        """No body, however it is built, costs the contract more than the bound."""
        for number, payload in enumerate(payload for payload in LARGE if "not_json" not in payload.reasons):
            (tmp_path / str(number)).write_bytes(payload.make())
        assert self.grown("examine", *(str(path) for path in tmp_path.iterdir())) < MOST_MEGABYTES

    def test_fetching_the_worst_is_bounded(self) -> None:
        """Neither a gzip bomb nor a body without end is held whole."""
        with Scripted() as server:
            server.answers = [
                answer(b"Content-Encoding: gzip", content=bomb(300)),
                answer(content=bytes(150_000_000)),
            ]
            assert self.grown("fetch", server.url, server.url) < MOST_MEGABYTES // 4

    def test_reading_the_worst_is_bounded(self, tmp_path: Path) -> None:
        """An archive of the dearest accepted bodies, each of an interval of its own, is read a few at a time."""
        for number, payload in enumerate(payload for payload in LARGE if payload.name in DEAREST):
            content = payload.make()
            assert content.count(b"08:10 EST") == 1
            path = tmp_path / snapshot_key(RESERVE, datetime(2026, 7, 27, 8, 10 + 5 * number, tzinfo=EST))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(content.replace(b"08:10 EST", b"08:%d EST" % (10 + 5 * number)), 1))
        assert len(list(tmp_path.rglob("*.gz"))) == len(DEAREST)
        assert self.grown("read", str(tmp_path)) < MOST_MEGABYTES
