"""A collection from the first body to the compacted month, told by its commands, and all that it leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import redis

from miso_archive.cli.app import WRONG_USAGE, main
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.reserve import DA_RPE, RESERVE, RT_RPE
from miso_archive.reports.archived import store_report
from miso_archive.simulate import Reply
from miso_archive.simulate.wire import ReplyServer
from miso_archive.store.folder import Folder
from miso_archive.store.put_once import store_refused
from miso_archive.store.response import Response
from tests.golden.steady import steady
from tests.report_files import bound, day_ahead, real_time
from tests.services.kafka import SaslFront, read_messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.conftest import Bucket

BODIES: Final = Path(__file__).with_name("bodies")
RECORDED: Final = (BODIES / "reserve.json").read_bytes()
QUIET: Final = (BODIES / "reserve.quiet.json").read_bytes()
REVISED: Final = RECORDED.replace(b"-8.32", b"-9.01")
REFUSED: Final = b'{"error":"no data"}'
DRIFTED: Final = RECORDED.replace(b"08:10", b"08:15").replace(b'"Price"', b'"New": 1, "Price"')
DAY: Final = date(2026, 7, 27)
ONE_DAY: Final = timedelta(days=1)
FETCHED: Final = datetime(2026, 7, 27, 13, 12, 5, tzinfo=UTC)
_GZIP_OF_NO_TIME: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


class Host:
    """MISO on loopback: the feed gives what it is told to, and reports lie beside it."""

    def __init__(self) -> None:
        self.body = RECORDED
        self.reports: dict[str, bytes] = {}
        self._server = ReplyServer("127.0.0.1", 0, self._answer)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve, and yield the address."""
        self._server.start()
        try:
            yield f"http://127.0.0.1:{self._server.server_port}"
        finally:
            self._server.stop()

    def _answer(self, path: str, _headers: Mapping[str, str]) -> Reply:
        if path == "/feed":
            return Reply(body=self.body)
        if path == "/moved":
            return Reply(302, headers={"Location": "http://elsewhere.test/feed"})
        data = self.reports.get(path.removeprefix("/reports/"))
        return Reply(404, b"<html>Not found</html>") if data is None else Reply(body=data)


def one_day_of_reports() -> dict[str, bytes]:
    """The real-time and the day-ahead report of the day, by the names of their files."""
    rows = bound("07-27-2026 08:20:00"), bound("07-28-2026 00:00:00", -1.5)
    return {
        RT_RPE.file_name(DAY): real_time(DAY, *rows),
        DA_RPE.file_name(DAY): day_ahead(DAY, bound(1), bound(24, -2.5)),
    }


def command(*words: str) -> str:
    """Run the command line; return its exit code, what it printed for programs, and what it says of wrong usage."""
    printed, said = io.BytesIO(), io.StringIO()
    with redirect_stdout(io.TextIOWrapper(printed, write_through=True)), redirect_stderr(said):
        code = main(list(words))
        output = printed.getvalue().decode()
    return f"$ {' '.join(words)}\n{output}{said.getvalue() if code == WRONG_USAGE else ''}exit code {code}\n\n"


def in_a_folder(root: Path, redis_url: str, kafka: str) -> str:
    """The story in a folder, with Kafka and Redis; a folder that takes nothing is told last."""
    folder, spool, blocked = root / "archive", root / "spool", root / "blocked"
    broker, _, topic = kafka.partition("/")
    host = Host()
    told: list[str] = []
    with host.serving() as url, SaslFront(int(broker.rpartition(":")[2]), "collector", "right") as front:
        to, parts = ("--local", str(folder)), ("--redis-url", redis_url, "--spool", str(spool))

        def tell(*words: str) -> None:
            told.append(command(*words))

        def collect(body: bytes, *words: str, feed: str = "feed") -> None:
            host.body = body
            tell("collect", "--api-url", f"{url}/{feed}", *(words or to), *parts)

        for body in (RECORDED, RECORDED, REVISED, DRIFTED, REFUSED):
            collect(body, *to, "--environment", "prod", "--kafka-connection-string", kafka)
        denied = f"collector:wrong@127.0.0.1:{front.port}/{topic}?security_protocol=SASL_PLAINTEXT"
        collect(QUIET, *to, "--environment", "staging", "--kafka-connection-string", denied)
        collect(RECORDED, feed="nothing")
        collect(RECORDED, feed="moved")
        collect(RECORDED, *to, "--redis-db", "0")
        blocked.mkdir()
        (blocked / "sourcing").write_text("in the way")
        collect(RECORDED, "--local", str(blocked))
        _keep_what_no_command_makes(folder)
        _backfill(host, f"{url}/reports", to, told)
        tell("compact", *to, "--start", "2026-07-01", "--end", "2026-08-01", "--format", "json")
        tell("replay", *to)
        tell("status", *to, *parts, "--kafka-connection-string", kafka, "--json")
        tell("read", *to)
        tell("read", *to, "--all-revisions", "--format", "csv")
        tell("read", *to, "--sources", "live,next_day_report", "--format", "csv")
        tell("read", *to, "--sources", "day_ahead_report", "--format", "json")
        tell("coverage", *to, "--start", str(DAY), "--end", str(DAY + ONE_DAY), "--format", "json")
        tell("coverage", *to, "--start", str(DAY), "--end", str(DAY + ONE_DAY))
        tell("validate", "--json", str(folder / "quarantine"))
    left = ["The archive\n\n", *_files(folder), "The spool\n\n", *_files(spool)]
    left += ["Redis\n\n", *_registrations(redis_url), "Kafka\n\n", *_messages(broker, topic)]
    places = {str(root): "ROOT", str(root.resolve()): "ROOT", redis_url: "REDIS", kafka: "KAFKA", topic: "TOPIC"}
    return steady("".join(told + left), places)


def in_a_bucket(root: Path, redis_url: str, bucket: Bucket) -> str:
    """The same of a bucket, shorter: its objects with their metadata."""
    host = Host()
    told: list[str] = []
    to = ("--s3-bucket", bucket.name)
    with host.serving() as url:
        for body in (RECORDED, REVISED, REFUSED, QUIET):
            host.body = body
            told.append(
                command("collect", *to, "--redis-url", redis_url, "--api-url", f"{url}/feed", "--spool", str(root))
            )
        _backfill(host, f"{url}/reports", to, told)
        told.append(command("compact", *to, "--start", "2026-07-01", "--end", "2026-08-01", "--format", "json"))
        told.append(command("read", *to, "--all-revisions", "--format", "csv"))
    left = ["The bucket\n\n"]
    for key in sorted(bucket.keys() + bucket.keys("environments/"), key=_sorted_by):
        head = bucket.client.head_object(Bucket=bucket.name, Key=key)
        left.append(f"{key}\n  {head['ContentType']} {json.dumps(dict(sorted(head['Metadata'].items())))}\n")
        left.append(_content(key, bucket.body(key)))
    left += ["Redis\n\n", *_registrations(redis_url)]
    return steady("".join(told + left), {bucket.name: "BUCKET", redis_url: "REDIS", str(root): "ROOT"})


def _backfill(host: Host, url: str, to: tuple[str, ...], told: list[str]) -> None:
    """Be refused one day's report, find another's there, and fetch those of a third."""
    host.reports = one_day_of_reports() | {RT_RPE.file_name(DAY - 2 * ONE_DAY): b"<html>Down for maintenance</html>"}
    for first, *kind in ((DAY - 2 * ONE_DAY,), (DAY - ONE_DAY,), (DAY,), (DAY, "--day-ahead")):
        days = ("--start", str(first), "--end", str(first + ONE_DAY))
        told.append(command("backfill", *to, "--reports-url", url, *days, "--format", "json", *kind))


def _keep_what_no_command_makes(folder: Path) -> None:
    """Keep what a run makes only with patience: a body in an unknown encoding, and a day's second report."""
    archive = Folder(folder)
    encoded = Response(b"\xff\x00", FETCHED, "http://127.0.0.1/feed", "application/json", "br")
    reason = Finding(RefusalCode.UNREADABLE_ENCODING, "body", "cannot be undone")
    store_refused(archive, RESERVE, encoded, (reason,), "prod")
    for price in (-1.0, -2.0):
        body = real_time(DAY - ONE_DAY, bound("07-26-2026 08:10:00", price))
        store_report(archive, RESERVE, RT_RPE, DAY - ONE_DAY, Response(body, FETCHED, "http://127.0.0.1/reports", ""))


def _files(folder: Path) -> Iterator[str]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(files, key=_sorted_by):
        yield f"{name}\n{_content(name, files[name].read_bytes())}"


def _sorted_by(name: str) -> str:
    """Sort what bears the present day as if it bore none."""
    return steady(name, {})


def _content(name: str, data: bytes) -> str:
    if name.endswith(".parquet"):
        return _parquet(data)
    head = ""
    if name.endswith(".gz"):
        head = "  gzip without a time\n" if data.startswith(_GZIP_OF_NO_TIME) else "  gzip with a time\n"
        data = gzip.decompress(data)
    if name.endswith(".body"):
        digest, _, data = data.partition(b"\n")
        head = "  SHA-256 of what follows\n" if hashlib.sha256(data).hexdigest().encode() == digest else "  damaged\n"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"{head}  binary\n\n"
    return head + "".join(f"  {line}\n" for line in text.splitlines()) + "\n"


def _parquet(data: bytes) -> str:
    metadata = pl.read_parquet_metadata(io.BytesIO(data))
    for varying in ("ARROW:schema", "sha256"):
        assert metadata[varying]
        metadata[varying] = "..."
    lines = [f"  {key}: {value}" for key, value in sorted(metadata.items())]
    lines += [f"  {name}: {dtype}" for name, dtype in pl.read_parquet_schema(io.BytesIO(data)).items()]
    return "\n".join(lines) + "\n\n"


def _registrations(redis_url: str) -> Iterator[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for key in sorted(str(key) for key in client.scan_iter()):
            lasting: Any = client.ttl(key)
            yield f"{key}\n  {client.get(key)}\n  for {round(lasting / 86400, 1):g} days\n\n"


def _messages(broker: str, topic: str) -> Iterator[str]:
    for message in sorted(read_messages(broker, topic, expected=3), key=lambda message: message.key() or b""):
        key, value = message.key() or b"", message.value() or b""
        yield f"{key.decode()}\n  {value.decode()}\n  headers {message.headers()}\n\n"
