"""An install with some extras: a Python that finds the packages which those bring, and no others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

_NAME = PROJECT["name"]
# What is not installed is looked for and not found: a finder that raised would be something else to a library.
_ONLY = """
import sys
from importlib.machinery import PathFinder
left_out = set(sys.argv[1].split())
del sys.argv[1]
class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in left_out else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
"""
_COMMAND = "import runpy; sys.argv[0] = 'miso-archive'; runpy.run_module('miso_archive', run_name='__main__')"


def plain(name: str) -> str:
    """A distribution's name as all spellings of it compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def brought(*extras: str) -> frozenset[str]:
    """The distributions of an install with these extras, all the way down, by what they say of themselves."""
    found: dict[str, set[str]] = {}
    todo = [Requirement(f"{_NAME}[{','.join(extras)}]")]
    while todo:
        asked = todo.pop()
        name = plain(asked.name)
        if name in found and asked.extras <= found[name]:
            continue
        found.setdefault(name, set()).update(asked.extras)
        for requirement in map(Requirement, _requirements(name, asked.extras)):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *asked.extras)):
                todo.append(requirement)
    return frozenset(found)


def _requirements(name: str, extras: set[str]) -> list[str]:
    if name == _NAME:  # as the file says, which this environment's copy of it may be older than
        return [*PROJECT["dependencies"], *(line for extra in sorted(extras) for line in EXTRAS[extra])]
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:  # a requirement for another system
        return []


def python(
    extras: tuple[str, ...], code: str, *arguments: str, environ: Mapping[str, str] | None = None, without: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run code in a new Python of that install, with these variables besides, and without this distribution of it."""
    there = brought(*extras) - {without}
    left_out = [module for module, names in packages_distributions().items() if not there & set(map(plain, names))]
    command = [sys.executable, "-c", _ONLY + code, " ".join(left_out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environ or {}))


def command(
    extras: tuple[str, ...], *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``miso-archive`` of that install."""
    return python(extras, _COMMAND, *arguments, environ=environ)
