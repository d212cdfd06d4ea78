from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import redis
from botocore.exceptions import ClientError
from confluent_kafka import KafkaError, Producer

from tests.services.kafka import create_topic, read_messages, sasl_front
from tests.services.process import from_environment
from tests.services.s3 import S3Endpoint
from tests.services.valkey import redis_of_the_worker

pytestmark = pytest.mark.services


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def test_ceph_lets_one_writer_win() -> None:
    """Of many conditional puts of one key at once a single one succeeds and all others get 412."""
    endpoint = S3Endpoint.from_environment()
    bucket = f"bucket-{uuid.uuid4()}"
    client = endpoint.client()
    client.create_bucket(Bucket=bucket)

    def put(number: int) -> int:
        try:
            client.put_object(Bucket=bucket, Key="key", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            return _status(error)
        return 200

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(put, range(8)))
    assert sorted(statuses) == [200] + [412] * 7
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == str(statuses.index(200)).encode()


def test_ceph_checks_secrets() -> None:
    """A wrong secret is refused with 403."""
    with pytest.raises(ClientError) as refused:
        replace(S3Endpoint.from_environment(), secret_key=uuid.uuid4().hex).client().list_buckets()
    assert _status(refused.value) == 403


def test_redis_keeps_what_it_is_given() -> None:
    """Debian's Redis answers a get with what was set."""
    key = str(uuid.uuid4())
    with redis.Redis.from_url(redis_of_the_worker()) as client:
        client.set(key, "value")
        assert client.get(key) == b"value"


@pytest.mark.parametrize("create", [True, False])
def test_tansu_delivers_to_another_client(create: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """What one client produces to Tansu another reads, once, whether the topic was there before or not."""
    bootstrap, topic = from_environment("TEST_KAFKA_BOOTSTRAP"), str(uuid.uuid4())
    if create:
        create_topic(bootstrap, topic)
    _produce({"bootstrap.servers": bootstrap}, topic)
    messages = read_messages(bootstrap, topic, expected=20)
    assert sorted(int(message.key() or b"") for message in messages) == list(range(20))


def test_a_login_gets_through_the_front() -> None:
    """With the right password the broker behind the login works as without one."""
    with sasl_front("user", "right") as bootstrap:
        login = _login("right")
        create_topic(bootstrap, "topic", extra_config=login)
        _produce({"bootstrap.servers": bootstrap, **login}, "topic")
        messages = read_messages(bootstrap, "topic", expected=20, extra_config=login)
        assert [int(message.key() or b"") for message in messages] == list(range(20))


@pytest.mark.parametrize("settings", [{"sasl.password": "wrong"}, {"security.protocol": "PLAINTEXT"}])
def test_nothing_gets_past_the_front(settings: dict[str, str]) -> None:
    """With a wrong password or none nothing is delivered, and a wrong one is reported as such."""
    errors: list[int] = []
    delivered: list[bool] = []
    with sasl_front("user", "right") as bootstrap:
        config = {"bootstrap.servers": bootstrap, **_login("right"), **settings, "message.timeout.ms": 1000}
        with Producer({**config, "error_cb": lambda error: errors.append(error.code())}) as producer:
            producer.produce("topic", value=b"value", on_delivery=lambda error, _: delivered.append(error is None))
            assert producer.flush(10) == 0
        assert delivered == [False]
        assert read_messages(bootstrap, "topic", expected=0, extra_config=_login("right")) == []
    assert (KafkaError._AUTHENTICATION in errors) == ("sasl.password" in settings)  # noqa: SLF001 - its public name


def _login(password: str) -> dict[str, str]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "user",
        "sasl.password": password,
    }


def _produce(config: dict[str, str], topic: str) -> None:
    with Producer({**config, "enable.idempotence": True}) as producer:
        for number in range(20):
            producer.produce(topic, key=str(number), value=b"value")
        assert producer.flush(10) == 0
