"""The JSON Schema of trigger files: valid, and strict where the host is strict."""

from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from cmp_core.models import API_VERSION, Quantity, Source
from cmp_core.schema import any_trigger_schema, trigger_schema


class DemoSource(Source):
    """A source with a model of its own inside."""

    bucket: Annotated[str, Field(description="The bucket's name.", examples=["test-bucket"])]
    size: Quantity = 1


class OtherSource(Source):
    """A second backend's source."""

    url: str


SCHEMA = trigger_schema(DemoSource, "demo-source.yaml")
ENVELOPE = {"apiVersion": API_VERSION, "kind": "DemoSource", "metadata": {"name": "demo"}}


def accepts(schema: dict[str, Any], instance: dict[str, Any]) -> bool:
    """Tell whether the schema accepts the instance, as an editor would."""
    return bool(Draft202012Validator(schema).is_valid(instance))


def test_the_schema_is_a_schema() -> None:
    """Of the dialect that it names."""
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (SCHEMA["$id"], SCHEMA["title"]) == ("urn:cmp-core:demo-source.yaml", "demo-source.yaml")


def test_fields_keep_their_descriptions_and_examples() -> None:
    """They are what an editor shows."""
    field = SCHEMA["properties"]["bucket"]

    assert (field["description"], field["examples"]) == ("The bucket's name.", ["test-bucket"])
    assert all(
        "description" in SCHEMA["properties"][key] for key in ("apiVersion", "version", "include", "exclude", "limits")
    )


@pytest.mark.parametrize(
    "instance",
    [
        {"bucket": "b"},
        {"bucket": "b"} | ENVELOPE,
        {"bucket": "b"} | ENVELOPE | {"metadata": {"name": "x", "namespace": "n", "labels": {}, "annotations": {}}},
        {"bucket": "b", "version": "v1"},
        {"bucket": "b", "version": 1.10},
        {"bucket": "b", "size": "25Mi"},
        {"bucket": "b", "size": 25},
        {"bucket": "b", "limits": {"objects": 5, "objectBytes": "1Mi"}, "include": ["*.yaml"]},
    ],
)
def test_both_forms_are_accepted(instance: dict[str, Any]) -> None:
    """Three keys, or with the Kubernetes envelope around them."""
    is_accepted = accepts(SCHEMA, instance)

    assert is_accepted


@pytest.mark.parametrize(
    "instance",
    [
        {},
        {"buket": "b"},
        {"bucket": "b", "buket": "b"},
        {"bucket": "b", "limits": {"object": 5}},
        {"bucket": "b", "kind": "DemoSource"},
        {"bucket": "b", "apiVersion": API_VERSION, "kind": "DemoSource"},
        {"bucket": "b"} | ENVELOPE | {"kind": "Other"},
        {"bucket": "b"} | ENVELOPE | {"apiVersion": "v1"},
        {"bucket": "b"} | ENVELOPE | {"metadata": {}},
        {"bucket": "b"} | ENVELOPE | {"metadata": {"name": ""}},
        {"bucket": "b"} | ENVELOPE | {"metadata": {"name": "x", "label": {}}},
    ],
)
def test_what_the_host_refuses_the_schema_refuses(instance: dict[str, Any]) -> None:
    """Unknown keys at any level, half an envelope, another kind."""
    is_accepted = accepts(SCHEMA, instance)

    assert not is_accepted


def test_one_schema_serves_any_backend() -> None:
    """References inside each still lead to its own definitions."""
    schema = any_trigger_schema([SCHEMA, trigger_schema(OtherSource, "other-source.yaml")])

    Draft202012Validator.check_schema(schema)

    assert accepts(schema, {"bucket": "b", "limits": {"objects": 5}})
    assert accepts(schema, {"url": "u", "limits": {"totalBytes": "1Gi"}})
    assert not accepts(schema, {"url": "u", "limits": {"object": 5}})
    assert not accepts(schema, {"bucket": "b", "url": "u"})
