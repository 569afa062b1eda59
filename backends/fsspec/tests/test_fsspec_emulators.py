"""The fsspec backend reads Google Cloud Storage and Azure by their libraries, held against an emulator of each."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from cmp_core import (
    BuildEnvironment,
)
from cmp_core.testing import BackendContract
from tools import binaries, emulators

pytestmark = pytest.mark.e2e

BUCKET = "test-bucket"
WRONG_KEY = "d3Jvbmcta2V5LW9mLXRoZS10ZXN0cy1vZi1jbXAtY29yZS0wMDAwMDAwMDAwMDA="


def need(thing: object, what: str) -> None:
    """Skip the test where something is missing, or fail where CI=true."""
    if thing:
        return
    reason = f"{what} is missing: run `make tools`, which needs Go and npm"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def gcs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Google Cloud Storage of the whole run."""
    need(binaries.find("fake-gcs-server"), "fake-gcs-server")
    with emulators.run_gcs(tmp_path_factory.mktemp("gcs")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure_connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an Azure of the whole run."""
    need(shutil.which("node") and emulators.find_azurite(), "Azurite")
    with emulators.run_azure(tmp_path_factory.mktemp("azure")) as connection:
        yield connection


class Gcs:
    """A bucket of the emulator."""

    def __init__(self, endpoint: str) -> None:
        """Make the bucket if need be."""
        self.endpoint = endpoint
        self.variables = {"STORAGE_EMULATOR_HOST": endpoint}
        self.post("/storage/v1/b", b'{"name":"%b"}' % BUCKET.encode(), expected={200, 409})

    def post(self, path: str, body: bytes, expected: set[int], **headers: str) -> None:
        """Send one request."""
        request = Request(self.endpoint + path, body, {"Content-Type": "application/json", **headers}, method="POST")  # noqa: S310  # our own server
        try:
            with urlopen(request) as answer:  # noqa: S310  # our own server
                status = answer.status
        except HTTPError as error:
            status = error.code
        assert status in expected

    def put(self, name: str, content: bytes) -> None:
        """Put an object."""
        self.post(f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}", content, {200})


@pytest.fixture
def gcs(gcs_endpoint: str) -> Gcs:
    """The bucket."""
    return Gcs(gcs_endpoint)


@pytest.fixture
def container(azure_connection: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A container of the emulator, and the sidecar's variables that lead there."""
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415  # loads slowly
    from azure.storage.blob import ContainerClient  # noqa: PLC0415  # as above

    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection)
    with ContainerClient.from_connection_string(azure_connection, BUCKET) as client:
        with contextlib.suppress(ResourceExistsError):
            client.create_container()
        yield client


class TestFsspecOnGcs(BackendContract):
    """The shared suite, for Google Cloud Storage."""

    backend = "fsspec"
    secrets = ("secret-of-the-test",)

    @pytest.fixture(autouse=True)
    def _gcs(self, gcs: Gcs, web: Any, tmp_path: Path) -> None:
        self.gcs, self.web, self.endpoint, self.number = (
            gcs,
            web,
            gcs.endpoint,
            f"{tmp_path.parent.name}-{tmp_path.name}",
        )
        self.published = 0

    def variables(self) -> dict[str, str]:
        """Return the emulator's address."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint}

    def environment(self, **settings: Any) -> BuildEnvironment:
        """Allow every bucket."""
        return super().environment(**settings, backends={"fsspec": {"allow": ["gs://*"]}})

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Put the files below a new prefix, beside a neighbour that must not be read."""
        self.published += 1
        prefix = f"{self.number}/{self.published}"
        self.gcs.put(f"{prefix}-neighbour/x.yaml", b"kind: Neighbour\n")
        for path, content in files.items():
            self.gcs.put(f"{prefix}/{path}", content)
        return {"url": f"gs://{BUCKET}/{prefix}"}

    def missing(self) -> dict[str, Any]:
        """Name a bucket that does not exist."""
        return {"url": "gs://missing-bucket/apps"}

    def denied(self) -> dict[str, Any]:
        """Ask a service that refuses, since the emulator refuses nobody."""
        path = f"/storage/v1/b/{BUCKET}/o?prefix=apps&maxResults=1&fields="
        fields = quote("items(name,size,generation,md5Hash,contentEncoding),nextPageToken", safe="(),")
        self.web.answers[path + fields] = lambda handler: handler.answer_with(b"secret-of-the-test", status=403)
        self.endpoint = self.web.url
        return {"url": f"gs://{BUCKET}/apps"}

    def outage(self) -> dict[str, Any]:
        """Ask a port that nobody listens on."""
        self.endpoint = "http://127.0.0.1:1"
        return {"url": f"gs://{BUCKET}/apps"}


class TestFsspecOnAzure(BackendContract):
    """The shared suite, for Azure's Blob Storage."""

    backend = "fsspec"
    secrets = (emulators.ACCOUNT_KEY, WRONG_KEY)

    @pytest.fixture(autouse=True)
    def _azure(self, container: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.container, self.monkeypatch = container, monkeypatch
        self.number, self.published = f"{tmp_path.parent.name}-{tmp_path.name}", 0

    def variables(self) -> dict[str, str]:
        """Return the sidecar's connection string."""
        return {"AZURE_STORAGE_CONNECTION_STRING": os.environ["AZURE_STORAGE_CONNECTION_STRING"]}

    def environment(self, **settings: Any) -> BuildEnvironment:
        """Allow every container."""
        return super().environment(**settings, backends={"fsspec": {"allow": ["az://*"]}})

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Put the files below a new prefix, beside a neighbour that must not be read."""
        self.published += 1
        prefix = f"{self.number}/{self.published}"
        self.container.upload_blob(f"{prefix}-neighbour/x.yaml", b"kind: Neighbour\n")
        for path, content in files.items():
            self.container.upload_blob(f"{prefix}/{path}", content)
        return {"url": f"az://{BUCKET}/{prefix}"}

    def missing(self) -> dict[str, Any]:
        """Name a container that does not exist."""
        return {"url": "az://missing-container/apps"}

    def denied(self) -> dict[str, Any]:
        """Ask with a key that is not the account's."""
        port = int(self.container.primary_hostname.partition(":")[2].partition("/")[0])
        self.monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulators.connection_string(port, WRONG_KEY))
        return {"url": f"az://{BUCKET}/apps"}

    def outage(self) -> dict[str, Any]:
        """Ask a port that nobody listens on."""
        self.monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulators.connection_string(1))
        return {"url": f"az://{BUCKET}/apps"}
