"""A shortage of the machine is recognised by type and number, however deep below other errors, and nothing else is."""

import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmp_core.errors import DeadlineExceededError, FetchError, ResourceError
from cmp_core.shortage import shortage_behind

NO_MEMORY = (
    "this process got no more memory: give the sidecar's container more of it, or let the process hold less at once: "
    "lower `maxConnections` in the operator's settings (CMP_MAX_CONNECTIONS), or make the source smaller"
)
NO_FILES = (
    "this process may open no more files: allow the sidecar more of them (ulimit -n), or lower `maxConnections` in the "
    "operator's settings (CMP_MAX_CONNECTIONS)"
)
NO_THREADS = (
    "this process may start no more threads: allow the sidecar's container more processes (its pids limit) and more "
    "memory, or lower `maxConcurrency` in the operator's settings (CMP_MAX_CONCURRENCY)"
)


@contextmanager
def few_files() -> Iterator[None]:
    """Let this process open no further file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def large_threads() -> Iterator[None]:
    """Let a thread need more memory than there is."""
    before = threading.stack_size(2**46)
    try:
        yield
    finally:
        threading.stack_size(before)


def run_out_of(error: Exception) -> None:
    """Raise an error where a lack of memory has just been caught, and do not say that the one is for the other."""
    try:
        raise MemoryError
    except MemoryError:
        raise error  # noqa: B904  # as libraries do, and as a signal's handler does


def fetch() -> None:
    """Fail as a backend does whose library has failed."""
    try:
        run_out_of(ConnectionError())
    except ConnectionError as error:
        raise FetchError("could not connect: check the endpoint") from error


def told(error: BaseException) -> str:
    """Return what is told of an error."""
    shortage = shortage_behind(error)
    return str(shortage) if shortage else ""


def test_a_lack_of_memory_is_told() -> None:
    """Python's own error, and the system's."""
    with pytest.raises(MemoryError) as caught:
        bytes(2**62)

    assert told(caught.value) == NO_MEMORY
    assert told(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))) == NO_MEMORY


def test_a_lack_of_open_files_is_told() -> None:
    """Those of the process, and those of the whole machine."""
    with few_files(), pytest.raises(OSError, match="Too many open files") as caught:
        Path(os.devnull).read_bytes()

    assert told(caught.value) == NO_FILES
    assert told(OSError(errno.ENFILE, os.strerror(errno.ENFILE))) == NO_FILES


def test_a_lack_of_threads_is_told() -> None:
    """Python has no class for it."""
    with large_threads(), pytest.raises(RuntimeError) as caught:
        threading.Thread(target=print).start()

    assert told(caught.value) == NO_THREADS


def test_it_is_found_below_the_errors_of_others() -> None:
    """A library wraps what it gets, with or without saying so, and a backend wraps the library's."""
    with pytest.raises(FetchError) as caught:
        fetch()

    shortage = shortage_behind(caught.value)

    assert isinstance(shortage, ResourceError)
    assert (str(shortage), shortage.__cause__) == (NO_MEMORY, caught.value)


def test_a_deadline_that_passes_while_it_is_handled_is_a_deadline() -> None:
    """A signal raises an error wherever the process stands, also where another has just been caught."""
    with pytest.raises(DeadlineExceededError) as caught:
        run_out_of(DeadlineExceededError("stopped after 1 s"))

    assert told(caught.value) == ""


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), OSError(errno.ENOSPC, ""), KeyError("x")])
def test_nothing_else_is_taken_for_it(error: Exception) -> None:
    """Not even the same words from somewhere else, nor an error that is its own cause."""
    error.__cause__ = error

    assert told(error) == ""
