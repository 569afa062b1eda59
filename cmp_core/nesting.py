"""Own the fetch of a source inside a source: its place in messages, its depth, and the limits that a tree shares."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmp_core.artifact import Artifact
from cmp_core.deadline import Deadline
from cmp_core.documents import Document
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    BackendError,
    CmpError,
    ConfigError,
    DeadlineExceededError,
    PolicyError,
    SourceValidationError,
)
from cmp_core.manager import Backend
from cmp_core.models import Limits, NestedSource, Source, nested_sources
from cmp_core.policy import load_allowed_backend
from cmp_core.selection import check_totals
from cmp_core.settings import Settings
from cmp_core.strictyaml import KeyPath
from cmp_core.trigger import validated
from cmp_core.validation import Problem, validate

MOST_NESTED = 4

_TOO_DEEP = f"sources are nested deeper than {MOST_NESTED}: flatten them"


class Nesting:
    """What a backend is given as `fetch_nested`: it fetches the sources inside of one source.

    All of them together may bring what the limits allow to one. What one has brought is gone for its siblings and for
    everything inside of these, so that a whole tree of sources brings no more than a single source may.
    """

    def __init__(self, source: Source, environment: BuildEnvironment, place: str = "", *, depth: int = 1) -> None:
        """Stand inside a source.

        Args:
            source: The outer source.
            environment: What surrounds it; its deadline covers the whole tree.
            place: What stands before every complaint; empty where somebody around adds it.
            depth: How many sources there are around what is fetched.
        """
        self._source = source
        self._environment = environment
        self._place = place
        self._depth = depth
        self._limits = source.limits.under(environment.settings.limits)
        self._lock = threading.Lock()
        self._objects = self._bytes = 0

    def __call__(self, source: NestedSource | Mapping[str, Any], destination: Path, *, key: str = "") -> Artifact:
        """Fetch a source: see `FetchNested`. Several threads may do so at once."""
        with _told_from(": ".join(filter(None, (self._place, key)))):
            backend, inner = _resolve(source, self._depth, self._environment.settings)
            destination.mkdir(parents=True, exist_ok=True)
            environment = self._environment_with_what_is_left()
            with _step(environment.deadline, f"fetching {inner.location}"):
                artifact = backend.fetch(
                    inner, destination, environment, Nesting(inner, environment, depth=self._depth + 1)
                )
            self._count(artifact)
        return artifact

    def _environment_with_what_is_left(self) -> BuildEnvironment:
        with self._lock:
            left = Limits.model_construct(
                objects=self._limits.objects - self._objects,
                object_bytes=self._limits.object_bytes,
                total_bytes=self._limits.total_bytes - self._bytes,
            )
        settings = self._environment.settings.model_copy(update={"limits": left})
        return replace(self._environment, settings=settings)

    def _count(self, artifact: Artifact) -> None:
        """Count what was brought; those that were fetched at the same time may have brought too much together."""
        with self._lock:
            self._objects += len(artifact.files)
            self._bytes += artifact.size
            check_totals(self._objects, self._bytes, self._source, self._limits)


class NestedRender:
    """What a backend is given as `render_nested`: it renders what its `fetch_nested` has brought."""

    def __init__(self, root: Path, environment: BuildEnvironment, place: str = "", *, depth: int = 1) -> None:
        """Stand inside a source.

        Args:
            root: The outermost artifact's root, which the paths of documents are below of.
            environment: What surrounds the sources.
            place: What stands before every complaint; empty where somebody around adds it.
            depth: How many sources there are around what is rendered.
        """
        self._root = root
        self._environment = environment
        self._place = place
        self._depth = depth

    def __call__(
        self, source: NestedSource | Mapping[str, Any], artifact: Artifact, *, key: str = ""
    ) -> list[Document]:
        """Render a source: see `RenderNested`."""
        with _told_from(": ".join(filter(None, (self._place, key)))):
            backend, inner = _resolve(source, self._depth, self._environment.settings)
            deeper = NestedRender(artifact.root, self._environment, depth=self._depth + 1)
            documents = backend.render(artifact, inner, self._environment, deeper)
        folder = artifact.root.relative_to(self._root).as_posix()
        return [replace(document, path=f"{folder}/{document.path}") for document in documents]


def render_problems(backend: Backend, source: Source, place_of: Callable[[KeyPath], str]) -> list[Problem]:
    """Return what is wrong with a source's `render`: nothing, unless its backend renders in its own way."""
    if source.render == "auto" or not backend.renders:
        return []
    return [Problem(place_of(("render",)), f"`render` means nothing to {backend.installed}: remove it")]


def location_of(source: NestedSource) -> str:
    """Return where a nested source lies, for the `location` of the source around it.

    A source that nobody can read is told by its backend's name: what is wrong with it is said elsewhere.
    """
    try:
        return _resolve(source, 1, Settings())[1].location
    except (BackendError, ConfigError):
        return f"{source.backend}:"


def nested_problems(
    source: Source, place_of: Callable[[KeyPath], str], settings: Settings, *, depth: int = 1
) -> Iterator[Problem]:
    """Yield what is wrong with the sources inside of a source, before anything is fetched.

    Args:
        source: The outer source.
        place_of: Tells where a key of it stands.
        settings: Say which backends are allowed.
        depth: How many sources there are around those inside of it.

    Raises:
        BackendError: The backend of one is missing or broken; the message begins with the place.
        PolicyError: The operator does not allow the backend of one; as above.
    """
    for path, nested in nested_sources(source):
        name = ".".join(map(str, path))
        if depth > MOST_NESTED:
            yield Problem(place_of(path), f"`{name}`: {_TOO_DEEP}")
            continue

        def place_inside(inner: KeyPath, outer: KeyPath = path) -> str:
            return place_of((*outer, *inner))

        try:
            backend = load_allowed_backend(nested.backend, settings)
        except (BackendError, PolicyError) as error:
            error.args = (f"{place_of(path)}: `{name}`: {error}",)
            raise
        inner, problems = validate(backend.model, nested.own_values(), place_inside)
        if inner:
            problems += render_problems(backend, inner, place_inside)
        yield from (Problem(place, f"`{name}`: {message}") for place, message in problems)
        if inner:
            yield from nested_problems(inner, place_inside, settings, depth=depth + 1)


def _resolve(source: NestedSource | Mapping[str, Any], depth: int, settings: Settings) -> tuple[Backend, Source]:
    """Return the backend of a nested source, and the source as that backend's model has it."""
    values = source.as_values() if isinstance(source, NestedSource) else dict(source)
    name = values.pop("backend", None)
    if not isinstance(name, str):
        raise SourceValidationError("a nested source lacks `backend`: add the name of one")
    if depth > MOST_NESTED:
        raise SourceValidationError(_TOO_DEEP)
    backend = load_allowed_backend(name, settings)
    return backend, validated(backend.model, values, lambda _path: f"nested source `{name}`")


@contextmanager
def _told_from(place: str) -> Iterator[None]:
    """Let every error begin with the place; but for the deadline's, which is that of the whole request."""
    try:
        yield
    except DeadlineExceededError:
        raise
    except CmpError as error:
        if place:
            error.args = (f"{place}: {error}",)
        raise


@contextmanager
def _step(deadline: Deadline, step: str) -> Iterator[None]:
    """Tell what is being done; what was being done before goes on afterwards, unless this fails."""
    before = deadline.step
    deadline.step = step
    yield
    deadline.step = before
