import gzip
import json
import re
import threading
import tracemalloc
import warnings
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from miso_archive.contract.body import MOST_BYTES
from miso_archive.feeds.columns import CONSTRAINTS, SNAPSHOTS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST, EST_NAME, INTERVAL
from miso_archive.reading import one_pass
from miso_archive.reading.decode import Decoded, Decoder
from miso_archive.reading.scan import SkippedObjectsWarning, scan_constraints, scan_snapshots
from miso_archive.simulate.market import documented_body, is_quiet, snapshot_body
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import ArchiveError, UnreadableObjectError

SEED = 5
ROOT = f"sourcing/{RESERVE.dataset}"
JULY_1, JULY_2, JULY_3 = (date(2026, 7, number) for number in (1, 2, 3))
Engine = Literal["in-memory", "streaming"]
ENGINES = pytest.mark.parametrize("engine", ["in-memory", "streaming"])


def ends_of(day: date, every: int = 1) -> list[datetime]:
    """Return every so manieth interval end of a market day, 00:05 to 24:00 EST."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=EST)
    return [midnight + number * INTERVAL for number in range(every, 289, every)]


def collected(folder: Path, end: datetime, body: bytes, minutes: int = 1) -> str:
    """Put a body as the collector does, fetched so many minutes after the label; return its key."""
    snapshot = RESERVE.examine(body).snapshot
    assert snapshot is not None
    response = Response(body, end + timedelta(minutes=minutes), "http://127.0.0.1/", "application/json")
    return store_snapshot(Folder(folder), RESERVE, snapshot, response).key


def written(folder: Path, end: datetime, data: bytes) -> str:
    """Put any bytes under a snapshot's key."""
    key = snapshot_key(RESERVE, end)
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(data)
    return key


def write_days(folder: Path, *days: date, every: int = 8) -> None:
    """Put a share of the intervals of some market days, in the live feed's shape."""
    for day in days:
        for end in ends_of(day, every):
            written(folder, end, gzip.compress(snapshot_body(end, seed=SEED), 1))


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold an archive of three market days, every eighth interval of each."""
    folder = tmp_path_factory.mktemp("three-days")
    write_days(folder, JULY_1, JULY_2, JULY_3)
    return folder


class TestSchema:
    @pytest.mark.parametrize("latest_only", [True, False])
    def test_an_empty_archive_gives_empty_typed_frames(self, tmp_path: Path, *, latest_only: bool) -> None:
        """An archive without snapshots, of refused bodies alone or with an empty day, reads as no rows, typed."""
        for room in ("quarantine", "sourcing"):
            (tmp_path / room / RESERVE.dataset / "2026-07-27").mkdir(parents=True)
            assert scan_constraints(tmp_path, latest_only=latest_only).collect().schema == CONSTRAINTS
            assert scan_snapshots(tmp_path, latest_only=latest_only).collect().schema == SNAPSHOTS

    @pytest.mark.parametrize("kind", ["quiet", "live", "documented", "empty list"])
    def test_the_schema_is_the_same_whatever_was_sent(self, tmp_path: Path, kind: str) -> None:
        """Quiet, live and documented snapshots give the same columns and types; what a row does not carry is null."""
        quiet = kind in ("quiet", "empty list")
        end = next(end for end in ends_of(JULY_2) if is_quiet(end, seed=SEED) == quiet)
        body_of = documented_body if kind in ("documented", "empty list") else snapshot_body
        key = collected(tmp_path, end, body_of(end, seed=SEED))
        constraints, snapshots = scan_constraints(tmp_path).collect(), scan_snapshots(tmp_path).collect()
        assert (constraints.schema, snapshots.schema) == (CONSTRAINTS, SNAPSHOTS)
        assert (constraints.is_empty(), snapshots["quiet"].to_list()) == (quiet, [quiet])
        assert snapshots["object_key"].to_list() == [key]
        if not quiet:
            nulls = {name for name in CONSTRAINTS if constraints[name].null_count() == len(constraints)}
            only_documented = {"reserve_type", "direction", "quantity", "override", "bp1", "pc1", "bp2", "pc2"}
            assert nulls == ({"description", "bp2", "pc2"} if kind == "documented" else only_documented)


def test_both_shapes_give_their_values(tmp_path: Path) -> None:
    """Each column holds what the body says, the sign of the price included; times are EST and labels interval ends."""
    live = {"Name": "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3", "Period": "2026-07-27T00:00:00"}
    live |= {"Price": "-8.32", "Description": "STR+Lost_Gen Zone_3"}
    documented = {"Name": "Other", "Period": "2026-07-27T05:00:00Z", "Price": 12.5, "ReserveType": "SPIN"}
    documented |= {"Direction": "UP", "Quantity": "100", "OVERRIDE": "1"}
    documented |= {"BP1": 1, "PC1": "200", "BP2": None, "PC2": None}
    body = json.dumps({"RefId": "27-Jul-2026, 00:00 EST", "Constraint": [live, documented]}, indent=4).encode()
    end = datetime(2026, 7, 27, tzinfo=EST)
    key = collected(tmp_path, end, body)
    times = (date(2026, 7, 26), end - timedelta(minutes=5), end, "27-Jul-2026, 00:00 EST")
    origin = (0, True, "live", key)
    nothing = (None,) * 8
    parts = ("RDT_SO_MW", "South_North", ["STR", "Lost_Gen"], 3)
    assert key == f"{ROOT}/2026-07-27/binding_constraints_reserve_20260727_0000.json.gz"
    assert scan_constraints(tmp_path).collect().rows() == [
        (*times, live["Name"], "STR+Lost_Gen Zone_3", *parts, -8.32, *nothing, *origin),
        (*times, "Other", None, *(None,) * 4, 12.5, "SPIN", "UP", 100.0, True, 1.0, 200.0, None, None, *origin),
    ]
    assert scan_snapshots(tmp_path).collect().rows() == [(*times, 2, False, *origin)]


def test_a_revision_supersedes_and_is_kept(tmp_path: Path) -> None:
    """The last body fetched counts by default; with all of them asked for, each is there, numbered and marked."""
    end = ends_of(JULY_2)[100]
    # So large that they are not all read before the first are decoded.
    bodies = [snapshot_body(end, seed=SEED, revision=number) + b" " * 3_000_000 for number in (0, 4, 2, 9)]
    keys = [collected(tmp_path, end, body, minutes) for minutes, body in enumerate(bodies)]
    every = scan_snapshots(tmp_path, latest_only=False).collect()
    assert every.select("revision", "is_latest", "object_key").rows() == [
        (number, number == 3, key) for number, key in enumerate(keys)
    ]
    latest = scan_constraints(tmp_path).collect()
    assert set(latest["object_key"]) == {keys[3]}
    prices = [float(row["Price"]) for row in json.loads(bodies[3])["Constraint"]]
    assert latest["shadow_price"].to_list() == prices
    damaged = tmp_path / keys[3]
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.warns(SkippedObjectsWarning, match=keys[3]):
        assert scan_snapshots(tmp_path).collect()["object_key"].to_list() == [keys[2]]


class TestDays:
    def test_bounds_are_market_days(self, three_days: Path) -> None:
        """The start is included, the end is not, and the last interval of a day is the 00:00 of the next."""
        frame = scan_snapshots(three_days, start="2026-07-02", end=JULY_3).collect()
        assert frame["interval_end"].to_list() == ends_of(JULY_2, 8)
        assert frame["market_day"].unique().to_list() == [JULY_2]
        for start, end, days in [
            (None, None, {JULY_1, JULY_2, JULY_3}),
            (JULY_2, None, {JULY_2, JULY_3}),
            (None, JULY_2, {JULY_1}),
        ]:
            assert set(scan_snapshots(three_days, start=start, end=end).collect()["market_day"]) == days

    def test_a_filter_on_market_days_spares_the_others(self, tmp_path: Path) -> None:
        """Only objects of the days asked for are read: damage on other days is not even noticed."""
        write_days(tmp_path, JULY_1, JULY_2, JULY_3)
        for day in (JULY_1, JULY_3):
            written(tmp_path, ends_of(day)[5], b"damaged")
        market_day = pl.col("market_day")
        price = pl.col("shadow_price") < 0
        expected = scan_constraints(tmp_path, start=JULY_2, end=JULY_3, strict=True).collect()
        assert len(expected) > 0
        scan = scan_constraints(tmp_path, strict=True)
        between = (market_day > JULY_1) & price & (market_day < JULY_3)
        for only in (market_day == JULY_2, between, market_day.is_in([JULY_2]), ~(market_day != JULY_2)):
            assert_frame_equal(scan.filter(only).collect(), expected)
        assert_frame_equal(scan.filter(market_day == JULY_2, price).head(1).collect(), expected[:1])
        for others in ((market_day == JULY_2) | price, price, market_day >= JULY_2):
            with pytest.raises(UnreadableObjectError):
                scan.filter(others).collect()

    @ENGINES
    @pytest.mark.parametrize(
        "predicate",
        [
            pl.col("market_day") == pl.col("market_day").max(),
            pl.col("market_day").shift(1) == JULY_2,
            pl.col("market_day").is_in([JULY_2, None]),
            (pl.col("market_day") > JULY_1) & (pl.col("shadow_price") == pl.col("shadow_price").min()),
            (pl.col("market_day") == JULY_3) | (pl.col("zone") == 1),
            pl.col("interval_end") > datetime(2026, 7, 2, 12, tzinfo=ZoneInfo(EST_NAME)),
            pl.lit(value=False),
        ],
    )
    def test_any_filter_gives_what_it_gives_on_the_whole(
        self, three_days: Path, predicate: pl.Expr, engine: Engine
    ) -> None:
        """A filter before collecting gives the rows that the same filter gives on the collected frame."""
        scan = scan_constraints(three_days)
        assert_frame_equal(scan.filter(predicate).collect(engine=engine), scan.collect().filter(predicate))

    @pytest.mark.parametrize(("day", "label"), [(date(2026, 3, 8), "02:30"), (date(2026, 11, 1), "01:30")])
    def test_days_on_which_us_clocks_change_have_288_intervals(self, tmp_path: Path, day: date, label: str) -> None:
        """On both days each of the 288 labels stands once, five minutes after the one before, 00:05 to 24:00 EST."""
        write_days(tmp_path, day, every=1)
        frame = scan_snapshots(tmp_path, strict=True).collect()
        assert frame["market_day"].to_list() == [day] * 288
        assert set(frame["interval_end"].diff().drop_nulls()) == {timedelta(minutes=5)}
        labels = frame["interval_end"].dt.strftime("%H:%M").to_list()
        assert (labels[0], labels[-1], labels.count(label)) == ("00:05", "00:00", 1)
        assert [reference[-9:-4] for reference in frame["ref_id"]] == labels
        assert (frame["interval_end"] - frame["interval_start"]).unique().to_list() == [timedelta(minutes=5)]


class TestPlans:
    @ENGINES
    def test_plans_give_what_they_give_on_the_whole(self, three_days: Path, engine: Engine) -> None:
        """Heads, slices, projections and counts are the same on the scan and on the collected frame."""
        scan = scan_constraints(three_days)
        whole, on_day = scan.collect(), pl.col("market_day") == JULY_3
        assert len(whole.filter(on_day)) > 0
        plans = [
            (scan.head(5), whole.head(5)),
            (scan.tail(3), whole.tail(3)),
            (scan.slice(3, 4), whole.slice(3, 4)),
            (scan.filter(on_day).head(2), whole.filter(on_day).head(2)),
            (scan.filter(on_day).select("zone"), whole.filter(on_day).select("zone")),
            (scan.select(pl.len()), whole.select(pl.len())),
            (scan.select(pl.col("shadow_price").sum()), whole.select(pl.col("shadow_price").sum())),
        ]
        for lazy, eager in plans:
            assert_frame_equal(lazy.collect(engine=engine), eager)

    @ENGINES
    def test_a_head_counts_before_a_filter_on_it(self, three_days: Path, engine: Engine) -> None:
        """A filter on the first rows finds among those rows alone, though polars hands both to the scan."""
        scan = scan_constraints(three_days)
        for only in (pl.col("market_day") == JULY_3, pl.col("zone") == 1):
            lazy = scan.head(30).filter(only).collect(engine=engine)
            assert_frame_equal(lazy, scan.collect().head(30).filter(only))

    def test_nothing_is_read_before_collecting(self, tmp_path: Path) -> None:
        """A scan reads when it is collected, each time anew: it sees what came after it was made."""
        written(tmp_path, ends_of(JULY_1)[0], b"damaged")
        scan = scan_snapshots(tmp_path, strict=True)
        with pytest.raises(UnreadableObjectError):
            scan.collect()
        write_days(tmp_path, JULY_1, every=1)
        assert len(scan.collect()) == 288
        assert scan.collect_schema() == SNAPSHOTS

    def test_time_order_holds_over_batches_and_months(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Frames come in time order over days that are listed apart, whichever thread decodes a batch, and wherever."""
        days = [date(2026, 1, 1) + timedelta(days=number) for number in range(0, 80, 13)]
        write_days(tmp_path, *days, every=96)
        monkeypatch.setattr(one_pass, "_DAYS_LISTED_TOGETHER", 3)
        monkeypatch.setattr(one_pass, "_MOST_BODIES", 2)
        monkeypatch.setattr(one_pass, "_UNZIPPED_TOGETHER", 1)
        decode, reads_here, decoders = Decoder.decode, threading.Event(), set[str]()

        def kept_back(*asked: Any) -> Decoded:  # noqa: ANN401 - as decode is asked
            """Decode, in the reading's own thread only once the other one has had to."""
            name = threading.current_thread().name
            decoders.add(name)
            if not name.startswith("ThreadPoolExecutor"):
                reads_here.set()
            assert reads_here.wait(timeout=30)
            return decode(*asked)

        monkeypatch.setattr(Decoder, "decode", kept_back)
        frame = scan_snapshots(tmp_path).collect()
        assert len(decoders) > 1
        assert frame["interval_end"].to_list() == [end for day in days for end in ends_of(day, 96)]

    def test_a_batch_ends_between_intervals(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The bodies of an interval are decoded together, and batches stay small wherever intervals begin."""
        first, *others = ends_of(JULY_1)[:9]
        collected(tmp_path, first, snapshot_body(first, seed=SEED))
        for end in others:
            for seed in (SEED, SEED + 1):
                collected(tmp_path, end, snapshot_body(end, seed=seed) + b" " * seed)
        monkeypatch.setattr(one_pass, "_MOST_BODIES", 2)
        monkeypatch.setattr(one_pass, "_UNZIPPED_TOGETHER", 2)
        decode, batches = Decoder.decode, list[list[datetime]]()

        def noted(self: Decoder, objects: pl.DataFrame, bodies: list[bytes]) -> Decoded:
            """Decode, and note which intervals are asked for."""
            batches.append(objects["interval_end"].to_list())
            return decode(self, objects, bodies)

        monkeypatch.setattr(Decoder, "decode", noted)
        frame = scan_snapshots(tmp_path, latest_only=False).collect()
        assert frame["interval_end"].to_list() == [first, *(end for end in others for _ in range(2))]
        assert sorted(batches) == [[first, others[0], others[0]], *([end, end] for end in others[1:])]

    def test_progress_counts_the_days(self, three_days: Path) -> None:
        """Progress ends with as many market days read as there are to read: those of the folders, and one before."""
        calls: list[tuple[int, int]] = []
        scan_snapshots(three_days, progress=lambda done, total: calls.append((done, total))).collect()
        assert calls == [(5, 5)]


class TestDamage:
    def damage(self, folder: Path) -> dict[str, str]:
        """Put damaged files of many kinds beside good ones; return what each is said to be, by its key."""
        good = gzip.compress(snapshot_body(ends_of(JULY_1)[0], seed=SEED))
        padded = snapshot_body(ends_of(JULY_1)[7], seed=SEED) + b" " * MOST_BYTES
        large = snapshot_body(ends_of(JULY_1)[11], seed=SEED) + b" " * 100_000
        kinds = [
            (good[:60], "it cannot be read"),
            (b"", "it cannot be read"),
            (b"plain text", "it cannot be read"),
            (good[:30] + b"\x00\x00" + good[32:], "it cannot be read"),
            (snapshot_body(ends_of(JULY_1)[4], seed=SEED), "it cannot be read"),
            (gzip.compress(b"<html></html>"), "html_page"),
            (gzip.compress(b'{"LMPData":{"RefId":"x"}}'), "missing_field"),
            (gzip.compress(padded), "body_too_large"),
            (gzip.compress(b"[1]" * MOST_BYTES, 0), "body_too_large"),
            (gzip.compress(b""), "empty_body"),
            (gzip.compress(snapshot_body(ends_of(JULY_1)[0], seed=SEED)), "names another interval than its key"),
            (gzip.compress(large, 0)[:-10], "it ends too early"),
        ]
        reasons = {written(folder, end, data): said for end, (data, said) in zip(ends_of(JULY_1), kinds, strict=False)}
        like_an_object = snapshot_key(RESERVE, ends_of(JULY_1)[20])
        (folder / like_an_object).mkdir()
        foreign_name = f"{ROOT}/2026-07-01/notes.txt"
        (folder / foreign_name).write_text("notes")
        return reasons | {like_an_object: "it cannot be read", foreign_name: "its name is not that of a snapshot there"}

    def test_damaged_files_are_named_and_hurt_no_other(self, tmp_path: Path) -> None:
        """One warning counts and names what is left out, and why; every other object is read as if alone."""
        good = [end for end in ends_of(JULY_1) if end not in {*ends_of(JULY_1)[:12], ends_of(JULY_1)[20]}]
        for end in good:
            written(tmp_path, end, gzip.compress(snapshot_body(end, seed=SEED), 1))
        reasons = self.damage(tmp_path)
        for scan in (scan_constraints, scan_snapshots):
            with pytest.warns(SkippedObjectsWarning) as caught:
                frame = scan(tmp_path).collect()
            [message] = [str(warning.message) for warning in caught]
            assert message.startswith(f"14 of the objects in {tmp_path.as_uri()} cannot be read and are left out: ")
            for key, reason in reasons.items():
                assert f"{key} (" in message
                assert reason in message.split(f"{key} (")[1].split("; sourcing/")[0]
            assert set(frame["interval_end"]) <= set(good)
        assert frame["interval_end"].to_list() == good

    def test_many_damaged_files_are_counted(self, tmp_path: Path) -> None:
        """Of many, twenty are named and the others counted; without any there is no warning."""
        for end in ends_of(JULY_1)[:23]:
            written(tmp_path, end, b"")
        counted = r"^23 of the objects.*_0140\.json\.gz .*; and 3 more$"
        with pytest.warns(SkippedObjectsWarning, match=counted) as caught:
            assert scan_snapshots(tmp_path).collect().is_empty()
        assert str(caught[0].message).count("sourcing/") == 20
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scan_snapshots(tmp_path, start=JULY_2).collect()

    def test_a_gzip_bomb_takes_little_memory(self, tmp_path: Path) -> None:
        """A file of some hundred kilobytes that unzips to 100 MB is left out without unzipping it all."""
        key = written(tmp_path, ends_of(JULY_1)[0], gzip.compress(bytes(100_000_000), 6))
        tracemalloc.start()
        try:
            with pytest.warns(SkippedObjectsWarning, match=f"{key}.*body_too_large"):
                scan_snapshots(tmp_path).collect()
            assert tracemalloc.get_traced_memory()[1] < 40_000_000
        finally:
            tracemalloc.stop()

    def test_bombs_that_are_small_together_are_unzipped_one_by_one(self, tmp_path: Path) -> None:
        """Ten small files that each unzip to 40 MB are never unzipped at once, and hurt no other."""
        bomb = gzip.compress(bytes(40_000_000), 9)
        assert len(bomb) < 65536
        for end in ends_of(JULY_1)[10:20]:
            written(tmp_path, end, bomb)
        good = ends_of(JULY_1)[9]
        written(tmp_path, good, gzip.compress(snapshot_body(good, seed=SEED), 1))
        tracemalloc.start()
        try:
            with pytest.warns(SkippedObjectsWarning, match=r"^10 of the objects.*body_too_large"):
                frame = scan_snapshots(tmp_path).collect()
            assert tracemalloc.get_traced_memory()[1] < 200_000_000
        finally:
            tracemalloc.stop()
        assert frame["interval_end"].to_list() == [good]

    @ENGINES
    def test_strict_names_the_object(self, tmp_path: Path, engine: Engine) -> None:
        """With strict the first object that cannot be read is an error that names it and why, whatever is wrong."""
        for data, reason in ((b"", "it cannot be read"), (gzip.compress(b"{}"), "missing_field: RefId is absent")):
            key = written(tmp_path, ends_of(JULY_1)[3], data)
            with pytest.raises(UnreadableObjectError, match=re.escape(f"{tmp_path.as_uri()}/{key}: {reason}")):
                scan_constraints(tmp_path, strict=True).collect(engine=engine)
        (tmp_path / key).unlink()
        (tmp_path / ROOT / "2026-07-01" / "notes.txt").write_text("")
        with pytest.raises(UnreadableObjectError, match=r"notes\.txt: its name is not that of a snapshot there"):
            scan_constraints(tmp_path, strict=True).collect(engine=engine)

    def test_odd_folders_do_no_harm(self, tmp_path: Path) -> None:
        """Folders that name no possible day, and files where folders are expected, are passed over."""
        write_days(tmp_path, JULY_1)
        for name in ("0001-01-01", "9999-12-31", "20260704", "notes"):
            (tmp_path / ROOT / name).mkdir()
        (tmp_path / ROOT / "2026-07-03").write_text("")
        assert scan_snapshots(tmp_path, strict=True).collect()["interval_end"].to_list() == ends_of(JULY_1, 8)


def test_a_missing_archive_says_what_to_do(tmp_path: Path) -> None:
    """An archive that is not there, or of an unknown kind, is an error when the scan is made."""
    with pytest.raises(ArchiveError, match=r"there is no folder .*: name the one that was collected into"):
        scan_constraints(tmp_path / "absent")
    with pytest.raises(ValueError, match="not an address with https://"):
        scan_snapshots("https://example.com/data")
    with pytest.raises(ValueError, match=r"^start= is a market day"):
        scan_snapshots(tmp_path, start="July")


def hand_counted(folder: Path) -> dict[date, tuple[int, int, int, int]]:
    """Count an archive's latest bodies with plain Python: intervals, quiet ones, binding rows, and cents, per day."""
    latest: dict[tuple[str, str], tuple[str, list[dict[str, object]]]] = {}
    for path in sorted((folder / "sourcing").rglob("*.json.gz")):
        try:
            rows = json.loads(gzip.decompress(path.read_bytes()))["Constraint"]
        except (OSError, EOFError, ValueError, KeyError):
            continue
        _, day, rest = path.name.removesuffix(".json.gz").rsplit("_", 2)
        provenance = Path(str(path).replace("sourcing", "provenance").removesuffix(".json.gz") + ".json")
        fetched_at = json.loads(provenance.read_text())["fetched-at"]
        taken = latest.get((day, rest[:4]))
        if taken is None or fetched_at > taken[0]:
            latest[day, rest[:4]] = fetched_at, rows
    counts: dict[date, tuple[int, int, int, int]] = {}
    for (day, time), (_, rows) in latest.items():
        label = datetime.strptime(day + time, "%Y%m%d%H%M")  # noqa: DTZ007 - EST on both sides
        market_day = (label - timedelta(minutes=1)).date()
        cents = [round(float(str(row["Price"])) * 100) for row in rows if row["Price"] != "None"]
        seen, quiet, binding, total = counts.get(market_day, (0, 0, 0, 0))
        counts[market_day] = seen + 1, quiet + (not cents), binding + len(cents), total + sum(cents)
    return counts


def test_an_independent_count_agrees(tmp_path: Path) -> None:
    """On an archive of all that happens, every market day's counts and totals are those of plain Python."""
    days = [date(2026, 3, 8), date(2026, 10, 31), date(2026, 11, 1)]
    for number, end in enumerate(end for day in days for end in ends_of(day)):
        if number % 37 in (5, 6, 7) or 300 < number < 340:
            continue
        spelled = documented_body if number % 5 == 0 else snapshot_body
        body = spelled(end, seed=SEED)
        key = collected(tmp_path, end, json.dumps(json.loads(body), indent=1).encode() if number % 7 == 0 else body)
        if number % 29 == 0:
            for minutes, revision in ((3, 8), (2, 3)):
                collected(tmp_path, end, snapshot_body(end, seed=SEED, revision=revision), minutes)
        if number % 41 == 0:
            (tmp_path / key).write_bytes([b"", b"text", (tmp_path / key).read_bytes()[:70]][number % 3])
    assert (tmp_path / ROOT / "2026-11-02" / "binding_constraints_reserve_20261102_0000.json.gz").exists()
    with pytest.warns(SkippedObjectsWarning):
        snapshots = scan_snapshots(tmp_path).collect()
    with pytest.warns(SkippedObjectsWarning):
        constraints = scan_constraints(tmp_path).collect()
    seen = snapshots.group_by("market_day").agg(pl.len(), pl.col("quiet").sum(), pl.col("constraints").sum())
    totals = dict(constraints.group_by("market_day").agg((pl.col("shadow_price") * 100).round().sum()).rows())
    counted = {day: (count, quiet, rows, round(totals.get(day, 0))) for day, count, quiet, rows in seen.rows()}
    assert counted == hand_counted(tmp_path)
    assert set(counted) == set(days)
    assert all(0 < quiet < count < 288 for count, quiet, *_ in counted.values())
