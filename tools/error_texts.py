"""Own the list of what errors say: every text that the host and the backends raise, by class, read from the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "…"
LEAST = 16
"""How many characters of a text stand there whatever is filled in; one with fewer says nothing to whoever searches."""


def texts_by_class(classes: set[str]) -> dict[str, list[tuple[str, str]]]:
    """Return for each class what its errors say, in alphabetical order, and which part of cmp-core says it."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path in sorted([*ROOT.glob("cmp_core/*.py"), *ROOT.glob("backends/*/src/**/*.py")]):
        part = "host" if path.parent.name == "cmp_core" else path.relative_to(ROOT / "backends").parts[0]
        for name, text in _raised(ast.parse(path.read_text(encoding="utf-8")), classes):
            found.setdefault(name, set()).add((text, part))
    return {name: sorted(found[name], key=lambda item: item[0].lstrip("`…: ").lower()) for name in found}


def _raised(module: ast.Module, classes: set[str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes and node.args:
            text = _text(node.args[0])
            if len(text.replace(PLACEHOLDER, "").strip(" :`")) >= LEAST:
                yield node.func.id, text


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return PLACEHOLDER
