"""Write deploy/helm/values.yaml: the components of deploy/ as values of the community's chart argo-cd.

So that whoever installs Argo CD by that chart gets the very container that whoever uses kustomize gets. With --check
nothing is written, and a stale file is an error.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = ROOT / "deploy" / "components"
VALUES = ROOT / "deploy" / "helm" / "values.yaml"
USED = ("sidecar", "named-plugin", "command-parameters")
PLUGIN = "cmp-core-plugin"

_HEAD = """\
# The sidecar for the chart argo-cd of https://github.com/argoproj/argo-helm:
#
#   helm upgrade --install argocd argo/argo-cd --namespace argocd --values values.yaml
#
# Made by `make helm-values` of the components sidecar, named-plugin and command-parameters in deploy/components, where
# the reasons stand. Helm replaces lists: where your values have one of these, put both together. After a change of
# plugin.yaml restart the repo-server, since it is read only once. The token of the service account, which the chart
# mounts into every container of the pod, is left out as in Argo CD's own manifests: neither container needs it.
"""


class _Dumper(yaml.SafeDumper):
    """Writes every mapping and list anew, because an anchor would be hard to copy out."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # the name is PyYAML's
        return True


def main(arguments: Sequence[str]) -> int:
    """Write the file, or check it, and return the exit code."""
    text = render()
    if "--check" in arguments:
        if not VALUES.exists() or VALUES.read_text(encoding="utf-8") != text:
            print("deploy/helm/values.yaml is stale: run `make helm-values`", file=sys.stderr)
            return 1
        return 0
    VALUES.write_text(text, encoding="utf-8")
    return 0


def render() -> str:
    """Return the file's text."""
    _Dumper.add_representer(str, _represent_text)
    return _HEAD + yaml.dump(_values(), Dumper=_Dumper, sort_keys=False, width=120)


def _values() -> Mapping[str, Any]:
    """Return the values, in the order in which the chart has them."""
    pods = [_read(name, "repo-server.yaml")["spec"]["template"]["spec"] for name in USED if _has_pod(name)]
    containers = [container for pod in pods for container in pod.get("containers", ())]
    plugin = (COMPONENTS / "named-plugin" / "plugin.yaml").read_text(encoding="utf-8")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PLUGIN},
        "data": {"plugin.yaml": yaml.dump(yaml.safe_load(plugin), Dumper=_Dumper, sort_keys=False)},
    }
    return {
        "configs": {"params": _read("command-parameters", "argocd-cmd-params-cm.yaml")["data"]},
        "repoServer": {
            "automountServiceAccountToken": False,
            "env": _merged(containers, "argocd-repo-server")["env"],
            "extraContainers": [_merged(containers, "cmp-core")],
            "volumes": [volume for pod in pods for volume in pod.get("volumes", ())],
        },
        "extraObjects": [config_map],
    }


def _has_pod(component: str) -> bool:
    return (COMPONENTS / component / "repo-server.yaml").exists()


def _read(component: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((COMPONENTS / component / name).read_text(encoding="utf-8"))
    return content


def _merged(containers: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return one container of several patches, whose lists are put one behind the other, as kustomize would."""
    merged: dict[str, Any] = {}
    for container in containers:
        for key, value in container.items() if container["name"] == name else ():
            both = key in merged and isinstance(value, list)
            merged[key] = [*merged[key], *value] if both else value
    return merged


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write a text of several lines as they are."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
