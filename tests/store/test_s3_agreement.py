"""What only one of the libraries takes that write and read: both sides take it, or both refuse it at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from prefect_aws import S3Bucket

from miso_archive.store.access import access_by_name
from miso_archive.store.address import store_at
from miso_archive.store.store import ArchiveError
from tests.s3_archives import is_moto, use_both_sides
from tests.services.process import free_port
from tests.services.real import ON_REAL_SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from miso_archive.store.store import Store
    from tests.conftest import Bucket, Services
    from tests.services.s3_front import S3Front

pytestmark = pytest.mark.usefixtures("config")

SECRET = "hunter2"  # noqa: S105 - opens nothing


class TestWays:
    @pytest.mark.parametrize("way", ["no proxy for any", "no proxy for this port", "a proxy for other schemes"])
    def test_both_sides_ask_where_botocore_does(
        self, bucket: Bucket, front: S3Front, way: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which proxy of the environment counts is said by botocore's rules, which are not those of every library."""
        nobody = f"http://127.0.0.1:{free_port()}"
        monkeypatch.setenv("ALL_PROXY" if way == "a proxy for other schemes" else "http_proxy", nobody)
        excluded = {"no proxy for any": "*", "no proxy for this port": f"127.0.0.1:{front.port}"}
        monkeypatch.setenv("no_proxy", excluded.get(way, ""))
        use_both_sides(store_at(f"s3://{bucket.name}"))
        assert front.heads

    def test_an_endpoint_that_is_to_be_ignored_is_ignored_by_both(
        self, bucket: Bucket, front: S3Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both sides go to AWS itself, in the region that counts, whatever else the environment names."""
        del bucket
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        for region in ("eu-west-1", "aws-global"):
            monkeypatch.setenv("AWS_DEFAULT_REGION", region)
            access = access_by_name("bucket", "", None)
            host = f"s3.{access.region}.amazonaws.com"
            assert access.address(access.region) == (f"https://{host}", False)
            assert urlsplit(access.client.meta.endpoint_url).hostname in {host, "s3.amazonaws.com"}
        assert access.region == "us-east-1"
        assert front.heads == []


class TestAuthorities:
    def test_a_damaged_one_is_told_when_the_archive_is_opened(
        self, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not by each request, and not as trouble that passes."""
        (tmp_path / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "damaged.pem"))
        with pytest.raises(ArchiveError, match=rf"the certificates in {tmp_path}/damaged\.pem are damaged: give PEM"):
            store_at(f"s3://{bucket.name}")

    @pytest.mark.slow("starts a process")
    def test_a_machine_need_not_have_any(self, bucket: Bucket) -> None:
        """Where the system knows no authority, botocore's own are those of who reads too."""
        bucket.client.put_object(Bucket=bucket.name, Key="a/x", Body=b"there")
        code = f"from miso_archive.store.address import store_at; print(store_at('s3://{bucket.name}').names(['a']))"
        none = {"SSL_CERT_FILE": "/none", "SSL_CERT_DIR": "/none"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | none, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stdout == "[['x']]\n", done.stderr


class TestRefusals:
    @pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://127.0.0.1:80?x=y", "ftp://127.0.0.1", "http://"])
    def test_an_endpoint_that_is_no_address(self, bucket: Bucket, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that only some of the libraries take is refused when the archive is opened."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(ArchiveError, match=f"no S3 client can be made for s3://{bucket.name}: "):
            store_at(f"s3://{bucket.name}")

    @ON_REAL_SERVERS
    @pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
    def test_keys_that_no_header_takes(
        self, services: Services, bucket: Bucket, front: S3Front, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A line break behind a key is none of its own; one within is refused, and the key is told nowhere."""
        monkeypatch.setenv(variable, f" {services.s3.secret_key}\r\n")
        if is_moto(services.s3):
            use_both_sides(store_at(f"s3://{bucket.name}"))
            assert front.heads
        monkeypatch.setenv(variable, f"{SECRET}\n{SECRET}")
        with pytest.raises(ArchiveError, match="AWS credentials have a line break or another") as caught:
            store_at(f"s3://{bucket.name}")
        assert SECRET not in caught.value.message

    @pytest.mark.parametrize("name", ["a b", f"user:{SECRET}@bucket", "bucket:80", "é", "one--use1-az4--x-s3"])
    def test_what_no_bucket_is_called(self, bucket: Bucket, front: S3Front, name: str) -> None:
        """It is refused when the archive is opened, by its address and by a block, and a password is not repeated."""
        del bucket
        for archive in (f"s3://{name}", S3Bucket(bucket_name=name)):
            with pytest.raises(ArchiveError, match=r"no buckets of such a name|directory bucket") as caught:
                store_at(archive)
            assert SECRET not in caught.value.message
        assert front.heads == []

    @pytest.mark.parametrize(
        "configured",
        [
            "s3 = virtual",
            "credential_process = {python} -c 'print({expired})'",
            "web_identity_token_file = /none\nrole_arn = arn:aws:iam::123456789012:role/own",
        ],
        ids=["a section that is none", "keys that have expired", "a token that is not there"],
    )
    def test_a_configuration_that_botocore_trips_over(
        self, services: Services, bucket: Bucket, config: Path, configured: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is no error of botocore's own is an ArchiveError too, of who writes and of who reads."""
        for name in services.s3.environment():
            monkeypatch.delenv(name)
        expired = '"{\\"Version\\":1,\\"AccessKeyId\\":\\"a\\",\\"SecretAccessKey\\":\\"b\\",'
        expired += '\\"Expiration\\":\\"2020-01-01T00:00:00Z\\"}"'
        filled = configured.replace("{python}", sys.executable).replace("{expired}", expired)
        config.write_text(f"[profile own]\nregion = us-east-1\nendpoint_url = {services.s3.url}\n{filled}\n")
        monkeypatch.setenv("AWS_PROFILE", "own")
        calls: list[Callable[[Store], object]] = [
            lambda store: store.get("key"),
            lambda store: store.replace("key", b""),
            lambda store: list(store.read(["key"])),
            lambda store: store.names(["key"]),
        ]
        for call in calls:
            with pytest.raises(ArchiveError, match=f"s3://{bucket.name}"):
                call(store_at(f"s3://{bucket.name}"))
