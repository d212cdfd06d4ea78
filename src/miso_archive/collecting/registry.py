"""The Redis registry: which bodies are archived and announced, and who asks when. Correctness never rests on it."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from miso_archive.extras import needs

with needs("collect", "Redis"):
    import redis
    from redis import exceptions
    from redis.backoff import NoBackoff
    from redis.retry import Retry

from miso_archive.contract.findings import FailureCode
from miso_archive.failures import CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.text import shown

TTL_SECONDS: Final = 604_800
"""How long a body is remembered: seven days."""

ONE_TRY: Final = Retry(NoBackoff(), 0)
"""redis-py tries again by itself, for seconds; this leaves it to the run's own policy."""

_GAPS_CLAIMED: Final = 3
"""How long a claim lives: until its slot is past for everybody, whose clock may be a little behind."""

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 5.0

_WORDS: Final[dict[type[Exception], str]] = {
    exceptions.OutOfMemoryError: "OOM",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.MovedError: "MOVED",
    exceptions.AskError: "ASK",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.BusyLoadingError: "LOADING",
}
"""The first word of Redis' answer, which redis-py takes away where it has a class for it."""

_NONSENSE: Final = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
"""What redis-py makes of a host or an option that it cannot use, and of an answer that is none of Redis'."""

_PASSING: Final = frozenset({"BUSY", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN"})
"""What Redis may answer differently in a while."""

_REMEDIES: Final = {
    "OOM": "give it more memory (maxmemory), or let it evict (maxmemory-policy allkeys-lru)",
    "READONLY": "it is a replica: name its primary",
    "NOPERM": "the user needs the commands PING, GET and SET, and the keys hash:*",
    "NOAUTH": "give user and password in REDIS_URL",
    "WRONGTYPE": "another program uses this key: name another database",
    "MISCONF": "it cannot save on its own disk: see its log",
    "MOVED": "it is a node of a cluster: name a Redis that is none",
    "ASK": "it is a node of a cluster: name a Redis that is none",
}


@dataclass(frozen=True, slots=True)
class Registration:
    """What Redis holds for one body: where it stands, as a key within a location (an archive's ``identity``)."""

    key: str
    location: str
    ref_id: str

    def as_json(self) -> bytes:
        """Return the value as Redis holds it."""
        return orjson.dumps({"key": self.key, "location": self.location, "ref_id": self.ref_id})


class Registry:
    """The registrations of one environment and dataset, under ``hash:{environment}:{dataset}:{sha256}``.

    Beside them ``hash:{environment}:{dataset}:asked:{sha256 of location and link}:{slot}``: that a run asks then.
    """

    def __init__(self, client: Any, address: str, environment: str, feed: Feed) -> None:  # noqa: ANN401 - redis' client is generic
        self._client = client
        self._address = address
        self._prefix = f"hash:{environment}:{feed.dataset}:"

    @classmethod
    def connect(cls, url: str, environment: str, feed: Feed) -> "Registry":
        """Connect at once, so that a run without Redis fails before anything is fetched.

        Raises:
            CollectionError: ``Failed to connect to Redis at HOST:PORT: ...``, without user and password.
        """
        try:
            parts = urlsplit(url)
            address = f"{parts.hostname}:{parts.port or 6379}"
            client = redis.Redis.from_url(
                url, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_ANSWER_SECONDS, retry=ONE_TRY
            )
        except ValueError:
            # The cause is not told: it repeats pieces of the address, which may hold a password.
            message = "Failed to connect to Redis: the address is not of the form redis://[user:password@]host:port/db"
            raise CollectionError(FailureCode.REDIS_UNREACHABLE, message) from None
        try:
            client.ping()
        except _NONSENSE:
            # Its text may repeat the address.
            client.close()
            reason = "the host or an option behind the '?' cannot be used, or no Redis answers there"
            message = f"Failed to connect to Redis at {address}: {reason}"
            raise CollectionError(FailureCode.REDIS_UNREACHABLE, message) from None
        except (redis.RedisError, OSError) as error:
            client.close()
            message = f"Failed to connect to Redis at {address}: {_told(error)}{_other_scheme(parts.scheme, error)}"
            raise CollectionError(FailureCode.REDIS_UNREACHABLE, message) from error
        return cls(client, address, environment, feed)

    def holds(self, sha256: str, location: str) -> bool:
        """Tell whether a body is archived, in this location, and announced.

        A registration that names another location, or none, does not count: two archives may share one Redis, and to
        put again where the object stands costs a request only.
        """
        value = self._call("get", self._prefix + sha256)
        return value is not None and _location(value) == location

    def register(self, sha256: str, registration: Registration) -> None:
        """Remember a body for seven days.

        Raises:
            CollectionError: Redis failed; transient when waiting may mend it.
        """
        self._call("set", self._prefix + sha256, registration.as_json(), ex=TTL_SECONDS)

    def claim(self, link: str, location: str, slot: datetime, gap: float) -> bool:
        """Take a slot of a link, slots being so many seconds apart; False when another run has it.

        Only of one that archives in this location: what the one fetches no other location has.

        Raises:
            CollectionError: Redis failed.
        """
        # A link may hold a password.
        claimed = hashlib.sha256(f"{location} {link}".encode()).hexdigest()
        key = f"{self._prefix}asked:{claimed}:{slot.astimezone(UTC).isoformat()}"
        return self._call("set", key, b"1", nx=True, px=round(_GAPS_CLAIMED * gap * 1000)) is not None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(self, command: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401 - Redis' answers
        try:
            return getattr(self._client, command)(*arguments, **options)
        except (redis.RedisError, OSError) as error:
            message = f"Redis at {self._address} failed on {command}: {_told(error)}"
            raise CollectionError(FailureCode.REDIS_FAILED, message, transient=_passes(error)) from error
        except _NONSENSE:
            message = f"Redis at {self._address} failed on {command}: its answer is none of Redis'"
            raise CollectionError(FailureCode.REDIS_FAILED, message) from None


def _word(error: Exception) -> str:
    """Return the word that says which kind of error Redis answered with."""
    return _WORDS.get(type(error)) or str(error).partition(" ")[0]


def _passes(error: Exception) -> bool:
    """Tell whether waiting may mend it: a connection that broke, a server that loads; not memory, rights or a role."""
    # To redis-py a login that is refused is a connection that fails.
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return False
    return isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError) or _word(error) in _PASSING


def _told(error: Exception) -> str:
    """Return Redis' own words, and what to do about them where that is known."""
    word, text = _word(error), shown(str(error).removesuffix("."), 200)[1:-1]
    told = text if text.startswith(word) else f"{word} {text}"
    if isinstance(error, exceptions.AuthenticationError):
        word = "NOAUTH"
    return f"{told}; {_REMEDIES[word]}" if word in _REMEDIES else told


def _other_scheme(scheme: str, error: Exception) -> str:
    """Say which scheme to try where the two ends do not agree on TLS: one waits in vain, or hangs up."""
    if scheme == "rediss" and (isinstance(error, redis.TimeoutError) or "SSL" in str(error)):
        return "; it may be one without TLS: redis://"
    if scheme == "redis" and re.search("closed by server|reset by peer", str(error)):
        return "; it may be one with TLS: rediss://"
    return ""


def _location(value: bytes) -> str | None:
    """Return the location a registration names, if it names one."""
    try:
        held = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return held.get("location") if isinstance(held, dict) else None
