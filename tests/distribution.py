"""Which tests a worker of pytest-xdist takes together."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

WHOLE_SYSTEMS: Final = ("tests/ui/", "tests/flows/test_up.py")
"""What takes a Prefect with workers and a browser, or all that ``make up`` starts: minutes, and most of a processor."""

LONGEST: Final = (*WHOLE_SYSTEMS, "tests/tools/test_documentation.py")
"""What takes minutes on a busy machine, the demo among it: at the end one worker would wait for it."""


class ByFile(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """Those of a file, and whole systems, of which never two are up at once: pytest 9.2 knows no ``xdist_group``."""

    def _split_scope(self, nodeid: str) -> str:
        return "whole systems" if nodeid.startswith(WHOLE_SYSTEMS) else str(super()._split_scope(nodeid))
