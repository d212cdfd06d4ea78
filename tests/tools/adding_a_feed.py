"""What `docs/adding-a-feed.md` shows of the code: the file of the fuel mix, its deployment, the kinds of value."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import Final

from miso_archive.contract import kinds as declared
from miso_archive.feeds import fuel_mix

_PROJECT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())


def file_of_the_fuel_mix() -> str:
    """Return the whole file."""
    return f"```python\n{inspect.getsource(fuel_mix)}```\n"


def deployment_of_the_fuel_mix() -> str:
    """Return its lines of prefect.yaml."""
    found = re.search(r"( +- {.+ name: fuel-mix,\n(?: .+\n)+)", (_PROJECT / "prefect.yaml").read_text())
    if found is None:
        raise ValueError("prefect.yaml has no deployment named fuel-mix")
    return f"```yaml\n{found[1]}```\n"


def kinds() -> str:
    """Return the table of the kinds of value, each with the sentence that stands below it."""
    lines = ["| Kind | What it reads |\n", "| --- | --- |\n"]
    for above, below in pairwise(ast.parse(inspect.getsource(declared)).body):
        if (
            isinstance(above, ast.AnnAssign)
            and isinstance(above.target, ast.Name)
            and isinstance(getattr(declared, above.target.id), declared.Kind)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            lines.append(f"| `{above.target.id}` | {' '.join(str(below.value.value).replace('``', '`').split())} |\n")
    return "".join(lines)
