"""Where an archive is, in the words of a person, and the objects that are there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from miso_archive.failures import CollectionError
from miso_archive.feeds.reserve import RESERVE
from miso_archive.settings.options import ArchiveSettings
from miso_archive.store.archive import Archive
from miso_archive.store.local_objects import LocalObjects
from miso_archive.store.objects import ArchiveError, Objects
from miso_archive.text import given, shown

if TYPE_CHECKING:
    from prefect_aws import S3Bucket

ArchiveAddress: TypeAlias = "str | os.PathLike[str] | S3Bucket | Objects"
"""A folder, ``s3://bucket`` or ``s3://bucket/folder``, ``file:///folder``, an S3Bucket block, or what is open."""


_KINDS: Final = "a folder, s3://bucket[/folder] or an S3Bucket block"
_ROOMS: Final = ("sourcing", "curated", "quarantine", "reports")
"""The folders of an archive, each with one of the dataset in it; one of them is there as soon as anything is kept."""


def open_objects(archive: ArchiveAddress) -> Objects:
    """Return the objects of an archive.

    Raises:
        ArchiveError: There is no such folder, or no S3 client can be made.
        ValueError: The address is of a kind that is not known.
    """
    if isinstance(archive, (str, os.PathLike)):
        address = os.fspath(archive)
        if not isinstance(address, str) or not address:
            raise ValueError(f"archive= is {_KINDS}, not {shown(address)}")
        return _at_address(address)
    if isinstance(archive, Objects):
        return archive
    if not hasattr(archive, "bucket_name"):
        raise ValueError(f"archive= is {_KINDS}, not {given(archive)}")
    from miso_archive.store.s3_objects import objects_of_block  # noqa: PLC0415 - whoever has a block has its libraries

    return objects_of_block(archive)


def open_to_read(archive: ArchiveAddress) -> Objects:
    """Return the objects of an archive; a folder is looked at whether it is one: a mistyped one is not without rows.

    Raises:
        ArchiveError: There is no such folder, it is no archive, or no S3 client can be made.
        ValueError: The address is of a kind that is not known.
    """
    objects = open_objects(archive)
    if objects is not archive:
        refuse_no_archive(objects)
    return objects


def refuse_no_archive(objects: Objects) -> None:
    """Raise ArchiveError where nothing of an archive is in a folder. S3 is not asked: a scan of it is lazy."""
    if isinstance(objects, LocalObjects) and not any(objects.folders(f"{room}/{RESERVE.name}") for room in _ROOMS):
        raise ArchiveError(f"{objects.location} is no archive: nothing was collected into it")


def _at_address(address: str) -> Objects:
    scheme, separator, _ = address.partition("://")
    if not separator:
        return LocalObjects(Path(address))
    if scheme == "file":
        return LocalObjects(Path(unquote(urlsplit(address).path)))
    if scheme == "s3":
        from miso_archive.store.s3_objects import objects_at  # noqa: PLC0415 - S3's libraries take a while

        return objects_at(address)
    raise ValueError(f"archive= is {_KINDS}, not an address with {shown(scheme)[1:-1]}://")


def objects_of(settings: ArchiveSettings) -> Objects:
    """Return the objects of the archive that settings name: a folder, a bucket or a saved S3Bucket block.

    Raises:
        ArchiveError: There is no such folder, no S3 client can be made, or the block cannot be loaded.
    """
    if settings.local is not None:
        return LocalObjects(settings.local)
    from miso_archive.store.s3_objects import objects_at, objects_of_block  # noqa: PLC0415 - S3's libraries take a while

    if settings.s3_block is None:
        return objects_at(f"s3://{settings.s3_bucket}", profile=settings.aws_profile)
    from miso_archive.store.s3_archive import saved_bucket  # noqa: PLC0415 - it takes Prefect

    try:
        return objects_of_block(saved_bucket(settings.s3_block))
    except CollectionError as error:
        raise ArchiveError(error.message) from error


def open_archive(settings: ArchiveSettings) -> Archive:
    """Open the archive that settings name, to put objects into.

    Raises:
        CollectionError: The block cannot be loaded, or AWS knows no such profile.
    """
    # Prefect's blocks take one to two seconds to import, and a run needs one kind only.
    if settings.local is not None:
        from miso_archive.store.local_archive import open_folder  # noqa: PLC0415 - slow to import

        return open_folder(settings.local)
    from miso_archive.store.s3_archive import open_bucket  # noqa: PLC0415 - slower still

    return open_bucket(settings)
