"""The archive in an S3 bucket, or in a folder of it."""

import logging
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError

from miso_archive.contract.findings import FailureCode
from miso_archive.extras import needs
from miso_archive.store.access import Access, is_segment
from miso_archive.store.gzipped import sha256_unzipped
from miso_archive.store.s3_errors import NOT_FOUND, PRECONDITION_FAILED, broken_off, of_call, says_so
from miso_archive.store.store import ArchiveError
from miso_archive.text import shown

if TYPE_CHECKING:
    from miso_archive.store.s3_requests import Listed, ManyRequests

_FETCHED_AT: Final = "fetched-at"
_KINDS: Final = {
    ".json": "application/json",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".ipynb": "application/x-ipynb+json",
}

logger = logging.getLogger(__name__)


class Bucket:
    """A bucket. Single calls, and all that writes, go through boto3; many readings at once through obstore."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.location = access.location
        self.identity = access.identity
        self._has_listed = False
        self._has_told_of_strays = False

    @cached_property
    def _many(self) -> "ManyRequests":
        # A run that collects reads no more than a mark, and need not wait for another library.
        with needs("s3", self.location):
            from miso_archive.store.s3_requests import ManyRequests  # noqa: PLC0415 - as said

        return ManyRequests(self._access)

    def require(self, *, may_be_new: bool = False) -> None:  # noqa: ARG002 - a bucket is there, or fails by itself
        self._many  # noqa: B018 - it cannot be made without credentials

    def folders(self, under: str) -> list[str]:
        [listed] = self._listed([under])
        return sorted(listed.folders)

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        return [sorted(name for name in listed.objects if name[0] != ".") for listed in self._listed(folders)]

    def _listed(self, folders: Sequence[str]) -> list["Listed"]:
        found = [
            self._listed_among_strays(folder) if listed is None else listed
            for folder, listed in zip(folders, self._many.lists(folders), strict=True)
        ]
        if not self._has_listed and folders and not any(listed.objects or listed.folders for listed in found):
            self._refuse_no_listing(folders[0])
        self._has_listed = True
        return found

    def _refuse_no_listing(self, folder: str) -> None:
        """Ask once more where nothing at all is found: obstore takes a page in place of a listing for an empty one."""
        page = self._call("list_objects_v2", folder, Prefix=self._full(f"{folder}/"), Delimiter="/", MaxKeys=1)
        if "IsTruncated" not in page:
            message = f"{self.location}/{folder} cannot be read: the server answers as no S3 does, without a listing"
            raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)

    def _listed_among_strays(self, folder: str) -> "Listed":
        """List a folder page by page, and leave out what no path can spell."""
        from miso_archive.store.s3_requests import Listed  # noqa: PLC0415 - as above

        prefix = self._full(f"{folder}/")
        found = Listed([], [])
        strays: list[str] = []
        token: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", folder, Prefix=prefix, Delimiter="/", **token)
            for item in page.get("Contents", []):
                name = item["Key"].removeprefix(prefix)
                if is_segment(name):
                    found.objects.append(name)
                elif name:
                    strays.append(item["Key"])
            for item in page.get("CommonPrefixes", []):
                name = item["Prefix"].removeprefix(prefix).removesuffix("/")
                if is_segment(name):
                    found.folders.append(name)
                else:
                    strays.append(item["Prefix"])
            if not page.get("IsTruncated"):
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        if strays and not self._has_told_of_strays:
            self._has_told_of_strays = True
            logger.warning(
                "s3://%s has keys with an empty or dotted part, or a control character: they are left out, as is %s",
                *(self._access.bucket, shown(strays[0], 500)),
            )
        return found

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        return self._many.read(keys)

    def get(self, key: str) -> bytes | None:
        data = self._got(key, lambda body: body.read())
        return None if data is None else bytes(data)

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        told = zip(keys, self._many.metadata(keys), strict=True)
        return [(self._metadata(key) if metadata is None else metadata).get(_FETCHED_AT, "") for key, metadata in told]

    def _metadata(self, key: str) -> Mapping[str, str]:
        # An object in an archive storage class still says where it is from.
        head = self._on(key, "head_object", absent_status=NOT_FOUND)
        return {} if head is None else dict(head["Metadata"])

    def sha256_of(self, key: str) -> str | None:
        head = self._on(key, "head_object", absent_status=NOT_FOUND)
        if head is None:
            message = f"{self.location}/{key} stood there and is gone"
            raise ArchiveError(FailureCode.ARCHIVE_UNAVAILABLE, message, transient=True)
        recorded = head["Metadata"].get("sha256")
        if recorded is not None:
            return str(recorded)
        found = self._got(key, sha256_unzipped)
        return None if found is None else str(found)

    def put_if_absent(self, key: str, data: bytes, provenance: Mapping[str, str]) -> bool:
        return self._put(key, data, absent_status=PRECONDITION_FAILED, IfNoneMatch="*", Metadata=dict(provenance))

    def replace(self, key: str, data: bytes) -> None:
        self._put(key, data)

    def _put(self, key: str, data: bytes, **arguments: Any) -> bool:  # noqa: ANN401 - as boto
        answer = self._on(
            key,
            "put_object",
            Body=data,
            # A bucket with Object Lock takes nothing without, whatever is configured. Over TLS botocore would send its
            # own behind a body in pieces, which not every S3 server understands.
            ChecksumCRC32=b64encode(zlib.crc32(data).to_bytes(4)).decode(),
            **_content_type(key),
            **arguments,
        )
        if answer is not None and "ETag" not in answer:
            message = f"put_object of {self.location}/{key} failed: the server answers as no S3 does, without an ETag"
            raise ArchiveError(FailureCode.ARCHIVE_REFUSED, message)
        return answer is not None

    def remove(self, key: str) -> None:
        self._on(key, "delete_object")

    def _got(self, key: str, take: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what is taken of the body
        found = self._on(key, "get_object", absent_status=NOT_FOUND)
        try:
            return None if found is None else take(found["Body"])
        except BotoCoreError as error:
            raise broken_off(error, self.location, key) from None

    def _full(self, key: str) -> str:
        return f"{self._access.folder}/{key}" if self._access.folder else key

    def _on(self, key: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401 - as boto
        return self._call(method, key, Key=self._full(key), **arguments)

    def _call(self, method: str, key: str, *, absent_status: int | None = None, **arguments: object) -> Any:  # noqa: ANN401 - as boto
        try:
            return getattr(self._access.client, method)(Bucket=self._access.bucket, **arguments)
        except Exception as error:  # noqa: BLE001 - botocore's, and what credentials and servers of any kind make of it
            if says_so(error, absent_status):
                return None
            # Not chained: Prefect logs tracebacks, and botocore repeats a proxy's password.
            raise of_call(error, method, self.location, key) from None


def _content_type(key: str) -> dict[str, str]:
    for ending, kind in _KINDS.items():
        if key.endswith(ending):
            return {"ContentType": kind}
    return {}
