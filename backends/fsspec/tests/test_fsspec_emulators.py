"""The fsspec backend reads Google Cloud Storage and Azure by their libraries, held against an emulator of each."""

import contextlib
import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient, ContentSettings
from cmp_backend_fsspec.pieces import PIECE_BYTES, PieceReader

from cmp_core import BuildEnvironment, IntegrityError, LimitExceededError, TransientFetchError
from cmp_core.testing import CannotPublishError, DiagnosisContract

binaries = pytest.importorskip("tools.binaries", reason="the emulators belong to the checkout")
emulators = pytest.importorskip("tools.emulators")

pytestmark = pytest.mark.e2e

BUCKET = "test-bucket"
MANIFEST = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n"
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
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection)
    with ContainerClient.from_connection_string(azure_connection, BUCKET) as client:
        with contextlib.suppress(ResourceExistsError):
            client.create_container()
        yield client


class TestFsspecOnGcs(DiagnosisContract):
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


_CHANGED_BY_AZURE = re.compile(r"[\\\x00-\x1f]")


class TestFsspecOnAzure(DiagnosisContract):
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
        if _CHANGED_BY_AZURE.search("".join(files)):
            raise CannotPublishError("Azure takes a backslash for a slash, and cannot list a control character")
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


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """A prefix of this test alone."""
    return f"{tmp_path.parent.name}-{tmp_path.name}"


@pytest.fixture
def in_gcs(gcs: Gcs, fetching: Any) -> Any:
    """A sidecar that may read every bucket."""
    fetching.allow, fetching.variables = ["gs://*"], dict(gcs.variables)
    return fetching


@pytest.fixture
def in_azure(container: Any, fetching: Any) -> Any:
    """A sidecar that may read every container of its own account."""
    fetching.allow = ["az://*"]
    fetching.variables = {"AZURE_STORAGE_CONNECTION_STRING": os.environ["AZURE_STORAGE_CONNECTION_STRING"]}
    return fetching


def test_one_object_of_gcs_is_read_in_pieces(gcs: Gcs, in_gcs: Any, prefix: str) -> None:
    """By its name, past a neighbour whose name goes on."""
    body = os.urandom(2 * PIECE_BYTES + 7)
    gcs.put(f"{prefix}/a", body)
    gcs.put(f"{prefix}/a.yaml", b"kind: B\n")
    gcs.put(f"{prefix}/empty", b"")

    artifact = in_gcs(f"gs://{BUCKET}/{prefix}/a")
    in_gcs(f"gs://{BUCKET}/{prefix}/empty")

    assert in_gcs.kept() == {"a": body, "empty": b""}
    assert artifact.revision != artifact.digest


def test_a_listing_of_gcs_of_several_pages_is_whole(gcs: Gcs, in_gcs: Any, prefix: str) -> None:
    """With the marks that tools leave for folders, which are no files."""
    for number in range(1005):
        gcs.put(f"{prefix}/{number:04}/{'note.txt' if number else 'a.yaml'}", b"x")
    gcs.put(f"{prefix}/", b"")
    gcs.put(f"{prefix}/0000/", b"")

    artifact = in_gcs(f"gs://{BUCKET}/{prefix}/", exclude=["0001/"])

    assert len(artifact.files) == 1004
    assert len(in_gcs.kept()) == 1004


def test_names_of_gcs_that_cannot_be_stored_are_refused(gcs: Gcs, in_gcs: Any, prefix: str) -> None:
    """Never left out."""
    gcs.put(f"{prefix}/a.yaml", b"kind: A\n")
    gcs.put(f"{prefix}/b//c.yaml", b"kind: C\n")

    with pytest.raises(IntegrityError, match=r"`b//c.yaml` cannot be stored \(a part of it is empty\)"):
        in_gcs(f"gs://{BUCKET}/{prefix}")
    in_gcs(f"gs://{BUCKET}/{prefix}", exclude=["/b/"])

    assert in_gcs.kept() == {"a.yaml": b"kind: A\n"}


ODD_NAMES = (
    "a#1.yaml",
    "b?versionid=2.yaml",
    "c%2e%2e.yaml",
    "d e.yaml",
    "ü.yaml",
    "f&g=+h.yaml",
    "[i]*{j}.yaml",
    "k:l.yaml",
)
"""Names that a library could take for a part of a URL, a pattern or a version."""


def test_odd_names_arrive_as_they_are(
    gcs: Gcs, container: Any, in_azure: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a slash at the end of the URL means the folder, whatever object is called like it."""
    bodies = {name: name.encode() for name in ODD_NAMES}
    in_azure.allow.append("gs://*")
    in_azure.variables |= gcs.variables
    for name, body in {**{f"{prefix}/{name}": body for name, body in bodies.items()}, prefix: b"object"}.items():
        gcs.put(name, body)
        container.upload_blob(name, body)

    for service in ("gs", "az"):
        monkeypatch.setattr(in_azure, "destination", in_azure.destination.with_name(service))
        in_azure(f"{service}://{BUCKET}/{prefix}/")
        assert in_azure.kept() == bodies


def test_a_huge_listing_of_gcs_ends(web: Any, in_gcs: Any, prefix: str) -> None:
    """A bucket can hold any number of objects, and a service can name pages without end."""
    page = json.dumps({"items": [{"name": f"apps/{n}", "size": "1", "generation": "1"} for n in range(1000)]})
    numbers = itertools.count()

    def answer(handler: Any) -> None:
        number = next(numbers)
        entries = page.replace("apps/", f"apps/{number}-")
        handler.answer_with(f'{{"nextPageToken": "{number}", {entries[1:]}'.encode())

    web.answer_all = answer
    in_gcs.variables = {"STORAGE_EMULATOR_HOST": web.url}

    with pytest.raises(LimitExceededError, match="lists more than 10010 objects"):
        in_gcs(f"gs://{BUCKET}/apps/", limits={"objects": 1}, exclude=["*"])
    assert next(numbers) < 15


def test_one_blob_of_azure_is_read_in_pieces(container: Any, in_azure: Any, prefix: str) -> None:
    """By its name, past a neighbour whose name goes on."""
    body = os.urandom(2 * PIECE_BYTES + 7)
    container.upload_blob(f"{prefix}/a", body)
    container.upload_blob(f"{prefix}/a.yaml", b"kind: B\n")
    container.upload_blob(f"{prefix}/empty", b"")

    artifact = in_azure(f"az://{BUCKET}/{prefix}/a")
    in_azure(f"az://{BUCKET}/{prefix}/empty")

    assert in_azure.kept() == {"a": body, "empty": b""}
    assert artifact.revision != artifact.digest


def test_unusual_blobs_of_azure_are_told_or_refused(container: Any, in_azure: Any, prefix: str) -> None:
    """The library's own listing would leave some of them out."""
    container.upload_blob(f"{prefix}/b", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob(f"{prefix}/b/a.yaml", b"kind: A\n")
    container.upload_blob(f"{prefix}/c//d.yaml", b"kind: D\n")

    with pytest.raises(IntegrityError, match=r"`c//d.yaml` cannot be stored \(a part of it is empty\)"):
        in_azure(f"az://{BUCKET}/{prefix}")
    in_azure(f"az://{BUCKET}/{prefix}", exclude=["/c/"])

    assert in_azure.kept() == {"b/a.yaml": b"kind: A\n"}


def test_a_blob_in_an_encoding_is_refused(container: Any, in_azure: Any, prefix: str) -> None:
    """A client would unpack it on the way, and bring other bytes than are stored."""
    settings = ContentSettings(content_encoding="gzip")
    container.upload_blob(f"{prefix}/a.yaml", gzip.compress(b"kind: A\n"), content_settings=settings)

    with pytest.raises(IntegrityError, match="is stored with the encoding `gzip`"):
        in_azure(f"az://{BUCKET}/{prefix}")


def test_the_account_of_the_connection_string_may_be_named(container: Any, in_azure: Any, prefix: str) -> None:
    """Where the operator allows it by its name."""
    container.upload_blob(f"{prefix}/a.yaml", b"kind: A\n")
    in_azure.allow = [f"abfs://{emulators.ACCOUNT}.blob.core.windows.net"]

    in_azure(f"abfs://{BUCKET}@{emulators.ACCOUNT}.dfs.core.windows.net/{prefix}")

    assert in_azure.kept() == {"a.yaml": b"kind: A\n"}


@pytest.mark.parametrize("service", ["gs", "az"])
def test_what_changes_after_the_listing_is_noticed(
    gcs: Gcs, in_azure: Any, container: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every piece is asked for of the very object that was listed."""
    fetching, prefix = in_azure, f"changing-{service}"

    def overwrite(name: str, body: bytes) -> None:
        if service == "gs":
            gcs.put(name, body)
        else:
            container.upload_blob(name, body, overwrite=True)

    overwrite(f"{prefix}/a.yaml", b"kind: A\n")
    fetching.allow = ["gs://*", "az://*"]
    fetching.variables |= gcs.variables
    read = PieceReader.read

    def overwrite_first(reader: PieceReader, most: int) -> bytes:
        overwrite(f"{prefix}/a.yaml", b"kind: B\n")
        return read(reader, most)

    monkeypatch.setattr(PieceReader, "read", overwrite_first)

    with pytest.raises(TransientFetchError, match="changed while it was read"):
        fetching(f"{service}://{BUCKET}/{prefix}")
    assert fetching.kept() == {}


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A function that runs `cmp-core generate` on a URL, or on what lies there, with further variables."""

    def run(url: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        if url:
            (tmp_path / "fsspec-source.yaml").write_text(f"url: {url}\n", encoding="utf-8")
        own = {"CMP_BACKENDS_FSSPEC_ALLOW": "gs://*,az://*", "HOME": str(tmp_path), "PATH": os.defpath}
        program = Path(sys.executable).with_name("cmp-core")
        return subprocess.run(
            [program, "generate"],
            cwd=tmp_path,
            env=own | variables,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("service", ["gs", "az"])
def test_the_command_says_no_more_than_it_must(service: str, command: Any, gcs: Gcs, container: Any) -> None:
    """The libraries print nothing when they are loaded, used, and closed at the end of the process."""
    gcs.put("command/a.yaml", MANIFEST)
    container.upload_blob("command/a.yaml", MANIFEST, overwrite=True)
    variables = {"AZURE_STORAGE_CONNECTION_STRING": os.environ["AZURE_STORAGE_CONNECTION_STRING"], **gcs.variables}

    result = command(f"{service}://{BUCKET}/command", **variables)
    missing = command(f"{service}://{BUCKET}/missing", **variables)

    assert (result.returncode, result.stdout) == (0, f"---\n{MANIFEST.decode()}"), result.stderr
    assert (missing.returncode, missing.stdout) == (66, "")
    starts = ["fetching ", "fetched 1 files", "rendered 1 manifests", "fetching ", "error: "]
    lines = [*result.stderr.splitlines(), *missing.stderr.splitlines()]
    assert len(lines) == len(starts), lines
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines


@pytest.mark.parametrize("service", ["gs", "az"])
def test_the_deadline_ends_a_service_that_is_silent(service: str, command: Any, web: Any) -> None:
    """Whatever the library would wait for, and whatever it leaves behind."""
    web.answer_all = lambda handler: handler.rfile.read(1)
    connection = emulators.connection_string(web.server_port)
    patience = {"CMP_TIMEOUT": "4", "CMP_READ_TIMEOUT": "60"}
    started = time.monotonic()

    result = command(
        f"{service}://{BUCKET}/apps",
        STORAGE_EMULATOR_HOST=web.url,
        AZURE_STORAGE_CONNECTION_STRING=connection,
        **patience,
    )

    assert (result.returncode, result.stdout) == (75, "")
    assert f"stopped after 4 s while fetching {service}://{BUCKET}/apps" in result.stderr
    assert "Traceback" not in result.stderr
    assert time.monotonic() - started < 4 + 3


def test_several_services_are_read_at_once(command: Any, gcs: Gcs, container: Any, web: Any, tmp_path: Path) -> None:
    """Each in a thread of its own, by libraries that share one loop."""
    places = {
        "web": f"{web.url}/m/",
        "gcs": f"gs://{BUCKET}/m",
        "azure": f"az://{BUCKET}/m",
        "more": f"gs://{BUCKET}/m2",
    }
    bodies = {name: MANIFEST.replace(b"demo", name.encode()) for name in places}
    web.files["/m/a.yaml"] = bodies["web"]
    gcs.put("m/a.yaml", bodies["gcs"])
    gcs.put("m2/a.yaml", bodies["more"])
    container.upload_blob("m/a.yaml", bodies["azure"], overwrite=True)
    sources = "".join(f"  - {{name: {name}, backend: fsspec, url: '{url}'}}\n" for name, url in places.items())
    (tmp_path / "multi-source.yaml").write_text(f"sources:\n{sources}", encoding="utf-8")

    result = command(
        "",
        AZURE_STORAGE_CONNECTION_STRING=os.environ["AZURE_STORAGE_CONNECTION_STRING"],
        CMP_BACKENDS_FSSPEC_ALLOW=f"{web.url},gs://*,az://*",
        **gcs.variables,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.encode() == b"".join(b"---\n" + body for body in bodies.values())
