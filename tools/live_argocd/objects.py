"""Own the objects that Argo CD needs in the API server before it starts, and the Applications that it is given."""

import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tools import argo_cd_manifests
from tools.binaries import ARGO_CD_VERSION
from tools.live_argocd.kubernetes import Kubernetes, Manifest
from tools.processes import wait_until

IN_CLUSTER = "https://kubernetes.default.svc"
CONFIG_MAPS = ("cm", "cmd-params-cm", "rbac-cm", "ssh-known-hosts-cm", "tls-certs-cm", "gpg-keys-cm")

_LEARN_SECONDS = 60.0
_LABELS = {"app.kubernetes.io/part-of": "argocd"}


def install_definitions(kubernetes: Kubernetes) -> None:
    """Apply the custom resources that Argo CD's own module holds."""
    module = argo_cd_manifests.find_module(ARGO_CD_VERSION)
    if not module:
        sys.exit("Argo CD's custom resources come by Go, which is not here: install Go 1.25 or later")
    for name in ("application", "applicationset", "appproject"):
        text = (module / "manifests" / "crds" / f"{name}-crd.yaml").read_text(encoding="utf-8")
        kubernetes.apply(yaml.safe_load(text))
    if not wait_until(lambda: kubernetes.serves("Application") and kubernetes.serves("AppProject"), _LEARN_SECONDS):
        raise TimeoutError(f"The API server does not serve Applications after {_LEARN_SECONDS:.0f} s.")


def configuration(namespace: str) -> Iterator[Manifest]:
    """Yield what an Argo CD in the namespace reads when it starts, with nothing set, and the project `default`."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for name in CONFIG_MAPS:
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(f"argocd-{name}", namespace)}
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata("argocd-secret", namespace),
        "stringData": {"server.secretkey": secrets.token_hex(16)},
    }
    yield project("default", namespace, sources=["*"])


def project(name: str, namespace: str, *, sources: list[str]) -> Manifest:
    """Return a project whose Applications may read these repositories and deploy anywhere."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "sourceRepos": sources,
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }


@dataclass(frozen=True)
class Options:
    """What an Application may have otherwise.

    Attributes:
        path: The folder of the trigger file in the Git repository.
        self_heal: Whether automated syncs deploy what differs at a commit that was synced before.
        project: The project.
        names_plugin: Whether it names our plugin; if not, Argo CD has to discover it.
    """

    path: str = "app"
    self_heal: bool = True
    project: str = "default"
    names_plugin: bool = True


def application(name: str, namespace: str, repository: str, options: Options | None = None) -> Manifest:
    """Return an Application that deploys into a namespace of its own name.

    Nothing here collects garbage: without a controller-manager, what is deleted in the foreground would stay for ever.

    Args:
        name: The Application's name.
        namespace: Argo CD's own namespace.
        repository: The URL of the Git repository.
        options: What it has otherwise.
    """
    options = options or Options()
    source = {"repoURL": repository, "targetRevision": "main", "path": options.path}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "finalizers": ["resources-finalizer.argocd.argoproj.io/background"],
        },
        "spec": {
            "project": options.project,
            "source": source | ({"plugin": {"name": "cmp-core"}} if options.names_plugin else {}),
            "destination": {"server": IN_CLUSTER, "namespace": name},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": options.self_heal},
                "syncOptions": ["CreateNamespace=true", "PrunePropagationPolicy=background"],
            },
        },
    }


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": _LABELS}
