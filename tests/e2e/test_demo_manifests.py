"""Each demonstration prints manifests that Kubernetes would take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.conformance import conform
from e2e.conftest import Find

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted(folder.parent.name for folder in (ROOT / "examples").glob("*/app"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_kubernetes_takes_what_a_demonstration_prints(tool: Find, kubernetes_folder: Path, example: str) -> None:
    """By its own schemas, in which no unknown key is allowed."""
    programs = {tool(name).parent for name in ("helm", "kustomize")}
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    demo: list[str | Path] = [sys.executable, ROOT / "tools" / "demo.py", example]

    printed = subprocess.run(demo, env=os.environ | {"PATH": path}, check=False, capture_output=True)
    judged = conform(tool("kubeconform"), printed.stdout.decode(), kubernetes_folder)

    assert printed.returncode == 0, printed.stderr.decode()
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 0" in judged.stdout
    assert "Valid: 0" not in judged.stdout


@pytest.mark.parametrize(
    "manifest",
    [
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: []}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}\n",
        "apiVersion: v1\nkind: Sevrice\nmetadata: {name: a}\n",
    ],
    ids=["an unknown key", "text for a number", "an unknown kind"],
)
def test_what_kubernetes_would_not_take_is_seen(tool: Find, kubernetes_folder: Path, manifest: str) -> None:
    """The test above can fail."""
    assert conform(tool("kubeconform"), manifest, kubernetes_folder).returncode != 0
