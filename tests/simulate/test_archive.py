from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from miso_archive.cli import app as cli_app
from miso_archive.feeds.reserve import RESERVE
from miso_archive.simulate import documented_body, snapshot_body
from miso_archive.simulate.archive import ArchiveSummary, write_archive
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from tests.files import files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow("writes two months")

EST = timezone(timedelta(hours=-5))
STEP = timedelta(minutes=5)
DAYS = 60
SEED = 11
NAME = re.compile(r"binding_constraints_reserve_(\d{8}_\d{4})(?:\.([0-9a-f]{12}))?\.json\.gz")


class Body(NamedTuple):
    """One archived body, read back by its file's name: label (EST), revision digits, content, fetch time (UTC)."""

    folder: str
    label: datetime
    digits: str | None
    body: bytes
    fetched_at: datetime

    @property
    def lag(self) -> timedelta:
        return self.fetched_at - self.label

    @property
    def payload(self) -> Any:  # noqa: ANN401 - whatever the body holds
        return json.loads(self.body)


def bodies(folder: Path) -> list[Body]:
    """Read every archived body, in the order they were fetched."""
    found = []
    for path in (folder / "sourcing" / "miso_binding_constraints_reserve").glob("*/*"):
        match = NAME.fullmatch(path.name)
        assert match is not None, path.name
        label = datetime.strptime(match[1], "%Y%m%d_%H%M").replace(tzinfo=EST)
        sidecar = folder / "provenance" / path.parent.relative_to(folder / "sourcing")
        provenance = json.loads((sidecar / path.name.replace(".json.gz", ".json")).read_text())
        fetched_at = datetime.fromisoformat(provenance["fetched-at"])
        found.append(Body(path.parent.name, label, match[2], gzip.decompress(path.read_bytes()), fetched_at))
    return sorted(found, key=lambda body: body.fetched_at)


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ArchiveSummary]:
    """Write two months once for the tests that only read."""
    folder = tmp_path_factory.mktemp("season") / "archive"
    return folder, write_archive(folder, days=DAYS, seed=SEED)


@pytest.fixture(scope="module")
def archived(season: tuple[Path, ArchiveSummary]) -> list[Body]:
    """Read the two months."""
    return bodies(season[0])


def first_bodies(archived: list[Body]) -> list[Body]:
    """Leave the revisions out."""
    return sorted((body for body in archived if body.digits is None), key=lambda body: body.label)


def is_documented(body: Body) -> bool:
    """Tell the documented spelling of RefId from the live one."""
    return "," in body.payload["RefId"]


def missing_runs(archived: list[Body]) -> list[int]:
    """Give the lengths of the runs of intervals without a body, over the whole two months."""
    present = {body.label for body in archived}
    ends = [datetime(2001, 1, 1, tzinfo=EST) + number * STEP for number in range(1, DAYS * 288 + 1)]
    return [len(list(run)) for is_present, run in groupby(ends, lambda end: end in present) if not is_present]


@pytest.mark.slow("writes two months anew")
def test_the_folder_equals_one_that_the_archive_itself_writes(
    season: tuple[Path, ArchiveSummary], archived: list[Body], tmp_path: Path
) -> None:
    """Stored anew by the real archive in a folder, a day with a revision and every refused body give the same files."""
    folder, _ = season
    revised = {body.folder for body in archived if body.digits}
    day = min(revised)
    archive = Folder(tmp_path)
    for body in (body for body in archived if body.folder == day):
        verdict = RESERVE.examine(body.body)
        assert verdict.snapshot is not None
        response = Response(body.body, body.fetched_at, "simulated", "")
        store_snapshot(archive, RESERVE, verdict.snapshot, response)
    refused = files(folder / "quarantine")
    for name, content in refused.items():
        if name.endswith(".body.gz"):
            report = json.loads(refused[name.replace(".body.gz", ".reasons.json")])
            content_type, fetched_at = report["content-type"], datetime.fromisoformat(report["fetched-at"])
            response = Response(gzip.decompress(content), fetched_at, "simulated", content_type)
            store_refused(archive, RESERVE, response, RESERVE.examine(response.body).reasons)
    written = {
        name: content for name, content in files(folder).items() if name.startswith("quarantine/") or f"/{day}/" in name
    }
    assert len(refused) > 2
    assert files(tmp_path) == written


def test_every_file_stands_under_the_archives_own_key(archived: list[Body]) -> None:
    """Each body's folder and name are those that `snapshot_key` gives for its own RefId and SHA-256."""
    for body in archived:
        end = RESERVE.examine(body.body).interval_end
        assert end is not None
        sha256 = hashlib.sha256(body.body).hexdigest()
        key = snapshot_key(RESERVE, end, revision_of=sha256 if body.digits else None)
        suffix = f".{body.digits}" if body.digits else ""
        assert key.split("/", 2)[2] == (
            f"{body.folder}/binding_constraints_reserve_{body.label:%Y%m%d_%H%M}{suffix}.json.gz"
        )


def test_every_object_has_its_provenance(season: tuple[Path, ArchiveSummary]) -> None:
    """Each body has a sidecar with its SHA-256 and RefId, which says `simulated`; nothing is left over."""
    folder, summary = season
    objects, sidecars = files(folder / "sourcing"), files(folder / "provenance")
    assert len(objects) == len(sidecars) == summary.snapshots + summary.revisions
    for name, content in objects.items():
        body, provenance = gzip.decompress(content), json.loads(sidecars[name.replace(".json.gz", ".json")])
        assert list(provenance) == ["sha256", "fetched-at", "source-url", "collector-version", "ref-id"]
        assert provenance["sha256"] == hashlib.sha256(body).hexdigest()
        assert provenance["ref-id"] == json.loads(body)["RefId"]
        assert provenance["source-url"] == "simulated"


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    """Written twice, an archive is the same file for file; another seed gives another one."""
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        write_archive(tmp_path / name, days=4, seed=seed)
    one = files(tmp_path / "one")
    assert one == files(tmp_path / "two")
    assert one != files(tmp_path / "other")


def test_a_longer_archive_begins_with_the_shorter(tmp_path: Path, season: tuple[Path, ArchiveSummary]) -> None:
    """Three days of a seed are the first three of sixty."""
    write_archive(tmp_path, days=3, seed=SEED)
    short = files(tmp_path)
    assert short.items() <= files(season[0]).items()
    assert len(short) > 3 * 280 * 2


@pytest.mark.parametrize("start", [date(2001, 4, 1), date(2001, 10, 28)])
def test_a_market_day_has_288_intervals_also_where_clocks_change(tmp_path: Path, start: date) -> None:
    """A day ends with the 00:00 label in the next day's folder, on the days of daylight saving time as on others."""
    summary = write_archive(tmp_path, days=1, seed=SEED, start=start)
    assert summary.intervals == summary.snapshots + summary.gaps + summary.refused == 288
    labels = Counter(body.folder for body in bodies(tmp_path) if body.digits is None)
    tomorrow = f"{start + timedelta(days=1)}"
    assert labels == {f"{start}": summary.snapshots - 1, tomorrow: 1}
    assert [body.label.strftime("%H:%M") for body in bodies(tmp_path) if body.folder == tomorrow] == ["00:00"]


def test_bodies_are_those_of_the_simulated_market(archived: list[Body]) -> None:
    """Each first body is the market's, live or documented, and revisions are its revisions 1 and 2, in that shape."""
    for label, group in groupby(sorted(archived, key=lambda body: (body.label, body.fetched_at)), lambda body: body[1]):
        found = list(group)
        body_of = documented_body if is_documented(found[0]) else snapshot_body
        assert [body.body for body in found] == [
            body_of(label, seed=SEED, revision=revision) for revision in range(len(found))
        ]


def test_the_summary_counts_what_is_there(season: tuple[Path, ArchiveSummary], archived: list[Body]) -> None:
    """Every figure of the summary is what can be counted in the folder."""
    folder, summary = season
    firsts = first_bodies(archived)
    prices = [[row["Price"] for row in body.payload["Constraint"]] for body in firsts]
    reports = [json.loads(text) for name, text in files(folder / "quarantine").items() if name.endswith("reasons.json")]
    assert summary == ArchiveSummary(
        intervals=DAYS * 288,
        snapshots=len(firsts),
        quiet=sum(price in ([], ["None"]) for price in prices),
        documented=sum(map(is_documented, firsts)),
        revisions=len(archived) - len(firsts),
        gaps=DAYS * 288 - len(firsts) - summary.refused,
        refused=len(reports),  # no two alike on one day with this seed
    )


def test_shares_are_about_what_is_promised(season: tuple[Path, ArchiveSummary]) -> None:
    """About 1 % of the intervals are missing, 0.5 % revised, 1 % documented, and one in 2,000 is refused."""
    _, summary = season
    assert 0.004 < summary.gaps / summary.intervals < 0.02
    assert 0.0035 < summary.revisions / summary.intervals < 0.0075
    assert 0.004 < summary.documented / summary.intervals < 0.02
    assert 3 <= summary.refused <= 18


def test_gaps_are_outages_and_single_intervals(season: tuple[Path, ArchiveSummary], archived: list[Body]) -> None:
    """Most missing intervals lie in outages of up to six hours (a neighbour may join), and some stand alone."""
    lengths = missing_runs(archived)
    assert sum(length for length in lengths if length > 1) > sum(lengths) / 2
    assert 12 < max(lengths) <= 75
    assert lengths.count(1) > season[1].refused + 3  # those refused are missing too


def test_the_documented_shape_comes_in_runs(archived: list[Body]) -> None:
    """Documented bodies stand in runs of half an hour to three hours, but for what is missing in them."""
    documented = [body.label for body in first_bodies(archived) if is_documented(body)]
    starts = [documented[0]]
    starts += [now for before, now in pairwise(documented) if now - before > 36 * STEP]
    assert 1 < len(starts) <= len(documented) / 6


@pytest.mark.parametrize("share", [0, 1])
def test_the_documented_share_may_be_none_or_all(tmp_path: Path, archived: list[Body], share: int) -> None:
    """At share 0 no body is documented, at 1 all are; all else is as at any share."""
    write_archive(tmp_path, days=2, seed=SEED, documented_share=share)
    found = bodies(tmp_path)
    assert {is_documented(body) for body in found} == {share == 1}
    assert [(body.label, body.fetched_at) for body in found] == [
        (body.label, body.fetched_at) for body in archived[: len(found)]
    ]


def test_revisions_follow_their_interval(archived: list[Body]) -> None:
    """A revision is named by its own SHA-256 and fetched 1 to 2 min after the body before; a few have a third."""
    numbers = Counter(body.label for body in archived)
    assert set(numbers.values()) == {1, 2, 3}
    for before, body in pairwise(archived):
        if body.digits is not None:
            assert body.digits == hashlib.sha256(body.body).hexdigest()[:12]
            assert before.label == body.label
            assert timedelta(minutes=1) <= body.fetched_at - before.fetched_at <= timedelta(minutes=2)


def test_a_body_is_fetched_after_its_interval_and_before_the_next(archived: list[Body]) -> None:
    """First bodies come 30 s to 6 min after the end, mostly within 2; labels never go back, a minute lies between."""
    lags = sorted(body.lag.total_seconds() for body in first_bodies(archived))
    assert 30 <= lags[0] < 40
    assert lags[len(lags) // 2] < 120
    assert 240 < lags[-1] <= 360
    pairs = list(pairwise(archived))
    assert all(before.label <= now.label for before, now in pairs)
    assert min(now.fetched_at - before.fetched_at for before, now in pairs) == timedelta(minutes=1)


def test_an_interval_with_a_refused_body_has_no_snapshot(
    season: tuple[Path, ArchiveSummary], archived: list[Body]
) -> None:
    """Refused bodies are of several kinds, carry their reasons, and no body was fetched within 60 s of them."""
    folder, _ = season
    quarantine = files(folder / "quarantine")
    reports = [json.loads(text) for name, text in quarantine.items() if name.endswith("reasons.json")]
    codes = {reason["code"] for report in reports for reason in report["reasons"]}
    assert codes <= {"error_payload", "html_page", "not_json"}
    assert len(codes) > 1
    fetched = [body.fetched_at for body in archived]
    for report in reports:
        at = datetime.fromisoformat(report["fetched-at"])
        assert min(abs(at - time) for time in fetched) >= timedelta(seconds=60)
        assert report["source-url"] == "simulated"
    assert all(datetime.fromisoformat(report["fetched-at"]).tzinfo == UTC for report in reports)


@pytest.mark.parametrize("taken", ["sourcing", "provenance", "quarantine"])
def test_an_archive_is_never_mixed_with_simulated_data(tmp_path: Path, taken: str) -> None:
    """A folder that holds any part of an archive is refused and left as it was."""
    (tmp_path / taken).mkdir()
    with pytest.raises(ValueError, match=f"holds an archive already .{taken}/.: simulated data"):
        write_archive(tmp_path, days=1, seed=0)
    assert [path.name for path in tmp_path.rglob("*")] == [taken]


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        ({"days": 0}, "days is within 1"),
        ({"days": 10**9}, "days is within 1"),
        ({"documented_share": 1.1}, "documented_share"),
        ({"documented_share": float("nan")}, "documented_share"),
        ({"start": date(1999, 12, 31)}, "start is within 2000"),
    ],
)
def test_a_mistaken_argument_is_refused(tmp_path: Path, mistake: dict[str, Any], problem: str) -> None:
    """Nothing is written when an argument is outside its range."""
    with pytest.raises(ValueError, match=problem):
        write_archive(tmp_path / "archive", **{"days": 1, "seed": 0, **mistake})
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_day_by_day(tmp_path: Path) -> None:
    """After each market day the callback gets the days written and all days."""
    told: list[tuple[int, int]] = []
    write_archive(tmp_path, days=3, seed=0, progress=lambda *days: told.append(days))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_command_writes_an_archive_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`simulate --archive` writes the days asked for and prints one line with the counts, which says simulated."""
    arguments = ["--days", "5", "--start", "2002-03-04", "--seed", "6"]
    assert cli_app.main(["simulate", "--archive", str(tmp_path / "one"), *arguments]) == 0
    summary = write_archive(tmp_path / "two", days=5, seed=6, start=date(2002, 3, 4))
    assert summary.quiet > 1000
    assert files(tmp_path / "one") == files(tmp_path / "two")
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out == (
        f"{summary.snapshots:,} snapshots ({summary.quiet:,} quiet), {summary.revisions} revisions, "
        f"{summary.gaps} gaps, {summary.refused} refused in {tmp_path / 'one'}: simulated data, not MISO's\n"
    )


def test_the_command_writes_thirty_days_of_2001_unless_told(tmp_path: Path) -> None:
    """Without --days and --start the folders are those of January 2001, and the last label's."""
    assert cli_app.main(["simulate", "--archive", str(tmp_path)]) == 0
    days = sorted(path.name for path in (tmp_path / "sourcing" / "miso_binding_constraints_reserve").iterdir())
    assert days == [f"2001-01-{day:02}" for day in range(1, 32)]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--archive", "{}", "--port", "8000"], "--port does not go with --archive"),
        (["--archive", "{}", "--speed", "1"], "--speed does not go with --archive"),
        (["--archive", "{}", "--faults", ""], "--faults does not go with --archive"),
        (["--days", "1"], "--days needs --archive"),
        (["--start", "2001-01-01"], "--start needs --archive"),
        (["--feed", "all"], "--feed needs --archive"),
        (["--archive", "{}", "--feed", "wind"], "no feed"),
        (["--archive", "{}", "--start", "2001-02-30"], "--start"),
        (["--archive", "{}", "--days", "0"], "days is within 1"),
        (["--archive", "/dev/null"], "--archive: /dev/null cannot be used: Not a directory"),
        (["--port", "65536"], "--port"),
    ],
)
def test_wrong_usage_of_the_command_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    """Serving and writing do not mix: exit code 2, the problem on stderr, no file."""
    folder = tmp_path / "archive"
    assert cli_app.main(["simulate", *(argument.format(folder) for argument in arguments)]) == 2
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
