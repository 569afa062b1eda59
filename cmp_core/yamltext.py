"""Own YAML of the author's own inside a trigger file: kept as text, for a program that reads it by its own rules."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from cmp_core.strictyaml import PlainText

_NO_MAPPING = "must be a mapping of keys to values, or the text of one"

_NO_YAML_CHARACTER = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What JSON may hold as it is, and YAML may not or would fold."""


def write_mapping(value: object) -> str:
    """Return the YAML text of a mapping, in which every scalar stands as its author wrote it; leave text as it is.

    What stood without quotes stands without them again, so ``1.10`` and ``"1.10"`` remain two things to whoever reads
    the text.

    Raises:
        ValueError: It is neither a mapping nor text.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(_NO_MAPPING)  # noqa: TRY004  # pydantic tells a ValueError of a validator
    return "".join(f"{line}\n" for line in _lines(value, "")) if value else "{}\n"


def check_mapping(text: str) -> str:
    """Return the text if it is one YAML mapping.

    Raises:
        ValueError: It is not.
    """
    documents = 0
    begins = False
    try:
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            if begins and not isinstance(event, yaml.MappingStartEvent):
                raise ValueError(_NO_MAPPING)
            begins = isinstance(event, yaml.DocumentStartEvent)
            documents += begins
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1} of it" if mark else ""
        what = getattr(error, "problem", None) or "it holds what no YAML may"
        raise ValueError(f"is not valid YAML ({what}{where}): mend it") from error
    if documents != 1:
        raise ValueError(f"holds {documents or 'no'} YAML document{'s' if documents else ''}: write one mapping")
    return text


YamlMapping = Annotated[
    str,
    BeforeValidator(write_mapping),
    AfterValidator(check_mapping),
    Field(json_schema_extra={"type": ["object", "string"]}),
]
"""A mapping that another program reads by its own rules, or the text of one; the field's value is its YAML text."""


def _lines(value: Mapping[Any, Any] | list[Any], indent: str) -> Iterator[str]:
    heads = (
        ((f"{indent}{_scalar(key)}:", item) for key, item in value.items())
        if isinstance(value, Mapping)
        else ((f"{indent}-", item) for item in value)
    )
    for head, item in heads:
        if isinstance(item, Mapping | list) and item:
            yield head
            yield from _lines(item, f"{indent}  ")
        else:
            yield f"{head} {_scalar(item)}"


def _scalar(item: object) -> str:
    """Return one scalar, or an empty collection, on one line."""
    if isinstance(item, PlainText) and "\n" not in item:
        return str(item)
    return _NO_YAML_CHARACTER.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(item, ensure_ascii=False))
