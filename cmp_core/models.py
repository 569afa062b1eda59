"""Own the shape of what people write: the base of every source, its limits, and their YAML types."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

API_VERSION = "cmp-core.dev/v1alpha1"

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class StrictModel(BaseModel):
    """A frozen model whose YAML keys are camelCase and which knows no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=False)


def parse_quantity(value: object) -> object:
    """Return the bytes that a Kubernetes quantity such as ``25Mi`` stands for; leave what is no text as it is.

    Raises:
        ValueError: The text is no quantity.
    """
    if not isinstance(value, str):
        return value
    if match := re.fullmatch(r"([0-9]{1,15})(|k|M|G|Ki|Mi|Gi)", value):
        return int(match[1]) * _UNITS[match[2]]
    raise ValueError("is no number of bytes: write it as `26214400`, `25M` or `25Mi`")


def _check_pattern(pattern: str) -> str:
    if not pattern.strip() or pattern.startswith("#"):
        raise ValueError("holds a pattern that names nothing: write it as in a .gitignore file, for example `*.yaml`")
    return pattern


Quantity = Annotated[int, BeforeValidator(parse_quantity), Field(json_schema_extra={"type": ["integer", "string"]})]
"""A number of bytes, written as ``26214400`` or ``25Mi``."""

Pattern = Annotated[str, AfterValidator(_check_pattern)]
"""One pattern of the gitignore kind."""


class Limits(StrictModel):
    """How much one source may bring."""

    objects: Annotated[int, Field(gt=0, description="The most objects that one source may bring.")] = 10_000
    object_bytes: Annotated[Quantity, Field(gt=0, description="The largest single object, in bytes.")] = 25 * 2**20
    total_bytes: Annotated[Quantity, Field(gt=0, description="All objects together, in bytes.")] = 100 * 2**20


class SourceLimits(StrictModel):
    """The limits that a source sets for itself, below those of the operator."""

    objects: Annotated[int | None, Field(gt=0, description="The most objects that the source may bring.")] = None
    object_bytes: Annotated[Quantity | None, Field(gt=0, description="The largest single object, in bytes.")] = None
    total_bytes: Annotated[Quantity | None, Field(gt=0, description="All objects together, in bytes.")] = None

    def under(self, cap: Limits) -> Limits:
        """Return the limits in force: what the source says, never more than the operator's `cap`."""
        own = self.model_dump(exclude_none=True)
        return Limits.model_construct(
            **{name: min(own.get(name, most), most) for name, most in cap.model_dump().items()}
        )


class NestedSource(StrictModel):
    """A source inside a source: the name of its backend, and that backend's own keys.

    Declare a field of this type, and give its value to `fetch_nested`. The host validates it with the trigger file, so
    that what is wrong with it is told with its line before anything is fetched. A subclass may add keys of its own.
    """

    model_config = ConfigDict(extra="allow")

    backend: Annotated[str, Field(description="The name of an installed backend.", min_length=1, examples=["s3"])]

    def own_values(self) -> dict[str, Any]:
        """Return the keys that are for the named backend."""
        return dict(self.model_extra or {})

    def as_values(self) -> dict[str, Any]:
        """Return these keys and `backend`."""
        return {"backend": self.backend, **self.own_values()}


class Source(StrictModel):
    """A validated trigger file: what every backend's source has in common.

    A backend derives its own model and adds its fields. The class's name is the ``kind`` that
    a trigger file may carry: ``S3Source``.
    """

    version: Annotated[
        str | None,
        Field(description="Informational: changing it in Git makes Argo CD render again.", examples=["v1.0.0"]),
        WithJsonSchema({"type": ["string", "number", "null"]}),  # `1.10` is read as text; an editor sees a number
    ] = None
    include: Annotated[
        tuple[Pattern, ...],
        Field(
            description="Only files that match one of these gitignore patterns; all when empty.", examples=[["*.yaml"]]
        ),
    ] = ()
    exclude: Annotated[
        tuple[Pattern, ...],
        Field(description="No file that matches one of these gitignore patterns.", examples=[["values.yaml"]]),
    ] = ()
    limits: Annotated[
        SourceLimits, Field(description="Own limits, below those of the operator.", examples=[{"objects": 100}])
    ] = SourceLimits()

    render: Annotated[
        Literal["auto", "plain", "kustomize"],
        Field(
            description="How manifests are made of what was fetched: `plain` takes every YAML and JSON file as it is, "
            "`kustomize` builds the kustomization at the root, `auto` does so where there is one.",
            examples=["plain"],
        ),
    ] = "auto"

    @property
    def location(self) -> str:
        """Where the source lies, in one word for messages: ``s3://bucket/path``. No secret, no signature."""
        raise NotImplementedError

    def as_values(self) -> dict[str, Any]:
        """Return the source as plain JSON values under the keys of the trigger file."""
        return self.model_dump(mode="json", by_alias=True)


def nested_sources(model: BaseModel) -> Iterator[tuple[tuple[str | int, ...], NestedSource]]:
    """Yield the sources that stand in a model's fields, in lists and in models inside of it, each with its key path."""
    for name, field in type(model).model_fields.items():
        yield from _nested_in(getattr(model, name), (field.alias or name,))


def _nested_in(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], NestedSource]]:
    if isinstance(value, NestedSource):
        yield path, value
    elif isinstance(value, BaseModel):
        for inner_path, nested in nested_sources(value):
            yield (*path, *inner_path), nested
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _nested_in(item, (*path, index))
