"""The row by which the feeds of binding constraints say that nothing binds. Pure."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from miso_archive.contract.findings import RefusalCode, WarningCode
from miso_archive.contract.kinds import PERIOD
from miso_archive.contract.rows import Placeholder, Row, fields_of, published

PLACEHOLDER_NAMES: Final = frozenset({"none", "none - none"})
"""What the placeholder is named, in lower case."""

_PLACEHOLDER_PRICES: Final = re.compile(r"(?:none|0+(?:\.0*)?)?", re.ASCII)


def period() -> Any:  # noqa: ANN401 - stands where the field's own type is declared
    """Declare the `Period` of a row of these feeds, in EST: it says the interval again."""
    return published(
        "Period",
        PERIOD,
        bad=RefusalCode.UNREADABLE_PERIOD,
        empty=RefusalCode.EMPTY_PERIOD,
        agrees=operator.eq,
        kept=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingBinds(Row):
    """The row that says nothing binds: named ``None``, priced ``None``, with a period all the same."""

    period: datetime = period()


def _is_named(name: str) -> bool:
    return name.strip().lower() in PLACEHOLDER_NAMES


def _stands_for_nothing(row: Mapping[str, Any]) -> bool:
    name, price = row.get("Name"), row.get("Price", "absent")
    if not isinstance(name, str) or not _is_named(name) or isinstance(price, bool):
        return False
    return (
        price is None
        or price == 0
        or (isinstance(price, str) and bool(_PLACEHOLDER_PRICES.fullmatch(price.strip().lower())))
    )


NOTHING_BINDS: Final = Placeholder(
    stands_for_nothing=_stands_for_nothing,
    named_by="Name",
    is_named=_is_named,
    usual={"Name": ("None", "None - None"), "Price": ("None",)},
    row=NothingBinds,
    may_lack=frozenset({"Description"}),
    beside_rows=WarningCode.PLACEHOLDER_BESIDE_CONSTRAINTS,
    beside_message="says that nothing binds, beside binding constraints",
)


def nothing_binds(row: type[Row]) -> Placeholder:
    """Return the same row for a feed of which too few were seen to say what else it has: it may lack all but these."""
    keys = {field.key for field in fields_of(row).values()}
    return replace(NOTHING_BINDS, may_lack=frozenset(keys - {"Name", "Period", "Price"}))
