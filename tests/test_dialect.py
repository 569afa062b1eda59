"""Argo CD's dialect of YAML: what its parser reads otherwise than libyaml, or not at all, is refused by line."""

import re
from unittest.mock import patch

import pytest
from e2e.made_up_files import File, damaged_file, files, json_stream, plain_file
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmp_core import outline
from cmp_core.dialect import SAFE_KEY, is_suspect
from cmp_core.documents import Document, split_documents
from cmp_core.errors import RenderError
from cmp_core.outline import read_outline

NO_KEY = "a key is no text"
TOO_LONG = "characters in JSON, and Argo CD reads at most 1,024: shorten it"
MARK = "loses characters after a byte order mark"
DEEP = "a:\n- b:\n  - c:\n    - d: "
"""Below this a document is not kept, unless it is suspect."""


def read(content: str) -> None:
    """Read a document that begins on line 5 of its file."""
    read_outline(Document(content.encode(), "app.yaml", 5))


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        pytest.param("a:\n  ~: b\n", 6, NO_KEY, id="null as a key"),
        pytest.param(DEEP + "{null}\n", 8, NO_KEY, id="null as a key without a value"),
        pytest.param(DEEP + "{a: b, c, ~ }\n", 8, NO_KEY, id="null as the last key"),
        pytest.param(DEEP + "{a, [b]}\n", 8, "a list or mapping stands where a key must", id="list without a value"),
        pytest.param(DEEP + "{" + "k" * 1023 + "}\n", 8, TOO_LONG, id="long key without a value"),
        pytest.param("a:\n  b: 1\n  9223372036854775808: c\n", 7, NO_KEY, id="key above int64"),
        pytest.param("a: {0x8000_0000_0000_0000 : c}\n", 5, NO_KEY, id="the same, hexadecimal"),
        pytest.param("a: {01000000000000000000000: c}\n", 5, NO_KEY, id="the same, octal"),
        pytest.param(f"a: {{0b{'1' * 64}: c}}\n", 5, NO_KEY, id="the same, binary"),
        pytest.param("? [a]\n: b\n", 5, "a list or mapping stands where a key must", id="list as a key"),
        pytest.param("a: {1: b, '1': c}\n", 5, "two keys become `1`, one of them written as a text", id="two types"),
        pytest.param("a: {1: b, 1.0: c}\n", 5, "written as a number with a fraction", id="numbers in two types"),
        pytest.param("a: {yes: b, 'true': c}\n", 5, "two keys become `true`", id="boolean and text"),
        pytest.param("a:\n  b:\n    " + "k" * 1023 + ": 1\n", 7, TOO_LONG, id="long key"),
        pytest.param("a:\n  ? " + "k" * 2000 + "\n  : 1\n", 6, TOO_LONG, id="very long key"),
        pytest.param("a:\n  ? |-\n    " + "k" * 2000 + "\n  : 1\n", 6, TOO_LONG, id="very long key in a block"),
        pytest.param('{"a": {"' + "<" * 171 + '" : 1}}', 5, "the key `<<<", id="key that JSON makes long"),
        pytest.param("a:\nb: .inf\n", 6, "JSON and Kubernetes know no number `.inf`", id="infinite"),
        pytest.param("a: [!!float .nan]\n", 5, "know no number `.nan`", id="not a number"),
        pytest.param("a: !!int x\n", 5, "does not fit its tag `!!int`", id="no whole number"),
        pytest.param("a: !!float 9223372036854775808\n", 5, "its tag `!!float`", id="whole number that is no float"),
        pytest.param("a: !!bool 1\n", 5, "does not fit its tag `!!bool`", id="no boolean"),
        pytest.param("a: !!null x\n", 5, "does not fit its tag `!!null`", id="no null"),
        pytest.param("a: !!timestamp 2001-02-30\n", 5, "its tag `!!timestamp`", id="no date"),
        pytest.param("a: !!binary /w==\n", 5, "does not fit its tag `!!binary`", id="no text in Base64"),
        pytest.param("a: [!!str, b]\n", 5, "takes what follows for a part of the tag", id="tag before a comma"),
        pytest.param('{"a":!b, "c": d}', 5, "takes what follows for a part of the tag", id="tag of one's own"),
        pytest.param('a: "\\x85"\n', 5, "the character U+0085", id="U+0085 as an escape"),
        pytest.param('a: "\\x7f"\n', 5, "reads no character U+007F", id="U+007F as an escape"),
        pytest.param('a: "b\n\n  \\/"\n', 7, "cannot read the escape `\\/`", id="slash that is escaped"),
        pytest.param("a: [b?c]\n", 5, "takes a `?` inside of brackets", id="question mark in brackets"),
        pytest.param("a: 1\n<<: b\n", 6, "`<<` merges a mapping", id="merge of a text"),
        pytest.param("a: {! '<<': b}\n", 5, "`<<` merges a mapping", id="merge in quotes"),
        pytest.param("a: &a {b: c}\n<<: &b [*a]\nd: {<<: *b}\n", 7, "`<<` merges a mapping", id="merge of a list"),
        pytest.param(f"a: b # {'x' * 503}\ufeff\n", 5, MARK, id="byte order mark between two blocks"),
        pytest.param(f"a: b # {'x' * 499}\ufeff\n", 5, MARK, id="the same, with the separator"),
    ],
)  # fmt: skip
def test_what_argo_cd_reads_otherwise_is_refused_by_line(content: str, line: int, message: str) -> None:
    """The error names the file, the line, and what to do."""
    with pytest.raises(RenderError, match=re.escape(message)) as error:
        read(content)

    assert str(error.value).startswith(f"app.yaml:{line}: ")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("a: {9223372036854775807: b, '9223372036854775808': c}\n", id="key of int64, and one in quotes"),
        pytest.param("a: {! ~: b, ! '': c, ! on: d, 'true': ! .inf}\n", id="text behind an exclamation mark"),
        pytest.param("a: {1: b, 1: c, 1.5: d, '2': e, true: f}\n", id="keys of several types"),
        pytest.param("a:\n  b:\n    " + "k" * 1022 + ": 1\n", id="longest key"),
        pytest.param('{"a": {"' + "<" * 170 + '": 1}}', id="longest key of characters that JSON escapes"),
        pytest.param("a: " + "v" * 2000 + "\nb: |\n  " + "v" * 2000 + "\nc: '" + "v" * 2000 + "'\n", id="long values"),
        pytest.param("a: '.inf'\nb: .infinite\nc: [x.inf]\n", id="text that looks infinite"),
        pytest.param("a: !!float 9223372036854775807\nb: !!int '0x1F'\n", id="values that fit their tags"),
        pytest.param("a: !!timestamp 2000-02-29\nb: !!timestamp 2001-12-14t21:59:43.1-05:00\n", id="dates"),
        pytest.param("a: !!binary aGk=\nb: !x y\nc: [!!str , a]\n", id="tags"),
        pytest.param("a: [b, 'c?d', \"e?\"]\nf: g?h\n? i\n: j\n", id="question marks"),
        pytest.param("a: &a {b: c}\nd: {<<: [*a, {e: f}]}\ng: {'<<': h}\n", id="merges"),
        pytest.param(f"a: b # {'x' * 400}\ufeff{'x' * 50}\n", id="byte order mark inside of a block"),
    ],
)
def test_what_argo_cd_reads_as_it_is_written_passes(content: str) -> None:
    """Nothing is refused for a mere likeness, and every one of these is looked at."""
    read(content)

    assert is_suspect(content) or len(content) > SAFE_KEY


@settings(deadline=None)
@given(
    st.integers(0, 2**66),
    st.sampled_from(["{}: v\n", "a: {{{} : v}}\n", "a:\n- b:\n    {}: v\n"]),
    st.sampled_from("dxob"),
)
@example(2**63 - 1, "{}: v\n", "d")
@example(2**63, "a: {{{} : v}}\n", "o")
@example(2**64 - 1, "{}: v\n", "d")
@example(2**64, "{}: v\n", "x")
def test_a_whole_number_is_a_key_up_to_int64(number: int, place: str, base: str) -> None:
    """Wherever it stands and however it is written, a key above int64 is found."""
    content = place.format(format(number, f"#{base}"))

    try:
        read(content)
        is_read = True
    except RenderError:
        is_read = False

    assert is_read is not (2**63 <= number < 2**64)


def test_an_ordinary_manifest_is_not_looked_at() -> None:
    """What costs time is done only where something of it can be in the document."""
    content = (
        'kind: ConfigMap\nmetadata: {}\ndata:\n  a: \'it is "1"?\'\n  b: http://h/?c=d&e=f\n  c: "{{ .x }}"\n'
        "  d: |\n    cat <<EOF && echo 'what?!!'\n    EOF\n  e: '^[a-z]?$'\n  f: []\n"
    )

    assert not is_suspect(content)


@settings(deadline=None)
@given(st.one_of(files(plain_file), files(json_stream), files(damaged_file)))
def test_what_is_not_looked_at_holds_nothing(case: tuple[File, ...]) -> None:
    """Where a look at the text finds nothing to suspect, a look at every node finds nothing either."""
    documents = [document for file in case for document in split(file.content)]

    found = [told(document) for document in documents]

    with patch.object(outline, "is_suspect", return_value=True):
        assert [told(document) for document in documents] == found


def split(content: bytes) -> list[Document]:
    """Return the documents of a file, or none where it has none."""
    try:
        return split_documents(content, "app.yaml")
    except RenderError:
        return []


def told(document: Document) -> str:
    """Return what a document is refused for, or nothing."""
    try:
        read_outline(document)
    except RenderError as error:
        return str(error)
    return ""
