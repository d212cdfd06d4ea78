"""Saved blocks of Prefect, an S3Bucket or a Secret: the only place where collecting into an archive takes Prefect."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import ValidationError

from miso_archive.contract.findings import FailureCode
from miso_archive.extras import MissingExtraError, needs
from miso_archive.store.store import ArchiveError
from miso_archive.text import shown, stripped

if TYPE_CHECKING:
    from prefect.blocks.system import Secret
    from prefect_aws import S3Bucket

T = TypeVar("T")


def saved_bucket(name: str) -> "S3Bucket":
    """Load a saved S3Bucket block.

    Raises:
        ArchiveError: There is no such block, Prefect's server does not answer, or Prefect's own settings are wrong.
    """

    def load() -> "S3Bucket":
        with needs("prefect", "An S3Bucket block"):
            from prefect_aws import S3Bucket  # noqa: PLC0415 - Prefect fails here where it refuses its own settings

        return cast("S3Bucket", _load_now(S3Bucket, name))

    return _loaded("S3Bucket", name, load)


def saved_secret(name: str) -> str:
    """Return what a saved Secret block holds.

    Raises:
        ArchiveError: As of an S3Bucket block; or it holds no text.
    """

    def load() -> str:
        with needs("prefect", "A Secret block"):
            from prefect.blocks.system import Secret  # noqa: PLC0415 - likewise

        held = cast("Secret[Any]", _load_now(Secret, name)).get()
        if not isinstance(held, str) or not stripped(held):
            raise TypeError("it holds no text")
        return stripped(held)

    return _loaded("Secret", name, load)


def _load_now(kind: Any, name: str) -> object:  # noqa: ANN401 - its load is not typed with _sync
    """Load a block: without _sync Prefect returns a coroutine where an event loop runs, as in a notebook."""
    return kind.load(name, _sync=True)


def _loaded(kind: str, name: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except MissingExtraError:
        raise
    except Exception as error:  # Prefect's client, its server's answer or the block's own checks may raise anything
        # What is wrong with a block's values is told with them, and one may be a secret.
        said = "" if isinstance(error, ValidationError) else f" {shown(str(error), 300)[1:-1]}"
        reason = f"{type(error).__name__}{said}"
        message = f"no {kind} block named {shown(name)} can be loaded: {reason}"
        raise ArchiveError(FailureCode.BLOCK_NOT_FOUND, message) from error
