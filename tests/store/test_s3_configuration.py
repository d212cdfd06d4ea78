"""AWS's configuration holds for writing and for reading, by a bucket's name and by a block."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

from miso_archive.settings.options import ArchiveSettings
from miso_archive.store.address import store_at, store_of
from miso_archive.store.store import ArchiveError, UnusableArchiveError
from tests.s3_archives import is_moto, use_both_sides
from tests.services.certificates import tls_of_own_ca
from tests.services.real import ON_REAL_SERVERS
from tests.services.s3_front import OtherRegion, S3Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from miso_archive.store.store import Store
    from tests.conftest import Bucket, Services
    from tests.services.s3 import S3Endpoint

SECRET = "hunter2"  # noqa: S105 - opens nothing
KINDS = ("name", "block")

pytestmark = pytest.mark.usefixtures("config")


@pytest.fixture
def tls(services: Services, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Front]:
    """The same with TLS, by an authority that nobody knows: ``authority.pem`` beside the configuration."""
    del bucket
    context, ca = tls_of_own_ca(tmp_path)
    ca.rename(tmp_path / "authority.pem")
    with S3Front(services.s3, context) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        yield front


def opened(
    kind: str,
    bucket: str,
    server: S3Endpoint,
    url: str | None = None,
    **parameters: Any,  # noqa: ANN401 - prefect-aws'
) -> Store:
    """The archive in a bucket, by its name in the environment or by a block with keys of its own."""
    if kind == "name":
        return store_at(f"s3://{bucket}")
    credentials = AwsCredentials(
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        aws_client_parameters=AwsClientParameters(endpoint_url=url, **parameters),
    )
    return store_at(S3Bucket(bucket_name=bucket, credentials=credentials))


class TestCertificates:
    @ON_REAL_SERVERS
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("named_by", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
    def test_an_authority_is_trusted(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        services: Services,
        bucket: Bucket,
        tls: S3Front,
        config: Path,
        kind: str,
        named_by: str,
        monkeypatch: Any,  # noqa: ANN401 - pytest's
    ) -> None:
        """The file of a private authority, named by a variable or in the profile, is known to all that is asked."""
        authority = config.with_name("authority.pem")
        if named_by == "ca_bundle":
            config.write_text(f"[default]\nca_bundle = {authority}\n")
        else:
            monkeypatch.setenv(named_by, str(authority))
        use_both_sides(opened(kind, bucket.name, services.s3, tls.url))

    @pytest.mark.parametrize("named_by", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
    def test_a_folder_of_authorities_is_trusted(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        services: Services,
        bucket: Bucket,
        tls: S3Front,
        tmp_path: Path,
        named_by: str,
        monkeypatch: Any,  # noqa: ANN401 - pytest's
    ) -> None:
        """Also a folder, as ``openssl rehash`` leaves it, with other files in it: what it is turned into goes again."""
        folder = tmp_path / "authorities"
        folder.mkdir()
        for name in ("authority.pem", "key.pem"):
            (folder / name).write_bytes((tmp_path / name).read_bytes())
        (folder / "5f5f5f5f.0").symlink_to("authority.pem")
        monkeypatch.setenv(named_by, str(folder))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        store = opened("name", bucket.name, services.s3, tls.url)
        [bundle] = tmp_path.glob("authorities-*.pem")
        assert b"PRIVATE" not in bundle.read_bytes()
        use_both_sides(store)

    def test_a_profile_s_authority_goes_with_the_profile(
        self, services: Services, bucket: Bucket, tls: S3Front, config: Path
    ) -> None:
        """What a named profile says is taken with it: keys, endpoint and authority."""
        config.write_text(
            f"[profile own]\naws_access_key_id = {services.s3.access_key}\nregion = {services.s3.region}\n"
            f"aws_secret_access_key = {services.s3.secret_key}\nendpoint_url = {tls.url}\n"
            f"ca_bundle = {config.with_name('authority.pem')}\n"
        )
        use_both_sides(store_of(ArchiveSettings(s3_bucket=bucket.name, aws_profile="own")))

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_a_block_may_trust_anybody(self, services: Services, bucket: Bucket, tls: S3Front) -> None:
        """A block that does not verify is taken at its word by both sides."""
        use_both_sides(opened("block", bucket.name, services.s3, tls.url, verify=False))

    def test_a_block_may_name_a_file(self, services: Services, bucket: Bucket, tls: S3Front, tmp_path: Path) -> None:
        """A block's own file of authorities holds for both sides."""
        own = tmp_path / "authority.pem"
        use_both_sides(opened("block", bucket.name, services.s3, tls.url, verify=True, verify_cert_path=own))

    def test_one_that_is_not_trusted_is_called_that(self, services: Services, bucket: Bucket, tls: S3Front) -> None:
        """Both sides say so at once, for good, with bucket and key and what to set."""
        store = opened("name", bucket.name, services.s3, tls.url)
        for call in (
            lambda: store.put_if_absent("key", b"", {}),
            lambda: store.get("key"),
            lambda: list(store.read(["key"])),
            lambda: store.names(["key"]),
            lambda: store.fetched_at(["key"]),
        ):
            with pytest.raises(ArchiveError, match=rf"s3://{bucket.name}/key .*certificate is not trusted") as caught:
                call()
            assert "authority's file in AWS_CA_BUNDLE" in caught.value.message
            assert not caught.value.transient

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["folder", "empty", "other"])
    def test_where_there_are_none_it_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
    ) -> None:
        """A file or a folder without certificates is named when the archive is opened."""
        place = tmp_path / "authorities"
        place.mkdir() if content is None else place.write_bytes(content)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(place))
        with pytest.raises(ArchiveError, match=f"^archive_refused: there are no certificates in {place}: "):
            store_at("s3://bucket")


class TestAddresses:
    @ON_REAL_SERVERS
    @pytest.mark.parametrize("kind", [*KINDS, "block that says so"])
    def test_a_bucket_may_be_named_in_the_host(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        services: Services,
        bucket: Bucket,
        front: S3Front,
        config: Path,
        kind: str,
        monkeypatch: Any,  # noqa: ANN401 - pytest's
    ) -> None:
        """Virtual addressing, of the profile or of a block, is that of every request; so is the environment's proxy."""
        if not is_moto(services.s3):
            pytest.skip("this server knows no host s3.test")
        virtual = {"s3": {"addressing_style": "virtual"}}
        if kind != "block that says so":
            config.write_text("[default]\ns3 =\n  addressing_style = virtual\n")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.test")
        monkeypatch.setenv("HTTP_PROXY", front.url)
        more: dict[str, Any] = {"config": virtual} if kind == "block that says so" else {}
        use_both_sides(opened(kind, bucket.name, services.s3, "http://s3.test", **more))
        assert len(front.heads) > 10
        assert {head.split("/")[2] for head in front.heads} == {f"{bucket.name}.s3.test"}

    def test_a_block_may_name_a_proxy(self, services: Services, bucket: Bucket, front: S3Front) -> None:
        """The proxies of a block's configuration are those of both sides."""
        use_both_sides(
            opened("block", bucket.name, services.s3, services.s3.url, config={"proxies": {"http": front.url}})
        )
        assert sum(head.startswith("PUT http://") for head in front.heads) == 3
        assert sum(head.startswith("GET http://") and "list-type=2" in head for head in front.heads) == 3

    def test_an_endpoint_for_s3_alone(
        self, services: Services, bucket: Bucket, front: S3Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """AWS_ENDPOINT_URL_S3 goes before AWS_ENDPOINT_URL."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", front.url)
        use_both_sides(opened("name", bucket.name, services.s3))
        assert front.heads

    def test_the_services_of_a_profile(
        self, services: Services, bucket: Bucket, front: S3Front, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The endpoint of the services section that AWS_PROFILE's profile names, with that profile's keys."""
        for name in services.s3.environment():
            monkeypatch.delenv(name)
        config.write_text(
            f"[profile own]\naws_access_key_id = {services.s3.access_key}\nregion = {services.s3.region}\n"
            f"aws_secret_access_key = {services.s3.secret_key}\nservices = here\n"
            f"[services here]\ns3 =\n  endpoint_url = {front.url}\n"
        )
        monkeypatch.setenv("AWS_PROFILE", "own")
        use_both_sides(opened("name", bucket.name, services.s3))
        assert front.heads

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_bucket_in_another_region_is_found(
        self, services: Services, bucket: Bucket, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where AWS's configuration names no region or a wrong one, both sides go to the one that S3 tells."""
        if not is_moto(services.s3):
            pytest.skip("this server takes no region but its own")
        name, place = f"{bucket.name}-eu", {"LocationConstraint": OtherRegion.region}
        abroad = replace(services.s3, region=OtherRegion.region).client()
        abroad.create_bucket(Bucket=name, CreateBucketConfiguration=place)
        with OtherRegion(services.s3) as elsewhere:
            monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere.url)
            use_both_sides(opened(kind, name, services.s3, elsewhere.url))
        assert any("list-type=2" in head and "/eu-west-1/" in head for head in elsewhere.heads)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_login_in_the_address_is_told_nowhere(
        self, services: Services, bucket: Bucket, front: S3Front, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A user and a password in the endpoint's address are in no location, identity or message."""
        url = f"http://user:{SECRET}@127.0.0.1:{front.port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = opened(kind, bucket.name, services.s3, url)
        use_both_sides(store)
        assert store.location == f"s3://{bucket.name}"
        assert store.identity == f"s3://{bucket.name} at {front.url}"
        broken = url.replace(str(front.port), "9")
        monkeypatch.setenv("AWS_ENDPOINT_URL", broken)
        dead = opened(kind, bucket.name, services.s3, broken, config={"retries": {"total_max_attempts": 1}})
        for call in (lambda: dead.get("key"), lambda: dead.folders("key"), lambda: dead.replace("key", b"")):
            with pytest.raises(ArchiveError, match=f"s3://{bucket.name}/key ") as caught:
                call()
            assert SECRET not in caught.value.message
            assert "user" not in caught.value.message


class TestRequests:
    @pytest.mark.parametrize("keys", ["none", "those of the environment"])
    def test_unsigned_requests(
        self, services: Services, bucket: Bucket, front: S3Front, keys: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A block that signs nothing reads a public bucket, with keys at hand or without: none is ever sent."""
        bucket.client.put_bucket_acl(Bucket=bucket.name, ACL="public-read")
        bucket.client.put_object(Bucket=bucket.name, Key="a/x", Body=b"there", ACL="public-read")
        if keys == "none":
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.delenv(name)
        parameters = AwsClientParameters(endpoint_url=front.url, config={"signature_version": "unsigned"})
        credentials = AwsCredentials(region_name=services.s3.region, aws_client_parameters=parameters)
        store = store_at(S3Bucket(bucket_name=bucket.name, credentials=credentials))
        store.require()
        assert store.names(["a"]) == [["x"]]
        assert list(store.read(["a/x"])) == [b"there"]
        assert store.get("a/x") == b"there"
        assert len(front.heads) == 3
        assert not any("authorization:" in head.lower() for head in front.heads)

    def test_a_session_token_goes_with_every_request(
        self, bucket: Bucket, services: Services, front: S3Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Temporary keys have a token beside them, which both sides send."""
        if not is_moto(services.s3):
            pytest.skip("this server refuses a token that it did not give")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
        use_both_sides(opened("name", bucket.name, services.s3))
        assert len(front.heads) > 10
        assert all("x-amz-security-token: a-token" in head.lower() for head in front.heads)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("asked", ["when_supported", "when_required"])
    def test_every_put_carries_a_checksum(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        services: Services,
        bucket: Bucket,
        front: S3Front,
        kind: str,
        asked: str,
        monkeypatch: Any,  # noqa: ANN401 - pytest's
    ) -> None:
        """Whatever is configured, as Object Lock wants it: a new object, one that is taken, one in another's place."""
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", asked)
        use_both_sides(opened(kind, bucket.name, services.s3, front.url))
        puts = [head.lower() for head in front.heads if head.startswith("PUT")]
        assert len(puts) == 3
        assert all("\r\nx-amz-checksum-crc32: " in head for head in puts)

    @pytest.mark.parametrize("asked", ["when_supported", "when_required"])
    def test_over_tls_it_is_a_header_too(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        services: Services,
        bucket: Bucket,
        tls: S3Front,
        tmp_path: Path,
        asked: str,
        monkeypatch: Any,  # noqa: ANN401 - pytest's
    ) -> None:
        """Not in pieces with the checksum behind them, which older servers refuse or store as they come."""
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", asked)
        use_both_sides(opened("name", bucket.name, services.s3))
        puts = [head.lower() for head in tls.heads if head.startswith("PUT")]
        assert len(puts) == 3
        assert all("\r\nx-amz-checksum-crc32: " in head for head in puts)
        assert not any("aws-chunked" in head or "x-amz-trailer" in head for head in puts)


class TestWhatIsNoPlace:
    @pytest.mark.parametrize("folder", ["x//y", "a/./b", "a/../b", "..", "a\x01b"])
    def test_a_folder_that_no_key_can_have(
        self, services: Services, bucket: Bucket, front: S3Front, folder: str
    ) -> None:
        """An empty or dotted part, or a control character, is refused by address and by block, with nothing asked."""
        told = rf"^archive_refused: the folder .* of the bucket {bucket.name} has an empty or dotted part"
        credentials = AwsCredentials(aws_access_key_id=services.s3.access_key, aws_secret_access_key=SECRET)
        block = S3Bucket(bucket_name=bucket.name, bucket_folder=folder, credentials=credentials)
        for archive in (f"s3://{bucket.name}/{folder}", block):
            with pytest.raises(ArchiveError, match=told) as caught:
                store_at(archive)
            assert not caught.value.transient
        assert front.heads == []

    @pytest.mark.parametrize("name", ["arn:aws:s3:us-east-1:123456789012:accesspoint/own", "arn:aws:s3:::bucket"])
    def test_an_arn_is_no_bucket(self, bucket: Bucket, front: S3Front, name: str) -> None:
        """An ARN in settings, an address or a block is refused with a sentence that says what is taken instead."""
        del bucket
        block = S3Bucket(bucket_name=name)
        calls: list[Callable[[], Store]] = [
            lambda: store_of(ArchiveSettings(s3_bucket=name)),
            lambda: store_at(f"s3://{name}"),
            lambda: store_at(block),
        ]
        for call in calls:
            with pytest.raises(ArchiveError, match="give an access point by its alias, which ends in"):
                call()
        assert front.heads == []

    def test_no_credentials_are_told_before_anything_is_asked(
        self, bucket: Bucket, front: S3Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who reads is told when the archive is opened to be read; so is, on their first call, who writes."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        store = store_at(f"s3://{bucket.name}")
        for call in (store.require, lambda: store.put_if_absent("key", b"", {}), lambda: store.get("key")):
            with pytest.raises(UnusableArchiveError, match=f"no AWS credentials are found for s3://{bucket.name}: "):
                call()
        assert front.heads == []


def test_a_bucket_opened_again_is_not_described_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore knows of S3 is parsed by the first that opens a bucket: for the others that would be most of it."""
    store_at(f"s3://{bucket.name}/first")
    parsed: list[object] = []
    monkeypatch.setattr(json.decoder.JSONDecoder, "raw_decode", lambda _decoder, text, *_: parsed.append(text))
    store_at(f"s3://{bucket.name}/second")
    assert not parsed
