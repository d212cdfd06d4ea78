"""A constraint's name taken apart. Pure."""

import re
from typing import Final, NamedTuple

from miso_archive.contract.rows import Made

NAME_PARTS: Final = (
    Made("element", str, "The limited element, parsed from the name: `RDT_SO_MW`."),
    Made("flow_direction", str, "Its direction, parsed: `South_North`."),
    Made("terms", list, "The terms of the description, parsed: `STR`, `Lost_Gen`."),
    Made("zone", int, "The reserve zone's number, parsed: 3 of `Zone_3`."),
)
"""The columns of a name's parts."""

_ELEMENT: Final = r"(?P<element>[^\s()]+)"
_DIRECTION: Final = r" \((?P<direction>[^\s()]+)\)"
# Possessive, or a name of 5 MB would cost 500 MB: no part can give back what it took and still match.
_TERMS: Final = r" - (?!Zone_\d+$)(?P<terms>[^\s+]++(?:\+[^\s+]++)*+)(?: Zone_(?P<zone>\d{1,4}))?"
_SHAPE: Final = re.compile(rf"{_ELEMENT}(?:{_DIRECTION}(?:{_TERMS})?|{_TERMS.replace('?P<', '?P<bare_')})", re.ASCII)


ELEMENT_PARTS: Final = NAME_PARTS[:2]
"""The columns of a name's parts where no reserve is meant."""


class ConstraintName(NamedTuple):
    """The parts of ``RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3``; all None where the shape is not known."""

    element: str | None = None
    flow_direction: str | None = None
    terms: tuple[str, ...] | None = None
    zone: int | None = None


def parse_constraint_name(name: str) -> ConstraintName:
    """Take a name apart: element, direction in parentheses, terms joined by ``+``, a trailing reserve zone.

    The shape is read from the few names that are known (seen 2026-07-27); no names are enumerated. A name of another
    shape gives None for every part, never a guess.
    """
    match = _SHAPE.fullmatch(name.strip(" "))
    if match is None:
        return ConstraintName()
    terms = match["terms"] or match["bare_terms"]
    zone = match["zone"] or match["bare_zone"]
    return ConstraintName(
        match["element"], match["direction"], tuple(terms.split("+")) if terms else None, int(zone) if zone else None
    )


def parse_element(name: str) -> tuple[str | None, str | None]:
    """Return the element and the direction of a name of this shape."""
    return parse_constraint_name(name)[:2]
