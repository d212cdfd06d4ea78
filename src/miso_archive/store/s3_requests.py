"""Many requests to a bucket at once, for reading: an archive is thousands of small objects."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError, InvalidPathError
from obstore.store import S3Store

from miso_archive.contract.findings import FailureCode
from miso_archive.store.access import Access
from miso_archive.store.s3_errors import OtherRegionError, no_client, of_many, storage_class, without_credentials
from miso_archive.store.store import ArchiveError, UnusableArchiveError

if TYPE_CHECKING:
    from obstore.store import ClientConfig

T = TypeVar("T")

AT_ONCE: Final = 128
"""How many requests are under way at once: more do not make a month of small objects faster."""

_CHUNK: Final = 16384
_SETTLE_SECONDS: Final = 0.2


class Listed(NamedTuple):
    """What lies directly in a folder: names of objects, and names of folders."""

    objects: list[str]
    folders: list[str]


class Fetched(NamedTuple):
    """An object: its bytes and its metadata."""

    data: bytes
    metadata: dict[str, str]


class ManyRequests:
    """Requests to one bucket, some at once; answers come in the order of what was asked for."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._location = access.location
        self._region = access.region
        self._store = self._opened()

    def _opened(self) -> S3Store:
        access = self._access
        # Whoever opened it has looked for them.
        if access.is_signed and access.session.get_credentials() is None:
            raise UnusableArchiveError(FailureCode.ARCHIVE_UNREADABLE, without_credentials(access.location))
        try:
            endpoint, is_virtual = access.address(self._region)
            return S3Store(
                access.bucket,
                prefix=access.folder or None,
                region=self._region,
                virtual_hosted_style_request=is_virtual,
                client_options=_client_options(access, endpoint),
                retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
                config={"endpoint": endpoint},
                skip_signature=not access.is_signed,
                credential_provider=Boto3CredentialProvider(access.session) if access.is_signed else None,
            )
        except Exception as error:  # noqa: BLE001 - credentials and configurations of any kind raise anything
            raise no_client(access.location, error) from None

    def lists(self, folders: Sequence[str]) -> list[Listed | None]:
        """List folders; None for one with a key that no path can spell, which hides all others."""
        return self._run(self._list, folders)

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield each object's bytes, or what kept that one object from being read."""
        # Not while the last are worked on: the loop that fetches would wait for this thread again and again.
        for start in range(0, len(keys), _CHUNK):
            yield from self._run(self._data, keys[start : start + _CHUNK])

    def metadata(self, keys: Sequence[str]) -> list[dict[str, str] | None]:
        """Return the metadata of objects; None for one that cannot be read."""
        return self._run(self._metadata, keys)

    async def _list(self, folder: str) -> Listed | None:
        try:
            listed: Any = await self._store.list_with_delimiter_async(folder)
        except InvalidPathError:
            return None
        names = [found["path"].removeprefix(f"{folder}/") for found in listed["objects"]]
        # An object named like the folder itself is what consoles call a folder.
        return Listed(
            [name for name in names if name != folder],
            [prefix.rstrip("/").rpartition("/")[2] for prefix in listed["common_prefixes"]],
        )

    async def _fetch(self, key: str) -> Fetched | OSError:
        try:
            found = await self._store.get_async(key)
            return Fetched(bytes(await found.bytes_async()), dict(found.attributes))
        except FileNotFoundError:
            return FileNotFoundError("it was listed and is gone")
        except BaseError as error:
            if (held_in := storage_class(error)) is None:
                raise
            return OSError(f"it is in {held_in}: restore it")

    async def _data(self, key: str) -> bytes | OSError:
        found = await self._fetch(key)
        return found if isinstance(found, OSError) else found.data

    async def _metadata(self, key: str) -> dict[str, str] | None:
        found = await self._fetch(key)
        return None if isinstance(found, OSError) else found.metadata

    def _run(self, ask: Callable[[str], Coroutine[Any, Any, T]], keys: Sequence[str]) -> list[T]:
        try:
            return self._asked(ask, keys)
        except OtherRegionError:
            # botocore goes there by itself.
            region = self._access.region_found()
            if region in {None, self._region}:
                raise
            self._region = region
            self._store = self._opened()
            return self._asked(ask, keys)

    def _asked(self, ask: Callable[[str], Coroutine[Any, Any, T]], keys: Sequence[str]) -> list[T]:
        # In a thread of its own: in Jupyter this one has a loop running.
        with ThreadPoolExecutor(1) as thread:
            try:
                return thread.submit(asyncio.run, self._all(ask, keys)).result()
            except ArchiveError:
                # Threads of obstore may not be back from telling so: one that finds Python at its end aborts it.
                time.sleep(_SETTLE_SECONDS)
                raise

    async def _all(self, ask: Callable[[str], Awaitable[T]], keys: Sequence[str]) -> list[T]:
        answers: list[Any] = [None] * len(keys)
        numbered = iter(enumerate(keys))

        async def work() -> None:
            for number, key in numbered:
                try:
                    answers[number] = await ask(key)
                except Exception as error:  # noqa: BLE001 - likewise
                    raise of_many(error, f"{self._location}/{key}") from None

        await asyncio.gather(*(work() for _ in range(min(AT_ONCE, len(keys)))))
        return answers


def _client_options(access: Access, endpoint: str) -> "ClientConfig":
    options: ClientConfig = {"allow_http": True, "connect_timeout": "5s", "timeout": "60s"}
    if not access.verifies:
        options["allow_invalid_certificates"] = True
    else:
        # botocore's own where none are named: a machine need not have any.
        options["root_certificate"] = access.authorities or Path(get_cert_path(verify=True)).read_bytes()
    if (proxy := access.proxy) is not None:
        options["proxy_url"] = proxy
    else:
        # Without, obstore looks for one in the environment, by other rules than botocore's.
        options |= {"proxy_url": "http://localhost", "proxy_excludes": str(urlsplit(endpoint).hostname)}
    return options
