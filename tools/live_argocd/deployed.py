"""Own what `deploy/` sets for the processes of Argo CD and of the sidecar: read from its components, not copied."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools import argo_cd_manifests
from tools.binaries import ARGO_CD_VERSION, ROOT

COMPONENTS = ROOT / "deploy" / "components"
USED = ("sidecar", "command-parameters")
"""What every overlay is made of, whatever identity it has."""
PLUGIN = ROOT / "plugin.yaml"
INSTALLED_COMMAND = "/opt/cmp-core/bin/cmp-core"

_WORKLOADS = {
    "argocd-application-controller": "application-controller/argocd-application-controller-statefulset.yaml",
    "argocd-repo-server": "repo-server/argocd-repo-server-deployment.yaml",
}


def settings(container: str) -> dict[str, str]:
    """Return the variables that a container has by deploy/, with the paths that they have in the container."""
    return _from_parameters(container) | _from_patches(container)


def plugin_file(command: Path) -> str:
    """Return our plugin.yaml for a cmp-core that is installed elsewhere than in the image."""
    return PLUGIN.read_text(encoding="utf-8").replace(INSTALLED_COMMAND, str(command))


def _from_patches(container: str) -> dict[str, str]:
    """Return what the components add to the container itself."""
    found: dict[str, str] = {}
    for component in USED:
        (deployment,) = _read_all(COMPONENTS / component / "repo-server.yaml")
        for each in deployment["spec"]["template"]["spec"]["containers"]:
            if each["name"] == container:
                found |= {variable["name"]: variable["value"] for variable in each["env"]}
    return found


def _from_parameters(container: str) -> dict[str, str]:
    """Return the variables that Argo CD's own manifest fills from the ConfigMap that a component changes."""
    (parameters,) = _read_all(COMPONENTS / "command-parameters" / "argocd-cmd-params-cm.yaml")
    values = parameters["data"]
    return {
        variable["name"]: values[source["key"]]
        for variable in _published_variables(container)
        if (source := variable.get("valueFrom", {}).get("configMapKeyRef", {})).get("key") in values
    }


@cache
def _published_variables(container: str) -> tuple[dict[str, Any], ...]:
    """Return a container's variables in the manifest that Argo CD publishes; none for one of ours."""
    if container not in _WORKLOADS:
        return ()
    module = argo_cd_manifests.find_module(ARGO_CD_VERSION)
    if not module:
        raise LookupError("Argo CD's manifests come by Go, which is not here: install Go 1.25 or later.")
    workload = yaml.safe_load((module / "manifests" / "base" / _WORKLOADS[container]).read_text(encoding="utf-8"))
    (found,) = [each for each in workload["spec"]["template"]["spec"]["containers"] if each["name"] == container]
    return tuple(found["env"])


def _read_all(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))
