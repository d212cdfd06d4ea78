"""The archive in an S3 bucket."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.settings.options import ArchiveSettings
from miso_archive.store.archive import Archive, UnusableArchiveError, bucket_identity, closed, without_credentials
from miso_archive.store.gzipped import sha256_unzipped
from miso_archive.text import shown, strip_variable, without_login

_PRECONDITION_FAILED: Final = 412
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500
_TRANSIENT_STATUS: Final = frozenset({408, 409, 429})
_UNUSABLE_CODES: Final = frozenset({"NoSuchBucket", "InvalidBucketName", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_WRITING: Final = frozenset({"put_object", "delete_object"})
_TRANSIENT_CODES: Final = frozenset({"SlowDown", "RequestTimeout", "Throttling", "InternalError"})


def open_bucket(settings: ArchiveSettings) -> Archive:
    """Return the archive in the bucket or saved block that the settings name.

    Raises:
        CollectionError: The block cannot be loaded, or AWS knows no such profile.
    """
    # boto3 takes an empty variable for a profile without a name; elsewhere an empty one counts as not set.
    strip_variable(os.environ, "AWS_PROFILE")
    block = saved_bucket(settings.s3_block) if settings.s3_block else _bucket(settings)
    try:
        return S3Archive(block)
    except (BotoCoreError, ValueError) as error:
        reason = shown(without_login(str(error)), 200)[1:-1]
        message = f"no S3 client can be made for s3://{block.bucket_name}: {reason}"
        raise CollectionError(FailureCode.ARCHIVE_REFUSED, message) from None


def _bucket(settings: ArchiveSettings) -> S3Bucket:
    # One try a call: the run's own policy tries again, and says so.
    config = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})
    credentials = AwsCredentials(
        profile_name=settings.aws_profile, aws_client_parameters=AwsClientParameters(config=config)
    )
    return S3Bucket(bucket_name=settings.s3_bucket or "", credentials=credentials)


def saved_bucket(name: str) -> S3Bucket:
    """Load a saved block.

    Raises:
        CollectionError: There is no such block, or Prefect's server does not answer.
    """
    try:
        return cast("S3Bucket", S3Bucket.load(name))
    except Exception as error:  # Prefect's client, its server's answer or the block's own checks may raise anything
        reason = f"{type(error).__name__} {shown(str(error), 300)[1:-1]}"
        message = f"no S3Bucket block named {shown(name)} can be loaded: {reason}"
        raise CollectionError(FailureCode.BLOCK_NOT_FOUND, message) from error


class S3Archive:
    """A bucket, given as a Prefect ``S3Bucket`` block, with the block's own credentials, endpoint and folder."""

    def __init__(self, block: S3Bucket) -> None:
        self._bucket = block.bucket_name
        self._folder = block.bucket_folder.strip("/")
        self._client: Any = block.credentials.get_s3_client()
        self.location = "/".join(part for part in ("s3:/", self._bucket, self._folder) if part)
        self.identity = bucket_identity(self.location, self._client.meta.endpoint_url)

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        # S3Bucket's own methods cannot put conditionally; the client beneath it can.
        response = self._on(
            key,
            "put_object",
            absent_status=_PRECONDITION_FAILED,
            Body=data,
            IfNoneMatch="*",
            Metadata=dict(provenance),
            ContentType="application/json" if key.endswith(".json") else "application/gzip",
        )
        return response is not None

    def sha256_of(self, key: str) -> str | None:
        head = self._on(key, "head_object", absent_status=_NOT_FOUND)
        if head is None:
            message = f"{self.location}/{key} stood there and is gone"
            raise CollectionError(FailureCode.ARCHIVE_UNAVAILABLE, message, transient=True)
        recorded = head["Metadata"].get("sha256")
        if recorded is not None:
            return str(recorded)
        found = self._get(key, sha256_unzipped)
        return None if found is None else str(found)

    def keys(self, folder: str) -> list[str]:
        keys: list[str] = []
        token: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", folder, Prefix=self._full(f"{folder}/"), Delimiter="/", **token)
            keys += [item["Key"].removeprefix(self._full("")) for item in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return sorted(key for key in keys if not key.endswith("/"))  # folder markers of S3 browsers
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> bytes | None:
        data = self._get(key, lambda body: body.read())
        return None if data is None else bytes(data)

    def remove(self, key: str) -> None:
        self._on(key, "delete_object")

    def _get(self, key: str, take: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what is taken of the body
        found = self._on(key, "get_object", absent_status=_NOT_FOUND)
        try:
            return None if found is None else take(found["Body"])
        except BotoCoreError as error:
            raise self._failed("get_object", key, _said(error), transient=True) from None

    def _full(self, key: str) -> str:
        return f"{self._folder}/{key}" if self._folder else key

    def _on(self, key: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401 - as boto
        return self._call(method, key, Key=self._full(key), **arguments)

    def _call(self, method: str, key: str, *, absent_status: int | None = None, **arguments: object) -> Any:  # noqa: ANN401 - as boto
        try:
            return getattr(self._client, method)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"].get("HTTPStatusCode", _SERVER_ERROR)
            code = error.response.get("Error", {}).get("Code")
            if code in _UNUSABLE_CODES:
                verb = "written" if method in _WRITING else "read"
                raise UnusableArchiveError(FailureCode.ARCHIVE_REFUSED, closed(self.location, verb, code)) from error
            if status == absent_status:
                return None
            raise self._failed(method, key, _told(error), transient=_is_transient(error, status)) from error
        except RecursionError as error:
            # Sent on, botocore asks for the bucket's region; sent on from there too, it does so without end.
            verb = "written" if method in _WRITING else "read"
            message = closed(self.location, verb, "the server sends every request on to another region")
            raise UnusableArchiveError(FailureCode.ARCHIVE_REFUSED, message) from error
        except NoCredentialsError as error:
            raise UnusableArchiveError(FailureCode.ARCHIVE_REFUSED, without_credentials(self.location)) from error
        except BotoCoreError as error:
            # Not chained: Prefect logs tracebacks, and botocore repeats a proxy's password.
            raise self._failed(method, key, _said(error), transient=_is_connection_trouble(error)) from None

    def _failed(self, method: str, key: str, reason: str, *, transient: bool) -> CollectionError:
        code = FailureCode.ARCHIVE_UNAVAILABLE if transient else FailureCode.ARCHIVE_REFUSED
        return CollectionError(code, f"{method} of {self.location}/{key} failed: {reason}", transient=transient)


def _said(error: Exception) -> str:
    return shown(without_login(str(error)), 300)


def _told(error: Any) -> str:  # noqa: ANN401 - botocore ships no types
    detail = error.response.get("Error", {})
    return f"{detail.get('Code', 'no code')} {shown(detail.get('Message', ''), 200)}"


def _is_transient(error: Any, status: int) -> bool:  # noqa: ANN401 - botocore ships no types
    code = error.response.get("Error", {}).get("Code")
    # 501: this S3 does not know conditional puts, and never will on this run.
    return (
        (status >= _SERVER_ERROR and code != "NotImplemented")
        or status in _TRANSIENT_STATUS
        or code in _TRANSIENT_CODES
    )


def _is_connection_trouble(error: Any) -> bool:  # noqa: ANN401 - botocore ships no types
    return isinstance(error, (BotoConnectionError, HTTPClientError))
