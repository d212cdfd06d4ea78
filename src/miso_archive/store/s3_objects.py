"""The objects of an archive in an S3 bucket, for reading and compacting: many requests at once."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError
from obstore.store import S3Store

from miso_archive.store.archive import bucket_identity, closed, without_credentials
from miso_archive.store.objects import ArchiveError
from miso_archive.text import shown, strip_variable, without_login

if TYPE_CHECKING:
    from obstore.store import ClientConfig
    from prefect_aws import S3Bucket

T = TypeVar("T")

AT_ONCE: Final = 128
"""How many requests are under way at once: more do not make a month of small objects faster."""

_CHUNK: Final = 16384
_SETTLE_SECONDS: Final = 0.2
_FETCHED_AT: Final = "fetched-at"
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>", re.ASCII)


def objects_at(address: str, *, profile: str | None = None) -> "S3Objects":
    """Return the objects at ``s3://bucket/folder``, with the credentials and endpoint of the AWS environment.

    Raises:
        ArchiveError: The address names no bucket, or no S3 client can be made.
    """
    parts = urlsplit(address)
    if not parts.netloc or parts.query or parts.fragment:
        raise ArchiveError(f"{shown(address)} names no bucket: give s3://bucket or s3://bucket/folder")
    # boto3 takes an empty variable for a profile without a name; elsewhere an empty one counts as not set.
    strip_variable(os.environ, "AWS_PROFILE")
    return _opened(parts.netloc, parts.path, lambda: boto3.Session(profile_name=profile), {})


def objects_of_block(block: "S3Bucket") -> "S3Objects":
    """Return the objects of an S3Bucket block, with its own credentials, endpoint and folder."""
    strip_variable(os.environ, "AWS_PROFILE")
    parameters = block.credentials.aws_client_parameters.get_params_override()
    return _opened(block.bucket_name, block.bucket_folder, block.credentials.get_boto3_session, parameters)


def _opened(bucket: str, folder: str, session: Callable[[], Any], parameters: dict[str, Any]) -> "S3Objects":
    folder = folder.strip("/")
    location = "/".join(part for part in ("s3:/", bucket, folder) if part)
    try:
        opened = session()
        client = opened.client("s3", **parameters).meta
        if opened.get_credentials() is None:
            raise ArchiveError(without_credentials(location))
        # An endpoint that AWS would be asked at anyway is left to the store; a private or FIPS one is not.
        own = urlsplit(client.endpoint_url).hostname in {"s3.amazonaws.com", f"s3.{client.region_name}.amazonaws.com"}
        store = S3Store(
            bucket,
            prefix=folder or None,
            region=client.region_name or "us-east-1",
            credential_provider=Boto3CredentialProvider(opened),
            client_options=_client_options(parameters),
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
            **({} if own else {"endpoint": client.endpoint_url}),
        )
    except (BotoCoreError, ClientError, BaseError, ValueError, OSError) as error:
        reason = shown(without_login(str(error)), 200)[1:-1]
        raise ArchiveError(f"no S3 client can be made for {location}: {reason}") from error
    return S3Objects(store, location, bucket_identity(location, client.endpoint_url))


def _client_options(parameters: dict[str, Any]) -> "ClientConfig":
    options: ClientConfig = {"allow_http": True, "connect_timeout": "5s", "timeout": "60s"}
    verify = parameters.get("verify", os.environ.get("AWS_CA_BUNDLE") or True)
    if verify is False:
        options["allow_invalid_certificates"] = True
    elif isinstance(verify, (str, Path)):
        options["root_certificate"] = Path(verify).read_bytes()
    return options


class S3Objects:
    """A bucket, or a folder of it."""

    def __init__(self, store: S3Store, location: str, identity: str) -> None:
        self._store = store
        self.location = location
        self.identity = identity

    def folders(self, under: str) -> list[str]:
        [listed] = self._run(self._list, [under])
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in listed["common_prefixes"])

    def names(self, folders: Sequence[str]) -> list[list[str]]:
        # An object named like the folder itself is what consoles call a folder.
        return [
            sorted(name for found in listed["objects"] if (name := found["path"].removeprefix(f"{folder}/")) != folder)
            for folder, listed in zip(folders, self._run(self._list, folders), strict=True)
        ]

    def read(self, keys: Sequence[str]) -> Iterator[bytes | OSError]:
        # Not while the last are worked on: the loop that fetches would wait for this thread again and again.
        for start in range(0, len(keys), _CHUNK):
            yield from self._run(self._get, keys[start : start + _CHUNK])

    def fetched_at(self, keys: Sequence[str]) -> list[str]:
        return self._run(self._fetched_at, keys)

    def replace(self, key: str, data: bytes) -> None:
        try:
            self._store.put(key, data, use_multipart=False)
        except (BaseError, OSError) as error:
            raise self._failed("written", error) from error

    async def _list(self, folder: str) -> Any:  # noqa: ANN401 - obstore's types are not importable at run time
        return await self._store.list_with_delimiter_async(folder)

    async def _get(self, key: str) -> bytes | OSError:
        try:
            found = await self._store.get_async(key)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return FileNotFoundError("it was listed and is gone")

    async def _fetched_at(self, key: str) -> str:
        try:
            found = await self._store.get_async(key)
            await found.bytes_async()  # to its end, or the connection is lost
        except FileNotFoundError:
            return ""
        return str(found.attributes.get(_FETCHED_AT, ""))

    def _run(self, ask: Callable[[str], Coroutine[Any, Any, T]], keys: Sequence[str]) -> list[T]:
        """Ask for all keys, some at once; answers come in the keys' order."""
        try:
            # In a thread of its own: in Jupyter this one has a loop running.
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(asyncio.run, _all(ask, keys)).result()
        except (BaseError, OSError) as error:
            # Threads of obstore may not be back from telling so: one that finds Python at its end aborts the process.
            time.sleep(_SETTLE_SECONDS)
            raise self._failed("read", error) from error

    def _failed(self, verb: str, error: Exception) -> ArchiveError:
        text = str(error)
        code = _CODE.search(text)  # S3's own word, which stands below the first line
        reason = code[1] if code else shown(without_login(text.partition("\n")[0]), 300)[1:-1]
        return ArchiveError(closed(self.location, verb, reason))


async def _all(ask: Callable[[str], Awaitable[T]], keys: Sequence[str]) -> list[T]:
    answers: list[Any] = [None] * len(keys)
    numbered = iter(enumerate(keys))

    async def work() -> None:
        for number, key in numbered:
            answers[number] = await ask(key)

    await asyncio.gather(*(work() for _ in range(min(AT_ONCE, len(keys)))))
    return answers
