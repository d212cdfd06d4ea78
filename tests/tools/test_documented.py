"""The documentation names all there is, and leads nowhere that is not there."""

from __future__ import annotations

import ast
import pkgutil
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

import miso_archive
from flows import serve, up
from miso_archive.cli.app import app
from miso_archive.contract.findings import FailureCode, RefusalCode, WarningCode
from miso_archive.feeds import FEEDS, KNOWN
from miso_archive.feeds.columns import coverage_of, schema_of, tables_of
from miso_archive.feeds.feed import Feed
from miso_archive.healing import backfilled
from miso_archive.healing.replay import ReplayResult
from miso_archive.health.status import Part, Today
from miso_archive.reading import compaction
from miso_archive.reading.coverage import MISSING
from miso_archive.reading.fetch_times import FETCH_TIMES
from miso_archive.simulate import FAULTS
from miso_archive.simulate.archive import write_archive
from tests.tools.documentation import OF_THE_DEMO, PAGES, PARTS, PROJECT, README, own_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cyclopts import App

pytestmark = pytest.mark.slow("runs each command, and imports all there is")

DOCUMENTS = (README, *PAGES, "CONTRIBUTING.md", "CHANGELOG.md")

VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]+FILE")
# What an open file is made of, and headings of one of MISO's reports.
NO_VARIABLES = {"O_TMPFILE", "CONSTRAINT_NAME", "MARKET_HOUR_EST", "PRELIMINARY_SHADOW_PRICE"}


def text_of(page: str) -> str:
    """What a file of the repository says."""
    return (PROJECT / page).read_text()


def unnamed(words: Iterable[str], pattern: str = r"(?<![\w-]){}(?![\w-])") -> list[str]:
    """Return the words that no page of docs/ has."""
    pages = "\n".join(map(text_of, PAGES))
    return [word for word in words if not re.search(pattern.replace("{}", re.escape(word)), pages)]


def columns_told(text: str) -> dict[str, str]:
    """Return the columns of the first table of columns in a text, each with its type."""
    (table,) = re.findall(r"^\| Column \| Type \|.*\n(?:\|.*\n)+", text, re.MULTILINE)[:1]
    return dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", table, re.MULTILINE))


def commands() -> list[str]:
    """The program's commands."""
    return [name for name in app if not name.startswith("-")]


def variables_of(file: Path) -> Iterator[str]:
    """Give what may be an environment variable in a source file: upper case is for those, and for MISO's own words."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    # What a module offers stands as text in its __all__.
    offered = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
            yield from {node.value} - offered


class TestNamesAll:
    def test_pages(self) -> None:
        """Every page is in the index, and every page of the index is there."""
        assert sorted(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("docs/**/*.md")) == sorted(PAGES)

    def test_commands(self) -> None:
        """Every command of the program is named as it is typed."""
        assert len(commands()) > 8
        assert unnamed(f"{app.name[0]} {command}" for command in commands()) == []

    @pytest.mark.parametrize("command", commands())
    def test_options(self, command: str) -> None:
        """Every option of every command is named; the --no-... of a flag is left to --help."""
        arguments = [argument for argument in app[command].assemble_argument_collection() if argument.show]
        options = [name for argument in arguments for name in argument.names if name not in argument.negatives]
        assert command != "collect" or "--local" in options
        assert unnamed(option for option in options if option.startswith("--")) == []
        # Its own stand in one table, so that no other command's stand for them; collect's with the settings.
        assert command == "collect" or any(own_options(command) in text_of(page) for page in PAGES)

    @pytest.mark.parametrize("program", [serve.app, up.app], ids=["flows.serve", "flows.up"])
    def test_options_of_the_flows_programs(self, program: App) -> None:
        """So is every option of the programs that Makefile and readers start from flows/."""
        options = [name for argument in program.assemble_argument_collection() for name in argument.names]
        assert "--seed" in options or "--every" in options
        assert unnamed(option for option in options if option.startswith("--") and option != "--folder") == []

    def test_columns_and_fields(self) -> None:
        """Every column of a frame, and every field of a result, that no generated table has is named as code."""
        frames = (MISSING, FETCH_TIMES, compaction.RESULTS, backfilled.RESULTS)
        models = (ReplayResult, Part, Today)
        names = {name for frame in frames for name in frame} | {name for one in models for name in one.model_fields}
        assert {"lag_minutes", "still_refused"} <= names
        assert unnamed(sorted(names), "`{}`") == []

    def test_faults(self) -> None:
        """Every fault of the simulated feed is listed, in its order."""
        assert f"`{' '.join(FAULTS)}`" in " ".join(text_of("docs/collect.md").split())

    def test_codes(self) -> None:
        """Every code of a refusal, a warning or a failure is listed."""
        codes = [code.value for kind in (RefusalCode, WarningCode, FailureCode) for code in kind]
        assert unnamed(codes, r"\| `{}` \|") == []

    def test_feeds(self) -> None:
        """Every feed that a module of the library makes is registered; it has a section, and a line in README."""
        found = set()
        for module in pkgutil.walk_packages(miso_archive.__path__, "miso_archive."):
            if not module.name.endswith("__main__"):
                found |= {value.name for value in vars(import_module(module.name)).values() if isinstance(value, Feed)}
        assert found == set(KNOWN)
        for feed in KNOWN.values():
            (line,) = re.findall(
                rf"^\| \[{re.escape(feed.title)}\]\((.*?)\) \| `{feed.name}` \|.*", text_of(README), re.MULTILINE
            )
            assert resolves(README, line)
            assert line.partition("#")[2] in anchors(f"## {feed.title}")

    @pytest.mark.parametrize("name", KNOWN)
    def test_tables_and_columns_of_feeds(self, name: str) -> None:
        """The section of a feed has its address and dataset, each of its tables, and each column of each frame."""
        feed = KNOWN[name]
        (section,) = re.findall(
            rf"^## {re.escape(feed.title)}\n(.*?)(?=^## )", text_of("docs/feeds.md"), re.MULTILINE | re.DOTALL
        )
        assert feed.url in section
        assert f"`{feed.dataset}`" in section
        everywhere = columns_told(text_of("docs/read.md").partition("## The columns of every frame")[2])
        for table in tables_of(feed):
            (part,) = re.findall(rf"^`{table}`, one row a .*?\n\n((?:\|.*\n)+)", section, re.MULTILINE)
            frame = {column: str(dtype) for column, dtype in schema_of(feed, table).items()}
            assert frame.items() <= (everywhere | columns_told(part)).items()
            assert set(columns_told(part)) <= set(frame)

    def test_columns_of_coverage(self) -> None:
        """Each column of the coverage of any feed stands in its table."""
        told = columns_told(text_of("docs/read.md").partition("## `coverage`: ")[2])
        for feed in FEEDS.values():
            assert {column: str(dtype) for column, dtype in coverage_of(feed).items()}.items() <= told.items()

    def test_deployments(self) -> None:
        """Every deployment of prefect.yaml is named with its flow, as Prefect's commands take it."""
        deployed = yaml.safe_load(text_of("prefect.yaml"))["deployments"]
        assert len(deployed) > 3
        assert unnamed(f"{one['entrypoint'].partition(':')[2]}/{one['name']}" for one in deployed) == []

    def test_environment_variables(self) -> None:
        """Every variable that library, flows or notebooks read or set is named."""
        sources = [file for folder in ("src", "flows") for file in (PROJECT / folder).rglob("*.py")]
        found = {variable for file in sources for variable in variables_of(file)} - NO_VARIABLES
        for file in sources:  # one of a single word
            found |= set(re.findall(r"environ(?:\.\w+\(|\[)\"([A-Z_]+)\"", file.read_text()))
        for notebook in (PROJECT / "notebooks").glob("*.ipynb"):
            found |= set(re.findall(r"environ[^A-Z\n]*([A-Z_]+)", notebook.read_text()))
        assert {"MISO_API_URL", "MISO_ARCHIVE", "MISO_CHARTS", "MISO_TASK_RUNNER", "SSLKEYLOGFILE"} <= found
        assert unnamed(sorted(found)) == []

    def test_what_can_be_made(self) -> None:
        """Every target of the Makefile is named as it is typed, and every variable that it takes."""
        makefile = text_of("Makefile")
        targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
        assert sorted(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()) == sorted(targets)
        variables = re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE)
        assert len(targets) > 10
        assert {"DATA", "FEED", "SPEED"} <= set(variables)
        assert unnamed(f"make {target}" for target in targets) == []
        assert unnamed(variables, r"`{}`|[` ]{}=") == []

    def test_extras(self) -> None:
        """Every extra is named in the command that installs it."""
        extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
        assert unnamed(extras, r"pip install '\.\[{}\]'") == []


class TestShown:
    @pytest.mark.parametrize("page", DOCUMENTS)
    def test_commands_are_there(self, page: str) -> None:
        """Whatever command of ours a page shows is one, with options that it has; so is what it says to make."""
        targets = re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE)
        assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text_of(page))) <= set(targets)
        for command, rest in re.findall(r"(?:`|\$ |bin/)miso-archive ([a-z]+)([^\n`|]*)", text_of(page)):
            assert command in commands()
            known = {name for argument in app[command].assemble_argument_collection() for name in argument.names}
            assert set(re.findall(r"(?<!\S)--[a-z0-9-]+", rest)) <= known

    def test_they_are_found(self) -> None:
        """Of each kind there are many."""
        shown = "".join(map(text_of, DOCUMENTS))
        assert len(re.findall(r"(?:`|\$ )make [a-z-]+", shown)) > 30
        assert len(re.findall(r"(?:`|\$ |bin/)miso-archive [a-z]+", shown)) > 30


class TestReadme:
    def test_is_a_door(self) -> None:
        """README has at most 150 lines; the rest is in docs/."""
        assert len(text_of(README).splitlines()) <= 150

    def test_is_what_the_package_shows(self) -> None:
        """The package's metadata takes README as its description."""
        assert tomllib.loads(text_of("pyproject.toml"))["project"]["readme"] == README

    def test_its_python_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The lines that read an archive run as they stand there, in eight lines at most."""
        (code,) = re.findall("```python\n(.*?)```", text_of(README), re.DOTALL)
        assert len([line for line in code.splitlines() if line]) <= 8
        write_archive(tmp_path / "data", days=2, seed=11)
        monkeypatch.chdir(tmp_path)
        exec(compile(code, README, "exec"), {})  # noqa: S102 - our own lines
        printed = capsys.readouterr().out
        assert printed.count("shape: (") == 2


class TestGeneratedParts:
    def test_marks_and_makers_are_the_same(self) -> None:
        """A mark without a maker is never written, and a maker without a mark makes nothing: there is neither."""
        found = [(page, name) for page in DOCUMENTS for name in re.findall(r"<!-- generated: (.*?) -->", text_of(page))]
        assert sorted(found) == sorted([*PARTS, *OF_THE_DEMO])

    @pytest.mark.parametrize("page", DOCUMENTS)
    def test_every_mark_has_its_end(self, page: str) -> None:
        """Beginnings and ends take turns."""
        kinds = re.findall(r"<!-- (generated|end)\b", text_of(page))
        assert kinds == ["generated", "end"] * (len(kinds) // 2)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.*)$", without_code(text), re.MULTILINE):
        words = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
        if found[anchor]:
            found[f"{anchor}-{found[anchor]}"] = 0
    return set(found)


def without_code(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^ *(```+)[^\n]*\n.*?^ *\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """Return the targets of links and images, none of what stands in code."""
    plain = re.sub(r"`[^`\n]*`", "", without_code(text))
    return re.findall(r"\]\(\s*<?([^)\s>]+)", plain) + re.findall(r"^\[[^]]+\]:\s*(\S+)", plain, re.MULTILINE)


def dead(page: str) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    return [link for link in links(text_of(page)) if not re.match(r"[a-z]+:", link) and not resolves(page, link)]


def resolves(page: str, link: str) -> bool:
    """Tell whether a relative link leads to something that is there."""
    path, _, anchor = link.partition("#")
    target = ((PROJECT / page).parent / path).resolve() if path else PROJECT / page
    if not target.is_relative_to(PROJECT) or not target.exists():
        return False
    if not anchor:
        return "#" not in link
    if target.suffix == ".md":
        return anchor in anchors(target.read_text())
    lines = re.fullmatch(r"L(\d+)(?:-L(\d+))?", anchor)
    if lines is None or not target.is_file():
        return False
    return int(lines[2] or lines[1]) <= len(target.read_text().splitlines())


class TestLinks:
    @pytest.mark.parametrize("page", DOCUMENTS)
    def test_none_is_dead(self, page: str) -> None:
        """Every relative link leads to a file or folder of the repository, every anchor to a heading or a line."""
        assert dead(page) == []

    def test_files_and_modules_are_there(self) -> None:
        """Whatever file or module of ours a page, a comment or a message names is there."""
        files = [file for folder in ("src", "flows", "tests") for file in (PROJECT / folder).rglob("*.py")]
        named = [PROJECT / page for page in (*DOCUMENTS, "Makefile", "prefect.yaml", "pyproject.toml")]
        gone = []
        for file in {*files, *named} - {Path(__file__)}:
            text = file.read_text()
            paths = re.findall(r"(?<![\w/.-])((?:src|flows|tests|docs|notebooks)/[\w/.-]*\w)(?![\w{*])", text)
            modules = re.findall(r"-m ((?:flows|tests|miso_archive)\b[\w.]*\w)", text)
            places = [
                *paths,
                *(re.sub("^miso_archive", "src/miso_archive", name).replace(".", "/") for name in modules),
            ]
            gone += [
                (file.name, place)
                for place in places
                if not any((PROJECT / f"{place}{end}").exists() for end in ("", ".py"))
            ]
        assert gone == []

    def test_there_are_many(self) -> None:
        """Links are found where they are: README leads to every page, and pages to anchors of others."""
        assert set(PAGES) <= {link.partition("#")[0] for link in links(text_of(README))}
        assert len([link for page in PAGES for link in links(text_of(page)) if ".md#" in link]) > 20

    @pytest.mark.parametrize(
        "link",
        [
            *("docs/nothing.md", "docs/read.md#nothing", "#nothing", "..", "docs/read.md#"),
            *("Makefile#L9999", "Makefile#anchor", "docs#L1"),
        ],
    )
    def test_a_dead_one_is_seen(self, link: str) -> None:
        """A missing file, heading or line is dead, and so is what lies outside the repository."""
        assert not resolves(README, link)

    @pytest.mark.parametrize("link", ["docs", "#what-it-promises", "Makefile#L1", "Makefile#L1-L3", "docs/read.md"])
    def test_a_living_one_is_not(self, link: str) -> None:
        """Folders, headings and lines that are there."""
        assert resolves(README, link)

    def test_anchors_are_githubs(self) -> None:
        """Lower case, without punctuation, hyphens for blanks, a number from the second on; code is no heading."""
        text = "# What Prefect's UI shows\n## `a_b`: or [two](x.md)\n```\n# no\n```\n## Twice\n## Twice\n## A  b - c\n"
        expected = {"what-prefects-ui-shows", "a_b-or-two", "twice", "twice-1", "a--b---c"}
        assert anchors(text) == expected
