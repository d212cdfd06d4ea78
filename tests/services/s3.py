"""S3: moto for quick tests, Ceph's RADOS Gateway as the real thing."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from tests.services.process import ServiceError, free_port, from_environment, listening, program, running, tail
from tests.services.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class S3Endpoint:
    """Where an S3 server is, and the keys of its user."""

    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @classmethod
    def from_environment(cls) -> Self:
        """The server that `python -m tests.services` started."""
        return cls(*map(from_environment, ("TEST_S3_ENDPOINT_URL", "TEST_S3_ACCESS_KEY", "TEST_S3_SECRET_KEY")))

    def environment(self) -> dict[str, str]:
        """The variables that make boto3 and its like use this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, **config: Any) -> Any:  # noqa: ANN401 - boto3 ships no types
        """A boto3 client of this server, with botocore's own options."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(**config),
        )


class S3Proxy(FaultProxy):
    """A proxy before an S3 server; in mode "lose" it loses the answer of each put that stands, and no other.

    S3's clients wait for a "100 Continue" before they send a body: who cuts the first answer loses the request.
    """

    _INTERIM: Final = re.compile(rb"HTTP/1\.1 100 [^\r]*\r\n(?:[^\r]+\r\n)*\r\n")

    def __init__(self, server: S3Endpoint) -> None:
        parts = urlsplit(server.url)
        super().__init__(str(parts.hostname), int(parts.port or 80))
        self._client = server.client()

    async def loses(self, request: bytes, answer: bytes) -> bool:
        """Whether this is the final answer of a put, and the object is there."""
        method, path = request.split(b" ", 2)[:2] if request else (b"", b"")
        final = self._INTERIM.sub(b"", answer, count=1)
        return method == b"PUT" and final.startswith(b"HTTP/1.1 200") and await asyncio.to_thread(self._has, path)

    def _has(self, path: bytes) -> bool:
        bucket, _, key = unquote(path.decode().partition("?")[0]).removeprefix("/").partition("/")
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError:
            return False
        return True


def _keys() -> tuple[str, str]:
    return secrets.token_hex(10), secrets.token_hex(20)


@contextmanager
def moto_server() -> Iterator[S3Endpoint]:
    """An empty moto server, in a thread. It takes any keys; two in one process share their buckets."""
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        endpoint = S3Endpoint(f"http://127.0.0.1:{port}", *_keys())
        # moto's state belongs to the process: what an earlier server of it was given would still be there.
        requests.post(f"{endpoint.url}/moto-api/reset", timeout=10).raise_for_status()
        yield endpoint
    finally:
        server.stop()


@contextmanager
def named_or_moto() -> Iterator[S3Endpoint]:
    """The S3 server that the environment names, or moto in a process of its own: it takes no time of this one's."""
    if os.environ.get("TEST_S3_ENDPOINT_URL"):
        yield S3Endpoint.from_environment()
        return
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        TemporaryDirectory(prefix="moto-") as folder,
        running(command, ready=lambda: listening(port), log=Path(folder, "moto.log")),
    ):
        yield S3Endpoint(f"http://127.0.0.1:{port}", *_keys())


# Without "update on start = false" the osd sends commands as it starts, and may die of the race that `ask` is about.
# The paxos intervals are what starting takes: by default every step of the cluster waits a second.
_CEPH_CONF = """
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
mon data = {directory}/mon
osd data = {directory}/osd
rgw data = {directory}/rgw
run dir = {directory}
crash dir = {directory}
admin socket =
log file =
log to stderr = true
mon cluster log to file = false
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
mon allow pool size one = true
mon data avail warn = 0
mon data avail crit = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush update on start = false
osd class update on start = false
osd mon shutdown timeout = 0.5
osd objectstore = memstore
rgw frontends = beast endpoint=127.0.0.1:{s3_port}
"""


class _Ceph:
    """The commands of one throw-away cluster."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Nothing of the tests' environment: CEPH_ARGS or PYTHONPATH would change what these programs do.
        self._env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "LC_ALL": "C"}

    def run(self, name: str, *arguments: str) -> str:
        """The output of a command, which must succeed."""
        conf = [] if name == "monmaptool" else ["--conf", str(self.directory / "ceph.conf")]
        log = self.directory / f"{name}-command.log"
        try:
            with log.open("ab") as errors:
                completed = subprocess.run(
                    [program(name), *conf, *arguments],
                    cwd=self.directory,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    timeout=30,
                    check=True,
                    text=True,
                )
        except subprocess.SubprocessError as error:
            servers = [f"\n{log.name}{tail(log)}" for log in sorted(self.directory.glob("ceph-???.log"))]
            raise ServiceError(f"{error}{tail(log)}{''.join(servers)}") from error
        return completed.stdout

    def ask(self, *arguments: str) -> str:
        """The answer of the monitor to a command that may be given twice."""
        # Over protocol v1 a client may send its command before it has been told the id of the cluster. The monitor then
        # refuses it: one in about a hundred.
        for _ in range(4):
            with suppress(ServiceError):
                return self.run("ceph", *arguments)
        return self.run("ceph", *arguments)

    def start(self, stack: ExitStack, name: str, *arguments: str, ready: Callable[[], bool]) -> None:
        """Run a server until the stack is closed."""
        command = [program(name), "--conf", str(self.directory / "ceph.conf"), "-f", *arguments]
        log = self.directory / f"{name}.log"
        stack.enter_context(running(command, ready=ready, log=log, cwd=self.directory, env=self._env, timeout=180))


@contextmanager
def ceph_rgw() -> Iterator[S3Endpoint]:
    """A whole Ceph cluster of one monitor, one store in memory (1 GiB) and its S3 server."""
    mon_port, s3_port = free_port(), free_port()
    endpoint = S3Endpoint(f"http://127.0.0.1:{s3_port}", *_keys())
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="ceph-")))
        fsid = str(uuid.uuid4())
        conf = _CEPH_CONF.format(directory=directory, fsid=fsid, mon_port=mon_port, s3_port=s3_port)
        (directory / "ceph.conf").write_text(conf, encoding="utf-8")
        for data in ("mon", "osd", "rgw"):
            (directory / data).mkdir()
        ceph = _Ceph(directory)

        ceph.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{mon_port}]", "monmap")
        ceph.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap")
        ceph.start(stack, "ceph-mon", "-i", "a", ready=lambda: listening(mon_port))

        osd = str(uuid.uuid4())
        ceph.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        ceph.ask("osd", "new", osd, "0")
        ceph.ask("osd", "crush", "add", "osd.0", "1", "root=default", "host=h")
        ceph.start(stack, "ceph-osd", "-i", "0", ready=lambda: " 1 up" in ceph.ask("osd", "stat"))

        # Before the gateway, which would set up the same pools at the same time.
        user = ["user", "create", "--uid", "tests", "--display-name", "tests"]
        ceph.run("radosgw-admin", *user, "--access-key", endpoint.access_key, "--secret-key", endpoint.secret_key)
        ceph.start(stack, "radosgw", "-n", "client.rgw", ready=lambda: listening(s3_port))
        yield endpoint
