"""A body's bytes to JSON, or what they are instead. Pure."""

from collections.abc import Collection
from typing import Any, Final

import orjson

from miso_archive.contract.findings import Findings, RefusalCode
from miso_archive.text import shown

MOST_BYTES: Final = 5 * 1024 * 1024
"""The largest body that is read, in bytes after decompression; a live one has a few thousand."""

_UTF8_MARK: Final = b"\xef\xbb\xbf"


def read_body(
    body: bytes, known: Collection[str], findings: Findings, *, is_list: bool = False
) -> dict[str, Any] | None:
    """Return the object that a body is, a list as the field without a name of one.

    None, after saying so, where it is neither, the other of both, or an error with no data.
    """
    text = _text_of(body, findings)
    if text is None:
        return None
    try:
        payload = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        findings.refuse(RefusalCode.NOT_JSON, "body", f"is not JSON: {error}")
        return None
    if is_list and isinstance(payload, list):
        return {"": payload}
    if not isinstance(payload, dict):
        findings.refuse(RefusalCode.NOT_AN_OBJECT, "body", f"{shown(payload)} is not an object")
    elif "error" in payload and not payload.keys() & set(known):
        message = f"the feed answers with an error: {shown(payload['error'])}"
        findings.refuse(RefusalCode.ERROR_PAYLOAD, "error", message)
    elif is_list:
        findings.refuse(RefusalCode.NOT_A_LIST, "body", f"{shown(payload)} is not a list")
    else:
        return payload
    return None


def _text_of(body: bytes, findings: Findings) -> bytes | None:
    """Return what may be JSON, or None after saying why it cannot be."""
    if len(body) > MOST_BYTES:
        findings.refuse(RefusalCode.BODY_TOO_LARGE, "body", f"is larger than {MOST_BYTES} bytes")
        return None
    text = body.removeprefix(_UTF8_MARK).strip()
    if not text:
        findings.refuse(RefusalCode.EMPTY_BODY, "body", "is empty")
        return None
    if text.startswith(b"<"):
        start = shown(text[:60].decode("utf-8", "replace"))
        findings.refuse(RefusalCode.HTML_PAGE, "body", f"is a page, not JSON: it starts {start}")
        return None
    return text
