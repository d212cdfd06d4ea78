"""Replay: what is refused by mistake is not lost, and what is in the quarantine stays there."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.reserve import RESERVE
from miso_archive.healing.replay import ReplayResult, replay
from miso_archive.intervals.labels import EST
from miso_archive.intervals.market_days import WrongDaysError
from miso_archive.store.address import store_at
from miso_archive.store.folder import Folder
from miso_archive.store.layout import quarantine_key, snapshot_key
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import ArchiveError
from miso_archive.version import __version__
from tests.bodies import live_body
from tests.files import files
from tests.s3_archives import block

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Bucket, Services

END = datetime(2026, 7, 27, 8, 10, tzinfo=EST)
FETCHED_AT = datetime(2026, 7, 27, 13, 11, 7, tzinfo=UTC)
KEY = snapshot_key(RESERVE, END)
A_RULE = (Finding(RefusalCode.BAD_PRICE, "Constraint[0].Price", "a rule that was wrong"),)
NO_DATA = b'{"error":"no data"}'


def body(price: str = "-1", end: datetime = END) -> bytes:
    """A body that passes by today's rules."""
    return live_body(end, price)


def response(content: bytes, fetched_at: datetime = FETCHED_AT) -> Response:
    """What the feed answered."""
    return Response(content, fetched_at, "http://127.0.0.1/feed", "application/json")


def refuse(folder: Path, *answers: Response) -> list[str]:
    """Put answers into the quarantine; give their bodies' keys."""
    return [store_refused(Folder(folder), RESERVE, answer, A_RULE) for answer in answers]


def replayed(folder: Path, *, dry_run: bool = False, **days: Any) -> ReplayResult:  # noqa: ANN401 - days of any kind
    """Replay a folder; every body is counted once."""
    result = replay(Folder(folder), RESERVE, dry_run=dry_run, **days)
    counted = result.archived + result.already + result.still_refused + result.unreadable
    assert result.quarantined == counted
    assert (len(result.objects), len(result.errors)) == (result.archived, result.unreadable)
    return result


def rewritten_report(folder: Path, key: str, **changes: object) -> None:
    """Change what is kept beside a quarantined body."""
    path = folder / key.replace(".body.gz", ".reasons.json")
    path.write_bytes(json.dumps(json.loads(path.read_bytes()) | changes).encode())


class TestArchived:
    def test_a_body_that_passes_now_is_archived_byte_for_byte(self, tmp_path: Path) -> None:
        """It stands under its interval's key as it was sent, and the quarantine is as it was before."""
        refuse(tmp_path, response(body()), response(NO_DATA))
        before = files(tmp_path)
        result = replayed(tmp_path)
        assert (result.quarantined, result.archived, result.still_refused) == (2, 1, 1)
        assert result.objects == [KEY]
        assert gzip.decompress((tmp_path / KEY).read_bytes()) == body()
        assert before.items() <= files(tmp_path).items()

    def test_its_provenance_is_that_of_its_first_fetch(self, tmp_path: Path) -> None:
        """Time and address are those of the first day it was refused on; the version is that of the replay."""
        later = FETCHED_AT + timedelta(days=1)
        (_, key) = refuse(tmp_path, response(body(), later), response(body()))
        rewritten_report(tmp_path, key, **{"collector-version": "0.0.1", "environment": "staging"})
        result = replayed(tmp_path)
        assert (result.archived, result.already) == (1, 1)
        provenance = json.loads((tmp_path / KEY.replace("sourcing", "provenance").replace(".gz", "")).read_bytes())
        assert provenance == {
            "sha256": hashlib.sha256(body()).hexdigest(),
            "fetched-at": "2026-07-27T13:11:07Z",
            "source-url": "http://127.0.0.1/feed",
            "collector-version": __version__,
            "environment": "staging",
            "ref-id": "27-Jul-2026 - Interval 08:10 EST",
        }

    def test_a_repetition_changes_nothing(self, tmp_path: Path) -> None:
        """What was archived once counts as such, and no file is written."""
        refuse(tmp_path, response(body()))
        replayed(tmp_path)
        before = files(tmp_path)
        result = replayed(tmp_path)
        assert (result.archived, result.already, result.objects) == (0, 1, [])
        assert files(tmp_path) == before

    def test_what_stands_is_not_replaced(self, tmp_path: Path) -> None:
        """Another body of a taken interval becomes a revision beside it."""
        standing = response(body("-2"), FETCHED_AT - timedelta(minutes=1))
        snapshot = RESERVE.examine(standing.body).snapshot
        assert snapshot is not None
        store_snapshot(Folder(tmp_path), RESERVE, snapshot, standing)
        refuse(tmp_path, response(body()))
        assert replayed(tmp_path).objects == [snapshot_key(RESERVE, END, hashlib.sha256(body()).hexdigest())]
        assert gzip.decompress((tmp_path / KEY).read_bytes()) == body("-2")

    def test_bodies_of_an_interval_come_in_the_order_of_their_fetch(self, tmp_path: Path) -> None:
        """The first that was fetched has the interval's key, whatever the order of the names in the quarantine."""
        prices = [str(-number) for number in range(1, 9)]
        answers = [response(body(price), FETCHED_AT + timedelta(seconds=9 * n)) for n, price in enumerate(prices)]
        assert sorted(answers, key=lambda answer: answer.sha256) != answers
        refuse(tmp_path, *answers)
        first, *others = [answer.sha256 for answer in answers]
        assert replayed(tmp_path).objects == [KEY, *(snapshot_key(RESERVE, END, sha256) for sha256 in others)]
        assert hashlib.sha256(gzip.decompress((tmp_path / KEY).read_bytes())).hexdigest() == first

    def test_an_archive_in_s3_is_replayed_alike(self, services: Services, bucket: Bucket) -> None:
        """In S3 the object has its provenance as metadata, the quarantine stays, and a repetition puts nothing."""
        archive = store_at(block(services.s3, bucket.name))
        store_refused(archive, RESERVE, response(body()), A_RULE)
        store_refused(archive, RESERVE, response(NO_DATA), A_RULE)
        before = bucket.keys()
        assert replay(archive, RESERVE, dry_run=True).objects == [KEY]
        assert bucket.keys() == before
        result = replay(store_at(f"s3://{bucket.name}"), RESERVE)
        assert (result.archived, result.still_refused, result.unreadable) == (1, 1, 0)
        assert bucket.keys() == sorted([*before, KEY])
        assert bucket.metadata(KEY)["fetched-at"] == "2026-07-27T13:11:07Z"
        assert gzip.decompress(bucket.body(KEY)) == body()
        assert (
            replay(store_at(f"s3://{bucket.name}"), RESERVE).already,
            replay(archive, RESERVE, dry_run=True).already,
        ) == (1, 1)


class TestNotArchived:
    def test_what_is_refused_still_is_counted_by_code(self, tmp_path: Path) -> None:
        """A code counts once a body, however often it is found in it."""
        two_wrong = json.loads(body("x"))
        two_wrong["Constraint"] *= 2
        refuse(tmp_path, response(NO_DATA), response(body("x")), response(json.dumps(two_wrong).encode()))
        result = replayed(tmp_path)
        assert (result.still_refused, result.reasons) == (3, {"error_payload": 1, "bad_price": 2})

    def test_a_body_cut_for_its_size_is_never_archived(self, tmp_path: Path) -> None:
        """What is left of a body is not what MISO sent, even if it passes by itself."""
        (key,) = refuse(tmp_path, response(body()))
        rewritten_report(tmp_path, key, cut=True)
        result = replayed(tmp_path)
        assert (result.still_refused, result.reasons, result.objects) == (1, {"body_too_large": 1}, [])
        assert not (tmp_path / "sourcing").exists()

    def test_the_largest_body_that_is_kept_can_be_judged(self, tmp_path: Path) -> None:
        """A body of one byte too many, as it is cut, is refused and not unreadable."""
        refuse(tmp_path, response(b" " * (MOST_BYTES + 1)))
        assert replayed(tmp_path).reasons == {"body_too_large": 1}

    def test_a_dry_run_tells_the_same_and_writes_nothing(self, tmp_path: Path) -> None:
        """Keys and counts are those of the replay: new, revised, twice refused and damaged objects alike."""
        standing, damaged = END + timedelta(minutes=5), END + timedelta(minutes=10)
        answers = [response(body("-1")), response(body("-2")), response(body("-3", standing))]
        again = [response(answer.body, answer.fetched_at + timedelta(days=1)) for answer in answers]
        refuse(tmp_path, *answers, *again, response(body("-4", damaged)))
        for end, content in ((standing, gzip.compress(body("-9", standing))), (damaged, b"no gzip")):
            path = tmp_path / snapshot_key(RESERVE, end)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        before = files(tmp_path)
        rehearsed = replayed(tmp_path, dry_run=True)
        assert files(tmp_path) == before
        assert (rehearsed.archived, rehearsed.already) == (4, 3)
        assert replayed(tmp_path) == rehearsed
        assert replayed(tmp_path, dry_run=True).already == 7

    def test_days_are_those_of_the_fetch_in_est(self, tmp_path: Path) -> None:
        """04:59 UTC belongs to the day before; the end is exclusive."""
        refuse(
            tmp_path,
            response(body("-1"), datetime(2026, 7, 28, 4, 59, tzinfo=UTC)),
            response(body("-2"), datetime(2026, 7, 28, 5, 0, tzinfo=UTC)),
        )
        assert replayed(tmp_path, dry_run=True, start="2026-07-27", end=date(2026, 7, 28)).quarantined == 1
        assert replayed(tmp_path, dry_run=True, start="2026-07-28").quarantined == 1
        assert replayed(tmp_path, dry_run=True, end="2026-07-27").quarantined == 0
        assert replayed(tmp_path, dry_run=True).quarantined == 2
        with pytest.raises(WrongDaysError, match="before they start"):
            replayed(tmp_path, start="2026-07-28", end="2026-07-27")

    def test_an_archive_without_quarantine_has_nothing_to_replay(self, tmp_path: Path) -> None:
        """No folder, foreign files and foreign folders are no refused bodies."""
        assert replayed(tmp_path) == ReplayResult()
        folder = (tmp_path / quarantine_key(RESERVE, response(b""))).parent
        folder.mkdir(parents=True)
        (folder / "notes.txt").touch()
        (folder / ".refused.partial").touch()
        (folder.parent / "not a day").mkdir()
        assert replayed(tmp_path) == ReplayResult()


class TestDamage:
    @pytest.mark.parametrize(
        ("ending", "content", "why"),
        [
            (".body.gz", b"no gzip", "it cannot be unzipped"),
            (".body.gz", gzip.compress(body())[:-1], "it cannot be unzipped: "),
            (".body.gz", gzip.compress(body("-2")), "it is not the body of its name"),
            (".body.gz", gzip.compress(b" " * (MOST_BYTES + 2)), "it is larger than any body that is kept"),
            (".body.gz", None, "it cannot be read: No such file or directory"),
            (".reasons.json", None, "its reasons cannot be read: No such file or directory"),
            (".reasons.json", b"", "its reasons are damaged"),
            (".reasons.json", b"[" * 100_000, "its reasons are damaged"),
            (".reasons.json", b'{"fetched-at":"\xff"}', "its reasons are damaged"),
        ],
    )
    def test_a_damaged_one_is_named_and_the_others_are_replayed(
        self, tmp_path: Path, ending: str, content: bytes | None, why: str
    ) -> None:
        """A lost, cut or changed file is counted with its key and what is wrong, and hinders no other."""
        other = END + timedelta(minutes=5)
        key, _ = refuse(tmp_path, response(body()), response(body(end=other)))
        path = tmp_path / key.replace(".body.gz", ending)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        result = replayed(tmp_path)
        assert result.objects == [snapshot_key(RESERVE, other)]
        ((named, message),) = [(error.key, error.message) for error in result.errors]
        assert (named, message.startswith(why)) == (key, True), message

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"fetched-at": "2026-07-27T04:59:00Z"}, "its reasons name another day than its folder"),
            ({"fetched-at": "0001-01-01T00:00:00Z"}, "its reasons name another day than its folder"),
            ({"fetched-at": "9999-12-31T23:59:59-23:59"}, "its reasons name another day than its folder"),
            ({"fetched-at": "2026-07-27T13:11:07"}, "its reasons are damaged"),
            ({"fetched-at": None}, "its reasons are damaged"),
            ({"source-url": "http://feed/\r\nx-amz-acl: public-read"}, "its reasons are damaged"),
            ({"source-url": "http://feed/\n"}, "its reasons are damaged"),
            ({"source-url": "http://f\u00e9ed/"}, "its reasons are damaged"),
            ({"source-url": 1}, "its reasons are damaged"),
            ({"cut": None}, "its reasons are damaged"),
        ],
    )
    def test_reasons_that_cannot_be_true_are_not_believed(
        self, tmp_path: Path, changes: dict[str, object], why: str
    ) -> None:
        """A time without zone or of another day, and an address that is no metadata, keep a body from the archive."""
        (key,) = refuse(tmp_path, response(body()))
        rewritten_report(tmp_path, key, **changes)
        result = replayed(tmp_path)
        assert (result.unreadable, result.errors[0].key) == (1, key)
        assert result.errors[0].message.startswith(why)
        assert not (tmp_path / "sourcing").exists()

    def test_an_archive_that_fails_is_an_error(self, tmp_path: Path) -> None:
        """What cannot be written is told with the archive's own message, not counted."""
        refuse(tmp_path, response(body()))
        (tmp_path / "sourcing").touch()
        with pytest.raises(ArchiveError, match="does not take or give"):
            replayed(tmp_path)
