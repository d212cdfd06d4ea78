"""How little a run's start imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def imported(code: str, *modules: str) -> set[str]:
    """Which of these modules a new Python has imported once it has run the code."""
    told = f"{code}\nimport sys\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return set(ended.stdout.split()) & set(modules)


def test_no_grammar_is_compiled_when_prefect_is_imported() -> None:
    """What Jupyter brings along doubles no run's start: neither the lock nor this environment has it imported."""
    locked = {
        line.partition("==")[0] for line in (_ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    }
    assert "jsonschema" in locked
    assert not locked & {"lark", "rfc3987-syntax"}
    assert imported("import prefect", "jsonschema", "lark", "rfc3987_syntax") == {"jsonschema"}
