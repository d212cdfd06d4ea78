"""An S3 that is asked by way of a front, and AWS's configuration beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.s3_front import S3Front

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Bucket, Services


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS's configuration file, empty; nothing else in the environment says whom to trust and which way to go."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config"
    path.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return path


@pytest.fixture
def front(services: Services, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Front]:
    """What the bucket's S3 is asked, which the environment names by this front of it."""
    del bucket  # it has set the environment, which is changed here
    with S3Front(services.s3) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        yield front
