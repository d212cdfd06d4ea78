"""What S3 answers, or keeps from answering, as an ArchiveError: in S3's own words, with the bucket and the key."""

import re
from html import unescape
from typing import Any, Final

from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError, SSLError
from botocore.exceptions import ConnectionError as BotoConnectionError

from miso_archive.contract.findings import FailureCode
from miso_archive.store.store import ArchiveError, UnusableArchiveError
from miso_archive.text import shown, without_login

NOT_FOUND: Final = 404
PRECONDITION_FAILED: Final = 412
IN_AN_ARCHIVE_CLASS: Final = "InvalidObjectState"
"""S3's word for an object of an archive storage class, such as Glacier's: it must be restored before it is read."""

_SERVER_ERROR: Final = 500
_TRANSIENT_STATUS: Final = frozenset({408, 409, 429})
_TRANSIENT_CODES: Final = frozenset({"SlowDown", "RequestTimeout", "Throttling", "InternalError"})
_UNUSABLE_CODES: Final = frozenset({"NoSuchBucket", "InvalidBucketName", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_ELSEWHERE_CODES: Final = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_WRITING: Final = frozenset({"put_object", "delete_object"})

_ELEMENT: Final = r"<{0}>([^<]+)</{0}>"
_CODE: Final = re.compile(_ELEMENT.format("Code"))
_MESSAGE: Final = re.compile(_ELEMENT.format("Message"))
_CLASS: Final = re.compile(_ELEMENT.format("StorageClass"))
_ANSWERED: Final = re.compile(r"status code: (\d{3}) ([\w -]*)")
_ELSEWHERE: Final = "redirect without LOCATION"
_OTHER_REGION: Final = "the server sends every request on to another region"
# As OpenSSL says it, and as rustls does.
_UNTRUSTED: Final = re.compile(
    r"certificate verify failed: (?P<openssl>[^(]+)|InvalidCertificate\((?:\s|Other\(|OtherError\()*(?P<rustls>\w+)"
)
_TRUST: Final = "the server's certificate is not trusted ({}): name its authority's file in AWS_CA_BUNDLE"


class OtherRegionError(UnusableArchiveError):
    """The bucket is in another region than the one that was asked."""


def without_credentials(location: str) -> str:
    """Return the sentence that nothing is known to open an archive with."""
    return f"no AWS credentials are found for {location}: set them as for any AWS tool"


def closed(place: str, verb: str, reason: str) -> str:
    """Return the sentence that an archive cannot be read or written, with S3's own words for why."""
    return f"{place} cannot be {verb}: {reason}. Check bucket, region, credentials and rights"


def no_client(location: str, error: Exception) -> ArchiveError:
    """Return the error of a client that cannot be made."""
    reason = shown(without_login(str(error)), 200)[1:-1]
    return ArchiveError(FailureCode.ARCHIVE_REFUSED, f"no S3 client can be made for {location}: {reason}")


def says_so(error: Exception, status: int | None) -> bool:
    """Tell whether an error is S3's answer with a status that the call allows for; a missing bucket is none."""
    return (
        isinstance(error, ClientError)
        and _status(error) == status
        and _detail(error).get("Code") not in _UNUSABLE_CODES
    )


def of_call(error: Exception, method: str, location: str, key: str) -> ArchiveError:
    """Return what an error of botocore means, of one call on one key."""
    verb = "written" if method in _WRITING else "read"
    if isinstance(error, ClientError):
        code = _detail(error).get("Code")
        if code in _UNUSABLE_CODES:
            message = closed(f"{location}/{key}", verb, _words(code, _said(error)))
            return UnusableArchiveError(FailureCode.ARCHIVE_REFUSED, message)
        return _of_one(
            method, location, key, _words(code or f"status {_status(error)}", _said(error)), transient=_passes(error)
        )
    if isinstance(error, RecursionError):
        # Sent on, botocore asks for the bucket's region; sent on from there too, it does so without end.
        message = closed(location, verb, _OTHER_REGION)
        return UnusableArchiveError(FailureCode.ARCHIVE_REFUSED, message)
    if isinstance(error, NoCredentialsError):
        return UnusableArchiveError(FailureCode.ARCHIVE_REFUSED, without_credentials(location))
    if isinstance(error, SSLError) and (distrust := _distrust(str(error))):
        return _of_one(method, location, key, distrust, transient=False)
    is_trouble = isinstance(error, (BotoConnectionError, HTTPClientError))
    reason = without_login(str(error)) or type(error).__name__
    return _of_one(method, location, key, shown(reason, 300), transient=is_trouble)


def broken_off(error: Exception, location: str, key: str) -> ArchiveError:
    """Return the error of an answer that ended before it was whole."""
    return _of_one("get_object", location, key, shown(without_login(str(error)), 300), transient=True)


def of_many(error: Exception, place: str) -> ArchiveError:
    """Return what an error of many requests at once means: it has S3's answer in its text."""
    text = str(error)
    code = _CODE.search(text)
    if code is None:
        return _of_many_without_a_code(text, place)
    message = _MESSAGE.search(text)
    told = closed(place, "read", _words(code[1], None if message is None else unescape(message[1])))
    if code[1] in _ELSEWHERE_CODES:
        return OtherRegionError(FailureCode.ARCHIVE_UNREADABLE, told)
    if code[1] in _UNUSABLE_CODES:
        return UnusableArchiveError(FailureCode.ARCHIVE_UNREADABLE, told)
    return ArchiveError(FailureCode.ARCHIVE_UNREADABLE, told, transient=code[1] in _TRANSIENT_CODES)


def _of_many_without_a_code(text: str, place: str) -> ArchiveError:
    if _ELSEWHERE in text:
        return OtherRegionError(FailureCode.ARCHIVE_UNREADABLE, closed(place, "read", _OTHER_REGION))
    answered, distrust = _ANSWERED.search(text), _distrust(text)
    if answered is not None:
        reason = _words(f"status {answered[1]}", answered[2])
        passes = int(answered[1]) >= _SERVER_ERROR or int(answered[1]) in _TRANSIENT_STATUS
    else:
        reason = distrust or shown(without_login(text.partition("\n")[0]), 300)[1:-1]
        passes = not distrust
    return ArchiveError(FailureCode.ARCHIVE_UNREADABLE, closed(place, "read", reason), transient=passes)


def storage_class(error: Exception) -> str | None:
    """Return the archive storage class that keeps one object from being read; None of any other error."""
    code, named = _CODE.search(str(error)), _CLASS.search(str(error))
    if code is None or code[1] != IN_AN_ARCHIVE_CLASS:
        return None
    return "an archive storage class" if named is None else f"the storage class {shown(named[1])[1:-1]}"


def _distrust(text: str) -> str | None:
    """Return the sentence that the server's certificate is not trusted, and why; None of any other error."""
    found = _UNTRUSTED.search(text)
    return None if found is None else _TRUST.format(shown((found["openssl"] or found["rustls"]).strip(), 100)[1:-1])


def _of_one(method: str, location: str, key: str, reason: str, *, transient: bool) -> ArchiveError:
    code = FailureCode.ARCHIVE_UNAVAILABLE if transient else FailureCode.ARCHIVE_REFUSED
    return ArchiveError(code, f"{method} of {location}/{key} failed: {reason}", transient=transient)


def _passes(error: ClientError) -> bool:
    code = _detail(error).get("Code")
    # 501: this S3 does not know conditional puts, and never will on this run.
    return (
        (_status(error) >= _SERVER_ERROR and code != "NotImplemented")
        or _status(error) in _TRANSIENT_STATUS
        or code in _TRANSIENT_CODES
    )


def _detail(error: ClientError) -> dict[str, Any]:
    return error.response.get("Error", {})  # type: ignore[no-any-return]


def _said(error: ClientError) -> str | None:
    """Return S3's own sentence, with the storage class that keeps an object from being read."""
    message, held_in = _detail(error).get("Message"), _detail(error).get("StorageClass")
    return f"{message} (it is in {held_in})" if held_in else message


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"].get("HTTPStatusCode", _SERVER_ERROR)  # type: ignore[no-any-return]


def _words(code: str, message: str | None) -> str:
    return " ".join([shown(code)[1:-1], *([shown(message, 400)] if message else [])])  # Ceph sends none with some
