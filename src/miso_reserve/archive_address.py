"""Where an archive is, in the words of a person, and the objects that are there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from miso_reserve.local_objects import LocalObjects
from miso_reserve.objects import Objects

if TYPE_CHECKING:
    from prefect_aws import S3Bucket

ArchiveAddress: TypeAlias = "str | os.PathLike[str] | S3Bucket"
"""A folder, ``s3://bucket`` or ``s3://bucket/folder``, ``file:///folder``, or an S3Bucket block."""


def open_objects(archive: ArchiveAddress) -> Objects:
    """Return the objects of an archive.

    Raises:
        ArchiveError: There is no such folder, or no S3 client can be made.
        ValueError: The address is of a kind that is not known.
    """
    if isinstance(archive, (str, os.PathLike)):
        return _at_address(os.fspath(archive))
    from miso_reserve.s3_objects import objects_of_block  # noqa: PLC0415 - whoever has a block has its libraries

    return objects_of_block(archive)


def _at_address(address: str) -> Objects:
    scheme, separator, _ = address.partition("://")
    if not separator:
        return LocalObjects(Path(address))
    if scheme == "file":
        return LocalObjects(Path(unquote(urlsplit(address).path)))
    if scheme == "s3":
        from miso_reserve.s3_objects import objects_at  # noqa: PLC0415 - S3's libraries take a while

        return objects_at(address)
    raise ValueError(f"give a folder, s3://bucket[/folder] or an S3Bucket block, not an address with {scheme}://")
