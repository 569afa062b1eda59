"""Read a small YAML file that a person wrote: bounded, without aliases, every scalar as its text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 16

KeyPath = tuple[str | int, ...]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no YAML text may hold; libyaml refuses it as well, but does not tell the line."""


class PlainText(str):
    """A scalar that stands in the file without quotes, and whose type another reader may guess.

    To everyone here it is text like any other; `cmp_core.yamltext` alone makes a difference.
    """

    __slots__ = ()


class MalformedYamlError(Exception):
    """The text is not YAML of the kind that is read here.

    Attributes:
        line: Where, counted from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        """Keep the message and its line."""
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class YamlTree:
    """One YAML mapping as plain values, and where each of them stands.

    Attributes:
        values: The mapping; every scalar is its text (``1.10`` stays ``1.10``), an empty or null one is None.
        lines: The line of every key and list item, counted from 1.
        duplicates: The key paths that stand there more than once, with the line of the later one.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    duplicates: list[tuple[KeyPath, int]] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(content: bytes, *, max_bytes: int) -> YamlTree:
    """Parse one YAML document whose root is a mapping; an empty one is an empty mapping.

    Args:
        content: The bytes of the file, or its first ``max_bytes + 1``.
        max_bytes: The most it may have.

    Raises:
        MalformedYamlError: It is too large or too deep, is no UTF-8, is broken, holds several documents, an alias
            or a tag, or its root is no mapping.
    """
    if len(content) > max_bytes:
        raise MalformedYamlError(f"is larger than {max_bytes // 1024} KiB: keep only the keys that it needs", 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedYamlError("is not UTF-8: save it as UTF-8", line) from error
    if forbidden := _FORBIDDEN.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        raise MalformedYamlError(f"holds the character U+{ord(forbidden[0]):04X}, which YAML forbids: remove it", line)
    return _Reader(text).read()


class _Reader:
    """Builds a `YamlTree` from libyaml's events, which unlike its nodes cost no stack."""

    def __init__(self, text: str) -> None:
        self.tree = YamlTree()
        self.length = len(text)
        self.events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.CBaseLoader))

    def read(self) -> YamlTree:
        try:
            self._read_stream()
        except yaml.MarkedYAMLError as error:
            what = " ".join(filter(None, (error.problem, error.context)))
            raise MalformedYamlError(
                f"is not valid YAML ({what}): mend the line, or put its value in quotes", self._line_of(error)
            ) from error
        return self.tree

    def _line_of(self, error: yaml.MarkedYAMLError) -> int:
        """Return the line to mend: where a quote opens, if the parser noticed at the end of the file."""
        marks = [mark for mark in (error.problem_mark, error.context_mark) if mark]
        return next((mark.line for mark in marks if mark.index < self.length), marks[-1].line if marks else 0) + 1

    def _read_stream(self) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise MalformedYamlError("holds more than one document: keep one", _line(event))
            elif isinstance(event, yaml.MappingStartEvent):
                if event.tag:
                    raise MalformedYamlError(f"uses the tag `{event.tag}`: write the plain value", _line(event))
                self.tree.values = self._read_mapping(())
            elif isinstance(event, yaml.ScalarEvent) and _scalar(event) is None:
                continue
            elif isinstance(event, yaml.NodeEvent):
                raise MalformedYamlError("is not a mapping: write `key: value` lines", _line(event))

    def _read_value(self, event: yaml.Event, path: KeyPath) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise MalformedYamlError(f"uses the alias `*{event.anchor}`: write the value out", _line(event))
        if tag := getattr(event, "tag", None):
            raise MalformedYamlError(f"uses the tag `{tag}`: write the plain value", _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if len(path) > MAX_DEPTH:
            raise MalformedYamlError(f"is nested deeper than {MAX_DEPTH} levels: flatten it", _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self._read_mapping(path)
        return self._read_list(path)

    def _read_mapping(self, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise MalformedYamlError("has a key that is not plain text: write `key: value`", _line(key))
            if key.tag:
                raise MalformedYamlError(f"uses the tag `{key.tag}`: write the plain key", _line(key))
            name = _text(key)
            here = (*path, name)
            if name in mapping:
                self.tree.duplicates.append((here, _line(key)))
            self.tree.lines.setdefault(here, _line(key))
            mapping[name] = self._read_value(next(self.events), here)
        return mapping

    def _read_list(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.tree.lines[here] = _line(event)
            items.append(self._read_value(event, here))
        return items


def _scalar(event: yaml.ScalarEvent) -> str | None:
    is_null = event.implicit[0] and event.value in _NULLS
    return None if is_null else _text(event)


def _text(event: yaml.ScalarEvent) -> str:
    return PlainText(event.value) if event.implicit[0] else str(event.value)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
