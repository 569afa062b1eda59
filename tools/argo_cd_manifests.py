"""Own the install manifests that Argo CD publishes: read out of its Go module, so that no other download is needed."""

import zipfile

from tools import go_modules
from tools.binaries import ARGO_CD_VERSION

_MODULE = "github.com/argoproj/argo-cd/v3"

VERSIONS = (ARGO_CD_VERSION, "3.1.16")
"""What the manifests are tested on: the version whose servers the tests run, and the minor version before it."""


def find_module(version: str) -> zipfile.Path | None:
    """Return the root of Argo CD's module, in Go's own cache; None where there is no Go to fetch it with.

    It is read out of the archive, because Go unpacks no module that asks for a newer Go.

    Args:
        version: Without the `v`, or `latest`.
    """
    name = version if version == "latest" else f"v{version}"
    told = go_modules.download(f"{_MODULE}@{name}")
    return zipfile.Path(told["Zip"], f"{_MODULE}@{told['Version']}/") if told else None


def install_manifest(module: zipfile.Path) -> str:
    """Return the manifest by which Argo CD is installed for a whole cluster."""
    text: str = (module / "manifests" / "install.yaml").read_text(encoding="utf-8")
    return text
