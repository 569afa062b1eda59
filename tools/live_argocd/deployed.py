"""Own what `deploy/` sets: the variables that its sidecar component gives to the repo-server and to the sidecar."""

from pathlib import Path
from typing import Any

import yaml

from tools.binaries import ROOT

PATCH = ROOT / "deploy" / "components" / "sidecar" / "repo-server.yaml"
PLUGIN = ROOT / "plugin.yaml"
INSTALLED_COMMAND = "/opt/cmp-core/bin/cmp-core"


def repo_server_settings() -> dict[str, str]:
    """Return the variables that the component adds to the repo-server."""
    return _variables("argocd-repo-server")


def sidecar_settings() -> dict[str, str]:
    """Return the variables that the component sets for the sidecar, with its paths as they are in the container."""
    return _variables("cmp-core")


def plugin_file(command: Path) -> str:
    """Return our plugin.yaml for a cmp-core that is installed elsewhere than in the image."""
    return PLUGIN.read_text(encoding="utf-8").replace(INSTALLED_COMMAND, str(command))


def _variables(container: str) -> dict[str, str]:
    deployment: dict[str, Any] = yaml.safe_load(PATCH.read_text(encoding="utf-8"))
    containers = deployment["spec"]["template"]["spec"]["containers"]
    (found,) = [each for each in containers if each["name"] == container]
    return {variable["name"]: variable["value"] for variable in found["env"]}
