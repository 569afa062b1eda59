"""Own the bytes of manifests: split a file into documents, join documents into one stream, rewrite none."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from cmp_core.errors import RenderError

SEPARATOR = b"---\n"


@dataclass(frozen=True, slots=True)
class Document:
    """One Kubernetes object as its author wrote it.

    Attributes:
        content: Its bytes, UTF-8, exactly as they came.
        path: The file it came from, below the artifact's root.
        line: The line of the file on which the content begins, counted from 1.
    """

    content: bytes
    path: str
    line: int


def split_documents(content: bytes, path: str) -> list[Document]:
    r"""Split the bytes of one YAML or JSON file into its documents.

    Only what stands around a document is left out: byte order marks, ``%YAML``, ``---`` and ``...`` lines, and
    documents that are empty, null or nothing but comments. Comments before an object stay with it. JSON objects that
    follow each other (``{}{}``, or one a line) are documents of their own, and so is what begins on the line after one.

    A line that begins with ``---`` or ``...`` and ends there, or goes on with a blank, is a boundary wherever it
    stands: YAML knows no scalar that may hold it. Whether a document is YAML at all is told by the check of what is
    rendered, not here.

    Args:
        content: The file's bytes.
        path: Its path, for messages.

    Returns:
        The documents in their order; none where the file holds none.

    Raises:
        RenderError: The file is no UTF-8, or holds something around its documents that Argo CD would read otherwise
            than its author; names the file and the line.
    """
    text = _decode(content, path)
    documents: list[Document] = []
    line, counted = 1, 0
    for chunk in _chunks(text, path):
        for begin, end in _objects(text, *chunk):
            line += text.count("\n", counted, begin)
            counted = begin
            documents.append(Document(content=text[begin:end].encode(), path=path, line=line))
    return documents


def join_documents(documents: Iterable[Document]) -> bytes:
    """Return the stream that Argo CD's splitter takes apart into exactly these documents.

    Each begins with a ``---`` line, so that none is ever read as a stream of JSON, and ends with a line end: Argo CD
    loses a last line of 4,096 bytes that has none.
    """
    return b"".join(SEPARATOR + _end_line(document.content) for document in documents)


def place(path: str, line: int) -> str:
    """Return how a message names a line of a file."""
    return f"{path}:{line}"


# What Argo CD's splitter takes for blanks after `---`.
_WHITE = " \t\v\f\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

# What may begin a line between or around documents. A marker must end there or go on with a blank, `---` also with a
# comment; `---x` and `%` lines are only looked at, and so is a byte order mark, which is no text where a line begins.
_SPECIAL_LINE = re.compile(
    rf"^(?P<bom>\ufeff*)(?:(?P<marker>---(?=[#\r\n{_WHITE}]|\Z)|\.\.\.(?=[ \t\r\n]|\Z))(?P<rest>[^\r\n][^\n]*)?\r?$"
    r"|(?P<other>---|%)|(?<=\ufeff))",
    re.MULTILINE,
)

# Blanks and comments; libyaml and Go end lines at U+0085, U+2028 and U+2029, too. Possessive, for a megabyte of line
# ends would otherwise cost hundreds of them.
_BLANK = re.compile(r"(?:[ \t\r\n\x85\u2028\u2029]++|#[^\n\x85\u2028\u2029]*+(?:[\n\x85\u2028\u2029]|\Z))*+")

_NULL = re.compile(r"(?:null|Null|NULL|~)(?=[ \t\r\n]|\Z)")

# What may follow `---` on its line and still means the same on a line of its own: tags and anchors, then nothing,
# a comment, a flow collection or a null.
_MOVABLE = re.compile(r"(?:[!&][^ \t]*(?:[ \t]+|$))*(?:$|[#{\[].*|(?:null|Null|NULL|~)(?:[ \t]+#.*)?$)")

_YAML_DIRECTIVE = re.compile(r"%YAML[ \t]+1\.[0-9]+[ \t]*(?:#[^\n]*)?\r?$", re.MULTILINE)

# A separator on the last line of a JSON object, where that has no line end of its own.
_GLUED_SEPARATOR = re.compile(rf"---[{_WHITE}]*(?:#[^\n]*)?\r?(?:\n|\Z)")

_LONE_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")

_WIDE_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

# Only finds where an object ends, and keeps nothing of it. A raw tab in a string is for YAML to judge.
_JSON = json.JSONDecoder(object_pairs_hook=lambda _: None, parse_int=str, parse_float=str, strict=False)


def _decode(content: bytes, path: str) -> str:
    for mark, encoding in _WIDE_ENCODINGS:
        if content.startswith(mark):
            raise RenderError(f"{place(path, 1)}: the file is {encoding}: save it as UTF-8")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RenderError(
            f"{place(path, line)}: the file is not UTF-8 (byte 0x{content[error.start]:02x}): save it as UTF-8"
        ) from error
    if "\0" in text:
        _refuse(text, path, text.index("\0"), "there is a NUL character: save the file as UTF-8 text")
    if "\r" in text and (found := _LONE_CARRIAGE_RETURN.search(text)):
        _refuse(
            text,
            path,
            found.start(),
            "a carriage return stands without a line feed, and Argo CD reads that otherwise than YAML does: "
            'end lines with LF or CRLF, and write "\\r" inside of double quotes where one is meant',
        )
    return text


def _chunks(text: str, path: str) -> Iterator[tuple[int, int]]:
    """Yield where every chunk between boundaries begins and ends that holds more than blanks and comments."""
    begin, is_started = 0, False
    for special in _SPECIAL_LINE.finditer(text):
        at = special.start()
        is_started = is_started or _skip_blank(text, begin, at) < at
        if special["marker"]:
            if is_started:
                yield begin, at
            begin, is_started = _after_marker(text, path, special), False
        elif special["other"] == "---":
            _refuse(
                text,
                path,
                at,
                "the line begins with `---` and goes on, which Argo CD takes for a broken separator: "
                "end the line after `---`, or indent it if it belongs to a text",
            )
        elif is_started and not text[at:].strip("\ufeff \t\r\n"):
            yield begin, at  # what an empty file leaves that was put after this one
            return
        elif is_started and not _begins_document(text, special):
            _refuse_inside(text, path, special)
        elif special["other"]:
            if is_started:
                yield begin, at
            begin, is_started = _after_directive(text, path, special.end() - 1), False
        else:
            begin = special.end()
    if _skip_blank(text, begin, len(text)) < len(text):
        yield begin, len(text)


def _after_marker(text: str, path: str, special: re.Match[str]) -> int:
    """Return where the content begins that a ``---`` or ``...`` line opens."""
    rest = (special["rest"] or "").strip(_WHITE + "\r")
    if not rest:
        return min(special.end() + 1, len(text))
    if special["marker"] == "..." and not rest.startswith("#"):
        _refuse(text, path, special.start(), "text follows `...` on its line: put it below a `---` line")
    if not _MOVABLE.match(rest):
        _refuse(text, path, special.start(), "text follows `---` on its line: put it on the line below")
    return text.index(rest, special.start("rest"))


def _begins_document(text: str, special: re.Match[str]) -> bool:
    """Tell whether a ``%YAML`` line has its ``---`` line, and so begins another document where one has not ended."""
    directive = _YAML_DIRECTIVE.match(text, special.end() - 1) if special["other"] else None
    return directive is not None and text.startswith("---", _skip_blank(text, directive.end(), len(text)))


def _after_directive(text: str, path: str, at: int) -> int:
    """Return where the line after a directive begins; only ``%YAML 1.x``, which Go stumbles over, may be left out."""
    directive = _YAML_DIRECTIVE.match(text, at)
    if directive is None:
        _refuse(
            text,
            path,
            at,
            "a line begins with `%`, and Argo CD reads no directives: write tags out, remove the line, "
            "or indent it if it belongs to a text",
        )
    following = _skip_blank(text, directive.end(), len(text))
    if not text.startswith(("---", "%"), following):
        _refuse(text, path, at, "no `---` line follows the `%YAML` line: remove the line")
    return min(directive.end() + 1, len(text))


def _refuse_inside(text: str, path: str, special: re.Match[str]) -> None:
    """Refuse what shows that another file begins in the midst of a document; leave anything else to the YAML parser."""
    if special["bom"]:
        what = "a byte order mark"
    elif text.startswith("YAML", special.end()):
        what = "a `%YAML` line"
    else:
        return
    _refuse(text, path, special.start(), f"{what} stands inside of a document: put a `---` line between the two files")


def _objects(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where every object of one chunk begins and ends: one, or several where the first ones are JSON."""
    at = _skip_blank(text, begin, end)
    null = _NULL.match(text, at, end)
    if null and _skip_blank(text, null.end(), end) == end:
        return
    while text[at] == "{":
        try:
            stop = _JSON.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            break  # not JSON, or too deep: the parser's events tell
        following = _skip_blank(text, stop, end)
        if glued := _GLUED_SEPARATOR.match(text, following, end):
            yield begin, following
            begin = glued.end()
            at = _skip_blank(text, begin, end)
            if at == end:
                return
            continue
        if stop > end or following == end or (text[following] not in "{[" and "\n" not in text[stop:following]):
            break
        cut = text.find("\n", stop, following) + 1 or following
        yield begin, cut
        begin, at = cut, following
    yield begin, end


def _skip_blank(text: str, begin: int, end: int) -> int:
    found = _BLANK.match(text, begin, end)
    return found.end() if found else begin


def _end_line(content: bytes) -> bytes:
    return content if content.endswith(b"\n") else content + b"\n"


def _refuse(text: str, path: str, at: int, message: str) -> NoReturn:
    line = text.count("\n", 0, at) + 1
    raise RenderError(f"{place(path, line)}: {message}")
