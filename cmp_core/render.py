"""Own the plain render and what goes to Argo CD: every YAML and JSON file as it is, and one stream of all documents."""

from collections.abc import Iterator, Sequence

from cmp_core.artifact import Artifact, byte_order
from cmp_core.check import NEVER_EMPTY, raise_render_problems
from cmp_core.documents import Document, join_documents, place, split_documents
from cmp_core.errors import CmpError, EmptyRenderError, RenderError
from cmp_core.models import Source
from cmp_core.selection import filter_paths

SUFFIXES = (".yaml", ".yml", ".json")
"""What a manifest's file name ends with, in lower case only, as in Argo CD's own rendering of a folder."""

_MOST_NAMES = 5


def render_plain(artifact: Artifact, source: Source) -> Iterator[Document]:
    """Yield the documents of every YAML and JSON file that the source includes, by path in byte order.

    Args:
        artifact: What was fetched.
        source: Tells by `include` and `exclude` which files count.

    Raises:
        RenderError: A file cannot be split into documents; names up to ten of them, with file and line.
        EmptyRenderError: There is no document; tells what there was instead.
    """
    included = filter_paths(artifact.files, source)
    manifests = sorted((path for path in included if path.endswith(SUFFIXES)), key=byte_order)
    problems: list[str] = []
    is_empty = True
    for path in manifests:
        try:
            documents = split_documents((artifact.root / path).read_bytes(), path)
        except RenderError as error:
            problems.append(str(error))
            continue
        is_empty = is_empty and not documents
        yield from documents
    raise_render_problems(problems)
    if is_empty:
        raise EmptyRenderError(f"{source.location}: {_tell_empty(artifact.files, included, manifests)}: {NEVER_EMPTY}")


def assemble(documents: Sequence[Document]) -> bytes:
    """Return the stream of the documents, after a second look at it has found the same documents in it.

    The look follows Argo CD's rule and shares nothing with the code that split the files: a mistake in either shows
    here, not in a cluster.

    Raises:
        CmpError: Argo CD would see other documents; names the first one.
    """
    stream = join_documents(documents)
    chunks = _split_as_argo_cd_does(stream)
    for document in documents:
        content = document.content
        if next(chunks, None) != (content if content[-1:] == b"\n" else content + b"\n"):
            raise CmpError(
                f"{place(document.path, document.line)}: Argo CD would not read this document as it is written: "
                "this is a defect of cmp-core or of the backend that rendered it; please report it"
            )
    if next(chunks, None) is not None:
        raise CmpError("Argo CD would read more documents than were rendered: this is a defect, please report it")
    return stream


def _tell_empty(files: Sequence[str], included: Sequence[str], manifests: Sequence[str]) -> str:
    if not files:
        return "there is no file"
    if not included:
        return f"{_count(files)}, all of them left out by `include` and `exclude`: {_name(files)}"
    if not manifests:
        return f"{_count(included)}, none of them .yaml, .yml or .json: {_name(included)}"
    return f"{_count(manifests)} without an object in them: {_name(manifests)}"


def _count(files: Sequence[str]) -> str:
    return f"{len(files)} file{'' if len(files) == 1 else 's'}"


def _name(files: Sequence[str]) -> str:
    return ", ".join([*files[:_MOST_NAMES], *(["…"] if len(files) > _MOST_NAMES else [])])


def _split_as_argo_cd_does(stream: bytes) -> Iterator[bytes]:
    """Yield what stands between lines that begin with ``---``; a line that goes on after that ends the search."""
    at = 0
    while stream.startswith(b"---\n", at):
        begin = at + 4
        at = stream.find(b"\n---", begin - 1) + 1 or len(stream)
        yield stream[begin:at]
