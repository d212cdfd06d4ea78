"""The option by which commands are told of which feeds: ``--feed``."""

from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter, Token

from miso_archive.feeds import ALL, FEEDS, KNOWN, FeedChoice
from miso_archive.feeds.feed import Feed
from miso_archive.text import shown

if TYPE_CHECKING:
    import polars as pl

    _Name: TypeAlias = str
    _LiveChoice: TypeAlias = str
else:
    # What --help shows as choices.
    _Name = Literal[tuple(KNOWN)]
    _LiveChoice = Literal[(*FEEDS, ALL)]


def _one(_kind: object, tokens: Sequence[Token]) -> str:
    """Read one feed's name."""
    name = tokens[-1].value.strip()
    if name not in KNOWN:
        raise ValueError(f"{shown(name)} is no feed: it is one of {', '.join(KNOWN)}")
    return name


def listed(tokens: Sequence[Token], known: Collection[str], wrong: str) -> list[str]:
    """Read names that are listed with commas, with blanks, or one by one; ``wrong`` is what is said of others."""
    names = [name for token in tokens for part in token.value.split(",") if (name := part.strip())]
    for name in names:
        if name not in known:
            raise ValueError(f"{shown(name)} {wrong}")
    return names


def _several(known: Collection[str], of_all: Collection[str]) -> Parameter:
    """Return the option by which several feeds are named; ``all`` is every one of some."""

    def read(_kind: object, tokens: Sequence[Token]) -> tuple[str, ...]:
        names = listed(tokens, {*known, ALL}, f"is no feed: it is one of {', '.join(known)}, or {ALL}")
        return tuple(name for name in known if name in names or (ALL in names and name in of_all))

    def refuse_none(_kind: object, names: tuple[str, ...] | None) -> None:
        if names is not None and not names:
            raise ValueError(f"it names none of {', '.join(known)}, nor {ALL}")

    return Parameter(
        name="--feed",
        consume_multiple=True,
        negative=(),
        converter=read,
        validator=refuse_none,
        show_default=_typed,
    )


def _typed(names: tuple[str, ...] | None) -> str | None:
    """Return a default as it would be typed, or None where there is none."""
    return None if names is None else ",".join(names)


OneFeed = Annotated[_Name, Parameter(name="--feed", converter=_one)]
Feeds = Annotated[tuple[FeedChoice, ...], _several(KNOWN, FEEDS)]
"""Feeds of any cadence; all are the live ones."""
StoredFeeds = Annotated[tuple[FeedChoice, ...], _several(KNOWN, KNOWN)]
"""The same; all are those of which anything can stand in an archive."""
LiveFeeds = Annotated[tuple[_LiveChoice, ...], _several(FEEDS, FEEDS)]


def named(names: Sequence[str]) -> list[Feed]:
    """Return the feeds of these names."""
    return [KNOWN[name] for name in names]


def together(frames: "Mapping[str, pl.DataFrame]") -> "pl.DataFrame":
    """Return the frames of several feeds in one, each row with its ``feed``; that of a single one as it is.

    Columns of some feeds alone stand together, where the first feed has its own.
    """
    import polars as pl  # noqa: PLC0415 - collect, which needs it not, is told of feeds here too

    first = next(iter(frames.values()))
    if len(frames) == 1:
        return first
    told = [frame.select(pl.lit(name).alias("feed"), pl.all()) for name, frame in frames.items()]
    whole = pl.concat(told, how="diagonal")
    shared = set.intersection(*(set(frame.columns) for frame in told))
    leading = ["feed", *takewhile(lambda name: name in shared, first.columns)]
    of_some = [name for name in whole.columns if name not in shared]
    return whole.select(*dict.fromkeys((*leading, *of_some, *whole.columns)))
