"""The archive in a folder: what the disk can do to it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from miso_archive.cli.app import main
from miso_archive.collecting.embedded_valkey import embedded_valkey
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.feeds.reserve import RESERVE
from miso_archive.simulate import SimulatedFeed
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import Stored, store_snapshot
from miso_archive.store.response import Response
from tests.bodies import END, live_body

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sourcing/miso_binding_constraints_reserve/2026-07-27/binding_constraints_reserve_20260727_0810.json.gz"
PROVENANCE = "provenance/miso_binding_constraints_reserve/2026-07-27/binding_constraints_reserve_20260727_0810.json"


@pytest.fixture(params=["nameless", "named", "refused"])
def _temporary_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way of making a temporary file: without a name, and, where that is unknown or refused, with one."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    elif request.param == "refused":
        original = os.open

        def without(path: Any, flags: int, *rest: int, **options: Any) -> int:  # noqa: ANN401 - as os.open
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return original(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", without)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The archive's folder, which is not there yet."""
    return tmp_path / "data"


def files(folder: Path) -> list[str]:
    """Every file in a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def response_of(price: str) -> Response:
    """A fetched body of the interval 08:10."""
    return Response(
        live_body(END, price), datetime(2026, 7, 27, 13, 11, tzinfo=UTC), "https://feed.test/", "application/json"
    )


def store(root: Path, response: Response) -> Stored:
    """Store a body."""
    snapshot = RESERVE.examine(response.body).snapshot
    assert snapshot is not None
    return store_snapshot(Folder(root), RESERVE, snapshot, response)


def failing(code: int) -> Callable[..., None]:
    """A function of the system that fails."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.usefixtures("_temporary_files")
class TestPut:
    def test_an_object_is_a_file(self, root: Path) -> None:
        """An object is a file under its key, readable by all, and nothing else is left."""
        assert Folder(root).put_if_absent(KEY, b"data", {})
        assert files(root) == [KEY]
        assert (root / KEY).read_bytes() == b"data"
        assert stat.S_IMODE((root / KEY).stat().st_mode) == 0o644

    def test_a_second_put_leaves_nothing(self, root: Path) -> None:
        """A put of a key that is taken changes no file and leaves none."""
        Folder(root).put_if_absent(KEY, b"first", {})
        assert not Folder(root).put_if_absent(KEY, b"second", {})
        assert files(root) == [KEY]
        assert (root / KEY).read_bytes() == b"first"

    @pytest.mark.parametrize(
        ("function", "code"), [("fsync", errno.EIO), ("fsync", errno.ENOSPC), ("link", errno.ENOSPC)]
    )
    def test_a_full_or_broken_disk_leaves_nothing_partial(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int
    ) -> None:
        """When the disk fails, the error names folder and key and is final, no file is left, and a rerun puts it."""
        archive = Folder(root)
        with monkeypatch.context() as patch:
            patch.setattr(os, function, failing(code))
            with pytest.raises(CollectionError) as caught:
                archive.put_if_absent(KEY, b"data", {})
        assert (caught.value.code, caught.value.transient) == (FailureCode.ARCHIVE_REFUSED, False)
        assert caught.value.message == f"the folder {root} does not take or give {KEY}: {os.strerror(code)}"
        assert files(root) == []
        assert Folder(root).put_if_absent(KEY, b"data", {})

    def test_an_object_is_on_disk_before_it_is_seen(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """New folders are forced to disk first, then the content before it gets its name, and the name at last."""
        calls: list[str] = []
        root_was_there = root.is_dir()
        fsync, link = os.fsync, os.link

        def forced(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            calls.append("force folder" if is_folder else f"force {os.fstat(descriptor).st_size} bytes")
            fsync(descriptor)

        def linked(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as os.link
            calls.append("name")
            link(*arguments, **options)

        monkeypatch.setattr(os, "fsync", forced)
        monkeypatch.setattr(os, "link", linked)
        Folder(root).put_if_absent(KEY, b"data", {})
        new_folders = len(Path(KEY).parts) - 1 + (not root_was_there)
        assert calls == [*["force folder"] * new_folders, "force 4 bytes", "name", "force folder"]


class TestTrouble:
    @pytest.mark.parametrize("obstacle", [".", "sourcing", str(Path(KEY).parent)])
    def test_a_file_in_place_of_a_folder_is_refused(self, root: Path, obstacle: str) -> None:
        """Where a folder should be and a file is, the put is refused for good, and the file stays."""
        (root / obstacle).parent.mkdir(parents=True, exist_ok=True)
        (root / obstacle).write_text("in the way")
        with pytest.raises(CollectionError) as caught:
            Folder(root).put_if_absent(KEY, b"data", {})
        assert (caught.value.code, caught.value.transient) == (FailureCode.ARCHIVE_REFUSED, False)
        assert str(root) in caught.value.message
        assert (root / obstacle).read_text() == "in the way"

    @pytest.mark.parametrize("key", [KEY, "sourcing"])
    def test_what_cannot_be_read_is_refused(self, root: Path, key: str) -> None:
        """A folder in place of an object, or nothing at all, cannot be hashed: an error that names the key."""
        (root / "sourcing").mkdir(parents=True)
        with pytest.raises(CollectionError, match=f"does not take or give {key}: ") as caught:
            Folder(root).sha256_of(key)
        assert caught.value.code == FailureCode.ARCHIVE_REFUSED

    def test_a_nameless_file_that_is_refused_for_real_is_an_error(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that takes no more files is not asked in another way."""
        original = os.open

        def full(path: Any, flags: int, *rest: int, **options: Any) -> int:  # noqa: ANN401 - as os.open
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", full)
        with pytest.raises(CollectionError, match="No space left on device"):
            Folder(root).put_if_absent(KEY, b"data", {})
        assert files(root) == []

    def test_a_write_that_stops_half_way_leaves_nothing(self, root: Path) -> None:
        """A process that may write no more than a few bytes a file fails with the reason, and leaves no file."""
        script = f"""if True:
            import os, resource, sys
            from pathlib import Path
            from miso_archive.failures import CollectionError
            from miso_archive.store.folder import Folder
            archive = Folder(Path(sys.argv[1]))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            for kind in ("nameless", "named"):
                try:
                    archive.put_if_absent({KEY!r}, os.urandom(100_000), {{}})
                except CollectionError as error:
                    print(kind, error)
                vars(os).pop('O_TMPFILE', None)
        """
        command = [sys.executable, "-c", script, str(root)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        told = ran.stdout.splitlines()
        assert [line.split()[0] for line in told] == ["nameless", "named"]
        assert all(line.endswith("File too large") for line in told)
        assert files(root) == []


class TestFiles:
    def test_provenance_is_a_file_beside_the_tree(self, root: Path) -> None:
        """Provenance stands in provenance/, one small JSON file an object; refused bodies bring their own."""
        Folder(root).put_if_absent(KEY, b"data", {"sha256": "5f"})
        Folder(root).put_if_absent("quarantine/x.body.gz", b"data", {})
        assert files(root) == [PROVENANCE, "quarantine/x.body.gz", KEY]
        assert json.loads((root / PROVENANCE).read_bytes()) == {"sha256": "5f"}

    def test_missing_provenance_is_made_good(self, root: Path) -> None:
        """A run that died between an object and its provenance is made good by the next with the same body."""
        store(root, response_of("-1"))
        (root / PROVENANCE).unlink()
        assert store(root, response_of("-1")) == Stored(KEY, written=False)
        assert json.loads((root / PROVENANCE).read_bytes())["sha256"] == response_of("-1").sha256

    @pytest.mark.parametrize("foreign", [False, True], ids=["of a run that died", "of another program"])
    def test_provenance_is_never_that_of_another_body(self, root: Path, *, foreign: bool) -> None:
        """An object without provenance does not get that of another body for the same interval."""
        store(root, response_of("-1"))
        (root / PROVENANCE).unlink()
        if foreign:
            (root / KEY).write_bytes(b"something else")
        assert store(root, response_of("-2")).key != KEY
        assert not (root / PROVENANCE).exists()

    @pytest.mark.skipif(shutil.which("gzip") is None, reason="needs gzip")
    def test_zcat_gives_the_hashed_bytes(self, root: Path) -> None:
        """What zcat prints is what was fetched."""
        response = response_of("-0.16")
        stored = store(root, response)
        unzipped = subprocess.run(
            [str(shutil.which("gzip")), "-dc", str(root / stored.key)], check=True, capture_output=True
        ).stdout
        assert unzipped == response.body

    def test_a_location_is_the_folder_as_a_url(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same folder has the same location, given absolutely, from the working directory or from home."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        locations = {Folder(Path(name)).location for name in ("da ta", "~/da ta", f"{tmp_path}/da ta")}
        assert locations == {f"file://{tmp_path}/da%20ta"}

    def test_one_folder_is_one_archive_however_it_is_spelled(
        self,
        tmp_path: Path,
        feed: SimulatedFeed,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Relative, through a link, from home or with "..": the same Valkey, in use by another, knows what is there."""
        (tmp_path / "data").mkdir()
        (tmp_path / "link").symlink_to("data")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        with embedded_valkey(tmp_path / "link" / ".valkey") as url, redis.Redis.from_url(url) as client:
            for spelling in ("data", "./data", "data/", "x/../data", "link", "~/link/../data", str(tmp_path / "link")):
                assert main(["collect", "--local", spelling, "--api-url", feed.url]) == 0
            (registered,) = client.scan_iter("hash:*")
            assert json.loads(client.get(registered) or b"")["location"] == (tmp_path / "data").as_uri()
        printed = capsys.readouterr()
        assert printed.err.count("is archived and announced already") == 6
        results = [json.loads(line) for line in printed.out.splitlines()]
        assert [result["collected"] for result in results] == [1, 0, 0, 0, 0, 0, 0]
        assert not (tmp_path / "x").exists()

    @pytest.mark.parametrize("redis_of", ["its own", "another"])
    def test_a_link_to_itself_is_no_folder(
        self, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str], redis_of: str
    ) -> None:
        """A link that goes in a circle ends the run in a result that names it."""
        (tmp_path / "circle").symlink_to("circle")
        given = ["--redis-url", redis_url] if redis_of == "another" else []
        with SimulatedFeed(seed=307) as feed:
            assert main(["collect", "--local", str(tmp_path / "circle"), "--api-url", feed.url, *given]) == 1
        (error,) = json.loads(capsys.readouterr().out)["errors"]
        assert error["code"] == ("archive_refused" if given else "valkey_not_started")
        assert str(tmp_path / "circle") in error["message"]
