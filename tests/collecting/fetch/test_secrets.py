from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from miso_archive.collecting.fetch import fetch, without_secrets
from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import BODY, PLENTY, TIMEOUT, Paths, failure, redirect
from tests.services.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable


SECRET_URLS = [
    ("http://{host}/feed?token=hunter2", "http://{host}/feed"),
    ("http://user:hunter2@{host}/feed", "http://{host}/feed"),
    ("http://us%40er:hunter2@{host}/feed?a=hunter2#hunter2", "http://{host}/feed"),
    ("http://user:hunt@hunter2@{host}/feed", "http://{host}/feed"),
]


class TestSecrets:
    @pytest.mark.parametrize(("url", "shown"), SECRET_URLS)
    def test_a_source_holds_no_secret(self, paths: Callable[..., Paths], url: str, shown: str) -> None:
        """User, password, query and fragment of an address are not in the source that is archived."""
        server = paths(feed=Reply(body=BODY))
        host = server.url("").removeprefix("http://")
        response = fetch(url.format(host=host), PLENTY)
        assert response.source_url == shown.format(host=host)
        assert "hunter2" not in repr(response)

    @pytest.mark.parametrize("reply", [Reply(404, b""), Reply(503, b""), Reply(reset=True), Reply(delay=60)])
    @pytest.mark.parametrize(("url", "_shown"), SECRET_URLS)
    def test_an_error_holds_no_secret(self, paths: Callable[..., Paths], reply: Reply, url: str, _shown: str) -> None:
        """User, password and query of an address are in no message, whatever goes wrong."""
        server = paths(feed=reply)
        error = failure(url.format(host=server.url("").removeprefix("http://")), TIMEOUT)
        assert "hunter2" not in str(error)
        assert "hunter2" not in repr(error)

    @pytest.mark.parametrize(
        "location", ["http://u:hunter2@[::1/x", "http://h:99999/?token=hunter2", "http://h:+1/#hunter2"]
    )
    def test_a_redirect_that_cannot_be_read_is_not_repeated(self, paths: Callable[..., Paths], location: str) -> None:
        """A redirect may repeat our own token: one in which it cannot be told from the rest is shown nowhere."""
        error = failure(paths(feed=redirect(location)).url("/feed?token=hunter2"))
        assert error.message.endswith("redirects to what is no address")
        assert not [line for line in traceback.format_exception(error) if "hunter2" in line]

    @pytest.mark.parametrize("reply", [Reply(reset=True), Reply(body=BODY, truncate_to=1), Reply(503, b"")])
    def test_a_traceback_holds_no_secret(self, paths: Callable[..., Paths], reply: Reply) -> None:
        """Nor is a secret in the causes, which whoever logs a traceback writes down too."""
        server = paths(feed=reply)
        error = failure(server.url("/feed?token=hunter2").replace("//", "//user:hunter2@"))
        assert not [line for line in traceback.format_exception(error) if "hunter2" in line]

    @pytest.mark.parametrize("port", [None, 99999], ids=["refused", "no port"])
    def test_a_traceback_of_requests_holds_no_secret(self, port: int | None) -> None:
        """Nor is one in what requests says of an address that it cannot connect to or cannot read."""
        error = failure(f"http://user:hunter2@127.0.0.1:{port or free_port()}/?token=hunter2")
        assert not [line for line in traceback.format_exception(error) if "hunter2" in line]

    def test_an_address_that_cannot_be_read_is_not_repeated(self) -> None:
        """An address that cannot be used, its port is too high, is told without its secrets."""
        assert "hunter2" not in failure("http://user:hunter2@127.0.0.1:99999/?token=hunter2").message

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://host/a/b", "https://host/a/b"),
            ("https://host:8443/a?b=c#d", "https://host:8443/a"),
            ("https://u:p@[::1]:80/", "https://[::1]:80/"),
            ("https://host/é", "https://host/\\xe9"),
            ("https://höst", "https://h\\xf6st"),
        ],
    )
    def test_addresses_are_shown_in_ascii(self, url: str, shown: str) -> None:
        """An address fit for logs and metadata keeps scheme, host, port and path, in ASCII."""
        assert without_secrets(url) == shown
