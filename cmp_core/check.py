"""Own what every render must hold to before it is printed: whole objects, each of them once, and at least one."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from cmp_core.documents import Document, place
from cmp_core.environment import Application
from cmp_core.errors import EmptyRenderError, RenderError
from cmp_core.nodes import Node, entries, is_merge, pairs
from cmp_core.outline import read_outline
from cmp_core.scalars import read_key

NEVER_EMPTY = "an empty result is never a success, because Argo CD would keep it and prune what runs"

_MOST_PROBLEMS = 10

Identity = tuple[str, str, str, str]
"""Group, kind, namespace and name of an object."""


def check_documents(documents: Iterable[Document], application: Application, what: str) -> list[Document]:
    """Return the documents of a render, provided that Argo CD will see in them what their authors meant.

    Each is one YAML document that Argo CD can read, an object with ``apiVersion`` and ``kind``, without a top-level
    key that stands there twice: that is what two files glued together look like, of which Argo CD keeps the last.
    Further down the last of two equal keys wins, here as in Argo CD. No two documents, and no two items of lists,
    have one group, kind, namespace and name; objects without a name (``generateName``) are not compared. There is at
    least one object, an empty ``List`` being none. Nothing is changed.

    Args:
        documents: What a backend or the host has rendered.
        application: Who asks; its namespace stands in where an object names none.
        what: Where the source lies, for messages.

    Returns:
        All documents, in their order.

    Raises:
        RenderError: Names the file and the line of up to ten problems.
        EmptyRenderError: There is no object.
    """
    checked = list(documents)
    inspection = _Inspection(application.namespace)
    for document in checked:
        inspection.add(document)
    raise_render_problems(inspection.problems)
    if not inspection.objects:
        lists = "nothing but empty lists" if checked else "no document"
        raise EmptyRenderError(f"{what}: {lists} came out of the render: {NEVER_EMPTY}")
    return checked


def identify_objects(document: Document, application: Application) -> list[Identity | None]:
    """Return what tells each object of a document from others: group, kind, namespace and name.

    Args:
        document: One document, an object or a list of them.
        application: Who asks; its namespace stands in where an object names none.

    Returns:
        One for each object, in their order; None for one that has no name yet (``generateName``).

    Raises:
        RenderError: The document is no object that Argo CD can read.
    """
    nodes, problems = _read_objects(document)
    raise_render_problems(problems)
    return [_identify(node, application.namespace) for node in nodes]


def raise_render_problems(problems: Sequence[str]) -> None:
    """Raise one `RenderError` that tells the first ten of the problems; do nothing where there is none."""
    if not problems:
        return
    if len(problems) == 1:
        raise RenderError(problems[0])
    lines = "".join(f"\n  {problem}" for problem in problems[:_MOST_PROBLEMS])
    more = f"\n  and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
    raise RenderError(f"{len(problems)} problems:{lines}{more}")


class _Inspection:
    """Goes through the documents of one render, counts their objects and gathers what is wrong with them."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.problems: list[str] = []
        self.objects = 0
        self.places: dict[Identity, str] = {}

    def add(self, document: Document) -> None:
        nodes, problems = _read_objects(document)
        self.problems += problems
        for node in nodes:
            self._add_object(document, node)

    def _add_object(self, document: Document, node: Node) -> None:
        self.objects += 1
        identity = _identify(node, self.namespace)
        if identity is None:
            return
        here = place(document.path, document.line + node.line)
        if identity not in self.places:
            self.places[identity] = here
            return
        _, kind, namespace, name = identity
        self.problems.append(
            f"{here}: {kind} `{f'{namespace}/' if namespace else ''}{name}` stands at {self.places[identity]} already, "
            "and Argo CD would apply the last of them only: keep one"
        )


def _read_objects(document: Document) -> tuple[list[Node], list[str]]:
    """Return the objects of a document, itself or the items of a list, and what is wrong with it."""
    try:
        root = read_outline(document)
    except RenderError as error:
        return [], [str(error)]
    if root.is_null:
        return [], []  # an anchor or a tag and nothing else: Argo CD drops it
    if problems := list(_root_problems(document, root)):
        return [], problems
    items = _items(document, root)
    if isinstance(items, str):
        return [], [items]
    if items is None:
        return [root], []
    judged = [(item, _object_problem(document, item)) for item in items]
    return [item for item, problem in judged if not problem], [problem for _, problem in judged if problem]


def _root_problems(document: Document, root: Node) -> Iterator[str]:
    if problem := _object_problem(document, root):
        yield problem
    if root.is_mapping:
        yield from _key_problems(document, root)


def _object_problem(document: Document, node: Node) -> str | None:
    """Return what keeps a node from being a Kubernetes object, or None."""
    here = place(document.path, document.line + node.line)
    if not node.is_mapping:
        return f"{here}: {_describe(node)}, or {_exclude(document)}"
    fields = entries(node)
    missing = [f"`{key}`" for key in ("apiVersion", "kind") if not _is_filled(fields.get(key))]
    if missing:
        return (
            f"{here}: there is no {' and no '.join(missing)}, so this is no Kubernetes object: "
            f"add what is missing, or {_exclude(document)}"
        )
    for key in ("apiVersion", "kind"):
        value = read_key(fields[key])
        if value and value.type != "string":
            return f"{here}: YAML does not read the value of `{key}` as text: put it in quotes"
    version = str(fields["apiVersion"].text)
    if version.count("/") > 1:
        return f"{here}: the apiVersion `{version}` has more than one `/`: write `group/version`"
    return None


def _is_filled(node: Node | None) -> bool:
    return node is not None and bool(node.text)


def _describe(node: Node) -> str:
    if node.is_list:
        return "a list is no Kubernetes object: write `kind: List` with the objects as its `items`"
    return "a single value is no Kubernetes object: write `apiVersion`, `kind` and what belongs to them"


def _exclude(document: Document) -> str:
    """Return the advice to leave a file out: the pattern that means its path, quoted as in the trigger file."""
    pattern = re.sub(r"([\\*?\[]|^[!#]| $)", r"\\\1", document.path)
    return f"leave the file out with `exclude: [{json.dumps(pattern, ensure_ascii=False)}]`"


def _key_problems(document: Document, root: Node) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, _ in pairs(root):
        line = document.line + key.line
        if is_merge(key):
            continue
        name = read_key(key)
        text = name.name if name else ""
        if text in lines:
            yield (
                f"{place(document.path, line)}: the key `{text}` stands on line {lines[text]} already, and "
                "Argo CD would drop that: put a line `---` between two objects, or remove one of the keys"
            )
        else:
            lines[text] = line


def _items(document: Document, root: Node) -> list[Node] | str | None:
    """Return the items of what Argo CD takes for a list, None for any other object, or what is wrong.

    Argo CD unwraps whatever has an array `items`, by whatever kind, and drops what has a null one beside neither spec
    nor status.
    """
    fields = entries(root)
    items = fields.get("items")
    if items is None or not (items.is_list or (items.is_null and "spec" not in fields and "status" not in fields)):
        return None
    if items.children or str(fields["kind"].text).endswith("List"):
        return items.children
    here = place(document.path, document.line + items.line)
    return f"{here}: Argo CD takes an object with empty `items` for an empty list and drops it: remove the key `items`"


def _identify(node: Node, namespace: str) -> Identity | None:
    """Return by what Argo CD tells the object from others, or None where it has no name yet."""
    fields = entries(node)
    metadata = entries(fields.get("metadata"))
    name, own = metadata.get("name"), metadata.get("namespace")
    if name is None or not name.text:
        return None
    group = str(fields["apiVersion"].text).rpartition("/")[0]
    return group, str(fields["kind"].text), (own.text if own else None) or namespace, name.text
