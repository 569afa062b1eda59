"""Read the outline of one document: its upper levels, from libyaml's events, which need no constructed value."""

import re
from collections.abc import Callable
from typing import Any, NoReturn

import yaml
from yaml import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from cmp_core.dialect import NO_KEY, SAFE_KEY, check_dialect, check_key_length, is_suspect
from cmp_core.documents import Document, place
from cmp_core.errors import RenderError
from cmp_core.nodes import Node, entries

MAX_DEPTH = 256
"""How deep a document may nest. The deepest real ones, schemas of custom resources, have some forty levels."""

# The root, `items`, an item, its `metadata` and what stands in there: nothing below is ever asked for.
_KEPT_DEPTH = 5

_SECOND = (
    "something follows the object that Argo CD would drop without a word: "
    "begin every document with a line `---`, and end none with `...`"
)

# What Argo CD's reader and YAML disagree on: a line that begins with `---`, a byte order mark where a line begins, and
# a carriage return alone.
_HAZARD = re.compile(r"^---|(?:^|[\x85\u2028\u2029])\ufeff|\r(?!\n)", re.MULTILINE)

# What begins or ends a document, also behind what ends a line for libyaml and Go only.
_MARKER = re.compile(r"(?:\A|[\x85\u2028\u2029])(?:---|\.\.\.|%)")

_UNREADABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DOUBLE_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ESCAPED_QUOTE = re.compile(r"((?<!\\)(?:\\\\)*+)\\'")
_MOST_REWRITTEN = 100

_COLON = re.compile(r"[ \t]*+:")

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_outline(document: Document) -> Node:
    """Parse a document and return its root, of which only the upper levels are kept.

    Raises:
        RenderError: It is no YAML that Argo CD can read, or Argo CD would read only part of it; names file and line.
    """
    text = _read_text(document)
    is_whole = is_suspect(text)
    for _ in range(_MOST_REWRITTEN + 1):
        reader = _Reader(document, text, is_whole=is_whole)
        try:
            root = reader.read()
        except yaml.MarkedYAMLError as error:
            rewritten = _rewrite_quotes(text, error)
            if rewritten == text:
                raise _explain(document, text, error) from error
            text = rewritten
        except yaml.YAMLError as error:
            raise _explain_character(document, text) from error
        else:
            if is_whole or not reader.has_lone_keys:
                break
            is_whole = True
    else:
        raise RenderError(
            f"{place(document.path, document.line)}: more than {_MOST_REWRITTEN} texts hold the escape `\\'`, "
            "which is none in YAML: write `'`"
        )
    if is_whole:
        check_dialect(document, text, root)
    return root


class _Reader:
    """Builds the outline of one document out of its events."""

    def __init__(self, document: Document, text: str, *, is_whole: bool) -> None:
        self.document = document
        self.text = text
        self.parser = yaml.CBaseLoader(text)
        self.top = Node(yaml.StreamStartEvent())
        self.stack = [self.top]
        self.has_anchors = "&" in text
        self.has_lone_keys = False
        self.kept_depth = MAX_DEPTH if is_whole else _KEPT_DEPTH
        self.anchors: dict[str, Node] = {}

    def read(self) -> Node:
        try:
            self._read_events()
        except yaml.MarkedYAMLError as error:
            if len(self.stack) == 1 and (self.top.children or _MARKER.search(self.text)):
                self._refuse(error.problem_mark, _SECOND)
            raise
        finally:
            self.parser.dispose()
        if not self.top.children:
            raise RenderError(f"{place(self.document.path, self.document.line)}: the document is empty: leave it out")
        return self.top.children[0]

    def _read_events(self) -> None:
        """Go through the events; this loop is most of what a check costs, so the commonest comes first."""
        next_event: Callable[[], Any] = self.parser.get_event
        stack, kept_depth = self.stack, self.kept_depth
        while (event := next_event()) is not None:
            kind = event.__class__
            if kind is ScalarEvent:
                if len(stack) <= kept_depth:
                    stack[-1].children.append(self._node(event))
                if not 0 < len(event.value) <= SAFE_KEY:
                    self._look_behind(event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                stack.pop()
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._push(event)
            elif kind is AliasEvent:
                stack[-1].children.append(self._resolve(event))
            else:
                self._check_frame(event)

    def _look_behind(self, event: Any) -> None:
        """Check a long scalar that a colon follows, and so is a key; find keys without a value.

        `check_dialect` knows by the text whether a key may be odd, but for what no colon follows. Such a key has an
        empty value, which stands before a comma or bracket. It looks itself at keys that are written with `?`.
        """
        if event.value:
            if _COLON.match(self.text, event.end_mark.index):
                check_key_length(self.document, Node(event))
        elif self.text.startswith((",", "}"), event.end_mark.index):
            self.has_lone_keys = True

    def _push(self, event: Any) -> None:
        depth = len(self.stack)
        if depth > MAX_DEPTH:
            self._refuse(event.start_mark, f"the document nests deeper than {MAX_DEPTH} levels: make it flatter")
        if depth > self.kept_depth:
            self.stack.append(self.top)  # a stand-in: nothing is added to it
            return
        parent = self.stack[-1]
        if parent.is_mapping and len(parent.children) % 2 == 0:
            self._refuse(event.start_mark, NO_KEY)
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


def _rewrite_quotes(text: str, error: yaml.MarkedYAMLError) -> str:
    r"""Return the text with ``\'`` replaced in the scalar that libyaml refuses for it, for the check alone.

    Argo CD's parser knows the escape, though YAML and JSON do not.
    """
    if error.context != "while parsing a quoted scalar" or not error.context_mark:
        return text
    scalar = _DOUBLE_QUOTED.match(text, int(error.context_mark.index))
    if not scalar:
        return text
    return text[: scalar.start()] + _ESCAPED_QUOTE.sub(r"\1\\x27", scalar[0]) + text[scalar.end() :]


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
