"""A body's content encoding, undone as far as the standard library can and no further than a size. Pure."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from miso_archive.contract.body import MOST_BYTES
from miso_archive.text import shown

WORKBOOK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How a legacy Excel workbook begins: MISO's reports."""

MOST_RAW_BYTES: Final = 2 * MOST_BYTES
"""What gzip cannot make smaller it makes a little larger; twice as much as the largest body is surely too much."""

_MOST_ENCODINGS: Final = 5
_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class UndecodableError(Exception):
    """The message says why a content encoding cannot be undone."""


def encodings_of(header: str) -> list[str]:
    """Return the encodings that a Content-Encoding header names, in lower case, in the order they were applied."""
    names = (word.strip().lower() for word in header.split(","))
    return [name for name in names if name not in {"", "identity"}]


def decoded(body: bytes, header: str) -> bytes:
    """Undo what a Content-Encoding header names, up to the first byte too many of what comes out.

    A word that names no encoding (``utf-8``, ``none``), or one that cannot be undone here, counts for nothing where the
    body is plain.

    Raises:
        UndecodableError: It cannot be undone.
    """
    names = encodings_of(header)
    if len(names) > _MOST_ENCODINGS:
        raise UndecodableError(f"there are {len(names)}, one within the other")
    last = MOST_BYTES + 1
    for number, name in enumerate(reversed(names), start=1):
        undo = _UNDO.get(name)
        if undo is not None:
            try:
                body = undo(body, last if number == len(names) else MOST_RAW_BYTES)
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise UndecodableError(f"{type(error).__name__} {error}") from error
    if not _UNDO.keys() >= set(names) and not _is_plain(body):
        raise UndecodableError(f"it is {shown(header)}, not gzip or deflate, and the body is no plain text")
    return body[:last]


def gunzipped(body: bytes, most: int) -> bytes:
    """Unzip as far as so many bytes.

    Raises:
        gzip.BadGzipFile, zlib.error, EOFError: It is damaged before that.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as unzipped:
        return unzipped.read(most)


def _inflated(body: bytes, most: int) -> bytes:
    """Undo ``deflate``: zlib's format, and the bare one that some servers send in its place."""
    try:
        return _inflated_as(zlib.MAX_WBITS, body, most)
    except zlib.error:
        return _inflated_as(-zlib.MAX_WBITS, body, most)


def _inflated_as(window: int, body: bytes, most: int) -> bytes:
    inflating = zlib.decompressobj(window)
    plain = inflating.decompress(body, most)
    if body and len(plain) < most:
        if not inflating.eof:
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")
        if inflating.unused_data:
            raise zlib.error("there are bytes behind its end")
    return plain


def _is_plain(body: bytes) -> bool:
    """Tell whether a body reads as what is sent to us: text in UTF-8, also where it was cut, or a workbook."""
    if body.startswith(WORKBOOK):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return _NO_TEXT.search(body) is None


_UNDO: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": gunzipped,
    "x-gzip": gunzipped,
    "deflate": _inflated,
}
