"""Own the install manifests that Argo CD publishes: read out of its Go module, so that no other download is needed."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.binaries import ARGO_CD_VERSION

VERSIONS = (ARGO_CD_VERSION, "3.1.16")
"""What the manifests are tested on: the version whose servers the tests run, and the minor version before it."""


def find_module(version: str) -> Path | None:
    """Return the folder of Argo CD's module, in Go's own cache; None where there is no Go to fetch it with.

    Args:
        version: Without the `v`, or `latest`.
    """
    go = shutil.which("go")
    if not go:
        return None
    name = version if version == "latest" else f"v{version}"
    command = [go, "mod", "download", "-json", f"github.com/argoproj/argo-cd/v3@{name}"]
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout
    return Path(json.loads(printed)["Dir"])


def install_manifest(module: Path) -> Path:
    """Return the manifest by which Argo CD is installed for a whole cluster."""
    return module / "manifests" / "install.yaml"
