import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from miso_archive.feeds.columns import OBJECTS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.reading.listed import Listing, list_snapshots
from miso_archive.store.folder import Folder
from miso_archive.store.layout import provenance_key, snapshot_key
from miso_archive.store.listing import market_days

ROOT = f"sourcing/{RESERVE.dataset}"
JULY_27 = date(2026, 7, 27)
JULY_28 = date(2026, 7, 28)


def put(folder: Path, key: str, fetched_at: str | None = None, text: str = "{}") -> str:
    """Put a file of this key, and its provenance."""
    files = {key: text}
    if fetched_at is not None:
        files[provenance_key(key)] = json.dumps({"fetched-at": fetched_at})
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return key


def snapshot(folder: Path, label: str, revision_of: str | None = None, fetched_at: str | None = None) -> str:
    """Put a snapshot of a label, ``2026-07-27 08:10`` EST, under the collector's own key."""
    end = datetime.strptime(label, "%Y-%m-%d %H:%M").replace(tzinfo=EST)
    return put(folder, snapshot_key(RESERVE, end, revision_of=revision_of), fetched_at)


def listed(folder: Path, *days: date) -> Listing:
    """List some market days of a folder."""
    return list_snapshots(Folder(folder), RESERVE, days)


def test_midnight_is_found_in_the_next_folder(tmp_path: Path) -> None:
    """A market day has the labels 00:05 to 24:00: the 00:00 of its own folder belongs to the day before."""
    labels = ["2026-07-27 00:00", "2026-07-27 00:05", "2026-07-27 23:55", "2026-07-28 00:00", "2026-07-28 00:05"]
    keys = [snapshot(tmp_path, label) for label in labels]
    assert listed(tmp_path, JULY_27).snapshots["object_key"].to_list() == keys[1:4]
    assert listed(tmp_path, JULY_27, JULY_28).snapshots["object_key"].to_list() == keys[1:]
    assert listed(tmp_path, date(2026, 7, 26)).snapshots["object_key"].to_list() == keys[:1]
    assert listed(tmp_path, date(2026, 7, 26), JULY_28).snapshots["object_key"].to_list() == [keys[0], keys[4]]
    assert listed(tmp_path).snapshots.is_empty()


def test_labels_are_interval_ends_in_est(tmp_path: Path) -> None:
    """The label is read from the key as EST, also on the days on which US clocks change, and off the grid too."""
    labels = ["2026-03-08 02:30", "2026-07-27 08:07", "2026-07-27 08:10", "2026-11-01 01:30"]
    for label in labels:
        snapshot(tmp_path, label)
    found = listed(tmp_path, date(2026, 3, 8), JULY_27, date(2026, 11, 1)).snapshots
    assert found.schema == OBJECTS
    assert [f"{end:%Y-%m-%d %H:%M}" for end in found["interval_end"]] == labels
    assert {end.utcoffset() for end in found["interval_end"]} == {timedelta(hours=-5)}


def test_revisions_are_numbered_by_when_they_were_fetched(tmp_path: Path) -> None:
    """The bodies of an interval come as they were fetched, not as their names sort, nor as they were archived.

    A refused body that is replayed after another was archived has a revision's name and was fetched before.
    """
    late = snapshot(tmp_path, "2026-07-27 08:10", "0" * 12, "2026-07-27T13:30:00Z")
    early = snapshot(tmp_path, "2026-07-27 08:10", "f" * 12, "2026-07-27T13:20:00Z")
    last = snapshot(tmp_path, "2026-07-27 08:10", fetched_at="2026-07-27T13:40:00Z")
    before = snapshot(tmp_path, "2026-07-27 08:05")
    alone = snapshot(tmp_path, "2026-07-27 08:15", "a" * 12)
    found = listed(tmp_path, JULY_27).snapshots
    assert found.select("object_key", "revision").rows() == [(before, 0), (early, 0), (late, 1), (last, 2), (alone, 0)]
    assert found["interval_end"].is_sorted()


@pytest.mark.parametrize("provenance", [None, "[]", "{", "", '{"fetched-at": null}', "{}"])
def test_revisions_without_provenance_stay_in_the_listing(tmp_path: Path, provenance: str | None) -> None:
    """Where no provenance can be read, revisions are numbered by name, after the first body."""
    digests = ["b" * 12, "a" * 12]
    keys = [snapshot(tmp_path, "2026-07-27 08:10", digest) for digest in digests]
    if provenance is not None:
        for key in keys:
            put(tmp_path, provenance_key(key), text=provenance)
    first = snapshot(tmp_path, "2026-07-27 08:10")
    assert listed(tmp_path, JULY_27).snapshots["object_key"].to_list() == [first, keys[1], keys[0]]


@pytest.mark.parametrize(
    "name",
    [
        *("README.txt", "binding_constraints_reserve_20260727_0810.json", "20260727_0810.json.gz", "0810.json.gz"),
        *("binding_constraints_reserve_20260727_2400.json.gz", "binding_constraints_reserve_20260727_0860.json.gz"),
        *("binding_constraints_reserve_20260728_0810.json.gz", "Binding_constraints_reserve_20260727_0810.json.gz"),
        *("binding_constraints_reserve_20260727_0810.json.gz.tmp", "binding_constraints_reserve_20260727_810.json.gz"),
        *(f"binding_constraints_reserve_20260727_0810.{digest}.json.gz" for digest in ("a" * 11, "A" * 12, "g" * 12)),
        "binding_constraints_reserve_20260727_\u0660\u0661\u0660\u0660.json.gz",
        "x" * len("binding_constraints_reserve_20260727_") + "0810.json.gz",
    ],
)
def test_a_foreign_name_is_reported_with_its_folder_s_day(tmp_path: Path, name: str) -> None:
    """What is not named as a snapshot of that folder is no snapshot; it is named, once, on the folder's own day."""
    good = snapshot(tmp_path, "2026-07-27 08:10")
    foreign = put(tmp_path, f"{ROOT}/2026-07-27/{name}")
    found = listed(tmp_path, date(2026, 7, 26), JULY_27, JULY_28)
    assert found.snapshots["object_key"].to_list() == [good]
    assert found.foreign == [(foreign, JULY_27, "its name is not that of a snapshot there")]
    assert listed(tmp_path, date(2026, 7, 26), JULY_28).foreign == []


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Names that begin with a dot are those of files that are being written: neither snapshots nor foreign."""
    put(tmp_path, f"{ROOT}/2026-07-27/.binding_constraints_reserve_20260727_0810.json.gz.partial")
    found = listed(tmp_path, JULY_27)
    assert (len(found.snapshots), found.foreign) == (0, [])


def test_market_days_come_from_the_folders(tmp_path: Path) -> None:
    """Every folder's day may have a snapshot, and so may the day that its 00:00 ends; other names are no days."""
    for name in ("2026-07-27", "2026-07-28", "2026-08-02", "20260901", "0001-01-01", "9999-12-31", "notes"):
        (tmp_path / ROOT / name).mkdir(parents=True)
    (tmp_path / ROOT / "2026-09-09").write_text("not a folder")
    days = [date(2026, 7, 26), JULY_27, JULY_28, date(2026, 8, 1), date(2026, 8, 2)]
    assert market_days(Folder(tmp_path), RESERVE) == days
    assert market_days(Folder(tmp_path / ROOT), RESERVE) == []


class CountedObjects(Folder):
    """A folder that remembers what was asked of provenances."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[int] = []

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        """Answer, and remember of how many."""
        self.asked.append(len(keys))
        return super().fetched_at(keys)


def test_the_bodies_of_all_days_are_ordered_by_one_question(tmp_path: Path) -> None:
    """When bodies were fetched is asked once for all days, of revised intervals alone; not where no order is due."""
    for day in ("2026-07-27", "2026-07-28"):
        first = snapshot(tmp_path, f"{day} 08:10", fetched_at=f"{day}T13:13:00Z")
        replayed = snapshot(tmp_path, f"{day} 08:10", "a" * 64, f"{day}T13:12:00Z")
        snapshot(tmp_path, f"{day} 08:15", fetched_at=f"{day}T13:16:00Z")
    objects = CountedObjects(tmp_path)
    ordered = list_snapshots(objects, RESERVE, [JULY_27, JULY_28]).snapshots
    assert objects.asked == [4]
    assert ordered["object_key"].to_list()[3:5] == [replayed, first]
    unordered = list_snapshots(objects, RESERVE, [JULY_27, JULY_28], ordered=False).snapshots
    assert objects.asked == [4]
    assert unordered["object_key"].to_list()[3:5] == [first, replayed]
    assert set(unordered["object_key"]) == set(ordered["object_key"])
