"""Own the client of the API server: objects by kind and name, as `kubectl` would read and apply them."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 30.0

Manifest = Mapping[str, Any]

_APIS = {
    "AppProject": "argoproj.io/v1alpha1",
    "Application": "argoproj.io/v1alpha1",
    "ConfigMap": "v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "Deployment": "apps/v1",
    "Namespace": "v1",
    "Secret": "v1",
    "Service": "v1",
}
_OF_THE_WHOLE_CLUSTER = {"CustomResourceDefinition", "Namespace"}


class KubernetesError(Exception):
    """The API server refuses, with this HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        """Keep the status beside the text."""
        super().__init__(text)
        self.code = code


class Kubernetes(NamedTuple):
    """An API server, and how it is spoken to.

    Attributes:
        address: Its URL.
        token: What tells it that the caller may do everything.
        certificate: The file of the certificate that it is known by.
        kubeconfig: The same for other programs.
    """

    address: str
    token: str
    certificate: Path
    kubeconfig: Path

    def answers(self) -> bool:
        """Tell whether it is ready to serve."""
        if not self.certificate.is_file():
            return False
        try:
            self._ask("GET", "/readyz")
        except (OSError, http.client.HTTPException, KubernetesError):
            return False
        return True

    def find(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """Return an object, or None if there is none."""
        try:
            found: dict[str, Any] = json.loads(self._ask("GET", _path(kind, namespace, name)))
        except KubernetesError as error:
            if error.code == http.client.NOT_FOUND:
                return None
            raise
        return found

    def serves(self, kind: str) -> bool:
        """Tell whether it knows a kind, which it learns some time after the definition."""
        try:
            self.list(kind, "default")
        except KubernetesError as error:
            if error.code == http.client.NOT_FOUND:
                return False
            raise
        return True

    def list(self, kind: str, namespace: str) -> dict[str, dict[str, Any]]:
        """Return all objects of a kind in a namespace by their names."""
        listed = json.loads(self._ask("GET", _path(kind, namespace)))
        return {item["metadata"]["name"]: item for item in listed["items"]}

    def apply(self, manifest: Manifest) -> None:
        """Make the object what the manifest says, by server-side apply."""
        metadata = manifest["metadata"]
        path = _path(manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        self._ask("PATCH", f"{path}?fieldManager=person&force=true", manifest, "application/apply-patch+yaml")

    def merge(self, kind: str, name: str, namespace: str, patch: Manifest) -> None:
        """Change the fields of an object that the patch names, and no others."""
        self._ask("PATCH", _path(kind, namespace, name), patch, "application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Ask for an object's end, which its finalizers may delay."""
        self._ask("DELETE", _path(kind, namespace, name))

    def _ask(self, method: str, path: str, body: Manifest | None = None, kind: str = "application/json") -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  # the URL is our own server's
            self.address + path, data, headers, method=method
        )
        tls = urllib.request.HTTPSHandler(context=_trust(self.certificate))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), tls)
        try:
            with opener.open(request, timeout=SECONDS) as answer:
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            raise KubernetesError(error.code, f"{method} {path} was answered {error.code}: {said}") from None
        return content


@cache
def _trust(certificate: Path) -> ssl.SSLContext:
    """Return what trusts this certificate alone; to read it takes longer than to ask."""
    return ssl.create_default_context(cafile=certificate)


def _path(kind: str, namespace: str, name: str = "") -> str:
    api = _APIS[kind]
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    scope = "" if kind in _OF_THE_WHOLE_CLUSTER else f"/namespaces/{namespace}"
    return f"{root}{scope}/{kind.lower()}s" + (f"/{name}" if name else "")
