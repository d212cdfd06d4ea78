from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from miso_archive.collecting.fetch import fetch
from miso_archive.collecting.http_session import place_of
from miso_archive.contract.findings import FailureCode
from miso_archive.simulate import Reply
from tests.collecting.fetch.servers import BODY, PLENTY, Paths, Proxy, failure, redirect

if TYPE_CHECKING:
    from collections.abc import Callable


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("location", ["/moved", "moved", "{server}/moved", "//127.0.0.1:{port}/moved"])
    def test_a_redirect_within_the_host_is_followed(
        self, paths: Callable[..., Paths], status: int, location: str
    ) -> None:
        """A redirect to the same host and port is followed, and the address that was asked for is the source."""
        server = paths(moved=Reply(body=BODY))
        target = location.format(server=server.url(""), port=server.server.server_port)
        server.replies["/feed"] = redirect(target, status)
        response = fetch(server.url("/feed"), PLENTY)
        assert (response.body, response.source_url) == (BODY, server.url("/feed"))

    @pytest.mark.parametrize("location", ["{other}/moved", "http://localhost:{port}/moved", "ftp://127.0.0.1/moved"])
    def test_a_redirect_elsewhere_is_refused(self, paths: Callable[..., Paths], location: str) -> None:
        """A redirect to another host, port or scheme is final: nobody there is asked, and the message names both."""
        server, other = paths(moved=Reply(body=BODY)), paths(moved=Reply(body=BODY))
        target = location.format(other=other.url(""), port=server.server.server_port)
        server.replies["/feed"] = redirect(target)
        error = failure(server.url("/feed"))
        assert (error.code, error.transient) == (FailureCode.FEED_REDIRECT, False)
        assert (server.asked, other.asked) == (["/feed"], [])
        assert error.message == f"{server.url('/feed')} redirects to '{target}', another host: not followed"

    def test_a_redirect_elsewhere_is_refused_at_any_hop(self, paths: Callable[..., Paths]) -> None:
        """A host cannot be left by way of a redirect that stays."""
        other = paths(moved=Reply(body=BODY))
        server = paths(feed=redirect("/next"), next=redirect(other.url("/moved")))
        assert failure(server.url("/feed")).code == FailureCode.FEED_REDIRECT
        assert (server.asked, other.asked) == (["/feed", "/next"], [])

    def test_a_redirect_to_tls_is_followed(self, paths: Callable[..., Paths]) -> None:
        """A redirect from http to https on the same host is followed, here to a server that speaks no TLS."""
        server = paths(moved=Reply(body=BODY))
        server.replies["/feed"] = redirect(server.url("/moved", scheme="https"))
        error = failure(server.url("/feed"))
        assert error.code == FailureCode.FEED_UNREACHABLE
        assert "SSL" in error.message

    @pytest.mark.parametrize("hops", [1, 2, 3])
    def test_a_few_redirects_are_followed(self, paths: Callable[..., Paths], hops: int) -> None:
        """Up to three redirects in a row lead to a body."""
        chain = {f"hop{number}": redirect(f"/hop{number + 1}") for number in range(hops)}
        server = paths(**chain, **{f"hop{hops}": Reply(body=BODY)})
        assert fetch(server.url("/hop0"), PLENTY).body == BODY

    @pytest.mark.parametrize("location", ["/feed", "/other", ""])
    def test_endless_redirects_end(self, paths: Callable[..., Paths], location: str) -> None:
        """Redirects in a circle are given up after a few, for good."""
        server = paths(feed=redirect(location), other=redirect("/feed"))
        error = failure(server.url("/feed"))
        assert (error.code, error.transient) == (FailureCode.FEED_REDIRECT, False)
        assert error.message == f"{server.url('/feed')} redirects without end"
        assert len(server.asked) == 4

    @pytest.mark.parametrize("location", ["https://user:hunter2@elsewhere.test/?token=hunter2", "//x\x1b\x07/\xc3\xa9"])
    def test_a_refused_target_is_made_harmless(self, paths: Callable[..., Paths], location: str) -> None:
        """Of a hostile or secret target the message shows only what is fit for a log."""
        server = paths(feed=redirect(location))
        message = failure(server.url("/feed")).message
        assert "hunter2" not in message
        assert message.isascii()
        assert message.isprintable()

    def test_a_target_in_any_bytes_is_followed(self, paths: Callable[..., Paths]) -> None:
        """A redirect within the host to a path that is no UTF-8 is asked for, here where nothing is."""
        server = paths(feed=redirect("/\xe9\xff"))
        assert failure(server.url("/feed")).code == FailureCode.FEED_STATUS
        assert server.asked[1].isascii()

    @pytest.mark.parametrize("location", ["http://[", "http://[::1", "//[/feed"])
    def test_a_target_that_cannot_be_read_is_a_failure_like_others(
        self, paths: Callable[..., Paths], location: str
    ) -> None:
        """A redirect to something that is no address fails with a reason code, not with a defect's error."""
        server = paths(feed=redirect(location))
        assert failure(server.url("/feed")).code == FailureCode.FEED_REDIRECT


SAME_PLACE = [
    ("https://host/feed", "https://host:443/moved"),
    ("https://host:443/feed", "https://host/moved"),
    ("http://host/feed", "http://host:80/moved"),
    ("http://host:80/feed", "http://HOST/moved"),
    ("http://host:80/feed", "http://host/moved"),
    ("http://host/feed", "https://host/moved"),
    ("http://host/feed", "https://host:443/moved"),
    ("http://host:80/feed", "https://host/moved"),
    ("HTTPS://Host/feed", "https://host:443/moved"),
    ("https://host/feed", "https://host./moved"),
    ("https://h\xf6st/feed", "https://xn--hst-sna:443/moved"),
    ("https://h\xf6st/feed", "https://H\xd6ST/moved"),
    ("http://[::1]:80/feed", "http://[::1]/moved"),
    ("http://host:8080/feed", "https://host:8080/moved"),
]
OTHER_PLACES = [
    ("https://host/feed", "https://host:80/moved"),
    ("https://host/feed", "https://host:8443/moved"),
    ("https://host/feed", "http://host/moved"),
    ("https://host/feed", "http://host:443/moved"),
    ("http://host/feed", "https://host:80443/moved"),
    ("http://host/feed", "http://host:443/moved"),
    ("http://host:8080/feed", "https://host/moved"),
    ("http://host/feed", "http://host.example/moved"),
    ("http://host/feed", "http://host../moved"),
    ("http://host/feed", "ftp://host/moved"),
    ("http://host/feed", "http://host@other/moved"),
    ("http://host/feed", "http://other\\@host/moved"),
    ("http://host/feed", "http://host\\@other/moved"),
    ("http://host/feed", "http://host:80\\@other:80/moved"),
    ("http://host/feed", "http:///moved"),
]


class TestOnePlace:
    @pytest.mark.parametrize(("here", "there"), SAME_PLACE)
    def test_one_place_may_be_spelled_in_many_ways(self, here: str, there: str) -> None:
        """A default port written out, upper case, a full name's last dot: the same host and port; so is it by TLS."""
        assert place_of(here).leads_to(place_of(there))

    @pytest.mark.parametrize(("here", "there"), OTHER_PLACES)
    def test_what_is_another_place_stays_another(self, here: str, there: str) -> None:
        """Another host, another port, a way back from TLS, or an address that is read as two hosts is not followed."""
        try:
            followed = place_of(here).leads_to(place_of(there))
        except ValueError:
            followed = False
        assert not followed

    @pytest.mark.parametrize(
        ("feed", "location"),
        [
            ("http://feed.invalid/feed", "http://feed.invalid:80/moved"),
            ("http://feed.invalid:80/feed", "http://FEED.invalid/moved"),
            ("http://feed.invalid/feed", "//feed.invalid:80/moved"),
            ("http://feed.invalid:80/feed", "moved"),
        ],
    )
    def test_a_default_port_written_out_is_followed(
        self, paths: Callable[..., Paths], feed: str, location: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A redirect to the same host with its default port, as load balancers send it, leads to the body."""
        balancer = paths()
        balancer.replies[feed] = redirect(location)
        moved = urljoin(feed, location)
        balancer.replies |= {spelled: Reply(body=BODY) for spelled in (moved, moved.lower(), moved.replace(":80", ""))}
        monkeypatch.setenv("HTTP_PROXY", balancer.url(""))
        assert fetch(feed, PLENTY).body == BODY
        assert len(balancer.asked) == 2

    def test_a_default_port_leads_to_tls(self, paths: Callable[..., Paths], monkeypatch: pytest.MonkeyPatch) -> None:
        """From http to https on the default ports is one host, whichever of them is written out."""
        balancer = paths()
        balancer.replies["http://feed.invalid/feed"] = redirect("https://feed.invalid:443/moved")
        monkeypatch.setenv("HTTP_PROXY", balancer.url(""))
        with Proxy(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as tunnel:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.port}")
            error = failure("http://feed.invalid/feed")
            assert tunnel.heads[0].startswith(b"CONNECT feed.invalid:443 ")
        assert error.code == FailureCode.FEED_UNREACHABLE
