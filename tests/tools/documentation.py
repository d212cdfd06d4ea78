"""The documentation's generated parts, made from the code: ``python -m tests.tools.documentation`` writes them.

With names of parts it writes those only, on whichever pages they stand.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import yaml

import miso_archive
from miso_archive.cli.app import app
from miso_archive.collecting.announcement import Announcement
from miso_archive.collecting.result import RunResult
from miso_archive.contract.findings import FailureCode, RefusalCode, WarningCode
from miso_archive.feeds.columns import COVERAGE_COLUMNS, DAILY_COVERAGE_COLUMNS
from miso_archive.feeds.reserve import RESERVE
from miso_archive.health.status import Status, status, told
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.settings.options import PartsSettings, Settings, environment_variable, option_name
from miso_archive.simulate import snapshot_body
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_refused, store_snapshot
from miso_archive.store.response import Response
from tests.bench.notebooks import RECORD as NOTEBOOKS
from tests.bench.read_table import RECORD as READING
from tests.bench.read_table import documented
from tests.bench.start import RECORD as STARTS
from tests.soak.outcome import RECORD, Outcome
from tests.tools.adding_a_feed import deployment_of_the_fuel_mix, file_of_the_fuel_mix, kinds
from tests.tools.feed_pages import every_frame, feeds, sections
from tests.tools.jitter import RECORD as MONTHS
from tests.tools.markdown import columns, table

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())
README: Final = "README.md"
PAGES: Final = tuple(
    f"docs/{name}.md"
    for name in (
        *("install", "collect", "archive", "feeds", "read", "heal"),
        *("prefect", "operate", "codes", "measured", "design", "adding-a-feed"),
    )
)
"""The documentation, in the order in which it is read."""

VALIDATED: Final = "data/sourcing/miso_binding_constraints_reserve/2001-01-02/*_072*.json.gz"
STATUS_AT: Final = datetime(2001, 1, 2, 2, 13, tzinfo=EST)
STATUS_MISSES: Final = STATUS_AT.replace(hour=1, minute=20)

_LINES_OF_README: Final = 7
_PART: Final = re.compile(r"(?P<start><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def options() -> str:
    """Return the table of what `collect` takes: which feed, then the settings in their order."""
    rows = [(name, "-", default, meaning) for name, default, meaning in _own("collect", _of_the_settings())]
    for field, info in Settings.model_fields.items():
        variable = environment_variable(field)
        default = "none" if info.default is None else f"`{info.default}`"
        rows.append((f"`{option_name(field)}`", f"`{variable}`" if variable else "-", default, info.description or ""))
    return table(("Option", "Environment", "Default", "Meaning"), rows)


def commands() -> str:
    """Return the table of the program's commands, with the sentence that each begins its help with."""
    found = {name: app[name].help.partition("\n\n")[0] for name in app if not name.startswith("-")}
    rows = ((f"`{app.name[0]} {name}`", " ".join(help_text.split())) for name, help_text in found.items())
    return table(("Command", "What it does"), rows)


def own_options(command: str) -> str:
    """Return the table of a command's options, without those that it shares with `collect`'s settings."""
    return table(("Option", "Default", "Meaning"), _own(command, _of_the_settings() - {"--timeout"}))


def _of_the_settings() -> set[str]:
    return {option_name(field) for field in Settings.model_fields}


def _own(command: str, shared: set[str]) -> list[tuple[str, str, str]]:
    arguments = app[command].assemble_argument_collection(parse_docstring=True)
    rows = []
    for argument in arguments:
        name, default = argument.name, argument.field_info.default
        if argument.show and name.startswith("--") and name not in shared:
            meaning = " ".join((argument.parameter.help or "").split())
            rows.append((f"`{name}`", "required" if argument.required else _shown(default), meaning))
    return rows


def _shown(default: object) -> str:
    if default is None or default is False:
        return "-"
    return f"`{','.join(default) if isinstance(default, tuple) else default}`"


def codes(kind: type[RefusalCode | WarningCode | FailureCode]) -> str:
    """Return the table of one kind of codes."""
    return table(("Code", "Meaning"), ((f"`{code.value}`", code.meaning) for code in kind))


def fields(model: type[RunResult | Announcement | Status]) -> str:
    """Return the table of a model's fields."""
    rows = ((f"`{name}`", info.description or "") for name, info in model.model_fields.items())
    return table(("Field", "Meaning"), rows)


def status_screen() -> str:
    """Return what ``miso-archive status`` says of a simulated archive within its day; one interval is missing."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "data")
        archive = Folder(folder)
        midnight = STATUS_AT.replace(hour=0, minute=0)
        for end in (midnight + number * INTERVAL for number in range(1, (STATUS_AT - midnight) // INTERVAL + 1)):
            body = b'{"error":"no data"}' if end == STATUS_MISSES else snapshot_body(end, seed=30)
            response = Response(body, end + timedelta(seconds=80), "simulated", "application/json")
            verdict = RESERVE.examine(body)
            if verdict.snapshot is None:
                store_refused(archive, RESERVE, response, verdict.reasons)
            else:
                store_snapshot(archive, RESERVE, verdict.snapshot, response)
        settings = PartsSettings.resolve({"local": folder, "spool": Path(scratch, "spool")}, {})
        found = status(settings, RESERVE, stale_after=timedelta(minutes=15), now=STATUS_AT)
    shown = told(found.model_copy(update={"archive": "file:///home/me/data"}))
    return f"```console\n$ miso-archive status --local data\n{shown}```\n"


def outcome() -> Outcome:
    """Return what the last `make soak` recorded."""
    return Outcome.model_validate_json(RECORD.read_text())


def deployments() -> str:
    """Return the table of what prefect.yaml deploys."""
    rows = []
    for deployment in yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]:
        path, _, function = deployment["entrypoint"].partition(":")
        (schedule,) = deployment["schedules"]
        when = f"`{schedule['cron']}`, in EST" if "cron" in schedule else f"every {schedule['interval']} s"
        feed = f"`{deployment['parameters'].get('feed', 'reserve')}`" if function == "collect" else ""
        active = "yes" if schedule["active"] else "no"
        rows.append((f"`{function}/{deployment['name']}`", feed, when, active, f"`{path}`"))
    return table(("Deployment", "Feed", "Schedule", "Active", "File"), rows)


def rooms() -> str:
    """Return the table of the library's rooms: its packages and the modules that are rooms of their own."""
    return _described(Path(miso_archive.__file__).parent, ("Room", "What it is for", "Files"))


def layers() -> str:
    """Return the layers in which the rooms stand, as `make check` holds them: what is above imports what is below."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (held,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return "```\n" + "".join(f"{layer}\n" for layer in held) + "```\n"


def flows() -> str:
    """Return the table of the files of flows/."""
    return _described(PROJECT / "flows", ("File", "What it is for"))


def _described(folder: Path, head: tuple[str, ...]) -> str:
    rows = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stem):
        documented = path / "__init__.py" if path.is_dir() else path
        if path.name.startswith("_") or documented.suffix != ".py" or not documented.is_file():
            continue
        first = (ast.get_docstring(ast.parse(documented.read_text())) or "").partition("\n")[0].replace("``", "`")
        files = ", ".join(f"`{file.stem}`" for file in sorted(path.glob("[a-z]*.py")))
        link = f"[`{path.stem}`](../{path.relative_to(PROJECT)})"
        rows.append((link, first, files)[: len(head)])
    return table(head, rows)


def targets() -> str:
    """Return the table of what can be made."""
    found = re.findall(r"^([a-z-]+):.*## (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    return table(("Command", "What it does"), ((f"`make {name}`", what) for name, what in found))


def extras() -> str:
    """Return the table of extras, with the packages that each asks for, and the extras that it includes."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    rows = []
    for extra, requirements in asked.items():
        names = [re.split(r"[<>=~!; ]", requirement)[0] for requirement in requirements]
        own = f"{project['name']}["
        names = [
            f"all of {name[len(own) : -1].replace(',', ' and ')}" if name.startswith(own) else name for name in names
        ]
        rows.append((f"`pip install '.[{extra}]'`" if extra else "`pip install .`", ", ".join(names)))
    return table(("Install", "Asks for"), rows)


def pages() -> str:
    """Return the index: each page with the sentence that it begins with."""
    rows = []
    for page in PAGES:
        title, _, rest = (PROJECT / page).read_text().removeprefix("# ").partition("\n\n")
        rows.append((f"[{title}]({page})", " ".join(rest.partition("\n\n")[0].split())))
    return table(("Page", "What it is for"), rows)


@dataclass(frozen=True)
class Demo:
    """What the demo prints, and what three commands print of what it stored."""

    printed: str
    validated: str
    covered: str
    read: str

    def whole(self) -> str:
        """Return the demo, the check of what it stored, and what is missing of that day."""
        command = "$ .venv/bin/miso-archive"
        return (
            f"```console\n$ make demo\n{self.printed}\n{command} validate {VALIDATED}\n{self.validated}"
            f"\n{command} coverage --feed all --local data\n{self.covered}```\n"
        )

    def beginning(self) -> str:
        """Return the first lines of the demo, and of the prices that it stored."""
        printed, read = (
            "".join(text.splitlines(keepends=True)[:_LINES_OF_README]) for text in (self.printed, self.read)
        )
        last = self.printed.splitlines()[-1]
        command = "$ .venv/bin/miso-archive read --local data"
        return f"```console\n$ make demo\n{printed}...\n{last}\n\n{command}\n{read}...\n```\n"


def demo(folder: Path) -> Demo:
    """Run the demo in a folder, and the commands on what it stored."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "miso_archive"]
    printed = _output([sys.executable, "-m", "flows.demo", "data"], folder, environment)
    files = sorted(str(path.relative_to(folder)) for path in folder.glob(VALIDATED))
    return Demo(
        printed,
        validated=_output([*command, "validate", *files], folder, environment),
        covered=_output([*command, "coverage", "--feed", "all", "--local", "data"], folder, environment),
        read=_output([*command, "read", "--local", "data"], folder, environment),
    )


def _output(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


PARTS: Final[dict[tuple[str, str], Callable[[], str]]] = {
    (README, "feeds"): feeds,
    (README, "soak"): lambda: f"```\n{outcome().line()}\n```\n",
    (README, "pages"): pages,
    ("docs/install.md", "extras"): extras,
    ("docs/install.md", "commands"): commands,
    ("docs/collect.md", "options"): options,
    ("docs/collect.md", "result"): lambda: fields(RunResult),
    ("docs/collect.md", "announcement"): lambda: fields(Announcement),
    ("docs/collect.md", "validate"): lambda: own_options("validate"),
    ("docs/collect.md", "simulate"): lambda: own_options("simulate"),
    ("docs/feeds.md", "sections"): sections,
    ("docs/read.md", "feeds-command"): lambda: own_options("feeds"),
    ("docs/read.md", "read"): lambda: own_options("read"),
    ("docs/read.md", "coverage-command"): lambda: own_options("coverage"),
    ("docs/read.md", "report"): lambda: own_options("report"),
    ("docs/read.md", "compact"): lambda: own_options("compact"),
    ("docs/read.md", "every-frame"): every_frame,
    ("docs/read.md", "coverage"): lambda: columns(COVERAGE_COLUMNS),
    ("docs/read.md", "daily-coverage"): lambda: columns(DAILY_COVERAGE_COLUMNS),
    ("docs/heal.md", "backfill"): lambda: own_options("backfill"),
    ("docs/heal.md", "replay"): lambda: own_options("replay"),
    ("docs/prefect.md", "deployments"): deployments,
    ("docs/operate.md", "status"): status_screen,
    ("docs/operate.md", "status-options"): lambda: own_options("status"),
    ("docs/operate.md", "status-json"): lambda: fields(Status),
    ("docs/codes.md", "refusals"): lambda: codes(RefusalCode),
    ("docs/codes.md", "warnings"): lambda: codes(WarningCode),
    ("docs/codes.md", "failures"): lambda: codes(FailureCode),
    ("docs/measured.md", "soak"): lambda: outcome().as_markdown(),
    ("docs/measured.md", "jitter"): lambda: f"```\n{MONTHS.read_text(encoding='utf-8')}```\n",
    ("docs/measured.md", "starts"): lambda: (PROJECT / STARTS).read_text(encoding="utf-8"),
    ("docs/measured.md", "notebooks"): lambda: NOTEBOOKS.read_text(encoding="utf-8"),
    ("docs/measured.md", "reading"): lambda: documented((PROJECT / READING).read_text(encoding="utf-8")),
    ("docs/adding-a-feed.md", "fuel-mix-file"): file_of_the_fuel_mix,
    ("docs/adding-a-feed.md", "fuel-mix-deployment"): deployment_of_the_fuel_mix,
    ("docs/adding-a-feed.md", "kinds"): kinds,
    ("docs/design.md", "rooms"): rooms,
    ("docs/design.md", "layers"): layers,
    ("docs/design.md", "flows"): flows,
    ("docs/design.md", "targets"): targets,
}
"""The parts that are quick to make, by page and name."""

OF_THE_DEMO: Final[dict[tuple[str, str], Callable[[Demo], str]]] = {
    (README, "demo"): Demo.beginning,
    ("docs/install.md", "demo"): Demo.whole,
}
"""The parts that one run of the demo makes; it takes most of a minute."""


def marks(page: str) -> list[str]:
    """Return the names of a page's parts, in their order."""
    return [match["name"] for match in _PART.finditer((PROJECT / page).read_text())]


def part(page: str, name: str) -> str:
    """Return what a page has between a part's marks."""
    (found,) = (match[0] for match in _PART.finditer((PROJECT / page).read_text()) if match["name"] == name)
    return found.partition("-->\n")[2].rpartition("<!-- end -->")[0]


def main(names: list[str]) -> None:
    """Write the parts of these names anew, or every one."""
    makers = dict(PARTS)
    if unknown := set(names) - {name for _, name in (*PARTS, *OF_THE_DEMO)}:
        raise SystemExit(f"no page has a generated part named {', '.join(sorted(unknown))}")
    if not names or any(name in names for _, name in OF_THE_DEMO):
        with TemporaryDirectory() as folder:
            shown = demo(Path(folder))
        makers |= {place: lambda make=make: make(shown) for place, make in OF_THE_DEMO.items()}  # type: ignore[misc]
    # README's index quotes the pages: they come first.
    for page in (*PAGES, README):
        made = {name: make() for (where, name), make in makers.items() if where == page and name in (names or [name])}

        def written(match: re.Match[str], made: dict[str, str] = made) -> str:
            return match["start"] + made[match["name"]] + match["end"] if match["name"] in made else match[0]

        (PROJECT / page).write_text(_PART.sub(written, (PROJECT / page).read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
