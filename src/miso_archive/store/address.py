"""The door to an archive, for whoever collects, reads or heals: an address, a block or settings in, a Store out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from miso_archive.contract.findings import FailureCode
from miso_archive.extras import needs
from miso_archive.feeds.feed import OF_MISO
from miso_archive.settings.options import ArchiveSettings
from miso_archive.store.block import saved_bucket
from miso_archive.store.folder import Folder
from miso_archive.store.layout import ROOMS
from miso_archive.store.store import ArchiveError, NoArchiveError, Store
from miso_archive.text import given, shown

if TYPE_CHECKING:
    from prefect_aws import S3Bucket

ArchiveAddress: TypeAlias = "str | os.PathLike[str] | S3Bucket | Store"
"""A folder, ``s3://bucket`` or ``s3://bucket/folder``, ``file:///folder``, an S3Bucket block, or what is open.

``s3-block://name`` is a saved S3Bucket block by its name, for who can hand on text alone.
"""

_KINDS: Final = "a folder, s3://bucket[/folder] or an S3Bucket block"
_OF_A_BLOCK: Final = "s3-block"


def store_at(archive: ArchiveAddress) -> Store:
    """Return the store of an archive, which need not be there yet.

    Raises:
        ArchiveError: The address names no bucket, no S3 client can be made, or the block cannot be loaded.
        ValueError: The address is of a kind that is not known.
    """
    if isinstance(archive, (str, os.PathLike)):
        address = os.fspath(archive)
        if not isinstance(address, str) or not address:
            raise ValueError(f"archive= is {_KINDS}, not {shown(address)}")
        return _at_address(address)
    if isinstance(archive, Store):
        return archive
    if not hasattr(archive, "bucket_name"):
        raise ValueError(f"archive= is {_KINDS}, not {given(archive)}")
    return _bucket_of_block(archive)


def store_of(settings: ArchiveSettings) -> Store:
    """Return the store of the archive that settings name: a folder, a bucket or a saved S3Bucket block.

    Raises:
        ArchiveError: No S3 client can be made.
        CollectionError: The block cannot be loaded.
    """
    if settings.local is not None:
        return Folder(settings.local)
    if settings.s3_block is None:
        return _bucket(settings.s3_bucket or "", "", settings.aws_profile)
    return _bucket_of_block(saved_bucket(settings.s3_block))


def address_of(settings: ArchiveSettings) -> str:
    """Return the address by which another process opens the archive that settings name, without secrets.

    The AWS profile is no part of it: that process has it as AWS_PROFILE.
    """
    if settings.local is not None:
        return str(settings.local.expanduser().absolute())
    return f"s3://{settings.s3_bucket}" if settings.s3_block is None else f"{_OF_A_BLOCK}://{settings.s3_block}"


def standing(store: Store, *, may_be_new: bool = False) -> Store:
    """Return a store that may be read: its folder is there. S3 is not asked: what fails there says so itself.

    Raises:
        ArchiveError: There is no such folder, and it may not be new, or there are no credentials.
    """
    store.require(may_be_new=may_be_new)
    return store


def open_to_read(archive: ArchiveAddress) -> Store:
    """Return the store of an archive; a folder is looked at whether it is one: a mistyped one is not without rows.

    Raises:
        ArchiveError: There is no such folder, it is no archive, or no S3 client can be made.
        ValueError: The address is of a kind that is not known.
    """
    store = store_at(archive)
    if store is not archive:
        refuse_no_archive(standing(store))
    return store


def refuse_no_archive(store: Store) -> None:
    """Raise NoArchiveError where nothing of an archive is in a folder. S3 is not asked: a scan of it is lazy."""
    if isinstance(store, Folder) and not _holds_anything(store):
        message = f"{store.location} is no archive: nothing was collected into it"
        raise NoArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)


def _holds_anything(store: Folder) -> bool:
    datasets = (f"{room}/{name}" for room in ROOMS for name in store.folders(room) if name.startswith(OF_MISO))
    return any(store.has_folders(dataset) for dataset in datasets)


def _at_address(address: str) -> Store:
    scheme, separator, rest = address.partition("://")
    if not separator:
        return Folder(Path(address))
    if scheme == _OF_A_BLOCK:
        return _bucket_of_block(saved_bucket(rest))
    parts = urlsplit(address)
    if scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path or parts.query or parts.fragment:
            message = f"{shown(address)} names no folder of this machine: give file:///folder, or the folder alone"
            raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)
        return Folder(Path(unquote(parts.path)))
    if scheme != "s3":
        raise ValueError(f"archive= is {_KINDS}, not an address with {shown(scheme)[1:-1]}://")
    # urlsplit leaves line breaks and tabs out, and would open another folder.
    if not parts.netloc or parts.query or parts.fragment or set(address) & set("\t\r\n"):
        message = f"{shown(address)} names no bucket: give s3://bucket or s3://bucket/folder"
        raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)
    return _bucket(parts.netloc, parts.path, None)


def _bucket(name: str, folder: str, profile: str | None) -> Store:
    with needs("s3", f"s3://{name}"):
        from miso_archive.store.access import access_by_name  # noqa: PLC0415 - AWS's library takes a while
        from miso_archive.store.bucket import Bucket  # noqa: PLC0415 - likewise

    return Bucket(access_by_name(name, folder, profile))


def _bucket_of_block(block: "S3Bucket") -> Store:
    with needs("s3", f"s3://{block.bucket_name}"):
        from miso_archive.store.access import access_by_block  # noqa: PLC0415 - AWS's library takes a while
        from miso_archive.store.bucket import Bucket  # noqa: PLC0415 - likewise

    return Bucket(access_by_block(block))
