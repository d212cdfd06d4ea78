"""What of an archive is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from miso_archive.store.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each object of a folder was read."""
    counted: Counter[str] = Counter()
    read = Folder.read

    def counting(self: Folder, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        counted.update(keys)
        return read(self, keys)

    monkeypatch.setattr(Folder, "read", counting)
    return counted
