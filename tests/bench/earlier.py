"""The earlier commit that the benches run in turn with this one, with an environment of its own.

It comes out of this repository's history; its own Makefile makes its environment of its own lock: once, in ``.bench``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path.cwd()
EARLIER: Final = "f41ecfa"
KEPT: Final = ROOT / ".bench"


class BenchError(RuntimeError):
    """What was measured did not do its work: no figure counts."""


class Installed(NamedTuple):
    """A Python, and the package of ours that is installed for it."""

    python: Path
    package: str


NOW: Final = Installed(Path(sys.executable), "miso_archive")


def earlier(folder: Path) -> Path:
    """Check the earlier commit out and make its environment, unless they are there; return the checkout."""
    checkout = folder / EARLIER
    if not (checkout / "Makefile").exists():
        archived = subprocess.run(["git", "archive", EARLIER], cwd=ROOT, capture_output=True, check=False)
        if archived.returncode:
            raise BenchError(f"{EARLIER} is not in this repository's history: a whole clone is needed")
        checkout.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-x"], cwd=checkout, input=archived.stdout, check=True)
    if not (checkout / ".venv" / ".ready").exists():
        sys.stderr.write(f"installing what {EARLIER} locks into {checkout / '.venv'}, once\n")
        subprocess.run(["make", "--silent", "setup", f"PYTHON={sys.executable}"], cwd=checkout, check=True, stdout=2)
    return checkout


def earlier_installed(folder: Path) -> Installed:
    """Its Python, and the name that the package had."""
    return Installed(earlier(folder) / ".venv" / "bin" / "python", "miso_reserve")
