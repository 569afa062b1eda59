"""Own the nodes that a document is made of, as Argo CD's parser sees them: scalars, lists, mappings, merges."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from yaml import MappingStartEvent, ScalarEvent, SequenceStartEvent

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NULL_TAG = "tag:yaml.org,2002:null"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_BINARY_TAG = "tag:yaml.org,2002:binary"

# All that is ever asked of a mapping. Merging no other key bounds what a chain of merges can cost.
_ASKED = frozenset({"apiVersion", "kind", "metadata", "items", "spec", "status", "name", "namespace"})


@dataclass(slots=True, eq=False, repr=False)
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
        return self.event.__class__ is ScalarEvent and self.event.tag is None and bool(self.event.implicit[0])

    @property
    def is_null(self) -> bool:
        """Tell whether it stands for no value."""
        return (self.is_plain and self.event.value in _NULLS) or self.event.tag == _NULL_TAG

    @property
    def text(self) -> str | None:
        """The text of a scalar, decoded where it is tagged as Base64; None for anything else and for null."""
        if self.event.__class__ is not ScalarEvent or self.is_null:
            return None
        return _decode(self.event.value) if self.event.tag == _BINARY_TAG else str(self.event.value)

    @property
    def line(self) -> int:
        """The line of the document on which it begins, counted from 0."""
        return int(self.event.start_mark.line)


def pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the keys and values of a mapping as they are written."""
    return zip(node.children[::2], node.children[1::2], strict=True)


def is_merge(key: Node) -> bool:
    """Tell whether a key is the merge key ``<<``, also behind a lone ``!``, which leaves any other text a text."""
    return key.text == "<<" and (bool(key.event.implicit[0]) or key.event.tag == _MERGE_TAG)


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


def _decode(value: str) -> str:
    """Return the text that stands there in Base64; what is none is refused elsewhere."""
    try:
        return base64.b64decode(value).decode("utf-8")
    except ValueError:
        return value
