"""The Redis registry, against a real server: what it holds, and how it fails."""

from __future__ import annotations

import json
import time
import traceback
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis as redis_client

from miso_archive.collecting import registry as registering
from miso_archive.collecting.registry import Registration, Registry
from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from tests.services.process import free_port
from tests.services.proxy import FaultProxy, LoopbackServer
from tests.services.real import ON_REAL_SERVERS
from tests.services.valkey import embedded_valkey

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

SHA256 = "5f" * 32
KEY = f"hash:dev:miso_binding_constraints_reserve:{SHA256}"
HERE = "s3://bucket/folder"
REGISTRATION = Registration(key="sourcing/x.json.gz", location=HERE, ref_id="27-Jul-2026 - Interval 08:10 EST")


@pytest.fixture
def registry(redis_url: str) -> Iterator[Registry]:
    """The registry of the dev environment in an empty Redis."""
    registry = Registry.connect(redis_url, "dev", RESERVE)
    yield registry
    registry.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[FaultProxy]:
    """A proxy before the empty Redis."""
    parts = urlsplit(redis_url)
    with FaultProxy(str(parts.hostname), int(parts.port or 6379)) as proxy:
        yield proxy


class HangsUp(LoopbackServer):
    """Closes every connection at once, and counts them."""

    connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG002 - as the base class
        """Serve one connection, by not doing so."""
        self.connections += 1


def refusal(url: str) -> CollectionError:
    """The error that connecting ends with."""
    with pytest.raises(CollectionError) as caught:
        Registry.connect(url, "dev", RESERVE)
    return caught.value


def say(client: redis_client.Redis, *words: str) -> None:
    """Send a command to a Redis."""
    client.execute_command(*words)  # type: ignore[no-untyped-call] # redis-py has no types for it


class TestRegistration:
    def test_nothing_is_held_at_first(self, registry: Registry) -> None:
        """An empty Redis holds no body."""
        assert not registry.holds(SHA256, HERE)

    def test_what_is_registered_is_held(self, registry: Registry) -> None:
        """A body that was registered is held, and no other."""
        registry.register(SHA256, REGISTRATION)
        assert registry.holds(SHA256, HERE)
        assert not registry.holds("a0" * 32, HERE)

    def test_key_and_value_have_their_documented_form(self, registry: Registry, redis: redis_client.Redis) -> None:
        """Redis holds hash:{environment}:{dataset}:{sha256} -> JSON with the object's key, and nothing else."""
        registry.register(SHA256, REGISTRATION)
        assert redis.keys() == [KEY]
        assert json.loads(str(redis.get(KEY))) == {
            "key": "sourcing/x.json.gz",
            "location": HERE,
            "ref_id": "27-Jul-2026 - Interval 08:10 EST",
        }

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_body_is_remembered_for_seven_days(
        self, registry: Registry, redis: redis_client.Redis, times: int
    ) -> None:
        """A registration lives for 604,800 seconds from the last time it was made."""
        for _ in range(times):
            registry.register(SHA256, REGISTRATION)
            assert redis.ttl(KEY) == 604_800
            redis.expire(KEY, 10)

    def test_environments_are_apart(self, registry: Registry, redis_url: str) -> None:
        """What dev has registered is not held in prod."""
        registry.register(SHA256, REGISTRATION)
        prod = Registry.connect(redis_url, "prod", RESERVE)
        assert not prod.holds(SHA256, HERE)
        prod.close()

    def test_another_location_does_not_count(self, registry: Registry) -> None:
        """Two archives may share one Redis: a body that stands elsewhere is not held here."""
        registry.register(SHA256, REGISTRATION)
        assert not registry.holds(SHA256, "s3://bucket")
        assert not registry.holds(SHA256, "file:///data")

    @pytest.mark.parametrize(
        "value",
        [b"1", b"", b"not JSON", b"\xff\x00", b"null", b"[]", b'"s3://bucket/folder"', b'{"s3_key":"x"}', b"{}"],
    )
    def test_what_names_no_location_does_not_count(
        self, registry: Registry, redis: redis_client.Redis, value: bytes
    ) -> None:
        """A value without a location, whoever wrote it, is no proof that the body is archived here."""
        redis.set(KEY, value)
        assert not registry.holds(SHA256, HERE)

    @pytest.mark.parametrize("location", ['"s3://other"', '""', "1", "false"])
    def test_a_foreign_location_does_not_count(
        self, registry: Registry, redis: redis_client.Redis, location: str
    ) -> None:
        """A value that names anything else as its location does not say that the body is archived here."""
        redis.set(KEY, f'{{"location":{location}}}')
        assert not registry.holds(SHA256, HERE)

    @pytest.mark.parametrize("location", ["[]", "{}"])
    def test_a_nonsensical_location_does_not_count(
        self, registry: Registry, redis: redis_client.Redis, location: str
    ) -> None:
        """A value whose location is a list or an object does not say that the body is archived here."""
        redis.set(KEY, f'{{"location":{location}}}')
        assert not registry.holds(SHA256, HERE)

    def test_a_key_of_another_kind_is_an_error(self, registry: Registry, redis: redis_client.Redis) -> None:
        """A key that holds a list is told as Redis tells it, with the address."""
        redis.lpush(KEY, "x")
        with pytest.raises(CollectionError, match=r"Redis at 127\.0\.0\.1:\d+ failed on get: .*WRONGTYPE") as caught:
            registry.holds(SHA256, HERE)
        assert caught.value.code == FailureCode.REDIS_FAILED

    def test_the_database_number_counts(self, redis_url: str, redis: redis_client.Redis) -> None:
        """With a database number in the address, that database is used and no other."""
        sha256 = uuid.uuid4().hex * 2
        registry = Registry.connect(f"{redis_url.rpartition('/')[0]}/3", "dev", RESERVE)
        registry.register(sha256, REGISTRATION)
        assert registry.holds(sha256, HERE)
        registry.close()
        assert redis.keys() == []


class TestClaim:
    SLOT = datetime(2026, 7, 27, 13, 10, 20, tzinfo=UTC)
    LINK = "http://127.0.0.1:8000/api/FuelMix"

    def test_a_slot_of_a_link_is_taken_once(self, registry: Registry) -> None:
        """Whoever asks for it next into the same location is refused; other slots, links and locations are free."""
        assert registry.claim(self.LINK, HERE, self.SLOT, 60.0)
        assert not registry.claim(self.LINK, HERE, self.SLOT, 60.0)
        assert not registry.claim(self.LINK, HERE, self.SLOT.astimezone(EST), 60.0)
        assert registry.claim(self.LINK, HERE, self.SLOT + timedelta(minutes=1), 60.0)
        assert registry.claim(self.LINK.replace("8000", "8001"), HERE, self.SLOT, 60.0)
        assert registry.claim(self.LINK, "s3://elsewhere", self.SLOT, 60.0)

    def test_another_environment_has_slots_of_its_own(self, registry: Registry, redis_url: str) -> None:
        """What one environment fetches the other has not."""
        prod = Registry.connect(redis_url, "prod", RESERVE)
        assert registry.claim(self.LINK, HERE, self.SLOT, 60.0)
        assert prod.claim(self.LINK, HERE, self.SLOT, 60.0)
        prod.close()

    @pytest.mark.parametrize(("gap", "seconds"), [(60.0, 180), (90.0, 270)])
    def test_a_claim_lives_for_three_gaps(
        self, registry: Registry, redis: redis_client.Redis, gap: float, seconds: int
    ) -> None:
        """It goes by itself soon after its slot, and says nothing of a password in the link."""
        assert registry.claim("http://me:hunter2@127.0.0.1/", HERE, self.SLOT, gap)
        (key,) = redis.keys()
        assert str(key).startswith("hash:dev:miso_binding_constraints_reserve:asked:")
        assert "hunter2" not in str(key)
        assert seconds / 2 < redis.ttl(key) <= seconds


class TestUnreachable:
    def test_a_refused_connection_fails_at_once(self) -> None:
        """Without a server the message is "Failed to connect to Redis at HOST:PORT: ...", within a second."""
        port = free_port()
        began = time.monotonic()
        error = refusal(f"redis://127.0.0.1:{port}/0")
        assert time.monotonic() - began < 1
        assert error.code == FailureCode.REDIS_UNREACHABLE
        assert error.message.startswith(f"Failed to connect to Redis at 127.0.0.1:{port}: ")
        assert "Connection refused" in error.message

    @ON_REAL_SERVERS
    def test_a_silent_server_fails_within_seconds(self, proxy: FaultProxy) -> None:
        """A server that takes connections and answers nothing is given up within seconds."""
        proxy.mode = "blackhole"
        began = time.monotonic()
        error = refusal(f"redis://127.0.0.1:{proxy.port}/0")
        assert time.monotonic() - began < 9
        assert error.message.startswith(f"Failed to connect to Redis at 127.0.0.1:{proxy.port}: ")

    @pytest.mark.parametrize("mode", ["refuse", "cut"])
    def test_a_server_that_hangs_up_is_unreachable(self, proxy: FaultProxy, mode: str) -> None:
        """A server that resets or closes the connection is told in the same words."""
        proxy.mode = "refuse" if mode == "refuse" else "cut"
        error = refusal(f"redis://127.0.0.1:{proxy.port}/0")
        assert error.code == FailureCode.REDIS_UNREACHABLE
        assert error.message.startswith(f"Failed to connect to Redis at 127.0.0.1:{proxy.port}: ")

    def test_the_scheme_to_try_is_told(
        self, redis_url: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """TLS to a Redis without it waits in vain, the reverse is hung up on: the message names the other scheme."""
        monkeypatch.setattr(registering, "_ANSWER_SECONDS", 0.3)
        with pytest.raises(CollectionError, match=r"without TLS: redis://$"):
            Registry.connect(redis_url.replace("redis://", "rediss://user:secret@"), "dev", RESERVE)
        proxy.mode = "refuse"
        with pytest.raises(CollectionError, match=r"with TLS: rediss://$"):
            Registry.connect(f"redis://127.0.0.1:{proxy.port}", "dev", RESERVE)

    def test_connecting_is_one_try(self) -> None:
        """Nobody tries again behind the run's back: a Redis that hangs up is asked once."""
        with HangsUp() as server:
            refusal(f"redis://127.0.0.1:{server.port}/0")
            assert server.connections == 1

    def test_the_usual_port_is_named(self) -> None:
        """An address without a port is told with Redis' own, 6379."""
        assert "Failed to connect to Redis at redis.invalid:6379: " in refusal("redis://redis.invalid/0").message

    def test_the_error_may_not_go_away_by_itself(self) -> None:
        """An unreachable Redis is not transient: the run fails before anything is fetched."""
        assert not refusal(f"redis://127.0.0.1:{free_port()}/0").transient

    @pytest.mark.parametrize(
        "url",
        [
            "redis://127.0.0.1:99999/0",
            "redis://user:hunter2/x@127.0.0.1:6379/0",
            "redis://:hunter2@127.0.0.1:6379/0?socket_timeout=hunter2",
            "redis://:hunter2@127.0.0.1:6379/0?hunter=2",
        ],
    )
    def test_an_address_that_cannot_be_read_is_a_failure_like_others(self, url: str) -> None:
        """An address whose port or options are none fails with a reason code and without the password."""
        error = refusal(url)
        assert error.code == FailureCode.REDIS_UNREACHABLE
        assert not [line for line in traceback.format_exception(error) if "hunter2" in line]


class TestPassword:
    @pytest.fixture
    def guarded(self) -> Iterator[str]:
        """A Valkey of its own that asks for the password "open sesame", as host:port."""
        with embedded_valkey() as url:
            with redis_client.Redis.from_url(url) as client:
                client.config_set("requirepass", "open sesame")
            yield url.removeprefix("redis://").removesuffix("/0")

    def test_the_right_password_opens(self, guarded: str) -> None:
        """A password in the address, percent-encoded, is the one that is sent."""
        registry = Registry.connect(f"redis://:open%20sesame@{guarded}/0", "dev", RESERVE)
        registry.register(SHA256, REGISTRATION)
        assert registry.holds(SHA256, HERE)
        registry.close()

    @pytest.mark.parametrize("login", ["", ":hunter2@", "someone:hunter2@", ":hunter2%40@"])
    def test_a_wrong_password_is_told_without_it(self, guarded: str, login: str) -> None:
        """With a wrong password or none connecting fails, and the message has the address but no password."""
        error = refusal(f"redis://{login}{guarded}/0")
        assert error.message.startswith(f"Failed to connect to Redis at {guarded}: ")
        assert "hunter2" not in repr(error)


class TestRefusals:
    """What a Redis answers that is there and will not."""

    @pytest.fixture
    def own(self) -> Iterator[redis_client.Redis]:
        """A client of a Valkey of its own."""
        with embedded_valkey() as url, redis_client.Redis.from_url(url) as client:
            yield client

    @staticmethod
    def failure_of(client: redis_client.Redis, login: str = "") -> CollectionError:
        """The error that looking up, or else registering, ends with."""
        port = client.connection_pool.connection_kwargs["port"]
        registry = Registry.connect(f"redis://{login}127.0.0.1:{port}/0", "dev", RESERVE)
        try:
            with pytest.raises(CollectionError) as caught:
                _ = registry.holds(SHA256, HERE) or registry.register(SHA256, REGISTRATION)  # type: ignore[func-returns-value] # either may fail
        finally:
            registry.close()
        assert caught.value.code == FailureCode.REDIS_FAILED
        assert f"Redis at 127.0.0.1:{port} failed on " in caught.value.message
        return caught.value

    @pytest.mark.parametrize(
        ("prepare", "word", "remedy"),
        [
            ("CONFIG SET maxmemory 1000", "OOM", "maxmemory-policy allkeys-lru"),
            ("REPLICAOF 127.0.0.1 1", "READONLY", "name its primary"),
            (f"LPUSH {KEY} x", "WRONGTYPE", "name another database"),
        ],
    )
    def test_what_waiting_does_not_mend_is_final(
        self, own: redis_client.Redis, prepare: str, word: str, remedy: str
    ) -> None:
        """No memory, a replica, another program's key: final at once, in Redis' own words and with what to do."""
        say(own, *prepare.split())
        error = self.failure_of(own)
        assert not error.transient
        assert f": {word} " in error.message
        assert remedy in error.message

    @pytest.mark.parametrize("rights", ["~hash:* +get +ping", "~other:* +get +set +ping", "~hash:* +ping +set"])
    def test_a_user_without_the_rights_is_final(self, own: redis_client.Redis, rights: str) -> None:
        """A user who may not look up, register or use these keys: final at once, with the rights that it takes."""
        say(own, "ACL", "SETUSER", "collector", "on", ">hunter2", *rights.split())
        error = self.failure_of(own, "collector:hunter2@")
        assert not error.transient
        assert ": NOPERM " in error.message
        assert "needs the commands PING, GET and SET, and the keys hash:*" in error.message
        assert "hunter2" not in repr(error)

    def test_the_rights_that_are_told_are_enough(self, own: redis_client.Redis) -> None:
        """A user with these rights and no others connects, registers and finds what is registered."""
        say(own, "ACL", "SETUSER", "collector", "on", ">pw", "~hash:*", "+ping", "+get", "+set")
        port = own.connection_pool.connection_kwargs["port"]
        registry = Registry.connect(f"redis://collector:pw@127.0.0.1:{port}/0", "dev", RESERVE)
        registry.register(SHA256, REGISTRATION)
        assert registry.holds(SHA256, HERE)
        assert registry.claim("http://127.0.0.1/", HERE, datetime.now(UTC), 60.0)
        registry.close()

    def test_a_user_who_may_not_even_connect_is_told_the_rights(self, own: redis_client.Redis) -> None:
        """Without PING a run fails before anything is fetched, with the rights that it takes."""
        say(own, "ACL", "SETUSER", "collector", "on", ">pw", "~hash:*", "+get", "+set")
        port = own.connection_pool.connection_kwargs["port"]
        assert "needs the commands PING, GET and SET" in refusal(f"redis://collector:pw@127.0.0.1:{port}/0").message

    @pytest.mark.parametrize(
        ("answer", "transient"),
        [
            (b"-LOADING Redis is loading the dataset in memory", True),
            (b"-BUSY Redis is busy running a script.", True),
            (b"-TRYAGAIN Multiple keys request during rehashing of slot", True),
            (b"-MASTERDOWN Link with MASTER is down", True),
            (b"-NOREPLICAS Not enough good replicas to write.", True),
            (b"-ERR max number of clients reached", True),
            (b"-MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.", False),
            (b"-NOAUTH Authentication required.", False),
            (b"-WRONGPASS invalid username-password pair or user is disabled.", False),
            (b"-MOVED 3999 127.0.0.1:6381", False),
            (b"-ERR unknown command 'SET'", False),
        ],
    )
    def test_what_may_pass_is_tried_again_and_nothing_else(
        self, proxy: FaultProxy, answer: bytes, *, transient: bool
    ) -> None:
        """Of Redis' answers those that may be others in a while are transient; the word of each is told."""
        registry = Registry.connect(f"redis://127.0.0.1:{proxy.port}/0", "dev", RESERVE)
        proxy.answer, proxy.mode = answer + b"\r\n", "answer"
        with pytest.raises(CollectionError) as caught:
            registry.register(SHA256, REGISTRATION)
        registry.close()
        assert (caught.value.code, caught.value.transient) == (FailureCode.REDIS_FAILED, transient)
        assert answer.decode().split(" ", 1)[1].rstrip(".") in caught.value.message

    @pytest.mark.parametrize("answer", [b"-MOVED", b"-ASK 1 x", b":many", b"$x", b"*1\r\n" * 3000])
    def test_an_answer_that_makes_no_sense_is_an_error(self, proxy: FaultProxy, answer: bytes) -> None:
        """What answers unlike any Redis, at first or later, ends in the code, the address and what it was about."""
        registry = Registry.connect(f"redis://127.0.0.1:{proxy.port}/0", "dev", RESERVE)
        proxy.answer, proxy.mode = answer + b"\r\n", "answer"
        with pytest.raises(CollectionError, match=r"failed on get: its answer is none of Redis'$") as caught:
            registry.holds(SHA256, HERE)
        registry.close()
        assert (caught.value.code, caught.value.transient) == (FailureCode.REDIS_FAILED, False)
        assert "or no Redis answers there" in refusal(f"redis://127.0.0.1:{proxy.port}/0").message


class TestTroubleOnTheWay:
    @pytest.mark.parametrize("mode", ["refuse", "cut"])
    def test_trouble_is_transient_and_passes(self, proxy: FaultProxy, mode: str) -> None:
        """When Redis breaks off between two calls the error is transient, and once it is well it serves again."""
        registry = Registry.connect(f"redis://127.0.0.1:{proxy.port}/0", "dev", RESERVE)
        proxy.mode = "refuse" if mode == "refuse" else "cut"
        with pytest.raises(CollectionError) as asked:
            registry.holds(SHA256, HERE)
        with pytest.raises(CollectionError) as told:
            registry.register(SHA256, REGISTRATION)
        for error, command in ((asked.value, "get"), (told.value, "set")):
            assert (error.code, error.transient) == (FailureCode.REDIS_FAILED, True)
            assert error.message.startswith(f"Redis at 127.0.0.1:{proxy.port} failed on {command}: ")
        proxy.mode = "pass"
        registry.register(SHA256, REGISTRATION)
        assert registry.holds(SHA256, HERE)
        registry.close()
