"""Own the comparison of one case: what Argo CD makes of files one by one, and what it makes of all that we print."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import yaml
from e2e.dialects import ROWS
from e2e.go_decoder import GoAnswer, GoDecoder
from e2e.made_up_files import File

from cmp_core.check import check_documents
from cmp_core.documents import SEPARATOR, Document, join_documents, split_documents
from cmp_core.environment import Application
from cmp_core.errors import CmpError, EmptyRenderError
from cmp_core.nodes import Node
from cmp_core.render import assemble
from cmp_core.scalars import read_key

BOTH_REFUSE = "both refuse"
MENDED = "mended"
SAME = "the same"

_EMPTY = next(row for row in ROWS if "came out of the render" in row.message)
_UNREAD = next(row for row in ROWS if row.is_unread)


def compare(go: GoDecoder, files: Sequence[File]) -> str:
    """Return how the two sides relate, and fail where they may not relate so.

    What cmp-core accepts, Argo CD must read from its output, object for object what the documents hold. What Argo CD
    accepts and cmp-core refuses must be a row of the table.
    """
    alone = [go.decode(file.content) for file in files]
    try:
        documents = check(file.content for file in files)
    except CmpError as error:
        return _explain_refusal(go, files, alone, error)
    return _compare_objects(go, files, alone, documents, go.decode(assemble(documents)))


def check(contents: Iterable[bytes]) -> list[Document]:
    """Return the documents of files, provided that cmp-core prints them."""
    documents = chain.from_iterable(split_documents(content, "file") for content in contents)
    return check_documents(documents, Application(), "the source")


def _compare_objects(
    go: GoDecoder, files: Sequence[File], alone: Sequence[GoAnswer], documents: Sequence[Document], whole: GoAnswer
) -> str:
    assert not whole.error, f"cmp-core accepts what Argo CD refuses: {whole.error} {documents}"
    one_by_one = [go.decode(join_documents([document])) for document in documents]
    assert whole.objects == _objects(one_by_one), (documents, whole, one_by_one)
    if all(file.documents for file in files):
        written = [go.decode(_as_stream(document)) for file in files for document in file.documents]
        assert not any(answer.error for answer in written), (files, written)
        assert whole.objects == _objects(written), (files, whole, written)
    if not any(answer.error for answer in alone) and whole.objects == _objects(alone):
        return SAME
    return MENDED


def _explain_refusal(go: GoDecoder, files: Sequence[File], alone: Sequence[GoAnswer], error: CmpError) -> str:
    if isinstance(error, EmptyRenderError):
        assert not _objects(alone), (files, alone)
        return f"refused: {_EMPTY.what}"
    pairs = zip(files, alone, strict=True)
    reasons = set(chain.from_iterable(_reasons(go, file.content, answer) for file, answer in pairs))
    if not reasons:  # each document passes alone
        return f"refused: {_find_row(str(error), b'')}"
    rows = reasons - {BOTH_REFUSE}
    return f"refused: {min(rows)}" if rows else BOTH_REFUSE


def _reasons(go: GoDecoder, content: bytes, alone: GoAnswer) -> Iterator[str]:
    """Yield why a file is refused; each of its documents is looked at alone, by both sides."""
    try:
        documents = split_documents(content, "file")
    except CmpError as error:
        yield BOTH_REFUSE if alone.error else _find_row(str(error), content)
        return
    for document in documents:
        try:
            check_documents([document], Application(), "the source")
        except EmptyRenderError:
            continue
        except CmpError as error:
            if go.decode(join_documents([document])).error:
                yield BOTH_REFUSE if alone.error else _UNREAD.what
            elif _is_unread(go, str(error), document):
                yield _UNREAD.what
            else:
                yield _find_row(str(error), document.content)


def _is_unread(go: GoDecoder, message: str, document: Document) -> bool:
    """Tell whether Argo CD makes the same of a document without the line that is refused and all that follow."""
    line = re.match(r"file:(\d+): ", message)
    lines = document.content.splitlines(keepends=True)[: int(line[1]) - document.line if line else 0]
    head = go.decode(SEPARATOR + b"".join(lines))
    return bool(head.objects) and head == go.decode(join_documents([document]))


def _find_row(message: str, content: bytes) -> str:
    """Return the row that the first problem of a message belongs to; all of them must belong to one."""
    problems = message.splitlines()
    problems = [line for line in problems if line.startswith("  file:")] or problems[:1]
    rows = [[row for row in ROWS if not row.is_unread and re.search(row.message, problem)] for problem in problems]
    for problem, found in zip(problems, rows, strict=True):
        assert found, f"Argo CD accepts what cmp-core refuses: {problem} {content!r}"
        assert not found[0].is_replaced or _has_repeated_keys(content), f"{problem} {content!r}"
    return rows[0][0].what


def _has_repeated_keys(content: bytes) -> bool:
    """Tell whether a mapping of the document, at whatever depth, has a name twice, or merges another mapping."""
    mappings: list[list[str] | None] = [None]
    is_value = [True]
    for event in yaml.parse(content, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            is_value.pop()
            if len(keys := mappings.pop() or []) > len(set(keys)) or "<<" in keys:
                return True
        elif isinstance(event, yaml.NodeEvent):
            is_value[-1] = not is_value[-1]
            if mappings[-1] is not None and not is_value[-1] and isinstance(event, yaml.ScalarEvent):
                key = read_key(Node(event))
                mappings[-1].append(key.name if key else "")
            if isinstance(event, yaml.CollectionStartEvent):
                mappings.append([] if isinstance(event, yaml.MappingStartEvent) else None)
                is_value.append(True)
    return False


def _as_stream(document: bytes) -> bytes:
    return b"---\n" + document + (b"" if document.endswith(b"\n") else b"\n")


def _objects(answers: Sequence[GoAnswer]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(answer.objects for answer in answers))
