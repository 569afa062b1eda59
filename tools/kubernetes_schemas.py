"""Own the JSON Schemas of Kubernetes for kubeconform: made once of the OpenAPI document in Kubernetes' own Go module.

kubeconform would fetch them from the internet. These are strict: a key that Kubernetes does not know is an error.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools import go_modules
from tools.binaries import KUBERNETES_VERSION as VERSION
from tools.processes import cache_folder, tell

_MODULE = f"k8s.io/kubernetes@v{VERSION}"
_DEFINITIONS = "_definitions.json"
_NUMBER_OR_TEXT = {"type": ["string", "integer", "number"]}
_LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _NUMBER_OR_TEXT,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _NUMBER_OR_TEXT,
}
"""Types that OpenAPI calls text, and the API server also takes as numbers."""


def find_schemas() -> Path | None:
    """Return the folder of the schemas, made if need be; None where there is no Go to fetch the document with.

    It appears in the cache whole, by rename.
    """
    folder = cache_folder() / f"kubernetes-schemas-{VERSION}"
    if folder.is_dir():
        return folder
    module = go_modules.download(_MODULE)
    if not module:
        return None
    tell(f"Making schemas of {_MODULE}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        document = Path(module["Dir"], "api", "openapi-spec", "swagger.json")
        made = Path(scratch, "schemas")
        made.mkdir()
        write_schemas(json.loads(document.read_bytes()), made)
        made.rename(folder)
    return folder


def location(folder: Path) -> str:
    """Return what kubeconform takes for ``-schema-location``."""
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def write_schemas(document: Mapping[str, Any], folder: Path) -> None:
    """Write a schema for each kind of an OpenAPI document, and one file of all definitions that they refer to."""
    definitions = {name: _LOOSE.get(name) or _strict(schema) for name, schema in document["definitions"].items()}
    (folder / _DEFINITIONS).write_text(json.dumps({"definitions": definitions}), encoding="utf-8")
    for name, schema in document["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            parts = [kind["kind"].lower(), kind["group"].split(".")[0], kind["version"]]
            path = folder / f"{'-'.join(filter(None, parts))}.json"
            path.write_text(json.dumps({"$ref": f"{_DEFINITIONS}#/definitions/{name}"}), encoding="utf-8")


def write_custom_schemas(definition: Mapping[str, Any], folder: Path) -> None:
    """Write a schema for each version of a CustomResourceDefinition, as strict as those of Kubernetes."""
    group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
    for version in definition["spec"]["versions"]:
        path = folder / f"{kind.lower()}-{group.split('.')[0]}-{version['name']}.json"
        path.write_text(json.dumps(_strict_throughout(version["schema"]["openAPIV3Schema"])), encoding="utf-8")


def _strict_throughout(schema: Any) -> Any:
    """Return a schema in which objects have no keys but their own, however deep they lie."""
    if isinstance(schema, list):
        return [_strict_throughout(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _strict_throughout(value) for key, value in schema.items()}
    if inner.get("x-kubernetes-int-or-string"):
        return _NUMBER_OR_TEXT
    has_keys = isinstance(inner.get("properties"), dict) and inner.get("type") == "object"
    return _strict(inner) if has_keys and not inner.get("x-kubernetes-preserve-unknown-fields") else inner


def _strict(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an object that has no keys but its own; any other schema as it is."""
    if "properties" in schema and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return schema
