"""Turn plain values into a pydantic model, and its complaints into sentences with a place and a remedy."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cmp_core.errors import CmpError
from cmp_core.strictyaml import KeyPath

Collection = Literal["", "array", "map"]
"""How a field holds its values, in the words of Argo CD's parameter announcements; empty for one value."""

Model = TypeVar("Model", bound=BaseModel)

_LONGEST_ECHO = 60
_MOST_TOLD = 20


class Problem(NamedTuple):
    """One thing that is wrong, where, and how to mend it."""

    place: str
    message: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        return f"{self.place}: {self.message}"


def validate(
    model: type[Model], values: Mapping[str, Any], place_of: Callable[[KeyPath], str]
) -> tuple[Model | None, list[Problem]]:
    """Validate `values` against `model`.

    Args:
        model: The pydantic model; its keys are read by alias.
        values: Plain values, as `cmp_core.strictyaml` gives them.
        place_of: Tells where a key stands: ``s3-source.yaml:3``, or a parameter's or variable's name.

    Returns:
        The model and no problem, or None and every problem.
    """
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, list(_problems(model, error.errors(include_url=False), place_of))


def raise_problems(problems: Sequence[Problem], error_class: type[CmpError]) -> None:
    """Raise one error of `error_class` that tells all problems; do nothing where there is none."""
    if not problems:
        return
    if len(problems) == 1:
        raise error_class(str(problems[0]))
    lines = [f"\n  {problem}" for problem in sorted(problems, key=_reading_order)[:_MOST_TOLD]]
    if more := len(problems) - len(lines):
        lines.append(f"\n  and {more} more")
    raise error_class(f"{len(problems)} problems:{''.join(lines)}")


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is most likely a slip of, or None."""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[match[0]] if match else None


def unknown_key(key: str, known: Iterable[str], what: str = "key") -> str:
    """Return the sentence for a key that nobody knows."""
    known = sorted(known)
    if suggestion := closest(key, known):
        return f"unknown {what} {echo(key)}: did you mean `{suggestion}`?"
    return f"unknown {what} {echo(key)}: remove it; known are {', '.join(known)}"


def collection_type(field: FieldInfo) -> Collection:
    """Tell whether a field holds one value, an array or a map."""
    for annotation in _alternatives(field.annotation):
        if get_origin(annotation) in {tuple, list, set, frozenset}:
            return "array"
        if get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "map"
    return ""


def alias_of(name: str, field: FieldInfo) -> str:
    """Return the YAML key of the model's field `name`."""
    return field.alias or name


def echo(value: object) -> str:
    """Return a value as a message may show it: short, on one line, in backticks; a collection by what it is."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = " ".join(str(value).split())
    if not text:
        return "an empty text"
    return f"`{text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + '…'}`"


def _reading_order(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.place.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (problem.place, 0)


def _problems(
    model: type[BaseModel], errors: Sequence[ErrorDetails], place_of: Callable[[KeyPath], str]
) -> Iterable[Problem]:
    unknown = [_without_tags(detail["loc"]) for detail in errors if detail["type"] == "extra_forbidden"]
    explained = {(*loc[:-1], closest(str(loc[-1]), _fields(model, loc[:-1]))) for loc in unknown}
    for detail in errors:
        loc = detail["loc"] = _without_tags(detail["loc"])
        if detail["type"] == "missing" and loc in explained:
            continue
        yield Problem(place_of(loc), _sentence(model, detail))


def _without_tags(path: KeyPath) -> KeyPath:
    """Return the path without the tags of unions, which stand in angle brackets so that no key is like them."""
    return tuple(part for part in path if not (isinstance(part, str) and part.startswith("<")))


def _fields(model: type[BaseModel], path: KeyPath) -> dict[str, FieldInfo]:
    """Return the fields, by YAML key, of the model at `path` below `model`."""
    fields = {alias_of(name, field): field for name, field in model.model_fields.items()}
    if not path:
        return fields
    field = fields.get(str(path[0]))
    inner = next((found for found in _models_in(field.annotation)), None) if field else None
    rest = tuple(part for part in path[1:] if isinstance(part, str))
    return _fields(inner, rest) if inner else {}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return what an optional field may hold, or what any other field holds."""
    return get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _sentence(model: type[BaseModel], detail: ErrorDetails) -> str:
    loc = detail["loc"]
    key = ".".join(str(part) for part in loc)
    known = _fields(model, loc[:-1])
    field = known.get(str(loc[-1])) if loc else None
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(loc[-1]), known)
    if kind == "missing":
        return f"`{key}` is missing: add {_example(loc, field)}"
    if detail["input"] is None:
        return f"`{key}` has no value: write {_example(loc, field)}, or remove the key"
    if kind == "value_error":
        return f"`{key}` {detail['ctx']['error']}" if loc else str(detail["ctx"]["error"])
    return f"`{key}` {_expectation(detail)}, not {echo(detail['input'])}"


def _example(loc: KeyPath, field: FieldInfo | None) -> str:
    example = field.examples[0] if field and field.examples else "…"
    return f"`{loc[-1]}: {example if isinstance(example, str) else json.dumps(example)}`"


_EXPECTATIONS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be `true` or `false`",
    "bool_parsing": "must be `true` or `false`",
    "tuple_type": "must be a list: write `[…]` or lines that begin with `- `",
    "list_type": "must be a list: write `[…]` or lines that begin with `- `",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match `{pattern}`",
}


def _expectation(detail: ErrorDetails) -> str:
    """Return what pydantic wanted, in our words; in its own for a kind of error that no model of ours had so far."""
    template = _EXPECTATIONS.get(detail["type"])
    if template is None:
        return f"is wrong ({detail['msg'].lower()})"
    return template.format(**detail.get("ctx", {})).replace("'", "`")
