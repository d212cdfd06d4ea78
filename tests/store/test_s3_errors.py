"""Errors of S3 that help: soon, with the bucket and S3's own word, and without a secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import traceback
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from prefect_aws import AwsCredentials, S3Bucket

from miso_archive.cli.app import main
from miso_archive.failures import CollectionError
from miso_archive.reading.compaction import months_to_compact
from miso_archive.reading.coverage import coverage
from miso_archive.reading.scan import scan_constraints
from miso_archive.store.address import store_at
from miso_archive.store.store import ArchiveError
from tests.s3_archives import block, fill, frames
from tests.services.process import free_port
from tests.services.proxy import FaultProxy
from tests.services.real import ON_REAL_SERVERS
from tests.services.s3 import S3Endpoint
from tests.services.s3_front import ScriptedS3, error_body

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from miso_archive.simulate import SimulatedFeed
    from tests.conftest import Bucket, Services

pytestmark = pytest.mark.slow("waits until S3's time is up")

DENIED = f"User: arn:aws:sts::123456789012:assumed-role/{'r' * 64}/i-0123456789 is not authorized to perform: s3:Put on"
KEY = "sourcing/reserve/2026-07-27/" + "k" * 120
SECRET = "hunter2"  # noqa: S105 - opens nothing


class StumblingProxy(FaultProxy):
    """Resets so many connections, and passes on those that follow."""

    def __init__(self, upstream: S3Endpoint) -> None:
        parts = urlsplit(upstream.url)
        super().__init__(str(parts.hostname), int(parts.port or 80))
        self.resets = 2

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, or reset it."""
        self.mode = "refuse" if self.resets else "pass"
        self.resets -= bool(self.resets)
        await super().handle(reader, writer)


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Endpoint:
    """An environment with made-up keys for a server that is not there."""
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    server = S3Endpoint(f"http://127.0.0.1:{free_port()}", "AKIANOBODY", SECRET)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


def trouble(call: Callable[[], object], seconds: float = 30) -> str:
    """The message of the ArchiveError that a call ends with, soon."""
    begin = time.monotonic()
    with pytest.raises(ArchiveError) as caught:
        call()
    assert time.monotonic() - begin < seconds
    message = caught.value.message
    assert SECRET not in message
    assert message.isprintable()
    assert message.isascii()
    assert len(message) < 500
    return message


class TestErrors:
    def test_a_bucket_that_is_not_there(self, services: Services, bucket: Bucket) -> None:
        """A wrong name is told with the name and S3's own word, by reading, counting, compacting and writing."""
        del bucket  # it has set the environment
        name = f"bucket-{uuid.uuid4()}"
        address = f"s3://{name}/folder"
        told = rf"{address}/\S+ cannot be read: NoSuchBucket( '.+')?\. Check bucket"
        assert re.match(told, trouble(lambda: scan_constraints(address).collect()))
        assert re.match(told, trouble(lambda: coverage(address)))
        assert re.match(told, trouble(lambda: months_to_compact(address)))
        assert re.match(told, trouble(lambda: store_at(block(services.s3, name, "folder")).folders("x")))
        written = trouble(lambda: store_at(address).replace("key", b"data"))
        assert re.match(rf"{address}/key cannot be written: NoSuchBucket( '.+')?\. Check bucket", written)

    def test_a_refused_connection(self, nobody: S3Endpoint) -> None:
        """Where nobody listens the error comes within seconds and names the bucket."""
        for call in (
            lambda: scan_constraints("s3://bucket").collect(),
            lambda: scan_constraints(block(nobody, "bucket")).collect(),
        ):
            assert re.match(r"s3://bucket/\S+ cannot be read: ", trouble(call))
        written = trouble(lambda: store_at("s3://bucket").replace("key", b"data"))
        assert written.startswith("put_object of s3://bucket/key failed: ")

    @pytest.mark.usefixtures("nobody")
    def test_its_process_ends_in_order(self) -> None:
        """A thread that is slow to return from telling the error finds Python still there, and does not abort it."""
        code = (
            "import asyncio.selector_events as events, sys, time\n"
            "told = events.BaseSelectorEventLoop._write_to_self\n"
            "events.BaseSelectorEventLoop._write_to_self = lambda loop: (told(loop), time.sleep(0.05))\n"
            "from miso_archive.cli.app import main\n"
            "sys.exit(main(['read', '--s3-bucket', 'bucket']))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        assert re.match(r"miso-archive: s3://bucket/\S+ cannot be read: ", done.stderr)
        assert done.returncode == 1

    def test_no_credentials(self, nobody: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without credentials nothing is asked: the error names the bucket and what is missing."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        told = "no AWS credentials are found for s3://bucket/folder: "
        assert trouble(lambda: scan_constraints("s3://bucket/folder")).startswith(told)
        bare = S3Bucket(bucket_name="bucket", bucket_folder="folder", credentials=AwsCredentials())
        assert trouble(lambda: scan_constraints(bare)).startswith(told)
        assert nobody.access_key

    @pytest.mark.usefixtures("nobody")
    def test_an_unknown_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A profile that AWS does not know is named."""
        monkeypatch.setenv("AWS_PROFILE", "no such")
        assert "no such" in trouble(lambda: scan_constraints("s3://bucket"))

    @pytest.mark.usefixtures("nobody")
    def test_an_empty_profile_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty variable counts as not set."""
        monkeypatch.setenv("AWS_PROFILE", "")
        assert store_at("s3://bucket").location == "s3://bucket"

    def test_a_role_that_cannot_be_taken(self, nobody: S3Endpoint, tmp_path: Path, monkeypatch: Any) -> None:  # noqa: ANN401 - pytest's
        """Credentials that fail when they are first needed are an ArchiveError as well."""
        (tmp_path / "config").write_text(
            "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = own\n"
            f"[profile own]\naws_access_key_id = {nobody.access_key}\naws_secret_access_key = {SECRET}\n"
        )
        monkeypatch.setenv("AWS_PROFILE", "role")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        told = trouble(lambda: scan_constraints("s3://bucket").collect())
        assert re.match(r"s3://bucket/\S+ cannot be read: ", told)
        assert "credential" in told

    @pytest.mark.services
    @pytest.mark.parametrize("wrong", ["secret_key", "access_key"])
    def test_wrong_keys(self, wrong: str) -> None:
        """A real server's refusal is told with the bucket and S3's own word, and never tried for long."""
        server = S3Endpoint.from_environment()
        name = f"bucket-{uuid.uuid4()}"
        server.client().create_bucket(Bucket=name)
        archive = block(replace(server, **{wrong: SECRET}), name)
        told = trouble(lambda: scan_constraints(archive).collect())
        code = {"secret_key": "SignatureDoesNotMatch", "access_key": "InvalidAccessKeyId"}[wrong]
        assert re.match(rf"s3://{name}/\S+ cannot be read: {code}\b", told)
        assert server.secret_key not in told

    @pytest.mark.services
    def test_a_block_reads_with_its_own_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wrong keys in the environment do not come before those of a block."""
        server = S3Endpoint.from_environment()
        name = f"bucket-{uuid.uuid4()}"
        server.client().create_bucket(Bucket=name)
        for variable, value in replace(server, access_key="nobody", secret_key=SECRET).environment().items():
            monkeypatch.setenv(variable, value)
        fill(store_at(block(server, name)))
        assert len(frames(block(server, name))[1]) == 16

    @pytest.mark.parametrize(
        "address", ["s3://", "s3:///folder", "s3://bucket?region=x", "s3://bucket#1", "s3://bucket/a\nb"]
    )
    def test_an_address_without_a_bucket(self, address: str) -> None:
        """What names no bucket is told before anything is asked."""
        assert "s3://bucket or s3://bucket/folder" in trouble(lambda: store_at(address))

    @pytest.mark.usefixtures("nobody")
    def test_a_folder_that_no_object_can_have(self) -> None:
        """An empty part in a folder's name is told, with the address."""
        told = "the folder 'a//b' of the bucket bucket has an empty"
        assert trouble(lambda: store_at("s3://bucket/a//b")).startswith(told)

    @pytest.mark.usefixtures("nobody")
    def test_a_certificate_that_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bundle of certificates that is not there or is none fails when the client is made."""
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
        told = f"the certificates in {tmp_path / 'none.pem'} cannot be read: No such file or directory. "
        assert trouble(lambda: store_at("s3://bucket")).startswith(told)

    @pytest.mark.parametrize("proxy", ["socks5://u:hunter2@h:1", "http://u:hunter2@h:99999", "http://u:hun@ter2@h:x"])
    def test_a_proxy_s_password_is_not_told(
        self, nobody: S3Endpoint, proxy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy that cannot be used fails a call without its password, also in a traceback."""
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with pytest.raises(
            CollectionError, match=r"^archive_unavailable: get_object of s3://bucket/key failed: "
        ) as caught:
            store_at(block(nobody, "bucket")).get("key")
        assert "ter2" not in "".join(traceback.format_exception(caught.value))

    @ON_REAL_SERVERS
    def test_a_connection_that_breaks_is_made_again(self, services: Services, bucket: Bucket) -> None:
        """A server that resets some connections costs time, not the reading; one that resets all is told."""
        fill(store_at(block(services.s3, bucket.name)))
        with StumblingProxy(services.s3) as proxy:
            archive = block(replace(services.s3, url=f"http://127.0.0.1:{proxy.port}"), bucket.name)
            assert len(frames(archive)[1]) == 16
            assert proxy.resets == 0
            proxy.resets = 1000
            assert trouble(lambda: frames(archive)).startswith(f"s3://{bucket.name}/")


class TestSentences:
    @pytest.fixture
    def scripted(self, nobody: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedS3]:
        """A server that answers as it is told, which the environment names."""
        del nobody  # it has set the environment, which is changed here
        with ScriptedS3() as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
            yield server

    @pytest.mark.parametrize(
        ("status", "body", "told"),
        [
            (403, error_body("AccessDenied"), "AccessDenied 'so it is'"),
            (
                400,
                error_body("AuthorizationHeaderMalformed", "expecting eu-1"),
                "AuthorizationHeaderMalformed 'exp.* eu-1'",
            ),
            (
                403,
                error_body("AccessDenied", f"{DENIED} &quot;{KEY}&quot; because it may not"),
                f'{DENIED} "{KEY}" bec',
            ),
            (503, error_body("SlowDown"), "SlowDown 'so it is'"),
            (500, b"", r"\b500\b"),
            (502, b"<html>Bad gateway</html>", r"\b502\b"),
            (403, b"<html>Forbidden</html>", r"\b403\b"),
            (301, error_body("PermanentRedirect"), "the server sends every request on to another region"),
        ],
    )
    def test_what_s3_says_stands_in_the_error(self, scripted: ScriptedS3, status: int, body: bytes, told: str) -> None:
        """Listing, reading and writing say the same: bucket and key, S3's own words, and whether it passes."""
        scripted.status, scripted.body = status, body
        store = store_at("s3://bucket/folder")
        calls: list[Callable[[], object]] = [
            lambda: store.names(["key"]),
            lambda: list(store.read(["key"])),
            lambda: store.get("key"),
            lambda: store.put_if_absent("key", b"", {}),
        ]
        for call in calls:
            with pytest.raises(ArchiveError) as caught:
                call()
            assert re.search(rf"s3://bucket/folder(/key)? .*{told}", caught.value.message), caught.value.message
            assert caught.value.transient == (status >= 500)
            assert "127.0.0.1" not in caught.value.message

    @pytest.mark.parametrize("command", ["read", "coverage", "compact", "replay", "backfill"])
    @pytest.mark.parametrize("body", [b"<html>Please log in</html>", error_body("InternalError")])
    def test_a_page_in_place_of_a_listing_is_not_taken_for_an_empty_archive(
        self, scripted: ScriptedS3, body: bytes, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Where a portal, or an error, comes with 200, nothing is counted: the command fails and names the folder."""
        scripted.body = body
        assert main([command, "--s3-bucket", "bucket"]) == 1
        printed = capsys.readouterr()
        assert not printed.out
        told = "without a listing$" if b"html" in body else "InternalError 'so it is'$"
        assert re.search(rf"s3://bucket/\S+ .*{told}", printed.err.strip())

    def test_a_page_in_place_of_an_answer_is_not_believed(
        self,
        scripted: ScriptedS3,
        feed: SimulatedFeed,
        redis_url: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Where a portal answers a put with 200 and a page, the run fails and the body waits in the spool."""
        scripted.body = b"<html>Please log in</html>"
        where = ["--s3-bucket", "bucket", "--redis-url", redis_url, "--spool", str(tmp_path / "spool")]
        assert main(["collect", *where, "--api-url", feed.url]) == 1
        [error] = json.loads(capsys.readouterr().out)["errors"]
        assert error["code"] == "archive_refused"
        assert "without an ETag" in error["message"]
        assert any(line.startswith("PUT ") and "sourcing/" in line for line in scripted.requests)
        assert [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
