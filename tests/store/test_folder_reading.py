import gzip
import os
from contextlib import suppress
from pathlib import Path

import pytest

from miso_archive.feeds.reserve import RESERVE
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import scan_snapshots
from miso_archive.store.address import standing, store_at
from miso_archive.store.folder import Folder
from miso_archive.store.listing import market_days
from miso_archive.store.store import ArchiveError


def test_objects_come_in_the_order_asked_for(tmp_path: Path) -> None:
    """Each key gives its own bytes, small and large, from one folder after another and back again."""
    contents = {"a/1": b"one", "b/2": bytes(200_000), "a/3": b"", "b/4": b"x" * 65_536, "5": b"root"}
    for key, data in contents.items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(data)
    keys = ["b/4", "a/1", "b/2", "5", "a/3", "a/1"]
    assert list(Folder(tmp_path).read(keys)) == [contents[key] for key in keys]
    assert list(Folder(tmp_path).read([])) == []


def test_an_object_that_cannot_be_read_hurts_no_other(tmp_path: Path) -> None:
    """Absent files and folders, folders and pipes in a file's place give an error, or nothing, in their own place."""
    (tmp_path / "a/folder").mkdir(parents=True)
    (tmp_path / "a/good").write_bytes(b"good")
    (tmp_path / "a/gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "a/pipe")
    keys = ["a/absent", "a/good", "a/folder", "absent/1", "a/gone", "a/good/below", "a/pipe", "a/good"]
    found = list(Folder(tmp_path).read(keys))
    assert [data if isinstance(data, bytes) else OSError for data in found] == [
        *(OSError, b"good", OSError, OSError, OSError, OSError, b"", b"good")
    ]


def test_a_folder_that_cannot_be_opened_is_not_taken_for_absent(tmp_path: Path) -> None:
    """Only what is surely not there is absent: else an error names the object and what is wrong."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    archive = Folder(tmp_path)
    assert [archive.get(key) for key in ("absent", "absent/x", "file/x")] == [None, None, None]
    with pytest.raises(ArchiveError, match="does not take or give loop/x: Too many levels of symbolic links"):
        archive.get("loop/x")


def test_no_file_stays_open(tmp_path: Path) -> None:
    """After reading, whole or broken off, no file of the folder is open, nor the folder."""
    (tmp_path / "a").mkdir()
    for name in ("1", "2", "3"):
        (tmp_path / "a" / name).write_bytes(gzip.compress(bytes(100_000)))
    keys = ["a/1", "a/2", "absent/1", "a/3"]
    list(Folder(tmp_path).read(keys))
    broken_off = Folder(tmp_path).read(keys)
    next(broken_off)
    assert len(open_in(tmp_path)) == 1
    del broken_off
    assert open_in(tmp_path) == []


def open_in(folder: Path) -> list[Path]:
    """What is open in a folder; other threads of this process open and close what is theirs."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(descriptor.readlink())
    return [path for path in found if path.is_relative_to(folder)]


def test_names_and_folders_are_sorted(tmp_path: Path) -> None:
    """Listings are sorted; what is absent, or a file in a folder's place, holds nothing."""
    for name in ("b", "a", "c"):
        (tmp_path / "days" / name).mkdir(parents=True)
        (tmp_path / "days" / "b" / name).write_text("")
    (tmp_path / "days" / "d").write_text("")
    objects = Folder(tmp_path)
    assert objects.folders("days") == ["a", "b", "c"]
    assert objects.folders("absent") == []
    assert objects.names(["days/b", "absent", "days/a", "days/d"]) == [["a", "b", "c"], [], [], []]


def test_a_folder_that_cannot_be_listed_fails_the_archive(tmp_path: Path) -> None:
    """Where a listing fails the error names the folder and what to look at."""
    too_long = "x" * 300
    for listing in (lambda: Folder(tmp_path).names([too_long]), lambda: Folder(tmp_path).folders(too_long)):
        with pytest.raises(ArchiveError, match=f"{too_long} cannot be listed: .*Check the folder's rights"):
            listing()


@pytest.mark.parametrize("link", ["sourcing", f"sourcing/{RESERVE.dataset}", f"sourcing/{RESERVE.dataset}/2026-07-01"])
@pytest.mark.parametrize("start", [None, "2026-07-01"])
def test_what_lies_behind_a_link_that_leads_nowhere_is_not_nothing(
    tmp_path: Path, link: str, start: str | None
) -> None:
    """A disk that is not mounted is told, by the link that leads there, and not taken for an empty archive."""
    (tmp_path / "quarantine" / RESERVE.dataset / "2026-07-01").mkdir(parents=True)
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to("/none/such/disk")
    end = None if start is None else "2026-07-02"
    told = rf"{tmp_path}/{link} cannot be listed: No such file or directory\."
    with pytest.raises(ArchiveError, match=told):
        coverage(tmp_path, start=start, end=end)
    with pytest.raises(ArchiveError, match=told):
        scan_snapshots(tmp_path, start=start, end=end).collect()


def test_a_link_that_leads_somewhere_is_the_folder(tmp_path: Path) -> None:
    """What is absent behind a link is absent; a link to itself, and one of another name, are in nobody's way."""
    (tmp_path / "disk/days").mkdir(parents=True)
    (tmp_path / "sourcing").symlink_to("disk")
    (tmp_path / f"disk/{RESERVE.dataset}").mkdir()
    for name, place in (("notes", "nowhere"), ("2026-07-01", "2026-07-01")):
        (tmp_path / "disk" / RESERVE.dataset / name).symlink_to(place)
    archive = Folder(tmp_path)
    assert archive.names(["sourcing/days/2026-07-01", "sourcing/none/2026-07-01"]) == [[], []]
    assert archive.folders("sourcing/none") == []
    assert market_days(archive, RESERVE) == []


def test_a_missing_folder_says_what_to_name(tmp_path: Path) -> None:
    """An archive that is not there is an error at once, which says which folder to give."""
    with pytest.raises(ArchiveError, match=f"there is no folder {tmp_path}/data: name the one that was collected into"):
        standing(store_at(tmp_path / "data"))


def test_every_spelling_of_a_folder_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, text, a relative path, one from the home folder and a file:// address, with blanks, are one archive."""
    folder = tmp_path / "my data"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    spellings: list[Path | str] = [folder, str(folder), "my data", "~/my data", folder.as_uri(), f"file://{folder}"]
    assert {store_at(spelling).location for spelling in spellings} == {folder.as_uri()}


def test_a_home_that_nobody_has_is_told() -> None:
    """A folder in the home of a user who is none here is no archive, and the error says why."""
    with pytest.raises(ArchiveError, match="no user of that name has a home here"):
        store_at("~no-such-user/data")


@pytest.mark.parametrize("address", ["file://data", "file://server/data", "file://", "file:///data?x", "file:///da#ta"])
def test_an_address_that_names_no_folder_is_refused(address: str) -> None:
    """A file:// address of another machine, or with more than a path, is not taken for some other folder."""
    with pytest.raises(ArchiveError, match="names no folder of this machine: give file:///folder"):
        store_at(address)


def test_another_kind_of_address_is_refused() -> None:
    """An address of a kind that no archive has is refused, with the kinds that are."""
    with pytest.raises(ValueError, match=r"^archive= is a folder, s3://bucket\[/folder\] or an S3Bucket block"):
        store_at("https://example.com/data")
