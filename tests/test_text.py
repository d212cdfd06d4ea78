"""Texts spelled for where they are shown."""

from __future__ import annotations

import pytest

from miso_archive.text import in_markdown


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("$83.83/MWh and -$30.88/MWh", r"\$83.83/MWh and -\$30.88/MWh"),
        ("TMP470_A_B [x] <b> *y*", r"TMP470\_A\_B \[x\] \<b\> \*y\*"),
        ("a `quoted` back\\slash", r"a \`quoted\` back\\slash"),
        ("96.5% of 288 intervals (EST)", "96.5% of 288 intervals (EST)"),
    ],
)
def test_markdown_shows_it_letter_by_letter(text: str, spelled: str) -> None:
    """What would set a formula, a link, HTML or italics is escaped; all else stands as it is."""
    assert in_markdown(text) == spelled
