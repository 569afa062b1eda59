"""YAML of an author's own stays what it was, whichever program reads it."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cmp_core.models import NestedSource, StrictModel
from cmp_core.strictyaml import PlainText, read_yaml
from cmp_core.yamltext import YamlMapping, check_mapping, write_mapping


class Chart(StrictModel):
    """A model that hands a mapping on."""

    values: YamlMapping


PLAIN = [
    "1",
    "1.10",
    "010",
    "0x1F",
    "true",
    "no",
    "2024-01-01",
    "text",
    "~",
    "1_000",
    ".inf",
    "a: b"[:1],
    "http://x/#y",
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
SCALARS = st.sampled_from(PLAIN).map(PlainText) | TEXTS | st.none()
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def meant(value: Any) -> Any:
    """Return what a reader of YAML takes a value for, by PyYAML's rules."""
    if isinstance(value, dict):
        return {meant(key): meant(item) for key, item in value.items()}
    if isinstance(value, list):
        return [meant(item) for item in value]
    return yaml.safe_load(value) if isinstance(value, PlainText) else value


@given(st.dictionaries(TEXTS, TREES, max_size=4))
def test_every_mapping_means_the_same_as_text(values: dict[str, Any]) -> None:
    """What is quoted stays text, what is plain is left to the reader."""
    text = check_mapping(str(write_mapping(values)))

    assert yaml.safe_load(text) == meant(values)


@pytest.mark.parametrize("text", PLAIN)
def test_a_trigger_file_keeps_what_is_plain(text: str) -> None:
    """From the file to the program, also through a source inside a source."""
    tree = read_yaml(f"values:\n  {text}: [{text}, '{text}']\n".encode(), max_bytes=1000)

    direct = Chart.model_validate(tree.values)
    nested = Chart.model_validate(NestedSource.model_validate({"backend": "helm", **tree.values}).own_values())

    key, plain = ("null", "null") if text == "~" else (text, text)
    assert direct == nested
    assert direct.values.replace("~:", "null:") == f'{key}:\n  - {plain}\n  - "{text}"\n'


def test_text_is_taken_as_it_is() -> None:
    """A block of YAML, as Argo CD's own sources have it, may use all of YAML."""
    text = "base: &base {a: 1}\nother: *base\n"

    assert Chart.model_validate({"values": text}).values == text


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (["a"], "must be a mapping of keys to values, or the text of one"),
        ("[a]", "must be a mapping of keys to values, or the text of one"),
        ("text", "must be a mapping of keys to values, or the text of one"),
        ("", "holds no YAML document: write one mapping"),
        ("a: 1\n---\nb: 1\n", "holds 2 YAML documents: write one mapping"),
        ("a: [\n", "line 2 of it): mend it"),
        ("a: \x01\n", "is not valid YAML"),
    ],
)
def test_what_is_no_mapping_is_refused(value: object, complaint: str) -> None:
    """Before the program sees it."""
    with pytest.raises(ValueError, match="values") as raised:
        Chart.model_validate({"values": value})

    assert complaint in str(raised.value)
