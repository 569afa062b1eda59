"""Each demonstration prints manifests that Kubernetes would take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.conftest import Find

from tools import kubernetes_schemas

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted(folder.parent.name for folder in (ROOT / "examples").glob("*/app"))


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The folder of Kubernetes' own schemas; without Go the test is skipped, and fails where CI=true."""
    folder = kubernetes_schemas.find_schemas()
    if folder is None:
        reason = "the schemas of Kubernetes come by Go, which is not here"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def conform(program: Path, schemas: Path, manifests: bytes) -> "subprocess.CompletedProcess[bytes]":
    """Let kubeconform judge manifests, each of which must have a schema."""
    command: list[str | Path] = [
        program,
        "-strict",
        "-summary",
        "-schema-location",
        kubernetes_schemas.location(schemas),
    ]
    return subprocess.run(command, input=manifests, check=False, capture_output=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_kubernetes_takes_what_a_demonstration_prints(tool: Find, schemas: Path, example: str) -> None:
    """By its own schemas, in which no unknown key is allowed."""
    programs = {tool(name).parent for name in ("helm", "kustomize")}
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    demo: list[str | Path] = [sys.executable, ROOT / "tools" / "demo.py", example]

    printed = subprocess.run(demo, env=os.environ | {"PATH": path}, check=False, capture_output=True)
    judged = conform(tool("kubeconform"), schemas, printed.stdout)

    assert printed.returncode == 0, printed.stderr.decode()
    assert judged.returncode == 0, judged.stdout.decode() + judged.stderr.decode()
    assert b"Invalid: 0, Errors: 0, Skipped: 0" in judged.stdout
    assert b"Valid: 0" not in judged.stdout


@pytest.mark.parametrize(
    "manifest",
    [
        b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: []}\n",
        b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}\n",
        b"apiVersion: v1\nkind: Sevrice\nmetadata: {name: a}\n",
    ],
    ids=["an unknown key", "text for a number", "an unknown kind"],
)
def test_what_kubernetes_would_not_take_is_seen(tool: Find, schemas: Path, manifest: bytes) -> None:
    """The test above can fail."""
    assert conform(tool("kubeconform"), schemas, manifest).returncode != 0
