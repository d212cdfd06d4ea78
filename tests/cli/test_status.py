"""The command that tells how the collection stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from miso_archive.cli.app import main
from miso_archive.feeds import FEEDS
from miso_archive.health.status import Status
from miso_archive.simulate import snapshot_body
from tests.health.collected import ends, keep
from tests.services.valkey import embedded_valkey

if TYPE_CHECKING:
    from pathlib import Path


class TestCommand:
    def test_one_screen(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The screen names what matters, and the exit code of a stale archive is 1."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        assert main(["status", "--local", str(tmp_path)]) == 1
        screen = capsys.readouterr().out
        for fact in (
            "2026-07-27 08:10 EST",
            "STALE",
            "refused",
            "drift",
            "not announced",
            "embedded",
            "not configured",
        ):
            assert fact in screen

    def test_json_for_monitors(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One JSON object with the same facts; a fresh archive exits with 0."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        ten_years = str(60 * 24 * 3650)
        assert main(["status", "--local", str(tmp_path), "--stale-after", ten_years, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["last_interval_end"] == "2026-07-27T08:10:00-05:00"
        assert set(found) == set(Status.model_fields)

    def test_several_feeds_on_one_screen(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A line a feed, and once what is so of all: here one is collected, and the others make the exit code 1."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        assert main(["status", "--local", str(tmp_path), "--feed", "all"]) == 1
        screen = capsys.readouterr().out
        lines = {line.split()[0]: line for line in screen.splitlines() if line}
        assert [name for name in lines if name in FEEDS] == list(FEEDS)
        assert "2026-07-27 08:10 EST" in lines["reserve"]
        assert "nothing archived" in lines["fuel_mix"]
        assert [screen.count(part) for part in (str(tmp_path), "not configured")] == [1, 1]

    def test_json_of_several_feeds(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One JSON object, in it the facts of each feed by its name; one feed's stand alone, as ever."""
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        assert main(["status", "--local", str(tmp_path), "--feed", "reserve,snapshot", "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert list(found) == ["feeds"]
        assert [one["last_interval_end"] for one in found["feeds"].values()] == ["2026-07-27T08:10:00-05:00", None]
        assert main(["status", "--local", str(tmp_path), "--feed", "snapshot", "--json"]) == 1
        assert set(json.loads(capsys.readouterr().out)) == set(Status.model_fields)

    def test_parts_of_several_feeds_are_asked_once(self, tmp_path: Path) -> None:
        """Redis is that of all feeds: it is not asked for each."""
        # A server of its own: it counts whoever connects.
        with embedded_valkey() as url, Redis.from_url(url) as redis:

            def connections() -> int:
                return int(redis.info("stats")["total_connections_received"])

            before = connections()
            assert main(["status", "--local", str(tmp_path), "--feed", "all", "--redis-url", url]) == 1
            assert connections() == before + 1

    def test_json_of_a_folder_whose_name_is_no_text(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A folder may be named by any bytes, JSON is UTF-8: such a name is escaped."""
        assert main(["status", "--local", f"{tmp_path}/d\udcff", "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["archive"] == f"{tmp_path}/d\\udcff"
        assert f"there is no folder {found['archive']}" in found["parts"][0]["detail"]

    @pytest.mark.parametrize(
        "option", ["--api-url", "--timeout", "--polls", "--poll-gap", "--log-level", "--log-format"]
    )
    def test_no_option_of_the_feed(self, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What only a collecting run needs is no option of it."""
        assert main(["status", "--local", str(tmp_path), option, "1"]) == 2
        assert option in capsys.readouterr().err

    def test_the_feed_s_environment_does_not_concern_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A wrong address or time-out of the feed in the environment does not keep it from looking."""
        monkeypatch.setenv("MISO_API_URL", "no address")
        monkeypatch.setenv("MISO_TIMEOUT", "soon")
        keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1))
        assert main(["status", "--local", str(tmp_path)]) == 1
        assert "2026-07-27 08:10 EST" in capsys.readouterr().out

    @pytest.mark.parametrize("minutes", ["0", "nan", "inf", "1e300"])
    def test_wrong_usage(self, minutes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A limit that is no number of minutes is wrong usage."""
        assert main(["status", "--local", str(tmp_path), "--stale-after", minutes]) == 2
        assert "stale-after" in capsys.readouterr().err
