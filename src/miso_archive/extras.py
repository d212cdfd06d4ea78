"""The extras of an install: what is missing is told by the extra that brings it, and how to install that. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Extra = Literal["s3", "collect", "kafka", "prefect", "pages", "notebooks", "dask", "simulate"]


class MissingExtraError(ImportError):
    """What is asked for comes with an extra that is not installed: the message says which, and how to install it."""


@contextmanager
def needs(extra: Extra, what: str) -> Iterator[None]:
    """Say of a library that cannot be imported within, which extra brings it: ``what`` needs it.

    Raises:
        MissingExtraError: It cannot be imported.
    """
    try:
        yield
    except MissingExtraError:  # of what is imported on the way, which knows better
        raise
    except ImportError as error:
        message = f"{what} needs the extra {extra}: pip install 'miso-archive[{extra}]' ({error})"
        raise MissingExtraError(message, name=error.name, path=error.path) from error
