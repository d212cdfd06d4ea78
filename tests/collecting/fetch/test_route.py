"""Proxies and certificates of the environment: used, or a named error, never a traceback."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
import urllib3

from miso_archive.cli.app import main
from miso_archive.collecting.fetch import fetch
from miso_archive.contract.findings import FailureCode
from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import BODY, PLENTY, Paths, Proxy, failure, self_signed
from tests.services.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.collecting.fetch.conftest import Tls

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NOWHERE = "http://feed.invalid/feed"


@pytest.fixture
def unusable(tmp_path: Path) -> dict[str, str]:
    """Paths that hold no certificates, by what is said of them."""
    (tmp_path / "words.pem").write_text("no certificate")
    (tmp_path / "empty.pem").touch()
    (tmp_path / "folder").mkdir()
    return {
        "No such file or directory": str(tmp_path / "none.pem"),
        "it is no file of certificates in PEM": str(tmp_path / "words.pem"),
        "it is no file of certificates in PEM.": str(tmp_path / "empty.pem"),
        "Not a directory": str(tmp_path / "words.pem" / "x"),
        "File name too long": "x" * 300,
        "a folder without certificates": str(tmp_path / "folder"),
    }


class TestCertificates:
    @pytest.mark.parametrize("variable", CERTIFICATES)
    def test_certificates_that_cannot_be_used_are_named(
        self, tls: Tls, unusable: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bundle that is not there, or is none, fails at once, for good; the message names the variable and path."""
        for problem, path in unusable.items():
            monkeypatch.setenv(variable, path)
            error = failure(tls.server.url("/feed", scheme="https"))
            assert (error.code, error.transient) == (FailureCode.FEED_UNREACHABLE, False)
            assert error.message.startswith(f"{variable} names no certificates that can be used: '{path[:50]}")
            assert problem in error.message
        assert tls.server.asked == []

    @pytest.mark.parametrize("variable", CERTIFICATES)
    def test_certificates_of_the_environment_are_trusted(
        self, tls: Tls, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever is in the bundle is trusted, also when the variable's value comes from a file with CRLF."""
        monkeypatch.setenv(variable, f" {tls.certificate}\r\n")
        assert fetch(tls.server.url("/feed", scheme="https"), PLENTY).body == BODY

    def test_a_certificate_that_is_not_trusted_is_called_that(
        self, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody asks twice a server whose certificate is not trusted, and the message says where trust comes from."""
        error = failure(tls.server.url("/feed", scheme="https"))
        assert (error.code, error.transient) == (FailureCode.FEED_UNREACHABLE, False)
        assert ": its certificate is not trusted (self-signed certificate): REQUESTS_CA_BUNDLE" in error.message
        other = tmp_path / "other.pem"
        other.write_bytes(self_signed("127.0.0.1"))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(other))
        assert ": CURL_CA_BUNDLE says who is" in failure(tls.server.url("/feed", scheme="https")).message
        assert tls.server.asked == []

    def test_a_certificate_of_another_host_is_not_trusted(self, tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
        """A trusted certificate is one of its own host alone."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.certificate))
        error = failure(tls.server.url("/feed", host="localhost", scheme="https"))
        assert "its certificate is not trusted (Hostname mismatch" in error.message

    def test_without_tls_no_certificates_are_needed(
        self, paths: Callable[..., Paths], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bundle that is not there is nobody's trouble where nothing speaks TLS."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
        assert fetch(paths(feed=Reply(body=BODY)).url("/feed"), PLENTY).body == BODY


class TestProxySettings:
    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            *(("http://", "it has no host"), ("http://:3128", "it has no host"), (":", "it has no host")),
            *(("http://user:hunter2@", "it has no host"), ("http://h:x", "no such address")),
            *(("http://h:99999", "no such address"), ("http://[", "no such address"), ("http://a..b:1", "no such")),
            *(("http://h:0", "its port is 0"), ("http://h\n1:80", "no such address"), ("http://\udcff:1", "no such")),
            *(("ftp://h:1", "it begins with 'ftp'"), ("hunter2://h:1", "it begins with")),
            ("socks5://127.0.0.1:1080", "pip install 'requests[socks]'"),
            ("http://user:12/hunter2@h:1", "are to be percent-encoded"),
        ],
    )
    def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(
        self, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A setting that names no proxy fails at once, for good, by the variable's name and without a password."""
        monkeypatch.setenv("HTTP_PROXY", value)
        error = failure(NOWHERE)
        assert (error.code, error.transient) == (FailureCode.FEED_UNREACHABLE, False)
        assert error.message.startswith("HTTP_PROXY names no proxy that can be used: ")
        assert problem in error.message
        assert "hunter2" not in error.message or value.startswith("hunter2")

    @pytest.mark.parametrize("password", ["hunter2\u20ac", "hunter2%E2%82%AC"])
    def test_a_password_that_http_cannot_send_is_called_that(
        self, password: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a password beyond Latin-1 the message says so, for good, and names the variable of the proxy's."""
        problem = "has letters beyond Latin-1, which HTTP cannot send"
        for url, proxy, whose in (
            (f"http://me:{password}@127.0.0.1:1/", "", "its own"),
            (NOWHERE, f"http://me:{password}@127.0.0.1:1", "its own or that of HTTP_PROXY"),
        ):
            monkeypatch.setenv("HTTP_PROXY", proxy)
            error = failure(url)
            assert error.message.endswith(f"a user or password, {whose}, {problem}")
            assert (error.transient, "hunter2" in error.message) == (False, False)

    @pytest.mark.parametrize(
        ("variable", "scheme"),
        [
            *(("HTTP_PROXY", "http"), ("http_proxy", "http"), ("ALL_PROXY", "http"), ("all_proxy", "https")),
            *(("HTTPS_PROXY", "https"), ("https_proxy", "https")),
        ],
    )
    @pytest.mark.parametrize("form", ["http://user:hunter2@{}", "user:hunter2@{}", "{}", " {}\r\n", "https://{}"])
    def test_a_dead_proxy_is_named_and_may_come_back(
        self, variable: str, scheme: str, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy that is down is worth another try; the message has its address and its variable, and no password."""
        proxy = f"127.0.0.1:{free_port()}"
        monkeypatch.setenv(variable, form.format(proxy))
        error = failure(f"{scheme}://feed.invalid/feed")
        assert (error.code, error.transient) == (FailureCode.FEED_UNREACHABLE, True)
        assert error.message == (
            f"no answer from {scheme}://feed.invalid/feed through the proxy {proxy} of {variable}: "
            "ConnectionRefusedError 'Connection refused'"
        )

    @pytest.mark.parametrize(
        ("answer", "transient", "says"),
        [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", False, "wants a user and a password"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", False, "403"),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", True, "502"),
            (b"HTTP/1.1 429 Too Many\r\n\r\n", True, "429"),
            (b"what?\r\n\r\n", True, ": "),
            (b"", True, ": "),
        ],
        ids=["407", "403", "502", "429", "garbage", "nothing"],
    )
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_proxy_that_does_not_let_through_is_named(
        self, scheme: str, answer: bytes, says: str, monkeypatch: pytest.MonkeyPatch, *, transient: bool
    ) -> None:
        """What a proxy answers in place of the feed is told with the proxy's address; its status tells if it passes."""
        with Proxy(answer) as proxy:
            monkeypatch.setenv(f"{scheme}_proxy", f"http://user:hunter2@127.0.0.1:{proxy.port}")
            error = failure(f"{scheme}://feed.invalid/feed")
            assert base64.b64encode(b"user:hunter2") in proxy.heads[0]
        assert error.transient is transient
        assert (
            f"{scheme}://feed.invalid/feed through the proxy 127.0.0.1:{proxy.port} of {scheme}_proxy" in error.message
        )
        assert says in error.message
        assert "hunter2" not in error.message

    def test_a_silent_proxy_holds_no_longer_than_the_deadline(
        self, paths: Callable[..., Paths], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy that says nothing is told by the same time-out, with its name."""
        silent = paths(feed=Reply(delay=60))
        silent.replies[NOWHERE] = Reply(delay=60)
        monkeypatch.setenv("HTTP_PROXY", silent.url(""))
        error = failure(NOWHERE, 0.3)
        assert (error.code, error.transient) == (FailureCode.FEED_TIMEOUT, True)
        assert f"through the proxy 127.0.0.1:{silent.server.server_port} of HTTP_PROXY within" in error.message

    def test_a_proxy_is_used(self, paths: Callable[..., Paths], monkeypatch: pytest.MonkeyPatch) -> None:
        """The feed is asked through the proxy that is named, with the proxy's password and no other."""
        proxy = paths()
        proxy.replies[NOWHERE] = Reply(body=BODY)
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.server.server_port}\n")
        assert fetch(NOWHERE, PLENTY).body == BODY
        assert "Proxy-Authorization" in proxy.headers[0]
        assert "Authorization" not in proxy.headers[0]

    @pytest.mark.parametrize("spared", ["127.0.0.1", "127.0.0.1\r\n", "x, 127.0.0.1", "*\n", "127.0.0.0/8 "])
    @pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
    def test_a_host_without_proxy_is_asked_itself(
        self, paths: Callable[..., Paths], variable: str, spared: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What NO_PROXY names goes by no proxy, whatever the proxy is."""
        monkeypatch.setenv("HTTP_PROXY", "http://")
        monkeypatch.setenv(variable, spared)
        assert fetch(paths(feed=Reply(body=BODY)).url("/feed"), PLENTY).body == BODY

    @pytest.mark.parametrize("blank", ["", " ", "\r\n"])
    def test_a_blank_setting_is_none(
        self, paths: Callable[..., Paths], blank: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """White space only is no proxy, and no bundle."""
        for variable in ("HTTP_PROXY", "ALL_PROXY", *CERTIFICATES):
            monkeypatch.setenv(variable, blank)
        assert fetch(paths(feed=Reply(body=BODY)).url("/feed"), PLENTY).body == BODY


@pytest.mark.parametrize(
    "error",
    [
        *(OSError("hunter2"), OSError(5, "Input/output error"), ssl.SSLError("broken"), ConnectionResetError()),
        *(ValueError("hunter2"), UnicodeError("hunter2"), http.client.BadStatusLine("x"), http.client.InvalidURL("x")),
        *(urllib3.exceptions.LocationParseError("hunter2"), urllib3.exceptions.InvalidHeader("hunter2")),
        *(urllib3.exceptions.ProxySchemeUnknown("hunter2"), requests.exceptions.InvalidProxyURL("hunter2")),
        *(requests.exceptions.ConnectionError("hunter2"), requests.exceptions.InvalidSchema("hunter2")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_nothing_of_the_network_escapes(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the libraries of the network raise is one sentence with a code, never a class's name alone."""

    def broken(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("miso_archive.collecting.fetch._request", broken)
    told = failure(NOWHERE)
    assert told.code == FailureCode.FEED_UNREACHABLE
    assert " " in told.message.removeprefix(f"no answer from {NOWHERE}: ")
    assert "hunter2" not in told.message or type(error) is OSError


@pytest.mark.parametrize("command", ["collect", "backfill"])
def test_a_command_ends_with_one_line_and_a_code(
    tmp_path: Path, redis_url: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing bundle ends a command with exit code 1, its result on standard output, and no traceback."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    monkeypatch.setenv("REDIS_URL", redis_url)
    archive = tmp_path / "archive"
    (archive / "sourcing").mkdir(parents=True)
    place = ["--local", str(archive)]
    days = ["--start", "2001-01-02", "--end", "2001-01-03", "--format", "json"]
    arguments = {
        "collect": [*place, "--api-url", "https://feed.invalid/feed"],
        "backfill": [*place, "--reports-url", "https://reports.invalid/", *days],
    }
    assert main([command, *arguments[command]]) == 1
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    [failed] = found["errors"] if command == "collect" else found
    assert failed["code"] == "feed_unreachable"
    assert failed["message"].startswith("REQUESTS_CA_BUNDLE names no certificates that can be used: '/nowhere.pem'")
    assert "Traceback" not in printed.err


class TestNothingElseIsSent:
    NETRC = "default login user password hunter2\nmachine 127.0.0.1 login user password hunter2\n"

    @pytest.fixture(params=["HOME", "NETRC"], autouse=True)
    def _netrc(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / (".netrc" if request.param == "HOME" else "elsewhere")
        path.write_text(self.NETRC)
        path.chmod(0o600)
        if request.param == "NETRC":
            monkeypatch.setenv("NETRC", str(path))
        # The file is one that would be read.
        assert requests.utils.get_netrc_auth("http://127.0.0.1/") == ("user", "hunter2")

    def test_no_password_of_netrc_is_sent(self, paths: Callable[..., Paths]) -> None:
        """A password that ~/.netrc has for the host, or for any, is sent to nobody, before a redirect and after it."""
        server = paths(feed=Reply(302, b"", {"Location": "/moved"}), moved=Reply(body=BODY))
        assert fetch(server.url("/feed"), PLENTY).body == BODY
        assert server.asked == ["/feed", "/moved"]
        allowed = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
        assert [set(headers) - allowed for headers in server.headers] == [set(), set()]

    @pytest.mark.parametrize("location", ["/moved", "{server}/moved", "http://other:hunter3@{host}/moved"])
    def test_our_own_password_is_sent_and_no_other(self, paths: Callable[..., Paths], location: str) -> None:
        """The password of --api-url goes to its host, also after a redirect; one that the redirect names does not."""
        server = paths(moved=Reply(body=BODY))
        host = urlsplit(server.url("")).netloc
        server.replies["/feed"] = Reply(302, b"", {"Location": location.format(server=server.url(""), host=host)})
        assert fetch(server.url("/feed").replace("//", "//me:own@"), PLENTY).body == BODY
        sent = [headers.get("Authorization") for headers in server.headers]
        assert sent == [f"Basic {base64.b64encode(b'me:own').decode()}"] * 2

    def test_a_redirect_names_no_password(self, paths: Callable[..., Paths]) -> None:
        """Where --api-url has no password, none is sent, whatever a redirect names."""
        server = paths(moved=Reply(body=BODY))
        target = server.url("/moved").replace("//", "//other:hunter3@")
        server.replies["/feed"] = Reply(302, b"", {"Location": target})
        assert fetch(server.url("/feed"), PLENTY).body == BODY
        assert ["Authorization" in headers for headers in server.headers] == [False, False]
