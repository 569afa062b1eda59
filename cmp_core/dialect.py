"""Own what libyaml reads and Argo CD's parser of YAML does not, or not the same: found, and refused by line.

Argo CD parses twice. What the first pass makes of a document is written as JSON, which the second one reads as YAML.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from yaml import ScalarEvent

from cmp_core.documents import SEPARATOR, Document, place
from cmp_core.errors import RenderError
from cmp_core.nodes import Node, is_merge, pairs
from cmp_core.scalars import MOST_INT, TAG, is_boolean, is_timestamp, json_length, read_key, read_number

# One look at the text tells that nothing of this module can be in it, as in nearly every manifest. A sign of YAML is
# one only where a node may begin; inside of brackets a `?` matters wherever it stands.
_MARKS = ("\\/", "\x85", "\ufeff")
_NODE = r"(?<![^\s\[{,:]%s)"
_PATTERNS = (
    re.compile("&" + _NODE % "&" + "[0-9A-Za-z_-]"),
    re.compile(r"\?" + _NODE % r"\?" + r"(?=\s|\Z)"),
    re.compile("<<" + _NODE % "<<" + r"[ \t]*+:"),
    re.compile(r"\{\{" + _NODE % r"\{\{"),
    re.compile("!" + _NODE % "!"),
    re.compile(r"\.(?:inf|Inf|INF|nan|NaN|NAN)"),
    re.compile(r"\\(?:N|x[7-9]|u00[7-9]|u[fF]{3}[eEfF]|U0000(?:00[7-9]|[fF]{3}))"),
    re.compile(r"[\]}][ \t]*:"),
    re.compile(r"(?:null|Null|NULL|~)[ \t]*:"),
    re.compile(r"""["'](?:-?[0-9][0-9.e+-]*|-?\.inf|\.nan|true|false)["'][ \t]*:"""),
    re.compile(r"[0-9][.eE][-+_0-9.eE]*+[ \t]*:"),
    re.compile(r"[0-9](?<![0-9a-fA-FxXoO_].)[0-9a-fA-FxXoO_]{17,}+[ \t]*:"),
)
_BRACKET = re.compile(r"[\[{](?<!\S[\[{])(?![\]}])")

NO_KEY = (
    "a list or mapping stands where a key must, as `{{ … }}` in a template does: "
    "store what the template renders to, or write `key: value`"
)

_UNSPEAKABLE = re.compile(r"[\x7f-\x9f\ufffe\uffff]")
# Argo CD's parser takes in so many bytes at a time, cut at the begin of a character, and looks ahead so far.
_BLOCK_BYTES = 512
_AHEAD_CHARACTERS = 8
_BYTE_ORDER_MARK = "\ufeff".encode()

_TYPES = {"string": "text", "bool": "boolean", "int": "whole number", "float64": "number with a fraction or exponent"}

_BLOCK_STYLES = frozenset("|>")
_BREAK = re.compile(r"[\r\n\x85\u2028\u2029]")
_BARE_TAG = re.compile(r"!\S*")
_ESCAPED_SLASH = re.compile(r"(?<!\\)(?:\\\\)*+\\/")

# The parser of the second pass gives up a key in quotes that is longer, as YAML has it.
_MOST_KEY = 1024

SAFE_KEY = _MOST_KEY // 6 - 1
"""A key of so many characters is never too long, even if each of them is escaped."""

# Beyond that number of nodes nothing about aliases changes.
_MOST_NODES = 4_000_000_000


def is_suspect(text: str) -> bool:
    """Tell whether a document must be kept whole for `check_dialect`; if not, there is nothing for it to find."""
    return (
        any(mark in text for mark in _MARKS)
        or any(pattern.search(text) for pattern in _PATTERNS)
        or ("?" in text and bool(_BRACKET.search(text)))
    )


def check_dialect(document: Document, text: str, root: Node) -> None:
    """Refuse what Argo CD's parser would refuse, or read as something else, though libyaml has read it.

    Args:
        document: What is checked, for messages.
        text: Its content.
        root: All of its nodes.

    Raises:
        RenderError: Names the file and the line.
    """
    judge = _Judge(document, text)
    if "\ufeff" in text:
        judge.check_byte_order_marks()
    size = judge.visit(root, is_in_flow=False)
    if _is_excessive(size + 1, size - judge.own):
        judge.refuse(root, "aliases multiply the document beyond what Argo CD reads: write some of them out")


def check_key_length(document: Document, node: Node) -> None:
    """Refuse a key that Argo CD's parser can read in a document, but no more in the JSON that it makes of it.

    Raises:
        RenderError: Names the file and the line.
    """
    key = read_key(node)
    if key and (length := json_length(key.name)) > _MOST_KEY:
        raise RenderError(
            f"{place(document.path, document.line + node.line)}: the key `{key.name[:40]}…` takes {length:,} "
            f"characters in JSON, and Argo CD reads at most {_MOST_KEY:,}: shorten it"
        )


class _Judge:
    """Goes through the nodes of one document, and once through what aliases share.

    Attributes:
        own: How many nodes are written there, an alias being one.
    """

    def __init__(self, document: Document, text: str) -> None:
        self.document = document
        self.text = text
        self.own = 0
        self.sizes: dict[Node, int] = {}

    def visit(self, node: Node, *, is_in_flow: bool) -> int:
        """Check what is below a node, and return how many nodes that is once the aliases are written out."""
        self.own += 1
        if node in self.sizes:
            return 1 + self.sizes[node]  # an alias, and what it stands for
        size = 1
        if node.event.__class__ is ScalarEvent:
            self._check_scalar(node, is_in_flow=is_in_flow)
        elif node.is_list:
            for child in node.children:
                size += self.visit(child, is_in_flow=bool(node.event.flow_style))
                self._check_value(child)
        else:
            size += self._visit_pairs(node)
        self.sizes[node] = min(size, _MOST_NODES)
        return size

    def check_byte_order_marks(self) -> None:
        """Refuse a byte order mark with which Argo CD's parser begins a block.

        It then skips the first character of every line until the next block: most often that is an error, and now and
        then another value. Argo CD splits off the first document of a stream together with its `---` line.
        """
        chunk = self.text.replace("\r\n", "\n").encode()
        for lead in (b"", SEPARATOR):
            at = _find_fatal_mark(lead + chunk)
            if at is not None:
                self.refuse(
                    chunk.count(b"\n", 0, at - len(lead)),
                    "Argo CD's parser loses characters after a byte order mark (U+FEFF) at this very place: "
                    "remove it, or write `\\ufeff` inside of double quotes",
                )

    def _visit_pairs(self, node: Node) -> int:
        size = 0
        is_in_flow = bool(node.event.flow_style)
        types: dict[str, str] = {}
        for key, value in pairs(node):
            if is_merge(key):
                self._check_merge(key, value)
            else:
                size += self.visit(key, is_in_flow=is_in_flow)
                self._check_key(key, types)
                self._check_value(value)
            size += self.visit(value, is_in_flow=is_in_flow)
        return size

    def _check_scalar(self, node: Node, *, is_in_flow: bool) -> None:
        event = node.event
        value, written = event.value, self.text[event.start_mark.index : event.end_mark.index]
        if is_in_flow and _BARE_TAG.fullmatch(written) and self.text.startswith((",", "]", "}"), event.end_mark.index):
            self.refuse(node, "Argo CD takes what follows for a part of the tag: put a blank behind the tag")
        fits = _FITS.get(event.tag)
        if fits and not fits(value):
            self.refuse(node, f"the value does not fit its tag `!!{event.tag.removeprefix(TAG)}`: correct it")
        if event.style in _BLOCK_STYLES:
            written = _BREAK.split(written, maxsplit=1)[-1]  # the header may end in a comment
        if "\x85" in value or "\x85" in written:
            self.refuse(node, "Argo CD turns the character U+0085 into a blank or a line end: remove it")
        if found := _UNSPEAKABLE.search(value):
            self.refuse(node, f"Argo CD reads no character U+{ord(found[0]):04X}, not even as an escape: remove it")
        if event.style == '"' and (slash := _ESCAPED_SLASH.search(written)):
            line = node.line + written.count("\n", 0, slash.start())
            self.refuse(line, "Argo CD cannot read the escape `\\/`: write `/`")
        if is_in_flow and not event.style and "?" in written:
            self.refuse(node, "Argo CD takes a `?` inside of brackets for the sign of a key: put the text in quotes")

    def _check_key(self, node: Node, types: dict[str, str]) -> None:
        """Refuse a key that is no text, and one that stands there in two types, of which chance takes one."""
        if node.is_list or node.is_mapping:
            self.refuse(node, NO_KEY)
        key = read_key(node)
        if key is None or key.type == "uint64":
            self.refuse(node, "a key is no text: write `key: value`, with the key in quotes")
        check_key_length(self.document, node)
        if types.setdefault(key.name, key.type) != key.type:
            self.refuse(
                node,
                f"two keys become `{key.name}`, one of them written as a {_TYPES[key.type]}, and chance decides "
                "which of them Argo CD keeps: remove one",
            )

    def _check_value(self, value: Node) -> None:
        event = value.event
        if event.__class__ is ScalarEvent and (value.is_plain or event.tag == f"{TAG}float"):
            number = read_number(event.value)
            if number is not None and not math.isfinite(number):
                self.refuse(
                    value, f"JSON and Kubernetes know no number `{event.value}`: put it in quotes if it is text"
                )

    def _check_merge(self, key: Node, value: Node) -> None:
        is_alias = value in self.sizes
        merged = value.children if value.is_list and not is_alias else [value]
        if not all(node.is_mapping for node in merged):
            self.refuse(key, "`<<` merges a mapping, or a list of mappings that is written there, and nothing else")

    def refuse(self, place_: Node | int, message: str) -> NoReturn:
        line = place_ if isinstance(place_, int) else place_.line
        raise RenderError(f"{place(self.document.path, self.document.line + line)}: {message}")


def _find_fatal_mark(chunk: bytes) -> int | None:
    """Return where a byte order mark may become the first character of a block of Argo CD's parser."""
    end = _BLOCK_BYTES
    while end < len(chunk):
        while chunk[end] & 0xC0 == 0x80:
            end -= 1
        at = chunk.rfind(_BYTE_ORDER_MARK, max(end - 4 * _AHEAD_CHARACTERS, 0), end + len(_BYTE_ORDER_MARK))
        if at >= 0 and len(chunk[at:end].decode()) <= _AHEAD_CHARACTERS:
            return at
        end += _BLOCK_BYTES
    return None


def _is_excessive(nodes: int, copied: int) -> bool:
    """Tell what Argo CD's parser takes for an attack: by far the most of many nodes come from aliases."""
    if copied <= 100 or nodes <= 1000:
        return False
    shrinking = min(max((nodes - 400_000) / 3_600_000, 0.0), 1.0)
    return copied / nodes > 0.99 - 0.89 * shrinking


def _is_text_in_base64(value: str) -> bool:
    try:
        base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return False
    return True


def _is_float(value: str) -> bool:
    number = read_number(value)
    return number is not None and not (isinstance(number, int) and number > MOST_INT)


# Whether a value fits its tag.
_FITS: Mapping[str, Callable[[str], object]] = {
    f"{TAG}bool": is_boolean,
    f"{TAG}null": re.compile(r"|~|null|Null|NULL").fullmatch,
    f"{TAG}int": lambda text: isinstance(read_number(text), int),
    f"{TAG}float": _is_float,
    f"{TAG}timestamp": is_timestamp,
    f"{TAG}binary": _is_text_in_base64,
}  # fmt: skip
