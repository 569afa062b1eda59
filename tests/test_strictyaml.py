"""Strict YAML: every scalar is its text, every refusal has a line, and nothing else comes out."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmp_core.strictyaml import MAX_DEPTH, MalformedYamlError, YamlTree, read_yaml

MOST = 64 * 1024

REFUSED = {
    "broken": (b"a: b\n\tc: d\n", 2, "is not valid YAML (found a tab character that violates indentation"),
    "plain value with a colon": (b"a: 1\nb: c: d\n", 2, "is not valid YAML (mapping values are not allowed in this"),
    "unclosed quote": (b"a: 'x\nb: c\n", 1, "is not valid YAML (found unexpected end of stream while scanning a"),
    "no mapping": (b"# a comment\njust text\n", 2, "is not a mapping: write `key: value` lines"),
    "list": (b"- a\n", 1, "is not a mapping: write `key: value` lines"),
    "alias": (b"a: &x 1\nb: *x\n", 2, "uses the alias `*x`: write the value out"),
    "alias as a key": (b"&x a: 1\n*x : 2\n", 2, "has a key that is not plain text: write `key: value`"),
    "tag": (b"a: !!int '1'\n", 1, "uses the tag `tag:yaml.org,2002:int`: write the plain value"),
    "tag of a key": (b"!mine a: 1\n", 1, "uses the tag `!mine`: write the plain key"),
    "tag of the whole": (b"--- !mine\na: 1\n", 1, "uses the tag `!mine`: write the plain value"),
    "list as a key": (b"? [a]\n: b\n", 1, "has a key that is not plain text: write `key: value`"),
    "two documents": (b"a: 1\n---\nb: 2\n", 2, "holds more than one document: keep one"),
    "not UTF-8": (b"a: 1\nb: \xff\n", 2, "is not UTF-8: save it as UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), 1, "is not UTF-8: save it as UTF-8"),
    "NUL": (b"a: 1\n\nb: \x00\n", 3, "holds the character U+0000, which YAML forbids: remove it"),
    "control character": (b"a: 1\nb: \x1b[31m\n", 2, "holds the character U+001B, which YAML forbids: remove it"),
    "too deep": (b"a: " + b"[" * 60_000, 1, "is nested deeper than 16 levels: flatten it"),
    "too large": (b"a: " + b"x" * MOST, 1, "is larger than 64 KiB: keep only the keys that it needs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_has_a_line_and_a_remedy(case: str) -> None:
    """Each kind of malformed file has its own sentence and the line on which it went wrong."""
    content, line, sentence = REFUSED[case]

    with pytest.raises(MalformedYamlError) as caught:
        read_yaml(content, max_bytes=MOST)

    assert (caught.value.line, str(caught.value)[: len(sentence)]) == (line, sentence)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"version: 1.10", {"version": "1.10"}),
        (b"a: yes\nb: 0o17\nc: 12:30\nd: 1_000", {"a": "yes", "b": "0o17", "c": "12:30", "d": "1_000"}),
        (b"a: 'x y'  # why", {"a": "x y"}),
        (b'a: "it\'s # here"', {"a": "it's # here"}),
        (b"a: x#y", {"a": "x#y"}),
        (b"a:    spaced out   ", {"a": "spaced out"}),
        (b"a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}),
        (b"a: ''\nb: '~'\nc: \"null\"", {"a": "", "b": "~", "c": "null"}),
        (b"a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        (b"a: [x, {b: y}]", {"a": ["x", {"b": "y"}]}),
        (b"a: &unused 1", {"a": "1"}),
        (b"\xef\xbb\xbfa: 1", {"a": "1"}),
        (b"a: 1\r\nb: 2\r\n", {"a": "1", "b": "2"}),
        (b"%YAML 1.2\n---\na: 1\n...\n", {"a": "1"}),
        (b"", {}),
        (b"# only a comment\n", {}),
        (b"---\n", {}),
        (b"null", {}),
    ],
)
def test_a_scalar_is_its_text(content: bytes, values: dict[str, object]) -> None:
    """No scalar is turned into a number, a date or a boolean; only an empty or null one is None."""
    tree = read_yaml(content, max_bytes=MOST)

    assert tree.values == values


def test_a_file_of_just_the_largest_size_is_read() -> None:
    """The bound is on what lies above it."""
    content = b"a: " + b"x" * (MOST - 3)

    tree = read_yaml(content, max_bytes=MOST)

    assert len(tree.values["a"]) == MOST - 3


def test_the_deepest_level_that_is_allowed_is_read() -> None:
    """Sixteen levels are read; one more is not."""
    allowed, refused = (b"a: " + b"[" * depth + b"]" * depth for depth in (MAX_DEPTH, MAX_DEPTH + 1))

    tree = read_yaml(allowed, max_bytes=MOST)

    assert tree.values["a"]
    with pytest.raises(MalformedYamlError, match="deeper"):
        read_yaml(refused, max_bytes=MOST)


def test_every_key_and_item_has_its_line() -> None:
    """What is not there has the line of the nearest thing around it."""
    content = b"# top\na: 1\nlimits:\n  objects: 5\nlist:\n  - x\n  - y\n"

    tree = read_yaml(content, max_bytes=MOST)

    assert [tree.line(path) for path in (("a",), ("limits", "objects"), ("list", 1))] == [2, 4, 7]
    assert [tree.line(path) for path in (("limits", "absent"), ("absent",))] == [3, 1]


def test_every_duplicate_key_is_noted_with_its_line() -> None:
    """A key that stands there twice is noted at every level, and reading goes on."""
    content = b"a: 1\nlimits:\n  objects: 5\n  objects: 6\na: 2\nlist: [{k: 1, k: 2}]\n"

    tree = read_yaml(content, max_bytes=MOST)

    assert tree.duplicates == [(("limits", "objects"), 4), (("a",), 5), (("list", 0, "k"), 6)]


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@example(b"\xef\xbb\xbf\xef\xbb\xbfa: 1")
@example(b'a: "\\uD800"')
@example(b"a: 1\n...\nb: 2")
@example(b"%YAML 9.9\n---\na: 1")
@example(b"\x85- a")
def test_any_bytes_give_a_tree_or_one_error(content: bytes) -> None:
    """No input leads to anything but a tree or a `MalformedYamlError` with a line of the file."""
    line = 1
    try:
        tree = read_yaml(content, max_bytes=MOST)
    except MalformedYamlError as error:
        line, tree = error.line, YamlTree()

    assert 1 <= line <= len(content) + 1
    assert isinstance(tree.values, dict)


@given(st.dictionaries(st.text("abcXYZ-_", min_size=1), st.text(st.characters(codec="utf-8", min_codepoint=32))))
def test_a_quoted_text_comes_out_as_it_is(values: dict[str, str]) -> None:
    """Whatever stands in single quotes is the value."""
    values = {key: value for key, value in values.items() if value.isprintable()}
    content = "".join(f"{key}: '{value.replace(chr(39), chr(39) * 2)}'\n" for key, value in values.items())

    tree = read_yaml(content.encode(), max_bytes=MOST)

    assert tree.values == values
