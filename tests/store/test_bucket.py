"""The archive in S3: what a server and a network can do to it, and what is worth another try."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket
from prefect_aws.credentials import _get_client_cached

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.settings.options import Settings
from miso_archive.store.address import store_at, store_of
from miso_archive.store.bucket import Bucket as S3Store
from miso_archive.store.store import UnusableArchiveError
from tests.services.process import free_port
from tests.services.s3 import S3Endpoint, S3Proxy
from tests.services.s3_front import ScriptedS3, error_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from miso_archive.store.store import Store
    from tests.conftest import Bucket, Services
    from tests.services.proxy import FaultProxy

KEY = "sourcing/miso_binding_constraints_reserve/2026-07-27/binding_constraints_reserve_20260727_0810.json.gz"
SECRET = "hunter2"  # noqa: S105 - opens nothing


@pytest.fixture
def _new_clients() -> Iterator[None]:
    """prefect-aws keeps clients for a process, whatever becomes of the environment they were made from."""
    _get_client_cached.cache_clear()
    yield
    _get_client_cached.cache_clear()


def archive_at(
    server: S3Endpoint,
    bucket: str = "bucket",
    folder: str = "",
    **config: Any,  # noqa: ANN401 - botocore's
) -> Store:
    """The archive in a bucket of a server, one try a call."""
    parameters = AwsClientParameters(endpoint_url=server.url, config={"retries": {"total_max_attempts": 1}, **config})
    credentials = AwsCredentials(
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        aws_client_parameters=parameters,
    )
    return store_at(S3Bucket(bucket_name=bucket, bucket_folder=folder, credentials=credentials))


def nowhere(port: int) -> S3Endpoint:
    """An S3 of which only the port is known."""
    return S3Endpoint(f"http://127.0.0.1:{port}", "key", SECRET)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedS3]:
    """A server that answers as it is told."""
    with ScriptedS3() as server:
        yield server


@pytest.fixture(scope="module")
def scripted_archive(scripted: ScriptedS3) -> Store:
    """The archive in that server."""
    return archive_at(nowhere(scripted.port))


def trouble(archive: Store, data: bytes = b"data") -> CollectionError:
    """The error that a put ends with."""
    with pytest.raises(CollectionError) as caught:
        archive.put_if_absent(KEY, data, {})
    return caught.value


@pytest.fixture
def proxy(services: Services) -> Iterator[FaultProxy]:
    """A proxy before the S3 of the bucket."""
    with S3Proxy(services.s3) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: FaultProxy, services: Services) -> S3Endpoint:
    """The S3 of the bucket, by way of the proxy."""
    return replace(services.s3, url=f"http://127.0.0.1:{proxy.port}")


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, error_body("InternalError")),
            (502, b"<html>Bad gateway</html>"),
            (503, error_body("SlowDown")),
            (503, b""),
            (504, b""),
            (408, error_body("RequestTimeout")),
            (400, error_body("RequestTimeout")),
            (400, error_body("Throttling")),
            (409, error_body("ConditionalRequestConflict")),
            (409, error_body("OperationAborted")),
            (429, b""),
        ],
    )
    def test_passing_trouble_is_worth_another_try(
        self, scripted: ScriptedS3, scripted_archive: Store, status: int, body: bytes
    ) -> None:
        """What S3 says of itself or of the moment is transient, and names bucket and key."""
        scripted.status, scripted.body = status, body
        error = trouble(scripted_archive)
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_UNAVAILABLE, True)
        assert error.message.startswith(f"put_object of s3://bucket/{KEY} failed: ")

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "InvalidRequest"),
            (403, "AccessDenied"),
            (405, "MethodNotAllowed"),
            (501, "NotImplemented"),
        ],
    )
    def test_what_a_retry_cannot_change_is_final(
        self, scripted: ScriptedS3, scripted_archive: Store, status: int, code: str
    ) -> None:
        """A refusal is final, and its message names bucket and key and S3's own code and words."""
        scripted.status, scripted.body = status, error_body(code)
        error = trouble(scripted_archive)
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_REFUSED, False)
        assert error.message == f"put_object of s3://bucket/{KEY} failed: {code} 'so it is'"

    @pytest.mark.parametrize(
        ("status", "code"), [(403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"), (404, "NoSuchBucket")]
    )
    def test_what_keeps_everything_out_is_told_apart(
        self, scripted: ScriptedS3, scripted_archive: Store, status: int, code: str
    ) -> None:
        """No such bucket, or keys that nobody knows: final, in the words that readers of the archive get."""
        scripted.status, scripted.body = status, error_body(code)
        error = trouble(scripted_archive)
        assert isinstance(error, UnusableArchiveError)
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_REFUSED, False)
        reason = f"{code} 'so it is'. Check bucket, region, credentials and rights"
        assert error.message == f"s3://bucket/{KEY} cannot be written: {reason}"
        told = f"^archive_refused: s3://bucket/{KEY} cannot be read: {reason}$"
        with pytest.raises(UnusableArchiveError, match=told):
            scripted_archive.get(KEY)

    def test_a_failed_condition_means_that_it_exists(self, scripted: ScriptedS3, scripted_archive: Store) -> None:
        """412 is no error: an object stands there."""
        scripted.status, scripted.body = 412, error_body("PreconditionFailed")
        assert scripted_archive.put_if_absent(KEY, b"data", {}) is False

    def test_a_hostile_message_is_made_harmless(self, scripted: ScriptedS3, scripted_archive: Store) -> None:
        """What a server says goes into a message on one line, in ASCII and cut."""
        scripted.status, scripted.body = 403, error_body("AccessDenied", "a\nb\u2028\xe9" + "x" * 5000)
        message = trouble(scripted_archive).message
        assert message.isprintable()
        assert message.isascii()
        assert len(message) < 700

    @pytest.mark.usefixtures("_new_clients")
    @pytest.mark.parametrize("method", ["put", "hash"])
    def test_a_call_is_one_request(self, scripted: ScriptedS3, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The run's own policy tries again, and says so: no call does so by itself."""
        for name, value in nowhere(scripted.port).environment().items():
            monkeypatch.setenv(name, value)
        scripted.status, scripted.body = 503, error_body("SlowDown")
        scripted.requests.clear()
        archive = store_of(Settings(s3_bucket="bucket"))
        with pytest.raises(CollectionError):
            archive.put_if_absent(KEY, b"data", {}) if method == "put" else archive.sha256_of(KEY)
        assert scripted.requests == [f"{'PUT' if method == 'put' else 'HEAD'} /bucket/{KEY} HTTP/1.1"]


class TestNetwork:
    def test_a_refused_connection_is_worth_another_try(self) -> None:
        """Where nobody listens the error is transient, and names bucket and key."""
        error = trouble(archive_at(nowhere(free_port())))
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_UNAVAILABLE, True)
        assert error.message.startswith(f"put_object of s3://bucket/{KEY} failed: ")

    @pytest.mark.parametrize("mode", ["refuse", "blackhole", "cut"])
    def test_a_broken_or_silent_connection_is_worth_another_try(
        self, proxy: FaultProxy, through: S3Endpoint, bucket: Bucket, mode: str
    ) -> None:
        """A connection that is reset, closed or silent is transient, and once S3 is well the put succeeds."""
        proxy.mode = "refuse" if mode == "refuse" else "blackhole" if mode == "blackhole" else "cut"
        error = trouble(archive_at(through, bucket.name, read_timeout=0.3))
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_UNAVAILABLE, True)
        proxy.mode = "pass"
        assert archive_at(through, bucket.name).put_if_absent(KEY, b"data", {})
        assert bucket.keys() == [KEY]

    def test_a_lost_answer_is_found_as_ones_own(self, proxy: FaultProxy, through: S3Endpoint, bucket: Bucket) -> None:
        """A put whose answer is lost is an error; tried again it finds its own object, and there is one."""
        data = gzip.compress(b"body")
        archive = archive_at(through, bucket.name)
        proxy.mode = "lose"
        error = trouble(archive, data)
        assert error.transient
        assert bucket.body(KEY) == data
        proxy.mode = "pass"
        assert archive.put_if_absent(KEY, data, {}) is False
        assert archive.sha256_of(KEY) == hashlib.sha256(b"body").hexdigest()
        assert bucket.keys() == [KEY]

    @pytest.mark.parametrize("length", [0, 100_000])
    def test_a_hash_that_cannot_be_asked_for_is_worth_another_try(
        self, proxy: FaultProxy, through: S3Endpoint, bucket: Bucket, length: int
    ) -> None:
        """Reading what stands is transient trouble when the answer breaks off, at its beginning or in the body."""
        bucket.client.put_object(Bucket=bucket.name, Key=KEY, Body=gzip.compress(bytes(range(256)) * 4000, 0))
        proxy.mode, proxy.cut_after_bytes = "cut", length
        with pytest.raises(CollectionError) as caught:
            archive_at(through, bucket.name).sha256_of(KEY)
        assert (caught.value.code, caught.value.transient) == (FailureCode.ARCHIVE_UNAVAILABLE, True)

    def test_an_object_that_is_gone_again_is_worth_another_try(self, services: Services, bucket: Bucket) -> None:
        """An object that stood there and was deleted meanwhile has no hash; the put is to be tried again."""
        with pytest.raises(CollectionError, match=f"s3://{bucket.name}/{KEY} stood there and is gone") as caught:
            archive_at(services.s3, bucket.name).sha256_of(KEY)
        assert caught.value.transient

    def test_an_object_deleted_while_it_is_read_has_no_hash(
        self, services: Services, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An object of another program that is deleted between two questions counts as one that cannot be read."""
        bucket.client.put_object(Bucket=bucket.name, Key=KEY, Body=b"foreign")
        archive = archive_at(services.s3, bucket.name)
        call = S3Store._call  # noqa: SLF001 - the moment between the two

        def then_delete(self: S3Store, method: str, key: str, **rest: Any) -> Any:  # noqa: ANN401 - as it is
            answer = call(self, method, key, **rest)
            bucket.client.delete_object(Bucket=bucket.name, Key=KEY)
            return answer

        monkeypatch.setattr(S3Store, "_call", then_delete)
        assert archive.sha256_of(KEY) is None


@pytest.mark.usefixtures("_new_clients")
class TestCredentials:
    @pytest.fixture
    def nobody(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An environment without credentials; the path of its AWS configuration, which is not there."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        return tmp_path / "config"

    @pytest.mark.usefixtures("nobody")
    def test_no_credentials_are_final(self) -> None:
        """Without credentials nothing is tried again, and the message names the bucket."""
        error = trouble(store_of(Settings(s3_bucket="bucket")))
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_REFUSED, False)
        assert error.message == "no AWS credentials are found for s3://bucket: set them as for any AWS tool"

    @pytest.mark.usefixtures("nobody")
    def test_an_unknown_profile_is_final(self) -> None:
        """A profile that AWS does not know fails when the archive is opened, and is named."""
        with pytest.raises(CollectionError, match="no such") as caught:
            store_of(Settings(s3_bucket="bucket", aws_profile="no such"))
        assert (caught.value.code, caught.value.transient) == (FailureCode.ARCHIVE_REFUSED, False)

    def test_a_profile_brings_keys_and_endpoint(
        self, bucket: Bucket, services: Services, nobody: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A named profile is where keys and a custom endpoint come from."""
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        nobody.write_text(
            f"""[profile other]
            endpoint_url = {services.s3.url}
            region = {services.s3.region}
            aws_access_key_id = {services.s3.access_key}
            aws_secret_access_key = {services.s3.secret_key}
            """.replace("    ", "")
        )
        archive = store_of(Settings(s3_bucket=bucket.name, aws_profile="other"))
        assert archive.put_if_absent(KEY, b"data", {})
        assert bucket.keys() == [KEY]

    def test_the_environment_brings_keys_and_endpoint(self, bucket: Bucket) -> None:
        """Without a profile keys and a custom endpoint come from AWS' own variables."""
        assert store_of(Settings(s3_bucket=bucket.name)).put_if_absent(KEY, b"data", {})
        assert bucket.keys() == [KEY]

    @pytest.mark.services
    def test_a_wrong_secret_is_final_and_not_repeated(self) -> None:
        """A wrong secret is refused by a real server, for good, and is not in the message."""
        server = S3Endpoint.from_environment()
        name = f"bucket-{uuid.uuid4()}"
        server.client().create_bucket(Bucket=name)
        error = trouble(archive_at(replace(server, secret_key=SECRET), name))
        assert (error.code, error.transient) == (FailureCode.ARCHIVE_REFUSED, False)
        assert error.message.startswith(f"s3://{name}/{KEY} cannot be written: SignatureDoesNotMatch")
        assert SECRET not in repr(error)


class TestBucket:
    @pytest.mark.parametrize(("folder", "prefix"), [("", ""), ("a", "a/"), ("/a/b/", "a/b/")])
    def test_a_block_may_name_a_folder(self, services: Services, bucket: Bucket, folder: str, prefix: str) -> None:
        """The folder of a block is where its objects are put, read and located."""
        archive = archive_at(services.s3, bucket.name, folder)
        assert archive.put_if_absent(KEY, gzip.compress(b"body"), {})
        assert bucket.keys() == [prefix + KEY]
        assert archive.sha256_of(KEY) == hashlib.sha256(b"body").hexdigest()
        assert f"{archive.location}/{KEY}" == f"s3://{bucket.name}/{prefix}{KEY}"

    def test_a_bucket_that_is_not_there_is_named(self, services: Services) -> None:
        """A wrong bucket name is final, told with the name."""
        name = f"bucket-{uuid.uuid4()}"
        error = trouble(archive_at(services.s3, name))
        assert error.code == FailureCode.ARCHIVE_REFUSED
        assert error.message.startswith(f"s3://{name}/{KEY} cannot be written: NoSuchBucket")

    @pytest.mark.parametrize(
        ("key", "content_type"), [(KEY, "application/gzip"), ("quarantine/x.reasons.json", "application/json")]
    )
    def test_objects_have_their_type(self, services: Services, bucket: Bucket, key: str, content_type: str) -> None:
        """Snapshots are gzip files, not compressed transfers: what is downloaded is what was put."""
        archive_at(services.s3, bucket.name).put_if_absent(key, gzip.compress(b"body"), {})
        head = bucket.client.head_object(Bucket=bucket.name, Key=key)
        assert head["ContentType"] == content_type
        assert "ContentEncoding" not in head

    def test_a_recorded_hash_spares_the_download(self, services: Services, bucket: Bucket) -> None:
        """The hash that stands in an object's metadata is taken from there."""
        archive = archive_at(services.s3, bucket.name)
        archive.put_if_absent(KEY, b"not even gzip", {"sha256": "5f" * 32})
        assert archive.sha256_of(KEY) == "5f" * 32
