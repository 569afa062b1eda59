"""Own the static part of the contract: what can be told of an installed backend without a source of its kind.

The contract suite for authors and ``cmp-core backends --check`` for operators ask the same questions here.
"""

import json
import os
import re
import site
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cmp_core import importprobe
from cmp_core.bootstrap import variable_name
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendError, BackendLoadError
from cmp_core.finding import Finding
from cmp_core.installed import InstalledBackend, find_backend, installed_backends
from cmp_core.manager import Backend, load_backend
from cmp_core.models import Source
from cmp_core.parameters import announce_parameters
from cmp_core.programs import run_program
from cmp_core.schema import trigger_schema
from cmp_core.validation import alias_of

SDKS = (
    "aiobotocore",
    "aiohttp",
    "azure",
    "boto3",
    "botocore",
    "fsspec",
    "google",
    "httpx",
    "requests",
    "s3fs",
    "urllib3",
)
"""Packages that a backend may use, but not load before it fetches."""

_KEY = re.compile(r"[a-z][A-Za-z0-9]*")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_ENVELOPE = ("apiVersion", "kind", "metadata")
_MOST_ANSWERED = 2**20  # bytes
_MOST_TOLD = 5
_ANNOUNCED: Mapping[str, type] = {
    "name": str,
    "title": str,
    "tooltip": str,
    "required": bool,
    "itemType": str,
    "collectionType": str,
}


@dataclass(frozen=True, slots=True)
class Import:
    """What came of importing a backend's module in a process of its own.

    Attributes:
        seconds: How long it took, without the host's own modules.
        packages: What is loaded afterwards.
        deeds: What it did besides, a clause each: ``opens a socket``.
        problem: Why it cannot be imported, or nothing.
    """

    seconds: float
    packages: frozenset[str]
    deeds: tuple[str, ...]
    problem: str


def inspect_backend(name: str, environment: BuildEnvironment) -> Iterator[Finding]:
    """Check an installed backend without a source, and yield what is found.

    Args:
        name: Its name.
        environment: Bounds the checks.

    Raises:
        BackendError: It is not installed, or provided twice.
    """
    installed = find_backend(name, installed_backends())
    yield _import_finding(installed, import_alone(installed, environment))
    try:
        backend = load_backend(installed)
    except BackendError as error:
        yield Finding.of_error("hooks", error)
        for check in ("schema", "parameters"):
            yield Finding(check, "skipped", "not checked, since `hooks` failed")
        return
    implemented = ", ".join(f"`{hook}`" for hook in backend.hooks)
    yield Finding("hooks", "ok", f"{installed} implements {implemented}")
    keys = len(backend.model.model_fields)
    sound = f"all {keys} keys of `{installed.trigger_file}` have a description and a schema for editors"
    yield _finding("schema", schema_problems(backend), sound, installed)
    sound = f"all {keys} keys are parameters that Argo CD's UI can show and an Application can set"
    yield _finding("parameters", announcement_problems(backend.model), sound, installed)


def import_alone(installed: InstalledBackend, environment: BuildEnvironment, folder: Path | None = None) -> Import:
    """Import a backend's module in a process of its own: without variables but ``PATH``, in a foreign folder.

    Args:
        installed: The backend.
        environment: Bounds it.
        folder: The working directory; an empty one by default.

    Raises:
        BackendLoadError: The process ended without an answer.
    """
    path = [entry for entry in sys.path if os.path.isabs(entry)]  # noqa: PTH117  # a `Path` for each is not needed
    asked = {"backend": asdict(installed), "path": path, "sites": site.getsitepackages()}
    command = [sys.executable, "-I", "-B", str(importprobe.__file__), json.dumps(asked)]
    variables = {"PATH": environment.variables.get("PATH", os.defpath)}
    with TemporaryDirectory(prefix="cmp-core-") as empty:
        place = folder or Path(empty)
        output = run_program(command, place, environment, variables=variables, most_bytes=_MOST_ANSWERED)
    try:
        answer = json.loads(output.content)
    except ValueError as error:
        raise BackendLoadError(
            f"{installed} ended the process that imported it (exit code {output.code}): ask the authors of "
            f"{installed.distribution}"
        ) from error
    return Import(answer["seconds"], frozenset(answer["packages"]), tuple(answer["deeds"]), answer["problem"])


def import_problems(found: Import, sdks: Iterable[str] = SDKS) -> list[str]:
    """Return what is wrong with how a backend's module is imported, a clause each."""
    if found.problem:
        return [f"cannot be imported ({found.problem})"]
    loaded = sorted(found.packages & set(sdks))
    return [*([f"loads {', '.join(loaded)}"] if loaded else []), *found.deeds]


def schema_problems(backend: Backend) -> list[str]:
    """Return what is wrong with the schema of a backend's trigger file, a clause each."""
    model = backend.model
    try:
        schema = trigger_schema(model, backend.installed.trigger_file)
        written = json.loads(json.dumps(schema, ensure_ascii=False).encode())
    except (TypeError, ValueError, RuntimeError) as error:  # pydantic's own is a RuntimeError
        return [f"`{model.__name__}` has no JSON Schema ({' '.join(str(error).split())})"]
    problems = [] if written == schema else ["the schema changes when it is written as JSON"]
    if not _KIND.fullmatch(model.__name__):
        problems.append(f"`{model.__name__}` is no `kind`: give the class a name like `DemoSource`")
    if schema.get("additionalProperties") is not False:
        problems.append(f"`{model.__name__}` takes keys that it does not know: leave `extra` as `Source` has it")
    for name, field in model.model_fields.items():
        key = alias_of(name, field)
        if not _KEY.fullmatch(key) or key in _ENVELOPE:
            problems.append(f"`{key}` is no key: write it in camelCase, and none of {', '.join(_ENVELOPE)}")
        elif not (field.description or "").strip():
            problems.append(f"`{key}` has no description: give its field one")
    return problems


def announcement_problems(model: type[Source]) -> list[str]:
    """Return what is wrong with the parameters of a model, by what Argo CD's decoder reads, a clause each.

    The shape is that of ``ParameterAnnouncement`` (``reposerver/repository/repository.proto``). The names come back in
    variables, in which case and the signs between words are lost.
    """
    values = {alias_of(name, field): _as_text(field.examples) for name, field in model.model_fields.items()}
    announcements = announce_parameters(model, {key: value for key, value in values.items() if value is not None})
    problems = [problem for each in announcements for problem in _problems_of(each)]
    names = [str(each["name"]) for each in announcements]
    spelled = Counter(variable_name(name).replace("_", "") for name in names)
    shared = [name for name in names if spelled[variable_name(name).replace("_", "")] > 1]
    return [*problems, *(f"`{name}` shares its variable with another key: rename one of them" for name in shared)]


def _problems_of(announcement: Mapping[str, Any]) -> Iterator[str]:
    """Yield what Argo CD's decoder would not take of one announcement."""
    name = announcement.get("name")
    for key, kind in _ANNOUNCED.items():
        if not isinstance(announcement.get(key), kind):
            yield f"`{name}` is announced without a usable `{key}`"
    collection = announcement.get("collectionType")
    if collection not in {"string", "array", "map"}:
        yield f"`{name}` is announced as a collection that Argo CD does not know (`{collection}`)"
    if {"string", "array", "map"} & announcement.keys() - {collection}:
        yield f"`{name}` is announced with a value of another kind than `{collection}`"
    try:
        json.dumps(announcement, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield f"`{name}` is announced with half a character: write its description in UTF-8"


def _as_text(examples: Sequence[Any] | None) -> Any:
    """Return the first example as a trigger file has it, where every scalar is text."""
    if not examples:
        return None
    if isinstance(examples[0], list | tuple):
        return [item if isinstance(item, dict) else str(item) for item in examples[0]]
    if isinstance(examples[0], dict):
        return {str(key): str(value) for key, value in examples[0].items()}
    return str(examples[0])


def _import_finding(installed: InstalledBackend, found: Import) -> Finding:
    problems = import_problems(found)
    took = f"is imported in {found.seconds * 1000:.0f} ms"
    if not problems:
        return Finding("import", "ok", f"`{installed.target}` {took}, loads no SDK and opens nothing")
    return Finding(
        "import",
        "failed",
        f"{installed}: `{installed.target}` {_joined(problems)} when it is imported",
        f"ask the authors of {installed.distribution} to do so inside of `fetch`, or install it again",
        BackendLoadError,
    )


def _finding(check: str, problems: Sequence[str], sound: str, installed: InstalledBackend) -> Finding:
    if not problems:
        return Finding(check, "ok", sound)
    told = f"{installed}: {_joined(problems)}"
    return Finding(check, "failed", told, f"report it to the authors of {installed.distribution}", BackendLoadError)


def _joined(problems: Sequence[str]) -> str:
    more = len(problems) - _MOST_TOLD
    return "; ".join([*problems[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])
