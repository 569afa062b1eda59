"""The genuine kustomize renders what a source holds, as it does by hand, and reaches nothing besides."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from e2e.conftest import Find

from cmp_core import Application, Artifact, BuildEnvironment, Deadline, RenderError, Settings, Source, kustomize
from cmp_core.errors import DeadlineExceededError, LimitExceededError
from cmp_core.kustomize import render_kustomization
from cmp_core.pipeline import generate

pytestmark = pytest.mark.e2e

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example.com/web}]}
"""
FILES = {
    "kustomization.yaml": "resources: [base]\nnamePrefix: prod-\n"
    "images: [{name: registry.example.com/web, newTag: v2}]\n"
    "patches: [{path: replicas.yaml}]\nconfigMapGenerator: [{name: settings, files: [settings.txt]}]\n",
    "replicas.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
    "settings.txt": "a=b\n---\nno: separator\n",
    "base/kustomization.yaml": "resources: [web.yaml]\n",
    "base/web.yaml": DEPLOYMENT,
}


class AnySource(Source):
    """A source of no backend."""

    @property
    def location(self) -> str:
        """A made-up place."""
        return "any://demo"


@pytest.fixture
def program(tool: Find) -> Path:
    """The program that `make tools` builds."""
    return tool("kustomize")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An overlay over a base."""
    root = tmp_path / "overlay"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def environment(program: Path, *, seconds: float = 60, **limits: int) -> BuildEnvironment:
    """Return a sidecar's environment whose path holds the program."""
    return BuildEnvironment(
        application=Application(name="demo"),
        variables={"PATH": str(program.parent)},
        settings=Settings.model_validate({"limits": limits}),
        deadline=Deadline(seconds),
    )


def built_by_hand(program: Path, folder: Path) -> bytes:
    """Return what the program prints for whoever calls it."""
    return subprocess.check_output([program, "build", folder])


def app_of(folder: Path, tmp_path: Path, *lines: str) -> Path:
    """Return an application's folder whose source is the folder."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "local-source.yaml").write_text("\n".join([f"path: {folder}", *lines]) + "\n")
    return app


@pytest.mark.parametrize("lines", [(), ("render: kustomize",)], ids=["auto", "asked-for"])
def test_a_kustomization_is_built(program: Path, folder: Path, tmp_path: Path, lines: tuple[str, ...]) -> None:
    """What comes out is what kustomize prints by hand, and the line in the log will say who has made it."""
    surroundings = environment(program)

    stream = generate(app_of(folder, tmp_path, *lines), surroundings)

    assert stream.removeprefix(b"---\n") == built_by_hand(program, folder)
    assert b"name: prod-web" in stream
    assert surroundings.summary.renderer == "kustomize"


def test_kubectl_serves_as_well(program: Path, folder: Path, tmp_path: Path) -> None:
    """Where there is no kustomize, kubectl's own is taken."""
    places = tmp_path / "bin"
    places.mkdir()
    (places / "kubectl").write_text(f'#!/bin/sh\nshift\nexec {program} build "$@"\n')
    (places / "kubectl").chmod(0o755)

    stream = generate(app_of(folder, tmp_path), environment(places / "kubectl"))

    assert stream.removeprefix(b"---\n") == built_by_hand(program, folder)


def test_a_plain_render_takes_files_as_they_are(program: Path, folder: Path, tmp_path: Path) -> None:
    """`render: plain` with `include` gives the base's manifest alone."""
    app = app_of(folder / "base", tmp_path, "render: plain", "include: [web.yaml]")

    assert generate(app, environment(program)) == f"---\n{DEPLOYMENT}".encode()


def test_what_kustomize_refuses_is_told_briefly(program: Path, folder: Path, tmp_path: Path) -> None:
    """Its own reason, in one line, without the place of the scratch folder."""
    (folder / "replicas.yaml").unlink()

    with pytest.raises(RenderError) as raised:
        generate(app_of(folder, tmp_path), environment(program))

    message = str(raised.value)
    assert message.startswith(f"file://{folder}: kustomize refuses the kustomization: ")
    assert "replicas.yaml" in message
    assert "\n" not in message
    assert str(tmp_path / "app") not in message


@pytest.mark.parametrize("kustomization", ["resources: [exec.yaml]\ngenerators: [exec.yaml]\n"])
def test_no_plugin_is_executed(program: Path, folder: Path, tmp_path: Path, kustomization: str) -> None:
    """Neither a program of the source nor a container is started for a function."""
    mark = tmp_path / "executed"
    (folder / "run.sh").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "exec.yaml").write_text(
        "apiVersion: x.example.com/v1\nkind: Run\nmetadata:\n  name: run\n  annotations:\n"
        "    config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n"
    )
    (folder / "kustomization.yaml").write_text(kustomization)

    with pytest.raises(RenderError, match="kustomize refuses"):
        generate(app_of(folder, tmp_path), environment(program))

    assert not mark.exists()


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """The paths that an HTTP server on the loopback interface was asked for; the first item is its address."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        paths.append(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield paths
        server.shutdown()
        thread.join()


def test_nothing_is_fetched_that_a_kustomization_names(
    program: Path, folder: Path, tmp_path: Path, asked: list[str]
) -> None:
    """The server is there, kustomize would ask it, and is not let."""
    (folder / "kustomization.yaml").write_text(f"resources: [base, '{asked[0]}/a.yaml']\n")
    subprocess.run([program, "build", folder], check=False, capture_output=True, env={"PATH": os.defpath})
    by_hand = list(asked[1:])

    with pytest.raises(RenderError, match="lies outside of the source"):
        generate(app_of(folder, tmp_path), environment(program))

    assert by_hand
    assert asked[1:] == by_hand


def test_a_remote_place_that_is_overlooked_is_not_reached(
    program: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second line of defence: there is no Git, and the way to the network leads nowhere."""
    monkeypatch.setattr(kustomize, "_check_file", lambda _root, _path: None)
    (folder / "kustomization.yaml").write_text("resources: [base, 'https://example.com/a.yaml']\n")

    with pytest.raises(RenderError, match=r"proxyconnect|no 'git' program|executable file not found"):
        generate(app_of(folder, tmp_path), environment(program))


def test_the_deadline_ends_it(program: Path, folder: Path, tmp_path: Path) -> None:
    """A program that hangs in place of kustomize ends with the request."""
    places = tmp_path / "bin"
    places.mkdir()
    (places / "kustomize").write_text("#!/bin/sh\nexec /bin/sleep 300\n")
    (places / "kustomize").chmod(0o755)

    with pytest.raises(DeadlineExceededError):
        render_kustomization(Artifact.from_directory(folder), AnySource(), environment(places / "kustomize", seconds=1))


def test_what_comes_out_is_bounded(program: Path, folder: Path) -> None:
    """A small kustomization can make much: no more than a source may bring."""
    with pytest.raises(LimitExceededError, match="writes more than 100 bytes"):
        render_kustomization(Artifact.from_directory(folder), AnySource(), environment(program, totalBytes=100))
