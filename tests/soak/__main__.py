"""Runs the soak: `python -m tests.soak --runs 1000 --seed 1`; ends with one line, and 1 when a promise is broken."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from tempfile import TemporaryDirectory

from miso_archive.settings.options import Settings, environment_variable

_OWN_NAMESPACE = "SOAK_OWN_NAMESPACE"


def main() -> int:
    """Read the command line, run the soak, keep its logs where that is wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="how many runs at least")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another plan")
    parser.add_argument(
        "--undisturbed", action="store_true", help="let no fault strike: shows that the result then is a bad one"
    )
    parser.add_argument(
        "--record", action="store_true", help="keep the outcome for the documentation when it is a good one"
    )
    parser.add_argument("--keep", type=Path, help="a new folder for what the runs logged and printed")
    options = parser.parse_args()
    _in_a_namespace_of_our_own()
    _without_settings()
    # The process that all others are forked from loads the library while this one loads the servers.
    multiprocessing.set_forkserver_preload(["tests.soak.run"])
    ensure_running()
    from tests.soak.outcome import RECORD  # noqa: PLC0415 - as said
    from tests.soak.soak import soak  # noqa: PLC0415 - as said

    mounts, disturbing = _OWN_NAMESPACE in os.environ, not options.undisturbed
    with TemporaryDirectory(prefix="soak-") as work:
        try:
            outcome = soak(Path(work), options.runs, options.seed, mounts=mounts, disturbing=disturbing)
        finally:
            if options.keep is not None:
                shutil.copytree(Path(work, "logs"), options.keep)
    if options.record and outcome.is_good:
        RECORD.write_text(outcome.model_dump_json(indent=2) + "\n")
    return int(not outcome.is_good)


def _in_a_namespace_of_our_own() -> None:
    """Start anew where what is mounted is seen by this process alone and ends with it, if that is permitted."""
    if _OWN_NAMESPACE in os.environ:
        return
    command = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if shutil.which(command[0]) and not subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        again = [*command, sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        os.execvpe(command[0], again, {**os.environ, _OWN_NAMESPACE: "1"})  # noqa: S606 - no shell is wanted


def _without_settings() -> None:
    """Keep a developer's own settings out of the runs."""
    for field in Settings.model_fields:
        os.environ.pop(environment_variable(field) or "", None)
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(DO_NOT_TRACK="1", PREFECT_SERVER_ANALYTICS_ENABLED="false")


if __name__ == "__main__":
    sys.exit(main())
