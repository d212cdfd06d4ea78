"""README's generated parts, made from the code: ``python -m tests.readme`` writes them, a test holds them.

With names of parts it writes those only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from miso_reserve.archive import store_refused, store_snapshot
from miso_reserve.collection import RunResult
from miso_reserve.columns import CONSTRAINT_COLUMNS, COVERAGE_COLUMNS, SNAPSHOT_COLUMNS, Column
from miso_reserve.findings import FailureCode, RefusalCode, WarningCode
from miso_reserve.interval import EST, INTERVAL
from miso_reserve.local_archive import open_folder
from miso_reserve.notify import Announcement
from miso_reserve.reserve import RESERVE
from miso_reserve.response import Response
from miso_reserve.settings import PartsSettings, Settings, environment_variable, option_name
from miso_reserve.simulate import snapshot_body
from miso_reserve.status import status, told
from tests.soak.outcome import RECORD, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROJECT: Final = Path(__file__).parent.parent
README: Final = PROJECT / "README.md"
VALIDATED: Final = "data/sourcing/miso_binding_constraints_reserve/2001-01-02/*_072*.json.gz"

STATUS_AT: Final = datetime(2001, 1, 2, 2, 13, tzinfo=EST)
STATUS_MISSES: Final = STATUS_AT.replace(hour=1, minute=20)

_PART: Final = re.compile(r"(?P<start><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def options() -> str:
    """Return the table of options, in the settings' order."""
    rows = []
    for field, info in Settings.model_fields.items():
        variable = environment_variable(field)
        default = "none" if info.default is None else f"`{info.default}`"
        rows.append((f"`{option_name(field)}`", f"`{variable}`" if variable else "-", default, info.description or ""))
    return table(("Option", "Environment", "Default", "Meaning"), rows)


def codes(kind: type[RefusalCode | WarningCode | FailureCode]) -> str:
    """Return the table of one kind of codes."""
    return table(("Code", "Meaning"), ((f"`{code.value}`", code.meaning) for code in kind))


def columns(described: tuple[Column, ...]) -> str:
    """Return the table of a frame's columns."""
    rows = ((f"`{name}`", f"`{dtype}`", unit, meaning) for name, dtype, unit, meaning in described)
    return table(("Column", "Type", "Unit", "Meaning"), rows)


def fields(model: type[RunResult | Announcement]) -> str:
    """Return the table of a model's fields."""
    rows = ((f"`{name}`", info.description or "") for name, info in model.model_fields.items())
    return table(("Field", "Meaning"), rows)


def status_screen() -> str:
    """Return what ``miso-reserve status`` says of a simulated archive within its day; one interval is missing."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "data")
        archive = open_folder(folder)
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
        found = status(settings, stale_after=timedelta(minutes=15), now=STATUS_AT)
    shown = told(found.model_copy(update={"archive": "file:///home/me/data"}))
    return f"```console\n$ miso-reserve status --local data\n{shown}```\n"


def soak() -> str:
    """Return what the last `make soak` recorded."""
    return Outcome.model_validate_json(RECORD.read_text()).as_markdown()


def demo(folder: Path) -> str:
    """Run the demo in a folder, and return the two commands with what they print."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    printed = _output([sys.executable, "-m", "flows.demo", "data"], folder, environment)
    files = sorted(str(path.relative_to(folder)) for path in folder.glob(VALIDATED))
    validated = _output([sys.executable, "-m", "miso_reserve", "validate", *files], folder, environment)
    coverage = ("coverage", "--local", "data")
    covered = _output([sys.executable, "-m", "miso_reserve", *coverage], folder, environment)
    command = "$ .venv/bin/miso-reserve"
    return (
        f"```console\n$ make demo\n{printed}\n{command} validate {VALIDATED}\n{validated}"
        f"\n{command} {' '.join(coverage)}\n{covered}```\n"
    )


def _output(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=400)
    return done.stdout


PARTS: Final[dict[str, Callable[[], str]]] = {
    "options": options,
    "result": lambda: fields(RunResult),
    "announcement": lambda: fields(Announcement),
    "constraints": lambda: columns(CONSTRAINT_COLUMNS),
    "snapshots": lambda: columns(SNAPSHOT_COLUMNS),
    "coverage": lambda: columns(COVERAGE_COLUMNS),
    "refusals": lambda: codes(RefusalCode),
    "warnings": lambda: codes(WarningCode),
    "failures": lambda: codes(FailureCode),
    "status": status_screen,
    "soak": soak,
}
"""The parts that are quick to make; the demo's takes most of a minute."""


def part(text: str, name: str) -> str:
    """Return what README has between a part's marks."""
    (found,) = (match[0] for match in _PART.finditer(text) if match["name"] == name)
    return found.partition("-->\n")[2].rpartition("<!-- end -->")[0]


def main(names: list[str]) -> None:
    """Write the parts of these names anew, or every one."""
    with TemporaryDirectory() as folder:
        makers = PARTS | {"demo": lambda: demo(Path(folder))}
        made = {name: makers[name]() for name in names or makers}

    def written(match: re.Match[str]) -> str:
        return match["start"] + made[match["name"]] + match["end"] if match["name"] in made else match[0]

    README.write_text(_PART.sub(written, README.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
