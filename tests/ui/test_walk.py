"""The documentation's walk through Prefect, walked: its own commands, in a fresh home, against servers on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect

from miso_archive.simulate import SimulatedFeed
from tests.services.process import free_port, running
from tests.services.s3 import moto_server
from tests.services.valkey import embedded_valkey
from tests.ui.system import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.services.s3 import S3Endpoint

# A whole Prefect of its own, since its schedule is active, and a worker.
pytestmark = pytest.mark.services


def blocks(section: str) -> list[str]:
    """The commands of a section of docs/prefect.md, a shell script for each block."""
    text = Path("docs/prefect.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall("```console\n(.*?)```", text, re.DOTALL)
    return [re.sub("^[$] ", "", block, flags=re.MULTILINE) for block in found]


def test_the_walk_ends_with_a_run_that_collected(page: Page, tmp_path: Path) -> None:
    """Server, pool, block, deployments, alerts, worker, two runs, as they stand there: both snapshots are stored."""
    with SimulatedFeed(seed=307) as feed, moto_server() as s3, embedded_valkey() as redis_url:
        s3.client().create_bucket(Bucket="my-bucket")
        walk(page, tmp_path, feed.base_url, s3, redis_url)
        listed = s3.client().list_objects_v2(Bucket="my-bucket", Prefix="sourcing/")
        assert [found["Key"].split("/")[1] for found in listed["Contents"]] == [
            "miso_binding_constraints_reserve",
            "miso_fuel_mix",
        ]


def walk(page: Page, tmp_path: Path, base_url: str, s3: S3Endpoint, redis_url: str) -> None:
    """Follow the section, with the addresses of this test's servers in place of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {
        "http://127.0.0.1:4200": url,
        "http://127.0.0.1:9000": s3.url,
        "redis://127.0.0.1:6379/0": redis_url,
        ". .venv/bin/activate": f"export PATH={Path(sys.executable).parent}:$PATH",
        "server start": f"server start --port {port}",
    }
    server, told, worker, run = (
        re.sub("|".join(map(re.escape, own)), lambda found: own[found[0]], block)
        for block in blocks("By hand, in three terminals")
    )
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "AWS_"))}
    environment = kept | {
        "HOME": str(home),
        "MISO_API_BASE": base_url,
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(tmp_path / "ui"),
    }

    def serves() -> bool:
        return requests.get(f"{url}/api/health", timeout=5).ok and requests.get(url, timeout=5).ok

    def polls() -> bool:
        workers = requests.post(f"{url}/api/work_pools/miso-reserve/workers/filter", json={}, timeout=5)
        return bool(workers.json())

    def shell(script: str) -> list[str]:
        return ["bash", "-ec", script]

    with running(shell(server), ready=serves, log=tmp_path / "server.log", env=environment, timeout=PATIENCE):
        subprocess.run(shell(told), env=environment, check=True, timeout=PATIENCE)
        with running(shell(worker), ready=polls, log=tmp_path / "worker.log", env=environment, timeout=PATIENCE):
            # The second terminal still has what it exported.
            exported = [line for line in told.splitlines() if line.startswith("export ")]
            done = subprocess.run(shell("\n".join([*exported, run])), env=environment, check=False, timeout=PATIENCE)
            assert done.returncode == 0
            # Where the schedule's first run has stored the snapshot, the day's coverage comes at that run's end.
            page.goto(f"{url}/artifacts")
            expect(page.get_by_text("latest-snapshot-dev").first).to_be_visible()
        page.screenshot(path=tmp_path / "artifacts.png")
        page.goto(f"{url}/automations")
        expect(page.get_by_text("miso-reserve nothing stored").first).to_be_visible()
        page.screenshot(path=tmp_path / "automations.png")
        page.goto(f"{url}/deployments")
        expect(page.get_by_text("compact", exact=True).first).to_be_visible()
        page.screenshot(path=tmp_path / "deployments.png")
