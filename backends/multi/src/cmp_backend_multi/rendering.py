"""Own the render of several sources: each by its own backend, and what becomes of an object that two of them define."""

from collections.abc import Iterator, Sequence

from cmp_backend_multi.source import MultiSource
from cmp_core import Application, Artifact, BuildEnvironment, Document, RenderError, RenderNested, identify_objects

Rendered = Sequence[Sequence[Document]]
"""The documents of each source."""


def render_all(
    artifact: Artifact, source: MultiSource, environment: BuildEnvironment, render_nested: RenderNested
) -> Iterator[Document]:
    """Yield the documents of every source, in the order in which the sources are written.

    Raises:
        RenderError: A source cannot be rendered.
    """
    rendered = [
        render_nested(part, Artifact.from_directory(artifact.root / part.folder), key=f"sources.{number} ({part.name})")
        for number, part in enumerate(source.sources)
    ]
    if source.on_duplicate == "last":
        yield from _without_replaced(rendered, environment.application)
    else:
        for documents in rendered:
            yield from documents


def _without_replaced(rendered: Rendered, application: Application) -> Iterator[Document]:
    """Yield all documents but those that a later source defines anew.

    Raises:
        RenderError: An object to be replaced stands in a list, of which only a part could be left.
    """
    identified = [
        [(document, identify_objects(document, application)) for document in documents] for documents in rendered
    ]
    last = {
        identity: number
        for number, documents in enumerate(identified)
        for _, identities in documents
        for identity in identities
        if identity
    }
    for number, documents in enumerate(identified):
        for document, identities in documents:
            replaced = [identity for identity in identities if identity and last[identity] > number]
            if not replaced:
                yield document
            elif len(replaced) < len(identities):
                _, kind, _, name = replaced[0]
                raise RenderError(
                    f"{document.path}:{document.line}: {kind} `{name}` stands in a list and is defined by a later "
                    "source, but a list goes out whole: write its objects as documents of their own"
                )
