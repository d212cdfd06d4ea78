"""Bodies zipped for the archive, and unzipped no further than a body may be large."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, Final

from miso_archive.contract.body import MOST_BYTES

_CHUNK: Final = 1024 * 1024
_GZIP: Final = 31
# What is smaller cannot unzip to more than some 65 MB.
_SMALL: Final = 65536


def zipped(body: bytes) -> bytes:
    """Compress a body without a time stamp: the same body gives the same bytes, with the same version of zlib."""
    return gzip.compress(body, mtime=0)


def sha256_unzipped(file: Any) -> str | None:  # noqa: ANN401 - a file, or botocore's body
    """Return the SHA-256 of a gzip file's content, read in pieces; None when it is no whole gzip file."""
    digest = hashlib.sha256()
    try:
        with gzip.GzipFile(fileobj=file) as unzipped:
            while chunk := unzipped.read(_CHUNK):
                digest.update(chunk)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        return None
    return digest.hexdigest()


def unzipped(data: bytes | OSError, most_bytes: int = MOST_BYTES) -> bytes:
    """Unzip an object as it was read, as far as it takes to see that it is too large, or unzips to some 65 MB.

    Raises:
        OSError: The object could not be read.
        zlib.error: It is damaged.
    """
    if isinstance(data, OSError):
        raise data
    if len(data) < _SMALL:
        return zlib.decompress(data, _GZIP)
    unzipping = zlib.decompressobj(_GZIP)
    body = unzipping.decompress(data, most_bytes + 1)
    if len(body) <= most_bytes and not unzipping.eof:
        raise zlib.error("it ends too early")
    return body


def unzipped_together(several: Sequence[bytes | OSError]) -> list[bytes] | None:
    """Unzip small objects as they were read; None where one is no whole gzip file, or they are not small together."""
    if {*map(type, several)} != {bytes} or sum(map(len, several)) >= _SMALL:  # type: ignore[arg-type] # all are bytes
        return None
    try:
        return [zlib.decompress(data, _GZIP) for data in several]  # type: ignore[arg-type] # likewise
    except zlib.error:
        return None
