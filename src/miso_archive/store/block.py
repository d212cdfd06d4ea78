"""A saved S3Bucket block of Prefect: the only place where an archive takes Prefect."""

from typing import TYPE_CHECKING, cast

from miso_archive.contract.findings import FailureCode
from miso_archive.extras import MissingExtraError, needs
from miso_archive.store.store import ArchiveError
from miso_archive.text import shown

if TYPE_CHECKING:
    from prefect_aws import S3Bucket


def saved_bucket(name: str) -> "S3Bucket":
    """Load a saved block.

    Raises:
        ArchiveError: There is no such block, Prefect's server does not answer, or Prefect's own settings are wrong.
    """
    try:
        with needs("prefect", "An S3Bucket block"):
            from prefect_aws import S3Bucket  # noqa: PLC0415 - Prefect fails here where it refuses its own settings

        return cast("S3Bucket", S3Bucket.load(name))
    except MissingExtraError:
        raise
    except Exception as error:  # Prefect's client, its server's answer or the block's own checks may raise anything
        reason = f"{type(error).__name__} {shown(str(error), 300)[1:-1]}"
        message = f"no S3Bucket block named {shown(name)} can be loaded: {reason}"
        raise ArchiveError(FailureCode.BLOCK_NOT_FOUND, message) from error
