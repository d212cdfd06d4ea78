"""What a flow shows of itself in Prefect must not fail its run."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Log what cannot be published, and go on: the work is done, and a picture of it is not worth a failed run."""
    try:
        yield
    except Exception:  # noqa: BLE001 - the server may answer anything
        get_run_logger().warning("the %s could not be published", what, exc_info=True)
