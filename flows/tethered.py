"""Run a module that ends when its parent does, also when that is killed: ``python -m flows.tethered MODULE ...``."""

import ctypes
import os
import runpy
import signal
import sys
from contextlib import suppress

_SIGNAL_WHEN_THE_PARENT_DIES = 1


def main() -> None:
    """Ask Linux for the signal, then become the module. Elsewhere the next start ends what is left."""
    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SIGNAL_WHEN_THE_PARENT_DIES, signal.SIGTERM)
    if os.getppid() != parent:
        return
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
