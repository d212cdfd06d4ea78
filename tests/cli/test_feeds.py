"""The commands by feed: which there are, how one is named, and what is said where it is none."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from miso_archive.cli.app import app, main
from miso_archive.feeds import FEEDS, KNOWN
from miso_archive.store.folder import Folder
from miso_archive.store.layout import quarantine_key
from miso_archive.store.response import Response
from tests.cli.small_archive import NOON, printed
from tests.cli.test_app import wrong_usage
from tests.feeds.archived import put_recorded

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow("runs each command of each feed")

ONE = ("read", "replay", "validate", "backfill")
SEVERAL = ("collect", "coverage", "compact", "simulate", "status")
BY_FEED = (*ONE, *SEVERAL)


class TestList:
    def test_all_are_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`feeds` prints each feed as it is typed, its title, tables, dataset and address."""
        listed = json.loads(printed(capsys, "feeds", "--format", "json"))
        assert [row["feed"] for row in listed] == list(KNOWN)
        for row, feed in zip(listed, KNOWN.values(), strict=True):
            assert row["tables"].split(", ") == [table.name for table in feed.contract.tables]
            assert (row["title"], row["dataset"], row["address"]) == (feed.title, feed.dataset, feed.url)

    def test_a_table_says_nothing_of_times(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A line a feed, and their number."""
        _, *lines, last = printed(capsys, "feeds").splitlines()
        assert [line.split()[0] for line in lines] == list(KNOWN)
        assert last == f"{len(KNOWN)} rows"


class TestNames:
    @pytest.mark.parametrize("command", [name for name in app if not name.startswith("-")])
    def test_help_offers_them(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """--help of each command that is by feed lists their names, and `all` where several can be named."""
        main([command, "--help"])
        shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
        known = FEEDS if command == "simulate" else KNOWN
        offered = f"[choices: {', '.join((*known, 'all') if command in SEVERAL else known)}]"
        assert (offered in shown) == (command in BY_FEED)

    @pytest.mark.parametrize("name", ["nope", "miso_fuel_mix", "FuelMix", "fuel-mix", "a\nb", "\x1b[2J"])
    @pytest.mark.parametrize("command", BY_FEED)
    def test_a_wrong_one_is_told(self, command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What is no feed is wrong usage, told in one line with those that are."""
        told = wrong_usage(capsys, command, *(["file"] if command == "validate" else []), "--feed", name)
        assert "is no feed: it is one of " in told
        assert ", ".join(FEEDS) in told
        assert ("or all" in told) == (command in SEVERAL)

    @pytest.mark.parametrize("words", [["--feed"], ["--feed="], ["--feed", ","]])
    @pytest.mark.parametrize("command", SEVERAL)
    def test_none_is_told(self, command: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """So is an option without a name: nothing is collected, counted or compacted by mistake."""
        assert "it names none of reserve, " in wrong_usage(capsys, command, *words)

    @pytest.mark.parametrize("command", ONE)
    def test_all_are_not_one(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A command on one feed says of `all` which it takes."""
        told = wrong_usage(capsys, command, *(["file"] if command == "validate" else []), "--feed", "all")
        assert "'all' is no feed" in told

    def test_several_have_no_address_of_one(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """--api-url names the address of one feed alone."""
        words = ("--feed", "all", "--local", str(tmp_path / "none"), "--api-url", "http://127.0.0.1:9/")
        told = wrong_usage(capsys, "collect", *words)
        assert "--api-base" in told
        assert not (tmp_path / "none").exists()


class TestValidate:
    @pytest.mark.parametrize("name", FEEDS)
    def test_an_archive_of_several_is_checked_by_feed(
        self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of an archive the bodies of the feed alone are judged by its contract, refused ones among them."""
        put_recorded(Folder(tmp_path))
        feed = FEEDS[name]
        refused = Response(b"{}", NOON + timedelta(days=70), "http://127.0.0.1/", "application/json")
        for other in FEEDS.values():
            body = tmp_path / f"{quarantine_key(other, refused)}.body.gz"
            body.parent.mkdir(parents=True)
            body.write_bytes(gzip.compress(refused.body))
        assert main(["validate", "--json", "--feed", name, str(tmp_path)]) == 1
        verdicts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(feed.dataset in one["file"], one["valid"]) for one in verdicts] == [(True, False), (True, True)]

    def test_a_body_of_another_feed_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A file is judged by the feed that is named, whatever it is."""
        assert main(["validate", str(FEEDS["fuel_mix"].recorded)]) == 1
        assert ": refused" in capsys.readouterr().out
        assert printed(capsys, "validate", "--feed", "fuel_mix", str(FEEDS["fuel_mix"].recorded)).endswith("8 fuels\n")
