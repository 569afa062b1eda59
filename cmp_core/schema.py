"""Write the JSON Schema of trigger files, for editors and CI."""

from collections.abc import Iterable
from typing import Any

from cmp_core.models import API_VERSION, Source

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def trigger_schema(model: type[Source], file_name: str) -> dict[str, Any]:
    """Return the schema of one backend's trigger file, with and without the Kubernetes envelope.

    Args:
        model: The backend's model.
        file_name: The trigger file's name, which becomes the title.
    """
    schema = model.model_json_schema(by_alias=True)
    schema.pop("description", None)
    envelope = {
        "apiVersion": {"const": API_VERSION, "description": "With kind and metadata.name, or without all three."},
        "kind": {"const": model.__name__},
        "metadata": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "namespace": {"type": "string"},
                "labels": {"type": "object"},
                "annotations": {"type": "object"},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    }
    together = {key: [other for other in envelope if other != key] for key in envelope}
    return {
        "$schema": DIALECT,
        "$id": f"urn:cmp-core:{file_name}",
        **schema,
        "title": file_name,
        "properties": {**envelope, **schema["properties"]},
        "dependentRequired": together,
    }


def any_trigger_schema(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one schema that accepts any of the given trigger files, each with its own definitions."""
    return {"$schema": DIALECT, "title": "trigger file", "anyOf": list(schemas)}
