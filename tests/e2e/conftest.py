"""What the end-to-end tests share: the programs that `make tools` builds, and an S3 server of their own."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from e2e import cmp_client, cmp_server, image_sandbox
from e2e.contract import TRIGGER, Checkout, Plugin, StartPlugin
from e2e_support import S3Server

from tools import binaries, buckets, kubernetes_schemas, versitygw
from tools.live_argocd.deployed import PLUGIN

Find = Callable[[str], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin first, so that no worker is left alone with one of them in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def give_up(reason: str) -> NoReturn:
    """Skip the test for want of something, or fail it where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kubernetes_folder() -> Path:
    """The folder of Kubernetes' own schemas; without Go the test is skipped, and fails where CI=true."""
    return kubernetes_schemas.find_schemas() or give_up("the schemas of Kubernetes come by Go, which is not here")


@pytest.fixture(scope="session")
def tool() -> Find:
    """A function that returns one of the programs; without it the test is skipped, and fails where CI=true."""

    def find(name: str) -> Path:
        program = binaries.find(name)
        if program:
            return program
        give_up(f"{name} is not built: run `make tools`, which needs Go")

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
    client = buckets.connect(versitygw_endpoint)
    server = S3Server(versitygw_endpoint, client)
    server.clear()
    yield server
    client.close()


class Folder(NamedTuple):
    """A versitygw whose bucket is a folder here."""

    endpoint: str
    path: Path

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Put these objects, and no others; as files, which takes a tenth of the time of as many requests."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        for key, content in objects.items():
            path = self.path / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
            os.setxattr(path, "user.etag", etag.encode())


@pytest.fixture(scope="module")
def folder(tool: Find, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A versitygw with a bucket that holds many or large objects at once."""
    tool("versitygw")
    root = tmp_path_factory.mktemp("folder")
    with versitygw.run(root) as endpoint:
        yield Folder(endpoint, root / "buckets" / "test-bucket")


@pytest.fixture(scope="session")
def cmp_messages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What `argocd-cmp-server` and its clients say to each other, as classes."""
    return cmp_client.compile_messages(tmp_path_factory.mktemp("cmp"))


@pytest.fixture(scope="session")
def start_plugin(tool: Find, versitygw_endpoint: str, cmp_messages: Mapping[str, Any]) -> StartPlugin:
    """A function that runs the genuine server with a sidecar's variables and a plugin file of ours.

    `make image` has it run in the image, which brings its own command.
    """
    program = tool("argocd")
    image = image_sandbox.image_under_test()
    s3_variables = S3Server(versitygw_endpoint, None).variables

    @contextmanager
    def start(*, plugin: Path = PLUGIN, command: Path = cmp_server.COMMAND, **variables: str) -> Iterator[Plugin]:
        text = plugin.read_text(encoding="utf-8")
        sidecar = (
            image_sandbox.run(image, program, s3_variables | variables, text)
            if image
            else cmp_server.run(program, s3_variables | variables, plugin=text, command=command)
        )
        with (
            sidecar as server,
            cmp_client.connect(server.socket, cmp_messages) as client,
        ):
            yield Plugin(server, client)

    return start


@pytest.fixture(scope="session")
def plugin(start_plugin: StartPlugin) -> Iterator[Plugin]:
    """The genuine server of the whole run, with our plugin.yaml and the settings' defaults."""
    with start_plugin() as started:
        yield started


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout whose application reads from S3."""
    checkout = Checkout(tmp_path / "checkout")
    checkout.write({"s3-source.yaml": TRIGGER})
    return checkout
