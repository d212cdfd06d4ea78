"""What no feed takes, and what each does, whatever it holds."""

from __future__ import annotations

import gzip

from tests.feeds.odd.body import Odd, put, whole

BODIES = (
    Odd("nothing", whole(""), ("empty_body body",)),
    Odd("a page", whole("<!DOCTYPE html><html></html>"), ("html_page body",)),
    Odd("half a body", lambda body: body[: len(body) // 2], ("not_json body",)),
    Odd("two bodies", lambda body: body + body, ("not_json body",)),
    Odd("still gzipped", lambda body: gzip.compress(body.encode(), mtime=0), ("not_json body",)),
    Odd("in UTF-16", lambda body: body.encode("utf-16"), ("not_json body",)),
    Odd(
        "NaN for a number",
        put(
            ('"', "NaN,"),
        ),
        ("not_json body",),
    ),
    Odd("lists, 10^5 deep", whole("[" * 100_000 + "]" * 100_000), ("not_json body",)),
    Odd("a brace", whole("{"), ("not_json body",)),
    Odd("NaN", whole("NaN"), ("not_json body",)),
    Odd("null", whole("null"), ("not_an_object body",)),
    Odd("text", whole('"no data"'), ("not_an_object body",)),
    Odd("an error", whole('{"error":"no data"}'), ("error_payload error",)),
    Odd("a byte order mark before it", lambda body: b"\xef\xbb\xbf" + body.encode()),
    Odd("white space around it", lambda body: f"\r\n {body}\n"),
)
