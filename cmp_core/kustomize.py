"""Own the render of a folder that holds a kustomization: by kustomize itself, of which nothing reaches outside.

kustomize reads files from URLs, repositories from Git, and folders beside its own wherever a path may stand, and has no
switch against it. So what looks like a place elsewhere is refused before it runs, and it runs without Git and with a
proxy that is not there.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmp_core.artifact import Artifact
from cmp_core.documents import Document, place, split_documents
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendError, RenderError
from cmp_core.models import Source
from cmp_core.programs import NO_NETWORK, find_program, run_program
from cmp_core.strictyaml import KeyPath, MalformedYamlError, YamlTree, read_yaml

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""What kustomize takes for a kustomization, in the order in which it looks."""

MOST_BYTES = 1024 * 1024
"""The largest kustomization that is read."""

OUTPUT = "kustomize-output.yaml"
"""What messages call the stream that kustomize prints."""

_PURPOSE = "to render a kustomization"
_LONGEST_TOLD = 1000

# Keys below which nothing is a path: values of the author's own, and patches that are written there.
_HARMLESS = frozenset(
    {
        "annotations", "buildMetadata", "commonAnnotations", "commonLabels", "images", "labels", "literals", "metadata",
        "namePrefix", "nameSuffix", "namespace", "options", "patch", "pairs", "replicas", "vars",
    }
)  # fmt: skip
_PLUGINS = frozenset({"generators", "transformers", "validators"})
_ELSEWHERE = re.compile(
    r"(?:[^=\s]*=)?(?:[a-z][a-z0-9+.-]*::?//|git::|[\w.-]+@[\w.-]+:|(?:www\.)?github\.com[/:])", re.IGNORECASE
)
_BUILTIN = re.compile(rb"^[\"']?apiVersion[\"']?[ \t]*:[ \t]*[\"']?builtin\b", re.MULTILINE)


def holds_kustomization(artifact: Artifact) -> bool:
    """Tell whether the artifact's root is a folder that kustomize renders."""
    return any(name in artifact.files for name in NAMES)


def render_kustomization(artifact: Artifact, source: Source, environment: BuildEnvironment) -> list[Document]:
    """Return the documents that kustomize makes of the artifact's root.

    Raises:
        RenderError: There is no kustomization, it reaches outside of the source, or kustomize refuses it.
        BackendError: kustomize is not there.
        LimitExceededError: It makes more of it than a source may bring.
    """
    if not holds_kustomization(artifact):
        raise RenderError(
            f"{source.location} holds no {NAMES[0]}: put one there, or remove `render: kustomize` from the trigger file"
        )
    for path in artifact.files:
        _check_file(artifact.root, path)
    limits = source.limits.under(environment.settings.limits)
    output = run_program(
        _command(environment),
        artifact.root,
        environment,
        variables=_variables(artifact.root),
        most_bytes=limits.total_bytes,
    )
    if output.code:
        told = output.said_without(artifact.root).removeprefix("Error: ")[:_LONGEST_TOLD] or "it gives no reason"
        raise RenderError(f"{source.location}: kustomize refuses the kustomization: {told}")
    return split_documents(output.content, OUTPUT)


def _command(environment: BuildEnvironment) -> list[str | Path]:
    try:
        return [find_program("kustomize", environment, purpose=_PURPOSE), "build", "."]
    except BackendError:
        try:
            return [find_program("kubectl", environment, purpose=_PURPOSE), "kustomize", "."]
        except BackendError:
            pass
        raise


def _variables(root: Path) -> dict[str, str]:
    """Return all that kustomize is told: a home in which nothing lies, no path, and no way to the network."""
    return {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "TMPDIR": str(root), "PATH": "", **NO_NETWORK}


def _check_file(root: Path, path: str) -> None:
    """Refuse a kustomization, or the configuration of a built-in plugin, that names a place elsewhere.

    Raises:
        RenderError: Names the file, the line and the place.
    """
    is_kustomization = path.rpartition("/")[2] in NAMES
    if not is_kustomization and not path.endswith((".yaml", ".yml", ".json")):
        return
    with (root / path).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if is_kustomization:
        _check_tree(_read(content, path), path)
    elif _BUILTIN.search(content):
        for document in split_documents(content, path):
            if _BUILTIN.search(document.content):
                _check_tree(_read(document.content, path), path, first_line=document.line)


def _read(content: bytes, path: str) -> YamlTree:
    try:
        return read_yaml(content, max_bytes=MOST_BYTES)
    except MalformedYamlError as error:
        raise RenderError(f"{place(path, error.line)}: {error}") from error


def _check_tree(tree: YamlTree, path: str, *, first_line: int = 1) -> None:
    for keys, text in _texts(tree.values, ()):
        line = first_line + tree.line(keys) - 1
        if keys[0] in _PLUGINS and "\n" in text:
            _check_tree(_read(text.encode(), path), path, first_line=line)
        elif _lies_elsewhere(text.strip(), path):
            raise RenderError(
                f"{place(path, line)}: `{text.strip()[:200]}` lies outside of the source, and kustomize may fetch "
                "nothing: put it into the source, and name it by its path there"
            )


def _lies_elsewhere(text: str, path: str) -> bool:
    """Tell whether a text in the file `path`, if it is a path, leads out of the artifact."""
    if _ELSEWHERE.match(text):
        return True
    folder = os.path.normpath(os.path.join(os.path.dirname(path), text.rpartition("=")[2]))  # noqa: PTH118, PTH120  # text, no file
    return folder == ".." or folder.startswith("../")


def _texts(value: Any, keys: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text that may be a path, with the keys that lead to it."""
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _HARMLESS:
                yield from _texts(item, (*keys, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*keys, index))
