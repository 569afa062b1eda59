"""Splitting files into documents and joining them: no byte of an object is lost, whatever stands around it."""

import json
import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmp_core.documents import Document, join_documents, split_documents
from cmp_core.errors import RenderError

A = b"kind: A\nname: a\n"
B = b"kind: B\nname: b\n"
JSON_A = b'{"kind": "A", "text": "} {\\" # ---"}'
JSON_B = b'{"kind": "B"}'


def contents(file: bytes) -> list[bytes]:
    """Return the bytes of the documents of a file."""
    return [document.content for document in split_documents(file, "app.yaml")]


def split_like_go(stream: bytes) -> list[bytes]:
    """Split by the rule of Kubernetes' YAML reader, written a second time, line by line."""
    chunks: list[list[bytes]] = []
    for line in re.findall(rb"[^\n]*\n", stream):
        if line.startswith(b"---"):
            assert line[3:].strip() == b""
            chunks.append([])
        else:
            chunks[-1].append(line)
    return [b"".join(chunk) for chunk in chunks]


def ended(content: bytes) -> bytes:
    """Return a document as it stands in the stream, with a line end."""
    return content if content.endswith(b"\n") else content + b"\n"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(A, [A], id="one document"),
        pytest.param(A + b"---\n" + B, [A, B], id="two documents"),
        pytest.param(b"---\n" + A + b"---\n---\n" + B + b"---\n", [A, B], id="separators around and between"),
        pytest.param(A + b"--- # next\n" + B, [A, b"# next\n" + B], id="comment after the separator"),
        pytest.param(A + b"---   \n" + B, [A, B], id="blanks after the separator"),
        pytest.param(A + b"---\t\r\n" + B, [A, B], id="tab and CRLF after the separator"),
        pytest.param(A + b"---", [A], id="separator without line end"),
        pytest.param(b"---\nkind: A", [b"kind: A"], id="no last newline"),
        pytest.param(b"1\n---\n{}\n---\n2", [b"1\n", b"{}\n", b"2"], id="very short documents"),
        pytest.param(b"kind: A\r\n---\r\nkind: B\r\n", [b"kind: A\r\n", b"kind: B\r\n"], id="CRLF"),
        pytest.param(b"\xef\xbb\xbf" + A, [A], id="byte order mark"),
        pytest.param(b"\xef\xbb\xbf---\n" + A, [A], id="byte order mark before the separator"),
        pytest.param(b"---\n\xef\xbb\xbf" + A, [A], id="byte order mark after the separator"),
        pytest.param(A + b"\xef\xbb\xbf---\n" + B, [A, B], id="byte order mark of a second file"),
        pytest.param(A + b"---\n# b\n\xef\xbb\xbf" + B, [A, B], id="byte order mark after a comment"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbf" + A, [A], id="two byte order marks"),
        pytest.param(b'a: "\xef\xbb\xbf---"\n', [b'a: "\xef\xbb\xbf---"\n'], id="byte order mark in a text"),
        pytest.param(b"%YAML 1.2\n---\n" + A, [A], id="YAML directive"),
        pytest.param(b"# c\n%YAML 1.1 # d\r\n\n# e\n---\n" + A, [A], id="comments around a YAML directive"),
        pytest.param(A + b"...\n%YAML 1.1\n---\n" + B, [A, B], id="YAML directive of a second document"),
        pytest.param(A + b"---\n%YAML 1.1\n---\n" + B, [A, B], id="YAML directive after a separator"),
        pytest.param(b"a: |\n  %YAML 1.1\n  x\n", [b"a: |\n  %YAML 1.1\n  x\n"], id="YAML directive in a text"),
        pytest.param(A + b"...\n", [A], id="document end"),
        pytest.param(A + b"...\n" + B, [A, B], id="document after an end without a separator"),
        pytest.param(A + b"... # end\n---\n" + B, [A, B], id="document end and separator"),
        pytest.param(A + b"...", [A], id="document end without line end"),
        pytest.param(b"a: |\n  ---\n  ...\n", [b"a: |\n  ---\n  ...\n"], id="indented markers"),
        pytest.param(b"...x: 1\n", [b"...x: 1\n"], id="dots that are a key"),
        pytest.param(b"# license\n" + A, [b"# license\n" + A], id="comment before"),
        pytest.param(b"# license\n---\n" + A + b"# end\n", [A + b"# end\n"], id="comment-only document"),
        pytest.param(b"\n \n" + A + b"\n\n", [b"\n \n" + A + b"\n\n"], id="blank lines stay"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\xef\xbb\xbf\n\r\n# c", [], id="nothing but blanks and a comment"),
        pytest.param(b"---\n---\n...\n---\n", [], id="nothing but separators"),
        pytest.param(b"null\n---\n~ # none\n---\n\n  Null\n---\nNULL", [], id="nulls"),
        pytest.param(b"--- null\n---\n" + A, [A], id="null on the separator's line"),
        pytest.param(b"nullable: 1\n---\nnull#1", [b"nullable: 1\n", b"null#1"], id="no nulls"),
        pytest.param(b"--- {a: 1}\n--- [b]\n", [b"{a: 1}\n", b"[b]\n"], id="flow on the separator's line"),
        pytest.param(b'---\t{"a":\n1}', [b'{"a":\n1}'], id="JSON that begins on the separator's line"),
        pytest.param(b"--- !x\n" + A, [b"!x\n" + A], id="tag on the separator's line"),
        pytest.param(b"--- &a !x {b: c}\n", [b"&a !x {b: c}\n"], id="anchor and tag on the separator's line"),
        pytest.param(JSON_A + JSON_B, [JSON_A, JSON_B], id="JSON objects without anything between"),
        pytest.param(JSON_A + b"\n" + JSON_B + b"\n", [JSON_A + b"\n", JSON_B + b"\n"], id="JSON lines"),
        pytest.param(JSON_A + b" \t " + JSON_B, [JSON_A + b" \t ", JSON_B], id="JSON objects on one line"),
        pytest.param(
            b"# c\n" + JSON_A + b" # d\n\n# e\n  " + JSON_B,
            [b"# c\n" + JSON_A + b" # d\n", b"\n# e\n  " + JSON_B],
            id="comments between JSON objects",
        ),
        pytest.param(A + b"---\n" + JSON_A + b"\n" + JSON_B, [A, JSON_A + b"\n", JSON_B], id="JSON after YAML"),
        pytest.param(JSON_A + b"\n---\n" + A, [JSON_A + b"\n", A], id="YAML after JSON"),
        pytest.param(b'{"a": "\t"}{}', [b'{"a": "\t"}', b"{}"], id="JSON with a tab that JSON forbids"),
        pytest.param(
            b'{"a": "b\n---\nc"}{"d": 1}', [b'{"a": "b\n', b'c"}{"d": 1}'], id="separator in a JSON text, for the check"
        ),
        pytest.param(JSON_A + b"[1]", [JSON_A, b"[1]"], id="JSON array after an object"),
        pytest.param(
            b'{"a": 1} kind: B\n', [b'{"a": 1} kind: B\n'], id="JSON and YAML on one line, for the check to refuse"
        ),
        pytest.param(JSON_A + b"\n# c\n" + B, [JSON_A + b"\n", b"# c\n" + B], id="YAML on the line after JSON"),
        pytest.param(JSON_A + JSON_B + b"\n" + B, [JSON_A, JSON_B + b"\n", B], id="YAML after JSON objects"),
        pytest.param(JSON_A + b"---\n" + B, [JSON_A, B], id="separator on the line on which JSON ends"),
        pytest.param(JSON_A + b" --- # c\r\n" + JSON_B + b"---", [JSON_A + b" ", JSON_B], id="two such separators"),
        pytest.param(JSON_A + b"---x\n", [JSON_A + b"---x\n"], id="no separator after JSON, for the check to refuse"),
        pytest.param(A + b"---#c\n" + B, [A, b"#c\n" + B], id="comment on the separator, without a blank"),
        pytest.param(A + "---\u00a0\u3000\n".encode() + B, [A, B], id="blanks that are not ASCII after the separator"),
        pytest.param(A + b"%YAML 1.2\n---\n" + B, [A, B], id="YAML directive of a file that was put behind another"),
        pytest.param(A + b"\xef\xbb\xbf%YAML 1.2\n\n---\n" + B, [A, B], id="the same with a byte order mark"),
        pytest.param(A + b"\xef\xbb\xbf\r\n\xef\xbb\xbf", [A], id="byte order marks of empty files behind another"),
        pytest.param(A + "---\n# c\u2028\x85\n".encode(), [A], id="document of other line ends"),
        pytest.param(b"{a: 1}\n{b: 2}\n", [b"{a: 1}\n{b: 2}\n"], id="flow mappings glued, for the check to refuse"),
        pytest.param(b'{"a": ' + b"9" * 9000 + b"}{}", [b'{"a": ' + b"9" * 9000 + b"}", b"{}"], id="a huge number"),
        pytest.param(b'{"a": ' * 99999 + b"{}{}", [b'{"a": ' * 99999 + b"{}{}"], id="JSON too deep, for the check"),
        pytest.param("# a\u2028kind: A\n".encode(), ["# a\u2028kind: A\n".encode()], id="comment that U+2028 ends"),
        pytest.param("# a\x85kind: A\n".encode(), ["# a\x85kind: A\n".encode()], id="comment that U+0085 ends"),
        pytest.param("a: ü😀\n---\nb: é".encode(), ["a: ü😀\n".encode(), "b: é".encode()], id="beyond ASCII"),
    ],
)
def test_a_file_splits_into_its_documents_byte_for_byte(file: bytes, expected: list[bytes]) -> None:
    """What stands around documents goes, and their own bytes stay."""
    found = contents(file)

    assert found == expected


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        pytest.param("kind: A\n".encode("utf-16"), 1, "is UTF-16", id="UTF-16"),
        pytest.param("\ufeffkind: A\n".encode("utf-16-be"), 1, "is UTF-16", id="UTF-16, the other way round"),
        pytest.param("kind: A\n".encode("utf-32"), 1, "is UTF-32", id="UTF-32"),
        pytest.param("kind: A\n".encode("utf-16-le"), 1, "NUL", id="UTF-16 without a mark"),
        pytest.param(b"a: b\nname: caf\xe9\n", 2, "not UTF-8 (byte 0xe9)", id="Latin-1"),
        pytest.param(b"a: \xed\xa0\xbd\n", 1, "not UTF-8", id="a surrogate"),
        pytest.param(b"a: b\n# \x00\n", 2, "NUL", id="NUL"),
        pytest.param(b"# c\rkind: A\r", 1, "carriage return", id="line ends of an old Mac"),
        pytest.param(b"a: b\r\n\nc: |\n  d\r\r\n", 4, "carriage return", id="two carriage returns"),
        pytest.param(A + b"---x\n", 3, "begins with `---` and goes on", id="separator that goes on"),
        pytest.param(b"a: |\n-----BEGIN KEY-----\n", 2, "indent it", id="key that is not indented"),
        pytest.param("---\u2028kind: A\n".encode(), 1, "text follows `---`", id="separator before U+2028"),
        pytest.param(b"---\n--- kind: A\n", 2, "text follows `---`", id="mapping on the separator's line"),
        pytest.param(b"--- |\n x\n", 1, "text follows `---`", id="literal on the separator's line"),
        pytest.param(b"--- !t a: b\n", 1, "text follows `---`", id="tagged key on the separator's line"),
        pytest.param(b"--- null x\n", 1, "text follows `---`", id="text that begins with null"),
        pytest.param(A + b"... b\n", 3, "text follows `...`", id="text on the document end's line"),
        pytest.param(b"%TAG ! tag:x,2000:\n---\na: !b c\n", 1, "begins with `%`", id="TAG directive"),
        pytest.param(b"\n%YAML 2.0\n---\na: b\n", 2, "begins with `%`", id="YAML 2"),
        pytest.param(b"%FOO\n---\na: b\n", 1, "begins with `%`", id="unknown directive"),
        pytest.param(b"%YAML 1.1\na: b\n", 1, "no `---` line follows", id="directive without a separator"),
        pytest.param(b"%YAML 1.1\n...\n", 1, "no `---` line follows", id="directive before an end"),
        pytest.param(A + b"%YAML 1.1\n" + B, 3, "`%YAML` line stands inside", id="glued before a directive"),
        pytest.param(A + b"\xef\xbb\xbf" + B, 3, "byte order mark stands inside", id="glued before a mark"),
        pytest.param(A + b"\xef\xbb\xbf%YAML 1.1\n", 3, "byte order mark", id="glued before a mark and a directive"),
    ],
)
def test_what_argo_cd_would_read_otherwise_is_refused_by_file_and_line(file: bytes, line: int, message: str) -> None:
    """A file that cannot be split safely is refused, and the error names where."""
    with pytest.raises(RenderError, match=re.escape(message)) as error:
        split_documents(file, "dir/app.yaml")

    assert str(error.value).startswith(f"dir/app.yaml:{line}: ")


def test_a_document_knows_the_line_on_which_it_begins() -> None:
    """The line counts from the file's first, however the documents are separated."""
    file = b"# c\nkind: A\n---\nkind: B\n...\n\nkind: C\n--- {a:\n1}\n---\n" + JSON_A + JSON_B + b"\n" + JSON_A

    documents = split_documents(file, "app.yaml")

    assert [document.line for document in documents] == [1, 4, 6, 8, 11, 11, 12]
    assert {document.path for document in documents} == {"app.yaml"}


def test_the_stream_begins_with_a_separator_and_mends_a_missing_newline() -> None:
    """Every document has its own `---` line before it, and a line end after it."""
    documents = [Document(b"kind: A", "a", 1), Document(b"kind: B\n", "b", 1), Document(JSON_A, "c", 1)]

    stream = join_documents(documents)

    assert stream == b"---\nkind: A\n---\nkind: B\n---\n" + JSON_A + b"\n"


def test_no_documents_are_no_stream() -> None:
    """Nothing joined is nothing, not a lone separator."""
    assert join_documents([]) == b""


# Text whose lines could be taken for separators, comments and directives if they stood at the beginning of a line.
lines = st.sampled_from(
    ["---", "...", "--- x", "# c", "%YAML 1.1", "", " ", "a: b", "- x", "ü😀", '"', "'", "{", "}", "\ufeff"]
)
texts = st.one_of(st.lists(lines, max_size=4).map("\n".join), st.text(st.characters(codec="utf-8"), max_size=20))
keys = st.one_of(st.text("abcdefgh", min_size=1, max_size=5), texts)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(keys, values, min_size=1, max_size=4)


@st.composite
def written_documents(draw: st.DrawFn) -> bytes:
    """Write a random mapping in a random style, perhaps with comments and CRLF, perhaps without a last newline."""
    value = draw(objects)
    text = yaml.safe_dump(
        value,
        default_style=draw(st.sampled_from([None, "|", ">", '"', "'"])),
        default_flow_style=draw(st.booleans()),
        allow_unicode=draw(st.booleans()),
        indent=draw(st.integers(2, 6)),
        width=draw(st.sampled_from([20, 80])),
    )
    if re.search(r"[\r\x85\u2028\u2029\ufeff]", text):
        text = yaml.safe_dump(value, default_style='"')
    text = draw(st.sampled_from(["", "# lead\n", "\n  # lead\n\n"])) + text + draw(st.sampled_from(["", "# trail\n"]))
    text = text.removesuffix("\n") if draw(st.booleans()) else text
    return (text.replace("\n", "\r\n") if draw(st.booleans()) else text).encode()


separators = st.sampled_from([
    b"---\n", b"---\r\n", b"--- \t\n", b"---\n---\n", b"...\n---\n", b"...\n", b"... # end\r\n---\n",
    b"---\n# only a comment\n---\n", b"---\n\xef\xbb\xbf", b"...\n%YAML 1.1\n---\n", b"---\nnull\n---\n",
    b"\xef\xbb\xbf---\n",
])  # fmt: skip


@settings(deadline=None)
@given(st.lists(written_documents(), min_size=1, max_size=4), st.data())
def test_documents_come_out_as_they_went_in(documents: list[bytes], data: st.DataObject) -> None:
    """Whatever separates them, documents come out byte for byte, and Argo CD's rule splits the stream into the same."""
    file = data.draw(st.sampled_from([b"", b"---\n", b"\xef\xbb\xbf", b"# c\n---\n", b"%YAML 1.2\n---\n"]))
    for document in documents[:-1]:
        file += ended(document) + data.draw(separators)
    file += documents[-1]
    expected = [*map(ended, documents[:-1]), documents[-1]]

    found = split_documents(file, "app.yaml")
    stream = join_documents(found)

    assert [document.content for document in found] == expected
    assert split_like_go(stream) == list(map(ended, expected))
    assert [yaml.safe_load(chunk) for chunk in split_like_go(stream)] == [
        yaml.safe_load(ended(document)) for document in documents
    ]


fragments = st.sampled_from([
    "---", "---\n", "--- ", "...", "...\n", "\n", "\r\n", "\r", "\ufeff", "%YAML 1.1\n", "%TAG ! x\n", "%", "# c",
    "# c\n", "kind: A\n", "a: b", "- x\n", "{", "}", '{"a": 1}', "{}", "[]", "null", "~", "!t", "&a", " ", "\t",
    "|\n", '"', "'", "\u2028", "\x85", "\x00", "é", "-----BEGIN\n", "\\", ":", ",",
])  # fmt: skip

# What may stand outside of documents: marks, blanks, separators, comments, `%YAML` and nulls, and nothing else.
OUTSIDE = re.compile(
    r"(?:\ufeff|[ \t\r\n\x85\u2028\u2029]|#[^\n\x85\u2028\u2029]*|(?<![^\n\ufeff} \t\r\x85\u2028\u2029])---"
    r"|(?<![^\n\ufeff])(?:\.\.\.|%YAML[ \t]+1\.\d+)|(?:null|~)(?!\S))*"
)


@settings(deadline=None, max_examples=500)
@given(st.lists(fragments, max_size=12).map("".join))
@example("a: 1\n\ufeff# c\n---\nb: 2")
@example("# c\u2028kind: A\n")
@example('{}{}\n{"a": "\n"} # c\n{}')
def test_nothing_but_separators_is_ever_left_out(text: str) -> None:
    """Of any text everything but separators, comments and nulls comes out in its order, or an error is raised."""
    try:
        documents = split_documents(text.encode(), "app.yaml")
    except RenderError:
        return

    at = 0
    for document in documents:
        content = document.content.decode()
        begin = text.index(content, at)
        assert OUTSIDE.fullmatch(text, at, begin)
        assert text.count("\n", 0, begin) + 1 == document.line
        at = begin + len(content)
    assert OUTSIDE.fullmatch(text, at)
    assert split_like_go(join_documents(documents)) == [ended(document.content) for document in documents]


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00")
@example(b"---\r")
def test_arbitrary_bytes_are_split_or_refused(file: bytes) -> None:
    """No bytes whatever raise anything but a `RenderError`, and what is accepted splits the same by Argo CD's rule."""
    try:
        documents = split_documents(file, "app.yaml")
    except RenderError:
        documents = []

    chunks = split_like_go(join_documents(documents))

    assert chunks == [ended(document.content) for document in documents]


@settings(deadline=None)
@given(st.lists(objects, min_size=1, max_size=5), st.data())
def test_json_objects_that_follow_each_other_are_documents(
    values: list[dict[str, object]], data: st.DataObject
) -> None:
    """JSON objects come out one by one with the very text they had, however little stands between them."""
    written = [
        json.dumps(value, indent=data.draw(st.sampled_from([None, 2, "\t"])), ensure_ascii=data.draw(st.booleans()))
        for value in values
    ]
    gaps = [data.draw(st.sampled_from(["", " ", "\n", "\r\n\r\n", " # c\n", "\n---\n", "\n...\n"])) for _ in values]

    found = contents("".join(text + gap for text, gap in zip(written, gaps, strict=True)).encode())

    assert [re.sub(rb"# c\n\Z", b"", content).strip().decode() for content in found] == written
