"""The nodes of a document: what each of them is, and how its keys, values and merges are told apart."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cmp_core.documents import Document
from cmp_core.nodes import Node, entries, is_merge, pairs
from cmp_core.outline import read_outline


def read(content: str) -> Node:
    """Return the root of a document."""
    return read_outline(Document(content.encode(), "app.yaml", 1))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("{}", "mapping", id="mapping"),
        pytest.param("[]", "list", id="list"),
        pytest.param("a", "plain", id="text without quotes"),
        pytest.param("'a'", "", id="text in quotes"),
        pytest.param("!!str a", "", id="tagged text"),
        pytest.param("~", "plain null", id="null"),
        pytest.param("", "plain null", id="nothing"),
        pytest.param("!!null ''", "null", id="tagged null"),
        pytest.param("'null'", "", id="null in quotes"),
        pytest.param("! ~", "", id="null that a lone exclamation mark makes text"),
        pytest.param("! ''", "", id="empty text behind one"),
        pytest.param("nUll", "plain", id="no null"),
    ],
)
def test_a_node_tells_what_it_is(written: str, expected: str) -> None:
    """Quotes and tags decide what a scalar is, as they do in YAML."""
    value = next(pairs(read(f"a: {written}\n")))[1]

    found = [name for name in ("mapping", "list", "plain", "null") if getattr(value, f"is_{name}")]

    assert found == expected.split()


def test_only_scalars_that_are_not_null_have_a_text() -> None:
    """A null and a collection have none, which is not the same as an empty one."""
    root = read("a: x\nb: ''\nc: ~\nd: [x]\ne: {x: y}\n")

    texts = [value.text for _, value in pairs(root)]

    assert texts == ["x", "", None, None, None]


def test_text_in_base64_is_what_it_stands_for() -> None:
    """Argo CD's parser decodes what is tagged `!!binary`, names and keys among them."""
    root = read("kind: !!binary aGk=\n!!binary aGk=: !!binary |\n  aG\n  k=\n")

    texts = [(key.text, value.text) for key, value in pairs(root)]

    assert texts == [("kind", "hi"), ("hi", "hi")]


def test_a_node_knows_its_line() -> None:
    """Lines count from 0, the document's first."""
    root = read("# c\na: x\n\nb:\n  - y\n")

    lines = [(key.line, value.line) for key, value in pairs(root)]

    assert (root.line, lines) == (1, [(1, 1), (3, 4)])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("<<", True),
        ("!!merge <<", True),
        ("'<<'", False),
        ("! '<<'", True),
        ("!!str <<", False),
        ("!x <<", False),
        ("<", False),
    ],
)
def test_the_merge_key_is_plain_or_tagged_so(key: str, *, expected: bool) -> None:
    """In quotes it is a key like any other."""
    node = next(pairs(read(f"{key}: {{a: b}}\n")))[0]

    assert is_merge(node) is expected


@given(
    st.lists(st.tuples(st.sampled_from(["kind", "name", "other"]), st.text("abc", min_size=1, max_size=3)), min_size=1)
)
def test_the_last_of_equal_keys_wins(written: list[tuple[str, str]]) -> None:
    """Entries are what a dict would keep, of the keys that are ever asked for."""
    root = read("".join(f"{key}: {value}\n" for key, value in written))

    found = {key: value.text for key, value in entries(root).items()}

    assert found == {key: value for key, value in written if key != "other"}


def test_nothing_but_a_mapping_has_entries() -> None:
    """A list, a scalar and a missing node have none."""
    list_node = Node(yaml.SequenceStartEvent(None, None, implicit=True))

    assert (entries(list_node), entries(read("a: b").children[0]), entries(None)) == ({}, {}, {})
