from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.settings.kafka_address import FORM, KafkaAddress, parse_kafka_address

SECRET = "s3cr3t"  # noqa: S105 - a made-up one
PUNCTUATION = "ab:@/?#[]%,&= \u2100\u0130"  # two letters among what separates the parts of an address


def parse(text: str) -> KafkaAddress:
    """Read a connection string with a default topic."""
    return parse_kafka_address(text, default_topic="default-topic")


class TestForms:
    @pytest.mark.parametrize(
        "text",
        ["broker:9092", "kafka://broker:9092", " broker:9092\n", "broker:9092/", "broker:9092?", "broker:9092/?"],
    )
    def test_a_broker_is_enough(self, text: str) -> None:
        """Host and port alone announce in clear, without a user, to the default topic; kafka:// changes nothing."""
        assert parse(text) == KafkaAddress("broker:9092", "default-topic", "PLAINTEXT")

    @pytest.mark.parametrize("text", ["user:password@a:1,b:2/topic", "kafka://user:password@a:1,b:2/topic"])
    def test_a_user_makes_it_sasl_over_tls(self, text: str) -> None:
        """With user and password the defaults are SASL_SSL and PLAIN, so no password travels in clear unasked."""
        address = parse(text)
        assert address == KafkaAddress("a:1,b:2", "topic", "SASL_SSL", "user", "password", "PLAIN")

    @pytest.mark.parametrize(
        "brokers", ["a:1", "a:65535", "a:1,b:2,c:3", "10.0.0.1:9092", "[::1]:9092", "k_1-a.b:9092"]
    )
    def test_brokers_are_passed_on_as_given(self, brokers: str) -> None:
        """Names, IPv4 and bracketed IPv6 addresses, one or several, reach the client unchanged."""
        assert parse(brokers).brokers == brokers
        assert parse(f"user:password@{brokers}/topic").brokers == brokers

    @pytest.mark.parametrize("topic", ["a", "miso.reserve_v1-x", "9", "t" * 249])
    def test_the_topic_stands_behind_the_brokers(self, topic: str) -> None:
        """Every topic name that Kafka allows can be given."""
        assert parse(f"a:1/{topic}").topic == topic

    @pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    @pytest.mark.parametrize("case", [str.upper, str.lower])
    def test_protocol_and_mechanism_can_be_chosen(
        self, protocol: str, mechanism: str, case: Callable[[str], str]
    ) -> None:
        """Every combination for a user works, in upper or lower case and in either order."""
        options = [f"security_protocol={case(protocol)}", f"sasl_mechanism={case(mechanism)}"]
        expected = (protocol, mechanism)
        for query in ("&".join(options), "&".join(reversed(options))):
            address = parse(f"user:password@a:1/topic?{query}")
            assert (address.security_protocol, address.sasl_mechanism) == expected

    @pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
    def test_without_a_user_there_is_no_mechanism(self, protocol: str) -> None:
        """PLAINTEXT and SSL work without a user, and then nothing is said about SASL."""
        address = parse(f"a:1?security_protocol={protocol}")
        assert address == KafkaAddress("a:1", "default-topic", "PLAINTEXT" if protocol == "PLAINTEXT" else "SSL")

    @pytest.mark.parametrize(("credentials", "protocol"), [("", "SSL"), ("user:password@", "SASL_SSL")])
    def test_a_ca_may_be_named(self, credentials: str, protocol: str) -> None:
        """The file of a CA is named with TLS, percent-encoded where it must be; without, the system's CAs hold."""
        text = f"{credentials}a:1/topic?security_protocol={protocol}"
        assert parse(f"{text}&ssl_ca_location=/etc/my%20ca%40home.pem").ssl_ca_location == "/etc/my ca@home.pem"
        assert parse(text).ssl_ca_location is None


class TestPasswords:
    @pytest.mark.parametrize(
        "password", ["", "p@ss", "p:a:s:s", "p/a?s#s&=", "kafka://", " with blank", "\u00e9", "p%40", "100%", "a,b:1"]
    )
    def test_a_percent_encoded_password_may_hold_anything(self, password: str) -> None:
        """Whatever the password, encoding it gives a string that is read back as it."""
        address = parse(f"user:{quote(password, safe='')}@a:1/topic")
        assert (address.user, address.password, address.brokers, address.topic) == ("user", password, "a:1", "topic")

    @pytest.mark.parametrize("password", ["p@ss", "p:a:s:s", "p/a?s#s&=", "p@b:2/t?x=y", "with blank", "100%"])
    def test_a_password_need_not_be_encoded(self, password: str) -> None:
        """Without percent sequences a password is read as it stands, delimiters and all: the last @ ends it."""
        address = parse(f"user:{password}@a:1/topic")
        assert (address.user, address.password, address.brokers, address.topic) == ("user", password, "a:1", "topic")

    @given(st.text(min_size=1), st.text())
    def test_any_user_and_password_can_be_encoded(self, user: str, password: str) -> None:
        """Percent-encoding carries every user and password, a colon in the user included."""
        address = parse(f"{quote(user, safe='')}:{quote(password, safe='')}@a:1")
        assert (address.user, address.password) == (user, password)

    def test_a_password_is_not_in_the_repr(self) -> None:
        """Printing an address, also within other things, does not show its password."""
        address = parse(f"user:{SECRET}@a:1/topic")
        assert address.password == SECRET
        assert SECRET not in f"{address} {address!r} {[address]}"


class TestMistakes:
    @pytest.mark.parametrize(
        "text",
        [
            *("", "kafka://", "broker", "broker:", ":9092", "broker:port", "broker:0", "broker:65536", "broker:999999"),
            *(
                "a:1,",
                ",a:1",
                "a:1,,b:2",
                "a:1, b:2",
                "a:1 b:2",
                "http://a:1",
                "kafka://kafka://a:1",
                "[::1:1",
                "::1:9092",
            ),
            *(
                "user:password@",
                "user:password@broker",
                "user:password",
                "/topic",
                "?security_protocol=SSL",
                "a:\u0661",
            ),
        ],
    )
    def test_brokers_need_host_and_port(self, text: str) -> None:
        """A string without proper brokers is refused, and the message shows the form."""
        with pytest.raises(ValueError, match=r"the brokers are not host:port") as refusal:
            parse(text)
        assert FORM in str(refusal.value)

    @pytest.mark.parametrize("text", ["user@a:1", ":password@a:1", "@a:1", "kafka://user@a:1"])
    def test_a_user_comes_with_a_password(self, text: str) -> None:
        """A user without a password, or a password without a user, is refused, and the message shows the form."""
        with pytest.raises(ValueError, match=r"user and password are not user:password@") as refusal:
            parse(text)
        assert FORM in str(refusal.value)

    @pytest.mark.parametrize("topic", ["to pic", "a/b", "\u00e9", "a:b", "a,b", "t" * 250, "a\n/"])
    def test_a_topic_that_kafka_does_not_allow_is_refused(self, topic: str) -> None:
        """A topic is checked before the first message, not by the broker."""
        with pytest.raises(ValueError, match="the topic has characters that Kafka does not allow"):
            parse(f"a:1/{topic}")

    @pytest.mark.parametrize("topic", [".", ".."])
    def test_a_topic_of_dots_alone_is_refused(self, topic: str) -> None:
        """Kafka forbids the topics . and .., so they are refused before the first message."""
        with pytest.raises(ValueError, match="topic"):
            parse(f"a:1/{topic}")

    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            ("acks=0", "only security_protocol, sasl_mechanism and ssl_ca_location"),
            ("security_protocol=SSL&x", "only security_protocol, sasl_mechanism and ssl_ca_location"),
            ("Security_Protocol=SSL", "only security_protocol, sasl_mechanism and ssl_ca_location"),
            ("security_protocol=TLS", "security_protocol is one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
            ("security_protocol=", "security_protocol is one of"),
            ("security_protocol", "security_protocol is one of"),
            ("sasl_mechanism=GSSAPI", "sasl_mechanism is one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
            ("sasl_mechanism=", "sasl_mechanism is one of"),
        ],
    )
    @pytest.mark.parametrize("credentials", ["", "user:password@"])
    def test_a_wrong_option_is_refused_with_the_right_ones(self, credentials: str, query: str, problem: str) -> None:
        """Unknown options, protocols and mechanisms are refused, and the message says what may stand there."""
        with pytest.raises(ValueError, match=problem):
            parse(f"{credentials}a:1/topic?{query}")

    @pytest.mark.parametrize(
        "text",
        [
            *("a:1?security_protocol=SASL_SSL", "a:1?security_protocol=SASL_PLAINTEXT"),
            *("user:password@a:1?security_protocol=SSL", "user:password@a:1?security_protocol=PLAINTEXT"),
        ],
    )
    def test_sasl_and_a_user_go_together(self, text: str) -> None:
        """A user who would be left out, and SASL without a user, are refused rather than silently changed."""
        with pytest.raises(ValueError, match="a user and password go with SASL_SSL or SASL_PLAINTEXT"):
            parse(text)

    @pytest.mark.parametrize(
        "text",
        ["a:1?ssl_ca_location=/ca.pem", "a:1?security_protocol=SSL&ssl_ca_location=", "a:1?ssl_ca_location"],
    )
    def test_a_ca_goes_with_tls(self, text: str) -> None:
        """A CA that would never be looked at, or no file at all, is refused."""
        with pytest.raises(ValueError, match="ssl_ca_location names a file, and goes with SSL or SASL_SSL"):
            parse(text)

    @given(st.text(PUNCTUATION, max_size=12), st.text(PUNCTUATION, max_size=12), st.sampled_from(["user:", ""]))
    def test_no_mistake_repeats_the_string(self, before: str, behind: str, user: str) -> None:
        """Whatever stands around a password, and wherever it stands, it does not get into the message."""
        for text in (f"{user}{before}{SECRET}{behind}@broker", f"{user}{before}{SECRET}{behind}"):
            with pytest.raises(ValueError, match=r"form is|stand behind|one of|allow") as refusal:
                parse(text)
            assert SECRET not in str(refusal.value)
