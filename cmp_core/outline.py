"""Read the outline of one document: its upper levels, from libyaml's events, which need no constructed value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from cmp_core.documents import Document, place
from cmp_core.errors import RenderError

MAX_DEPTH = 256
"""How deep a document may nest. The deepest real ones, schemas of custom resources, have some forty levels."""

# The root, `items`, an item, its `metadata` and what stands in there: nothing below is ever asked for.
_KEPT_DEPTH = 5

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NULL_TAG = "tag:yaml.org,2002:null"
_MERGE_TAG = "tag:yaml.org,2002:merge"

# All that is ever asked of a mapping. Merging no other key bounds what a chain of merges can cost.
_ASKED = frozenset({"apiVersion", "kind", "metadata", "items", "spec", "status", "name", "namespace"})

_SECOND = (
    "something follows the object that Argo CD would drop without a word: "
    "begin every document with a line `---`, and end none with `...`"
)

_NO_TEXT = (
    "a list or mapping stands where a key must, as `{{ … }}` in a template does: "
    "store what the template renders to, or write `key: value`"
)

# What Argo CD's reader and YAML disagree on: a line that begins with `---`, a byte order mark where a line begins, and
# a carriage return alone.
_HAZARD = re.compile(r"^---|(?:^|[\x85\u2028\u2029])\ufeff|\r(?!\n)", re.MULTILINE)

_UNREADABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPED_SLASH = re.compile(r"(?<!\\)(?:\\\\)*+\\/")


@dataclass(slots=True, eq=False)
class Node:
    """One node of a document: a scalar, a list or a mapping.

    Attributes:
        event: The event of libyaml that begins it; which attributes it has depends on its class.
        children: The items of a list; the keys and values of a mapping, by turns.
        merged: What `entries` has worked out.
    """

    event: Any
    children: list["Node"] = field(default_factory=list)
    merged: dict[str, "Node"] | None = None

    @property
    def is_mapping(self) -> bool:
        """Tell whether it holds keys and values."""
        return self.event.__class__ is MappingStartEvent

    @property
    def is_list(self) -> bool:
        """Tell whether it holds items."""
        return self.event.__class__ is SequenceStartEvent

    @property
    def is_plain(self) -> bool:
        """Tell whether it is a scalar without quotes and tag, whose text decides on its type."""
        return self.event.__class__ is ScalarEvent and bool(self.event.implicit[0])

    @property
    def is_null(self) -> bool:
        """Tell whether it stands for no value."""
        return (self.is_plain and self.event.value in _NULLS) or self.event.tag == _NULL_TAG

    @property
    def text(self) -> str | None:
        """The text of a scalar; None for anything else and for null."""
        return None if self.event.__class__ is not ScalarEvent or self.is_null else str(self.event.value)

    @property
    def line(self) -> int:
        """The line of the document on which it begins, counted from 0."""
        return int(self.event.start_mark.line)


def read_outline(document: Document) -> Node:
    """Parse a document and return its root, of which only the upper levels are kept.

    Raises:
        RenderError: It is no YAML that Argo CD can read, or Argo CD would read only part of it; names file and line.
    """
    text = _read_text(document)
    try:
        root = _Reader(document, text).read()
        if "\\/" in text:
            _refuse_escaped_slashes(document, text)
    except yaml.MarkedYAMLError as error:
        raise _explain(document, text, error) from error
    except yaml.YAMLError as error:
        raise _explain_character(document, text) from error
    return root


def pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the keys and values of a mapping as they are written."""
    return zip(node.children[::2], node.children[1::2], strict=True)


def is_merge(key: Node) -> bool:
    """Tell whether a key is the merge key ``<<``."""
    return key.text == "<<" and (key.is_plain or key.event.tag == _MERGE_TAG)


def entries(node: Node | None) -> dict[str, Node]:
    """Return what a mapping holds as Argo CD sees it, of the keys that matter; nothing for any other node.

    The last of two equal keys wins. So does a merge over a key that stands before it: that is not what YAML says, but
    what Argo CD's parser does.
    """
    if node is None or not node.is_mapping:
        return {}
    if node.merged is None:
        found: dict[str, Node] = {}
        for key, value in pairs(node):
            if is_merge(key):
                for source in reversed(value.children if value.is_list else [value]):
                    found.update(entries(source))
            elif key.text in _ASKED:
                found[key.text] = value
        node.merged = found
    return node.merged


class _Reader:
    """Builds the outline of one document out of its events."""

    def __init__(self, document: Document, text: str) -> None:
        self.document = document
        self.parser = yaml.CBaseLoader(text)
        self.top = Node(yaml.StreamStartEvent())
        self.stack = [self.top]
        self.has_anchors = "&" in text
        is_whole = self.has_anchors or "<<" in text or "{{" in text
        self.kept_depth = MAX_DEPTH if is_whole else _KEPT_DEPTH
        self.anchors: dict[str, Node] = {}

    def read(self) -> Node:
        try:
            self._read_events()
        except yaml.MarkedYAMLError as error:
            if len(self.stack) == 1 and self.top.children:
                self._refuse(error.problem_mark, _SECOND)
            raise
        finally:
            self.parser.dispose()
        if not self.top.children:
            raise RenderError(f"{place(self.document.path, self.document.line)}: the document is empty: leave it out")
        return self.top.children[0]

    def _read_events(self) -> None:
        """Go through the events; this loop is most of what a check costs, so the commonest comes first."""
        next_event, stack, kept_depth = self.parser.get_event, self.stack, self.kept_depth
        while (event := next_event()) is not None:
            kind = event.__class__
            if kind is ScalarEvent:
                if len(stack) <= kept_depth:
                    stack[-1].children.append(self._node(event))
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                stack.pop()
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._push(event)
            elif kind is AliasEvent:
                stack[-1].children.append(self._resolve(event))
            else:
                self._check_frame(event)

    def _push(self, event: Any) -> None:
        depth = len(self.stack)
        if depth > MAX_DEPTH:
            self._refuse(event.start_mark, f"the document nests deeper than {MAX_DEPTH} levels: make it flatter")
        if depth > self.kept_depth:
            self.stack.append(self.top)  # a stand-in: nothing is added to it
            return
        parent = self.stack[-1]
        if parent.is_mapping and len(parent.children) % 2 == 0:
            self._refuse(event.start_mark, _NO_TEXT)
        node = self._node(event)
        parent.children.append(node)
        self.stack.append(node)

    def _node(self, event: Any) -> Node:
        node = Node(event)
        if self.has_anchors and event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _resolve(self, event: Any) -> Node:
        name = event.anchor
        node = self.anchors.get(name)
        if node is None:
            self._refuse(
                event.start_mark,
                f"the alias `*{name}` has no anchor before it: `&{name}` must stand in the same document",
            )
        if node in self.stack:
            self._refuse(event.start_mark, f"the alias `*{name}` stands inside of what it stands for: write it out")
        entries(node)  # now, so that a chain of merges is never followed down in one go
        return node

    def _check_frame(self, event: Any) -> None:
        """Refuse ``---`` and ``...``, and so a second document: Argo CD would drop what follows without a word.

        No line of the text begins with ``---``, but libyaml and Go begin lines after U+2028 and its like, too.
        """
        if getattr(event, "explicit", False):
            self._refuse(event.start_mark, _SECOND)

    def _refuse(self, mark: Any, message: str) -> NoReturn:
        raise RenderError(f"{place(self.document.path, self.document.line + int(mark.line))}: {message}")


def _read_text(document: Document) -> str:
    """Return the document's text, provided that it may stand in a stream that Argo CD splits."""
    try:
        text = document.content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = document.line + document.content.count(b"\n", 0, error.start)
        raise RenderError(f"{place(document.path, line)}: the document is not UTF-8: write UTF-8") from error
    if ("---" in text or "\ufeff" in text or "\r" in text) and (found := _HAZARD.search(text)):
        line = document.line + text.count("\n", 0, found.start())
        raise RenderError(
            f"{place(document.path, line)}: a document may hold no line that begins with `---` or a byte order mark, "
            "and no carriage return without a line feed: split it into its documents"
        )
    return text


def _refuse_escaped_slashes(document: Document, text: str) -> None:
    r"""Refuse ``\/`` between double quotes: JSON and libyaml know it, the YAML parser of Argo CD does not."""
    events: Iterator[Any] = yaml.parse(text, Loader=yaml.CBaseLoader)
    for event in events:
        if event.__class__ is ScalarEvent and event.style == '"':
            begin, end = _span(event)
            if found := _ESCAPED_SLASH.search(text, begin, end):
                line = document.line + text.count("\n", 0, found.start())
                raise RenderError(f"{place(document.path, line)}: Argo CD cannot read the escape `\\/`: write `/`")


def _span(event: Any) -> tuple[int, int]:
    return int(event.start_mark.index), int(event.end_mark.index)


def _explain(document: Document, text: str, error: yaml.MarkedYAMLError) -> RenderError:
    mark = error.problem_mark or error.context_mark
    index = int(mark.line) if mark else 0
    where = place(document.path, document.line + index)
    lines = text.split("\n")
    if _SURROGATE.search(lines[min(index, len(lines) - 1)]):
        return RenderError(
            f"{where}: Argo CD cannot read an escaped surrogate pair such as `\\ud83d\\ude00`: "
            "write the character itself (in Python, `json.dumps(…, ensure_ascii=False)`)"
        )
    what = " ".join(filter(None, (error.problem, error.context)))
    return RenderError(f"{where}: this is not valid YAML ({what}): correct it, or leave the file out with `exclude`")


def _explain_character(document: Document, text: str) -> RenderError:
    found = _UNREADABLE.search(text)
    at, name = (found.start(), f"U+{ord(found[0]):04X}") if found else (0, "of an unknown kind")
    where = place(document.path, document.line + text.count("\n", 0, at))
    return RenderError(f"{where}: YAML forbids the control character {name}: remove it, or write it as an escape")
