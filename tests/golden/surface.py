"""What stands in the code for users to meet: help, public names, columns, codes, settings, flows and deployments."""

from __future__ import annotations

import inspect
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pytest
import yaml
from prefect import Flow, Task
from rich.console import Console

import miso_archive as mr
from flows import collect, compact, gaps, report, serve, show, sweep, up
from miso_archive.cli import app as cli_app
from miso_archive.cli import output
from miso_archive.contract.findings import FailureCode, RefusalCode, WarningCode
from miso_archive.healing import backfilled
from miso_archive.reading.compaction import RESULTS
from miso_archive.settings.options import BackfillSettings, Settings, environment_variable, option_name
from miso_archive.simulate.archive import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cyclopts import App
    from prefect.deployments.runner import RunnerDeployment

WIDTH: Final = 110
PROJECT: Final = Path(__file__).parents[2]
FLOWS: Final = (collect, compact, gaps, report, sweep, show)


def help_texts() -> str:
    """``--help`` of the program, of each of its commands, and of the two ways to run the whole."""
    commands = [name for name in cli_app.app if not name.startswith("-")]
    texts = [_help(cli_app.app, *words) for words in ([], *([name] for name in commands))]
    # How these two are called depends on who calls them.
    texts += [re.sub(r"^Usage: [^[\n]+", "Usage: ... ", _help(app)) for app in (serve.app, up.app)]
    return "\n".join(texts)


def _help(app: App, *words: str) -> str:
    shown = io.StringIO()
    # An app keeps the console of its first words: another test's terminal may have been wider.
    console = Console(file=shown, width=WIDTH, force_terminal=False)
    app([*words, "--help"], console=console, exit_on_error=False, result_action="return_value")
    return "\n".join(line.rstrip() for line in shown.getvalue().splitlines()) + "\n"


def python(folder: Path) -> str:
    """The public names with their arguments, and the columns of every public frame."""
    write_archive(folder, days=1, seed=1)
    constraints, snapshots = mr.scan_constraints(folder), mr.scan_snapshots(folder)
    first, second = ("2001-01-01", "2001-01-02"), ("2001-01-02", "2001-01-03")
    mr.write_csv(constraints, folder / "rows.csv")
    frames: dict[str, pl.DataFrame | pl.LazyFrame] = {
        "scan_constraints": constraints,
        "scan_snapshots": snapshots,
        "coverage": mr.coverage(folder),
        "missing_intervals": mr.missing_intervals(folder),
        "fetch_times": mr.fetch_times(folder),
        "compaction": pl.DataFrame(schema=RESULTS),
        "backfill": pl.DataFrame(schema=backfilled.RESULTS),
        "analysis.binding_summary": mr.analysis.binding_summary(constraints, snapshots),
        "analysis.price_duration_curve": mr.analysis.price_duration_curve(constraints, snapshots),
        "analysis.severity": mr.analysis.severity(constraints, snapshots),
        "analysis.compare_periods": mr.analysis.compare_periods(constraints, snapshots, before=first, after=second),
        "analysis.drift": mr.analysis.drift(constraints),
        "analysis.to_gridstatus": mr.analysis.to_gridstatus(constraints),
        "episodes.episodes": mr.episodes.episodes(constraints, snapshots),
        "profiles.hourly_profile": mr.profiles.hourly_profile(constraints, snapshots),
        "profiles.monthly_profile": mr.profiles.monthly_profile(constraints, snapshots),
    }
    lines = [_signature(mr, name) for name in mr.__all__]
    for public in ("analysis", "episodes", "profiles"):
        module = getattr(mr, public)
        functions = inspect.getmembers(module, inspect.isfunction)
        offered = getattr(module, "__all__", [])
        here = [
            name
            for name, made in functions
            if name in offered or (made.__module__ == module.__name__ and name[0] != "_")
        ]
        lines += [_signature(module, name, f"{mr.__name__}.{public}") for name in here]
    for name, frame in frames.items():
        lines += ["", name, *(f"  {column}: {dtype}" for column, dtype in frame.collect_schema().items())]
    header, row = (folder / "rows.csv").read_text().splitlines()[:2]
    lines += ["", "write_csv", f"  {header}", f"  {row}", ""]
    return "\n".join(lines)


def _signature(module: Any, name: str, public: str = "") -> str:  # noqa: ANN401 - a module
    made = getattr(module, name)
    full = f"{public or module.__name__}.{name}"
    return f"{full}({', '.join(inspect.signature(made).parameters)})" if inspect.isfunction(made) else full


def names() -> str:
    """Codes, options with variable and default, and exit codes."""
    lines: list[str] = []
    for kind in (RefusalCode, WarningCode, FailureCode):
        lines += [kind.__name__, *(f"  {code.value}" for code in kind), ""]
    for settings in (Settings, BackfillSettings):
        lines.append(settings.__name__)
        lines += [
            f"  {option_name(field)} {environment_variable(field)} {info.default!r}"
            for field, info in settings.model_fields.items()
        ]
        lines.append("")
    lines += [f"exit {name} {getattr(cli_app, name)}" for name in ("OK", "FAILED", "WRONG_USAGE")]
    lines += [f"format {form}" for form in output.Format.__args__]  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n"


def deployed() -> str:
    """What prefect.yaml deploys, what is served without a work pool, the automations, flows and tasks: JSON lines."""
    project = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    lines = [("project", project["name"]), *(("deployment", made) for made in project["deployments"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MISO_API_URL", raising=False)
        for environment in ("dev", "prod"):
            lines += [(f"served for {environment}", _served(made)) for made in serve.deployments(300, 60, environment)]
    automations = yaml.safe_load((PROJECT / "flows" / "automations.yaml").read_text())["automations"]
    lines += [("automation", made) for made in automations]
    lines += [("flow", _flow(flow)) for flow in _made(Flow)]
    lines += [("task", _task(task)) for task in _made(Task)]
    return "".join(f"{kind}: {json.dumps(made, default=str)}\n" for kind, made in lines)


def _served(made: RunnerDeployment) -> dict[str, Any]:
    schedules = [schedule.schedule for schedule in made.schedules or () if schedule.schedule]
    return {
        "name": made.name,
        "flow": made.flow_name,
        "entrypoint": made.entrypoint,
        "parameters": made.parameters,
        "tags": made.tags,
        "schedules": [schedule.model_dump(mode="json") for schedule in schedules],
        "description": made.description,
    }


def _made(kind: type[Any]) -> Iterable[Any]:
    found = {id(made): made for module in FLOWS for made in vars(module).values() if isinstance(made, kind)}
    return sorted(found.values(), key=lambda made: str(made.name))


def _flow(flow: Flow[..., Any]) -> dict[str, Any]:
    return {
        "name": flow.name,
        "run": _run_name(flow.flow_run_name),
        "persists": flow.persist_result,
        "parameters": {name: form.get("default") for name, form in flow.parameters.properties.items()},
    }


def _run_name(name: object) -> object:
    return "named by a function" if callable(name) else name


def _task(task: Task[..., Any]) -> dict[str, Any]:
    return {
        "name": task.name,
        "run": _run_name(task.task_run_name),
        "persists": task.persist_result,
        "retries": task.retries,
        "delays": task.retry_delay_seconds,
        "on condition": task.retry_condition_fn is not None,
    }
