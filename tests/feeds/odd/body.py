"""One odd body, and the words in which tables of them are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Change: TypeAlias = Callable[[str], str | bytes]


@dataclass(frozen=True)
class Odd:
    """A recorded body after a change.

    ``refused`` and ``warned`` are codes with their places, ``bad_price Constraint[0].Price``; a body that is not
    refused is accepted. ``gives`` are values in the frames, ``prices[0].lmp``: the reader's, and the contract's where
    it has the same; ``prices`` is how many rows there are.
    """

    name: str
    change: Change
    refused: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    gives: Mapping[str, Any] = field(default_factory=dict)


def put(*changes: tuple[str, str], times: int = 1) -> Change:
    """Put one text in place of another, where that stands first, or so many times."""

    def change(body: str) -> str:
        for old, new in changes:
            assert old in body, old
            body = body.replace(old, new, times)
        return body

    return change


def put_all(*changes: tuple[str, str]) -> Change:
    """Put one text in place of another, wherever that stands."""
    return put(*changes, times=-1)


def json_of(change: Callable[[Any], Any]) -> Change:
    """Change the JSON that a body is."""
    return lambda body: json.dumps(change(json.loads(body)))


def whole(body: str | bytes) -> Change:
    """Put another body in its place."""
    return lambda _: body
