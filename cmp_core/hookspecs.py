"""The hooks: the whole contract between the host and a backend.

A backend is a module that implements these with `cmp_core.hookimpl`, named by an entry point of
the group ``cmp_core`` whose name is the prefix of the trigger file (``s3`` for ``s3-source.yaml``).
A hook may gain arguments, never lose them; an implementation takes those that it needs, by name.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pluggy

from cmp_core.artifact import Artifact
from cmp_core.documents import Document
from cmp_core.environment import BuildEnvironment
from cmp_core.finding import Finding
from cmp_core.models import NestedSource, Source, StrictModel

PROJECT = "cmp_core"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of the hook that has its name."""


class FetchNested(Protocol):
    """Fetches a source inside a source, of any installed backend, under the same bounds as the outer one."""

    def __call__(self, source: NestedSource | Mapping[str, Any], destination: Path, *, key: str = "") -> Artifact:
        """Validate and fetch `source` into `destination`; several threads may do so at once.

        Args:
            source: A field of the outer source, or the inner one's keys and ``backend``: the name of its backend.
            destination: An empty folder below the outer source's destination.
            key: The outer source's key under which it stands: messages begin with it.

        Returns:
            What was brought; its revision must become part of the outer one.

        Raises:
            SourceValidationError: The inner source is wrong.
            BackendError: Its backend is missing or broken.
            PolicyError: The operator does not allow it.
            FetchError: It could not be fetched; a `LimitExceededError` also where all sources that were fetched so
                have brought more together than one may.
        """


class RenderNested(Protocol):
    """Renders what `fetch_nested` has brought, by the backend that has fetched it."""

    def __call__(
        self, source: NestedSource | Mapping[str, Any], artifact: Artifact, *, key: str = ""
    ) -> list[Document]:
        """Render a source inside this one.

        Args:
            source: What was given to `fetch_nested`.
            artifact: What lies in its destination now, most easily `Artifact.from_directory`.
            key: As for `fetch_nested`.

        Returns:
            The documents, each under the path that it has below the outer artifact's root.

        Raises:
            RenderError: The content cannot be turned into manifests.
        """


@hookspec(firstresult=True)
def source_model() -> type[Source]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the model of the backend's trigger file.

    Called offline and often (``validate``, ``schema``, ``parameters``): import no SDK, open nothing.

    Returns:
        A subclass of `Source`. Its fields are the trigger file's keys, in camelCase; their
        descriptions and examples become the schema, the parameters in Argo CD's UI and the
        error messages; its class name is the ``kind`` of the trigger file. A validator's ``ValueError``
        goes on where the key's name ends: "is no bucket name: write …".
    """


@hookspec(firstresult=True)
def settings_model() -> type[StrictModel]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the model of what the operator of the sidecar decides for this backend alone.

    Optional: without it the operator can set nothing for the backend. The settings stand below ``backends.NAME`` of
    the operator's settings, and ``environment.settings.of(NAME, model)`` returns them. They are checked before
    every `fetch` and by ``cmp-core doctor``. As for `source_model`, import no SDK.

    Returns:
        A subclass of `StrictModel` in which every field has a default and a description. A key of the file or of a
        variable, ``CMP_BACKENDS_NAME_KEY``, that it does not have is an error. A list may be one text with commas
        in a variable.
    """


@hookspec(firstresult=True)
def fetch(  # type: ignore[empty-body]  # a hook spec has no body
    source: Source, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
) -> Artifact:
    """Bring everything that `source` names into `destination`, or raise: never less, never something else.

    Args:
        source: The validated trigger file, an instance of the backend's own model.
        destination: An existing empty folder; write nothing outside of it. It is removed if the hook raises.
        environment: Who asks, the operator's settings and the deadline. Bound every wait by
            ``environment.deadline.remaining()`` (seconds).
        fetch_nested: Fetches a source inside this one.

    Returns:
        What lies in the destination; most easily `Artifact.from_directory`. The revision must
        differ whenever the source's content differs.

    Raises:
        SourceNotFoundError: What the source names does not exist.
        SourceAccessError: The identity is missing, expired or not allowed.
        PolicyError: The operator's settings or variables do not allow it, which is told before anything is fetched.
        LimitExceededError: The source is larger than ``source.limits.under(environment.settings.limits)``;
            raised before the surplus bytes are kept.
        IntegrityError: What was read is not what was announced, or a name cannot be stored safely.
        TransientFetchError: Another try may help, and a bounded number of them did not.
        DeadlineExceededError: The time ran out.
    """


@hookspec(firstresult=True)
def render(  # type: ignore[empty-body]  # a hook spec has no body
    artifact: Artifact, source: Source, environment: BuildEnvironment, render_nested: RenderNested
) -> Iterable[Document]:
    """Turn what was fetched into Kubernetes documents, in the order in which they are to be printed.

    Optional: without it the host renders every YAML and JSON file below the artifact's root. The
    host checks the documents of every render in the same way before anything is printed.

    Args:
        artifact: What `fetch` returned, perhaps in an earlier process.
        source: The validated trigger file.
        environment: Who asks, the operator's settings and the deadline.
        render_nested: Renders a source inside this one.

    Returns:
        Documents, most easily made with `split_documents`.

    Raises:
        RenderError: The content cannot be turned into manifests; name the file and the line.
    """


@hookspec(firstresult=True)
def diagnose(source: Source | None, environment: BuildEnvironment) -> Iterable[Finding]:  # type: ignore[empty-body]  # a hook spec has no body
    """Check step by step what a fetch needs, and tell of each step whether it works.

    Optional: without it ``cmp-core doctor`` checks only what the host knows. The findings are asked for one
    by one and told in that order, so yield each as soon as it is known, the nearest cause first: what stands
    in the environment, then the network, then the service, then a small read of the very source. A check that
    an earlier failure makes pointless is ``skipped`` and says so. Nothing is written, and no secret told.

    Args:
        source: The validated trigger file; None where only the sidecar is to be checked.
        environment: Who asks, the operator's settings and the deadline. Set ``environment.deadline.step`` to
            what is being done, and bound every wait by ``environment.deadline.remaining()`` (seconds).

    Returns:
        The findings; `Finding.of_error` makes one of an error that `fetch` would raise. What the hook itself
        raises becomes a finding and ends the diagnosis.
    """
