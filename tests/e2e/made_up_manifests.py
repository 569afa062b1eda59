"""Own the made-up manifests: YAML and JSON in every style that people and programs write.

Each is written by choices that come from a tape of bytes. Hypothesis draws the tape in one go, which is fast, and
shortens it where a test fails, since an empty tape stands for the first choice everywhere: the plainest.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from e2e.yaml_fragments import (
    CHARACTERS,
    COMMENTS,
    INSIDE,
    KEYS,
    MISFITS,
    QUOTED,
    TAGGED,
    TAGS,
    TRAP_KEYS,
    TRAPS,
    WORDS,
)

T = TypeVar("T")

_NAME = "@NAME@"
_HEADS = [
    f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {_NAME}",
    f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {_NAME}}}",
    f"\"apiVersion\": \"apps/v1\"\n'kind': Deployment\nmetadata:\n    name: '{_NAME}'",
    f"metadata:\n    labels: {{a: 'yes'}}\n    name: {_NAME} # c\nkind: !!str A\napiVersion: !!str b/v1",
    f"apiVersion: &v v1\nkind: A\nmetadata: &n\n  name: {_NAME}\nn: *n\nv: *v",
    f"metadata: {{<<: {{name: {_NAME}}}, namespace: z}}\nkind: A\napiVersion: v1",
    f"? apiVersion\n: v1\n? kind\n: A\nmetadata:\n  generateName: {_NAME}",
]


class _Node(NamedTuple):
    """Part of a document: what stands on the line of its key, and the lines below, which are yet to be indented."""

    head: str
    lines: tuple[str, ...] = ()


class Tape:
    """Bytes that make choices, one after the other; once they are used up, the first choice is taken."""

    def __init__(self, choices: bytes) -> None:
        """Take the choices from these bytes."""
        self._choices = iter(choices)

    def below(self, bound: int) -> int:
        """Return a number from 0 to the bound, which it never is."""
        return next(self._choices, 0) % bound

    def pick(self, options: Sequence[T]) -> T:
        """Return one of at most 256 options."""
        return options[self.below(len(options))]

    def chance(self, odds: int) -> bool:
        """Tell whether a thing happens that does so once in so many times."""
        return self.below(odds) == odds - 1


class Writer:
    """Writes documents in one of the ways of each thing."""

    def __init__(self, tape: Tape, *, has_traps: bool) -> None:
        """Write by the choices of a tape, with what readers stumble over or without."""
        self.tape = tape
        self.has_traps = has_traps
        self.has_anchors = False

    def write_block(self, name: str) -> str:
        """Write a manifest of block style, whose values may be of any."""
        self.has_anchors = False
        lead = self.tape.pick(["", "", "# lead\n", "\n  # lead\n\n", "#\u2028# lead\n", " \n"])
        parts = [self.tape.pick(_HEADS).replace(_NAME, name)]
        keys = self.tape.pick([["data"], ["data", "spec"], [], ["x", "z z"], ['"y"'], ["spec", "status", "items"]])
        parts += ["\n".join(self._entry(key + ":", self._node(3), 2)) for key in keys]
        if self.tape.chance(4):
            parts.reverse()
        trail = self.tape.pick(["", "", "\n# trail", "\n\n\n", "\n#", "\n  # trail", "\n#\u2028#\n"])
        return lead + "\n".join(parts) + trail

    def write_json(self, name: str) -> str:
        """Write a manifest as an encoder of JSON does."""
        return self.tape.pick(["", "", "", " ", "\n"]) + self._encode(self._object(name))

    def write_list(self, name: str) -> str:
        """Write a `kind: List`, of blocks or of JSON."""
        names = [f"{name}-{number}" for number in range(1 + self.tape.below(3))]
        kind = self.tape.pick(["List", "List", "ConfigMapList"])
        if self.tape.chance(2):
            return self._encode({"kind": kind, "apiVersion": "v1", "items": [self._object(item) for item in names]})
        lines = ["apiVersion: v1", f"kind: {kind}", "items:"]
        for item in names:
            lines += ["-", *("  " + line for line in self.write_block(item).strip("\n \t").split("\n"))]
        return "\n".join(lines)

    def _object(self, name: str) -> dict[str, object]:
        value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": self._value(3)}
        return value if self.tape.chance(2) else dict(sorted(value.items()))

    def _encode(self, value: object) -> str:
        return json.dumps(
            value,
            indent=self.tape.pick([None, 2, 4, "\t", 0]),
            ensure_ascii=self.tape.chance(2),
            separators=self.tape.pick([None, None, (",", ":"), (" ,", " :"), (",\n", ":\n")]),
        )

    def _value(self, depth: int) -> object:
        """Make up what JSON can hold."""
        kind = self.tape.below(9 if depth else 6)
        if kind <= 1:
            return self._text()
        if kind == 2:
            return self.tape.pick([0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**25])
        if kind == 3:
            return self.tape.pick(
                [0.0, 1.0, -0.0, 1.5, 1e21, 1e-7, 0.1, 3.141592653589793, 1.7976931348623157e308, 5e-324]
            )
        if kind <= 5:
            return self.tape.pick([None, True, False, "", [], {}])
        size = self.tape.below(4)
        if kind == 6:
            return [self._value(depth - 1) for _ in range(size)]
        return {self.tape.pick(["a", "b.c/d", "e", self._text()]): self._value(depth - 1) for _ in range(size)}

    def _text(self) -> str:
        lines = [self.tape.pick(INSIDE) for _ in range(self.tape.pick([1, 1, 0, 2, 3, 5]))]
        if self._is_trapped(8):
            lines.append(self.tape.pick(CHARACTERS))
        return "\n".join(lines)

    def _node(self, depth: int) -> _Node:
        kind = self.tape.below(12 if depth else 6)
        if kind <= 2:
            return _Node(self._inline(2))
        if kind == 3:
            return self._literal()
        if kind == 4:
            return self._reference()
        if kind == 5:
            return _Node(self._encode(self._value(2)))
        properties = self.tape.pick(["", "", "", "", "!!map" if kind <= 8 else "!!seq", "!x", self._anchor()])
        return _Node(properties, tuple(self._mapping(depth) if kind <= 8 else self._sequence(depth)))

    def _mapping(self, depth: int) -> list[str]:
        width = self.tape.pick([2, 2, 4, 1, 8])
        lines: list[str] = []
        for _ in range(1 + self.tape.below(3)):
            lines += self._entry(self._key() + self.tape.pick([":", ":", ":", " :"]), self._node(depth - 1), width)
        return lines

    def _sequence(self, depth: int) -> list[str]:
        width = self.tape.pick([0, 0, 2])
        lines: list[str] = []
        for _ in range(1 + self.tape.below(3)):
            node = self._node(depth - 1)
            if node.lines and not node.head and self.tape.chance(2):
                lines += ["- " + node.lines[0], *(_indent(line, 2) for line in node.lines[1:])]
            else:
                lines += self._entry("-", node, 2)
        return [_indent(line, width) for line in lines]

    def _entry(self, key: str, node: _Node, width: int) -> list[str]:
        first, *others = f"{key} {node.head}".rstrip(" ").split("\n")
        comment = self.tape.pick(COMMENTS) if not others else ""
        return [first + comment, *(_indent(line, width) for line in (*others, *node.lines))]

    def _key(self) -> str:
        return self.tape.pick(TRAP_KEYS if self._is_trapped(6) else KEYS)

    def _literal(self) -> _Node:
        """Write a block scalar, whose lines may look like anything."""
        header = self.tape.pick("|>") + self.tape.pick(["", "", "-", "+", "2", "1", "2-", "+1", " # c", " "])
        return _Node(header, tuple(self._text().split("\n")))

    def _reference(self) -> _Node:
        """Write a tag, an anchor, or, after an anchor, an alias."""
        if self._is_trapped(4):
            return _Node(self.tape.pick(["*b", "{<<: [*a]}", "{*a : b}", "{<<: x}", "*a", "{<<: *a}", "*zzz"]))
        kind = self.tape.below(4)
        if kind == 0 or (kind == 1 and not self.has_anchors):
            return _Node(self._tagged())
        if kind == 1:
            return self.tape.pick(
                [_Node("*m"), _Node("", ("<<: *m", "x: w")), _Node("{<<: *m, c: d}"), _Node("[*m, *m]")]
            )
        if kind == 2:
            self.has_anchors = True
            return _Node("&m", tuple(self._mapping(1)))
        return _Node(f"{self._anchor()} {self._inline(1)}")

    def _tagged(self) -> str:
        if self._is_trapped(2):
            return self.tape.pick([*MISFITS, f"{self.tape.pick(TAGS)} {self.tape.pick(WORDS)}"])
        return self.tape.pick(TAGGED)

    def _anchor(self) -> str:
        return self.tape.pick(["&a", "&b"])

    def _inline(self, depth: int) -> str:
        """Write a scalar on one line, or a collection in brackets."""
        if self._is_trapped(5):
            return self.tape.pick(TRAPS)
        kind = self.tape.below(10 if depth else 6)
        return self._scalar(kind) if kind <= 5 else self._collection(depth, is_list=kind <= 7)

    def _scalar(self, kind: int) -> str:
        if kind == 3:
            return "'" + self._text().replace("'", "''").replace("\n", "\n\n ") + "'"
        if kind == 4:
            return json.dumps(self._text(), ensure_ascii=self.tape.chance(2))
        return self.tape.pick(QUOTED if kind == 5 else WORDS)

    def _collection(self, depth: int, *, is_list: bool) -> str:
        blank, comma = self.tape.pick([("", ", "), ("", ","), (" ", " , "), ("\n  ", ",\n  "), (" ", ", \n\t")])
        items = [self._inline(depth - 1) for _ in range(self.tape.below(4))]
        end = self.tape.pick(["", "", "", ","]) if items else ""
        if is_list:
            return f"[{blank}{comma.join(items)}{end}{blank}]"
        colon = self.tape.pick([": ", ": ", " : ", ":\n  "])
        return "{" + blank + comma.join(self._key() + colon + item for item in items) + end + blank + "}"

    def _is_trapped(self, odds: int) -> bool:
        return self.has_traps and self.tape.chance(odds)


def _indent(line: str, width: int) -> str:
    return " " * width + line if line else line
