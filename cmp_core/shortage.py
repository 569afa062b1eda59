"""Own what a shortage of the machine is: which failure, however deep below another, means that it ran out of something.

Memory, open files and threads may run out anywhere, in our code or in a library's, and most libraries wrap what they
then get in an error of their own: a refused connection, a broken answer. So the command line asks here about each error
that ends it, and nobody else needs to think of it.
"""

import errno
from collections.abc import Iterator

from cmp_core.errors import CmpError, ResourceError

_NO_MEMORY = (
    "this process got no more memory: give the sidecar's container more of it, or let the process hold less at once: "
    "lower `maxConnections` in the operator's settings (CMP_MAX_CONNECTIONS), or make the source smaller"
)
_NO_FILES = (
    "this process may open no more files: allow the sidecar more of them (ulimit -n), or lower `maxConnections` in the "
    "operator's settings (CMP_MAX_CONNECTIONS)"
)
_NO_THREADS = (
    "this process may start no more threads: allow the sidecar's container more processes (its pids limit) and more "
    "memory, or lower `maxConcurrency` in the operator's settings (CMP_MAX_CONCURRENCY)"
)
_SENTENCES = {errno.EMFILE: _NO_FILES, errno.ENFILE: _NO_FILES, errno.ENOMEM: _NO_MEMORY}


def shortage_behind(error: BaseException) -> ResourceError | None:
    """Return the error that tells which shortage of the machine is behind `error`, or None where none is."""
    sentence = next((found for link in _chain(error) if (found := _sentence(link))), None)
    if sentence is None:
        return None
    shortage = ResourceError(sentence)
    shortage.__cause__ = error
    return shortage


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and, one below the other, what it was raised for.

    What one of ours was raised for is always said. What merely happened to be handled just then, as when a signal
    comes, counts only for the errors of others.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        is_said = link.__suppress_context__ or isinstance(link, CmpError)
        link = link.__cause__ or (None if is_said else link.__context__)


def _sentence(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, OSError):
        return _SENTENCES.get(error.errno or 0)
    return _NO_THREADS if _is_refused_thread(error) else None


def _is_refused_thread(error: BaseException) -> bool:
    """Tell whether the system refused a thread: for that Python has no class, only a RuntimeError of its own place."""
    if not isinstance(error, RuntimeError) or error.__traceback__ is None:
        return False
    from threading import Thread  # noqa: PLC0415  # the quick commands do without

    innermost = error.__traceback__
    while innermost.tb_next:
        innermost = innermost.tb_next
    return innermost.tb_frame.f_code is Thread.start.__code__
