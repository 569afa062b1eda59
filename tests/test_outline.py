"""Reading the outline of a document: what Argo CD would read otherwise, or only in part, is refused by line."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmp_core.documents import Document
from cmp_core.errors import RenderError
from cmp_core.nodes import entries
from cmp_core.outline import MAX_DEPTH, read_outline


def document(content: str | bytes) -> Document:
    """Return a document that begins on line 5 of its file."""
    return Document(content.encode() if isinstance(content, str) else content, "app.yaml", 5)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        pytest.param("a: [1, 2\n", 6, "not valid YAML", id="list without an end"),
        pytest.param("a: 1\n\tb: 2\n", 6, "not valid YAML", id="tab that indents"),
        pytest.param("a: 'x\n", 6, "not valid YAML", id="quote without an end"),
        pytest.param("a: 1\n- b\n", 6, "did not find expected key while parsing a block mapping", id="mixed"),
        pytest.param('a: "\\x"\n', 5, "not valid YAML", id="unknown escape"),
        pytest.param("a: b\nc: *d\n", 6, "the alias `*d` has no anchor before it", id="alias without an anchor"),
        pytest.param("a: *b\nc: &b d\n", 5, "`&b` must stand in the same document", id="alias before its anchor"),
        pytest.param("a: &b\n  c: *b\n", 6, "stands inside of what it stands for", id="alias inside of its anchor"),
        pytest.param("a: b\n...\n", 6, "something follows the object", id="document end"),
        pytest.param("a: b\n...\nc: d\n", 6, "something follows the object", id="document after an end"),
        pytest.param("{a: b}\n{c: d}\n", 6, "something follows the object", id="two flow mappings"),
        pytest.param('{"a": 1}\nb: 2\n', 6, "something follows the object", id="YAML after JSON"),
        pytest.param("a: 1\u2028---\u2028b: 2\n", 6, "something follows the object", id="separator after U+2028"),
        pytest.param("\u2028---\u2028b: 2\n", 6, "something follows the object", id="leading separator after U+2028"),
        pytest.param("a: 1\x85...\x85", 6, "something follows the object", id="document end after U+0085"),
        pytest.param("\u2028...\n", 6, "something follows the object", id="nothing but a document end after U+2028"),
        pytest.param("\u2028%YAML 1.1\n", 7, "something follows the object", id="directive after U+2028"),
        pytest.param("", 5, "the document is empty", id="nothing"),
        pytest.param("# c\n\n", 5, "the document is empty", id="only a comment"),
        pytest.param("a: 1\n---\nb: 2\n", 6, "begins with `---`", id="separator"),
        pytest.param("a: |\n  x\n-----BEGIN\n", 7, "begins with `---`", id="line that begins like a separator"),
        pytest.param("\ufeffa: 1\n", 5, "a byte order mark", id="byte order mark"),
        pytest.param("a: 1\n\ufeffa: 2\n", 6, "a byte order mark", id="byte order mark of a second file"),
        pytest.param("a: 1\u2028\ufeffa: 2\n", 5, "a byte order mark", id="byte order mark after U+2028"),
        pytest.param("a: 1\rb: 2\n", 5, "no carriage return", id="carriage return alone"),
        pytest.param(b"a: 1\nb: \xff\n", 6, "not UTF-8", id="no UTF-8"),
        pytest.param("a: 1\nb: \x07\n", 6, "forbids the control character U+0007", id="control character"),
        pytest.param("a: 1\n\nb: \ufffe\n", 7, "forbids the control character U+FFFE", id="no character"),
        pytest.param('{"a":\n"\\ud83d\\ude00"}', 6, "surrogate pair", id="escaped surrogate pair"),
        pytest.param('{"a": 1,\n"b": "\\\\\\/"}', 6, "the escape `\\/`: write `/`", id="escaped slash"),
        pytest.param("? {a: b}\n: c\n", 5, "stands where a key must", id="mapping as a key"),
        pytest.param("a:\n- b:\n    c:\n      d:\n        e: {{ .Values.e }}\n", 9, "template", id="template"),
        pytest.param("a: " + "[" * MAX_DEPTH, 5, "nests deeper than 256", id="too deep"),
        pytest.param('{"a":' * 100_000, 5, "nests deeper than 256", id="far too deep"),
        pytest.param("- " * 100_000, 5, "nests deeper than 256", id="far too deep in blocks"),
    ],
)
def test_what_argo_cd_cannot_read_whole_is_refused_by_line(content: str | bytes, line: int, message: str) -> None:
    """The error names the file, the line within it, and what is wrong."""
    with pytest.raises(RenderError, match=re.escape(message)) as error:
        read_outline(document(content))

    assert str(error.value).startswith(f"app.yaml:{line}: ")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("a: yes\nb: 12:30\nc: 1_000\nd: 0o17\ne: 2001-01-01\nf: 1e400\n", id="scalars of YAML 1.1"),
        pytest.param("!x\na: !Ref b\nc: !!binary aGk=\nd: !<tag:x,1:y> z\n", id="tags"),
        pytest.param("a: &x {b: c}\nd: *x\ne: {<<: *x}\n", id="anchor, alias and merge"),
        pytest.param("a: |\n  ---\n  ...\n  # no comment\n", id="markers in a literal"),
        pytest.param("a: 'b\r\n\r\n  c'\r\n", id="CRLF"),
        pytest.param('{\n\t"a": [1,\n\t2]\n}', id="JSON with tabs"),
        pytest.param("a: '\\/ \\ud83d'\nb: \\/\nc: \"\\\\/\"\n", id="backslashes that escape nothing"),
        pytest.param("# c\n\n  a: 1\n  b: 2\n# d\n", id="comments and indentation"),
        pytest.param("a: x\ufeffy---\n", id="byte order mark within a line"),
        pytest.param("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), id="deepest"),
        pytest.param("a: b", id="no last newline"),
        pytest.param("a: {b: {c: {d: {e: {f: [{g: {h: [i]}}]}}}}}\n", id="deeper than is kept"),
        pytest.param("a: '{{ b }}'\nc: |\n  {{ d }}\ne: [{}, {f: {g: {}}}]\n", id="braces"),
    ],
)
def test_what_argo_cd_reads_passes(content: str) -> None:
    """Nothing that Argo CD's parser reads as its author wrote it is refused."""
    root = read_outline(document(content))

    assert root.is_mapping


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("kind: A\n'apiVersion': v1\n", {"kind": "A", "apiVersion": "v1"}, id="plain and quoted keys"),
        pytest.param("x: &k A\nkind: *k\n", {"kind": "A"}, id="alias"),
        pytest.param("? &k kind\n: A\n? *k\n: B\n", {"kind": "B"}, id="the last of two keys"),
        pytest.param("<<: {kind: A}\n", {"kind": "A"}, id="merge"),
        pytest.param("<<: {kind: B}\nkind: A\n", {"kind": "A"}, id="key after a merge"),
        pytest.param("kind: A\n<<: {kind: B}\n", {"kind": "B"}, id="merge after a key, as Argo CD has it"),
        pytest.param("x: &m {kind: A}\n<<: *m\n", {"kind": "A"}, id="merge of an alias"),
        pytest.param("<<: [{kind: A}, {kind: B, name: n}]\n", {"kind": "A", "name": "n"}, id="merge of a list"),
        pytest.param("<<: {<<: {<<: {<<: {<<: {kind: A}}}}}\n", {"kind": "A"}, id="merges inside of merges"),
        pytest.param("!!merge <<: {kind: A}\n", {"kind": "A"}, id="tagged merge"),
        pytest.param("'<<': {kind: A}\n", {}, id="quoted, and so no merge"),
        pytest.param("a: &x {b: &x {kind: A}}\n<<: *x\n", {"kind": "A"}, id="anchor that is written twice"),
        pytest.param("kind: ~\nname: 'null'\n", {"kind": None, "name": "null"}, id="null, and text that looks so"),
        pytest.param("kind: !!null ~\nname: !!str\n", {"kind": None, "name": ""}, id="tagged null and tagged text"),
        pytest.param("metadata: [x]\nspec: 1\n", {"metadata": None, "spec": "1"}, id="no text"),
    ],
)
def test_entries_are_what_argo_cd_sees(content: str, expected: dict[str, str | None]) -> None:
    """Aliases and merges are followed by the rules of Argo CD's parser."""
    found = entries(read_outline(document(content)))

    assert {key: value.text for key, value in found.items()} == expected


@pytest.mark.parametrize(
    ("link", "count"),
    [
        pytest.param("{{<<: *{0}}}", 5000, id="chain of merges"),
        pytest.param("{{<<: [*{0}, *{0}, *{0}, *{0}, *{0}, *{0}, *{0}, *{0}]}}", 200, id="tree of merges"),
        pytest.param("{{<<: {{<<: {{<<: *{0}}}}}, x: [*{0}, *{0}, *{0}, *{0}]}}", 200, id="merges and lists"),
    ],
)
def test_aliases_upon_aliases_cost_nothing_and_are_refused(link: str, count: int) -> None:
    """A document that multiplies by aliases is judged without being multiplied, and without recursion."""
    with pytest.raises(RenderError, match="aliases multiply the document beyond what Argo CD reads"):
        read_outline(document(linked(link, count)))


@pytest.mark.parametrize("link", ["{{<<: *{0}}}", "{{<<: [*{0}, *{0}]}}", "{{<<: {{<<: *{0}}}, x: [*{0}, *{0}]}}"])
def test_a_few_aliases_upon_aliases_are_followed(link: str) -> None:
    """What Argo CD reads of aliases is read."""
    root = read_outline(document(linked(link, 6)))

    assert entries(root)["kind"].text == "A"


def linked(link: str, count: int) -> str:
    """Return a document in which each of so many anchors refers to the one before."""
    links = "".join(f"a{number}: &a{number} {link.format(f'a{number - 1}')}\n" for number in range(1, count))
    return f"a0: &a0 {{kind: A}}\n{links}<<: *a{count - 1}\n"


@settings(deadline=None)
@given(
    st.one_of(st.text(max_size=50), st.text("ab:-[]{}&*!|>'\"\\/#%@,? \n\t\r\u2028\ufeff<.~", max_size=50), st.binary())
)
def test_any_content_is_read_or_refused(content: str | bytes) -> None:
    """No content whatever raises anything but a `RenderError` that names a line."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    try:
        read_outline(document(content))
        message = "app.yaml:5: read"
    except RenderError as error:
        message = str(error)

    assert re.match(r"app\.yaml:\d+: ", message)
