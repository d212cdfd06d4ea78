"""What people, files and the feed say: white space taken off, control characters found, values spelled safely. Pure."""

import re
import unicodedata
from collections.abc import Collection, MutableMapping
from typing import Final
from urllib.parse import urlsplit

# What shows as nothing and is no white space to Python: byte order mark, zero-width characters.
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"
_CONTROL: Final = frozenset({"Cc", "Zl", "Zp"})


def stripped(text: str) -> str:
    """Return a text without the white space at its ends: line breaks of a file, Unicode's blanks, a byte order mark."""
    first, end = 0, len(text)
    while first < end and _is_blank(text[first]):
        first += 1
    while first < end and _is_blank(text[end - 1]):
        end -= 1
    return text[first:end]


def has_control_characters(text: str) -> bool:
    """Tell whether a text has a line break, a tab, or another character that steers instead of showing."""
    return any(unicodedata.category(character) in _CONTROL for character in text)


def is_utf8(text: str) -> bool:
    """Tell whether a text can be written in UTF-8: the bytes of the environment need not be any."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def in_utf8(text: str) -> str:
    """Return a text that can be written in UTF-8: what is no UTF-8, as in a folder's name, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_address(text: str, schemes: Collection[str]) -> bool:
    """Tell whether a text is an address with a host, of one of some schemes."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text repeats pieces of the address, which may hold a password
        return False


def without_login(text: str) -> str:
    """Return what a library says without the user and password of an address in it, such as a proxy's."""
    return re.sub(r"//.*@", "//", text)


def strip_variable(environ: MutableMapping[str, str], name: str) -> None:
    """Take the white space off a variable that a library reads by itself; one that is blank is not set."""
    if value := stripped(environ.get(name, "")):
        environ[name] = value
    else:
        environ.pop(name, None)


def shown(value: object, length: int = 60) -> str:
    """Spell a value of the feed in ASCII on one line, cut to a length: fit for a log line or a message."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = ascii(value[: length + 1] if isinstance(value, str) else value).replace("\n", " ")
    return text if len(text) <= length else text[:length] + "..."


def given(argument: object) -> str:
    """Spell an argument in Python's words; those of ``shown`` are the feed's."""
    return "a dict" if isinstance(argument, dict) else shown(argument)


def in_markdown(text: str) -> str:
    """Return a text as Markdown shows it letter by letter: between two dollars, Jupyter would set a formula."""
    return re.sub(r"([\\`*_\[\]<>#$|])", r"\\\1", text)


def counted(count: int, noun: str) -> str:
    """Count things in words: ``1 row``, ``2 rows``, ``1,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _INVISIBLE
