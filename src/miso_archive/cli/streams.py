"""The three standard streams: what a command writes there, and one that the process was started without."""

import os
import sys
from contextlib import suppress
from typing import Final

# The first two are opened the wrong way round: to use them is an error of the system, told as a full disk is. What is
# written to standard error without one is gone.
_STREAMS: Final = (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))


class OutputError(Exception):
    """What a command gives cannot be written: the message says where and why."""


def fill_closed_streams() -> None:
    """Put the null device where a standard stream is closed (``>&-``, some supervisors).

    Otherwise the next file or socket that is opened takes its place, and whoever prints then writes into that.
    """
    for descriptor, (name, flags, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # noqa: FBT003 - as it is; the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def tell(*lines: str) -> None:
    """Write lines to standard error; a command goes on, and keeps its exit code, where they cannot be written."""
    with suppress(OSError):
        for line in lines:
            sys.stderr.write(f"miso-archive: {line}\n")
        sys.stderr.flush()


def put(data: bytes | str) -> None:
    """Write to standard output.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        OutputError: It cannot be written.
    """
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error
