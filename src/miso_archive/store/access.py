"""How a bucket is reached: AWS's whole configuration, resolved once, for writing, listing and reading alike."""

import os
import re
import ssl
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import ProxyConfiguration
from botocore.loaders import Loader, create_loader
from botocore.utils import get_environ_proxies

from miso_archive.contract.findings import FailureCode
from miso_archive.store.s3_errors import no_client
from miso_archive.store.store import ArchiveError
from miso_archive.text import has_control_characters, is_address, shown, strip_variable

if TYPE_CHECKING:
    from prefect_aws import S3Bucket

# One try a call: the run's own policy tries again, and says so.
_ONE_TRY: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})
_EVERYWHERE: Final = "aws-global"
"""What botocore calls the region of endpoints that have none: S3's is us-east-1."""

_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)
_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn")
_OTHERS_BUNDLE: Final = "REQUESTS_CA_BUNDLE"
_CERTIFICATE: Final = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Access:
    """A bucket, the folder in it that is the archive's root, and how both are reached."""

    bucket: str
    folder: str
    session: Any
    client: Any
    authorities: bytes | None
    verifies: bool

    @property
    def location(self) -> str:
        """The archive's address: ``s3://bucket/folder``."""
        return _location(self.bucket, self.folder)

    @property
    def identity(self) -> str:
        """What tells the archive from every other place: its location, and the endpoint when it is not AWS's."""
        endpoint = urlsplit(self.client.meta.endpoint_url)
        if (endpoint.hostname or "").endswith(_AWS):
            return self.location
        return f"{self.location} at {endpoint.scheme}://{endpoint.netloc.rpartition('@')[2]}"

    @property
    def proxy(self) -> str | None:
        """The proxy that botocore takes to the endpoint: its configuration's, or by its own rules the environment's."""
        meta = self.client.meta
        proxies = meta.config.proxies
        found = ProxyConfiguration(get_environ_proxies(meta.endpoint_url) if proxies is None else proxies)
        proxy: str | None = found.proxy_url_for(meta.endpoint_url)
        return proxy

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        region: str | None = self.client.meta.region_name
        return "us-east-1" if region in {None, _EVERYWHERE} else str(region)

    def region_found(self) -> str | None:
        """Return the bucket's own region, which S3 tells who asks in another; None where it tells none."""
        try:
            answer = self.client.head_bucket(Bucket=self.bucket)
        except (BotoCoreError, ClientError, RecursionError):
            return None
        headers: dict[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
        return headers.get("x-amz-bucket-region")

    @property
    def is_signed(self) -> bool:
        """Whether requests carry credentials."""
        return self.client.meta.config.signature_version is not UNSIGNED

    def address(self, region: str) -> tuple[str, bool]:
        """Return the endpoint to ask, of AWS's own that of a region, and whether the bucket is named in its host."""
        meta = self.client.meta
        is_virtual = (meta.config.s3 or {}).get("addressing_style") == "virtual"
        if urlsplit(meta.endpoint_url).hostname in {"s3.amazonaws.com", f"s3.{meta.region_name}.amazonaws.com"}:
            # Said in so many words: where none is named obstore takes that of the environment, which may not be meant.
            host = f"s3.{region}.amazonaws.com"
            return f"https://{self.bucket}.{host}" if is_virtual else f"https://{host}", is_virtual
        if is_virtual:
            # Not where the host is a number: botocore knows, and says so by the address that it would ask.
            asked = urlsplit(self.client.generate_presigned_url("head_object", {"Bucket": self.bucket, "Key": "key"}))
            if asked.path == "/key":
                return f"{asked.scheme}://{asked.netloc}", True
        return meta.endpoint_url.replace(_EVERYWHERE, region), False


def access_by_name(bucket: str, folder: str, profile: str | None) -> Access:
    """Return how a bucket is reached with what the AWS environment says, or a profile of it.

    Raises:
        ArchiveError: The bucket cannot be an archive, or no S3 client can be made.
    """
    return _access(bucket, folder, lambda: _session(profile), {"config": _ONE_TRY})


def access_by_block(block: "S3Bucket") -> Access:
    """Return how the bucket of an S3Bucket block is reached: with the block's own credentials, endpoint and folder.

    Raises:
        ArchiveError: The bucket cannot be an archive, or no S3 client can be made.
    """
    credentials = block.credentials
    parameters = credentials.aws_client_parameters.get_params_override()
    return _access(block.bucket_name, block.bucket_folder, credentials.get_boto3_session, parameters)


def _session(profile: str | None) -> boto3.Session:
    core = botocore.session.Session(profile=profile)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return boto3.Session(botocore_session=core)


@cache
def _loader(data_path: str | None) -> Loader:
    """Return what reads botocore's description of S3: to parse it takes longer than all else that opens a bucket."""
    return create_loader(data_path)


def _access(bucket: str, folder: str, session: Callable[[], Any], parameters: dict[str, Any]) -> Access:
    folder = folder.strip("/")
    _refuse_what_is_no_place(bucket, folder)
    # boto3 takes an empty variable for a profile without a name, and the line break behind a key for a part of it.
    for name in [name for name in os.environ if name.startswith("AWS_") or name == _OTHERS_BUNDLE]:
        strip_variable(os.environ, name)
    location = _location(bucket, folder)
    try:
        opened = session()
        trusted = _trusted(opened, parameters)
        authorities = _read_authorities(Path(trusted)) if isinstance(trusted, str) else None
        bundle = _one_file(authorities) if authorities is not None and Path(str(trusted)).is_dir() else None
        client = opened.client("s3", **{**parameters, "verify": bundle or trusted})
        credentials = opened.get_credentials()
    except ArchiveError:
        raise
    except Exception as error:  # noqa: BLE001 - botocore's, and what it trips over in a configuration of another shape
        # Not chained: botocore repeats a proxy's password.
        raise no_client(location, error) from None
    _refuse_what_no_request_takes(location, client.meta.endpoint_url, credentials)
    if bundle is not None:
        weakref.finalize(client, os.unlink, bundle)
    return Access(bucket, folder, opened, client, authorities, verifies=trusted is not False)


def is_segment(name: str) -> bool:
    """Tell whether a name may stand between two slashes of a key: obstore spells no other, and lists nothing beside."""
    return name not in {"", ".", ".."} and not any(letter < " " or letter == "\x7f" for letter in name)


def _refuse_what_no_request_takes(location: str, endpoint: str, credentials: Any) -> None:  # noqa: ANN401 - as boto
    """Refuse what botocore repeats in its errors, secrets included, and what obstore ends at."""
    if not is_address(endpoint, {"http", "https"}) or urlsplit(endpoint).query or urlsplit(endpoint).fragment:
        raise no_client(location, ValueError("its endpoint is no address of the form https://host:port, or http://"))
    # Those that are fetched are not fetched for this.
    if credentials is not None and not isinstance(credentials, RefreshableCredentials):
        keys = (credentials.access_key, credentials.secret_key, credentials.token)
        if any(has_control_characters(key or "") for key in keys):
            raise no_client(location, ValueError("its AWS credentials have a line break or another control character"))


def _refuse_what_is_no_place(bucket: str, folder: str) -> None:
    if bucket.startswith("arn:"):
        message = f"{shown(bucket, 200)} is no bucket's name: give an access point by its alias, which ends in -s3alias"
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message)
    if not _BUCKET.fullmatch(bucket):
        message = "S3 has no buckets of such a name: letters, digits, hyphens and dots alone"  # it may be a password
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message)
    if bucket.endswith("--x-s3"):
        message = f"{bucket} is a directory bucket, in which no archive can be: name one for general purposes"
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message)
    if folder and not all(map(is_segment, folder.split("/"))):
        message = (
            f"the folder {shown(folder, 200)} of the bucket {bucket} has an empty or dotted part, or a control "
            "character: name it without"
        )
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message)


def _trusted(session: Any, parameters: dict[str, Any]) -> bool | str:  # noqa: ANN401 - boto3 ships no types
    """Return whose certificates are trusted, in botocore's own order: a file, the system's, or anybody's."""
    if "verify" in parameters:
        verify = parameters["verify"]
        return verify if isinstance(verify, bool) else str(verify)
    # botocore's own session alone knows the ca_bundle of a profile.
    configured = session._session.get_config_variable("ca_bundle")  # noqa: SLF001
    return configured or os.environ.get(_OTHERS_BUNDLE) or True


def _read_authorities(place: Path) -> bytes:
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        data = b"\n".join(file.read_bytes() for file in files if file.is_file() or file == place)
    except OSError as error:
        message = f"the certificates in {place} cannot be read: {error.strerror or error}. See AWS_CA_BUNDLE"
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message) from error
    found = dict.fromkeys(_CERTIFICATE.findall(data))
    if not found:
        message = f"there are no certificates in {place}: give PEM files. See AWS_CA_BUNDLE"
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message)
    bundle = b"\n".join(found) + b"\n"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=bundle.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        message = f"the certificates in {place} are damaged: give PEM files. See AWS_CA_BUNDLE"
        raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message) from error
    return bundle


def _one_file(authorities: bytes) -> str:
    """Write certificates to a file of their own: botocore takes no folder of them."""
    descriptor, name = tempfile.mkstemp(prefix="authorities-", suffix=".pem")
    with os.fdopen(descriptor, "wb") as file:
        file.write(authorities)
    return name


def _location(bucket: str, folder: str) -> str:
    return "/".join(part for part in ("s3:/", bucket, folder) if part)
