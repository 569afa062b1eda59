"""What the tests of several backends share."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

FailingS3 = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def descriptions_are_parsed_once() -> Iterator[None]:
    """The SDK's descriptions of AWS, which every session of its own would parse anew: half the time of many a test."""
    load_file = JSONFileLoader.load_file
    kept = functools.cache(functools.partial(load_file, JSONFileLoader()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: kept(path))
        yield


@pytest.fixture
def failing_s3(monkeypatch: pytest.MonkeyPatch) -> FailingS3:
    """What returns the keys of a source in an S3 that nobody serves.

    The process has the credentials that are given, and none otherwise: then nothing is asked, and access is denied.
    """

    def run(path: str, **credentials: str) -> dict[str, Any]:
        nobody = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
        endpoint = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true"}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**nobody, **endpoint, **credentials}.items():
            monkeypatch.setenv(name, value)
        return {"backend": "s3", "bucket": "test-bucket", "path": path}

    return run
