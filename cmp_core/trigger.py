"""Own the trigger file: find the one in an application's folder, read it, and make a source of it."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmp_core.appfolder import read_regular_file
from cmp_core.bootstrap import variable_name
from cmp_core.environment import BuildEnvironment, Override
from cmp_core.errors import SourceValidationError, TriggerFileError
from cmp_core.installed import TRIGGER_SUFFIX, InstalledBackend, describe
from cmp_core.models import API_VERSION, Source
from cmp_core.strictyaml import KeyPath, MalformedYamlError, YamlTree, read_yaml
from cmp_core.validation import (
    Problem,
    alias_of,
    collection_type,
    echo,
    raise_problems,
    unknown_key,
    validate,
)

MAX_BYTES = 64 * 1024

_ENVELOPE = ("apiVersion", "kind", "metadata")
_METADATA = ("name", "namespace", "labels", "annotations")
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class TriggerFile:
    """A trigger file as it was read, before any backend has looked at it.

    Attributes:
        name: The file's name, for messages.
        backend: The backend that the name asks for.
        tree: Its keys, as text.
        content: Its bytes.
    """

    name: str
    backend: str
    tree: YamlTree
    content: bytes


def find_trigger_file(directory: Path, place: str, backends: tuple[InstalledBackend, ...]) -> Path:
    """Return the one ``*-source.yaml`` in `directory`.

    Args:
        directory: The application's folder.
        place: What messages call it: its path in the Git repository, where that is known.
        backends: The installed ones, for messages.

    Raises:
        TriggerFileError: There is none, or several, or one with another ending.
    """
    names = sorted(_names_in(directory, place))
    found = [name for name in names if name.endswith(TRIGGER_SUFFIX)]
    if len(found) == 1:
        return directory / found[0]
    installed = describe(backends)
    if found:
        raise TriggerFileError(
            f"{place}: holds {len(found)} trigger files, {_listed(found)}; {installed}: keep one in a folder"
        )
    if misnamed := [name for name in names if name.endswith("-source.yml")]:
        raise TriggerFileError(
            f"{place}: `{misnamed[0]}` has the wrong ending; {installed}: "
            f"rename it to `{misnamed[0].removesuffix('yml')}yaml`"
        )
    raise TriggerFileError(
        f"{place}: holds no trigger file (`NAME{TRIGGER_SUFFIX}`), only {_listed(names) or 'nothing'}; {installed}: "
        "create one there, or correct `path` in the Application"
    )


def read_trigger_file(path: Path) -> TriggerFile:
    """Read the trigger file `path`, at most `MAX_BYTES` of it, if it is a regular file.

    Raises:
        TriggerFileError: It is no regular file, too large, or no YAML of the strict kind.
    """
    if not os.path.lexists(path):
        raise TriggerFileError(f"{path}: does not exist: name a folder or a trigger file that does")
    if not path.name.endswith(TRIGGER_SUFFIX):
        raise TriggerFileError(f"{path}: is no trigger file: its name must end in `{TRIGGER_SUFFIX}`")
    content = read_regular_file(path.parent, path.name, max_bytes=MAX_BYTES + 1, error_class=TriggerFileError)
    try:
        tree = read_yaml(content, max_bytes=MAX_BYTES)
    except MalformedYamlError as error:
        raise TriggerFileError(f"{path.name}:{error.line}: {error}") from error
    return TriggerFile(path.name, path.name.removesuffix(TRIGGER_SUFFIX), tree, content)


def resolve_source(trigger: TriggerFile, model: type[Source], environment: BuildEnvironment) -> Source:
    """Make the source: the file's keys, over them ``ARGOCD_ENV_CMP_*``, over those the parameters.

    Raises:
        SourceValidationError: Any of them is wrong; all problems at once, each with where it comes from.
    """
    return locate_source(trigger, model, environment)[0]


def locate_source(
    trigger: TriggerFile, model: type[Source], environment: BuildEnvironment
) -> tuple[Source, Callable[[KeyPath], str]]:
    """Make the source, and return with it what tells of every key where it comes from.

    Raises:
        SourceValidationError: Any of them is wrong; all problems at once, each with where it comes from.
    """
    problems = [
        Problem(f"{trigger.name}:{line}", f"`{'.'.join(map(str, path))}` stands there twice: keep one")
        for path, line in trigger.tree.duplicates
    ]
    problems += _check_envelope(trigger, model)
    values = {key: value for key, value in trigger.tree.values.items() if key not in _ENVELOPE}
    origins: dict[str, str] = {}
    for override in (*environment.variable_overrides, *environment.parameters):
        problems += _apply(override, model, values, origins)

    def place_of(path: KeyPath) -> str:
        return origins.get(str(path[0]) if path else "") or f"{trigger.name}:{trigger.tree.line(path)}"

    return validated(model, values, place_of, problems), place_of


def validated(
    model: type[Source],
    values: Mapping[str, Any],
    place_of: Callable[[KeyPath], str],
    problems: list[Problem] | None = None,
) -> Source:
    """Return the source that `values` describe.

    Raises:
        SourceValidationError: They are wrong, or there are `problems` already.
    """
    source, complaints = validate(model, values, place_of)
    raise_problems([*(problems or []), *complaints], SourceValidationError)
    assert source is not None  # noqa: S101  # validate() returns a model where it returns no problem
    return source


def _names_in(directory: Path, place: str) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError as error:
        raise TriggerFileError(f"{place}: cannot be listed ({error.strerror}): name an existing folder") from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")


def _check_envelope(trigger: TriggerFile, model: type[Source]) -> list[Problem]:
    """Check ``apiVersion``, ``kind`` and ``metadata.name``: all three, or none of them."""
    tree = trigger.tree
    present = [key for key in _ENVELOPE if key in tree.values]
    if not present:
        return []
    metadata = tree.values.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    wanted = {"apiVersion": API_VERSION, "kind": model.__name__}
    problems = [
        Problem(f"{trigger.name}:{tree.line((key,))}", _envelope_sentence(key, value, tree.values.get(key)))
        for key, value in wanted.items()
        if tree.values.get(key) != value
    ]
    if not isinstance(name, str) or not name:
        line = tree.line(("metadata",))
        problems.append(Problem(f"{trigger.name}:{line}", "`metadata.name` is missing: add any name of your own"))
    if isinstance(metadata, dict):
        problems += [
            Problem(f"{trigger.name}:{tree.line(('metadata', key))}", unknown_key(key, _METADATA))
            for key in metadata
            if key not in _METADATA
        ]
    return problems


def _envelope_sentence(key: str, wanted: str, found: object) -> str:
    if found is None:
        return f"`{key}` is missing: add `{key}: {wanted}`, or remove {', '.join(_ENVELOPE)}"
    return f"`{key}` must be `{wanted}`, not {echo(found)}"


def _apply(override: Override, model: type[Source], values: dict[str, Any], origins: dict[str, str]) -> list[Problem]:
    """Put one override into `values`, under the model's own spelling of its key."""
    fields = {alias_of(name, field): field for name, field in model.model_fields.items()}
    spellings = {variable_name(key): key for key in fields}
    argo_cds = {key.upper(): key for key in fields}  # requesterPays arrives in PARAM_REQUESTERPAYS
    key = override.key if override.key in fields else (argo_cds | spellings).get(override.key, "")
    if not key:
        known = spellings if override.origin.endswith(override.key) else fields
        return [Problem(override.origin, unknown_key(override.key, known))]
    if not _is_utf8(override.value):
        return [Problem(override.origin, f"`{key}` is not UTF-8: write it as plain text")]
    collection = collection_type(fields[key])
    try:
        values[key] = _read_collection(override.value) if collection else override.value
    except MalformedYamlError as error:
        written = "a list is written `['a', 'b']`" if collection == "array" else "a mapping is written `{key: value}`"
        return [Problem(override.origin, f"`{key}` {error}; {written}")]
    origins[key] = override.origin
    return []


def _is_utf8(value: str | list[str] | dict[str, str]) -> bool:
    """Tell whether all texts of a value can be written; a variable may hold any bytes, JSON half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_collection(text: object) -> Any:
    """Read the list or mapping that a text holds, in either notation of YAML; an array or a map is one already."""
    if not isinstance(text, str):
        return text
    indented = text.replace("\n", "\n ")
    tree = read_yaml(f"value:\n {indented}".encode(), max_bytes=MAX_BYTES)
    if tree.duplicates:
        raise MalformedYamlError("holds a key twice: keep one", 1)
    return tree.values["value"]
