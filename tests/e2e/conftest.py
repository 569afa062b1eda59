"""What the end-to-end tests share: the programs that `make tools` builds, and an S3 server of their own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from e2e_support import ACCESS_KEY, SECRET_KEY, S3Server

from tools import binaries, versitygw

Find = Callable[[str], Path]


@pytest.fixture(scope="session")
def tool() -> Find:
    """A function that returns one of the programs; without it the test is skipped, and fails where CI=true."""

    def find(name: str) -> Path:
        program = binaries.find(name)
        if program:
            return program
        reason = f"{name} is not built: run `make tools`, which needs Go"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session")
def versitygw_endpoint(tool: Find, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a versitygw of the whole run."""
    tool("versitygw")
    with versitygw.run(tmp_path_factory.mktemp("versitygw")) as endpoint:
        yield endpoint


@pytest.fixture
def s3(versitygw_endpoint: str) -> Iterator[S3Server]:
    """An empty S3 server: versitygw, which takes a fraction of moto's time for each object."""
    client = boto3.client(
        "s3",
        endpoint_url=versitygw_endpoint,
        region_name=versitygw.REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    server = S3Server(versitygw_endpoint, client)
    server.clear()
    yield server
    client.close()
